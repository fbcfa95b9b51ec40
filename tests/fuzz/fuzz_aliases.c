/* SPDX-License-Identifier: MIT */
/* The user's aliases from hostile bytes, and a file whose labels are made of the same bytes: every
 * way of finding, every sentence. */
#include "base/leads.h"
#include "recording/montage.h"

#include <stdlib.h>
#include <string.h>

enum { SIGNALS = 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *user, psgvit_log_level level, const char *line)
{
    (void)user, (void)level, (void)line;
}

/* Labels are the last bytes, 16 a signal, so that aliases in front can name them. */
static void make_signals(pv_edf_signal *signals, const char *text, size_t size)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        pv_edf_signal *s = &signals[i];
        size_t at = size > 16 * (i + 1) ? size - 16 * (i + 1) : 0;
        *s = (pv_edf_signal){.physical_max = 1, .digital_max = 1, .rate = 1};
        strncpy(s->label, text + at, 16);
        strncpy(s->unit, text + at, 8);
        s->annotations = s->label[0] == '!';
        strcpy(s->defect, s->label[0] == '?' ? "it is broken" : "");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const electrodes[] = {"C3", "T7", "Fpz-Cz", "EEG A1-Ref", ""};
    psgvit_recording_params params = {.log = ignore};
    pv_edf_signal signals[SIGNALS];
    pv_source source = {.fd = -1};
    pv_edf edf = {.source = &source, .signals = SIGNALS, .signal = signals};
    psgvit_error err = {PSGVIT_OK, ""};
    pv_montage montage;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    source.name = (char[]){"fuzz"};
    make_signals(signals, text, size);
    params.cohort = (psgvit_cohort)(size % PSGVIT_COHORTS);
    params.aliases = size / PSGVIT_COHORTS % 4 ? text : NULL;
    if (!pv_montage_make(&montage, &edf, pv_osf_leads, PV_OSF_LEADS, &params, &err))
        pv_montage_free(&montage);
    if (!pv_montage_make(&montage, &edf, electrodes, 5, &params, &err))
        pv_montage_free(&montage);
    free(text);
    return 0;
}
