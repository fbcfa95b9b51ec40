/* SPDX-License-Identifier: MIT */
/*
 * From the signals of an EDF to the epochs of a model: units, derivation, filters, rate, scale, by
 * the recipe of a preset. Streaming: what needs the whole night (mean and deviation, flat and
 * clipped samples) is gathered in a first pass over the file, the epochs come in a second, and
 * memory grows with neither the length of the night nor its rate.
 */
#ifndef PV_RECORDING_PREPARE_H
#define PV_RECORDING_PREPARE_H

#include "recording/montage.h"

typedef struct pv_prepare pv_prepare;

/* Makes the first pass. Fills the EDF half of `info` (channels' flat and clipped, rate, epochs,
 * skipped ...). edf and montage must outlive it. */
psgvit_status pv_prepare_open(pv_prepare **prepare, const pv_edf *edf, pv_montage *montage,
                              const psgvit_recording_params *params, psgvit_recording_info *info,
                              psgvit_error *err);
/* The next epochs, at most `capacity`, to signal [epochs, C, T]; 0 at the end. */
psgvit_status pv_prepare_read(pv_prepare *prepare, float *signal, size_t capacity, size_t *epochs,
                              psgvit_error *err);
/* Seconds from the file's start to epoch `index`, and to the i-th one that was left out. */
double pv_prepare_start(const pv_prepare *prepare, size_t index);
double pv_prepare_skipped(const pv_prepare *prepare, size_t i);
/* NULL is allowed. */
void pv_prepare_close(pv_prepare *prepare);

#endif
