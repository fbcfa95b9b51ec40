/* SPDX-License-Identifier: MIT */
/*
 * The search for one input of the model among the signals of a file: what fits a source of a table,
 * a label that the user gave, or a position. Finds all that fits equally well; whether that is one
 * too many is judged by montage.c.
 */
#ifndef PV_RECORDING_SEARCH_H
#define PV_RECORDING_SEARCH_H

#include "recording/edf.h"
#include "recording/labels.h"

enum { PV_PICKS = 6 };

typedef struct pv_pick {
    int plus, minus; /* minus -1: `plus` alone */
    bool inverted;   /* `plus` alone is minus - plus: "A2-C3" */
    bool substitute; /* not the reference that the lead's name says */
} pv_pick;

/* What of a signal is compared. */
typedef struct pv_index {
    char fold[PV_LABEL_TEXT]; /* with mastoids */
    pv_position position;
} pv_index;

typedef struct pv_search {
    const pv_edf *edf;
    const pv_index *index; /* [signals] */
    /* What was found: the first PV_PICKS of `picks`. */
    pv_pick pick[PV_PICKS];
    size_t picks;
    int unusable;   /* first signal that fits but is annotations or defective; -1 */
    char half[160]; /* of a difference, if one of its two alone is there: what is said of it; "" */
} pv_search;

void pv_index_make(pv_index *index, const pv_edf *edf);

/* Forgets what was found for the input before. */
void pv_search_begin(pv_search *search);
/* Each returns whether there are picks. By the sources of a cohort's table, which may be NULL: */
bool pv_search_sources(pv_search *search, const char *sources);
/* by a label of the user's: the label itself, folded, LABEL#2, or A-B in any of these forms; */
bool pv_search_given(pv_search *search, const char *label);
/* by a position, "C3", or the difference of two, "Fpz-Cz". */
bool pv_search_position(pv_search *search, const char *name);

/* Which one of the signals with its very label signal i is, from 1 on; 0: it is the only one. */
size_t pv_search_ordinal(const pv_edf *edf, size_t i);

#endif
