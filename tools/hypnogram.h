/* SPDX-License-Identifier: MIT */
/*
 * Stages over time, as other programs read them: a table in the manner of BIDS, Luna's annotations,
 * or an EDF+ file of annotations alone. An epoch without a stage (its embedding is not finite) is
 * n/a in the table and "?" elsewhere; epochs that were left out are left out here, too.
 */
#ifndef TOOLS_HYPNOGRAM_H
#define TOOLS_HYPNOGRAM_H

#include "head.h"
#include "night_facts.h"

typedef enum hypnogram_format {
    HYPNOGRAM_TSV,   /* onset, duration, stage, confidence, p_LABEL ... */
    HYPNOGRAM_ANNOT, /* class, instance, channel, start, stop, confidence, p_LABEL ..., with _ for
                        all but letters and digits; p_LABEL_k where two would be the same */
    HYPNOGRAM_EDF,   /* EDF+C, one annotation an epoch: "Sleep stage N2", or the label */
} hypnogram_format;

enum { HYPNOGRAM_FORMATS = 3 };

/* "tsv", "annot", "edf": by hypnogram_format, and each a suffix without its dot. */
extern const char *const hypnogram_format_names[HYPNOGRAM_FORMATS];

typedef struct hypnogram hypnogram;

/* Can that format tell the labels of a head apart, the file of which is `path`? CLI_MODEL with the
 * failure filled in, if it can't. */
int hypnogram_check(hypnogram_format format, const linear_head *h, const char *path,
                    cli_failure *failure);

/* `n` and `h` must live as long as the hypnogram. These three return 0, or CLI_OUTPUT or CLI_MEMORY
 * with the failure filled in; after one, only hypnogram_abort is left to do. */
int hypnogram_open(hypnogram **made, const char *path, hypnogram_format format,
                   const night_facts *n, const linear_head *h, cli_failure *failure);
/* Epochs [first, first + rows); `first` is where the last call ended. */
int hypnogram_put(hypnogram *g, size_t first, size_t rows, const head_scores *scores,
                  cli_failure *failure);
/* All is written and synced, and not to be seen yet. */
int hypnogram_finish(hypnogram *g, cli_failure *failure);
/* Gives it its name. Frees and sets to NULL, also on failure. */
int hypnogram_commit(hypnogram **g, cli_failure *failure);
/* Leaves no file. Frees and sets to NULL; NULL and a pointer to NULL are allowed. */
void hypnogram_abort(hypnogram **g);

#endif
