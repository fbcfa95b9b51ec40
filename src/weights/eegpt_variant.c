/* SPDX-License-Identifier: MIT */
/*
 * The variant `eegpt`: 22 channels of 1000 samples at 256 Hz, depth 8, width 512, a probe of 4
 * outputs, no chan_proj, as far as a config does not say otherwise.
 */
#include "weights/eegpt_fields.h"

#include "base/channels.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHANNELS = 22,
    SAMPLES = 1000,
    OUTPUTS = 4,
    WIDTH = 512,
    DEPTH = 8,
    PATCH = 64,
    SUMMARY = 4
};
#define RATE      256.0
#define MLP_RATIO 4.0

static size_t or_else(size_t value, size_t otherwise)
{
    return value ? value : otherwise;
}

/* C and C'. Without n_chans they are as many as names or ids. */
static psgvit_status take_channels(pv_eegpt_config *c, const pv_eegpt_fields *f, const char *file,
                                   psgvit_error *err)
{
    size_t listed = f->names ? f->name_count : 0;
    c->chan_proj =
        f->chan_proj == PV_CHAN_PROJ_ABSENT ? PV_CHAN_PROJ_NONE : (pv_chan_proj)f->chan_proj;
    if (!listed && c->chan_proj == PV_CHAN_PROJ_NONE)
        listed = f->id_count;
    c->channels = or_else(f->n_chans, or_else(listed, CHANNELS));
    c->tokens = c->channels;
    if (c->chan_proj != PV_CHAN_PROJ_NONE)
        c->tokens = or_else(f->n_chans_target, PV_CHAN_PROJ_TARGETS);
    c->channel_rows = c->tokens > PV_CHANNEL_NAMES ? c->tokens : PV_CHANNEL_NAMES;
    if (f->names && f->name_count != c->channels)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config says n_chans = %zu, but %s has %zu names",
                       file, c->channels, f->names_key, f->name_count);
    if (c->tokens > PV_VARIANT_CHANNELS_MAX)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config asks for %zu channels, expected at most %d",
                       file, c->tokens, PV_VARIANT_CHANNELS_MAX);
    return pv_eegpt_ids(c, f, file, NULL, NULL, NULL, err);
}

static psgvit_status take_sizes(pv_eegpt_config *c, const pv_eegpt_fields *f, const char *file,
                                psgvit_error *err)
{
    c->width = or_else(f->embed_dim, WIDTH);
    c->depth = or_else(f->depth, DEPTH);
    c->summary = or_else(f->embed_num, SUMMARY);
    c->patch_samples = or_else(f->patch_size, PATCH);
    c->qkv_bias = !f->has_qkv_bias || f->qkv_bias;
    double ratio = f->mlp_ratio > 0 ? f->mlp_ratio : MLP_RATIO;
    c->mlp_dim = pv_eegpt_hidden(c->width, ratio);
    PV_TRY(pv_eegpt_take_fields(c, f, file, err));
    c->samples = or_else(f->n_times, SAMPLES);
    c->sample_rate = f->sfreq > 0 ? f->sfreq : RATE;
    if (c->depth > PV_DEPTH_MAX)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config says depth = %zu, expected at most %d",
                       file, c->depth, PV_DEPTH_MAX);
    if (!c->mlp_dim)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: config says mlp_ratio = %g, of embed_dim = %zu that is no width", file,
                       ratio, c->width);
    if (f->return_encoder_output)
        return PSGVIT_OK;
    c->outputs = or_else(f->n_outputs, OUTPUTS);
    c->probe_patches = pv_eegpt_patches(c, c->samples);
    if (!c->probe_patches)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: n_times is %zu, expected at least patch_size = %zu", file, c->samples,
                       c->patch_samples);
    return PSGVIT_OK;
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static bool add_numbers(cJSON *root, const pv_eegpt_config *c, double mlp_ratio)
{
    const struct {
        const char *key;
        double value; /* 0: left out */
    } numbers[] = {
        {"n_outputs", (double)c->outputs},
        {"n_chans", (double)c->channels},
        {"n_times", (double)c->samples},
        {"sfreq", c->sample_rate},
        {"patch_size", (double)c->patch_samples},
        {"patch_stride", (double)c->patch_stride},
        {"embed_num", (double)c->summary},
        {"embed_dim", (double)c->width},
        {"depth", (double)c->depth},
        {"num_heads", (double)c->heads},
        {"mlp_ratio", mlp_ratio},
        {"layer_norm_eps", c->eps},
        {"n_chans_target", c->chan_proj == PV_CHAN_PROJ_NONE ? 0 : (double)c->tokens},
        {"chan_conv_max_norm", c->chan_max_norm},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].value > 0 &&
            !cJSON_AddNumberToObject(root, numbers[i].key, numbers[i].value))
            return false;
    return true;
}

static bool add_names(cJSON *root, const pv_eegpt_fields *f)
{
    cJSON *array = cJSON_AddArrayToObject(root, "chs_info");
    if (!array)
        return false;
    for (const cJSON *item = f->names; item; item = item->next) {
        cJSON *channel = cJSON_CreateObject();
        if (!channel || !cJSON_AddItemToArray(array, channel)) {
            cJSON_Delete(channel);
            return false;
        }
        if (!cJSON_AddStringToObject(channel, "ch_name", pv_eegpt_name(item)))
            return false;
    }
    return true;
}

static bool add_ids(cJSON *root, const pv_eegpt_config *c)
{
    cJSON *array = cJSON_AddArrayToObject(root, "chans_id");
    for (size_t i = 0; array && i < c->tokens; i++) {
        cJSON *id = cJSON_CreateNumber((double)c->ids[i]);
        if (!id || !cJSON_AddItemToArray(array, id)) {
            cJSON_Delete(id);
            return false;
        }
    }
    return array != NULL;
}

static char *print(const pv_eegpt_config *c, const pv_eegpt_fields *f)
{
    cJSON *root = cJSON_CreateObject();
    double ratio = f->mlp_ratio > 0 ? f->mlp_ratio : MLP_RATIO;
    bool made = cJSON_AddStringToObject(root, "model", "eegpt") && add_numbers(root, c, ratio) &&
                cJSON_AddBoolToObject(root, "qkv_bias", c->qkv_bias) &&
                cJSON_AddBoolToObject(root, "return_encoder_output", !c->outputs) &&
                cJSON_AddStringToObject(root, "chan_proj_type", pv_chan_proj_name(c->chan_proj)) &&
                (!f->names || add_names(root, f)) && add_ids(root, c);
    char *text = made ? pv_json_print(root) : NULL;
    cJSON_Delete(root);
    return text;
}

static psgvit_status build(pv_eegpt_config *c, const pv_json *own, size_t *id_rank, char **json,
                           psgvit_error *err)
{
    pv_eegpt_fields f;
    PV_TRY(pv_eegpt_fields_read(&f, own, err));
    PV_TRY(take_sizes(c, &f, own->file, err));
    PV_TRY(take_channels(c, &f, own->file, err));
    *id_rank = c->chan_proj != PV_CHAN_PROJ_NONE || f.names ? 2 : 1;
    *json = print(c, &f);
    return *json ? PSGVIT_OK : pv_fail_memory(err, "a config's text", 4096);
}

psgvit_status pv_eegpt_variant(pv_eegpt_config *c, const char *text, size_t *id_rank, char **json,
                               psgvit_error *err)
{
    *c = (pv_eegpt_config){0};
    pv_json own;
    psgvit_status status = pv_json_open(&own, "eegpt", text, err);
    if (status == PSGVIT_OK)
        status = pv_confirm_kind(&own, "eegpt", err);
    if (status == PSGVIT_OK)
        status = build(c, &own, id_rank, json, err);
    pv_json_close(&own);
    return status;
}
