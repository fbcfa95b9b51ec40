/* SPDX-License-Identifier: MIT */
/*
 * Which epochs a recording has, and when. They lie on a grid from the file's start on, so that a
 * hypnogram lines up whatever is missing; one that would contain a gap is left out.
 */
#ifndef PV_RECORDING_WINDOWS_H
#define PV_RECORDING_WINDOWS_H

#include "recording/edf.h"

/* Epochs of one segment. */
typedef struct pv_window_run {
    size_t segment;
    size_t first; /* its first epoch's number on the grid; */
    size_t index; /* and among those that are not left out */
    size_t count;
} pv_window_run;

typedef struct pv_windows {
    double length, stride; /* s */
    size_t count, skipped;
    size_t runs;
    pv_window_run *run; /* [runs], in time; none is empty */
} pv_windows;

/* PSGVIT_E_INPUT if there is no epoch at all. */
psgvit_status pv_windows_make(pv_windows *windows, const pv_edf *edf, double length, double stride,
                              psgvit_error *err);
void pv_windows_free(pv_windows *windows);

/* The run that epoch `index` < count is in. */
const pv_window_run *pv_windows_find(const pv_windows *windows, size_t index);
/* Seconds from the file's start; 0 if there is no such epoch. */
double pv_windows_start(const pv_windows *windows, size_t index);
double pv_windows_skipped(const pv_windows *windows, size_t i);

#endif
