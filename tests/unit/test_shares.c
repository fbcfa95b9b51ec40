/* SPDX-License-Identifier: MIT */
/*
 * Threads of the CPU that have done their own share of an op do what is left of the others': a
 * member of a team that runs alone does all of it, to the bit as one thread by itself, and leaves
 * nothing to those who come late. At every instruction set that there is.
 */
#include "base/memory.h"
#include "cpu/cpuid.h"
#include "cpu/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEAM = 3, ROWS = 200, WIDTH = 328, K = 1600, DEPTH = 96, HEADS = 4, MOST = ROWS * K };

static const pv_attention_shape shape = {
    .sequences = 5, .queries = 40, .keys = 40, .heads = HEADS, .dim = DEPTH / HEADS, .scale = 0.2f};

typedef struct fixture {
    const pv_kernels *kernels;
    const cpu_gemm *gemm;
    float *x, *w, *packed, *y, *wanted, *workspace;
    size_t floats; /* of y */
    cpu_begun *begun;
} fixture;

static float *random_floats(size_t count)
{
    float *at = pv_alloc(count * sizeof *at);
    assert_non_null(at);
    for (size_t i = 0; i < count; i++)
        at[i] = (float)(i * 7919 % 1013) / 1013.0f - 0.5f;
    return at;
}

/* What a member needs to multiply and to attend. */
static size_t workspace_floats(const pv_kernels *kernels, const cpu_gemm *gemm)
{
    const cpu_linear op = {.m = ROWS, .n = WIDTH, .k = K};
    const size_t product = gemm->workspace ? gemm->workspace(&op) : 0;
    const size_t head = pv_cpu_attention_floats(kernels, &shape);
    return product > head ? product : head;
}

static void fixture_open(fixture *f, const pv_kernels *kernels, const cpu_gemm *gemm)
{
    const size_t packed = gemm->packed_bytes(kernels, WIDTH, K) / sizeof(float);
    *f = (fixture){.kernels = kernels,
                   .gemm = gemm,
                   .x = random_floats(MOST),
                   .w = random_floats(WIDTH * K),
                   .packed = random_floats(packed),
                   .y = random_floats(MOST),
                   .wanted = random_floats(MOST),
                   .workspace = random_floats(workspace_floats(kernels, gemm)),
                   .begun = pv_alloc(TEAM * sizeof(cpu_begun))};
    gemm->pack(kernels, f->w, 0, WIDTH, K, f->packed);
}

static void fixture_close(fixture *f)
{
    float *const all[] = {f->x, f->w, f->packed, f->y, f->wanted, f->workspace};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        pv_free(all[i]);
    pv_free(f->begun);
}

/* A result that no op gives. */
static void spoil(fixture *f)
{
    for (size_t i = 0; i < f->floats; i++)
        f->y[i] = -1e9f;
}

static void run_member(fixture *f, cpu_run_fn run, const cpu_args *args, size_t index, size_t count)
{
    const cpu_team team = {index, count, f->kernels, f->workspace, f->begun};
    run(args, &team);
}

static void check(fixture *f, cpu_run_fn run, const cpu_args *args, const char *name)
{
    const size_t bytes = f->floats * sizeof(float);
    printf("-- %s at isa %s\n", name, psgvit_isa_name(f->kernels->isa));
    memset(f->begun, 0, TEAM * sizeof *f->begun);
    spoil(f);
    run_member(f, run, args, 0, 1);
    memcpy(f->wanted, f->y, bytes);
    for (size_t first = 0; first < TEAM; first++) {
        memset(f->begun, 0, TEAM * sizeof *f->begun);
        spoil(f);
        run_member(f, run, args, first, TEAM);
        assert_memory_equal(f->y, f->wanted, bytes);
        spoil(f);
        for (size_t late = 0; late < TEAM; late++)
            run_member(f, run, args, late, TEAM);
        for (size_t i = 0; i < f->floats; i++)
            assert_true(f->y[i] == -1e9f);
    }
}

static void check_linear(fixture *f)
{
    f->floats = (size_t)ROWS * WIDTH;
    const cpu_args args = {.linear = {.x = f->x,
                                      .y = f->y,
                                      .m = ROWS,
                                      .n = WIDTH,
                                      .k = K,
                                      .x_stride = K,
                                      .y_stride = WIDTH,
                                      .weight = f->packed,
                                      .epilogue = PV_GELU}};
    check(f, f->gemm->run, &args, f->gemm->name ? f->gemm->name : "linear");
}

static cpu_rows rows_of(float *at)
{
    return (cpu_rows){at, shape.sequences * shape.keys, DEPTH, DEPTH};
}

static void check_attention(fixture *f)
{
    const cpu_rows x = rows_of(f->x), y = rows_of(f->y);
    f->floats = y.rows * y.cols;
    const cpu_args args = {.attention = {.q = x, .k = x, .v = x, .y = y, .shape = shape}};
    check(f, pv_cpu_run_attention, &args, "attention");
}

/* With its own way to multiply in a precision, if that is done in pieces. */
static void check_device(const psgvit_device *device, psgvit_precision precision)
{
    const cpu_device *cpu = (const cpu_device *)device;
    const cpu_gemm *gemm = cpu->gemm[precision];
    const bool tiles = gemm && gemm->needs_amx;
    fixture f;
    if (precision == PSGVIT_F32 && !tiles)
        gemm = &pv_cpu_gemm_panels;
    else if (!tiles || !pv_cpu_ask_for_tiles())
        return;
    fixture_open(&f, cpu->kernels, gemm);
    check_linear(&f);
    check_attention(&f);
    fixture_close(&f);
}

static void test_shares(void **state)
{
    (void)state;
    for (psgvit_isa isa = PSGVIT_ISA_C; isa <= PSGVIT_ISA_AMX; isa++) {
        psgvit_device *device;
        psgvit_error err;
        const psgvit_device_params params = {.struct_size = sizeof params,
                                             .backend = PSGVIT_BACKEND_CPU,
                                             .isa = isa,
                                             .threads = 1};
        if (psgvit_device_open(&device, &params, &err)) {
            printf("not tested: %s\n", err.message);
            continue;
        }
        check_device(device, PSGVIT_F32);
        check_device(device, PSGVIT_BF16);
        psgvit_device_close(&device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
