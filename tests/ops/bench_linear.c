/* SPDX-License-Identifier: MIT */
/*
 * Times the linear layers of OSF-base, 12 blocks with weights of their own, by each way of
 * multiplying that the CPU has, in turn. Not a test.
 *
 *     bench_linear [threads [rows [runs [isa]]]]
 */
#define _POSIX_C_SOURCE 200809L

#include "cpu/cpu.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCKS = 12, D = 768, M = 3072 };

enum { WAYS = 3 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void read_rows(const void *source, size_t first, size_t count, float *values)
{
    size_t floats = count * *(const size_t *)source;
    for (size_t i = 0; i < floats; i++)
        values[i] = (float)(((uint32_t)(first + i) * 2654435761u) >> 16) * 1e-6f - 0.0327f;
}

typedef struct stack {
    psgvit_device *device;
    pv_store *store;
    pv_buffer *memory;
    pv_plan *plan;
    double pack_ms;
} stack;

/* qkv, out, fc1, fc2 of every block, and nothing else. */
static psgvit_status build(stack *s, const cpu_gemm *way, psgvit_isa isa, int threads, size_t rows,
                           psgvit_error *err)
{
    static const size_t shapes[4][2] = {{3 * D, D}, {D, D}, {M, D}, {D, M}};
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_CPU,
                                   .isa = isa,
                                   .threads = threads};
    PV_TRY(psgvit_device_open(&s->device, &params, err));
    if (way)
        ((cpu_device *)s->device)->gemm = way;
    PV_TRY(pv_store_create(s->device, PSGVIT_F32, &s->store, err));
    PV_TRY(pv_buffer_create(s->device, rows * (2 * M + 2 * D), PV_HOST, &s->memory, err));
    for (size_t i = 0; i < s->memory->floats; i++)
        s->memory->host[i] = (float)(i * 40503u % 65536) * 3e-5f - 1.0f;
    PV_TRY(pv_plan_begin(s->device, &s->plan, err));
    pv_tensor x = pv_view(s->memory, 0, rows, D), hid = pv_view(s->memory, rows * D, rows, M);
    for (size_t b = 0; b < BLOCKS; b++)
        for (int i = 0; i < 4; i++) {
            pv_linear_weight w = {0};
            pv_rows source = {shapes[i][0], shapes[i][1], read_rows, &shapes[i][1]};
            double start = now();
            PV_TRY(pv_store_matrix(s->store, &source, &w.matrix, err));
            s->pack_ms += now() - start;
            pv_tensor in = i == 3 ? hid : x, out = hid;
            if (i != 2)
                out = pv_view(s->memory, rows * (D + M), rows, shapes[i][0]);
            pv_linear(s->plan, in, &w, PV_PLAIN, out);
        }
    return pv_plan_finish(s->plan, err);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 2, runs = argc > 3 ? atoi(argv[3]) : 10;
    size_t rows = argc > 2 ? strtoul(argv[2], NULL, 10) : 91;
    psgvit_isa isa = PSGVIT_ISA_AUTO;
    for (psgvit_isa i = PSGVIT_ISA_C; argc > 4 && i <= PSGVIT_ISA_AMX; i++)
        if (!strcmp(argv[4], psgvit_isa_name(i)))
            isa = i;
    char driver[128];
    /* NULL: the device's own choice. */
    const cpu_gemm *ways[WAYS] = {pv_cpu_gemm_blas(driver, sizeof driver), &pv_cpu_gemm_tiles};
    stack stacks[WAYS] = {0};
    double least[WAYS];
    psgvit_error err;
    for (int w = 0; w < WAYS; w++) {
        least[w] = 1e9;
        if (build(&stacks[w], ways[w], isa, threads, rows, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
    }
    for (int r = 0; r < runs; r++)
        for (int w = 0; w < WAYS; w++) {
            double start = now();
            (void)pv_plan_submit(stacks[w].plan, &err);
            double ms = now() - start;
            least[w] = ms < least[w] ? ms : least[w];
        }
    double flops = 2.0 * (double)rows * BLOCKS * (4.0 * D * D + 2.0 * D * M);
    for (int w = 0; w < WAYS; w++) {
        const cpu_device *d = (const cpu_device *)stacks[w].device;
        printf("%-10s isa %-6s %d threads, %zu rows: %8.2f ms  %6.1f GFLOP/s  packed in %.0f ms\n",
               d->gemm->name, psgvit_isa_name(d->base.info.isa), threads, rows, least[w],
               flops / least[w] * 1e-6, stacks[w].pack_ms);
    }
    return 0;
}
