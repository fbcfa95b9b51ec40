/* SPDX-License-Identifier: MIT */
/* The map of a night against rows that are made from axes that are known. */
#include "night_map.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 400, WIDTH = 96, FACTORS = 5 };

static float rows[ROWS * WIDTH], scores[ROWS * 3];
static double factors[ROWS][FACTORS];
static uint32_t state;

static double uniform(void)
{
    state = state * 1664525u + 1013904223u;
    return (double)state / 4294967296.0 - 0.5;
}

/* Factor f, of a standard deviation that halves from each to the next, times the f-th vector of the
 * Hadamard matrix of order 8, repeated: these are orthogonal. Plus a mean that is far off. */
static void make_rows(void)
{
    state = 7;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t f = 0; f < FACTORS; f++)
            factors[i][f] = uniform() / (double)(1 << f);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t d = 0; d < WIDTH; d++) {
            double x = 100 + (double)d;
            for (size_t f = 0; f < FACTORS; f++)
                x += factors[i][f] * (__builtin_parity((unsigned)((f + 1) & d)) ? -1 : 1);
            rows[i * WIDTH + d] = (float)x;
        }
}

/* The correlation of an axis with a factor, over rows that are finite. */
static double correlation(size_t axis, size_t factor)
{
    double n = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double x = (double)scores[i * 3 + axis], y = factors[i][factor];
        if (isnan(x))
            continue;
        n++;
        a += x, b += y, aa += x * x, bb += y * y, ab += x * y;
    }
    return (ab - a * b / n) / sqrt((aa - a * a / n) * (bb - b * b / n));
}

static void test_axes(void **unused)
{
    (void)unused;
    double share[3];
    make_rows();
    rows[3 * WIDTH + 5] = NAN;
    rows[8 * WIDTH] = INFINITY;
    assert_true(night_map_make(rows, ROWS, WIDTH, scores, share));
    for (size_t axis = 0; axis < 3;
         axis++) /* the sample's own axes are near those of the factors */
        assert_true(fabs(correlation(axis, axis)) > 0.98);
    double all = 0, part[3];
    for (size_t f = 0; f < FACTORS; f++)
        all += pow(4, -(double)f);
    for (size_t axis = 0; axis < 3; axis++) {
        part[axis] = pow(4, -(double)axis) / all;
        assert_true(fabs(share[axis] - part[axis]) < 0.03);
        for (size_t i = 0; i < ROWS; i++)
            assert_int_equal(isnan(scores[i * 3 + axis]), i == 3 || i == 8);
    }
}

/* The same rows give the same bits, and turning all rows around gives the opposite scores. */
static void test_same(void **unused)
{
    (void)unused;
    static float again[ROWS * 3];
    double share[3];
    make_rows();
    assert_true(night_map_make(rows, ROWS, WIDTH, scores, share));
    make_rows();
    assert_true(night_map_make(rows, ROWS, WIDTH, again, share));
    assert_memory_equal(scores, again, sizeof scores);
    make_rows();
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        rows[i] = -rows[i];
    assert_true(night_map_make(rows, ROWS, WIDTH, again, share));
    for (size_t i = 0; i < ROWS * 3; i++)
        assert_true(fabsf(scores[i] + again[i]) < 1e-3f);
}

/* Fewer rows or directions than axes: what is not there is 0. */
static void test_few(void **unused)
{
    (void)unused;
    double share[3];
    float two[2 * 4] = {1, 2, 3, 4, 3, 2, 1, 0}, out[2 * 3];
    assert_true(night_map_make(two, 2, 4, out, share));
    assert_true(fabs(share[0] - 1) < 1e-6 && share[1] < 1e-6 && share[2] < 1e-6);
    assert_true(fabsf(fabsf(out[0]) - sqrtf(6)) < 1e-5f && fabsf(out[0] + out[3]) < 1e-5f);
    assert_true(fabsf(out[1]) < 1e-5f && fabsf(out[5]) < 1e-5f);
    float one[4] = {1, 2, 3, 4};
    assert_true(night_map_make(one, 1, 4, out, share));
    assert_true(out[0] == 0 && out[1] == 0 && share[0] == 0);
    float none[4] = {NAN, 2, 3, 4};
    assert_true(night_map_make(none, 1, 4, out, share));
    assert_true(isnan(out[0]) && share[0] == 0);
    assert_true(night_map_make(none, 0, 4, out, share));
}

static void test_colours(void **unused)
{
    (void)unused;
    unsigned char rgb[ROWS * 3];
    for (size_t i = 0; i < ROWS; i++) {
        scores[i * 3] = (float)i;
        scores[i * 3 + 1] = i == 17 ? 1e9f : -(float)i; /* one that is far out */
        scores[i * 3 + 2] = 5;
    }
    scores[0] = scores[1] = scores[2] = NAN;
    assert_true(night_map_colours(scores, ROWS, rgb));
    assert_int_equal(rgb[0] + rgb[1] + rgb[2], 0);
    assert_int_equal(rgb[3], 32);
    assert_int_equal(rgb[(ROWS - 1) * 3], 240);
    assert_true(rgb[200 * 3 + 1] > 120 && rgb[200 * 3 + 1] < 150);
    assert_int_equal(rgb[17 * 3 + 1], 240);
    assert_int_equal(rgb[5], 136); /* no range: the middle */
    for (size_t i = 2; i < ROWS; i++)
        assert_true(rgb[i * 3] >= rgb[(i - 1) * 3]);
    assert_true(night_map_colours(scores, 0, rgb));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_few),
        cmocka_unit_test(test_colours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
