/* SPDX-License-Identifier: MIT */
/* Makes the taps of a resampler, and multiplies by them. */
#include "recording/resample.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

psgvit_status pv_ratio_make(pv_ratio *ratio, size_t per_record, double record_seconds, double rate,
                            psgvit_error *err)
{
    double points = record_seconds * rate; /* grid points of a record */
    uint64_t scale = 1;
    /* Ten digits behind the point: more than an EDF's 8 characters times a rate can have. */
    for (int digits = 0; digits < 10; digits++, scale *= 10) {
        double scaled = points * (double)scale;
        if (fabs(scaled - rint(scaled)) < 1e-9 * fmax(1.0, scaled))
            break;
    }
    double den = rint(points * (double)scale);
    uint64_t num;
    if (!(den >= 1.0 && den < 1e15) || !per_record || !pv_mul_u64(per_record, scale, &num))
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%zu samples in %g s can't be brought to %g Hz: out of range", per_record,
                       record_seconds, rate);
    uint64_t divisor = common_divisor(num, (uint64_t)den);
    *ratio = (pv_ratio){num / divisor, (uint64_t)den / divisor};
    return PSGVIT_OK;
}

/* Where pandas puts a grid point that is rest / den of a sample behind its sample: it is number j
 * of m between the two, and its weight is j / (m + 1). */
static double pandas_weight(const pv_ratio *ratio, double rest)
{
    double step = (double)ratio->num, j = ceil(rest / step);
    double behind = ceil(((double)ratio->den - rest) / step) - 1.0;
    return rest > 0.0 ? j / (j + behind + 1.0) : 0.0;
}

/* The position of bin b between two samples: bin 0 is on the first, the others share the rest. */
static double bin_fraction(const pv_resampler *r, size_t bin)
{
    if (!r->bins)
        return (double)bin / (double)r->ratio.den;
    return bin ? ((double)bin - 0.5) / (double)r->bins : 0.0;
}

static size_t bin_of(const pv_resampler *r, uint64_t rest)
{
    if (!r->bins)
        return (size_t)rest;
    return rest ? 1 + (size_t)((double)rest / (double)r->ratio.den * (double)r->bins) : 0;
}

static float *row(const pv_resampler *r, size_t phase)
{
    return r->tap + phase * r->taps;
}

/* Numbers the positions that differ: `key` becomes the fraction or weight of each phase. */
static void find_phases(pv_resampler *r, size_t bins, double *key)
{
    for (size_t bin = 0; bin < bins; bin++) {
        double value = bin_fraction(r, bin);
        if (r->between == PV_BETWEEN_PANDAS)
            value = pandas_weight(&r->ratio, value * (double)r->ratio.den);
        size_t phase = 0;
        while (phase < r->phases && key[phase] != value)
            phase++;
        if (phase == r->phases)
            key[r->phases++] = value;
        r->phase_of[bin] = (uint32_t)phase;
    }
}

/* fir * part [count], as floats. */
static void join(const pv_fir *fir, const double *part, size_t count, double *sum, float *tap)
{
    static const double identity = 1.0;
    const double *filter = fir->tap ? fir->tap : &identity;
    memset(sum, 0, (2 * fir->half + count) * sizeof *sum);
    for (size_t i = 0; i <= 2 * fir->half; i++)
        for (size_t j = 0; j < count; j++)
            sum[i + j] += filter[i] * part[j];
    for (size_t i = 0; i < 2 * fir->half + count; i++)
        tap[i] = (float)sum[i];
}

/* half: samples on each side that the interpolation needs, with the one at hand on the left. */
static psgvit_status fill(pv_resampler *r, const pv_fir *fir, const pv_band *band, size_t half,
                          const double *key, psgvit_error *err)
{
    size_t bytes;
    double *part = calloc(2 * half, 2 * sizeof *part);
    double *sum = calloc(2 * fir->half + 2 * half, sizeof *sum);
    if (!pv_mul(r->phases, r->taps, &bytes) || !pv_mul(bytes, sizeof *r->tap, &bytes))
        bytes = SIZE_MAX;
    else
        r->tap = pv_alloc(bytes);
    if (part && sum && r->tap) {
        memset(r->tap, 0, bytes);
        for (size_t phase = 0; phase < r->phases; phase++) {
            if (r->between == PV_BETWEEN_SINC)
                pv_band_taps(band, half, key[phase], part, part + 2 * half);
            else
                part[0] = 1.0 - key[phase], part[1] = key[phase];
            join(fir, part, 2 * half, sum, row(r, phase));
        }
    }
    bool made = part && sum && r->tap;
    free(part);
    free(sum);
    return made ? PSGVIT_OK : pv_fail_memory(err, "a resampler", bytes);
}

static psgvit_status make(pv_resampler *r, const pv_fir *fir, const pv_band *band,
                          psgvit_error *err)
{
    size_t half = r->between == PV_BETWEEN_SINC ? pv_band_half(band) : 1, most = PV_MOST_PHASES;
    /* Where there are many taps a sample is a small step of what passes, and so is half a bin. */
    while (r->between == PV_BETWEEN_SINC && most > 64 && most * half > 1 << 20)
        most /= 2;
    r->bins = r->ratio.den > most ? most : 0;
    r->before = fir->half + half - 1;
    r->after = fir->half + half;
    r->taps = (r->before + 1 + r->after + PV_TAPS_STEP - 1) / PV_TAPS_STEP * PV_TAPS_STEP;
    size_t bins = r->bins ? r->bins + 1 : (size_t)r->ratio.den;
    double *key = calloc(bins, sizeof *key);
    r->phase_of = calloc(bins, sizeof *r->phase_of);
    psgvit_status status = PSGVIT_OK;
    if (key && r->phase_of) {
        find_phases(r, bins, key);
        status = fill(r, fir, band, half, key, err);
    } else {
        status = pv_fail_memory(err, "a resampler", bins * sizeof *key);
    }
    free(key);
    return status;
}

psgvit_status pv_resampler_make(pv_resampler **resampler, pv_ratio ratio, pv_between between,
                                const pv_fir *fir, const pv_band *band, psgvit_error *err)
{
    pv_resampler *r = calloc(1, sizeof *r);
    *resampler = NULL;
    if (!r)
        return pv_fail_memory(err, "a resampler", sizeof *r);
    r->ratio = ratio;
    r->between = between;
    r->same = between == PV_BETWEEN_NONE && !fir->tap;
    psgvit_status status = make(r, fir, band, err);
    if (status)
        pv_resampler_free(r);
    else
        *resampler = r;
    return status;
}

void pv_resampler_free(pv_resampler *r)
{
    if (!r)
        return;
    pv_free(r->tap);
    free(r->phase_of);
    free(r);
}

/* A position: sample n and rest / den of the way to the next. i and den are below 2^53 / num, as
 * pv_pipeline_make sees to. */
typedef struct cursor {
    int64_t n;
    uint64_t rest;
} cursor;

static cursor seek(const pv_ratio *ratio, int64_t i)
{
    uint64_t at = i > 0 ? (uint64_t)i : 0;
    uint64_t part = at * (ratio->num % ratio->den);
    return (cursor){(int64_t)(at * (ratio->num / ratio->den) + part / ratio->den),
                    part % ratio->den};
}

static void advance(const pv_ratio *ratio, cursor *c)
{
    c->n += (int64_t)(ratio->num / ratio->den);
    c->rest += ratio->num % ratio->den;
    if (c->rest >= ratio->den) {
        c->rest -= ratio->den;
        c->n++;
    }
}

/* Only a sinc looks past the last sample, at what stands for it there. */
static void hold(const pv_resampler *r, int64_t length, cursor *c)
{
    if (r->between != PV_BETWEEN_SINC && c->n >= length - 1)
        *c = (cursor){length - 1, 0};
}

int64_t pv_resampler_position(const pv_resampler *r, int64_t i, int64_t length)
{
    cursor c = seek(&r->ratio, i);
    hold(r, length, &c);
    return c.n;
}

typedef float lanes __attribute__((vector_size(16), aligned(4), may_alias));

/* Every sum is that of even and of odd groups of four products, whichever function makes it: the
 * same bits on every machine, wherever a point lies in its piece. count is a multiple of
 * PV_TAPS_STEP, 8. */
static float finish(lanes even, lanes odd)
{
    even += odd;
    return (even[0] + even[1]) + (even[2] + even[3]);
}

static float dot(const float *tap, const float *x, size_t count)
{
    lanes even = {0}, odd = {0};
    const lanes *t = (const lanes *)(const void *)tap, *a = (const lanes *)(const void *)x;
    for (size_t i = 0; i < count / 4; i += 2) {
        even += t[i] * a[i];
        odd += t[i + 1] * a[i + 1];
    }
    return finish(even, odd);
}

/* Four points of one phase, `apart` samples from one to the next; in y `gap` apart. The taps are
 * loaded once for all, and eight sums hide the latency of an addition. */
static void dot4(const float *tap, const float *x, size_t apart, size_t count, float *y, size_t gap)
{
    lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0};
    const lanes *t = (const lanes *)(const void *)tap, *a = (const lanes *)(const void *)x;
    const lanes *b = (const lanes *)(const void *)(x + apart);
    const lanes *c = (const lanes *)(const void *)(x + 2 * apart);
    const lanes *d = (const lanes *)(const void *)(x + 3 * apart);
    for (size_t i = 0; i < count / 4; i += 2) {
        lanes even = t[i], odd = t[i + 1];
        s0 += even * a[i];
        s1 += odd * a[i + 1];
        s2 += even * b[i];
        s3 += odd * b[i + 1];
        s4 += even * c[i];
        s5 += odd * c[i + 1];
        s6 += even * d[i];
        s7 += odd * d[i + 1];
    }
    y[0] = finish(s0, s1);
    y[gap] = finish(s2, s3);
    y[2 * gap] = finish(s4, s5);
    y[3 * gap] = finish(s6, s7);
}

void pv_resample(const pv_resampler *r, int64_t first, size_t count, const float *x, int64_t origin,
                 int64_t length, float *y)
{
    cursor c = seek(&r->ratio, first);
    size_t den = (size_t)r->ratio.den, apart = (size_t)r->ratio.num, k = 0;
    if (r->same && c.n < length) {
        size_t left = (size_t)(length - c.n);
        k = count < left ? count : left;
        memcpy(y, x + (c.n - origin), k * sizeof *y);
        c.n += (int64_t)k;
    }
    /* Every den-th point has the same phase. Those that only the last sample stands for are left
     * to the end. */
    for (; !r->bins && count - k >= 4 * den; k += 4 * den) {
        if (r->between != PV_BETWEEN_SINC && c.n + 4 * (int64_t)apart >= length - 1)
            break;
        for (size_t j = 0; j < den; j++) {
            const float *from = x + (c.n - (int64_t)r->before - origin);
            dot4(row(r, r->phase_of[c.rest]), from, apart, r->taps, y + k + j, den);
            advance(&r->ratio, &c);
        }
        c.n += 3 * (int64_t)apart;
    }
    for (; k < count; k++) {
        cursor at = c;
        hold(r, length, &at);
        const float *from = x + (at.n - (int64_t)r->before - origin);
        y[k] = dot(row(r, r->phase_of[bin_of(r, at.rest)]), from, r->taps);
        advance(&r->ratio, &c);
    }
}
