/* SPDX-License-Identifier: MIT */
/* Reads, checks and packs tensors: matrices row by row into the backend's layout, all else as it
 * is. */
#include "model/load.h"

#include "base/memory.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* A tensor being packed by many threads: the first failure, and the least index of a bad value. */
typedef struct tensor_source {
    const psgvit_weights *weights;
    const psgvit_tensor *tensor;
    size_t first_row, cols;
    pthread_mutex_t lock;
    uint64_t bad;
    psgvit_error error;
} tensor_source;

static void read_rows(const void *source, size_t first, size_t count, float *values)
{
    tensor_source *s = (tensor_source *)(uintptr_t)source; /* its lock is what makes it writable */
    psgvit_error error = {0};
    uint64_t bad = UINT64_MAX;
    if (pv_weights_read_checked(s->weights, s->tensor, (uint64_t)(s->first_row + first) * s->cols,
                                count * s->cols, values, &bad, &error))
        memset(values, 0, count * s->cols * sizeof *values);
    if (error.code == PSGVIT_OK && bad == UINT64_MAX)
        return;
    pthread_mutex_lock(&s->lock);
    if (error.code != PSGVIT_OK && s->error.code == PSGVIT_OK)
        s->error = error;
    if (bad < s->bad)
        s->bad = bad;
    pthread_mutex_unlock(&s->lock);
}

/* The tensor called prefix + name + suffix; config.h has made sure that it is there. NULL where the
 * loader has failed. */
static const psgvit_tensor *find(pv_loader *l, const char *name, const char *suffix)
{
    char whole[160];
    if (l->status)
        return NULL;
    snprintf(whole, sizeof whole, "%s%s%s", l->prefix, name, suffix);
    const psgvit_tensor *tensor = psgvit_weights_find(l->weights, whole);
    if (!tensor)
        l->status = pv_fail(l->err, PSGVIT_E_MODEL, "%s: tensor '%s' is missing",
                            pv_weights_name(l->weights), whole);
    return tensor;
}

static void load_matrix(pv_loader *l, const pv_matrix **matrix, const psgvit_tensor *tensor,
                        pv_row_slice slice, size_t cols)
{
    tensor_source source = {.weights = l->weights,
                            .tensor = tensor,
                            .first_row = slice.first,
                            .cols = cols,
                            .bad = UINT64_MAX};
    if (pthread_mutex_init(&source.lock, NULL)) {
        l->status = pv_fail(l->err, PSGVIT_E_MEMORY, "out of memory: a lock");
        return;
    }
    pv_rows rows = {slice.count, cols, read_rows, &source, false};
    l->status = pv_store_matrix(l->store, &rows, matrix, l->err);
    pthread_mutex_destroy(&source.lock);
    if (!l->status && source.error.code != PSGVIT_OK)
        l->status = pv_fail(l->err, source.error.code, "%s", source.error.message);
    if (!l->status && source.bad != UINT64_MAX)
        l->status = pv_weights_fail_special(l->weights, tensor, source.bad, l->err);
    l->parameters += (uint64_t)slice.count * cols;
    pv_weights_release(l->weights, tensor);
}

/* `count` elements from `first` on, as floats that are found finite. */
static void read_values(pv_loader *l, const psgvit_tensor *tensor, size_t first, size_t count,
                        float *values)
{
    uint64_t bad = UINT64_MAX;
    l->status = pv_weights_read_checked(l->weights, tensor, first, count, values, &bad, l->err);
    if (!l->status && bad != UINT64_MAX)
        l->status = pv_weights_fail_special(l->weights, tensor, bad, l->err);
    l->parameters += count;
}

static void load_vector(pv_loader *l, pv_tensor *vector, const char *name, const char *suffix,
                        size_t first, size_t count)
{
    const psgvit_tensor *tensor = find(l, name, suffix);
    if (!tensor)
        return;
    float *values = pv_alloc(count * sizeof *values);
    if (!values) {
        l->status = pv_fail_memory(l->err, tensor->name, count * sizeof *values);
        return;
    }
    read_values(l, tensor, first, count, values);
    pv_load_tensor_values(l, vector, values, 1, count);
    pv_free(values);
}

void pv_load_linear(pv_loader *l, pv_linear_weight *linear, pv_row_slice slice, size_t cols,
                    bool bias, const char *name)
{
    const psgvit_tensor *tensor = find(l, name, ".weight");
    if (!tensor)
        return;
    load_matrix(l, &linear->matrix, tensor, slice, cols);
    if (bias)
        load_vector(l, &linear->bias, name, ".bias", slice.first, slice.count);
}

void pv_load_norm(pv_loader *l, pv_norm_weight *norm, size_t cols, double eps, const char *name)
{
    norm->eps = (float)eps;
    load_vector(l, &norm->gamma, name, ".weight", 0, cols);
    load_vector(l, &norm->beta, name, ".bias", 0, cols);
}

void pv_load_values(pv_loader *l, float *values, size_t count, const char *name)
{
    const psgvit_tensor *tensor = find(l, name, "");
    if (tensor)
        read_values(l, tensor, 0, count, values);
}

void pv_renorm_rows(float *values, size_t rows, size_t cols, double most)
{
    for (size_t r = 0; r < rows; r++) {
        float *row = values + r * cols;
        double sum = 0;
        for (size_t c = 0; c < cols; c++)
            sum += (double)row[c] * (double)row[c];
        double norm = sqrt(sum);
        /* 1e-7 is torch.renorm's own; it keeps rows at the limit just below it. */
        for (size_t c = 0; norm > most && c < cols; c++)
            row[c] = (float)((double)row[c] * (most / (norm + 1e-7)));
    }
}

static void read_memory(const void *source, size_t first, size_t count, float *values)
{
    const pv_tensor *rows = source;
    memcpy(values, rows->buffer->host + first * rows->cols, count * rows->cols * sizeof *values);
}

void pv_load_linear_values(pv_loader *l, pv_linear_weight *linear, const float *weight,
                           const float *bias, size_t rows, size_t cols, bool exact)
{
    if (l->status)
        return;
    pv_buffer buffer = {rows * cols, (float *)(uintptr_t)weight}; /* only read through */
    pv_tensor view = pv_view(&buffer, 0, rows, cols);
    pv_rows source = {rows, cols, read_memory, &view, exact};
    l->status = pv_store_matrix(l->store, &source, &linear->matrix, l->err);
    if (bias)
        pv_load_tensor_values(l, &linear->bias, bias, 1, rows);
}

void pv_load_tensor_values(pv_loader *l, pv_tensor *tensor, const float *values, size_t rows,
                           size_t cols)
{
    if (!l->status)
        l->status = pv_store_tensor(l->store, values, rows, cols, tensor, l->err);
}
