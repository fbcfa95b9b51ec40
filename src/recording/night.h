/* SPDX-License-Identifier: MIT */
/*
 * The first pass over a recording: mean and deviation of each lead's grid, flat and clipped samples
 * of each signal. Pieces are gathered in the order of the night whoever made them, so the number of
 * threads changes no bit.
 */
#ifndef PV_RECORDING_NIGHT_H
#define PV_RECORDING_NIGHT_H

#include "recording/pipeline.h"

typedef struct pv_moments {
    double count, mean, squares; /* squares: sum of squared distances from the mean */
} pv_moments;

typedef struct pv_night {
    pv_moments *lead; /* [leads]; count 0 where the recipe asks for none */
    pv_scan *scan;    /* [used signals] */
} pv_night;

psgvit_status pv_night_make(pv_night *night, const pv_pipeline *pipeline, const pv_recipe *recipe,
                            double piece_seconds, pv_worker *worker, size_t workers,
                            psgvit_error *err);
void pv_night_free(pv_night *night);

/* Samples from which on a run of signal i of the file is flat: a second's. */
size_t pv_night_flat_run(const pv_edf *edf, size_t i);

#endif
