/* SPDX-License-Identifier: MIT */
/*
 * A file that a reader sees whole or not at all. Its bytes go to a file without a name in the
 * target's folder, which gets its name when all is synced: whatever ends the process before, even
 * kill -9, leaves nothing behind. Where the file system has no nameless files, a temporary name
 * beside the target is used. "-" is standard output, which gets the bytes only when all are there.
 * Thread-safety: one thread at a time for each file, any number of files.
 */
#ifndef TOOLS_STAGED_FILE_H
#define TOOLS_STAGED_FILE_H

#include "cli.h"

typedef struct staged_file {
    int fd;
    int folder;         /* of the target; -1: standard output */
    bool nameless;      /* made by O_TMPFILE */
    char temporary[40]; /* name in the folder; "": there is none */
    char *target;       /* path, symbolic links resolved */
    const char *leaf;   /* its last part */
} staged_file;

/* Could the target be made? Makes nothing. For what has to be known before hours of work. */
int staged_file_check(const char *path, cli_failure *failure);
/* `size` bytes are reserved on the disk, so that a full one is known at once; 0: unknown. This and
 * the next return 0, or CLI_OUTPUT or CLI_MEMORY with the failure filled in. */
int staged_file_open(staged_file *file, const char *path, uint64_t size, cli_failure *failure);
int staged_file_write(staged_file *file, uint64_t offset, const void *bytes, size_t size,
                      cli_failure *failure);
/* What was written is on the disk, and not to be seen yet. */
int staged_file_sync(staged_file *file, cli_failure *failure);
/* Syncs, names, and closes. On failure it is as after staged_file_abort. */
int staged_file_commit(staged_file *file, cli_failure *failure);
/* Closes it and leaves nothing; harmless after commit or a failure. */
void staged_file_abort(staged_file *file);

/* Removes what writers that were killed (kill -9, a node that went down) left in a folder on a file
 * system without nameless files. What belongs to a live writer, on whatever host, is locked and
 * stays. It tidies: whatever fails is left as it is. */
void staged_file_sweep(const char *folder);

/* For a signal handler that is about to end the process: removes the temporary names, if there are
 * any. */
void staged_file_unlink_now(void);

#endif
