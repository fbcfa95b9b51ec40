/* SPDX-License-Identifier: MIT */
/*
 * Times each kernel of src/cpu at every instruction set that this machine has: nanoseconds an
 * element, and GFLOP/s for the products. Minima of many short runs, on one core, so that neighbours
 * disturb little. Not a test.
 *
 *     bench_kernels [seconds per kernel, default 0.05]
 */
#define _POSIX_C_SOURCE 200809L

#include "base/memory.h"
#include "cpu/cpuid.h"
#include "cpu/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FLOATS = 1 << 20 };

typedef struct bench {
    const pv_kernels *kernels;
    double seconds;         /* for one kernel */
    float *a, *b, *c, *out; /* [FLOATS] each; a, b and c are random in [-1, 1) */
    size_t n, keys, k;      /* sizes of the kernel under test */
} bench;

typedef void (*work_fn)(const bench *b);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least time of one call, out of runs of about 20 us. */
static double time_of(const bench *b, work_fn work)
{
    size_t calls = 1;
    double best = 1e9;
    const double end = now() + b->seconds;
    while (now() < end) {
        const double start = now();
        for (size_t i = 0; i < calls; i++)
            work(b);
        const double took = now() - start;
        if (took / (double)calls < best)
            best = took / (double)calls;
        if (took < 20e-6)
            calls *= 2;
    }
    return best;
}

static void run_layernorm(const bench *b)
{
    b->kernels->layernorm(b->a, b->b, b->c, 1e-5f, b->n, b->out);
}

static void run_bias(const bench *b)
{
    b->kernels->bias(b->out, b->b, b->n);
}

/* In place: a fresh copy each time, else the values would run off to zero. */
static void run_gelu(const bench *b)
{
    for (size_t i = 0; i < b->n; i++)
        b->out[i] = b->a[i];
    b->kernels->bias_gelu(b->out, b->b, b->n);
}

static void run_add(const bench *b)
{
    b->kernels->add(b->a, b->b, b->n, b->out);
}

static void run_axpy(const bench *b)
{
    b->kernels->axpy(1e-6f, b->a, b->n, b->out);
}

static void run_tile(const bench *b)
{
    const pv_tile tile = {b->k, b->a, b->b, b->out, 768, 768, 1, NULL, 0};
    b->kernels->gemm_tile(b->n, &tile);
}

/* A product of 91 rows by one panel after another, as a linear layer does: n panels. */
static void run_panels(const bench *b)
{
    const pv_kernels *t = b->kernels;
    for (size_t panel = 0; panel < b->n; panel++) {
        size_t row = 0;
        for (size_t left = (91 + t->mr - 1) / t->mr; left > 0; left--) {
            const size_t rows = (91 - row + left - 1) / left;
            const pv_tile tile = {b->k, b->a + row * 768, b->b + panel * b->k * t->nr,
                                  b->out + row * 768 + panel * t->nr, 768, 768, 1, NULL, 0};
            t->gemm_tile(rows, &tile);
            row += rows;
        }
    }
}

/* One of 12 heads of 64, whose q, k and v lie in one matrix. */
static void run_attention(const bench *b)
{
    const size_t stride = 2304;
    const pv_head head = {b->a, b->a + 768, b->a + 1536, b->out, stride, stride, stride,
                          768,  b->keys,    b->keys,     64,     0.125f, b->c};
    b->kernels->attention(&head);
}

static void rows_of(bench *b, const char *name, work_fn work, size_t n)
{
    b->n = n;
    const double t = time_of(b, work);
    printf("  %-14s n = %-5zu %8.3f ns/element\n", name, n, t * 1e9 / (double)n);
}

static void bench_table(bench *b, const char *level)
{
    const pv_kernels *t = b->kernels;
    printf("%s: tile %zu x %zu\n", level, t->mr, t->nr);
    rows_of(b, "layernorm", run_layernorm, 768);
    rows_of(b, "bias", run_bias, 3072);
    rows_of(b, "bias_gelu", run_gelu, 3072);
    rows_of(b, "add", run_add, 768);
    rows_of(b, "axpy", run_axpy, 768);
    b->k = 384;
    for (b->n = 1; b->n <= t->mr; b->n++) {
        const double flops = 2.0 * (double)(b->n * t->nr * b->k);
        printf("  gemm_tile %2zu x %zu x %zu %9.1f GFLOP/s\n", b->n, t->nr, b->k,
               flops / time_of(b, run_tile) * 1e-9);
    }
    b->n = 768 / t->nr;
    printf("  gemm 91 x 768 x %zu %13.1f GFLOP/s\n", b->k,
           2.0 * 91 * 768 * (double)b->k / time_of(b, run_panels) * 1e-9);
    static const size_t keys[] = {8, 26, 62, 68, 91};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        b->keys = keys[i];
        const double flops = 4.0 * 64 * (double)(keys[i] * keys[i]), s = time_of(b, run_attention);
        printf("  attention %2zu x %2zu x 64 %8.2f us %7.1f GFLOP/s\n", keys[i], keys[i], s * 1e6,
               flops / s * 1e-9);
    }
}

static void fill(float *x, unsigned seed)
{
    for (size_t i = 0; i < FLOATS; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) * 0x1p-23f - 1.0f;
    }
}

int main(int argc, char **argv)
{
    bench b = {.seconds = argc > 1 ? atof(argv[1]) : 0.05};
    float **arrays[] = {&b.a, &b.b, &b.c, &b.out};
    for (unsigned i = 0; i < 4; i++) {
        *arrays[i] = pv_alloc(FLOATS * sizeof(float));
        if (!*arrays[i])
            return 1;
        fill(*arrays[i], i);
    }
    char name[64];
    pv_cpu_name(name, sizeof name);
    printf("%s\n", name);
    static const struct {
        psgvit_isa isa;
        const char *name;
    } levels[] = {{PSGVIT_ISA_C, "c"}, {PSGVIT_ISA_AVX2, "avx2"}, {PSGVIT_ISA_AVX512, "avx512"}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        b.kernels = pv_kernels_for(levels[i].isa);
        if (levels[i].isa <= pv_cpu_isa() && b.kernels->isa == levels[i].isa)
            bench_table(&b, levels[i].name);
    }
    for (unsigned i = 0; i < 4; i++)
        pv_free(*arrays[i]);
    return 0;
}
