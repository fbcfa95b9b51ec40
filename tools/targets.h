/* SPDX-License-Identifier: MIT */
/* Where each input's embeddings go: one file, or one file per input in a folder. */
#ifndef TOOLS_TARGETS_H
#define TOOLS_TARGETS_H

#include "infer_options.h"

typedef struct targets {
    char **paths; /* [count], one for each input, in their order; "-" is standard output */
    size_t count;
    char *folder; /* without the slashes at its end; NULL: OUT is a file */
    bool made;    /* the folder is ours */
} targets;

/* Names them. Two inputs with one target, or a target that is its own input, the model or the
 * config, are CLI_USAGE. Like the next two, returns 0 or a code with the failure filled in. */
int targets_plan(targets *t, const infer_options *options, cli_failure *failure);
/* Can something be written there? Makes nothing. CLI_OUTPUT if not. */
int targets_check(const targets *t, cli_failure *failure);
/* Makes the folder, if it is missing. Harmless when repeated. */
int targets_make_folder(targets *t, cli_failure *failure);
/* Frees; a folder that was made and holds nothing goes again. */
void targets_free(targets *t);

#endif
