/* SPDX-License-Identifier: MIT */
/*
 * What the system may refuse while a safetensors file is opened and read. The linker wraps the
 * calls: each allocation fails in turn, and system calls fail, are interrupted, lie, or do less
 * than they were asked for. Leaks of memory are found by the sanitizers, those of descriptors here.
 */
#define _DEFAULT_SOURCE
#define _FILE_OFFSET_BITS 64 /* as file.c, so that the calls have the names with 64 in them */
#include "unit/safetensors_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What happens to the calls; zero: nothing. */
static struct {
    size_t fail_at; /* the allocation that fails, from 1 */
    size_t allocations;
    int open_error, fstat_error, fstatfs_error, mmap_error, pread_error;
    int open_interrupts, pread_interrupts;
    size_t pread_most;    /* bytes of one call; 0: as many as asked for */
    mode_t mode;          /* of the file, if not 0 */
    uint32_t file_system; /* the magic number, if not 0 */
    unsigned good_reads;  /* that come before pread_error */
    unsigned maps, reads;
} faults;

/* ---- the wrapped calls ----------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags);
int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __real_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
void *__real_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
ssize_t __real_pread64(int fd, void *bytes, size_t count, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t count, off_t offset);

void *__wrap_malloc(size_t size)
{
    return ++faults.allocations == faults.fail_at ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return ++faults.allocations == faults.fail_at ? NULL : __real_calloc(count, size);
}

/* Sets errno, if there is to be an error: this one, or, so many times, an interruption. */
static bool fails(int error, int *interrupts)
{
    if (interrupts && *interrupts > 0) {
        --*interrupts;
        error = EINTR;
    }
    if (error)
        errno = error;
    return error != 0;
}

int __wrap_open64(const char *path, int flags)
{
    return fails(faults.open_error, &faults.open_interrupts) ? -1 : __real_open64(path, flags);
}

int __wrap_fstat64(int fd, struct stat *st)
{
    if (fails(faults.fstat_error, NULL))
        return -1;
    int result = __real_fstat64(fd, st);
    if (faults.mode)
        st->st_mode = faults.mode;
    return result;
}

int __wrap_fstatfs64(int fd, struct statfs *fs)
{
    if (fails(faults.fstatfs_error, NULL))
        return -1;
    int result = __real_fstatfs64(fd, fs);
    if (faults.file_system)
        fs->f_type = (long)faults.file_system;
    return result;
}

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    faults.maps++;
    return fails(faults.mmap_error, NULL) ? MAP_FAILED
                                          : __real_mmap64(at, size, protection, flags, fd, offset);
}

ssize_t __wrap_pread64(int fd, void *bytes, size_t count, off_t offset)
{
    int error = faults.reads++ < faults.good_reads ? 0 : faults.pread_error;
    if (fails(error, &faults.pread_interrupts))
        return -1;
    if (faults.pread_most && faults.pread_most < count)
        count = faults.pread_most;
    return __real_pread64(fd, bytes, count, offset);
}

/* ---- a file ---------------------------------------------------------------------------------- */

enum { ELEMENTS = 10000, DATA = 4 * ELEMENTS };

static char path[] = "/tmp/psgvit-fault-XXXXXX";
static float expected[ELEMENTS];

static int make_path(void **state)
{
    (void)state;
    blob file = make_file("{'__metadata__':{'k':'v'},'a':{'dtype':'F32','shape':[100,100],"
                          "'data_offsets':[0,40000]}}",
                          DATA);
    memcpy(expected, file.bytes + file.size - DATA, DATA);
    int fd = mkstemp(path);
    ssize_t written = write(fd, file.bytes, file.size);
    free(file.bytes);
    return close(fd) || written < DATA;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static int no_faults(void **state)
{
    (void)state;
    memset(&faults, 0, sizeof faults);
    return 0;
}

/* The lowest free descriptor: higher than before if one was left open. */
static int next_descriptor(void)
{
    int fd = dup(0);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return fd;
}

static void refuse_open(psgvit_status status, const char *words)
{
    psgvit_error err;
    psgvit_weights *weights = (psgvit_weights *)(uintptr_t)1;
    int before = next_descriptor();
    assert_int_equal(psgvit_weights_open(&weights, path, NULL, &err), status);
    assert_null(weights);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    assert_int_equal(next_descriptor(), before);
}

/* Opens and reads the file, which must work. */
static void read_all(void)
{
    static float values[ELEMENTS];
    psgvit_error err;
    psgvit_weights *weights = NULL;
    int before = next_descriptor();
    memset(values, 0, sizeof values);
    if (psgvit_weights_open(&weights, path, NULL, &err))
        fail_msg("refused: %s", err.message);
    const psgvit_tensor *tensor = psgvit_weights_at(weights, 0);
    assert_int_equal(psgvit_weights_read(weights, tensor, 0, ELEMENTS, values, &err), PSGVIT_OK);
    assert_memory_equal(values, expected, sizeof values);
    pv_weights_release(weights, tensor);
    psgvit_weights_close(&weights);
    assert_int_equal(next_descriptor(), before);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static psgvit_status open_file(psgvit_weights **weights, psgvit_error *err)
{
    return psgvit_weights_open(weights, path, NULL, err);
}

static psgvit_status open_copy(psgvit_weights **weights, psgvit_error *err)
{
    static const char file[] = "\2\0\0\0\0\0\0\0{}";
    return psgvit_weights_open_memory(weights, file, sizeof file - 1, NULL, err);
}

static psgvit_status open_table(psgvit_weights **weights, psgvit_error *err)
{
    const pv_table_row row = {"a", PSGVIT_DTYPE_F32, 1, {1, 0, 0, 0}};
    return pv_weights_from_table(weights, &row, 1, "{}", err);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    static psgvit_status (*const opens[])(psgvit_weights **,
                                          psgvit_error *) = {open_file, open_copy, open_table};
    static const size_t allocations[] = {3, 3, 2};
    for (size_t i = 0; i < 3; i++) {
        psgvit_error err;
        psgvit_weights *weights = NULL;
        size_t n = 1;
        for (;; n++) {
            int before = next_descriptor();
            faults.allocations = 0;
            faults.fail_at = n;
            psgvit_status status = opens[i](&weights, &err);
            faults.fail_at = 0;
            if (status == PSGVIT_OK)
                break;
            assert_int_equal(status, PSGVIT_E_MEMORY);
            assert_non_null(strstr(err.message, "out of memory: "));
            assert_null(weights);
            assert_int_equal(next_descriptor(), before);
        }
        psgvit_weights_close(&weights);
        assert_int_equal(n - 1, allocations[i]);
    }
}

/* ---- system calls ---------------------------------------------------------------------------- */

static void test_open_fails(void **state)
{
    (void)state;
    faults.open_error = EMFILE;
    refuse_open(PSGVIT_E_MODEL, "cannot be opened: Too many open files (errno 24)");
}

static void test_interrupted(void **state)
{
    (void)state;
    faults.open_interrupts = 3;
    faults.pread_interrupts = 3;
    faults.mmap_error = ENODEV;
    read_all();
    assert_int_equal(faults.open_interrupts + faults.pread_interrupts, 0);
}

static void test_fstat_fails(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_weights *weights = NULL;
    assert_int_equal(psgvit_weights_open(&weights, path, NULL, &err), PSGVIT_OK);
    faults.fstat_error = EIO;
    assert_int_equal(pv_weights_unchanged(weights, &err), PSGVIT_E_MODEL);
    assert_non_null(strstr(err.message, "cannot be inspected: "));
    psgvit_weights_close(&weights);
    refuse_open(PSGVIT_E_MODEL, "cannot be inspected: ");
}

static void test_rule_36_every_kind(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        const char *words;
    } kinds[] = {{S_IFDIR, "found a directory"},
                 {S_IFIFO, "found a FIFO"},
                 {S_IFCHR, "found a character device"},
                 {S_IFBLK, "found a block device"},
                 {S_IFSOCK, "found something else"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        faults.mode = kinds[i].mode;
        refuse_open(PSGVIT_E_MODEL, kinds[i].words);
    }
}

static void test_rule_37_mapping_fails(void **state)
{
    (void)state;
    static const int errors[] = {ENODEV, ENOMEM, EACCES, EAGAIN, EPERM};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        no_faults(NULL);
        faults.mmap_error = errors[i];
        read_all();
        assert_int_equal(faults.maps, 1);
        assert_true(faults.reads > 2); /* more than the header */
    }
}

static void test_header_is_read_and_data_mapped(void **state)
{
    (void)state;
    read_all();
    assert_int_equal(faults.maps, 1);
    assert_int_equal(faults.reads, 2);
}

static void test_file_systems_that_are_not_mapped(void **state)
{
    (void)state;
    static const uint32_t magic[] = {0x6969,     0x0BD00BD0, 0x65735546, 0xFF534D42, 0xFE534D42,
                                     0x00C36400, 0x47504653, 0x19830326, 0x01021997};
    for (size_t i = 0; i < sizeof magic / sizeof *magic; i++) {
        faults.file_system = magic[i];
        read_all();
        assert_int_equal(faults.maps, 0);
    }
    faults.file_system = 0xEF53; /* ext4 */
    read_all();
    assert_int_equal(faults.maps, 1);
    faults.fstatfs_error = ENOSYS; /* unknown: careful */
    read_all();
    assert_int_equal(faults.maps, 1);
}

static void test_short_reads(void **state)
{
    (void)state;
    faults.mmap_error = ENODEV;
    for (faults.pread_most = 1; faults.pread_most < 20000; faults.pread_most *= 7)
        read_all();
}

static void test_reading_fails(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_weights *weights = NULL;
    float value;
    faults.mmap_error = ENODEV;
    assert_int_equal(psgvit_weights_open(&weights, path, NULL, &err), PSGVIT_OK);
    faults.pread_error = EIO;
    assert_int_equal(
        psgvit_weights_read(weights, psgvit_weights_at(weights, 0), 0, 1, &value, &err),
        PSGVIT_E_MODEL);
    assert_non_null(strstr(err.message, "cannot be read: "));
    assert_non_null(strstr(err.message, path));
    psgvit_weights_close(&weights);
    refuse_open(PSGVIT_E_MODEL, "cannot be read: ");
    faults.reads = 0;
    faults.good_reads = 1; /* the header's length, but not the header */
    refuse_open(PSGVIT_E_MODEL, "cannot be read: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_allocation_fails, no_faults),
        cmocka_unit_test_setup(test_open_fails, no_faults),
        cmocka_unit_test_setup(test_interrupted, no_faults),
        cmocka_unit_test_setup(test_fstat_fails, no_faults),
        cmocka_unit_test_setup(test_rule_36_every_kind, no_faults),
        cmocka_unit_test_setup(test_rule_37_mapping_fails, no_faults),
        cmocka_unit_test_setup(test_header_is_read_and_data_mapped, no_faults),
        cmocka_unit_test_setup(test_file_systems_that_are_not_mapped, no_faults),
        cmocka_unit_test_setup(test_short_reads, no_faults),
        cmocka_unit_test_setup(test_reading_fails, no_faults),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
