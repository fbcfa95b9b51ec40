/* SPDX-License-Identifier: MIT */
/* The options of osf-infer and eegpt-infer that say how an EDF becomes epochs. */
#ifndef TOOLS_INFER_EDF_OPTIONS_H
#define TOOLS_INFER_EDF_OPTIONS_H

#include "cli.h"

#include <psgvit/recording.h>

/* The two tools; a bit each. */
enum { INFER_OSF = 1, INFER_EEGPT = 2, INFER_BOTH = INFER_OSF | INFER_EEGPT };

/* What getopt_long calls these options; infer_options.c numbers its own below. */
enum {
    OPT_COHORT = 512,
    OPT_ALIAS,
    OPT_PREP,
    OPT_UNIT,
    OPT_REREF,
    OPT_RESAMPLE,
    OPT_WINDOW,
    OPT_STRIDE,
    OPT_EDF_END,
};

typedef struct infer_edf_options {
    psgvit_cohort cohort;
    psgvit_prep prep;
    psgvit_unit unit;
    psgvit_reref reref;
    psgvit_resample resample;
    double window_seconds, stride_seconds; /* 0: not given */
    char *aliases;                         /* lines NAME=LABEL,...; NULL: none; owned */
} infer_edf_options;

/* Takes the value of option OPT_COHORT ... for one of the tools. Returns 0, or a code once a
 * sentence has been said: CLI_USAGE, or CLI_INPUT or CLI_MEMORY for a file of aliases. */
int infer_edf_option(infer_edf_options *o, int tool, int option, const char *value);
/* The first option given that an input other than EDF must not silently ignore, such as "--prep";
 * NULL: none. The channels of other files have no names and are prepared already. */
const char *infer_edf_only(const infer_edf_options *o);
void infer_edf_options_free(infer_edf_options *o);

#endif
