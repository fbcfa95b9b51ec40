/* SPDX-License-Identifier: MIT */
/*
 * Model files in memory that a test may spoil: the tensors of a variant's table, one of which is
 * then renamed, reshaped, retyped, left out or added. Weights are zero.
 */
#ifndef TESTS_MODEL_FILE_H
#define TESTS_MODEL_FILE_H

#include "base/log.h"

#include <psgvit/weights.h>

#include <stdbool.h>

typedef struct model_tensor {
    char name[128];
    psgvit_dtype dtype;
    size_t rank;
    uint64_t shape[5];
    bool left_out;
} model_tensor;

typedef struct model_file {
    model_tensor *tensors;
    size_t count;
    char *config;         /* of the metadata; NULL: none */
    int64_t ids[128];     /* what chans_id holds: 0, 1, 2 ... unless the config says otherwise */
    unsigned char *image; /* the file, made by model_open */
    size_t size;
    psgvit_weights *weights;
} model_file;

/* The tensors of a variant under a config (NULL: its own). Fails the test if there is none. */
model_file model_of(const char *variant, const char *config);
/* Fails the test if there is no such tensor. */
model_tensor *model_find(model_file *model, const char *name);
/* Any float tensor: F32 of shape [2]. */
model_tensor *model_add(model_file *model, const char *name);
/* Writes the file and opens it, anew each time. */
const psgvit_weights *model_open(model_file *model);
/* Bytes of a tensor of the open file, to be changed. */
unsigned char *model_data(model_file *model, const char *name);
void model_free(model_file *model);

/* A log that remembers. */
typedef struct model_log {
    size_t warnings, infos;
    char text[8192]; /* all lines, each with its newline, as far as they fit */
} model_log;
pv_log model_log_to(model_log *log);

/* Fails the test, with both texts, unless `part` is in `text`. */
void model_expect_text(const char *text, const char *part);

#endif
