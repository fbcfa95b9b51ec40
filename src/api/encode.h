/* SPDX-License-Identifier: MIT */
/* What the encoders of both models share: how they are opened, how a job is checked, and the loop
 * that cuts it into batches. No arithmetic. */
#ifndef PV_API_ENCODE_H
#define PV_API_ENCODE_H

#include "api/pool.h"
#include "model/signal.h"

#include <psgvit/weights.h>

typedef struct pv_job {
    pv_signal signal;          /* of all epochs */
    float *output[PV_OUTPUTS]; /* NULL: not wanted */
    size_t batch;              /* most epochs of a pass, at least 1 */
    double *device_ms;         /* or NULL */
    psgvit_progress_fn progress;
    psgvit_cancel_fn cancel;
    psgvit_profile_fn profile;
    void *user;
} pv_job;

/* Runs a checked job, batch by batch, on a device that has it so with two of them under way: the
 * signal of one is taken, and the outputs of the one before are written, while the device computes.
 * Where memory has no room for two, one by one; where it has none for one, by halves of it. */
psgvit_status pv_encode(pv_pool *pool, const pv_job *job, psgvit_error *err);

/* PSGVIT_E_ARGUMENT unless an output that is wanted has room for [epochs, rows, cols]. */
psgvit_status pv_check_output(const char *name, const float *output, size_t capacity, size_t epochs,
                              size_t rows, size_t cols, psgvit_error *err);

/* Epochs of a batch, each of `sequences` of `tokens`, neither of them 0: at most as many as were
 * asked for; if that is 0, as suit the device. */
size_t pv_batch(const pv_pool *pool, size_t asked, size_t sequences, size_t tokens);

/* What is common to osf_job and eegpt_job and can be wrong about it. */
psgvit_status pv_check_job(const void *signal, size_t epochs, psgvit_nan_policy nan, int outputs,
                           psgvit_error *err);

/* Where a model comes from: a path, or memory. */
typedef struct pv_model_source {
    int in_memory;
    const char *path;
    const void *data;
    size_t size;
} pv_model_source;

/* What an encoder needs to know of its model; `model` is a pv_osf_model or a pv_eegpt_model. */
typedef struct pv_model_steps {
    psgvit_status (*load)(void *model, psgvit_device *device, const psgvit_weights *weights,
                          const char *config_json, psgvit_precision precision, psgvit_error *err);
    pv_record_fn record;
    void (*free)(void *model);
} pv_model_steps;

/* Checks arguments and params, loads the model and makes its pool; neither is there on failure. */
psgvit_status pv_encoder_open(void *model, pv_pool *pool, const pv_model_steps *kind,
                              psgvit_device *device, const pv_model_source *source,
                              const psgvit_encoder_params *params, psgvit_error *err);

#endif
