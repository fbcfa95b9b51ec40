/* SPDX-License-Identifier: MIT */
/*
 * The inputs of a run, each with an ID that names its outputs: those of the command line, or of a
 * sample list as Luna has them, a line `ID<TAB>recording[<TAB>annotations...]` each.
 */
#ifndef TOOLS_SAMPLE_LIST_H
#define TOOLS_SAMPLE_LIST_H

#include "cli.h"

typedef struct sample {
    const char *id;   /* of the command line: the name without folder and suffix, or "stdin" */
    const char *path; /* relative to the current folder, as it was given; "-" is standard input */
    size_t line;      /* in the list; 0: from the command line */
} sample;

typedef struct sample_list {
    sample *samples; /* [count] */
    size_t count;
    const char *file; /* what errors call the list; NULL: the command line */
    char *text;       /* behind the strings */
} sample_list;

/* The INPUTs of a command line, whose strings must outlive the list. Returns 0 or CLI_MEMORY with
 * the failure filled in. */
int sample_list_take(sample_list *list, char *const *inputs, size_t count, cli_failure *failure);
/* A list from a file, or standard input for "-". Blank lines and those that begin with '#' are
 * skipped, annotations are not looked at. CLI_INPUT names the line that is wrong; CLI_USAGE two
 * lines with one ID. After a failure there is nothing to free. */
int sample_list_read(sample_list *list, const char *path, cli_failure *failure);
/* Two samples with the same ID, in their order; NULL if there are none. Returns 0 or CLI_MEMORY
 * with the failure filled in. */
int sample_list_twins(const sample_list *list, const sample **first, const sample **second,
                      cli_failure *failure);
void sample_list_free(sample_list *list);

#endif
