/* SPDX-License-Identifier: MIT */
/*
 * A call in the steady state allocates nothing: every allocation that the library asks for by
 * itself is counted (the linker sends them here), and the whole process's heap is looked at
 * besides.
 */
#define _DEFAULT_SOURCE /* mallinfo2, mmap */
#include "unit/job.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

static atomic_long allocated, freed, live; /* calls, calls, blocks */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
int __real_posix_memalign(void **memory, size_t align, size_t size);
void __real_free(void *memory);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_posix_memalign(void **memory, size_t align, size_t size);
void __wrap_free(void *memory);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t size)
{
    atomic_fetch_add(&allocated, 1);
    atomic_fetch_add(&live, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocated, 1);
    atomic_fetch_add(&live, 1);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocated, 1);
    atomic_fetch_add(&live, !memory);
    return __real_realloc(memory, size);
}

int __wrap_posix_memalign(void **memory, size_t align, size_t size)
{
    atomic_fetch_add(&allocated, 1);
    atomic_fetch_add(&live, 1);
    return __real_posix_memalign(memory, align, size);
}

void __wrap_free(void *memory)
{
    atomic_fetch_add(&freed, 1);
    atomic_fetch_sub(&live, memory != NULL);
    __real_free(memory);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    atomic_fetch_add(&allocated, 1);
    return __real_mmap(at, size, protection, flags, fd, offset);
}

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    atomic_fetch_add(&allocated, 1);
    return __real_mmap64(at, size, protection, flags, fd, offset);
}

/* Runs the job and returns how often the library allocated or freed meanwhile. */
static long calls_of(const vector_encoder *e, const test_job *job)
{
    psgvit_error err;
    long before = atomic_load(&allocated) + atomic_load(&freed);
    if (job_encode(e, job, &err))
        fail_msg("%s", err.message);
    return atomic_load(&allocated) + atomic_load(&freed) - before;
}

static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void steady(const vector_case *c, const vector_encoder *e)
{
    test_job job = job_make(c, 5);
    static const size_t batches[] = {0, 2, 5};
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        job.batch = batches[b];
        (void)calls_of(e, &job);
        for (int i = 0; i < 5; i++)
            assert_int_equal(calls_of(e, &job), 0);
    }
    /* Two kinds of job in turn, each with a full batch and a rest. */
    test_job other = job;
    other.out[1] = NULL;
    job.batch = 2;
    other.batch = 3;
    (void)calls_of(e, &job);
    (void)calls_of(e, &other);
    size_t used = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(calls_of(e, &job), 0);
        assert_int_equal(calls_of(e, &other), 0);
        if (i == 0) /* before, OpenMP may have found another place for its own */
            used = heap();
    }
    assert_int_equal(heap(), used);
    job_free(&job);
}

/* A shape that comes once costs memory that is kept, but of a few shapes only: the blocks of a pass
 * are as many for each shape. */
static void bounded(const vector_case *c, const vector_encoder *e)
{
    enum { SHAPES = 12, KEPT = 4 };
    long after[SHAPES + 1] = {0}, before = atomic_load(&live);
    test_job job = job_make(c, SHAPES);
    long own = atomic_load(&live) - before;
    for (size_t round = 0; round < 3; round++)
        for (size_t n = 1; n <= SHAPES; n++) {
            job.epochs = job.batch = n;
            job_run(e, &job);
            long blocks = atomic_load(&live) - before - own;
            assert_true(blocks > 0);
            if (round == 0)
                after[n] = blocks;
            assert_int_equal(blocks, after[round || n > KEPT ? KEPT : n]);
        }
    assert_true(after[1] < after[2]);
    job_free(&job);
}

static void for_each(void (*body)(const vector_case *c, const vector_encoder *e))
{
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < 4; i++) {
            vector_case c;
            vector_encoder e;
            psgvit_device *device = job_device(1 + i % 2, i < 2 ? PSGVIT_ISA_C : PSGVIT_ISA_AUTO);
            vector_open(&c, TESTS_DIR "/vectors", job_cases[m], 0);
            vector_encoder_open(&e, &c, device);
            body(&c, &e);
            vector_encoder_close(&e);
            vector_close(&c);
            psgvit_device_close(&device);
        }
}

static void test_steady(void **state)
{
    (void)state;
    assert_true(atomic_load(&allocated) == 0);
    for_each(steady);
    assert_true(atomic_load(&allocated) > 0); /* the counters count */
}

static void test_bounded(void **state)
{
    (void)state;
    for_each(bounded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steady),
                                       cmocka_unit_test(test_bounded)};
    return cmocka_run_group_tests_name("allocations", tests, NULL, NULL);
}
