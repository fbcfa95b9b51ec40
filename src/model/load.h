/* SPDX-License-Identifier: MIT */
/*
 * Tensors of a file into the store of a device. The shapes have been checked by config.h; here the
 * values are read, found finite, and packed. A name stands behind the loader's prefix, which may be
 * another one for a while. Functions of a loader do nothing once one of them has failed.
 */
#ifndef PV_MODEL_LOAD_H
#define PV_MODEL_LOAD_H

#include "ops/ops.h"
#include "weights/safetensors.h"

#include <stdbool.h>

typedef struct pv_loader {
    const psgvit_weights *weights;
    pv_store *store;
    const char *prefix;  /* in front of every name */
    uint64_t parameters; /* numbers loaded so far */
    psgvit_status status;
    psgvit_error *err;
} pv_loader;

/* Rows of a tensor that is seen as a matrix [rows of dim 0, product of the rest]. */
typedef struct pv_row_slice {
    size_t first, count;
} pv_row_slice;

/* <name>.weight, rows of the slice, each `cols` long, and <name>.bias of the same rows. */
void pv_load_linear(pv_loader *loader, pv_linear_weight *linear, pv_row_slice slice, size_t cols,
                    bool bias, const char *name);

/* <name>.weight and <name>.bias of a LayerNorm over `cols`. */
void pv_load_norm(pv_loader *loader, pv_norm_weight *norm, size_t cols, double eps,
                  const char *name);

/* A whole tensor as floats, for what is not a linear layer as it stands: `values` [count]. */
void pv_load_values(pv_loader *loader, float *values, size_t count, const char *name);

/* torch.renorm over rows [rows, cols]: one with an L2 norm above `most` is scaled to it. */
void pv_renorm_rows(float *values, size_t rows, size_t cols, double most);

/* A linear layer from memory, `exact` as in pv_rows; bias may be NULL. */
void pv_load_linear_values(pv_loader *loader, pv_linear_weight *linear, const float *weight,
                           const float *bias, size_t rows, size_t cols, bool exact);

/* A tensor [rows, cols] from memory. */
void pv_load_tensor_values(pv_loader *loader, pv_tensor *tensor, const float *values, size_t rows,
                           size_t cols);

#endif
