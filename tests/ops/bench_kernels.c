/* SPDX-License-Identifier: MIT */
/*
 * Times each kernel of src/cpu at every instruction set that this machine has: nanoseconds an
 * element, and GFLOP/s for the products. Minima of many short runs, on one core, so that neighbours
 * disturb little. Or the machine's ceilings, as JSON: what FMA in registers and reads from memory
 * that no cache holds reach on so many threads at once. Not a test.
 *
 *     bench_kernels [seconds per kernel, default 0.05]
 *     bench_kernels --ceilings THREADS [ISA]
 */
#define _POSIX_C_SOURCE 200809L

#include "base/memory.h"
#include "cpu/cpuid.h"
#include "cpu/kernels.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

/* ---- ceilings -------------------------------------------------------------------------------- */

/* Chains of FMA that are enough to hide its latency; 0.5 keeps the values from growing. */
enum { CHAINS = 12, ROUNDS = 1 << 20 };

typedef float (*fma_fn)(float x);

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static float fma_avx2(float x)
{
    const __m256 half = _mm256_set1_ps(0.5f);
    __m256 sum[CHAINS];
#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_set1_ps(x + (float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm256_fmadd_ps(sum[i], half, half);
    }
#pragma GCC unroll 16
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return _mm256_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f"))) static float fma_avx512(float x)
{
    const __m512 half = _mm512_set1_ps(0.5f);
    __m512 sum[CHAINS];
#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_ps(x + (float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_fmadd_ps(sum[i], half, half);
    }
#pragma GCC unroll 16
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}
#endif

/* What every CPU of its kind has: four lanes, products and sums apart if there is no FMA. */
static float fma_c(float x)
{
    typedef float lanes __attribute__((vector_size(16)));
    const lanes half = {0.5f, 0.5f, 0.5f, 0.5f};
    lanes sum[CHAINS];
#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++)
        sum[i] = half + (x + (float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            sum[i] = sum[i] * half + half;
    }
#pragma GCC unroll 16
    for (int i = 1; i < CHAINS; i++)
        sum[0] += sum[i];
    return sum[0][0];
}

/* The least time of nine rounds, each by all threads at once. */
static double time_of_all(int threads, fma_fn work, const float *memory, size_t floats, float *sink)
{
    double best = 1e9;
    for (int run = 0; run < 9; run++) {
        float sum = 0.0f;
        double start = 0.0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        {
            const size_t share = floats / (size_t)threads;
            const float *const own = memory + share * (size_t)omp_get_thread_num();
            float lanes[16] = {0};
#pragma omp barrier
#pragma omp master
            start = now();
            for (size_t i = 0; i + 16 <= share; i += 16) {
                for (size_t j = 0; j < 16; j++)
                    lanes[j] += own[i + j];
            }
            for (size_t j = 0; j < 16; j++)
                sum += lanes[j];
            if (work)
                sum += work(sum);
        }
        const double took = now() - start;
        best = took < best ? took : best;
        *sink += sum;
    }
    return best;
}

static int print_ceilings(int threads, const char *level)
{
    const size_t floats = (size_t)64 << 20; /* 256 MiB */
    psgvit_isa isa = pv_cpu_isa();
    for (psgvit_isa i = PSGVIT_ISA_C; level && i <= pv_cpu_isa(); i++) {
        if (!strcmp(level, psgvit_isa_name(i)))
            isa = i;
    }
    fma_fn work = fma_c;
    size_t lanes = 4;
#if defined(__x86_64__)
    if (isa >= PSGVIT_ISA_AVX2) {
        work = isa >= PSGVIT_ISA_AVX512 ? fma_avx512 : fma_avx2;
        lanes = isa >= PSGVIT_ISA_AVX512 ? 16 : 8;
    }
#endif
    float *memory = pv_alloc(floats * sizeof *memory);
    if (!memory || threads < 1)
        return 1;
    memset(memory, 0, floats * sizeof *memory);
    float sink = 0.0f;
    const double busy = time_of_all(threads, work, memory, 0, &sink);
    const double reading = time_of_all(threads, NULL, memory, floats, &sink);
    printf("{\"isa\":\"%s\",\"threads\":%d,\"gflops\":%.2f,\"gbs\":%.2f,\"sum\":%.1f}\n",
           psgvit_isa_name(isa), threads,
           2e-9 * CHAINS * ROUNDS * (double)(lanes * (size_t)threads) / busy,
           1e-9 * (double)(floats * sizeof *memory) / reading, (double)sink);
    pv_free(memory);
    return 0;
}

/* ---- the program ----------------------------------------------------------------------------- */

static void fill(float *x, unsigned seed)
{
    for (size_t i = 0; i < FLOATS; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) * 0x1p-23f - 1.0f;
    }
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "--ceilings"))
        return print_ceilings(atoi(argv[2]), argc > 3 ? argv[3] : NULL);
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
