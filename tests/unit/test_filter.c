/* SPDX-License-Identifier: MIT */
/* Filters against MNE-Python 1.13's own taps, and resampling and convolving against plain sums. */
#include "base/memory.h"
#include "recording/convolve.h"
#include "recording/resample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double pi = 3.14159265358979323846;

static void assert_near(double value, double expected, double most)
{
    if (!(fabs(value - expected) <= most))
        fail_msg("%.17g is not %.17g within %g", value, expected, most);
}

/* Middle tap, the next, the one after a fifth of all, the last: of mne.filter.create_filter. */
typedef struct design {
    double rate, high_pass, low_pass;
    size_t half;
    double tap[4];
} design;

static void check_taps(const pv_fir *fir, const design *d)
{
    size_t at[] = {0, 1, (2 * d->half + 1) / 5, d->half};
    assert_int_equal(fir->half, d->half);
    for (size_t i = 0; i < 4; i++) {
        assert_near(fir->tap[d->half + at[i]], d->tap[i], 1e-14);
        assert_near(fir->tap[d->half - at[i]], d->tap[i], 1e-14);
    }
}

static void test_mne(void **state)
{
    (void)state;
    static const design designs[] = {
        {512, 0, 32, 106, {0.1404948939598713, 0.13594110474980772, -0.0014993445601842648, 0}},
        {512,
         10,
         32,
         338,
         {0.10630624512923278, 0.10181879625325962, -0.0015080825028279824, 7.432755761690539e-05}},
        {512,
         0,
         4,
         422,
         {0.019556609909086368, 0.019544091464474975, -0.0010416469174079916,
          4.1663044735581752e-05}},
        {200,
         10,
         32,
         132,
         {0.27207236813952573, 0.20088804008476668, -0.003710539298523146, 0.00019060966408863589}},
        {64,
         10,
         0,
         42,
         {0.7264236754237432, -0.24083925225196207, -0.011304821266497509, 0.00060588167556005013}},
        {129, 0, 64, 426, {0.99617721749908661, 0.0038760314434561549, -0.0011214237740671538, 0}},
        {65,
         0,
         32,
         214,
         {0.99220273362775746, 0.0076903642350722307, 0.0022744357137465532,
          0.00010665845799859201}},
        {18,
         10,
         0,
         12,
         {0.026014380165296558, -0.027357224902671451, -0.017763895233491322,
          0.0018410962832234644}},
        {9, 0, 4, 30, {0.94518665044162242, 0.055168204043556726, -0.015243879021665333, 0}},
        {500,
         0.1,
         75,
         8250,
         {0.33692627912407375, 0.27689126210553616, -5.793966909375651e-05,
          2.7635813722763071e-06}},
        {100,
         0.1,
         0,
         1650,
         {0.9989951297110371, -0.0010048677981634062, -0.00028970154651054944,
          1.3818059543292516e-05}},
        {100,
         0,
         30,
         22,
         {0.67428168730165805, 0.26984557733861042, 0.0055226045592995099, 0.0005249304796014297}},
    };
    for (size_t i = 0; i < sizeof designs / sizeof *designs; i++) {
        const design *d = &designs[i];
        pv_fir fir;
        assert_int_equal(pv_fir_mne(&fir, d->rate, d->high_pass, d->low_pass, NULL), PSGVIT_OK);
        check_taps(&fir, d);
        pv_fir_free(&fir);
        assert_null(fir.tap);
    }
    pv_fir none;
    assert_int_equal(pv_fir_mne(&none, 100, 0, 0, NULL), PSGVIT_OK);
    assert_null(none.tap);
    psgvit_error err;
    assert_int_equal(pv_fir_mne(&none, 1e12, 10, 0, &err), PSGVIT_E_INPUT);
    assert_non_null(strstr(err.message, "too long"));
}

static void test_notch(void **state)
{
    (void)state;
    static const design designs[] = {
        {200,
         0,
         50,
         660,
         {0.99253841898166029, 2.4470915163887774e-05, -5.1669521161580962e-05,
          -7.6928388825398317e-05}},
        {512,
         0,
         50,
         1690,
         {0.99706910264255799, -0.0023963916066456759, -1.9601419612004984e-05, 0}},
    };
    for (size_t i = 0; i < 2; i++) {
        pv_fir fir;
        assert_int_equal(pv_fir_notch(&fir, designs[i].rate, 50, NULL), PSGVIT_OK);
        check_taps(&fir, &designs[i]);
        pv_fir_free(&fir);
    }
}

/* MNE's response to an impulse, forwards and backwards. */
static void test_butterworth(void **state)
{
    (void)state;
    static const struct {
        double rate, at[4]; /* 0, 1, 5 and 20 samples behind */
    } cases[] = {
        {256,
         {0.93591346769373762, 0.063579198742684417, 0.052305671136192139, 0.0078748127031255492}},
        {500,
         {0.48047367698271459, 0.31019272240949314, 0.034518910609102206, -8.4051957477839431e-05}},
        {2048,
         {0.11994174782419592, 0.11666929770994919, 0.055761086245721202, 0.0044850125638362529}},
        {241, {0, 0, 0, 0}}, /* next to the end: real poles */
    };
    for (size_t i = 0; i < 4; i++) {
        pv_fir fir;
        assert_int_equal(pv_fir_butterworth(&fir, cases[i].rate, 120, NULL), PSGVIT_OK);
        static const size_t at[] = {0, 1, 5, 20};
        double sum = 0.0;
        for (size_t k = 0; k < 4 && cases[i].at[0] > 0.0; k++) {
            assert_near(fir.tap[fir.half + at[k]], cases[i].at[k], 1e-12);
            assert_near(fir.tap[fir.half - at[k]], cases[i].at[k], 1e-12);
        }
        for (size_t k = 0; k <= 2 * fir.half; k++)
            sum += fir.tap[k];
        assert_near(sum, 1.0, 1e-9);
        assert_near(fir.tap[0], 0.0, 1e-9); /* nothing is cut off */
        pv_fir_free(&fir);
    }
}

/* Amplitude at `frequency`, cycles a sample, of taps whose middle is `middle`. */
static double amplitude(const double *tap, size_t count, double middle, double frequency)
{
    double re = 0.0, im = 0.0;
    for (size_t i = 0; i < count; i++) {
        re += tap[i] * cos(2.0 * pi * frequency * ((double)i - middle));
        im += tap[i] * sin(2.0 * pi * frequency * ((double)i - middle));
    }
    return hypot(re, im);
}

/* 80 dB, at every fraction of a sample. */
static void test_band(void **state)
{
    (void)state;
    static const pv_band bands[] = {
        {0, 0, 0.2, 0.25}, {0.03, 0.04, 0.3, 0.34}, {0, 0, 0.0078, 0.0117}, {0.1, 0.14, 0, 0}};
    for (size_t b = 0; b < 4; b++) {
        const pv_band *band = &bands[b];
        size_t half = pv_band_half(band), count = 2 * half;
        double *tap = calloc(count, 2 * sizeof *tap);
        assert_non_null(tap);
        for (double fraction = 0.0; fraction<1.0; fraction += band->low_stop> 0 ? 0.37 : 2.0) {
            double middle = (double)(half - 1) + fraction;
            pv_band_taps(band, half, fraction, tap, tap + count);
            assert_near(amplitude(tap, count, middle, 0), band->high_pass > 0 ? 0 : 1, 1e-12);
            for (double f = 0.0; f <= 0.5; f += 0.0007) {
                double a = amplitude(tap, count, middle, f);
                bool low = f <= band->high_stop && band->high_pass > 0.0;
                bool high = f >= band->low_stop && band->low_stop > 0.0;
                bool pass = f >= band->high_pass && (f <= band->low_pass || !(band->low_pass > 0));
                if (low || high)
                    assert_true(a < 2e-4);
                else if (pass)
                    assert_near(a, 1.0, 2e-4);
            }
        }
        free(tap);
    }
    assert_int_equal(pv_band_half(&(pv_band){0}), 1);
}

/* A number in [-1, 1) that depends on i alone. */
static double noise(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    return (double)(z >> 11) * 0x1p-52 - 1.0;
}

static void test_join_and_convolve(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    pv_fir fir[2], joined = {0};
    pv_convolver *convolver;
    assert_int_equal(pv_fir_mne(&fir[0], 128, 2, 30, NULL), PSGVIT_OK);
    assert_int_equal(pv_fir_notch(&fir[1], 128, 50, NULL), PSGVIT_OK);
    assert_int_equal(pv_fir_join(&joined, &fir[0], NULL), PSGVIT_OK);
    assert_int_equal(joined.half, fir[0].half);
    assert_int_equal(pv_fir_join(&joined, &fir[1], NULL), PSGVIT_OK);
    assert_int_equal(pv_fir_join(&joined, &(pv_fir){0}, NULL), PSGVIT_OK);
    assert_int_equal(pv_convolver_make(&convolver, fir, 2, NULL), PSGVIT_OK);
    assert_int_equal(joined.half, convolver->half);
    size_t length = COUNT + 2 * joined.half;
    float *x = malloc((length + COUNT) * sizeof *x), *y = x + length;
    double *work = malloc(2 * convolver->size * sizeof *work);
    assert_true(x && work);
    for (size_t i = 0; i < length; i++)
        x[i] = (float)(noise(i) + 3.0);
    static const size_t counts[] = {COUNT, 1, 2500, 0};
    for (size_t c = 0; c < 4; c++) {
        pv_convolve(convolver, x, counts[c], y, work);
        for (size_t i = 0; i < counts[c]; i += 7) {
            double sum = 0.0;
            for (size_t j = 0; j <= 2 * joined.half; j++)
                sum += joined.tap[j] * x[i + j];
            assert_near(y[i], sum, 1e-5);
        }
    }
    free(x);
    free(work);
    pv_convolver_free(convolver);
    pv_convolver_free(NULL);
    for (size_t i = 0; i < 2; i++)
        pv_fir_free(&fir[i]);
    pv_fir_free(&joined);
}

static void test_ratio(void **state)
{
    (void)state;
    static const struct {
        size_t per_record;
        double seconds, rate;
        uint64_t num, den;
    } cases[] = {
        {256, 1, 64, 4, 1},        {200, 1, 64, 25, 8},
        {15360, 30, 64, 8, 1},     {1, 1, 128, 1, 128},
        {125, 2, 64, 125, 128},    {10, 0.1, 64, 25, 16},
        {100, 0.123456, 64, 0, 0}, {256, 1, 173.61, 25600, 17361},
        {64, 1, 64, 1, 1},         {7, 60, 8, 7, 480},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pv_ratio r;
        assert_int_equal(
            pv_ratio_make(&r, cases[i].per_record, cases[i].seconds, cases[i].rate, NULL),
            PSGVIT_OK);
        double exact = (double)cases[i].per_record / cases[i].seconds / cases[i].rate;
        assert_near((double)r.num / (double)r.den, exact, 1e-12 * exact);
        if (i != 6) {
            assert_int_equal(r.num, cases[i].num);
            assert_int_equal(r.den, cases[i].den);
        }
    }
    pv_ratio r;
    psgvit_error err;
    assert_int_equal(pv_ratio_make(&r, 0, 1, 64, &err), PSGVIT_E_INPUT);
    assert_int_equal(pv_ratio_make(&r, 1, 1e15, 64, &err), PSGVIT_E_INPUT);
    assert_int_equal(pv_ratio_make(&r, 1, 1e-12, 64, &err), PSGVIT_E_INPUT);
    assert_int_equal(pv_ratio_make(&r, 1, NAN, 64, &err), PSGVIT_E_INPUT);
    assert_non_null(strstr(err.message, "can't be brought"));
}

/* Where pandas puts grid points, told from sorted times: j-th of m between two samples. */
static double pandas_at(pv_ratio r, int64_t i, int64_t length, int64_t *n)
{
    int64_t num = (int64_t)r.num, den = (int64_t)r.den, at = i * num;
    *n = at / den;
    if (*n >= length - 1) {
        *n = length - 1;
        return 0.0;
    }
    int64_t j = 0, m = 0;
    for (int64_t k = 0; k * num < (*n + 1) * den; k++)
        if (k * num > *n * den) {
            m++;
            j += k <= i;
        }
    return at % den ? (double)j / (double)(m + 1) : 0.0;
}

static void check_resampler(pv_ratio ratio, pv_between between, const pv_fir *fir,
                            const pv_band *band, double most)
{
    enum { LENGTH = 900 };
    pv_resampler *r;
    assert_int_equal(pv_resampler_make(&r, ratio, between, fir, band, NULL), PSGVIT_OK);
    size_t half = between == PV_BETWEEN_SINC ? pv_band_half(band) : 1;
    int64_t pad = (int64_t)(r->before + r->taps) + 8;
    int64_t end = (int64_t)(LENGTH * ratio.den / ratio.num);
    float *x = malloc((size_t)(LENGTH + 2 * pad) * sizeof *x), *y = malloc(2 * sizeof *y * LENGTH);
    double *tap = malloc(4 * half * sizeof *tap);
    assert_true(x && y && tap);
    for (int64_t i = -pad; i < LENGTH + pad; i++)
        x[i + pad] = (float)noise((uint64_t)(i + 100000));
    int64_t count = end + 3 < 1200 ? end + 3 : 1200;
    if (between == PV_BETWEEN_SINC && count > end)
        count = end;
    for (int64_t first = 0; first < count; first += 1 + first * 2) {
        pv_resample(r, first, (size_t)(count - first), x, -pad, LENGTH, y);
        for (int64_t i = first; i < count; i += 1 + i / 40) {
            int64_t n = i * (int64_t)ratio.num / (int64_t)ratio.den;
            double part = (double)(i * (int64_t)ratio.num % (int64_t)ratio.den) / (double)ratio.den;
            if (between == PV_BETWEEN_SINC) {
                pv_band_taps(band, half, part, tap, tap + 2 * half);
            } else {
                double w = pandas_at(ratio, i, LENGTH, &n);
                tap[0] = 1.0 - w;
                tap[1] = w;
            }
            assert_int_equal(pv_resampler_position(r, i, LENGTH), n);
            double sum = 0.0, one = 1.0;
            const double *filter = fir->tap ? fir->tap : &one;
            for (size_t j = 0; j <= 2 * fir->half; j++)
                for (size_t k = 0; k < 2 * half; k++)
                    sum += filter[j] * tap[k] *
                           x[pad + n + (int64_t)(j + k) - (int64_t)(fir->half + half - 1)];
            assert_near(y[i - first], sum, most);
        }
    }
    free(x);
    free(y);
    free(tap);
    pv_resampler_free(r);
}

static void test_resample(void **state)
{
    (void)state;
    static const pv_ratio ratios[] = {{8, 1},   {25, 8},  {1, 1},    {2, 1},       {5, 32},
                                      {1, 8},   {1, 128}, {125, 64}, {499, 64},    {129, 128},
                                      {10, 64}, {7, 3},   {3, 7},    {1001, 1000}, {64, 1}};
    pv_fir fir, none = {0};
    const pv_band band = {0, 0, 0.35, 0.45};
    assert_int_equal(pv_fir_mne(&fir, 100, 10, 32, NULL), PSGVIT_OK);
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        check_resampler(ratios[i], PV_BETWEEN_PANDAS, &none, NULL, 1e-6);
        check_resampler(ratios[i], PV_BETWEEN_PANDAS, &fir, NULL, 2e-6);
        check_resampler(ratios[i], PV_BETWEEN_SINC, &none, &band, 2e-6);
        check_resampler(ratios[i], PV_BETWEEN_SINC, &fir, &band, 2e-6);
    }
    check_resampler((pv_ratio){1, 1}, PV_BETWEEN_NONE, &none, NULL, 0.0);
    check_resampler((pv_ratio){1, 1}, PV_BETWEEN_NONE, &fir, NULL, 2e-6);
    /* Positions that are rounded: to the 1024th part of a sample, or less with more taps. */
    check_resampler((pv_ratio){25600, 17361}, PV_BETWEEN_SINC, &none, &band, 4e-3);
    check_resampler((pv_ratio){1234567, 765432}, PV_BETWEEN_PANDAS, &none, NULL, 1e-6);
    const pv_band narrow = {0, 0, 0.0010, 0.0022};
    pv_resampler *r;
    assert_int_equal(
        pv_resampler_make(&r, (pv_ratio){20000, 501}, PV_BETWEEN_SINC, &none, &narrow, NULL),
        PSGVIT_OK);
    assert_true(r->bins >= 64 && r->bins < 501);
    assert_true(r->phases <= r->bins + 1);
    pv_resampler_free(r);
    pv_resampler_free(NULL);
    pv_fir_free(&fir);
}

/* The bits of a point don't depend on where its piece begins or ends. */
static void test_same_bits(void **state)
{
    (void)state;
    enum { LENGTH = 5000, COUNT = 1500 };
    pv_fir fir;
    pv_resampler *r;
    assert_int_equal(pv_fir_mne(&fir, 200, 10, 32, NULL), PSGVIT_OK);
    assert_int_equal(pv_resampler_make(&r, (pv_ratio){25, 8}, PV_BETWEEN_PANDAS, &fir, NULL, NULL),
                     PSGVIT_OK);
    int64_t pad = (int64_t)r->taps + 8;
    float *x = malloc((size_t)(LENGTH + 2 * pad) * sizeof *x), whole[COUNT], part[COUNT];
    assert_non_null(x);
    for (int64_t i = 0; i < LENGTH + 2 * pad; i++)
        x[i] = (float)noise((uint64_t)i);
    pv_resample(r, 0, COUNT, x, -pad, LENGTH, whole);
    for (int64_t first = 0; first < COUNT; first += 61)
        for (size_t count = 1; (size_t)first + count <= COUNT; count += 97) {
            pv_resample(r, first, count, x, -pad, LENGTH, part);
            assert_memory_equal(part, whole + first, count * sizeof *part);
        }
    free(x);
    pv_resampler_free(r);
    pv_fir_free(&fir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mne),
        cmocka_unit_test(test_notch),
        cmocka_unit_test(test_butterworth),
        cmocka_unit_test(test_band),
        cmocka_unit_test(test_join_and_convolve),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_resample),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
