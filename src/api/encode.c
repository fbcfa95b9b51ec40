/* SPDX-License-Identifier: MIT */
/* The loop over batches, and the checks that both encoders share. */
#include "api/encode.h"

#include "base/checked.h"
#include "ops/profile.h"
#include "weights/config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- jobs ---- */

/* A job while it runs. Epochs [done, next) are under way, in the passes in flight, the oldest
 * first; those before are written. */
typedef struct pv_run {
    pv_pool *pool;
    const pv_job *job;
    unsigned wanted; /* bit i: output i */
    size_t batch;    /* most epochs of a pass */
    size_t done, next;
    bool exact;      /* what starts at `next` was computed once, and its numbers were too large */
    pv_pass *flight[PV_MOST_IN_FLIGHT];
    size_t in_flight;
} pv_run;

/* How many batches may be under way. Two need twice the memory. */
static size_t most_in_flight(const pv_run *r)
{
    return r->batch <= pv_pool_room(r->pool).twice ? r->pool->device->in_flight : 1;
}

/* Threads that it is worth to move so many floats by. An H200 computes a batch of OSF-base in f16
 * in 10.6 ms; to take its signal and write its outputs took 4.4 and 6.8 ms with one thread, 1.4
 * and 2.3 with four, 1.0 and 1.4 with eight, and 960 epochs 74.1, 63.6 and 63.3. */
static int movers(const pv_run *r, size_t floats)
{
    enum { A_THREAD = 1 << 18, MOST = 4 };
    const int worth = floats / A_THREAD < MOST ? (int)(floats / A_THREAD) : MOST;
    if (worth < 2)
        return 1;
    const int team = pv_device_team(r->pool->device);
    return team < worth ? team : worth;
}

/* Takes the signal of as many epochs as the pass has, and starts it. */
static psgvit_status start(const pv_run *r, pv_pass *pass, psgvit_error *err)
{
    pv_signal part = r->job->signal;
    part.samples += r->next * part.channels * part.length;
    part.epochs = pass->shape.epochs;
    part.first_epoch += r->next;
    const int team = movers(r, part.epochs * part.channels * part.length);
    PV_TRY(pv_signal_take(&part, pass->signal->host, team, err));
    return pv_plan_start(pass->plan, err);
}

/* The oldest pass in flight, once it has ended. */
static psgvit_status wait_oldest(pv_run *r, pv_pass **pass, psgvit_error *err)
{
    *pass = r->flight[0];
    r->flight[0] = r->flight[1];
    r->in_flight--;
    PV_TRY(pv_plan_wait((*pass)->plan, err));
    if (r->job->device_ms)
        *r->job->device_ms += (*pass)->plan->device_ms;
    return PSGVIT_OK;
}

/* What is under way ends, and counts for nothing. */
static void abandon(pv_run *r)
{
    while (r->in_flight) {
        pv_pass *pass;
        (void)wait_oldest(r, &pass, NULL);
        pv_pool_give_back(r->pool, pass);
    }
    r->next = r->done;
}

static void report(const pv_job *job, const pv_profile *profile)
{
    for (size_t i = 0; job->profile && i < profile->count; i++) {
        const pv_timed_op *op = &profile->ops[i];
        const psgvit_op_time time = {op->name, op->shape, op->kernel, op->flops, op->bytes,
                                     op->seconds};
        job->profile(job->user, &time);
    }
}

static void write_output(const pv_run *r, const pv_pass *pass, int output)
{
    const size_t epochs = pass->shape.epochs, each = pass->output_floats[output];
    const float *from = pass->output[output]->host;
    float *to = r->job->output[output] + r->done * each;
#pragma omp parallel for num_threads(movers(r, epochs * each)) schedule(static)
    for (size_t e = 0; e < epochs; e++)
        memcpy(to + e * each, from + e * each, each * sizeof *to);
}

static void write_outputs(const pv_run *r, const pv_pass *pass)
{
    for (int i = 0; i < PV_OUTPUTS; i++)
        if (r->job->output[i])
            write_output(r, pass, i);
    report(r->job, pass->profile);
}

/* Waits for the oldest batch and writes its outputs. One whose numbers were too large is the next
 * to be computed, and what was started behind it starts again. */
static psgvit_status land(pv_run *r, psgvit_error *err)
{
    pv_pass *pass;
    psgvit_status status = wait_oldest(r, &pass, err);
    bool good = !status && !pass->plan->stale;
    if (good) {
        write_outputs(r, pass);
        r->done += pass->shape.epochs;
    }
    pv_pool_give_back(r->pool, pass);
    if (!good) {
        abandon(r);
        r->exact = true;
    } else if (r->job->progress) {
        r->job->progress(r->job->user, r->done, r->job->signal.epochs);
    }
    return status;
}

/* Memory has no room for a batch of `count` epochs: in its place goes what nobody uses, then the
 * batch that is under way, then half of its own epochs. `status` if all that is gone. */
static psgvit_status make_room(pv_run *r, size_t count, psgvit_status status, psgvit_error *err)
{
    if (pv_pool_drop_idle(r->pool))
        return PSGVIT_OK;
    if (r->in_flight) {
        pv_pool_go_single(r->pool, count);
        return land(r, err);
    }
    if (count == 1)
        return status;
    r->batch = pv_pool_halve(r->pool, count);
    return PSGVIT_OK;
}

/* Starts the next batch. A pass that the device had no memory to start gives up its own. */
static psgvit_status launch(pv_run *r, psgvit_error *err)
{
    const pv_job *job = r->job;
    const size_t total = job->signal.epochs, left = total - r->next;
    if (job->cancel && job->cancel(job->user))
        return pv_fail(err, PSGVIT_E_CANCELLED, "cancelled after %zu of %zu epochs", r->done,
                       total);
    const pv_pass_shape shape = {left < r->batch ? left : r->batch, job->signal.length, r->wanted,
                                 r->exact, job->profile != NULL};
    pv_pass *pass;
    psgvit_status status = pv_pool_take(r->pool, &shape, &pass, err);
    if (!status && (status = start(r, pass, err)) == PSGVIT_E_MEMORY)
        pv_pass_destroy(pass);
    else if (status && pass)
        pv_pool_give_back(r->pool, pass);
    if (status == PSGVIT_E_MEMORY)
        return make_room(r, shape.epochs, status, err);
    PV_TRY(status);
    r->flight[r->in_flight++] = pass;
    r->next += shape.epochs;
    r->exact = false;
    return PSGVIT_OK;
}

psgvit_status pv_encode(pv_pool *pool, const pv_job *job, psgvit_error *err)
{
    const size_t total = job->signal.epochs, most = pv_pool_room(pool).once;
    pv_run r = {.pool = pool, .job = job, .batch = job->batch < most ? job->batch : most};
    for (int i = 0; i < PV_OUTPUTS; i++)
        r.wanted |= job->output[i] ? 1u << i : 0;
    if (job->device_ms)
        *job->device_ms = 0.0;
    psgvit_status status = PSGVIT_OK;
    while (!status && r.done < total)
        status = r.next < total && r.in_flight < most_in_flight(&r) ? launch(&r, err)
                                                                    : land(&r, err);
    abandon(&r);
    return status;
}

size_t pv_batch(const pv_pool *pool, size_t asked, size_t sequences, size_t tokens)
{
    const psgvit_device *device = pool->device;
    const size_t rows = asked ? device->most_rows : device->batch_rows;
    const size_t batch = rows / sequences / tokens ? rows / sequences / tokens : 1;
    return asked && asked < batch ? asked : batch;
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

psgvit_status pv_check_job(const void *signal, size_t epochs, psgvit_nan_policy nan, int outputs,
                           psgvit_error *err)
{
    if (!signal && epochs)
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
    const psgvit_error said = *err;
    return pv_fail(err, status, "%s (config: %s)", said.message, path);
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
