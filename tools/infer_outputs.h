/* SPDX-License-Identifier: MIT */
/*
 * What is written of one input: its embeddings, and beside them a hypnogram and a page. All are
 * written and synced before the first gets its name, and the embeddings get theirs last: where they
 * are, the others were.
 */
#ifndef TOOLS_INFER_OUTPUTS_H
#define TOOLS_INFER_OUTPUTS_H

#include "hypnogram.h"
#include "infer_source.h"
#include "night_page.h"

typedef struct infer_outputs {
    writer_content content;
    char *inputs; /* metadata */
    writer *writer;
    hypnogram *hypnogram; /* NULL: not wanted */
    night_page *page;     /* NULL: not wanted */
} infer_outputs;

/* Epochs as they are put. */
typedef struct infer_rows {
    size_t first, count;
    const float *signal;        /* [count, C, T] */
    const float *const *values; /* [tensor_count], each [count, ...] */
    const float *vectors;       /* [count, vector_width]; NULL: nobody wants them */
    const head_scores *scores;  /* NULL: there is no head */
} infer_rows;

/* `source` must live until commit or abort. Each returns 0, or a code with the failure filled in;
 * after one, only infer_outputs_abort is left to do. */
int infer_outputs_open(infer_outputs *o, const infer_session *s, size_t index,
                       const infer_source *source, cli_failure *failure);
int infer_outputs_put(infer_outputs *o, const infer_rows *rows, cli_failure *failure);
/* `hash` is that of the model. */
int infer_outputs_commit(infer_outputs *o, const char *hash, cli_failure *failure);
/* Leaves no file that has not been committed. Harmless when repeated, or on all zeros. */
void infer_outputs_abort(infer_outputs *o);

#endif
