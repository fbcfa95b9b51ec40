/* SPDX-License-Identifier: MIT */
/*
 * Designs of zero-phase filters. All of them are symmetric impulse responses: also what is applied
 * forwards and backwards, FIR or IIR, is one such response, so that a filter can be evaluated where
 * an output is kept, joined with the next one, and started anywhere in a night. Specifications: the
 * reference manuals of MNE-Python's create_filter and SciPy's firwin.
 */
#ifndef PV_RECORDING_FILTER_H
#define PV_RECORDING_FILTER_H

#include <psgvit/psgvit.h>

#include <stddef.h>

/* y[n] = sum of tap[half + j] * x[n + j] over j = -half ... half. */
typedef struct pv_fir {
    size_t half;
    double *tap; /* [2 * half + 1]; owned; NULL: the identity */
} pv_fir;

void pv_fir_free(pv_fir *fir);

/* What mne.filter.create_filter makes with its defaults (firwin, Hamming, transition bands and
 * length 'auto') for l_freq = high_pass and h_freq = low_pass, 0 for None. rate, in Hz as all
 * others: more than 2 * low_pass and 2 * high_pass * 0.875. */
psgvit_status pv_fir_mne(pv_fir *fir, double rate, double high_pass, double low_pass,
                         psgvit_error *err);
/* What mne.filter.notch_filter applies with its defaults. rate: more than 2.005 * notch + 1. */
psgvit_status pv_fir_notch(pv_fir *fir, double rate, double notch, psgvit_error *err);
/* MNE's method 'iir' with its defaults, a Butterworth low-pass of order 4 that runs forwards and
 * backwards: its impulse response, cut where what is left is below 1e-10 of all. */
psgvit_status pv_fir_butterworth(pv_fir *fir, double rate, double low_pass, psgvit_error *err);
/* fir becomes the filter that applies fir and then other. */
psgvit_status pv_fir_join(pv_fir *fir, const pv_fir *other, psgvit_error *err);

/* A band as a Kaiser-windowed sinc of 80 dB, which can be evaluated between samples. Edges in
 * cycles a sample. */
typedef struct pv_band {
    double high_stop, high_pass; /* both 0: down to 0 Hz */
    double low_pass, low_stop;   /* both 0: no low-pass; then only at whole samples */
} pv_band;

/* The samples that the response needs on each side. */
size_t pv_band_half(const pv_band *band);
/* tap[i], i = 0 ... 2 * half - 1, is the response at i - (half - 1) - fraction: of an output
 * `fraction` of a sample (0 ... 1) behind the sample under tap[half - 1]. They sum to what the band
 * passes at 0 Hz, 1 or 0. part: scratch of 2 * half. */
void pv_band_taps(const pv_band *band, size_t half, double fraction, double *tap, double *part);

#endif
