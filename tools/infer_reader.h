/* SPDX-License-Identifier: MIT */
/*
 * The threads that read and prepare ahead of the one that computes: each opens its inputs of the
 * shard one after the other and hands out their epochs in parts, one of which waits while another
 * is computed. So a disk, a network or a filter holds up nothing that has work in hand. With the
 * CPU as device there is one of them, one thread more than there are cores: it sleeps but for a few
 * percent of the time (preparing costs a tenth of computing at most), and the team makes room for
 * it. A GPU is faster than one core can prepare, so that it gets up to four, which take turns by
 * inputs. Memory is that of the parts, however long a night is.
 */
#ifndef TOOLS_INFER_READER_H
#define TOOLS_INFER_READER_H

#include "infer_source.h"

typedef struct infer_reader infer_reader;

/* How many of them a session is to have. */
size_t infer_reader_count(const infer_session *session);
/* One of `count`, number `turn`: it reads the inputs whose turn, modulo `count`, is the same. The
 * session must outlive the thread. CLI_MEMORY if there is no thread to be had. */
int infer_reader_start(infer_reader **made, const infer_session *session, size_t turn, size_t count,
                       cli_failure *failure);
/* The next part, in order; NULL: a signal came first. Give it back with infer_reader_return. */
infer_part *infer_reader_take(infer_reader *reader);
void infer_reader_return(infer_reader *reader, infer_part *part);
/* Input `index` has failed: takes and returns what is left of it, unread. */
void infer_reader_skip(infer_reader *reader, size_t index);
/* Ends the thread and frees; sets to NULL. False: it waits for a pipe and can't be woken; then what
 * it uses must stay until the process ends. NULL and a pointer to NULL are allowed. */
bool infer_reader_close(infer_reader **reader);

#endif
