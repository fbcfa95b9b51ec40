/* SPDX-License-Identifier: MIT */
/* Makes the taps of a resampler, and multiplies by them. */
#include "recording/resample.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"

#include <math.h>
#include <stdbool.h>
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

/* Where pandas puts a grid point that is rest / den of a sample behind its sample: it is number j of
 * m between the two, and its weight is j / (m + 1). */
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
    size_t half = r->between == PV_BETWEEN_SINC ? pv_band_half(band) : 1;
    r->bins = r->ratio.den > PV_MOST_PHASES ? PV_MOST_PHASES : 0;
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

/* 8 floats; two registers where a register has 4. The order of the sums is that of this type, not
 * of the machine's: the same bits everywhere. */
typedef float lanes __attribute__((vector_size(PV_TAPS_STEP * sizeof(float)), aligned(4), may_alias));

/* count is a multiple of PV_TAPS_STEP. Four sums at once hide the latency of an addition. */
static float dot(const float *a, const float *b, size_t count)
{
    lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    const lanes *p = (const lanes *)(const void *)a, *q = (const lanes *)(const void *)b;
    size_t i = 0, n = count / PV_TAPS_STEP;
    for (; i + 4 <= n; i += 4) {
        s0 += p[i] * q[i];
        s1 += p[i + 1] * q[i + 1];
        s2 += p[i + 2] * q[i + 2];
        s3 += p[i + 3] * q[i + 3];
    }
    for (; i < n; i++)
        s0 += p[i] * q[i];
    s0 = (s0 + s1) + (s2 + s3);
    return ((s0[0] + s0[4]) + (s0[1] + s0[5])) + ((s0[2] + s0[6]) + (s0[3] + s0[7]));
}

void pv_resample(const pv_resampler *r, int64_t first, size_t count, const float *x, int64_t origin,
                 int64_t length, float *y)
{
    cursor c = seek(&r->ratio, first);
    for (size_t k = 0; k < count; k++) {
        cursor at = c;
        hold(r, length, &at);
        const float *from = x + (at.n - (int64_t)r->before - origin);
        y[k] = dot(from, row(r, r->phase_of[bin_of(r, at.rest)]), r->taps);
        advance(&r->ratio, &c);
    }
}
