/* SPDX-License-Identifier: MIT */
/*
 * What the library promises about bits: the same run gives the same ones a hundred times, and an
 * epoch alone, at any place in a batch and with one thread or two, keeps the promise of f32. With
 * our own kernels it is the same to the bit; through OpenBLAS it need not be, and what was found is
 * printed. Then the same in bf16 where the CPU has it: there the bits alone are looked at.
 *
 *     test_parity_same_bits [--vulkan RUNS]
 *
 * --vulkan: RUNS in place of the hundred, on the Vulkan device that the backend takes; 77 if there
 * is none.
 */
#include "parity/vector.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SKIPPED = 77 };

static psgvit_backend backend = PSGVIT_BACKEND_CPU;
static int runs = 100;
static psgvit_precision precision = PSGVIT_F32;

static psgvit_device *device_with(int threads)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    psgvit_device_params params = {
        .struct_size = sizeof params, .backend = backend, .threads = threads};
    if (psgvit_device_open(&device, &params, &err))
        fail_msg("%s", err.message);
    return device;
}

static float *encode(const vector_encoder *e, const vector_case *c, size_t first, size_t count,
                     size_t batch)
{
    psgvit_error err;
    float *out = malloc(c->outputs[0].count * sizeof *out);
    assert_non_null(out);
    float *outputs[VECTOR_OUTPUTS] = {out};
    if (vector_encode(e, c, first, count, batch, outputs, &err))
        fail_msg("%s", err.message);
    return out;
}

static void many_runs(const char *name)
{
    vector_case c;
    vector_encoder e;
    psgvit_device *device = device_with(2);
    vector_open(&c, TESTS_DIR "/vectors", name, 0);
    vector_encoder_open_as(&e, &c, device, precision);
    float *first = encode(&e, &c, 0, c.epochs, 0);
    for (int i = 1; i < runs; i++) {
        float *again = encode(&e, &c, 0, c.epochs, 0);
        assert_memory_equal(again, first, c.outputs[0].count * sizeof *first);
        free(again);
    }
    free(first);
    vector_encoder_close(&e);
    vector_close(&c);
    psgvit_device_close(&device);
}

static void test_many_runs(void **state)
{
    (void)state;
    many_runs("osf_nano");
    many_runs("eegpt_odd");
}

/* Repeats the case's epochs until there are `epochs`, turned by `turn` places. */
static void repeat_input(vector_case *c, size_t epochs, size_t turn)
{
    size_t each = c->channels * c->samples, own = c->epochs;
    float *input = malloc(epochs * each * sizeof *input);
    assert_non_null(input);
    for (size_t i = 0; i < epochs; i++)
        memcpy(input + i * each, c->input + (i + turn) % own * each, each * sizeof *input);
    free(c->input);
    c->input = input;
}

static void test_anywhere_in_a_batch(void **state)
{
    (void)state;
    enum { EPOCHS = 12 };
    size_t differing = 0, compared = 0;
    float *single = NULL; /* what one thread found */
    for (int threads = 1; threads <= 2; threads++) {
        vector_case c;
        vector_encoder e;
        psgvit_device *device = device_with(threads);
        vector_open(&c, TESTS_DIR "/vectors", "osf_nano", 0);
        vector_encoder_open_as(&e, &c, device, precision);
        vector_output truth = c.outputs[0];
        size_t each = truth.count / c.epochs, own = c.epochs;
        c.outputs[0].count = EPOCHS * each;
        float *alone = encode(&e, &c, 0, own, 1);
        repeat_input(&c, EPOCHS, 1);
        for (size_t batch = 1; batch <= EPOCHS; batch++) {
            float *found = encode(&e, &c, 0, EPOCHS, batch);
            for (size_t i = 0; i < EPOCHS; i++) {
                double max, mean;
                const float *ours = found + i * each;
                vector_compare(ours, truth.truth + (i + 1) % own * each, each, &max, &mean);
                assert_true(precision != PSGVIT_F32 || vector_promise(&truth, max, mean));
                differing += memcmp(ours, alone + (i + 1) % own * each, each * sizeof *ours) != 0;
                compared++;
            }
            free(found);
        }
        if (single)
            differing += memcmp(single, alone, own * each * sizeof *alone) != 0;
        free(single);
        single = alone;
        vector_encoder_close(&e);
        vector_close(&c);
        psgvit_device_close(&device);
    }
    printf("epochs whose bits differ from those of the epoch alone: %zu of %zu\n", differing,
           compared);
    free(single);
    assert_true(precision == PSGVIT_F32 || differing == 0);
}

static int run_vulkan(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_runs)};
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_VULKAN};
    psgvit_device *device;
    psgvit_error err;
    if (psgvit_device_open(&device, &params, &err)) {
        printf("not tested: %s\n", err.message);
        return SKIPPED;
    }
    printf("%s\n", psgvit_device_get_info(device)->name);
    psgvit_device_close(&device);
    backend = PSGVIT_BACKEND_VULKAN;
    return cmocka_run_group_tests_name("same bits on Vulkan", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_runs),
                                       cmocka_unit_test(test_anywhere_in_a_batch)};
    if (argc > 2 && !strcmp(argv[1], "--vulkan")) {
        runs = atoi(argv[2]);
        return run_vulkan();
    }
    int failures = cmocka_run_group_tests_name("same bits", tests, NULL, NULL);
    psgvit_device *device = device_with(1);
    const psgvit_device_info *info = psgvit_device_get_info(device);
    precision = PSGVIT_BF16;
    if (info->precisions & (1u << precision))
        failures += cmocka_run_group_tests_name("same bits in bf16", tests, NULL, NULL);
    else
        printf("not tested: %s has no bf16\n", info->name);
    psgvit_device_close(&device);
    return failures;
}
