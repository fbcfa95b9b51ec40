/* SPDX-License-Identifier: MIT */
/* What the parts of psgvit-inspect share. */
#ifndef TOOLS_INSPECT_H
#define TOOLS_INSPECT_H

#include <psgvit/recording.h>

#include <stdbool.h>

typedef struct inspect_arguments {
    const char *path;
    const char *config; /* NULL: none */
    bool model;         /* --model: it must be a sound model, too */
    bool json;
} inspect_arguments;

/* Reports a signal file; returns the exit code. */
int inspect_recording(const inspect_arguments *args);

/* What the library tolerated in a file. */
typedef struct inspect_notes {
    char **lines; /* [count] */
    size_t count;
    bool lost; /* there was no memory for one */
} inspect_notes;

/* A psgvit_log_fn whose user pointer is an inspect_notes *. */
void inspect_take_note(void *notes, psgvit_log_level level, const char *line);
void inspect_notes_free(inspect_notes *notes);

/* The report of an EDF or BDF, which is open. */
psgvit_status inspect_edf(const inspect_arguments *args, const psgvit_recording *recording,
                          const inspect_notes *notes, psgvit_error *err);

/* Says what is wrong on standard error, and with --json on standard output too; returns `code`. */
int inspect_failure(const inspect_arguments *args, const char *kind, int code, const char *message);

#endif
