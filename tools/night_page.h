/* SPDX-License-Identifier: MIT */
/*
 * One HTML page to look at a night: facts, channels with the outline of each signal, and the
 * embeddings as colours over time (their first three principal components), with the hypnogram
 * where there is a head. It needs nothing but itself. Memory is bounded: a cell of the map is one
 * epoch up to 10,000 epochs, and the mean of several beyond.
 */
#ifndef TOOLS_NIGHT_PAGE_H
#define TOOLS_NIGHT_PAGE_H

#include "writer.h"

typedef struct night_page night_page;

/* `content` gives the facts: its entries, its night (which must not be NULL) and its head (which
 * may); all that it points to must live as long as the page. C, T: of an epoch of the signal; D: of
 * its embedding, any vector of up to 4096 numbers that stands for the epoch. These three return 0,
 * or CLI_OUTPUT or CLI_MEMORY with the failure filled in; after one, only night_page_abort is left
 * to do. */
int night_page_open(night_page **made, const char *path, const writer_content *content,
                    size_t channels, size_t samples, size_t width, cli_failure *failure);
/* Epochs [first, first + rows): signal [rows,C,T] as the model gets it, embedding [rows,D]; `first`
 * is where the last call ended. `scores` is NULL without a head. */
void night_page_put(night_page *p, size_t first, size_t rows, const float *signal,
                    const float *embedding, const head_scores *scores);
/* All is written and synced, and not to be seen yet. `late` is the value of the entry that had
 * none. */
int night_page_finish(night_page *p, const char *late, cli_failure *failure);
/* Gives it its name. Frees and sets to NULL, also on failure. */
int night_page_commit(night_page **p, cli_failure *failure);
/* Leaves no file. Frees and sets to NULL; NULL and a pointer to NULL are allowed. */
void night_page_abort(night_page **p);

#endif
