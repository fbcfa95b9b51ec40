/* SPDX-License-Identifier: MIT */
/* What is wrong with a signal as it was stored: stretches that stand still, samples at the ends of
 * the range. Piece by piece; pieces join to what the whole would have given. */
#ifndef PV_RECORDING_SCAN_H
#define PV_RECORDING_SCAN_H

#include <stddef.h>
#include <stdint.h>

typedef struct pv_scan {
    uint64_t samples, clipped;
    uint64_t flat;       /* in long runs of one value, but for those at the two ends */
    uint64_t head, tail; /* lengths of the runs at the two ends; samples each if it is all one */
    int32_t first, last; /* their values */
} pv_scan;

/* lowest and highest: of the digital range. A run of `run` samples, at least 2, is flat. */
pv_scan pv_scan_piece(const int32_t *values, size_t count, int32_t lowest, int32_t highest,
                      size_t run);
/* Appends a later piece. An empty `scan` is all zeros. */
void pv_scan_join(pv_scan *scan, const pv_scan *piece, size_t run);

/* Shares of all samples, 0 ... 1. */
double pv_scan_flat(const pv_scan *scan, size_t run);
double pv_scan_clipped(const pv_scan *scan);

#endif
