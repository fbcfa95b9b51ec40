/* SPDX-License-Identifier: MIT */
/*
 * Which signals of a file make the model's inputs: by the user's aliases (alias_text.h), by the
 * tables of a cohort (aliases.h), by 10-20 positions. A channel that the file has goes before a
 * difference, also where OSF's own preparation derived E1_A2 and E2_A1 over a direct one. What is
 * ambiguous is an error that lists the candidates; what is missing is said. A signal that can't be
 * used counts as if it were not there, and is named in the note. No samples are touched here.
 */
#ifndef PV_RECORDING_MONTAGE_H
#define PV_RECORDING_MONTAGE_H

#include "recording/edf.h"

/* One input of the model: plus_scale * signal[plus] - minus_scale * signal[minus]. */
typedef struct pv_lead {
    psgvit_channel report; /* but for flat and clipped; its strings belong to the montage */
    int plus;              /* -1: missing */
    int minus;             /* -1: nothing is subtracted */
    double plus_scale, minus_scale; /* to uV: 1000 for mV, 1 for what is no voltage; negative where
                                       one signal is the reverse ("A2-C3"). Not for a header with
                                       physical_min > physical_max: the gain has that sign */
} pv_lead;

typedef struct pv_montage {
    psgvit_cohort cohort; /* that was used */
    size_t count;
    pv_lead *lead; /* [count] */
    char *text;    /* behind the strings of the reports */
} pv_montage;

/* Finds the inputs `names` [count] among the signals of `edf` by params' cohort and aliases. OSF's
 * leads are searched for by the cohorts' tables, other names as 10-20 positions (old names, cases,
 * "EEG Fpz-Cz", "FP1-REF"); an input that is called "" is missing. PSGVIT_E_INPUT if a name is
 * ambiguous or none was found at all; PSGVIT_E_ARGUMENT for aliases that can't be read or name no
 * input. The recognised cohort, aliases of which none is there, and electrodes of no known position
 * go to the log. On failure there is nothing to free. */
psgvit_status pv_montage_make(pv_montage *montage, const pv_edf *edf, const char *const *names,
                              size_t count, const psgvit_recording_params *params,
                              psgvit_error *err);
void pv_montage_free(pv_montage *montage);

#endif
