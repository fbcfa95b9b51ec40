/* SPDX-License-Identifier: MIT */
/* What is done to a signal before the first layer: the policies and the clamp, sample by sample. */
#include "model/signal.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t bits(float value)
{
    uint32_t u;
    memcpy(&u, &value, sizeof u);
    return u;
}

static float from_bits(uint32_t u)
{
    float value;
    memcpy(&value, &u, sizeof value);
    return value;
}

/* One sample through pv_signal_take. */
static float take(float value, psgvit_nan_policy nan, int clamp)
{
    psgvit_error err;
    pv_signal s = {
        .samples = &value, .epochs = 1, .channels = 1, .length = 1, .nan = nan, .clamp = clamp};
    float out = 77;
    if (pv_signal_take(&s, &out, 1, &err))
        fail_msg("%s", err.message);
    return out;
}

/* Input and output of torch.clamp(x, -6, 6), PyTorch 2.x on the CPU: NaN stays, -0 stays. */
static void test_torch_clamp(void **state)
{
    (void)state;
    static const float pairs[][2] = {
        {0.0f, 0.0f},         {-0.0f, -0.0f},           {6.0f, 6.0f},
        {-6.0f, -6.0f},       {5.9999995f, 5.9999995f}, {6.0000005f, 6.0f},
        {-6.0000005f, -6.0f}, {1e-40f, 1e-40f},         {-1e-45f, -1e-45f},
        {1e38f, 6.0f},        {-FLT_MAX, -6.0f},        {INFINITY, 6.0f},
        {-INFINITY, -6.0f}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_int_equal(bits(take(pairs[i][0], PSGVIT_NAN_PROPAGATE, 1)), bits(pairs[i][1]));
    assert_true(isnan(take(NAN, PSGVIT_NAN_PROPAGATE, 1)));
    assert_true(isnan(take(-NAN, PSGVIT_NAN_PROPAGATE, 1)));
}

/* Without clamp and policy every bit pattern comes through as it is, NaN's payload too. */
static void test_as_it_is(void **state)
{
    (void)state;
    static const uint32_t patterns[] = {0,          0x80000000, 1,          0x807FFFFF, 0x7F7FFFFF,
                                        0x7F800000, 0xFF800000, 0x7FC00001, 0x7F800001, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        float value = from_bits(patterns[i]), out = 77;
        psgvit_error err;
        pv_signal s = {.samples = &value, .epochs = 1, .channels = 1, .length = 1};
        s.nan = PSGVIT_NAN_PROPAGATE;
        assert_int_equal(pv_signal_take(&s, &out, 1, &err), PSGVIT_OK);
        assert_int_equal(bits(out), patterns[i]);
    }
    for (int policy = 0; policy < 3; policy++) { /* finite ones under each policy */
        assert_int_equal(bits(take(FLT_MAX, (psgvit_nan_policy)policy, 0)), bits(FLT_MAX));
        assert_int_equal(bits(take(-FLT_MAX, (psgvit_nan_policy)policy, 0)), bits(-FLT_MAX));
        assert_int_equal(bits(take(-0.0f, (psgvit_nan_policy)policy, 0)), bits(-0.0f));
        assert_int_equal(bits(take(1e-45f, (psgvit_nan_policy)policy, 0)), bits(1e-45f));
    }
}

static void test_zero(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 4; i++)
        for (int clamp = 0; clamp < 2; clamp++)
            assert_int_equal(bits(take(bad[i], PSGVIT_NAN_ZERO, clamp)), 0);
}

/* One bad sample at every place of two epochs of three channels, in lengths about a block of 256.
 */
static void test_refuse(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 7, 255, 256, 257, 600};
    static const char *const names[3] = {"Fz", "", "Oz"};
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        size_t length = lengths[l], count = 6 * length;
        float *x = calloc(count, sizeof *x), *y = calloc(count, sizeof *y);
        assert_non_null(x);
        assert_non_null(y);
        for (size_t i = 0; i < count; i += l == 5 ? 13 : 1) {
            psgvit_error err;
            char expected[160];
            size_t channel = i / length % 3;
            pv_signal s = {.samples = x,
                           .epochs = 2,
                           .channels = 3,
                           .length = length,
                           .first_epoch = 40,
                           .names = i % 2 ? names : NULL};
            x[i] = i % 3 ? NAN : -INFINITY;
            assert_int_equal(pv_signal_take(&s, y, 1 + (int)(i % 3), &err), PSGVIT_E_INPUT);
            snprintf(expected, sizeof expected,
                     "epoch %zu, channel %zu%s%s%s, sample %zu is %s, expected a finite number",
                     40 + i / (3 * length), channel, i % 2 ? " (" : "", i % 2 ? names[channel] : "",
                     i % 2 ? ")" : "", i % length, i % 3 ? "NaN" : "infinite");
            assert_string_equal(err.message, expected);
            x[i] = 0;
            assert_int_equal(pv_signal_take(&s, y, 1 + (int)(i % 3), &err), PSGVIT_OK);
        }
        free(x);
        free(y);
    }
}

/* Of several bad samples the first in time of the first channel of the first epoch is named,
 * whoever of a team found it. */
static void test_first(void **state)
{
    (void)state;
    float x[2 * 2 * 8] = {0}, y[2 * 2 * 8];
    psgvit_error err;
    pv_signal s = {.samples = x, .epochs = 2, .channels = 2, .length = 8};
    x[31] = x[20] = x[13] = x[10] = NAN;
    for (int threads = 1; threads < 6; threads++) {
        assert_int_equal(pv_signal_take(&s, y, threads, &err), PSGVIT_E_INPUT);
        assert_non_null(strstr(err.message, "epoch 0, channel 1, sample 2 is NaN"));
    }
}

/* A team takes what one thread does, all of it. */
static void test_team(void **state)
{
    (void)state;
    enum { EPOCHS = 5, CHANNELS = 3, LENGTH = 300, COUNT = EPOCHS * CHANNELS * LENGTH };
    static float x[COUNT], alone[COUNT], together[COUNT];
    psgvit_error err;
    pv_signal s = {.samples = x,
                   .epochs = EPOCHS,
                   .channels = CHANNELS,
                   .length = LENGTH,
                   .nan = PSGVIT_NAN_ZERO,
                   .clamp = 1};
    for (int i = 0; i < COUNT; i++)
        x[i] = i % 71 ? (float)(i * 37 % 1000) * 0.02f - 10.0f : NAN;
    assert_int_equal(pv_signal_take(&s, alone, 1, &err), PSGVIT_OK);
    for (int threads = 2; threads < 20; threads += 3) {
        memset(together, 0xff, sizeof together);
        assert_int_equal(pv_signal_take(&s, together, threads, &err), PSGVIT_OK);
        assert_memory_equal(together, alone, sizeof alone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch_clamp), cmocka_unit_test(test_as_it_is),
        cmocka_unit_test(test_zero),        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_first),       cmocka_unit_test(test_team),
    };
    return cmocka_run_group_tests_name("signal", tests, NULL, NULL);
}
