/* SPDX-License-Identifier: MIT */
/*
 * A linear head on an embedding: softmax(weight x + bias). It comes from a safetensors file that
 * holds head.weight [K,D] and head.bias [K], both F32, F16, BF16 or F64, and in its metadata
 * `labels`, a JSON array of K strings ("0" ... "K-1" where it is missing).
 * Thread-safety: an open head is read-only.
 */
#ifndef TOOLS_HEAD_H
#define TOOLS_HEAD_H

#include "night_facts.h"

#include <stdint.h>

enum { HEAD_ENTRIES = 3, HEAD_CLASSES = 256, HEAD_LABEL = 64 /* bytes of a label at most */ };

typedef struct linear_head {
    size_t classes, width;     /* K, D */
    const char *const *labels; /* [K]: UTF-8, different, 1 to HEAD_LABEL bytes, no controls */
    const char *const *stages; /* [K]: "Sleep stage W" for W, N1, N2, N3, R and their other
                                  spellings, else the label: the words of EDF+ */
    night_entry entries[HEAD_ENTRIES]; /* of the metadata: head (path), head_sha256, labels */
    size_t entry_count;
} linear_head;

/* What the head says of some epochs. A vector with a NaN or an infinity has no stage: -1, and its
 * numbers are NaN. */
typedef struct head_scores {
    float *probabilities; /* [epochs,K] */
    int32_t *stage;       /* [epochs]: the class of the largest probability, the first of equals */
    float *confidence;    /* [epochs]: that probability */
} head_scores;

/* Opens the file for embeddings of `width` numbers. Returns 0, or CLI_MODEL or CLI_MEMORY with the
 * failure filled in. */
int head_open(linear_head **made, const char *path, size_t width, cli_failure *failure);
/* Room for `epochs`; CLI_MEMORY. Free with head_scores_free. */
int head_scores_make(head_scores *scores, const linear_head *h, size_t epochs,
                     cli_failure *failure);
void head_scores_free(head_scores *scores);
/* `embedding` is [epochs,D]. */
void head_apply(const linear_head *h, const float *embedding, size_t epochs,
                const head_scores *scores);
/* Frees and sets to NULL. NULL and a pointer to NULL are allowed. */
void head_close(linear_head **h);

#endif
