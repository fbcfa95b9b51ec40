/* SPDX-License-Identifier: MIT */
/* A header of an EDF made by hand, and what a montage makes of it. */
#ifndef MONTAGE_CASE_H
#define MONTAGE_CASE_H

#include "base/leads.h"
#include "recording/montage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CASE_SIGNALS = 64 };

typedef struct montage_case {
    psgvit_recording_params params;
    const char *const *names; /* NULL: OSF's leads */
    size_t count;
    pv_edf edf;
    pv_edf_signal signal[CASE_SIGNALS];
    pv_montage montage;
    psgvit_error err;
} montage_case;

/* Signals of these labels, with ',' between them, in uV at 256 Hz; "EDF Annotations" are such. */
void case_signals(montage_case *m, const char *labels);
/* One more. */
void case_add(montage_case *m, const char *label, const char *unit, double rate);
/* `count` signals "a 0", "a 1" ... in memory of their own: free(m->edf.signal). */
void case_many(montage_case *m, size_t count);

/* Makes the montage and checks the status. */
void case_make(montage_case *m, psgvit_status expected);
/* The message holds this text. */
void case_message(const montage_case *m, const char *text);
const pv_lead *case_lead(const montage_case *m, const char *name);
void case_free(montage_case *m);

#endif
