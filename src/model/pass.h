/* SPDX-License-Identifier: MIT */
/* A forward pass of a model: recorded once for a shape, with the memory it runs in, and run as
 * often as jobs of that shape come. */
#ifndef PV_MODEL_PASS_H
#define PV_MODEL_PASS_H

#include "ops/ops.h"

#include <stdbool.h>

enum { PV_OUTPUTS = 3 }; /* most outputs of a model */

/* What tells one pass from another. */
typedef struct pv_pass_shape {
    size_t epochs;   /* B */
    size_t samples;  /* T */
    unsigned wanted; /* bit i: output i */
    bool exact;      /* as pv_plan's */
    bool profiled;   /* its plan has a profile */
} pv_pass_shape;

typedef struct pv_pass {
    struct pv_pass *next; /* in a pool */
    psgvit_device *device;
    pv_pass_shape shape;
    pv_buffer *signal;                /* host: [B, C, T] */
    pv_buffer *work;                  /* everything in between */
    pv_buffer *output[PV_OUTPUTS];    /* host: [B, floats]; NULL if not wanted */
    size_t output_floats[PV_OUTPUTS]; /* of one epoch */
    pv_tensor tokens;                 /* what leaves the last block */
    pv_plan *plan;
    pv_profile *profile; /* NULL unless the shape says so */
} pv_pass;

/* A pass with its buffers, but nothing recorded: signal_floats and output_floats are of one epoch,
 * work_floats of all. */
psgvit_status pv_pass_create(pv_pass **pass, psgvit_device *device, const pv_pass_shape *shape,
                             size_t signal_floats, size_t work_floats,
                             const size_t output_floats[PV_OUTPUTS], psgvit_error *err);
/* Ends the recording; a pass that could not be recorded is destroyed, and *pass is NULL. */
psgvit_status pv_pass_finish(pv_pass **pass, psgvit_error *err);
void pv_pass_destroy(pv_pass *pass);

/* A view of [rows, cols] in `buffer` (NULL: only to count) behind the *floats that are laid out so
 * far; false if the sizes overflow. */
bool pv_lay(pv_tensor *view, pv_buffer *buffer, size_t *floats, size_t rows, size_t cols);

/* The view of a wanted output, [rows, cols] in all. */
static inline pv_tensor pv_pass_output(const pv_pass *pass, int i, size_t rows, size_t cols)
{
    return pv_view(pass->output[i], 0, rows, cols);
}

#endif
