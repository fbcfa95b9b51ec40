/* SPDX-License-Identifier: MIT */
/* The pool of passes, the loop over batches, and the checks that both encoders share. */
#include "api/encode.h"

#include "base/checked.h"
#include "ops/profile.h"
#include "weights/config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the pool ---- */

/* Shapes whose passes are kept: a job's full batch and its rest, for two kinds of job. */
enum { SHAPES_KEPT = 4 };

psgvit_status pv_pool_create(pv_pool *pool, psgvit_device *device, pv_record_fn record,
                             const void *model, psgvit_error *err)
{
    *pool = (pv_pool){.most = SIZE_MAX, .device = device, .record = record, .model = model};
    if (pthread_mutex_init(&pool->lock, NULL))
        return pv_fail(err, PSGVIT_E_MEMORY, "out of memory: a lock");
    return PSGVIT_OK;
}

static void destroy_all(pv_pass *pass)
{
    while (pass) {
        pv_pass *next = pass->next;
        pv_pass_destroy(pass);
        pass = next;
    }
}

void pv_pool_destroy(pv_pool *pool)
{
    destroy_all(pool->idle);
    pthread_mutex_destroy(&pool->lock);
}

static int same(const pv_pass_shape *a, const pv_pass_shape *b)
{
    return a->epochs == b->epochs && a->samples == b->samples && a->wanted == b->wanted &&
           a->exact == b->exact && a->profiled == b->profiled;
}

static psgvit_status take(pv_pool *pool, const pv_pass_shape *shape, pv_pass **pass,
                          psgvit_error *err)
{
    pthread_mutex_lock(&pool->lock);
    pv_pass **at = &pool->idle;
    while (*at && !same(&(*at)->shape, shape))
        at = &(*at)->next;
    *pass = *at;
    if (*pass)
        *at = (*pass)->next;
    pthread_mutex_unlock(&pool->lock);
    return *pass ? PSGVIT_OK : pool->record(pool->model, shape, pass, err);
}

/* Unlinks and returns the passes of shapes beyond the SHAPES_KEPT last used ones. */
static pv_pass *unlink_surplus(pv_pool *pool)
{
    pv_pass_shape kept[SHAPES_KEPT];
    size_t count = 0;
    pv_pass *surplus = NULL;
    for (pv_pass **at = &pool->idle; *at;) {
        pv_pass *pass = *at;
        size_t i = 0;
        while (i < count && !same(&kept[i], &pass->shape))
            i++;
        if (i == count && count < SHAPES_KEPT)
            kept[count++] = pass->shape;
        if (i < SHAPES_KEPT) {
            at = &pass->next;
        } else {
            *at = pass->next;
            pass->next = surplus;
            surplus = pass;
        }
    }
    return surplus;
}

static void give_back(pv_pool *pool, pv_pass *pass)
{
    pthread_mutex_lock(&pool->lock);
    pass->next = pool->idle;
    pool->idle = pass;
    pv_pass *surplus = unlink_surplus(pool);
    pthread_mutex_unlock(&pool->lock);
    destroy_all(surplus);
}

/* Passes that nobody uses give their memory back; false if there are none. */
static bool drop_idle(pv_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pv_pass *idle = pool->idle;
    pool->idle = NULL;
    pthread_mutex_unlock(&pool->lock);
    destroy_all(idle);
    return idle;
}

/* A batch of `failed` epochs found no memory: from now on batches have half of it at most. Returns
 * that. */
static size_t halve(pv_pool *pool, size_t failed)
{
    size_t half = failed / 2;
    pthread_mutex_lock(&pool->lock);
    if (half < pool->most) /* another thread may have found less */
        pool->most = half;
    pthread_mutex_unlock(&pool->lock);
    pv_log_line(&pool->device->log, PSGVIT_LOG_WARNING,
                "memory has no room for a batch of %zu epochs: going on with %zu", failed, half);
    return half;
}

/* ---- jobs ---- */

static void report(const pv_job *job, const pv_profile *profile)
{
    for (size_t i = 0; job->profile && i < profile->count; i++) {
        const pv_timed_op *op = &profile->ops[i];
        const psgvit_op_time time = {op->name, op->shape, op->kernel, op->flops, op->bytes,
                                     op->seconds};
        job->profile(job->user, &time);
    }
}

/* As many epochs as the pass takes, from `first` on. */
static psgvit_status run_batch(const pv_job *job, pv_pass *pass, size_t first, psgvit_error *err)
{
    pv_signal part = job->signal;
    part.samples += first * part.channels * part.length;
    part.epochs = pass->shape.epochs;
    part.first_epoch += first;
    PV_TRY(pv_signal_take(&part, pass->signal->host, err));
    PV_TRY(pv_plan_submit(pass->plan, err));
    if (job->device_ms)
        *job->device_ms += pass->plan->device_ms;
    for (int i = 0; i < PV_OUTPUTS; i++) {
        size_t each = pass->output_floats[i];
        if (job->output[i])
            memcpy(job->output[i] + first * each, pass->output[i]->host,
                   part.epochs * each * sizeof(float));
    }
    report(job, pass->profile);
    return PSGVIT_OK;
}

static size_t most(pv_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t epochs = pool->most;
    pthread_mutex_unlock(&pool->lock);
    return epochs;
}

psgvit_status pv_encode(pv_pool *pool, const pv_job *job, psgvit_error *err)
{
    size_t total = job->signal.epochs;
    unsigned wanted = 0;
    for (int i = 0; i < PV_OUTPUTS; i++)
        wanted |= job->output[i] ? 1u << i : 0;
    size_t batch = job->batch < most(pool) ? job->batch : most(pool);
    if (job->device_ms)
        *job->device_ms = 0.0;
    bool exact = false;
    for (size_t first = 0; first < total;) {
        if (job->cancel && job->cancel(job->user))
            return pv_fail(err, PSGVIT_E_CANCELLED, "cancelled after %zu of %zu epochs", first,
                           total);
        size_t count = total - first < batch ? total - first : batch;
        pv_pass_shape shape = {count, job->signal.length, wanted, exact, job->profile != NULL};
        pv_pass *pass;
        psgvit_status status = take(pool, &shape, &pass, err);
        if (status == PSGVIT_E_MEMORY && drop_idle(pool))
            continue;
        if (status == PSGVIT_E_MEMORY && count > 1) {
            batch = halve(pool, count);
            continue;
        }
        PV_TRY(status);
        status = run_batch(job, pass, first, err);
        exact = !status && pass->plan->stale; /* this batch once more, and no other */
        give_back(pool, pass);
        PV_TRY(status);
        if (exact)
            continue;
        first += count;
        if (job->progress)
            job->progress(job->user, first, total);
    }
    return PSGVIT_OK;
}

size_t pv_default_batch(const pv_pool *pool, size_t sequences, size_t tokens)
{
    size_t batch = pool->device->batch_rows / sequences / tokens;
    return batch ? batch : 1;
}

psgvit_status pv_check_output(const char *name, const float *output, size_t capacity, size_t epochs,
                              size_t rows, size_t cols, psgvit_error *err)
{
    size_t each, needed;
    if (!output)
        return PSGVIT_OK;
    if (!pv_mul(rows, cols, &each) || !pv_mul(epochs, each, &needed))
        return pv_fail(err, PSGVIT_E_ARGUMENT, "job.%s: %zu epochs of %zu x %zu floats overflow",
                       name, epochs, rows, cols);
    if (capacity < needed)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "job.%s has room for %zu floats, expected %zu (%zu epochs of %zu)", name,
                       capacity, needed, epochs, each);
    return PSGVIT_OK;
}

psgvit_status pv_check_job(const void *signal, psgvit_nan_policy nan, int outputs,
                           psgvit_error *err)
{
    if (!signal)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "job.signal is NULL");
    if (nan < PSGVIT_NAN_REFUSE || nan > PSGVIT_NAN_PROPAGATE)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "job.nan is %d, expected 0 to %d", (int)nan,
                       (int)PSGVIT_NAN_PROPAGATE);
    if (!outputs)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "job: no output is wanted, all are NULL");
    return PSGVIT_OK;
}

/* ---- models ---- */

static psgvit_status check_params(const psgvit_encoder_params *params, psgvit_error *err)
{
    if (params->precision < PSGVIT_F32 || params->precision > PSGVIT_BF16)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "params.precision is %d, expected 0 to %d",
                       (int)params->precision, (int)PSGVIT_BF16);
    if (params->config_path && params->config_json)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "params: config_path and config_json are both set, expected one at most");
    if (params->flags & ~(unsigned)PSGVIT_READ)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "params.flags is %#x, expected 0 or PSGVIT_READ",
                       params->flags);
    return PSGVIT_OK;
}

static psgvit_status open_weights(psgvit_weights **weights, const pv_model_source *source,
                                  unsigned flags, psgvit_error *err)
{
    psgvit_weights_params params = {.struct_size = sizeof params, .flags = flags};
    if (!source->in_memory)
        return psgvit_weights_open(weights, source->path, &params, err);
    return psgvit_weights_open_memory(weights, source->data, source->size, &params, err);
}

/* From here on both files speak, but the loader knows the model's name alone. */
static psgvit_status name_config(psgvit_status status, const char *path, psgvit_error *err)
{
    if (status != PSGVIT_E_MODEL || !path || !err)
        return status;
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, " (config: %s)", path);
    return status;
}

psgvit_status pv_encoder_open(void *model, pv_pool *pool, const pv_model_steps *kind,
                              psgvit_device *device, const pv_model_source *source,
                              const psgvit_encoder_params *params, psgvit_error *err)
{
    psgvit_encoder_params own;
    if (!device)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "device is NULL");
    if (source->in_memory ? !source->data : !source->path)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL", source->in_memory ? "data" : "path");
    PV_TRY(pv_take_params(&own, sizeof own, params, "params", err));
    PV_TRY(check_params(&own, err));
    psgvit_weights *weights = NULL;
    char *text = NULL;
    psgvit_status status = open_weights(&weights, source, own.flags, err);
    if (!status && own.config_path)
        status = pv_config_load(&text, own.config_path, err);
    if (!status)
        status = name_config(
            kind->load(model, device, weights, text ? text : own.config_json, own.precision, err),
            own.config_path, err);
    free(text);
    psgvit_weights_close(&weights);
    PV_TRY(status);
    status = pv_pool_create(pool, device, kind->record, model, err);
    if (status)
        kind->free(model);
    return status;
}
