/* SPDX-License-Identifier: MIT */
/*
 * What the encoders of both models share: a pool of recorded passes with their memory, and the loop
 * that cuts a job into batches. No arithmetic.
 */
#ifndef PV_API_ENCODE_H
#define PV_API_ENCODE_H

#include "model/pass.h"
#include "model/signal.h"

#include <psgvit/weights.h>

#include <pthread.h>

/* Records a pass of the model behind `model`. */
typedef psgvit_status (*pv_record_fn)(const void *model, const pv_pass_shape *shape,
                                      pv_pass **pass, psgvit_error *err);

/* Passes that no call is using. A call takes one of its shape, or records a new one, and gives it
 * back. Thread-safety: safe. */
typedef struct pv_pool {
    pthread_mutex_t lock;
    pv_pass *idle; /* the last used first */
    pv_record_fn record;
    const void *model;
} pv_pool;

psgvit_status pv_pool_create(pv_pool *pool, pv_record_fn record, const void *model,
                             psgvit_error *err);
void pv_pool_destroy(pv_pool *pool);

typedef struct pv_job {
    pv_signal signal;         /* of all epochs */
    float *output[PV_OUTPUTS]; /* NULL: not wanted */
    size_t batch;             /* most epochs of a pass, at least 1 */
    psgvit_progress_fn progress;
    psgvit_cancel_fn cancel;
    void *user;
} pv_job;

/* Runs a checked job, batch by batch. */
psgvit_status pv_encode(pv_pool *pool, const pv_job *job, psgvit_error *err);

/* PSGVIT_E_ARGUMENT unless an output that is wanted has room for `epochs` times `each` floats. */
psgvit_status pv_check_output(const char *name, const float *output, size_t capacity,
                              size_t epochs, size_t each, psgvit_error *err);

/* Epochs of a batch that suit the device, from the rows that an epoch has. */
size_t pv_default_batch(size_t rows);

/* What is common to osf_job and eegpt_job and can be wrong about it. */
psgvit_status pv_check_job(const void *signal, psgvit_nan_policy nan, int outputs,
                           psgvit_error *err);

/* Where a model comes from: a path or memory, with its config, as the params of both models say. */
typedef struct pv_model_source {
    const char *path; /* NULL: memory */
    const void *data;
    size_t size;
    unsigned flags;
    psgvit_precision precision;
    const char *config_path, *config_json;
} pv_model_source;

/* Opens the file, reads its config, and hands both to load(model, device, weights, config, ...). */
typedef psgvit_status (*pv_load_fn)(void *model, psgvit_device *device,
                                    const psgvit_weights *weights, const char *config_json,
                                    psgvit_precision precision, psgvit_error *err);
psgvit_status pv_model_load(void *model, pv_load_fn load, psgvit_device *device,
                            const pv_model_source *source, psgvit_error *err);

#endif
