/* SPDX-License-Identifier: MIT */
/* The keys of braindecode's config.json for EEGPT, and the ids of the channels that they name. */
#include "weights/eegpt_fields.h"

#include "base/channels.h"
#include "base/checked.h"
#include "base/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- the keys -------------------------------------------------------------------------------- */

static const char *const proj_names[] = {
    [PV_CHAN_PROJ_NONE] = "none",
    [PV_CHAN_PROJ_LINEAR] = "linear",
    [PV_CHAN_PROJ_CONV1D] = "conv1d_constraint",
};

const char *pv_chan_proj_name(pv_chan_proj chan_proj)
{
    return proj_names[chan_proj];
}

const char *pv_eegpt_name(const cJSON *item)
{
    if (cJSON_IsObject(item))
        item = cJSON_GetObjectItemCaseSensitive(item, "ch_name");
    return cJSON_GetStringValue(item);
}

/* Modules of the caller's own can't be known here. */
static psgvit_status refuse_modules(const pv_json *json, psgvit_error *err)
{
    static const char *const keys[] = {"patch_module", "norm_layer", "final_layer"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const cJSON *item = pv_json_find(json, keys[i]);
        if (item)
            return pv_json_wrong(json, keys[i], item, "null: only the reference's own is supported",
                                 err);
    }
    return PSGVIT_OK;
}

static psgvit_status read_chan_proj(pv_eegpt_fields *f, const pv_json *json, psgvit_error *err)
{
    const char *name = NULL;
    PV_TRY(pv_json_string(json, "chan_proj_type", &name, err));
    f->chan_proj = PV_CHAN_PROJ_ABSENT;
    for (int i = 0; name && i < 3; i++)
        if (strcmp(name, proj_names[i]) == 0)
            f->chan_proj = i;
    if (name && f->chan_proj == PV_CHAN_PROJ_ABSENT)
        return pv_json_wrong(json, "chan_proj_type", pv_json_find(json, "chan_proj_type"),
                             "\"none\", \"linear\" or \"conv1d_constraint\"", err);
    return PSGVIT_OK;
}

static psgvit_status read_names(pv_eegpt_fields *f, const pv_json *json, psgvit_error *err)
{
    const cJSON *array = NULL, *item;
    f->names_key = "chs_info";
    PV_TRY(pv_json_array(json, f->names_key, &array, err));
    if (!array)
        PV_TRY(pv_json_array(json, f->names_key = "ch_names", &array, err));
    if (!array)
        return PSGVIT_OK;
    cJSON_ArrayForEach(item, array)
    {
        if (!pv_eegpt_name(item))
            return pv_fail(err, PSGVIT_E_MODEL,
                           "%s: config key '%s': element %zu has no name, expected a string, or an "
                           "object with a ch_name",
                           json->file, f->names_key, f->name_count);
        f->name_count++;
    }
    f->names = array->child;
    return f->name_count ? PSGVIT_OK
                         : pv_json_wrong(json, f->names_key, array, "at least one channel", err);
}

static psgvit_status read_ids(pv_eegpt_fields *f, const pv_json *json, psgvit_error *err)
{
    const cJSON *array = NULL, *item;
    PV_TRY(pv_json_array(json, "chans_id", &array, err));
    if (!array)
        return PSGVIT_OK;
    cJSON_ArrayForEach(item, array)
    {
        double v = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(v >= 0 && v <= (double)PV_SIZE_MAX) || v != (double)(int64_t)v)
            return pv_fail(err, PSGVIT_E_MODEL,
                           "%s: config key 'chans_id': element %zu is no whole number from 0",
                           json->file, f->id_count);
        f->id_count++;
    }
    f->ids = array->child;
    return f->id_count ? PSGVIT_OK
                       : pv_json_wrong(json, "chans_id", array, "at least one channel", err);
}

psgvit_status pv_eegpt_fields_read(pv_eegpt_fields *f, const pv_json *json, psgvit_error *err)
{
    *f = (pv_eegpt_fields){0};
    const struct {
        const char *key;
        size_t *value;
    } sizes[] = {
        {"n_chans", &f->n_chans},       {"n_times", &f->n_times},
        {"n_outputs", &f->n_outputs},   {"n_chans_target", &f->n_chans_target},
        {"patch_size", &f->patch_size}, {"patch_stride", &f->patch_stride},
        {"embed_num", &f->embed_num},   {"embed_dim", &f->embed_dim},
        {"depth", &f->depth},           {"num_heads", &f->num_heads},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        PV_TRY(pv_json_size(json, sizes[i].key, 1, sizes[i].value, err));
    f->stride_is_patch = pv_json_is_null(json, "patch_stride");
    PV_TRY(pv_json_positive(json, "sfreq", &f->sfreq, err));
    PV_TRY(pv_json_positive(json, "mlp_ratio", &f->mlp_ratio, err));
    PV_TRY(pv_json_positive(json, "layer_norm_eps", &f->layer_norm_eps, err));
    PV_TRY(pv_json_positive(json, "chan_conv_max_norm", &f->chan_conv_max_norm, err));
    PV_TRY(pv_json_bool(json, "qkv_bias", &f->qkv_bias, err));
    PV_TRY(pv_json_bool(json, "return_encoder_output", &f->return_encoder_output, err));
    f->has_qkv_bias = pv_json_find(json, "qkv_bias") != NULL;
    f->has_return = pv_json_find(json, "return_encoder_output") != NULL;
    PV_TRY(refuse_modules(json, err));
    PV_TRY(read_chan_proj(f, json, err));
    PV_TRY(read_names(f, json, err));
    return read_ids(f, json, err);
}

/* ---- the ids --------------------------------------------------------------------------------- */

typedef struct ids {
    pv_eegpt_config *config;
    const pv_eegpt_fields *fields;
    const char *file;
    const pv_log *log;
    psgvit_error *err;
} ids;

/* Rows of the names that the config gives, of which it has as many as there are channels. */
static void ids_of_names(const ids *s, int64_t *out)
{
    const cJSON *item = s->fields->names;
    for (size_t i = 0; item; i++, item = item->next) {
        const char *name = pv_eegpt_name(item), *alias = NULL;
        int row = pv_channel_row(name, &alias);
        out[i] = row < 0 ? (int64_t)i : row;
        if (row < 0)
            pv_log_line(
                s->log, PSGVIT_LOG_WARNING,
                "%s: channel %zu, '%.60s', is none of EEGPT's 62 names: as in the reference "
                "its own index %zu is its row",
                s->file, i, name, i);
        else if (alias)
            pv_log_line(s->log, PSGVIT_LOG_INFO, "%s: channel %zu, '%.60s', is taken as %s",
                        s->file, i, name, alias);
    }
}

static void ids_of_targets(int64_t *out)
{
    for (size_t i = 0; i < PV_CHAN_PROJ_TARGETS; i++)
        out[i] = pv_channel_row(pv_chan_proj_names[i], NULL);
}

/* What the config says, into `out` [tokens]; `source` becomes its name, NULL if it says nothing. */
static psgvit_status ids_of_config(const ids *s, int64_t *out, const char **source)
{
    size_t i = 0, tokens = s->config->tokens;
    *source = NULL;
    if (s->fields->ids && s->fields->id_count != tokens)
        return pv_fail(s->err, PSGVIT_E_MODEL,
                       "%s: config key 'chans_id' has %zu elements, but the model has %zu channels",
                       s->file, s->fields->id_count, tokens);
    if (s->fields->ids) {
        for (const cJSON *item = s->fields->ids; item; item = item->next)
            out[i++] = (int64_t)item->valuedouble;
        *source = "config key 'chans_id'";
    } else if (s->config->chan_proj != PV_CHAN_PROJ_NONE && tokens == PV_CHAN_PROJ_TARGETS) {
        ids_of_targets(out);
        *source = "the 19 names behind a chan_proj";
    } else if (s->config->chan_proj == PV_CHAN_PROJ_NONE && s->fields->names) {
        ids_of_names(s, out);
        *source = "the config's channel names";
    }
    return PSGVIT_OK;
}

static psgvit_status check_range(const ids *s, const char *source)
{
    for (size_t i = 0; i < s->config->tokens; i++)
        if (s->config->ids[i] < 0 || (uint64_t)s->config->ids[i] >= s->config->channel_rows)
            return pv_fail(s->err, PSGVIT_E_MODEL,
                           "%s: %s: element %zu is %" PRId64 ", expected a row from 0 to %zu of "
                           "'target_encoder.chan_embed.weight'",
                           s->file, source, i, s->config->ids[i], s->config->channel_rows - 1);
    return PSGVIT_OK;
}

/* The tensor is the truth; the config, in `said`, only makes a warning. */
static void compare(const ids *s, const int64_t *said, const char *source)
{
    for (size_t i = 0; i < s->config->tokens; i++) {
        if (said[i] == s->config->ids[i])
            continue;
        pv_log_line(s->log, PSGVIT_LOG_WARNING,
                    "%s: tensor 'chans_id' and %s disagree: channel %zu is row %" PRId64
                    " by the tensor, which is taken, and %" PRId64 " by the other",
                    s->file, source, i, s->config->ids[i], said[i]);
        return;
    }
}

static psgvit_status from_tensor(const ids *s, const psgvit_weights *weights,
                                 const psgvit_tensor *tensor)
{
    const char *source;
    size_t tokens = s->config->tokens;
    PV_TRY(pv_weights_read_i64(weights, tensor, s->config->ids, s->err));
    PV_TRY(check_range(s, "tensor 'chans_id'"));
    int64_t *said = calloc(tokens, sizeof *said);
    if (!said)
        return pv_fail_memory(s->err, "the ids of channels", tokens * sizeof *said);
    psgvit_status status = ids_of_config(s, said, &source);
    if (status == PSGVIT_OK && source)
        compare(s, said, source);
    free(said);
    return status;
}

static psgvit_status from_config(const ids *s)
{
    const char *source;
    PV_TRY(ids_of_config(s, s->config->ids, &source));
    if (source)
        return check_range(s, source);
    if (s->config->chan_proj != PV_CHAN_PROJ_NONE)
        return pv_fail(
            s->err, PSGVIT_E_MODEL,
            "%s: tensor 'chans_id' is missing, expected with shape [%zu]: names are known "
            "only for the %d channels of the reference's own chan_proj",
            s->file, s->config->tokens, PV_CHAN_PROJ_TARGETS);
    for (size_t i = 0; i < s->config->tokens; i++)
        s->config->ids[i] = (int64_t)i;
    return PSGVIT_OK;
}

psgvit_status pv_eegpt_ids(pv_eegpt_config *config, const pv_eegpt_fields *fields, const char *file,
                           const psgvit_weights *weights, const psgvit_tensor *tensor,
                           const pv_log *log, psgvit_error *err)
{
    const ids s = {.config = config, .fields = fields, .file = file, .log = log, .err = err};
    size_t bytes;
    if (!pv_mul(config->tokens, sizeof *config->ids, &bytes))
        return pv_fail_memory(err, "the ids of channels", SIZE_MAX);
    config->ids = malloc(bytes);
    if (!config->ids)
        return pv_fail_memory(err, "the ids of channels", bytes);
    return tensor ? from_tensor(&s, weights, tensor) : from_config(&s);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Name of input channel i; `item` is its name in the config, NULL if there are none. */
static const char *name_of(const pv_eegpt_config *c, const cJSON *item, size_t i)
{
    const char *name = NULL;
    if (item)
        name = pv_eegpt_name(item);
    else if (c->chan_proj == PV_CHAN_PROJ_NONE)
        name = pv_channel_name((size_t)c->ids[i]);
    return name ? name : "";
}

psgvit_status pv_eegpt_channel_names(pv_eegpt_config *c, const pv_eegpt_fields *fields,
                                     psgvit_error *err)
{
    const cJSON *item = fields->names;
    size_t bytes;
    bool fits = pv_mul(c->channels, sizeof *c->names, &bytes);
    for (size_t i = 0; i < c->channels; i++, item = item ? item->next : NULL)
        fits = fits && pv_add(bytes, strlen(name_of(c, item, i)) + 1, &bytes);
    c->names = fits ? malloc(bytes) : NULL;
    if (!c->names)
        return pv_fail_memory(err, "the names of channels", fits ? bytes : SIZE_MAX);
    char *text = (char *)(c->names + c->channels);
    item = fields->names;
    for (size_t i = 0; i < c->channels; i++, item = item ? item->next : NULL) {
        const char *name = name_of(c, item, i);
        c->names[i] = strcpy(text, name);
        text += strlen(name) + 1;
    }
    return PSGVIT_OK;
}
