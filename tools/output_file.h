/* SPDX-License-Identifier: MIT */
/*
 * An output file that a reader sees whole or not at all: bytes go to a temporary file beside the
 * target, which is synced and renamed at the end. What is no regular file (a pipe, /dev/null) is
 * written directly, and "-" is standard output.
 */
#ifndef TOOLS_OUTPUT_FILE_H
#define TOOLS_OUTPUT_FILE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct output_file {
    int fd;
    bool direct;  /* no temporary: the target is standard output or no regular file */
    char *target; /* where it is renamed to, symbolic links resolved */
    char *temporary;
    const char *name; /* what messages call it; the caller's */
} output_file;

/* Each returns 0 (CLI_DONE), or says what is wrong and returns CLI_OUTPUT or CLI_MEMORY. After a
 * failure the file is closed and the temporary removed. */
int output_file_open(output_file *file, const char *path);
int output_file_write(output_file *file, const void *bytes, size_t size);
int output_file_commit(output_file *file);
/* Closes and removes the temporary; harmless after commit or a failure. */
void output_file_abandon(output_file *file);

/* SIGINT and SIGTERM remove the temporary of the open file and end the process with exit code 130
 * or 143. For tools that have nothing else to finish. */
void output_file_handle_signals(void);

#endif
