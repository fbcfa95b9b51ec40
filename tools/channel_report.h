/* SPDX-License-Identifier: MIT */
/*
 * What the model's channels were made of, for people and for programs: wrong channels give wrong
 * numbers without a word, so that it is said of every EDF unless -q forbids.
 */
#ifndef TOOLS_CHANNEL_REPORT_H
#define TOOLS_CHANNEL_REPORT_H

#include "night_facts.h"

/* On standard error: a line that counts what was found, derived and missing, then, unless it is to
 * be brief, a line for each channel; and which epochs were left out. `rest` is the seconds behind
 * the last whole epoch. */
void channel_report_say(const char *name, const night_facts *facts, double rest, bool brief);
/* The same as fields of a JSON object, without its braces: start, cohort, prep, prep_version,
 * skipped_s, channels. NULL: no memory. Free with free(). */
char *channel_report_json(const night_facts *facts);

#endif
