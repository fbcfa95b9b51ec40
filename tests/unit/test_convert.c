/* SPDX-License-Identifier: MIT */
/* Elements to float32: every half and bfloat16, doubles against the machine's own rounding. */
#include "weights/safetensors.h"

#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float convert_one(psgvit_dtype dtype, const void *bytes)
{
    float value = -1;
    (void)pv_convert(dtype, bytes, 1, &value);
    return value;
}

static void test_is_float(void **state)
{
    (void)state;
    for (int i = -1; i < 30; i++) {
        const char *name = psgvit_dtype_name((psgvit_dtype)i);
        int expected = !strcmp(name, "F32") || !strcmp(name, "F16") || !strcmp(name, "BF16") ||
                       !strcmp(name, "F64");
        assert_int_equal(pv_is_float((psgvit_dtype)i), expected);
    }
}

enum { HALVES = 1 << 16 };

/* All values of a type of two bytes, converted in one call. */
static float *convert_halves(psgvit_dtype dtype)
{
    uint16_t *halves = malloc(HALVES * sizeof *halves);
    float *values = malloc(HALVES * sizeof *values);
    assert_true(halves && values);
    for (size_t i = 0; i < HALVES; i++)
        halves[i] = (uint16_t)i;
    (void)pv_convert(dtype, halves, HALVES, values);
    free(halves);
    return values;
}

/* By the definition of binary16. */
static void test_every_f16(void **state)
{
    (void)state;
    float *values = convert_halves(PSGVIT_DTYPE_F16);
    for (int half = 0; half < HALVES; half++) {
        int exponent = half >> 10 & 31, mantissa = half & 0x3FF;
        double value = fabs((double)values[half]);
        assert_int_equal(signbit(values[half]) != 0, half >> 15);
        if (exponent == 31)
            assert_true(mantissa ? isnan(value) : isinf(value));
        else if (exponent == 0)
            assert_true(value == ldexp(mantissa, -24));
        else
            assert_true(value == ldexp(1024 + mantissa, exponent - 25));
    }
    free(values);
}

static void test_every_bf16(void **state)
{
    (void)state;
    float *values = convert_halves(PSGVIT_DTYPE_BF16);
    for (uint32_t half = 0; half < HALVES; half++)
        assert_int_equal(bits_of(values[half]), half << 16);
    free(values);
}

static void check_narrowed(double wide, float value)
{
    volatile float expected = (float)wide; /* the default rounding mode is to nearest even */
    if (isnan(wide))
        assert_true(isnan(value) && !signbit(value) == !signbit(wide));
    else
        assert_int_equal(bits_of(value), bits_of(expected));
}

static void check_f64(double wide)
{
    check_narrowed(wide, convert_one(PSGVIT_DTYPE_F64, &wide));
}

static void test_f64_edges(void **state)
{
    (void)state;
    static const double edges[] = {0,
                                   1,
                                   1.0 / 3,
                                   0x1.000001p0,          /* a tie: to even, down */
                                   0x1.000003p0,          /* a tie: to even, up */
                                   0x1.00000100001p0,     /* above the tie */
                                   0x1.ffffffp0,          /* carries into the exponent */
                                   0x1.fffffep127,        /* the largest float32 */
                                   0x1.fffffefffffffp127, /* rounds to it */
                                   0x1.ffffffp127,        /* infinity from here on */
                                   0x1p128,
                                   1e300,
                                   INFINITY,
                                   NAN,
                                   0x1p-126,
                                   0x1.fffffefffffffp-127,
                                   0x1.ffffffp-127,
                                   0x1p-127,
                                   0x1.8p-148,
                                   0x1p-149,
                                   0x1.8p-149,
                                   0x1.0000000000001p-150, /* rounds up to 2^-149 */
                                   0x1p-150,               /* a tie: zero */
                                   0x1.fffffp-151,
                                   1e-300,
                                   5e-324};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        check_f64(edges[i]);
        check_f64(-edges[i]);
    }
    uint64_t signalling = 0x7FF0000000000001;
    double wide;
    memcpy(&wide, &signalling, sizeof wide);
    assert_true(isnan(convert_one(PSGVIT_DTYPE_F64, &wide)));
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static void test_f64_random(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    double *wide = malloc(COUNT * sizeof *wide);
    float *values = malloc(COUNT * sizeof *values);
    uint64_t random = 1;
    assert_true(wide && values);
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t bits = next_random(&random);
        if (i % 2) /* exponents around those of float32's smallest numbers */
            bits = (bits & 0x800FFFFFFFFFFFFF) | (870 + bits % 30) << 52;
        if (i % 3 == 0)
            bits &= ~(uint64_t)0x0FFFFFFF; /* ties */
        memcpy(wide + i, &bits, sizeof bits);
    }
    (void)pv_convert(PSGVIT_DTYPE_F64, wide, COUNT, values);
    for (size_t i = 0; i < COUNT; i++)
        check_narrowed(wide[i], values[i]);
    free(values);
    free(wide);
}

/* The caller's rounding mode does not matter, and no exception is raised. */
static void test_floating_point_state(void **state)
{
    (void)state;
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    uint16_t halves[4] = {0x0001, 0x7C00, 0x7C01, 0x83FF};
    double third = 1.0 / 3, wide[4] = {third, 1e300, 1e-40, 5e-324};
    float values[4];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fesetround(modes[i]), 0);
        feclearexcept(FE_ALL_EXCEPT);
        (void)pv_convert(PSGVIT_DTYPE_F64, wide, 4, values);
        uint32_t first = bits_of(values[0]), third_value = bits_of(values[2]);
        (void)pv_convert(PSGVIT_DTYPE_F16, halves, 4, values);
        (void)pv_convert(PSGVIT_DTYPE_BF16, halves, 4, values);
        (void)pv_convert(PSGVIT_DTYPE_F32, wide, 4, values);
        int raised = fetestexcept(FE_ALL_EXCEPT), mode = fegetround();
        (void)fesetround(FE_TONEAREST);
        assert_int_equal(raised, 0);
        assert_int_equal(mode, modes[i]);
        assert_int_equal(first, 0x3EAAAAAB);
        assert_int_equal(third_value, 0x000116C2);
    }
}

/* Lengths around the blocks, any alignment, a special value at each place that matters. */
static void check_places(psgvit_dtype dtype, const void *one, const void *special, size_t size)
{
    static const size_t counts[] = {1, 2, 7, 1023, 1024, 1025, 2048, 3000};
    unsigned char *memory = malloc(3000 * 8 + 1), *bytes = memory + 1;
    float *values = malloc(3001 * sizeof *values);
    assert_true(memory && values);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        size_t n = counts[c];
        for (size_t i = 0; i < n; i++)
            memcpy(bytes + i * size, one, size);
        values[n] = 42;
        assert_int_equal(pv_convert(dtype, bytes, n, values), n);
        for (size_t i = 0; i < n; i++)
            assert_true(bits_of(values[i]) == bits_of(1.0f));
        assert_true(bits_of(values[n]) == bits_of(42.0f)); /* nothing behind the last */
        for (size_t place = n; place > 0; place /= 2) {
            memcpy(bytes + (place - 1) * size, special, size);
            assert_int_equal(pv_convert(dtype, bytes, n, values), place - 1); /* the first */
        }
    }
    assert_int_equal(pv_convert(dtype, bytes, 0, values), 0);
    free(values);
    free(memory);
}

static void test_first_special(void **state)
{
    (void)state;
    float one = 1, nan32 = NAN, infinite = -INFINITY;
    double wide = 1, huge = 1e39; /* finite, but not as float32 */
    uint16_t half = 0x3C00, half_nan = 0x7E00, brain = 0x3F80, brain_infinite = 0xFF80;
    check_places(PSGVIT_DTYPE_F32, &one, &nan32, 4);
    check_places(PSGVIT_DTYPE_F32, &one, &infinite, 4);
    check_places(PSGVIT_DTYPE_F16, &half, &half_nan, 2);
    check_places(PSGVIT_DTYPE_BF16, &brain, &brain_infinite, 2);
    check_places(PSGVIT_DTYPE_F64, &wide, &huge, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_float),      cmocka_unit_test(test_every_f16),
        cmocka_unit_test(test_every_bf16),    cmocka_unit_test(test_f64_edges),
        cmocka_unit_test(test_f64_random),    cmocka_unit_test(test_floating_point_state),
        cmocka_unit_test(test_first_special),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
