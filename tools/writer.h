/* SPDX-License-Identifier: MIT */
/*
 * Writes embeddings, epochs in the order of the recording, as safetensors, NPY, CSV or JSON. The
 * file appears whole or not at all (staged_file.h); memory does not grow with the number of epochs.
 */
#ifndef TOOLS_WRITER_H
#define TOOLS_WRITER_H

#include "cli.h"

typedef enum writer_format {
    WRITER_SAFETENSORS, /* all tensors, with the metadata */
    WRITER_NPY,         /* one tensor */
    WRITER_CSV,         /* one tensor of rank 2: a row an epoch */
    WRITER_JSON,        /* all tensors, a record an epoch, with the metadata */
} writer_format;

enum { WRITER_FORMATS = 4, WRITER_TENSORS = 3, WRITER_RANK = 4, WRITER_ENTRIES = 16 };

/* "safetensors", "npy", "csv", "json": by writer_format, and each a suffix without its dot. */
extern const char *const writer_format_names[WRITER_FORMATS];

/* A float32 tensor [epochs, ...]. */
typedef struct writer_tensor {
    const char *name;
    size_t rank;
    size_t shape[WRITER_RANK];
} writer_tensor;

/* An entry of the metadata. For one whose value is NULL there is room for 64 characters: its value
 * comes with writer_commit. */
typedef struct writer_entry {
    const char *key, *value;
} writer_entry;

typedef struct writer_content {
    writer_tensor tensors[WRITER_TENSORS];
    size_t tensor_count;
    writer_entry entries[WRITER_ENTRIES]; /* the strings must live as long as the writer */
    size_t entry_count;
} writer_content;

typedef struct writer writer;

/* `path` "-" is standard output. Room for all is reserved where the size is known beforehand. This
 * and the next two return 0, or CLI_OUTPUT or CLI_MEMORY with the failure filled in; after one,
 * only writer_abort is left to do. */
int writer_open(writer **made, const char *path, writer_format format,
                const writer_content *content, cli_failure *failure);
/* Epochs [first, first + rows) of every tensor; `first` is where the last call ended. */
int writer_put(writer *w, size_t first, size_t rows, const float *const *values,
               cli_failure *failure);
/* `late` is the value of the entry that had none. Frees the writer and sets it to NULL. */
int writer_commit(writer **w, const char *late, cli_failure *failure);
/* Leaves no file. Frees the writer and sets it to NULL; NULL and a pointer to NULL are allowed. */
void writer_abort(writer **w);

#endif
