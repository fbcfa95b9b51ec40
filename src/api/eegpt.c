/* SPDX-License-Identifier: MIT */
/* The public face of EEGPT: arguments, batches, information. */
#include <psgvit/eegpt.h>

#include "api/encode.h"
#include "model/eegpt_model.h"

#include <stdlib.h>

struct eegpt_encoder {
    pv_eegpt_model model;
    pv_pool pool;
    eegpt_info info;
};

static psgvit_status load(void *model, psgvit_device *device, const psgvit_weights *weights,
                          const char *config_json, psgvit_precision precision, psgvit_error *err)
{
    return pv_eegpt_load(model, device, weights, config_json, precision, err);
}

static psgvit_status record(const void *model, const pv_pass_shape *shape, pv_pass **pass,
                            psgvit_error *err)
{
    return pv_eegpt_record(model, shape, pass, err);
}

static void free_model(void *model)
{
    pv_eegpt_free(model);
}

static const pv_model_steps kind = {load, record, free_model};

static eegpt_info describe(const pv_eegpt_model *m)
{
    const pv_eegpt_config *c = &m->config;
    return (eegpt_info){.channels = c->channels,
                        .tokens = c->tokens,
                        .samples = c->samples,
                        .sample_rate = c->sample_rate,
                        .width = c->width,
                        .depth = c->depth,
                        .heads = c->heads,
                        .mlp_dim = c->mlp_dim,
                        .patch_samples = c->patch_samples,
                        .patch_stride = c->patch_stride,
                        .summary_tokens = c->summary,
                        .outputs = c->outputs,
                        .probe_patches = c->probe_patches,
                        .parameters = m->parameters,
                        .precision = m->store->precision};
}

static psgvit_status encoder_open(eegpt_encoder **encoder, psgvit_device *device,
                                  pv_model_source source, const eegpt_encoder_params *params,
                                  psgvit_error *err)
{
    if (!encoder)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "encoder is NULL");
    *encoder = NULL;
    eegpt_encoder *e = calloc(1, sizeof *e);
    if (!e)
        return pv_fail_memory(err, "an encoder", sizeof *e);
    psgvit_status status =
        pv_encoder_open(&e->model, &e->pool, &kind, device, &source, params, err);
    if (status) {
        free(e);
        return status;
    }
    e->info = describe(&e->model);
    *encoder = e;
    return pv_ok(err);
}

psgvit_status eegpt_encoder_open(eegpt_encoder **encoder, psgvit_device *device, const char *path,
                                 const eegpt_encoder_params *params, psgvit_error *err)
{
    return encoder_open(encoder, device, (pv_model_source){.path = path}, params, err);
}

psgvit_status eegpt_encoder_open_memory(eegpt_encoder **encoder, psgvit_device *device,
                                        const void *data, size_t size,
                                        const eegpt_encoder_params *params, psgvit_error *err)
{
    return encoder_open(encoder, device, (pv_model_source){1, NULL, data, size}, params, err);
}

const eegpt_info *eegpt_encoder_info(const eegpt_encoder *encoder)
{
    return encoder ? &encoder->info : NULL;
}

const char *eegpt_channel_name(const eegpt_encoder *encoder, size_t i)
{
    bool known = encoder && i < encoder->model.config.channels;
    return known ? encoder->model.config.names[i] : "";
}

size_t eegpt_patch_count(const eegpt_encoder *encoder, size_t samples)
{
    return encoder ? pv_eegpt_patches(&encoder->model.config, samples) : 0;
}

void eegpt_encoder_close(eegpt_encoder **encoder)
{
    if (!encoder || !*encoder)
        return;
    pv_pool_destroy(&(*encoder)->pool);
    pv_eegpt_free(&(*encoder)->model);
    free(*encoder);
    *encoder = NULL;
}

/* What the job asks of the probe, which was made for one number of patches. */
static psgvit_status check_logits(const eegpt_encoder *e, size_t samples, size_t patches,
                                  psgvit_error *err)
{
    const eegpt_info *info = &e->info;
    if (!info->outputs)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "logits are wanted, but the model has no probe (final_layer.*)");
    if (patches != info->probe_patches)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "a window of %zu samples has %zu patches, the model's probe expects %zu",
                       samples, patches, info->probe_patches);
    return PSGVIT_OK;
}

static psgvit_status check(const eegpt_encoder *e, const eegpt_job *job, size_t samples,
                           psgvit_error *err)
{
    const eegpt_info *info = &e->info;
    PV_TRY(pv_check_job(job->signal, job->epochs, job->nan, job->features || job->logits, err));
    if (!samples)
        return pv_fail(
            err, PSGVIT_E_INPUT,
            "the length of a window is not given, and the model's config has no n_times");
    size_t patches = eegpt_patch_count(e, samples);
    if (!patches)
        return pv_fail(err, PSGVIT_E_INPUT, "a window has %zu samples, expected at least %zu",
                       samples, info->patch_samples);
    if (job->logits)
        PV_TRY(check_logits(e, samples, patches, err));
    PV_TRY(pv_check_output("features", job->features, job->features_capacity, job->epochs,
                           patches, info->summary_tokens * info->width, err));
    return pv_check_output("logits", job->logits, job->logits_capacity, job->epochs, 1,
                           info->outputs, err);
}

psgvit_status eegpt_encode(eegpt_encoder *encoder, const eegpt_job *job, psgvit_error *err)
{
    eegpt_job own;
    if (!encoder || !job)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL", encoder ? "job" : "encoder");
    PV_TRY(pv_take_params(&own, sizeof own, job, "job", err));
    const eegpt_info *info = &encoder->info;
    size_t samples = own.samples ? own.samples : info->samples;
    PV_TRY(check(encoder, &own, samples, err));
    size_t patches = eegpt_patch_count(encoder, samples);
    size_t tokens = info->tokens + info->summary_tokens;
    pv_job common = {
        .signal = {.samples = own.signal,
                   .epochs = own.epochs,
                   .channels = info->channels,
                   .length = samples,
                   .first_epoch = own.first_epoch,
                   .nan = own.nan},
        .output = {own.features, own.logits},
        .batch = pv_batch(&encoder->pool, own.batch, patches, tokens),
        .device_ms = own.device_ms,
        .progress = own.progress,
        .cancel = own.cancel,
        .profile = own.profile,
        .user = own.user,
    };
    PV_TRY(pv_encode(&encoder->pool, &common, err));
    return pv_ok(err);
}
