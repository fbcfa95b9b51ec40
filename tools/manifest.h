/* SPDX-License-Identifier: MIT */
/*
 * What became of each input of a cohort run: JSON lines in the output folder, a file for each
 * shard, "manifest-0-of-4.jsonl". It begins with a line for every input of the list: its ID, its
 * path, the shard that has it, and the status "pending", or "elsewhere" for those of other shards.
 * For each of its own another line follows when it is "done", "skipped" (it was complete already),
 * "failed" or "interrupted": of two lines with the same ID the last one is true. A run begins the
 * file anew; it has times in it and so differs from run to run.
 */
#ifndef TOOLS_MANIFEST_H
#define TOOLS_MANIFEST_H

#include "sample_list.h"
#include "shard.h"

typedef struct manifest manifest;

/* What is written of an input that is not pending any more. */
typedef struct manifest_entry {
    const char *status;
    const char *output; /* NULL: none */
    size_t epochs;
    double seconds;
    int code;
    const char *error; /* NULL: none */
} manifest_entry;

/* Writes the beginning to a temporary name, then renames. Returns 0, or CLI_OUTPUT or CLI_MEMORY
 * with the failure filled in. */
int manifest_open(manifest **made, const char *folder, const sample_list *list,
                  const list_shard *own, cli_failure *failure);
/* Appends a line by one write(): readers see whole lines. A failure is kept for manifest_close. */
void manifest_put(manifest *m, const sample *input, const manifest_entry *entry);
/* Frees and sets to NULL; NULL and a pointer to NULL are allowed. Returns 0, or CLI_OUTPUT with the
 * failure filled in if any line could not be written. */
int manifest_close(manifest **m, cli_failure *failure);

#endif
