/* SPDX-License-Identifier: MIT */
/*
 * The thread that reads and prepares ahead of the one that computes: it opens the inputs of the
 * shard one after the other and hands out their epochs in parts, two of which wait while a third is
 * computed. So a disk, a network or a filter holds up nothing that has work in hand. With a CPU
 * backend this thread is one more than there are cores; it sleeps but for a few percent of the time
 * (preparing costs a tenth of computing at most), and the team makes room for it. Memory is that of
 * the three parts, however long a night is.
 */
#ifndef TOOLS_INFER_READER_H
#define TOOLS_INFER_READER_H

#include "infer_source.h"

typedef struct infer_reader infer_reader;

/* Starts with the first input that is not complete. The session must outlive the thread. CLI_MEMORY
 * if there is none to be had. */
int infer_reader_start(infer_reader **made, const infer_session *session, cli_failure *failure);
/* The next part, in order; NULL: a signal came first. Give it back with infer_reader_return. */
infer_part *infer_reader_take(infer_reader *reader);
void infer_reader_return(infer_reader *reader, infer_part *part);
/* Input `index` has failed: takes and returns what is left of it, unread. */
void infer_reader_skip(infer_reader *reader, size_t index);
/* Ends the thread and frees; sets to NULL. False: it waits for a pipe and can't be woken; then what
 * it uses must stay until the process ends. NULL and a pointer to NULL are allowed. */
bool infer_reader_close(infer_reader **reader);

#endif
