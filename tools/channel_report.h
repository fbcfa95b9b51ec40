/* SPDX-License-Identifier: MIT */
/*
 * What the model's channels were made of, for people and for programs: wrong channels give wrong
 * numbers without a word, so that it is said of every EDF unless -q forbids.
 */
#ifndef TOOLS_CHANNEL_REPORT_H
#define TOOLS_CHANNEL_REPORT_H

#include "night_facts.h"

/* On standard error: a line that counts what was found, derived and missing, then, of a single
 * input or with -v, a line for each channel; and which epochs were left out. `verbosity` as of
 * cli_log. */
void channel_report_say(const char *name, const night_facts *facts, int verbosity, bool brief);
/* The same as fields of a JSON object, without its braces: start, cohort, prep, prep_version,
 * skipped_s, channels. NULL: no memory. Free with free(). */
char *channel_report_json(const night_facts *facts);

#endif
