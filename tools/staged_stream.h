/* SPDX-License-Identifier: MIT */
/* Text for a staged file through stdio, which formats and buffers. */
#ifndef TOOLS_STAGED_STREAM_H
#define TOOLS_STAGED_STREAM_H

#include "staged_file.h"

#include <stdio.h>

typedef struct staged_stream {
    FILE *out; /* to write to; NULL: closed */
    staged_file *file;
    uint64_t at;         /* where the next bytes go */
    cli_failure failure; /* of the first write that failed */
} staged_stream;

/* What is put goes from `at` on into the file, which must outlive the stream, and neither of them
 * may move. Returns 0 or CLI_MEMORY with the failure filled in. */
int staged_stream_open(staged_stream *s, staged_file *file, uint64_t at, cli_failure *failure);
/* 0, or the code of what failed so far, with the failure filled in. */
int staged_stream_check(const staged_stream *s, cli_failure *failure);
/* Writes what is left, checks and closes. */
int staged_stream_finish(staged_stream *s, cli_failure *failure);
/* Closes it; what is left in it may be lost. Harmless if it is closed. */
void staged_stream_abort(staged_stream *s);

#endif
