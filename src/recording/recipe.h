/* SPDX-License-Identifier: MIT */
/*
 * The presets: what each does to which lead, as numbers. A recipe is a whole preset with the
 * caller's wishes; a route is what it makes of one source, up to the lead's grid: a regular one
 * from the segment's start on, at a rate that need not be the model's.
 */
#ifndef PV_RECORDING_RECIPE_H
#define PV_RECORDING_RECIPE_H

#include "recording/convolve.h"
#include "recording/edf.h"
#include "recording/resample.h"

typedef enum pv_scaling {
    PV_SCALING_UNIT = 0, /* times the recipe's scale */
    PV_SCALING_NIGHT,    /* z-score over the night */
    PV_SCALING_WINDOW,   /* z-score over each window */
} pv_scaling;

typedef struct pv_recipe {
    psgvit_prep prep; /* never PSGVIT_PREP_DEFAULT */
    pv_scaling scaling;
    double scale;          /* from uV to what the model takes; none: not from uV */
    double rate;           /* Hz of the epochs */
    double night_seconds;  /* of the night that its statistics are taken from */
    double stride_quantum; /* s that strides are multiples of; 0: any */
    bool polyphase;        /* EEGPT: band-limited, else nearest */
    bool average;          /* EEGPT: minus the mean of the leads that were found */
} pv_recipe;

/* PSGVIT_E_ARGUMENT for what does not go together. */
psgvit_status pv_recipe_make(pv_recipe *recipe, const psgvit_recording_params *params,
                             const char *const *names, size_t count, psgvit_error *err);

/* All `count` names are OSF's, in any order. */
bool pv_recipe_is_osf(const char *const *names, size_t count);

typedef struct pv_route {
    double grid_rate;     /* Hz */
    pv_ratio pick;        /* grid points per sample of an epoch */
    bool blend;           /* linear between grid points, inside an epoch; else the one before */
    bool level;           /* a constant passes; else it becomes 0 */
    bool late;            /* grid point 0 is left out of statistics, and stands for a later one */
    pv_convolver *filter; /* at the source's rate, before the resampler; NULL: none */
    pv_resampler *resampler;
} pv_route;

enum {
    PV_WHY = 96,
    PV_MOST_RATE = 20000, /* Hz of a source or of epochs: filters grow with it */
};

/* For `lead` from signal `signal`. *why becomes a sentence, and the route nothing, if this rate
 * can't be used; "" if it can. */
psgvit_status pv_route_make(pv_route *route, const pv_recipe *recipe, const char *lead,
                            const pv_edf *edf, size_t signal, char why[PV_WHY], psgvit_error *err);
void pv_route_free(pv_route *route);

/* Whether two leads' routes from sources of one rate are the same. */
bool pv_recipe_same_route(const pv_recipe *recipe, const char *a, const char *b);

#endif
