/* SPDX-License-Identifier: MIT */
/*
 * From a source's samples to a grid of another rate. Filter and interpolation are one set of taps
 * for each position that a grid point can have between two samples, so that a filter costs as much
 * as the points that are kept, not as the samples that went in.
 */
#ifndef PV_RECORDING_RESAMPLE_H
#define PV_RECORDING_RESAMPLE_H

#include "recording/filter.h"

#include <stdbool.h>
#include <stdint.h>

/* Source samples per grid point, num / den in lowest terms. */
typedef struct pv_ratio {
    uint64_t num, den;
} pv_ratio;

/* Of per_record samples in record_seconds to `rate` Hz. Exact for decimal record_seconds and rate,
 * as headers have them. PSGVIT_E_INPUT if it can't be told. */
psgvit_status pv_ratio_make(pv_ratio *ratio, size_t per_record, double record_seconds, double rate,
                            psgvit_error *err);

typedef enum pv_between {
    PV_BETWEEN_NONE = 0, /* the ratio is 1 */
    PV_BETWEEN_PANDAS,   /* as DataFrame.interpolate(method='linear') on the union of both indices,
                            which spaces the grid points between two samples evenly, whatever their
                            times; behind the last sample, that one */
    PV_BETWEEN_SINC,     /* band-limited, by a pv_band */
} pv_between;

typedef struct pv_resampler {
    pv_ratio ratio;
    pv_between between;
    bool same;     /* NONE, without a filter: the grid is the source */
    size_t before; /* samples that are needed before the one at or before a grid point, */
    size_t after;  /* and behind it */
    size_t taps;   /* before + 1 + after, and zeros up to a multiple of PV_TAPS_STEP */
    size_t phases;
    size_t bins;        /* 0, or how many parts of a sample positions are rounded to, as there are
                           too many: den is beyond PV_MOST_PHASES, or less with many taps */
    uint32_t *phase_of; /* [den or bins + 1] which taps */
    float *tap;         /* [phases, taps] */
} pv_resampler;

enum {
    PV_TAPS_STEP = 8,
    PV_MOST_PHASES = 1024,
};

/* `fir` comes first (its tap may be NULL); `band` is for PV_BETWEEN_SINC alone. */
psgvit_status pv_resampler_make(pv_resampler **resampler, pv_ratio ratio, pv_between between,
                                const pv_fir *fir, const pv_band *band, psgvit_error *err);
void pv_resampler_free(pv_resampler *resampler);

/* The sample at or before grid point i of a source that begins with both; PV_BETWEEN_PANDAS and
 * NONE: at most the last of `length`. */
int64_t pv_resampler_position(const pv_resampler *resampler, int64_t i, int64_t length);

/* Grid points first ... first + count - 1 of a source of `length` samples. x[0] is sample `origin`;
 * it must hold what the positions need before and behind, and PV_TAPS_STEP more that may be read.
 * Thread-safety: safe. */
void pv_resample(const pv_resampler *resampler, int64_t first, size_t count, const float *x,
                 int64_t origin, int64_t length, float *y);

#endif
