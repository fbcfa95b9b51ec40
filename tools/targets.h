/* SPDX-License-Identifier: MIT */
/*
 * Where what is made of each input goes: its embeddings, and beside them a hypnogram and a page
 * where they are wanted. Each kind is one file, or one file per input in a folder, named by its ID.
 */
#ifndef TOOLS_TARGETS_H
#define TOOLS_TARGETS_H

#include "infer_options.h"
#include "sample_list.h"

typedef enum target_kind {
    TARGET_EMBEDDINGS,
    TARGET_HYPNOGRAM,
    TARGET_PAGE,
    TARGET_KINDS,
} target_kind;

typedef struct target_set {
    char *
        *paths; /* [count], in the order of the inputs; "-" is standard output; NULL: not wanted */
    char *folder; /* without the slashes at its end; NULL: a file */
    bool made;    /* the folder is ours */
} target_set;

/* Those of the inputs of one shard. */
typedef struct targets {
    target_set sets[TARGET_KINDS];
    size_t count;
} targets;

/* Names them. Two inputs of the list, or two kinds, with one target, or a target that is its own
 * input, the model, its config or the head, are CLI_USAGE. Like the next one, returns 0 or a code
 * with the failure filled in. */
int targets_plan(targets *t, const infer_options *options, const sample_list *list,
                 cli_failure *failure);
/* Makes the folders that are missing and finds out whether something can be written there,
 * CLI_OUTPUT if not. */
int targets_prepare(targets *t, cli_failure *failure);
/* The file of input `index` of the shard; NULL: not wanted. */
const char *targets_path(const targets *t, target_kind kind, size_t index);
/* Frees; a folder that was made and holds nothing goes again. */
void targets_free(targets *t);

#endif
