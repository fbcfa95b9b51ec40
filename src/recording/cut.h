/* SPDX-License-Identifier: MIT */
/* From the grids of a piece to epochs [C, T] in the model's rate and scale. */
#ifndef PV_RECORDING_CUT_H
#define PV_RECORDING_CUT_H

#include "recording/night.h"
#include "recording/windows.h"

typedef struct pv_cutter {
    const pv_pipeline *pipeline;
    const pv_recipe *recipe;
    size_t samples; /* T */
    double *mean;   /* [leads] PV_SCALING_NIGHT: of the night, and */
    double *factor; /* [leads] one by its deviation; 0: zeros. Else the recipe's scale */
} pv_cutter;

/* The grid points of a lead that epochs need which start `first` and `last` seconds after the
 * file's start, in a segment that starts at `onset`. */
pv_range pv_cut_range(const pv_cutter *cutter, size_t lead, double onset, double first,
                      double last);
/* One epoch [leads, T] that starts `start` seconds after the file's start, out of what the worker
 * has made of range [leads]. */
void pv_cut(const pv_cutter *cutter, const pv_worker *worker, const pv_range *range, double onset,
            double start, float *epoch);

#endif
