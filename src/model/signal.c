/* SPDX-License-Identifier: MIT */
/* Copies a signal: refuses, zeroes or passes on what is not finite, and clamps. */
#include "model/signal.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

static const float LIMIT = 6.0f; /* of OSF's loader, in standard deviations */

/* The first sample that is not finite; n if all are. It is searched for only in a block that has
 * one: counting takes vectors, searching does not. */
static size_t first_bad(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 256) {
        size_t end = n - i < 256 ? n : i + 256, bad = 0;
        for (size_t j = i; j < end; j++)
            bad += !(fabsf(x[j]) <= FLT_MAX);
        for (size_t j = i; bad && j < end; j++)
            if (!isfinite(x[j]))
                return j;
    }
    return n;
}

static psgvit_status refuse(const pv_signal *s, size_t at, psgvit_error *err)
{
    const size_t row = at / s->length, channel = row % s->channels;
    const char *name = s->names ? s->names[channel] : NULL;
    return pv_fail(err, PSGVIT_E_INPUT,
                   "epoch %zu, channel %zu%s%s%s, sample %zu is %s, expected a finite number",
                   s->first_epoch + row / s->channels, channel, name ? " (" : "", name ? name : "",
                   name ? ")" : "", at % s->length, isnan(s->samples[at]) ? "NaN" : "infinite");
}

/* Writes each sample once and reads none back: the memory may be write-combined. */
static void copy(const float *restrict x, size_t n, bool zero, float limit, float *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        float value = zero && !(fabsf(x[i]) <= FLT_MAX) ? 0.0f : x[i];
        /* Written so that a NaN fails both comparisons and stays. */
        float low = value < -limit ? -limit : value;
        y[i] = low > limit ? limit : low;
    }
}

/* Of one channel of an epoch. Where in the signal the sample is that it refuses, or SIZE_MAX. */
static size_t take_row(const pv_signal *s, size_t row, float *to)
{
    const size_t begin = row * s->length;
    const float *x = s->samples + begin;
    size_t bad = s->nan == PSGVIT_NAN_PROPAGATE ? s->length : first_bad(x, s->length);
    if (bad < s->length && s->nan == PSGVIT_NAN_REFUSE)
        return begin + bad;
    copy(x, s->length, bad < s->length, s->clamp ? LIMIT : INFINITY, to + begin);
    return SIZE_MAX;
}

psgvit_status pv_signal_take(const pv_signal *s, float *to, int threads, psgvit_error *err)
{
    size_t refused = SIZE_MAX;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : refused)
    for (size_t row = 0; row < s->epochs * s->channels; row++) {
        const size_t at = take_row(s, row, to);
        refused = at < refused ? at : refused;
    }
    return refused == SIZE_MAX ? PSGVIT_OK : refuse(s, refused, err);
}
