/* SPDX-License-Identifier: MIT */
/*
 * From data records to the grids of all leads, a piece of the night at a time: read, subtract,
 * filter, resample. Any piece can be made alone, from the file: what a filter needs before and
 * behind it is read again. So pieces can be made in any order and by any thread, with the same
 * bits.
 */
#ifndef PV_RECORDING_PIPELINE_H
#define PV_RECORDING_PIPELINE_H

#include "recording/montage.h"
#include "recording/recipe.h"
#include "recording/scan.h"

/* gain * (offset + digital), in the lead's unit and with its sign. */
typedef struct pv_term {
    size_t used; /* index among the used signals */
    double gain, offset;
} pv_term;

/* One signal, or two of one rate, through one route. */
typedef struct pv_track {
    size_t terms, signal; /* signal: of the file, one of its terms */
    pv_term term[2];
    const pv_route *route;
} pv_track;

/* A lead is the sum of its tracks: two where two signals of different rates are subtracted. */
typedef struct pv_made_lead {
    size_t tracks; /* 0: missing */
    pv_track track[2];
} pv_made_lead;

/* A route, and whom it was made for. */
typedef struct pv_made_route {
    pv_route route;
    const char *lead;
    size_t per_record;
} pv_made_route;

typedef struct pv_pipeline {
    const pv_edf *edf;
    size_t leads, routes, used;
    pv_made_lead *lead;   /* [leads] */
    size_t *used_signal;  /* [used] each signal of the file that a lead is made of, once */
    pv_made_route *route; /* [routes] */
    double reach;         /* s that filters need on each side, at most */
} pv_pipeline;

/* Pieces that a team makes for each of its threads before they wait for each other: a thread that
 * others keep waiting is then not waited for at every piece. */
enum { PV_PIECES_A_THREAD = 4 };

/* Grid points of a segment. */
typedef struct pv_range {
    int64_t first;
    size_t count;
} pv_range;

/* What one thread works in, and what it has made. */
typedef struct pv_worker {
    void *raw, *digital, *x, *filtered, *work; /* grow to the size of a piece */
    size_t raw_room, digital_room, x_room, filtered_room, work_room;
    size_t first, count; /* records of the segment that are in raw and digital */
    float **grid;        /* [leads] the points of the lead's range; */
    size_t *grid_room;   /* and in bytes what it has room for */
    double *level;       /* [leads] to be added to each of them */
} pv_worker;

/* Leads of the montage that can't be prepared become missing: why [PV_WHY] of each lead says it. */
psgvit_status pv_pipeline_make(pv_pipeline *pipeline, const pv_recipe *recipe, const pv_edf *edf,
                               const pv_montage *montage, char (*why)[PV_WHY], psgvit_error *err);
void pv_pipeline_free(pv_pipeline *pipeline);

psgvit_status pv_worker_make(pv_worker *worker, const pv_pipeline *pipeline, psgvit_error *err);
void pv_worker_free(pv_worker *worker, const pv_pipeline *pipeline);

/* Makes range[lead] of each lead (count 0: nothing) of a segment. Records [first, first + count) of
 * the segment are read whatever the ranges need. Thread-safety: one thread a worker. */
psgvit_status pv_pipeline_run(const pv_pipeline *pipeline, pv_worker *worker, size_t segment,
                              const pv_range *range, size_t first, size_t count, psgvit_error *err);

/* Samples of a used signal as they are stored, records worker->first and on. */
const int32_t *pv_worker_digital(const pv_pipeline *pipeline, const pv_worker *worker, size_t used);

#endif
