/* SPDX-License-Identifier: MIT */
/* Failures on demand. */
#define _DEFAULT_SOURCE /* mkdtemp, pread64 */
#include "fault/inject.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_uint armed;
static atomic_long calls, at, live, reads, interrupted;
static atomic_bool for_ever, fired;
static atomic_size_t most;

/* Counts a call; is it one to fail? */
static bool fails(unsigned kind)
{
    if (!(atomic_load(&armed) & kind))
        return false;
    long n = atomic_fetch_add(&calls, 1) + 1, first = atomic_load(&at);
    bool yes = first && (atomic_load(&for_ever) ? n >= first : n == first);
    if (yes)
        atomic_store(&fired, true);
    return yes;
}

static void *json_malloc(size_t size)
{
    return malloc(size);
}

static void json_free(void *memory)
{
    free(memory);
}

void inject_arm(unsigned kinds, long n, bool ever)
{
    cJSON_Hooks hooks = {json_malloc, json_free};
    cJSON_InitHooks(&hooks);
    atomic_store(&calls, 0);
    atomic_store(&at, n);
    atomic_store(&for_ever, ever);
    atomic_store(&fired, false);
    atomic_store(&armed, kinds);
}

bool inject_disarm(void)
{
    atomic_store(&armed, 0);
    return atomic_load(&fired);
}

long inject_calls(void)
{
    return atomic_load(&calls);
}

long inject_live(void)
{
    return atomic_load(&live);
}

void inject_reads(size_t bytes, long every)
{
    atomic_store(&most, bytes);
    atomic_store(&interrupted, every);
}

/* ---- memory ---- */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __real_posix_memalign(void **memory, size_t align, size_t size);
int __wrap_posix_memalign(void **memory, size_t align, size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);

static void *count(void *memory)
{
    atomic_fetch_add(&live, memory != NULL);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails(INJECT_MEMORY) ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(INJECT_MEMORY) ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (fails(INJECT_MEMORY))
        return NULL;
    return memory ? __real_realloc(memory, size) : count(__real_realloc(NULL, size));
}

int __wrap_posix_memalign(void **memory, size_t align, size_t size)
{
    if (fails(INJECT_MEMORY))
        return ENOMEM;
    int status = __real_posix_memalign(memory, align, size);
    atomic_fetch_add(&live, status == 0);
    return status;
}

void __wrap_free(void *memory)
{
    atomic_fetch_sub(&live, memory != NULL);
    __real_free(memory);
}

/* ---- mmap and mutexes ---- */

void *__real_mmap(void *to, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *to, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mmap64(void *to, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *to, size_t size, int protection, int flags, int fd, off_t offset);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);

void *__wrap_mmap(void *to, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (!fails(INJECT_MMAP))
        return __real_mmap(to, size, protection, flags, fd, offset);
    errno = ENODEV;
    return MAP_FAILED;
}

void *__wrap_mmap64(void *to, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (!fails(INJECT_MMAP))
        return __real_mmap64(to, size, protection, flags, fd, offset);
    errno = ENODEV;
    return MAP_FAILED;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    return fails(INJECT_MUTEX) ? ENOMEM : __real_pthread_mutex_init(mutex, attributes);
}

/* ---- reading ---- */

ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);
ssize_t __real_pread(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t offset);
ssize_t __real_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset);

/* Does this read fail, and how much may it give? */
static bool read_fails(size_t *size)
{
    long every = atomic_load(&interrupted), n = atomic_fetch_add(&reads, 1);
    size_t bytes = atomic_load(&most);
    if (fails(INJECT_READ)) {
        errno = EIO;
        return true;
    }
    if (every && n % every == 0) {
        errno = EINTR;
        return true;
    }
    if (bytes && *size > bytes)
        *size = bytes;
    return false;
}

ssize_t __wrap_read(int fd, void *bytes, size_t size)
{
    return read_fails(&size) ? -1 : __real_read(fd, bytes, size);
}

ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t offset)
{
    return read_fails(&size) ? -1 : __real_pread(fd, bytes, size, offset);
}

ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset)
{
    return read_fails(&size) ? -1 : __real_pread64(fd, bytes, size, offset);
}

/* ---- files ---- */

void inject_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

void inject_folder(char path[128], const char *file)
{
    char folder[] = "/tmp/psgvit-fault-XXXXXX";
    assert_non_null(mkdtemp(folder));
    snprintf(path, 128, "%s/%s", folder, file);
}

void inject_folder_end(const char *path)
{
    char folder[128];
    snprintf(folder, sizeof folder, "%s", path);
    (void)unlink(path);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(rmdir(folder), 0);
}
