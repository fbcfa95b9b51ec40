/* SPDX-License-Identifier: MIT */
/* Filter design, in double: windowed sincs, and a Butterworth filter as its impulse response. */
#include "recording/filter.h"

#include "base/checked.h"
#include "base/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* A length over a transition band of 1: what MNE takes for a Hamming window. */
static const double hamming_length = 3.3;

/* Of a Kaiser window: beta and the length over a transition band of 1 (in radians a sample) for
 * 80 dB, by Kaiser's formulas. */
static const double kaiser_beta = 0.1102 * (80.0 - 8.7);
static const double kaiser_length = (80.0 - 7.95) / 2.285;

void pv_fir_free(pv_fir *fir)
{
    free(fir->tap);
    *fir = (pv_fir){0};
}

static psgvit_status allocate(pv_fir *fir, size_t half, psgvit_error *err)
{
    size_t bytes;
    *fir = (pv_fir){.half = half};
    if (!pv_mul(half, 2 * sizeof(double), &bytes) || !pv_add(bytes, sizeof(double), &bytes))
        bytes = SIZE_MAX;
    else
        fir->tap = calloc(1, bytes);
    return fir->tap ? PSGVIT_OK : pv_fail_memory(err, "a filter", bytes);
}

static double sinc(double x)
{
    return x == 0.0 ? 1.0 : sin(pi * x) / (pi * x);
}

/* Adds sign times SciPy's firwin(numtaps, cutoff, window='hamming') to the middle of fir, where
 * numtaps is what MNE takes for a transition band of that width. Hz. */
static psgvit_status add_lowpass(pv_fir *fir, double sign, double rate, double cutoff, double width,
                                 psgvit_error *err)
{
    size_t count = (size_t)rint(hamming_length / (width / rate));
    size_t half = count / 2 < fir->half ? count / 2 : fir->half; /* count, made odd */
    pv_fir part;
    PV_TRY(allocate(&part, half, err));
    double c = 2.0 * cutoff / rate, sum = 0.0;
    for (size_t i = 0; i <= 2 * half; i++) {
        double m = (double)i - (double)half;
        double window = half ? 0.54 - 0.46 * cos(pi * (double)i / (double)half) : 1.0;
        part.tap[i] = c * sinc(c * m) * window;
        sum += part.tap[i];
    }
    double *middle = fir->tap + fir->half - half;
    for (size_t i = 0; i <= 2 * half; i++)
        middle[i] += sign * (part.tap[i] / sum);
    pv_fir_free(&part);
    return PSGVIT_OK;
}

/* Room for MNE's filter_length='auto': by the narrowest transition band, made odd. */
static psgvit_status begin(pv_fir *fir, double rate, double width, psgvit_error *err)
{
    double count = ceil(hamming_length / width * rate);
    if (!(count < 1e8))
        return pv_fail(err, PSGVIT_E_INPUT,
                       "a filter with a transition band of %g Hz at %g Hz would be too long", width,
                       rate);
    return allocate(fir, (size_t)count / 2, err);
}

psgvit_status pv_fir_mne(pv_fir *fir, double rate, double high_pass, double low_pass,
                         psgvit_error *err)
{
    double l = high_pass > 0.0 ? fmin(fmax(0.25 * high_pass, 2.0), high_pass) : INFINITY;
    double h = low_pass > 0.0 ? fmin(fmax(0.25 * low_pass, 2.0), rate / 2.0 - low_pass) : INFINITY;
    *fir = (pv_fir){0};
    if (isinf(l) && isinf(h))
        return PSGVIT_OK;
    PV_TRY(begin(fir, rate, fmin(l, h), err));
    psgvit_status status = PSGVIT_OK;
    if (low_pass > 0.0)
        status = add_lowpass(fir, 1.0, rate, low_pass + h / 2.0, h, err);
    else
        fir->tap[fir->half] = 1.0;
    if (!status && high_pass > 0.0)
        status = add_lowpass(fir, -1.0, rate, high_pass - l / 2.0, l, err);
    if (status)
        pv_fir_free(fir);
    return status;
}

psgvit_status pv_fir_notch(pv_fir *fir, double rate, double notch, psgvit_error *err)
{
    double width = notch / 200.0, band = 0.5; /* half of trans_bandwidth = 1 */
    PV_TRY(begin(fir, rate, band, err));
    fir->tap[fir->half] = 1.0;
    psgvit_status status =
        add_lowpass(fir, -1.0, rate, notch + width / 2.0 + band / 2.0, band, err);
    if (!status)
        status = add_lowpass(fir, 1.0, rate, notch - width / 2.0 - band / 2.0, band, err);
    if (status)
        pv_fir_free(fir);
    return status;
}

/* One of the two sections of a Butterworth low-pass of order 4: y = b (x + 2 x' + x'') - a1 y' -
 * a2 y'', by the bilinear transform of a prototype with Q = 1 / (2 cos angle). */
typedef struct section {
    double b, a1, a2, x1, x2, y1, y2;
} section;

static section butterworth_section(double rate, double cutoff, double angle)
{
    double w = tan(pi * cutoff / rate), d = 2.0 * cos(angle) * w, w2 = w * w;
    double a0 = 1.0 + d + w2;
    return (section){.b = w2 / a0, .a1 = 2.0 * (w2 - 1.0) / a0, .a2 = (1.0 - d + w2) / a0};
}

static double step(section *s, double x)
{
    double y = s->b * (x + 2.0 * s->x1 + s->x2) - s->a1 * s->y1 - s->a2 * s->y2;
    s->x2 = s->x1, s->x1 = x;
    s->y2 = s->y1, s->y1 = y;
    return y;
}

psgvit_status pv_fir_butterworth(pv_fir *fir, double rate, double low_pass, psgvit_error *err)
{
    section s[2] = {butterworth_section(rate, low_pass, pi / 8.0),
                    butterworth_section(rate, low_pass, 3.0 * pi / 8.0)};
    /* A pair of complex poles decays by sqrt(a2) a sample, two real ones by the larger. */
    double decay = 0.0;
    for (size_t i = 0; i < 2; i++) {
        double d = s[i].a1 * s[i].a1 / 4.0 - s[i].a2;
        decay = fmax(decay, d < 0.0 ? sqrt(s[i].a2) : fabs(s[i].a1) / 2.0 + sqrt(d));
    }
    size_t half = (size_t)ceil(log(1e-12) / log(fmin(fmax(decay, 0.01), 0.999999)));
    double *response = calloc(2 * half + 1, sizeof *response);
    if (!response)
        return pv_fail_memory(err, "a filter", (2 * half + 1) * sizeof *response);
    for (size_t i = 0; i <= 2 * half; i++)
        response[i] = step(&s[1], step(&s[0], i == 0 ? 1.0 : 0.0));
    psgvit_status status = allocate(fir, half, err);
    /* Forwards, then backwards: the response correlated with itself. */
    for (size_t lag = 0; !status && lag <= half; lag++) {
        double sum = 0.0;
        for (size_t i = 0; i + lag <= 2 * half; i++)
            sum += response[i] * response[i + lag];
        fir->tap[half - lag] = fir->tap[half + lag] = sum;
    }
    free(response);
    return status;
}

psgvit_status pv_fir_join(pv_fir *fir, const pv_fir *other, psgvit_error *err)
{
    if (!other->tap)
        return PSGVIT_OK;
    pv_fir joined;
    PV_TRY(allocate(&joined, fir->half + other->half, err));
    static const double identity = 1.0;
    const double *tap = fir->tap ? fir->tap : &identity;
    for (size_t i = 0; i <= 2 * fir->half; i++)
        for (size_t j = 0; j <= 2 * other->half; j++)
            joined.tap[i + j] += tap[i] * other->tap[j];
    pv_fir_free(fir);
    *fir = joined;
    return PSGVIT_OK;
}

/* Modified Bessel function of the first kind, order 0, by its power series; x is small here. */
static double bessel(double x)
{
    double term = 1.0, sum = 1.0;
    for (double k = 1.0; term > 1e-17 * sum; k += 1.0) {
        term *= (x / (2.0 * k)) * (x / (2.0 * k));
        sum += term;
    }
    return sum;
}

size_t pv_band_half(const pv_band *band)
{
    double width = INFINITY;
    if (band->low_stop > 0.0)
        width = band->low_stop - band->low_pass;
    if (band->high_pass > 0.0)
        width = fmin(width, band->high_pass - band->high_stop);
    if (isinf(width))
        return 1;
    return (size_t)ceil(kaiser_length / (2.0 * pi * width) / 2.0) + 1;
}

/* Adds sign times a low-pass with the level 1. */
static void add_band_edge(double sign, double cutoff, size_t half, double fraction, double *part,
                          double *tap)
{
    double sum = 0.0, norm = bessel(kaiser_beta);
    for (size_t i = 0; i < 2 * half; i++) {
        double t = (double)i - (double)(half - 1) - fraction, r = t / (double)half;
        double window = bessel(kaiser_beta * sqrt(fmax(0.0, 1.0 - r * r))) / norm;
        part[i] = sinc(2.0 * cutoff * t) * window;
        sum += part[i];
    }
    for (size_t i = 0; i < 2 * half; i++)
        tap[i] += sign * part[i] / sum;
}

void pv_band_taps(const pv_band *band, size_t half, double fraction, double *tap, double *part)
{
    memset(tap, 0, 2 * half * sizeof *tap);
    if (band->low_stop > 0.0)
        add_band_edge(1.0, (band->low_pass + band->low_stop) / 2.0, half, fraction, part, tap);
    else
        tap[half - 1] = 1.0;
    if (band->high_pass > 0.0)
        add_band_edge(-1.0, (band->high_pass + band->high_stop) / 2.0, half, fraction, part, tap);
}
