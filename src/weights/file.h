/* SPDX-License-Identifier: MIT */
/* The bytes of a model file: read from a descriptor, mapped, or given by the caller. */
#ifndef PV_WEIGHTS_FILE_H
#define PV_WEIGHTS_FILE_H

#include <psgvit/psgvit.h>

#include <stdbool.h>
#include <time.h>

typedef struct pv_file {
    const char *name;          /* for messages; not owned */
    const unsigned char *data; /* [size]; NULL: pv_file_read is the only way */
    uint64_t size;
    int fd;       /* -1: none */
    bool may_map; /* asked for, and not on a file system that may lose the file */
    bool mapped;
    struct timespec modified;
} pv_file;

/* A regular file, nothing else: never hangs on a FIFO. Nothing is mapped yet. On failure there is
 * nothing to close. */
psgvit_status pv_file_open(pv_file *file, const char *path, unsigned flags, psgvit_error *err);
/* `size` bytes of the caller's. */
void pv_file_borrow(pv_file *file, const char *name, const void *data, size_t size);
/* Maps the file if it may be; where that fails it goes on being read. */
void pv_file_map(pv_file *file);
/* Bytes [offset, offset + count), which must lie inside of `size`. Safe from many threads at once.
 */
psgvit_status pv_file_read(const pv_file *file, uint64_t offset, void *bytes, size_t count,
                           psgvit_error *err);
/* The bytes [offset, offset + count) are not needed again. */
void pv_file_release(const pv_file *file, uint64_t offset, size_t count);
/* PSGVIT_E_MODEL if size or time are not those of opening. */
psgvit_status pv_file_unchanged(const pv_file *file, psgvit_error *err);
void pv_file_close(pv_file *file);

#endif
