/* SPDX-License-Identifier: MIT */
/* The public face of OSF: arguments, batches, information. */
#include <psgvit/osf.h>

#include "api/encode.h"
#include "base/leads.h"
#include "model/osf_model.h"

#include <stdlib.h>

struct osf_encoder {
    pv_osf_model model;
    pv_pool pool;
    osf_info info;
};

static psgvit_status load(void *model, psgvit_device *device, const psgvit_weights *weights,
                          const char *config_json, psgvit_precision precision, psgvit_error *err)
{
    return pv_osf_load(model, device, weights, config_json, precision, err);
}

static psgvit_status record(const void *model, const pv_pass_shape *shape, pv_pass **pass,
                            psgvit_error *err)
{
    return pv_osf_record(model, shape, pass, err);
}

static void free_model(void *model)
{
    pv_osf_free(model);
}

static const pv_model_steps kind = {load, record, free_model};

static osf_info describe(const pv_osf_model *m)
{
    const pv_osf_config *c = &m->config;
    return (osf_info){.variant = c->variant,
                      .width = c->width,
                      .depth = c->depth,
                      .heads = c->heads,
                      .mlp_dim = c->mlp_dim,
                      .leads = c->leads,
                      .lead_wise = c->lead_wise,
                      .patch_leads = c->patch_leads,
                      .patch_samples = c->patch_samples,
                      .samples = c->samples,
                      .patches = pv_osf_patches(c, c->samples),
                      .parameters = m->parameters,
                      .precision = m->store->precision};
}

static psgvit_status encoder_open(osf_encoder **encoder, psgvit_device *device,
                                  pv_model_source source, const osf_encoder_params *params,
                                  psgvit_error *err)
{
    if (!encoder)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "encoder is NULL");
    *encoder = NULL;
    osf_encoder *e = calloc(1, sizeof *e);
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

psgvit_status osf_encoder_open(osf_encoder **encoder, psgvit_device *device, const char *path,
                               const osf_encoder_params *params, psgvit_error *err)
{
    return encoder_open(encoder, device, (pv_model_source){.path = path}, params, err);
}

psgvit_status osf_encoder_open_memory(osf_encoder **encoder, psgvit_device *device,
                                      const void *data, size_t size,
                                      const osf_encoder_params *params, psgvit_error *err)
{
    return encoder_open(encoder, device, (pv_model_source){1, NULL, data, size}, params, err);
}

const osf_info *osf_encoder_info(const osf_encoder *encoder)
{
    return encoder ? &encoder->info : NULL;
}

size_t osf_patch_count(const osf_encoder *encoder, size_t samples)
{
    return encoder ? pv_osf_patches(&encoder->model.config, samples) : 0;
}

void osf_encoder_close(osf_encoder **encoder)
{
    if (!encoder || !*encoder)
        return;
    pv_pool_destroy(&(*encoder)->pool);
    pv_osf_free(&(*encoder)->model);
    free(*encoder);
    *encoder = NULL;
}

static psgvit_status check(const osf_encoder *e, const osf_job *job, size_t samples,
                           psgvit_error *err)
{
    const osf_info *info = &e->info;
    PV_TRY(pv_check_job(job->signal, job->epochs, job->nan,
                        job->cls || job->patches || job->mean, err));
    size_t patches = osf_patch_count(e, samples);
    if (!patches)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "an epoch has %zu samples, expected a multiple of %zu, at most %zu", samples,
                       info->patch_samples, info->samples);
    PV_TRY(pv_check_output("cls", job->cls, job->cls_capacity, job->epochs, 1, info->width, err));
    PV_TRY(pv_check_output("patches", job->patches, job->patches_capacity, job->epochs, patches,
                           info->width, err));
    return pv_check_output("mean", job->mean, job->mean_capacity, job->epochs, 1, info->width, err);
}

psgvit_status osf_encode(osf_encoder *encoder, const osf_job *job, psgvit_error *err)
{
    osf_job own;
    if (!encoder || !job)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL", encoder ? "job" : "encoder");
    PV_TRY(pv_take_params(&own, sizeof own, job, "job", err));
    size_t samples = own.samples ? own.samples : encoder->info.samples;
    PV_TRY(check(encoder, &own, samples, err));
    size_t tokens = osf_patch_count(encoder, samples) + 1;
    pv_job common = {
        .signal = {.samples = own.signal,
                   .epochs = own.epochs,
                   .channels = encoder->info.leads,
                   .length = samples,
                   .first_epoch = own.first_epoch,
                   .nan = own.nan,
                   .clamp = !own.no_clamp,
                   .names = encoder->info.leads == PV_OSF_LEADS ? pv_osf_leads : NULL},
        .output = {own.cls, own.patches, own.mean},
        .batch = pv_batch(&encoder->pool, own.batch, 1, tokens),
        .device_ms = own.device_ms,
        .progress = own.progress,
        .cancel = own.cancel,
        .profile = own.profile,
        .user = own.user,
    };
    PV_TRY(pv_encode(&encoder->pool, &common, err));
    return pv_ok(err);
}
