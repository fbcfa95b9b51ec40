/* SPDX-License-Identifier: MIT */
/*
 * Times the linear layers of a stack of blocks, each with weights of its own, by every way of
 * multiplying that the CPU has: milliseconds and GFLOP/s of each of the four layers and of all.
 * Minima, the ways in turn, each layer of all blocks in a row. Not a test.
 *
 *     bench_linear [threads [runs [rows...]]]
 *
 * 806 and 7688 rows are EEGPT's, 22 channels x 1000 samples and 58 x 1024 in a batch of 4: width
 * 512, 8 blocks. Others are OSF-base's: 91 an epoch, width 768, 12 blocks.
 */
#define _POSIX_C_SOURCE 200809L

#include "cpu/cpu.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LAYERS = 4, MOST_WAYS = 8 };

typedef struct dims {
    size_t rows, width, blocks;
} dims;

/* A way to multiply at a level, with a plan for each layer. */
typedef struct stack {
    const cpu_gemm *gemm;
    psgvit_isa isa;
    psgvit_precision precision;
    psgvit_device *device;
    pv_store *store;
    pv_buffer *memory;
    pv_plan *plans[LAYERS];
    double pack_ms, least[LAYERS];
} stack;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void read_rows(const void *source, size_t first, size_t count, float *values)
{
    size_t cols = *(const size_t *)source;
    for (size_t i = 0; i < count * cols; i++)
        values[i] = (float)(((uint32_t)(first * cols + i) * 2654435761u) >> 16) * 1e-6f - 0.0327f;
}

/* qkv, out, fc1, fc2: columns of y and of x as multiples of the width. */
static const size_t layers[LAYERS][2] = {{3, 1}, {1, 1}, {4, 1}, {1, 4}};

static psgvit_status build_layer(stack *s, const dims *shape, int layer, psgvit_error *err)
{
    size_t n = layers[layer][0] * shape->width, k = layers[layer][1] * shape->width;
    pv_tensor x = pv_view(s->memory, 0, shape->rows, k);
    pv_tensor y = pv_view(s->memory, 4 * shape->rows * shape->width, shape->rows, n);
    pv_rows source = {n, k, read_rows, &k, false};
    PV_TRY(pv_plan_begin(s->device, &s->plans[layer], err));
    for (size_t b = 0; b < shape->blocks; b++) {
        pv_linear_weight w = {0};
        double start = now();
        PV_TRY(pv_store_matrix(s->store, &source, &w.matrix, err));
        s->pack_ms += now() - start;
        pv_linear(s->plans[layer], x, &w, PV_PLAIN, y);
    }
    s->least[layer] = 1e9;
    return pv_plan_finish(s->plans[layer], err);
}

static psgvit_status build(stack *s, const dims *shape, int threads, psgvit_error *err)
{
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_CPU,
                                   .isa = s->isa,
                                   .threads = threads};
    PV_TRY(psgvit_device_open(&s->device, &params, err));
    ((cpu_device *)s->device)->gemm[s->precision] = s->gemm;
    PV_TRY(pv_store_create(s->device, s->precision, &s->store, err));
    PV_TRY(pv_buffer_create(s->device, shape->rows * shape->width * 8, PV_HOST, &s->memory, err));
    for (size_t i = 0; i < s->memory->floats; i++)
        s->memory->host[i] = (float)(i * 40503u % 65536) * 3e-5f - 1.0f;
    for (int layer = 0; layer < LAYERS; layer++)
        PV_TRY(build_layer(s, shape, layer, err));
    return PSGVIT_OK;
}

static void destroy(stack *s)
{
    for (int layer = 0; layer < LAYERS; layer++)
        if (s->plans[layer])
            pv_plan_destroy(s->plans[layer]);
    if (s->device)
        pv_buffer_destroy(s->device, s->memory);
    pv_store_destroy(s->store);
    psgvit_device_close(&s->device);
}

static void print(const stack *s, const dims *shape, int threads)
{
    double all = 0, unit = 2e-6 * (double)(shape->rows * shape->blocks) *
                           (double)(shape->width * shape->width);
    printf("%5zu rows, %d threads, %-8s isa %-6s", shape->rows, threads, s->gemm->name,
           psgvit_isa_name(s->isa));
    for (int l = 0; l < LAYERS; l++) {
        double flops = unit * (double)(layers[l][0] * layers[l][1]);
        printf(" %8.2f ms %5.0f", s->least[l], flops / s->least[l]);
        all += s->least[l];
    }
    printf(" |%9.2f ms %5.0f GFLOP/s, packed in %.0f ms\n", all, 12 * unit / all, s->pack_ms);
}

/* Every way that this machine has, at its level. */
static int find_ways(stack *stacks)
{
    char driver[128];
    psgvit_device *device = NULL;
    psgvit_error err;
    int count = 0;
    const cpu_gemm *blas = pv_cpu_gemm_blas(driver, sizeof driver);
    if (blas)
        stacks[count++] = (stack){.gemm = blas, .isa = PSGVIT_ISA_C};
    for (psgvit_isa isa = PSGVIT_ISA_AVX2; isa <= PSGVIT_ISA_AMX; isa++) {
        psgvit_device_params params = {
            .struct_size = sizeof params, .backend = PSGVIT_BACKEND_CPU, .isa = isa};
        if (psgvit_device_open(&device, &params, &err))
            break;
        const cpu_gemm *const *own = ((const cpu_device *)device)->gemm;
        for (int p = 0; p < PV_PRECISIONS; p++)
            if (own[p])
                stacks[count++] =
                    (stack){.gemm = own[p], .isa = isa, .precision = (psgvit_precision)p};
        psgvit_device_close(&device);
    }
    return count;
}

static psgvit_status bench(const dims *shape, int threads, int runs)
{
    stack stacks[MOST_WAYS] = {0};
    psgvit_error err;
    int count = find_ways(stacks);
    psgvit_status status = PSGVIT_OK;
    for (int w = 0; w < count && !status; w++)
        if ((status = build(&stacks[w], shape, threads, &err)))
            fprintf(stderr, "%s\n", err.message);
    for (int r = 0; r < runs && !status; r++)
        for (int w = 0; w < count; w++)
            for (int layer = 0; layer < LAYERS; layer++) {
                double start = now();
                (void)pv_plan_submit(stacks[w].plans[layer], &err);
                double ms = now() - start;
                if (ms < stacks[w].least[layer])
                    stacks[w].least[layer] = ms;
            }
    for (int w = 0; w < count; w++) {
        if (!status)
            print(&stacks[w], shape, threads);
        destroy(&stacks[w]);
    }
    return status;
}

int main(int argc, char **argv)
{
    static const size_t usual[] = {91, 1456, 806, 7688};
    int threads = argc > 1 ? atoi(argv[1]) : 2, runs = argc > 2 ? atoi(argv[2]) : 5;
    psgvit_status status = PSGVIT_OK;
    size_t count = argc > 3 ? (size_t)argc - 3 : sizeof usual / sizeof *usual;
    printf("%-49s %18s %17s %17s %17s\n", "", "qkv", "out", "fc1", "fc2");
    for (size_t i = 0; i < count && !status; i++) {
        size_t rows = argc > 3 ? strtoul(argv[3 + i], NULL, 10) : usual[i];
        bool eegpt = rows == 806 || rows == 7688;
        dims s = {rows, eegpt ? 512 : 768, eegpt ? 8 : 12};
        status = bench(&s, threads, runs);
    }
    return status ? 1 : 0;
}
