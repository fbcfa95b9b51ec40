/* SPDX-License-Identifier: MIT */
/*
 * Arrays of floats for tests of kernels: right behind the last float begins a page that can't be
 * touched, and before the first lie canaries, which guarded_free checks. A fresh array is full of
 * one NaN, so that what was never written shows.
 */
#ifndef TESTS_OPS_GUARDED_H
#define TESTS_OPS_GUARDED_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { GUARDED_CANARIES = 64 };

typedef struct guarded {
    float *at;
    size_t n; /* floats */
    void *map;
    size_t bytes; /* of the mapping, its last page included */
} guarded;

/* A NaN that no arithmetic makes. */
static inline float guarded_canary(void)
{
    const uint32_t word = 0x7fcabcdeu;
    float x;
    memcpy(&x, &word, sizeof x);
    return x;
}

static inline int guarded_untouched(float x)
{
    const float canary = guarded_canary();
    return memcmp(&x, &canary, sizeof x) == 0;
}

/* n floats, the last of which ends `slack` floats before the page that can't be touched. */
static inline guarded guarded_new_before(size_t n, size_t slack)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t used = (n + slack + GUARDED_CANARIES) * sizeof(float);
    const size_t whole = (used + page - 1) / page * page;
    guarded g = {.n = n, .bytes = whole + page};
    g.map = mmap(NULL, g.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect((char *)g.map + whole, page, PROT_NONE), 0);
    float *end = (float *)(void *)((char *)g.map + whole);
    g.at = end - slack - n;
    for (float *p = g.at - GUARDED_CANARIES; p < end; p++)
        *p = guarded_canary();
    return g;
}

static inline guarded guarded_new(size_t n)
{
    return guarded_new_before(n, 0);
}

/* The same, the first float aligned to 64 bytes. */
static inline guarded guarded_new_aligned(size_t n)
{
    return guarded_new_before(n, (16 - n % 16) % 16);
}

/* Uniform in [-scale, scale), the same in every run. */
static inline guarded guarded_noise(size_t n, float scale)
{
    static uint64_t state = 1;
    guarded g = guarded_new(n);
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        g.at[i] = scale * ((float)(state >> 40) * 0x1p-23f - 1.0f);
    }
    return g;
}

static inline guarded guarded_copy(guarded from)
{
    guarded g = guarded_new(from.n);
    if (from.n > 0)
        memcpy(g.at, from.at, from.n * sizeof(float));
    return g;
}

static inline void guarded_free(guarded *g)
{
    const float *end = (const float *)(const void *)((const char *)g->map + g->bytes) -
                       (size_t)sysconf(_SC_PAGESIZE) / sizeof(float);
    for (const float *p = g->at - GUARDED_CANARIES; p < end; p++) {
        if (p < g->at || p >= g->at + g->n)
            assert_true(guarded_untouched(*p));
    }
    assert_int_equal(munmap(g->map, g->bytes), 0);
    *g = (guarded){0};
}

#endif
