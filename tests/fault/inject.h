/* SPDX-License-Identifier: MIT */
/*
 * Failures on demand. The linker sends the calls of the whole program to these functions (list in
 * tests/CMakeLists.txt), which count them and fail the n-th, once or from then on; cJSON is told to
 * allocate here, too. What libraries allocate inside, such as libgomp, is not seen.
 */
#ifndef TESTS_FAULT_INJECT_H
#define TESTS_FAULT_INJECT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    INJECT_MEMORY = 1, /* malloc, calloc, realloc, posix_memalign: no memory */
    INJECT_MMAP = 2,   /* ENODEV, as of a file system that can't */
    INJECT_MUTEX = 4,  /* pthread_mutex_init: ENOMEM */
    INJECT_READ = 8,   /* read, pread: EIO */
};

/* Lets the n-th call from now of any of the kinds fail, n from 1 (0: none, only counted), and if
 * for_ever every later one. */
void inject_arm(unsigned kinds, long n, bool for_ever);
/* Ends it; true if a call has failed. */
bool inject_disarm(void);
/* Calls of the armed kinds since inject_arm. */
long inject_calls(void);
/* Blocks of memory that are not freed yet. */
long inject_live(void);
/* Lets read and pread return at most `most` bytes (0: as asked) and every `interrupted`-th call of
 * them fail with EINTR (0: none). */
void inject_reads(size_t most, long interrupted);

/* Writes a file; fails the test if it can't. */
void inject_file(const char *path, const void *bytes, size_t size);
/* The name of a file in a new folder of the test's own; inject_folder_end removes both. */
void inject_folder(char path[128], const char *file);
void inject_folder_end(const char *path);

#endif
