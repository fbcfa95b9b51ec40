/* SPDX-License-Identifier: MIT */
/*
 * Long filters by FFT: a high-pass at 0.1 Hz has 16,501 taps at 500 Hz, too many to multiply by for
 * every sample that is kept.
 */
#ifndef PV_RECORDING_CONVOLVE_H
#define PV_RECORDING_CONVOLVE_H

#include "recording/filter.h"

typedef struct pv_convolver {
    size_t half;     /* samples needed on each side */
    size_t size;     /* of the transform, a power of 2 */
    double *root;    /* [size / 2, 2] exp(-2 pi i k / size) */
    double *product; /* [size, 2] spectrum of all the filters, in the order of the transform */
} pv_convolver;

/* All `count` filters, one after the other. */
psgvit_status pv_convolver_make(pv_convolver **convolver, const pv_fir *filters, size_t count,
                                psgvit_error *err);
void pv_convolver_free(pv_convolver *convolver);

/* y[i], i < count, from x[i] ... x[i + 2 * half]. work: [2 * size]. Thread-safety: safe. */
void pv_convolve(const pv_convolver *convolver, const float *x, size_t count, float *y,
                 double *work);

#endif
