/* SPDX-License-Identifier: MIT */
/*
 * EEGPT: shapes tell most, the config the rest (heads, stride, lengths, epsilon), and what both
 * tell must agree. Source of names, order and sizes: EEGPT of braindecode 1.8.1; checkpoints of
 * BINE022/EEGPT have the same names under target_encoder, with others beside it.
 */
#include "weights/eegpt_fields.h"

#include "base/channels.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRIDE = 32, HEADS = 8 }; /* what no shape tells: the reference's defaults */
#define EPSILON       1e-6
#define CHAN_MAX_NORM 1.0

#define PROJ_CONV   "chan_proj.proj.parametrizations.weight.original"
#define PROJ_LINEAR "chan_proj.proj.weight"
#define PROBE1      "final_layer.probe1.parametrizations.weight.original"
#define PROBE2      "final_layer.probe2.parametrizations.weight.original"
#define SUMMARY     "target_encoder.summary_token"
#define PATCH       "target_encoder.patch_embed.proj.weight"

/* ---- the tensors ----------------------------------------------------------------------------- */

static void block_rows(pv_row_list *rows, const pv_eegpt_config *c, size_t i)
{
    const uint64_t d = c->width, m = c->mlp_dim;
    pv_row_add(rows, (uint64_t[4]){d}, "target_encoder.blocks.%zu.norm1.weight", i);
    pv_row_add(rows, (uint64_t[4]){d}, "target_encoder.blocks.%zu.norm1.bias", i);
    pv_row_add(rows, (uint64_t[4]){3 * d, d}, "target_encoder.blocks.%zu.attn.qkv.weight", i);
    if (c->qkv_bias)
        pv_row_add(rows, (uint64_t[4]){3 * d}, "target_encoder.blocks.%zu.attn.qkv.bias", i);
    pv_row_add(rows, (uint64_t[4]){d, d}, "target_encoder.blocks.%zu.attn.proj.weight", i);
    pv_row_add(rows, (uint64_t[4]){d}, "target_encoder.blocks.%zu.attn.proj.bias", i);
    pv_row_add(rows, (uint64_t[4]){d}, "target_encoder.blocks.%zu.norm2.weight", i);
    pv_row_add(rows, (uint64_t[4]){d}, "target_encoder.blocks.%zu.norm2.bias", i);
    pv_row_add(rows, (uint64_t[4]){m, d}, "target_encoder.blocks.%zu.mlp.fc1.weight", i);
    pv_row_add(rows, (uint64_t[4]){m}, "target_encoder.blocks.%zu.mlp.fc1.bias", i);
    pv_row_add(rows, (uint64_t[4]){d, m}, "target_encoder.blocks.%zu.mlp.fc2.weight", i);
    pv_row_add(rows, (uint64_t[4]){d}, "target_encoder.blocks.%zu.mlp.fc2.bias", i);
}

static void probe_rows(pv_row_list *rows, const pv_eegpt_config *c)
{
    const uint64_t hidden = PV_PROBE_HIDDEN;
    pv_row_add(rows, (uint64_t[4]){hidden}, "final_layer.probe1.bias");
    pv_row_add(rows, (uint64_t[4]){hidden, (uint64_t)c->summary * c->width}, PROBE1);
    pv_row_add(rows, (uint64_t[4]){c->outputs}, "final_layer.probe2.bias");
    pv_row_add(rows, (uint64_t[4]){c->outputs, c->probe_patches * hidden}, PROBE2);
}

psgvit_status pv_eegpt_rows(const pv_eegpt_config *c, size_t id_rank, pv_row_fn fn, void *user,
                            psgvit_error *err)
{
    pv_row_list rows = {.fn = fn, .user = user, .err = err, .prefix = c->prefix};
    const uint64_t d = c->width, tokens = c->tokens, one_id[4] = {1, tokens};
    rows.dtype = PSGVIT_DTYPE_I64;
    rows.unused = true;
    pv_row_add(&rows, id_rank == 2 ? one_id : (uint64_t[4]){tokens}, "chans_id");
    rows.dtype = PSGVIT_DTYPE_F32;
    rows.unused = false;
    if (c->chan_proj == PV_CHAN_PROJ_LINEAR)
        pv_row_add(&rows, (uint64_t[4]){tokens, c->channels}, PROJ_LINEAR);
    if (c->chan_proj != PV_CHAN_PROJ_NONE)
        pv_row_add(&rows, (uint64_t[4]){tokens}, "chan_proj.proj.bias");
    if (c->chan_proj == PV_CHAN_PROJ_CONV1D)
        pv_row_add(&rows, (uint64_t[4]){tokens, c->channels, 1}, PROJ_CONV);
    pv_row_add(&rows, (uint64_t[4]){1, c->summary, d}, SUMMARY);
    pv_row_add(&rows, (uint64_t[4]){d, 1, 1, c->patch_samples}, PATCH);
    pv_row_add(&rows, (uint64_t[4]){d}, "target_encoder.patch_embed.proj.bias");
    pv_row_add(&rows, (uint64_t[4]){c->channel_rows, d}, "target_encoder.chan_embed.weight");
    for (size_t i = 0; i < c->depth && rows.status == PSGVIT_OK; i++)
        block_rows(&rows, c, i);
    pv_row_add(&rows, (uint64_t[4]){d}, "target_encoder.norm.weight");
    pv_row_add(&rows, (uint64_t[4]){d}, "target_encoder.norm.bias");
    if (c->outputs)
        probe_rows(&rows, c);
    return rows.status;
}

size_t pv_eegpt_patches(const pv_eegpt_config *c, size_t samples)
{
    if (samples < c->patch_samples || !c->patch_stride)
        return 0;
    size_t rest = samples - c->patch_samples;
    return rest / c->patch_stride + (rest % c->patch_stride != 0) + 1;
}

void pv_eegpt_config_free(pv_eegpt_config *config)
{
    free(config->ids);
    free(config->names);
    config->ids = NULL;
    config->names = NULL;
}

/* ---- from shapes ----------------------------------------------------------------------------- */

typedef struct reader {
    pv_eegpt_config *c;
    const pv_eegpt_fields *f;
    const pv_json *json;
    const psgvit_weights *w;
    const psgvit_tensor *ids; /* chans_id; NULL: there is none */
    const pv_log *log;
    psgvit_error *err;
} reader;

enum { NAME = 128 };

/* The name as it stands in the file. */
static const char *full(const reader *r, char text[NAME], const char *name)
{
    snprintf(text, NAME, "%s%s", r->c->prefix, name);
    return text;
}

static const psgvit_tensor *find(const reader *r, const char *name)
{
    char text[NAME];
    return psgvit_weights_find(r->w, full(r, text, name));
}

static psgvit_status need(const reader *r, const char *name, size_t rank, const char *expected,
                          const psgvit_tensor **tensor)
{
    char text[NAME];
    return pv_tensor_need(r->w, full(r, text, name), rank, expected, tensor, r->err);
}

static void vote(const reader *r, pv_vote *votes, size_t rank, size_t dim, const char *name)
{
    char text[NAME];
    pv_vote_add(votes, r->w, rank, dim, 1, full(r, text, name));
}

static psgvit_status result(const reader *r, const pv_vote *votes, const char *name,
                            const char *expected, size_t *value)
{
    char text[NAME];
    return pv_vote_result(votes, r->w, full(r, text, name), expected, value, r->err);
}

/* Is there a tensor whose name begins with `stem` and ends with `tail`? */
static bool any(const reader *r, const char *stem, const char *tail)
{
    char text[NAME];
    size_t length = strlen(full(r, text, stem)), end = strlen(tail);
    for (size_t i = 0; i < psgvit_weights_count(r->w); i++) {
        const char *name = psgvit_weights_at(r->w, i)->name;
        size_t n = strlen(name);
        if (n >= length + end && strncmp(name, text, length) == 0 &&
            strcmp(name + n - end, tail) == 0)
            return true;
    }
    return false;
}

/* Keys stand at the top, or all behind "model." */
static void find_prefix(reader *r)
{
    if (any(r, "target_encoder.", ""))
        return;
    strcpy(r->c->prefix, "model.");
    if (!any(r, "target_encoder.", ""))
        r->c->prefix[0] = '\0';
}

static psgvit_status infer_encoder(reader *r)
{
    pv_eegpt_config *c = r->c;
    pv_vote width = {0}, hidden = {0};
    const psgvit_tensor *t;
    char text[NAME];
    vote(r, &width, 3, 2, SUMMARY);
    vote(r, &width, 2, 1, "target_encoder.chan_embed.weight");
    vote(r, &width, 1, 0, "target_encoder.norm.weight");
    PV_TRY(result(r, &width, SUMMARY, "[1, embed_num, D]", &c->width));
    PV_TRY(need(r, SUMMARY, 3, "[1, embed_num, D]", &t));
    c->summary = (size_t)t->shape[1];
    PV_TRY(need(r, PATCH, 4, "[D, 1, 1, patch_size]", &t));
    c->patch_samples = (size_t)t->shape[3];
    PV_TRY(pv_count_blocks(r->w, full(r, text, "target_encoder.blocks."), &c->depth, r->err));
    for (int i = 0; i < 3; i++) {
        char fc1[64], fc2[64];
        snprintf(fc1, sizeof fc1, "target_encoder.blocks.%d.mlp.fc1.weight", i);
        snprintf(fc2, sizeof fc2, "target_encoder.blocks.%d.mlp.fc2.weight", i);
        vote(r, &hidden, 2, 0, fc1);
        vote(r, &hidden, 2, 1, fc2);
    }
    PV_TRY(
        result(r, &hidden, "target_encoder.blocks.0.mlp.fc1.weight", "[hidden, D]", &c->mlp_dim));
    c->qkv_bias = any(r, "target_encoder.blocks.", ".attn.qkv.bias");
    return PSGVIT_OK;
}

/* C and C' of a chan_proj. C' is told three times: by the weight, the bias and the ids. */
static psgvit_status infer_projection(reader *r)
{
    bool conv = r->c->chan_proj == PV_CHAN_PROJ_CONV1D;
    const char *name = conv ? PROJ_CONV : PROJ_LINEAR;
    const char *expected = conv ? "[n_chans_target, n_chans, 1]" : "[n_chans_target, n_chans]";
    const psgvit_tensor *t;
    pv_vote tokens = {0};
    PV_TRY(need(r, name, conv ? 3 : 2, expected, &t));
    r->c->channels = (size_t)t->shape[1];
    vote(r, &tokens, conv ? 3 : 2, 0, name);
    vote(r, &tokens, 1, 0, "chan_proj.proj.bias");
    if (r->ids && r->ids->rank > 0)
        pv_vote_add(&tokens, r->w, r->ids->rank, r->ids->rank - 1, 1, r->ids->name);
    return result(r, &tokens, name, expected, &r->c->tokens);
}

/* The type is told by the name of the weight; if that is missing, by the config. */
static psgvit_status infer_chan_proj(reader *r)
{
    bool is_there = any(r, "chan_proj.", ""), conv = any(r, "chan_proj.proj.parametrizations.", "");
    if (r->f->chan_proj == PV_CHAN_PROJ_CONV1D && !find(r, PROJ_LINEAR))
        conv = is_there;
    r->c->chan_proj = conv       ? PV_CHAN_PROJ_CONV1D
                      : is_there ? PV_CHAN_PROJ_LINEAR
                                 : PV_CHAN_PROJ_NONE;
    int said = r->f->chan_proj;
    char text[NAME];
    if (said != PV_CHAN_PROJ_ABSENT && said != (int)r->c->chan_proj)
        return pv_fail(r->err, PSGVIT_E_MODEL,
                       "%s: config says chan_proj_type = %s, but the tensors say %s: '%s' is %s",
                       r->json->file, pv_chan_proj_name((pv_chan_proj)said),
                       pv_chan_proj_name(r->c->chan_proj),
                       full(r, text, conv || said == PV_CHAN_PROJ_CONV1D ? PROJ_CONV : PROJ_LINEAR),
                       is_there && (conv || said != PV_CHAN_PROJ_CONV1D) ? "there" : "missing");
    return r->c->chan_proj == PV_CHAN_PROJ_NONE ? PSGVIT_OK : infer_projection(r);
}

/* C' of a model without chan_proj: what is there first of the tensor of ids, the config's ids,
 * names and n_chans. `source` becomes what says so. */
static psgvit_status infer_channels(reader *r, const char **source)
{
    pv_eegpt_config *c = r->c;
    const pv_eegpt_fields *f = r->f;
    *source = "chans_id";
    if (r->ids)
        c->tokens = (size_t)r->ids->elements;
    else if (f->ids)
        c->tokens = f->id_count;
    else if (f->names) {
        c->tokens = f->name_count;
        *source = f->names_key;
    } else
        c->tokens = f->n_chans;
    c->channels = c->tokens;
    if (!c->tokens)
        return pv_fail(r->err, PSGVIT_E_MODEL,
                       "%s: the channels are unknown: tensor 'chans_id' is missing, and no config "
                       "has chans_id, chs_info, ch_names or n_chans",
                       r->json->file);
    return PSGVIT_OK;
}

/* [C'] or [1, C'] of I64; C' is known already if there is a chan_proj. */
static psgvit_status check_ids(const reader *r)
{
    const psgvit_tensor *ids = r->ids;
    size_t tokens = r->c->tokens;
    char expected[64] = "[channels] or [1, channels]";
    if (tokens)
        snprintf(expected, sizeof expected, "[%zu] or [1, %zu]", tokens, tokens);
    bool one = ids->rank == 1 || (ids->rank == 2 && ids->shape[0] == 1);
    if (!one || ids->elements < 1 || ids->elements > PV_SIZE_MAX ||
        (tokens && ids->elements != tokens))
        return pv_tensor_wrong_shape(r->w, ids, expected, r->err);
    if (ids->dtype != PSGVIT_DTYPE_I64)
        return pv_fail(r->err, PSGVIT_E_MODEL, "%s: tensor '%s' has dtype %s, expected I64",
                       r->json->file, ids->name, psgvit_dtype_name(ids->dtype));
    return PSGVIT_OK;
}

/* The config's number of channels, and of names, against C. */
static psgvit_status confirm_channels(const reader *r, const char *source)
{
    const pv_eegpt_config *c = r->c;
    const pv_eegpt_fields *f = r->f;
    if (f->n_chans && f->n_chans != c->channels)
        return pv_fail(r->err, PSGVIT_E_MODEL,
                       "%s: config says n_chans = %zu, but '%s' says %zu channels", r->json->file,
                       f->n_chans, source, c->channels);
    if (f->names && f->name_count != c->channels)
        return pv_fail(r->err, PSGVIT_E_MODEL,
                       "%s: config key '%s' has %zu names, but '%s' says %zu channels",
                       r->json->file, f->names_key, f->name_count, source, c->channels);
    if (f->n_chans_target && c->chan_proj != PV_CHAN_PROJ_NONE && f->n_chans_target != c->tokens)
        return pv_contradiction(r->json, "n_chans_target", f->n_chans_target, c->tokens, r->w,
                                source, r->err);
    return PSGVIT_OK;
}

static psgvit_status read_channels(reader *r)
{
    char text[NAME];
    const char *source = full(r, text, PROJ_LINEAR);
    r->ids = find(r, "chans_id");
    if (!r->ids)
        r->ids = psgvit_weights_find(r->w, "chans_id");
    PV_TRY(infer_chan_proj(r));
    if (r->ids)
        PV_TRY(check_ids(r));
    if (r->c->chan_proj == PV_CHAN_PROJ_NONE)
        PV_TRY(infer_channels(r, &source));
    else if (r->c->chan_proj == PV_CHAN_PROJ_CONV1D)
        source = full(r, text, PROJ_CONV);
    PV_TRY(confirm_channels(r, source));
    r->c->channel_rows = r->c->tokens > PV_CHANNEL_NAMES ? r->c->tokens : PV_CHANNEL_NAMES;
    PV_TRY(pv_eegpt_ids(r->c, r->f, r->json->file, r->w, r->ids, r->log, r->err));
    return pv_eegpt_channel_names(r->c, r->f, r->err);
}

/* ---- against the config ---------------------------------------------------------------------- */

psgvit_status pv_eegpt_take_fields(pv_eegpt_config *c, const pv_eegpt_fields *f, const char *file,
                                   psgvit_error *err)
{
    c->heads = f->num_heads ? f->num_heads : HEADS;
    c->patch_stride = f->patch_stride ? f->patch_stride : STRIDE;
    if (f->stride_is_patch)
        c->patch_stride = c->patch_samples;
    c->samples = f->n_times;
    c->sample_rate = f->sfreq;
    c->eps = f->layer_norm_eps > 0 ? f->layer_norm_eps : EPSILON;
    c->chan_max_norm = f->chan_conv_max_norm > 0 ? f->chan_conv_max_norm : CHAN_MAX_NORM;
    if (c->width % c->heads)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: num_heads = %zu%s does not divide embed_dim = %zu",
                       file, c->heads, f->num_heads ? " of the config" : ", the default,",
                       c->width);
    if (c->samples && !pv_eegpt_patches(c, c->samples))
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: config says n_times = %zu, expected at least patch_size = %zu", file,
                       c->samples, c->patch_samples);
    return PSGVIT_OK;
}

size_t pv_eegpt_hidden(size_t width, double ratio)
{
    double hidden = (double)width * ratio;
    return hidden <= (double)PV_SIZE_MAX ? (size_t)hidden : 0;
}

static psgvit_status confirm(const reader *r)
{
    const pv_eegpt_config *c = r->c;
    const char *file = r->json->file;
    char last[NAME], block[64], fc1[NAME], text[NAME];
    snprintf(block, sizeof block, "target_encoder.blocks.%zu.norm1.weight", c->depth - 1);
    full(r, last, block);
    full(r, fc1, "target_encoder.blocks.0.mlp.fc1.weight");
    PV_TRY(pv_confirm(r->json, "embed_dim", c->width, r->w, full(r, text, SUMMARY), r->err));
    PV_TRY(pv_confirm(r->json, "embed_num", c->summary, r->w, full(r, text, SUMMARY), r->err));
    PV_TRY(pv_confirm(r->json, "patch_size", c->patch_samples, r->w, full(r, text, PATCH), r->err));
    PV_TRY(pv_confirm(r->json, "depth", c->depth, r->w, last, r->err));
    if (r->f->mlp_ratio > 0 && pv_eegpt_hidden(c->width, r->f->mlp_ratio) != c->mlp_dim)
        return pv_fail(r->err, PSGVIT_E_MODEL,
                       "%s: config says mlp_ratio = %g, of embed_dim = %zu that is %zu, but tensor "
                       "'%s' says %zu",
                       file, r->f->mlp_ratio, c->width, pv_eegpt_hidden(c->width, r->f->mlp_ratio),
                       fc1, c->mlp_dim);
    if (r->f->has_qkv_bias && r->f->qkv_bias != c->qkv_bias)
        return pv_fail(r->err, PSGVIT_E_MODEL,
                       "%s: config says qkv_bias = %s, but tensor '%s' is %s", file,
                       r->f->qkv_bias ? "true" : "false",
                       full(r, text, "target_encoder.blocks.0.attn.qkv.bias"),
                       c->qkv_bias ? "there" : "missing");
    return PSGVIT_OK;
}

static psgvit_status read_probe(reader *r)
{
    pv_eegpt_config *c = r->c;
    const psgvit_tensor *t;
    char text[NAME];
    pv_vote outputs = {0};
    if (r->f->return_encoder_output)
        return PSGVIT_OK;
    if (!any(r, "final_layer.probe", "")) {
        pv_log_line(r->log, r->f->has_return ? PSGVIT_LOG_WARNING : PSGVIT_LOG_INFO,
                    "%s: no tensor '" PROBE1 "': the model gives features, no logits",
                    r->json->file);
        return PSGVIT_OK;
    }
    PV_TRY(need(r, PROBE2, 2, "[n_outputs, 16 * patches]", &t));
    if (t->shape[1] % PV_PROBE_HIDDEN)
        return pv_tensor_wrong_shape(r->w, t, "[n_outputs, 16 * patches]", r->err);
    c->probe_patches = (size_t)t->shape[1] / PV_PROBE_HIDDEN;
    vote(r, &outputs, 2, 0, PROBE2);
    PV_TRY(result(r, &outputs, PROBE2, "[n_outputs, 16 * patches]", &c->outputs));
    PV_TRY(pv_confirm(r->json, "n_outputs", c->outputs, r->w, full(r, text, PROBE2), r->err));
    size_t patches = pv_eegpt_patches(c, c->samples);
    if (c->samples && patches != c->probe_patches)
        return pv_fail(
            r->err, PSGVIT_E_MODEL,
            "%s: config says n_times = %zu, that is %zu patches of %zu every %zu samples, "
            "but tensor '%s' was made for %zu",
            r->json->file, c->samples, patches, c->patch_samples, c->patch_stride,
            full(r, text, PROBE2), c->probe_patches);
    return PSGVIT_OK;
}

/* ---- all together ---------------------------------------------------------------------------- */

static psgvit_status check(const reader *r)
{
    static const char *const known[] = {
        "chans_id", "lead_emb.weight", "predictor.", "reconstructor.", "encoder.", "model.", NULL};
    pv_check list;
    PV_TRY(pv_check_begin(&list, r->w, r->err));
    psgvit_status status =
        pv_eegpt_rows(r->c, r->ids && r->ids->rank == 2 ? 2 : 1, pv_check_row, &list, r->err);
    pv_check_end(&list, r->c->prefix, known, status == PSGVIT_OK ? r->log : NULL);
    return status;
}

static psgvit_status read_with(reader *r)
{
    find_prefix(r);
    PV_TRY(infer_encoder(r));
    PV_TRY(confirm(r));
    PV_TRY(pv_eegpt_take_fields(r->c, r->f, r->json->file, r->err));
    PV_TRY(read_channels(r));
    PV_TRY(read_probe(r));
    return check(r);
}

psgvit_status pv_eegpt_config_read(pv_eegpt_config *config, const psgvit_weights *weights,
                                   const char *config_json, const pv_log *log, psgvit_error *err)
{
    *config = (pv_eegpt_config){0};
    PV_TRY(pv_expect_kind(weights, "eegpt", err));
    pv_json json;
    pv_eegpt_fields fields;
    psgvit_status status = pv_config_open(&json, weights, "eegpt", config_json, err);
    if (status == PSGVIT_OK)
        status = pv_eegpt_fields_read(&fields, &json, err);
    if (status == PSGVIT_OK) {
        reader r = {.c = config, .f = &fields, .json = &json, .w = weights, .log = log, .err = err};
        status = read_with(&r);
    }
    pv_json_close(&json);
    if (status != PSGVIT_OK)
        pv_eegpt_config_free(config);
    return status;
}
