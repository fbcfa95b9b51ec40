/* SPDX-License-Identifier: MIT */
/* One model with synthetic weights, the signal it reads and the outputs it fills. */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "cli.h"
#include "synth_signal.h"
#include "synth_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 1, MOST_CHANNELS = 1024, MOST_SAMPLES = 1000000, MOST_DEPTH = 256 };

const char *const bench_output_names[BENCH_OUTPUTS] = {"cls", "patches", "mean", "features",
                                                       "logits"};

void bench_outputs_text(unsigned outputs, char text[BENCH_OUTPUTS_TEXT])
{
    size_t used = 0;
    for (size_t i = 0; i < BENCH_OUTPUTS; i++)
        if (outputs & 1u << i)
            used += (size_t)snprintf(text + used, BENCH_OUTPUTS_TEXT - used, "%s%s",
                                     used ? "," : "", bench_output_names[i]);
}

/* ---- what a name means ----------------------------------------------------------------------- */

/* Reads digits up to `stop` and steps over it; 0 is no size. */
static bool take_size(const char **at, char stop, size_t most, size_t *value)
{
    size_t sum = 0;
    const char *c = *at;
    for (; *c >= '0' && *c <= '9' && sum <= most; c++)
        sum = sum * 10 + (size_t)(*c - '0');
    if (sum == 0 || sum > most || *c != stop)
        return false;
    *at = stop ? c + 1 : c;
    *value = sum;
    return true;
}

/* "22x1000" or "22x1000:8". */
static bool parse_eegpt(bench_spec *spec, const char *at)
{
    spec->eegpt = true;
    spec->depth = 2;
    spec->outputs = 1u << BENCH_LOGITS;
    snprintf(spec->variant, sizeof spec->variant, "eegpt");
    if (!take_size(&at, 'x', MOST_CHANNELS, &spec->channels))
        return false;
    if (!strchr(at, ':'))
        return take_size(&at, '\0', MOST_SAMPLES, &spec->samples);
    return take_size(&at, ':', MOST_SAMPLES, &spec->samples) &&
           take_size(&at, '\0', MOST_DEPTH, &spec->depth);
}

bool bench_parse_model(bench_spec *spec, const char *text)
{
    static const char *const sizes[] = {"osf-nano", "osf-tiny",  "osf-small", "osf-middle",
                                        "osf-base", "osf-large", "osf-xl"};
    *spec = (bench_spec){.channels = BENCH_OSF_CHANNELS,
                         .outputs = 1u << BENCH_CLS | 1u << BENCH_PATCHES};
    snprintf(spec->name, sizeof spec->name, "%s", text);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (!strcmp(text, sizes[i])) {
            snprintf(spec->variant, sizeof spec->variant, "%s", text);
            return true;
        }
    }
    if (!strncmp(text, "eegpt:", 6) && strlen(text) < sizeof spec->name &&
        parse_eegpt(spec, text + 6))
        return true;
    cli_error(CLI_USAGE,
              "expected a model osf-nano, -tiny, -small, -middle, -base, -large, -xl or "
              "eegpt:CHANNELSxSAMPLES[:DEPTH], found '%s'",
              text);
    return false;
}

/* ---- opening --------------------------------------------------------------------------------- */

psgvit_status bench_model_image(const bench_spec *spec, unsigned char **bytes, size_t *size,
                                psgvit_error *err)
{
    char config[256];
    snprintf(config, sizeof config,
             "{\"n_chans\":%zu,\"n_times\":%zu,\"sfreq\":%d,\"n_outputs\":4,\"depth\":%zu,"
             "\"chan_proj_type\":\"none\"}",
             spec->channels, spec->samples, SYNTH_EEG_RATE, spec->depth);
    psgvit_weights *table = NULL;
    psgvit_status status =
        psgvit_weights_open_variant(&table, spec->variant, spec->eegpt ? config : NULL, err);
    if (status)
        return status;
    synth_options options = {.seed = SEED};
    status = synth_model_image(table, &options, bytes, size, err);
    psgvit_weights_close(&table);
    return status;
}

static bench_shape osf_shape(const osf_info *info)
{
    return (bench_shape){.depth = info->depth,
                         .width = info->width,
                         .inner = info->heads * 64,
                         .mlp_dim = info->mlp_dim,
                         .tokens = info->patches + 1,
                         .sequence = info->patches + 1,
                         .patch_rows = info->patches,
                         .patch_size = info->patch_leads * info->patch_samples};
}

static bench_shape eegpt_shape(const eegpt_info *info, size_t patches)
{
    size_t sequence = info->tokens + info->summary_tokens;
    size_t hidden = 16; /* of the probe */
    return (bench_shape){.depth = info->depth,
                         .width = info->width,
                         .inner = info->width,
                         .mlp_dim = info->mlp_dim,
                         .tokens = patches * sequence,
                         .sequence = sequence,
                         .patch_rows = patches * info->tokens,
                         .patch_size = info->patch_samples,
                         .probe = patches * hidden *
                                  (info->summary_tokens * info->width + info->outputs)};
}

static psgvit_status open_osf(bench_model *model, psgvit_device *device, psgvit_precision precision,
                              const char *path, const unsigned char *bytes, size_t size,
                              psgvit_error *err)
{
    osf_encoder_params params = {.struct_size = sizeof params, .precision = precision};
    psgvit_status status =
        bytes ? osf_encoder_open_memory(&model->osf, device, bytes, size, &params, err)
              : osf_encoder_open(&model->osf, device, path, &params, err);
    if (!status)
        model->shape = osf_shape(osf_encoder_info(model->osf));
    return status;
}

static psgvit_status open_eegpt(bench_model *model, psgvit_device *device,
                                psgvit_precision precision, const char *path,
                                const unsigned char *bytes, size_t size, psgvit_error *err)
{
    eegpt_encoder_params params = {.struct_size = sizeof params, .precision = precision};
    psgvit_status status =
        bytes ? eegpt_encoder_open_memory(&model->eegpt, device, bytes, size, &params, err)
              : eegpt_encoder_open(&model->eegpt, device, path, &params, err);
    if (!status)
        model->shape = eegpt_shape(eegpt_encoder_info(model->eegpt),
                                   eegpt_patch_count(model->eegpt, model->spec->samples));
    return status;
}

psgvit_status bench_model_open(bench_model *model, const bench_spec *spec, psgvit_device *device,
                               psgvit_precision precision, const char *path,
                               const unsigned char *bytes, size_t size, double *load_ms,
                               psgvit_error *err)
{
    *model = (bench_model){.spec = spec};
    double start = cli_clock();
    psgvit_status status = spec->eegpt
                               ? open_eegpt(model, device, precision, path, bytes, size, err)
                               : open_osf(model, device, precision, path, bytes, size, err);
    *load_ms = cli_clock() - start;
    return status;
}

/* ---- a job ----------------------------------------------------------------------------------- */

static void free_job(bench_model *model)
{
    free(model->signal);
    model->signal = NULL;
    for (size_t i = 0; i < BENCH_OUTPUTS; i++) {
        free(model->outputs[i]);
        model->outputs[i] = NULL;
    }
}

/* Epochs from the middle of a night, missing channels zero; windows of one EEG. */
static bool make_signal(bench_model *model)
{
    size_t samples = model->spec->eegpt ? model->spec->samples : (size_t)SYNTH_PSG_SAMPLES;
    size_t present = model->spec->channels * samples; /* floats of an epoch that are no zeros */
    size_t epoch = model->spec->eegpt ? present : BENCH_OSF_CHANNELS * samples;
    synth_night *night = model->osf ? synth_night_open(model->epochs, SEED) : NULL;
    synth_eeg *eeg = model->eegpt ? synth_eeg_open(model->spec->channels, SEED) : NULL;
    model->signal = malloc(model->epochs * epoch * sizeof(float));
    bool made = model->signal && (night || eeg);
    for (size_t e = 0; made && e < model->epochs; e++) {
        float *at = model->signal + e * epoch; /* [C,T] */
        if (night)
            synth_night_next(night, at);
        else
            synth_eeg_next(eeg, samples, at);
        memset(at + present, 0, (epoch - present) * sizeof *at);
    }
    synth_night_close(&night);
    synth_eeg_close(&eeg);
    return made;
}

/* Floats of each output of one epoch. */
static void output_sizes(const bench_model *model, size_t sizes[BENCH_OUTPUTS])
{
    const bench_shape *shape = &model->shape;
    sizes[BENCH_CLS] = sizes[BENCH_MEAN] = shape->width;
    sizes[BENCH_PATCHES] = shape->patch_rows * shape->width;
    sizes[BENCH_FEATURES] = sizes[BENCH_LOGITS] = 0;
    if (model->eegpt) {
        const eegpt_info *info = eegpt_encoder_info(model->eegpt);
        size_t patches = eegpt_patch_count(model->eegpt, model->spec->samples);
        sizes[BENCH_FEATURES] = patches * info->summary_tokens * info->width;
        sizes[BENCH_LOGITS] = info->outputs;
    }
}

psgvit_status bench_model_prepare(bench_model *model, size_t epochs, size_t batch,
                                  psgvit_error *err)
{
    free_job(model);
    model->epochs = epochs;
    model->batch = batch;
    output_sizes(model, model->sizes);
    bool room = make_signal(model);
    for (size_t i = 0; room && i < BENCH_OUTPUTS; i++) {
        model->sizes[i] *= epochs;
        if (model->spec->outputs & 1u << i) {
            model->outputs[i] = calloc(model->sizes[i], sizeof(float));
            room = model->outputs[i] != NULL;
        }
    }
    if (room)
        return PSGVIT_OK;
    err->code = PSGVIT_E_MEMORY;
    snprintf(err->message, sizeof err->message,
             "%s: no memory for the signal and outputs of %zu "
             "epochs",
             model->spec->name, epochs);
    return err->code;
}

psgvit_status bench_model_run(bench_model *model, psgvit_error *err)
{
    if (model->eegpt) {
        eegpt_job job = {.struct_size = sizeof job,
                         .signal = model->signal,
                         .epochs = model->epochs,
                         .samples = model->spec->samples,
                         .features = model->outputs[BENCH_FEATURES],
                         .features_capacity = model->sizes[BENCH_FEATURES],
                         .logits = model->outputs[BENCH_LOGITS],
                         .logits_capacity = model->sizes[BENCH_LOGITS],
                         .batch = model->batch,
                         .user = model->profile_user,
                         .device_ms = &model->device_ms,
                         .profile = model->profile};
        return eegpt_encode(model->eegpt, &job, err);
    }
    osf_job job = {.struct_size = sizeof job,
                   .signal = model->signal,
                   .epochs = model->epochs,
                   .cls = model->outputs[BENCH_CLS],
                   .cls_capacity = model->sizes[BENCH_CLS],
                   .patches = model->outputs[BENCH_PATCHES],
                   .patches_capacity = model->sizes[BENCH_PATCHES],
                   .mean = model->outputs[BENCH_MEAN],
                   .mean_capacity = model->sizes[BENCH_MEAN],
                   .batch = model->batch,
                   .user = model->profile_user,
                   .device_ms = &model->device_ms,
                   .profile = model->profile};
    return osf_encode(model->osf, &job, err);
}

void bench_model_close(bench_model *model)
{
    free_job(model);
    osf_encoder_close(&model->osf);
    eegpt_encoder_close(&model->eegpt);
}

double bench_flops(const bench_shape *shape, size_t epochs)
{
    double D = (double)shape->width;
    double inner = (double)shape->inner;
    double M = (double)shape->mlp_dim;
    double tokens = (double)shape->tokens;
    double patches = (double)shape->patch_rows * (double)shape->patch_size * D;
    double linear = tokens * (D * 3.0 * inner + inner * D + D * M + M * D); /* qkv, out, fc1, fc2 */
    double attention = tokens * (double)shape->sequence * inner * 2.0;      /* q k^T, and times v */
    double all = patches + (double)shape->depth * (linear + attention) + (double)shape->probe;
    return 2.0 * (double)epochs * all;
}
