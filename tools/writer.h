/* SPDX-License-Identifier: MIT */
/*
 * Writes embeddings, epochs in the order of the recording, as safetensors, NPY, CSV, JSON or TSV.
 * The file appears whole or not at all (staged_file.h); memory does not grow with the number of
 * epochs. With a recording that knows the time, safetensors has also epoch_start_s (F64 [E]) and
 * channel_mask (U8 [C], 1: found or derived, 0: missing, zeros stand in), JSON the same, and the
 * tables begin with onset and duration in seconds; with a head, safetensors has probabilities (F32
 * [E,K]) and stage (I32 [E], -1: none), JSON the same and confidence, and the tables the columns
 * stage, confidence and p_LABEL. NPY holds its one tensor, whatever there is. Without both, a file
 * is what it would be if there were no such things.
 */
#ifndef TOOLS_WRITER_H
#define TOOLS_WRITER_H

#include "head.h"
#include "night_facts.h"

typedef enum writer_format {
    WRITER_SAFETENSORS, /* all tensors, with the metadata */
    WRITER_NPY,         /* one tensor */
    WRITER_CSV,         /* one tensor of rank 2: a row an epoch */
    WRITER_JSON,        /* all tensors, a record an epoch, with the metadata */
    WRITER_TSV,         /* as WRITER_CSV by the rules of BIDS: tabs, n/a for what is no number */
} writer_format;

enum { WRITER_FORMATS = 5, WRITER_TENSORS = 3, WRITER_RANK = 4, WRITER_ENTRIES = 16 };

/* "safetensors", "npy", "csv", "json", "tsv": by writer_format, each a suffix without its dot. */
extern const char *const writer_format_names[WRITER_FORMATS];

/* A float32 tensor [epochs, ...]. */
typedef struct writer_tensor {
    const char *name;
    size_t rank;
    size_t shape[WRITER_RANK];
} writer_tensor;

/* An entry of the metadata. For one whose value is NULL there is room for 64 characters: its value
 * comes with writer_finish. */
typedef night_entry writer_entry;

typedef struct writer_content {
    writer_tensor tensors[WRITER_TENSORS];
    size_t tensor_count;
    writer_entry entries[WRITER_ENTRIES]; /* the strings must live as long as the writer */
    size_t entry_count;
    const night_facts *night; /* of the recording; its entries follow. NULL: nothing */
    const linear_head *head;  /* its scores come with writer_put; its entries follow. NULL: none */
} writer_content;

typedef struct writer writer;

/* `path` "-" is standard output. Room for all is reserved where the size is known beforehand. This
 * and the next three return 0, or CLI_OUTPUT or CLI_MEMORY with the failure filled in; after one,
 * only writer_abort is left to do. */
int writer_open(writer **made, const char *path, writer_format format,
                const writer_content *content, cli_failure *failure);
/* Epochs [first, first + rows) of every tensor; `first` is where the last call ended. `scores` is
 * NULL without a head. */
int writer_put(writer *w, size_t first, size_t rows, const float *const *values,
               const head_scores *scores, cli_failure *failure);
/* All is written and synced, and not to be seen yet. `late` is the value of the entry that had
 * none. */
int writer_finish(writer *w, const char *late, cli_failure *failure);
/* Gives the file its name. Frees the writer and sets it to NULL, also on failure. Where an input
 * has several files, finish all, then commit the embeddings last: where they are, all are. */
int writer_commit(writer **w, cli_failure *failure);
/* Leaves no file. Frees the writer and sets it to NULL; NULL and a pointer to NULL are allowed. */
void writer_abort(writer **w);

#endif
