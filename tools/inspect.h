/* SPDX-License-Identifier: MIT */
/* What the two halves of psgvit-inspect share. */
#ifndef TOOLS_INSPECT_H
#define TOOLS_INSPECT_H

#include <stdbool.h>

typedef struct inspect_arguments {
    const char *path;
    const char *config; /* NULL: none */
    bool model;         /* --model: it must be a sound model, too */
    bool json;
} inspect_arguments;

/* Reports a signal file; returns the exit code. */
int inspect_recording(const inspect_arguments *args);

/* Says what is wrong on standard error, and with --json on standard output too; returns `code`. */
int inspect_failure(const inspect_arguments *args, const char *kind, int code, const char *message);

#endif
