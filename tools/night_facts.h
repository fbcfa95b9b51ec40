/* SPDX-License-Identifier: MIT */
/*
 * What every output says of the recording behind the epochs: times, channels, what was left out. A
 * copy, so that it may outlive the recording; memory is 8 bytes an epoch where there is a clock.
 */
#ifndef TOOLS_NIGHT_FACTS_H
#define TOOLS_NIGHT_FACTS_H

#include "cli.h"

#include <psgvit/recording.h>

#include <stdio.h>

enum { NIGHT_ENTRIES = 16 };

/* An entry of an output's metadata. */
typedef struct night_entry {
    const char *key, *value;
} night_entry;

typedef struct night_facts {
    const char *source; /* path of the recording as it was given */
    bool clock;         /* the format knows the time: EDF. Else epochs touch, for hypnogram and
                           page, and the writer says nothing of time */
    const char *start;  /* "2001-02-03T22:30:00"; "" if unknown */
    double epoch_seconds;
    size_t epochs;                 /* E */
    const double *epoch_start_s;   /* [E], seconds from the start of the file; NULL: no clock */
    size_t skipped;                /* epochs that were left out because a gap lies in them */
    const double *skipped_start_s; /* [skipped] */
    size_t channels;               /* C; 0 if unknown */
    const psgvit_channel *channel; /* [C]; NULL without a clock */
    const char *const *names;      /* [C], set by who knows the model's inputs where there is no
                                      clock; NULL: unknown */
    const char *channels_json;     /* the same as night_put_channels puts it; NULL: no clock */
    /* source, start, epoch_seconds, stride_seconds, cohort, prep, prep_version, channels (JSON
     * text), skipped (JSON array of their seconds); none without a clock. */
    night_entry entries[NIGHT_ENTRIES];
    size_t entry_count;
} night_facts;

/* Of an open recording. `seconds` is the length of an epoch where the format does not know it (30
 * for OSF's 1920 samples at 64 Hz; T / sfreq for EEGPT). Returns 0 or CLI_MEMORY with the failure
 * filled in. */
int night_facts_open(night_facts **made, const char *source, const psgvit_recording *recording,
                     double seconds, cli_failure *failure);
/* Frees and sets to NULL. NULL and a pointer to NULL are allowed. */
void night_facts_close(night_facts **n);

/* Seconds from the start of the file to epoch `index`. */
double night_epoch_start(const night_facts *n, size_t index);
/* How long epoch `index` is shown: to its end, or to the start of the next where they overlap. */
double night_visible_seconds(const night_facts *n, size_t index);

/* "missing", "found", "derived": by psgvit_channel_state. */
extern const char *const night_channel_states[3];
/* The channel report as a JSON array of objects: name, state, source, unit, rate, flat, clipped,
 * note. */
void night_put_channels(FILE *out, const psgvit_channel *channel, size_t count);

#endif
