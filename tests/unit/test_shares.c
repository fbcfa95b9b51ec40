/* SPDX-License-Identifier: MIT */
/*
 * Threads of the CPU that have done their own share of an op do what is left of the others': a
 * member of a team that runs alone does all of it, to the bit as one thread by itself, and leaves
 * nothing to those who come late. At every instruction set that there is.
 */
#include "base/memory.h"
#include "cpu/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEAM = 3, ROWS = 200, WIDTH = 328, DEPTH = 96, HEADS = 4, MOST = ROWS * WIDTH };

static const pv_attention_shape shape = {
    .sequences = 5, .queries = 40, .keys = 40, .heads = HEADS, .dim = DEPTH / HEADS, .scale = 0.2f};

typedef struct fixture {
    const pv_kernels *kernels;
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

static void fixture_open(fixture *f, const pv_kernels *kernels)
{
    const size_t packed = pv_cpu_gemm_panels.packed_bytes(kernels, WIDTH, DEPTH) / sizeof(float);
    *f = (fixture){.kernels = kernels,
                   .x = random_floats(MOST),
                   .w = random_floats(WIDTH * DEPTH),
                   .packed = random_floats(packed),
                   .y = random_floats(MOST),
                   .wanted = random_floats(MOST),
                   .workspace = random_floats(pv_cpu_attention_floats(kernels, &shape)),
                   .begun = pv_alloc(TEAM * sizeof(cpu_begun))};
    pv_cpu_gemm_panels.pack(kernels, f->w, 0, WIDTH, DEPTH, f->packed);
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
                                      .k = DEPTH,
                                      .x_stride = DEPTH,
                                      .y_stride = WIDTH,
                                      .weight = f->packed,
                                      .epilogue = PV_GELU}};
    check(f, pv_cpu_gemm_panels.run, &args, "linear");
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

static void test_shares(void **state)
{
    (void)state;
    for (psgvit_isa isa = PSGVIT_ISA_C; isa <= PSGVIT_ISA_AVX512; isa++) {
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
        fixture f;
        fixture_open(&f, ((const cpu_device *)device)->kernels);
        check_linear(&f);
        check_attention(&f);
        fixture_close(&f);
        psgvit_device_close(&device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
