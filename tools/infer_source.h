/* SPDX-License-Identifier: MIT */
/*
 * An input as parts: opened, held against the model, and read and prepared some epochs at a time.
 * All of it runs on the reader's thread (infer_reader.h): nothing here talks or writes.
 */
#ifndef TOOLS_INFER_SOURCE_H
#define TOOLS_INFER_SOURCE_H

#include "infer.h"

enum { INFER_PARTS = 2 }; /* in memory for each reader: one that is computed, one that waits */

/* What is known of an input once it is open, for whoever writes its outputs. */
typedef struct infer_source {
    psgvit_format format;
    size_t epochs, samples, dropped; /* E, T, samples of a last, partial epoch */
    night_facts *facts;
    char bytes[24]; /* of a regular file, as text; "" of a pipe */
    size_t part;    /* most epochs in a part */
    size_t each;    /* numbers of one epoch's signal */
    writer_tensor tensors[WRITER_TENSORS];
    size_t tensor_count;            /* those that are written */
    size_t computed;                /* one more where vectors need an output that nobody writes */
    size_t vector;                  /* which of them vectors are made of; only where wanted */
    size_t outputs[WRITER_TENSORS]; /* [computed]: which output each of them is */
    size_t rows[WRITER_TENSORS];    /* [computed]: numbers of one epoch */
} infer_source;

/* Frees and sets to NULL. NULL and a pointer to NULL are allowed. */
void infer_source_free(infer_source **source);

/* Some epochs of an input. */
typedef struct infer_part {
    size_t index;         /* of the input in the shard */
    infer_source *source; /* in the input's first part, for the taker to own; else NULL */
    float *signal;        /* [epochs, C, T] */
    size_t room;          /* floats at signal */
    size_t epochs;
    bool last;           /* of this input */
    cli_failure failure; /* unless its code is CLI_DONE, the input ends here, and this is why */
    char *talk;          /* what the library logged meanwhile: lines, each behind the digit of its
                            level; NULL: nothing */
    double time;         /* milliseconds that it took */
} infer_part;

/* An input that is being read. All zero but for the first two: not open yet. */
typedef struct infer_opened {
    const infer_session *session;
    size_t index;
    psgvit_recording *recording;
    size_t left, part, each; /* epochs, most of them in a part, numbers of one */
    infer_part *into;        /* whose talk the log goes to */
} infer_opened;

/* The next part; opens the input before its first. */
void infer_source_read(infer_opened *input, infer_part *part);
void infer_source_close(infer_opened *input);

#endif
