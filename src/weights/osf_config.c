/* SPDX-License-Identifier: MIT */
/*
 * OSF: everything is told by the shapes, a config only confirms. Source of names, order and sizes:
 * ViT of vit1d_cls.py in yang-ai-lab/OSF-Open-Sleep-FM.
 *
 * The number of leads of a lead_wise = 1 model stands in lead_emb.weight alone, which no step uses.
 * A file without it takes num_leads of its config, else 12, if the position rows divide by the lead
 * groups that this gives.
 */
#include "weights/rows.h"

#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_DIM = 64, RATE = 64 /* Hz */, LEADS = 12, SECONDS = 30 };

static const struct {
    const char *name;
    size_t width, depth, heads, mlp_dim;
} variants[] = {
    {"vit_nano", 128, 6, 4, 512},    {"vit_tiny", 192, 12, 3, 768},
    {"vit_small", 384, 12, 6, 1536}, {"vit_middle", 512, 12, 8, 2048},
    {"vit_base", 768, 12, 12, 3072}, {"vit_large", 1024, 24, 16, 4096},
    {"vit_xl", 1536, 24, 24, 6144},
};

enum { VARIANTS = sizeof variants / sizeof variants[0] };

static bool is_variant(const pv_osf_config *c, size_t i)
{
    return c->width == variants[i].width && c->depth == variants[i].depth &&
           c->heads == variants[i].heads && c->mlp_dim == variants[i].mlp_dim;
}

/* What follows from the other fields. */
static void derive(pv_osf_config *c)
{
    c->has_out = !(c->heads == 1 && c->width == HEAD_DIM);
    strcpy(c->variant, "custom");
    for (size_t i = 0; i < VARIANTS; i++)
        if (is_variant(c, i))
            strcpy(c->variant, variants[i].name);
}

/* ---- the tensors ----------------------------------------------------------------------------- */

static void block_rows(pv_row_list *rows, const pv_osf_config *c, size_t i)
{
    const uint64_t d = c->width, m = c->mlp_dim, inner = HEAD_DIM * (uint64_t)c->heads;
    pv_row_add(rows, (uint64_t[4]){d}, "block%zu.attn.norm.weight", i);
    pv_row_add(rows, (uint64_t[4]){d}, "block%zu.attn.norm.bias", i);
    pv_row_add(rows, (uint64_t[4]){3 * inner, d}, "block%zu.attn.fn.to_qkv.weight", i);
    pv_row_add(rows, (uint64_t[4]){3 * inner}, "block%zu.attn.fn.to_qkv.bias", i);
    if (c->has_out) {
        pv_row_add(rows, (uint64_t[4]){d, inner}, "block%zu.attn.fn.to_out.0.weight", i);
        pv_row_add(rows, (uint64_t[4]){d}, "block%zu.attn.fn.to_out.0.bias", i);
    }
    pv_row_add(rows, (uint64_t[4]){d}, "block%zu.ff.norm.weight", i);
    pv_row_add(rows, (uint64_t[4]){d}, "block%zu.ff.norm.bias", i);
    pv_row_add(rows, (uint64_t[4]){m, d}, "block%zu.ff.fn.net.0.weight", i);
    pv_row_add(rows, (uint64_t[4]){m}, "block%zu.ff.fn.net.0.bias", i);
    pv_row_add(rows, (uint64_t[4]){d, m}, "block%zu.ff.fn.net.3.weight", i);
    pv_row_add(rows, (uint64_t[4]){d}, "block%zu.ff.fn.net.3.bias", i);
}

psgvit_status pv_osf_rows(const pv_osf_config *c, pv_row_fn fn, void *user, psgvit_error *err)
{
    pv_row_list rows = {
        .fn = fn, .user = user, .err = err, .prefix = "", .dtype = PSGVIT_DTYPE_F32};
    const uint64_t d = c->width;
    pv_row_add(&rows, (uint64_t[4]){1, 1, d}, "cls_token");
    pv_row_add(&rows, (uint64_t[4]){1, (uint64_t)c->max_patches + 1, d}, "pos_embedding");
    if (c->lead_wise) {
        pv_row_add(&rows, (uint64_t[4]){d, 1, c->patch_leads, c->patch_samples},
                    "to_patch_embedding.weight");
        rows.unused = true;
        pv_row_add(&rows, (uint64_t[4]){c->leads / c->patch_leads, d}, "lead_emb.weight");
        rows.unused = false;
    } else {
        pv_row_add(&rows, (uint64_t[4]){d, c->leads, c->patch_samples},
                    "to_patch_embedding.weight");
    }
    for (size_t i = 0; i < c->depth && rows.status == PSGVIT_OK; i++)
        block_rows(&rows, c, i);
    pv_row_add(&rows, (uint64_t[4]){d}, "norm.weight");
    pv_row_add(&rows, (uint64_t[4]){d}, "norm.bias");
    return rows.status;
}

/* ---- from shapes ----------------------------------------------------------------------------- */

/* A size that every block repeats, by the vote of the first three. */
static void vote_blocks(pv_vote *vote, const psgvit_weights *w, size_t dim, uint64_t unit,
                        const char *name)
{
    for (int i = 0; i < 3; i++) {
        char full[64];
        snprintf(full, sizeof full, "block%d.%s", i, name);
        pv_vote_add(vote, w, 2, dim, unit, full);
    }
}

static psgvit_status infer_blocks(pv_osf_config *c, const psgvit_weights *w, psgvit_error *err)
{
    pv_vote width = {0}, heads = {0}, hidden = {0};
    pv_vote_add(&width, w, 3, 2, 1, "cls_token");
    pv_vote_add(&width, w, 3, 2, 1, "pos_embedding");
    pv_vote_add(&width, w, 1, 0, 1, "norm.weight");
    PV_TRY(pv_vote_result(&width, w, "cls_token", "[1, 1, D]", &c->width, err));
    PV_TRY(pv_count_blocks(w, "block", &c->depth, err));
    vote_blocks(&heads, w, 0, 3 * HEAD_DIM, "attn.fn.to_qkv.weight");
    vote_blocks(&heads, w, 1, HEAD_DIM, "attn.fn.to_out.0.weight");
    PV_TRY(pv_vote_result(&heads, w, "block0.attn.fn.to_qkv.weight", "[192 * heads, D]", &c->heads,
                          err));
    vote_blocks(&hidden, w, 0, 1, "ff.fn.net.0.weight");
    vote_blocks(&hidden, w, 1, 1, "ff.fn.net.3.weight");
    return pv_vote_result(&hidden, w, "block0.ff.fn.net.0.weight", "[M, D]", &c->mlp_dim, err);
}

static psgvit_status infer_leads(pv_osf_config *c, const psgvit_weights *w, const pv_json *json,
                                 psgvit_error *err)
{
    const psgvit_tensor *t;
    if (psgvit_weights_find(w, "lead_emb.weight")) {
        PV_TRY(pv_tensor_need(w, "lead_emb.weight", 2, "[lead groups, D]", &t, err));
        uint64_t leads = t->shape[0] * c->patch_leads;
        if (leads > PV_SIZE_MAX)
            return pv_tensor_wrong_shape(w, t, "[lead groups, D]", err);
        c->leads = (size_t)leads;
        return PSGVIT_OK;
    }
    c->leads = LEADS;
    PV_TRY(pv_json_size(json, "num_leads", 1, &c->leads, err));
    if (c->leads % c->patch_leads || c->max_patches % (c->leads / c->patch_leads))
        return pv_fail(
            err, PSGVIT_E_MODEL,
            "%s: without the tensor 'lead_emb.weight' the number of leads is unknown: %zu "
            "do not fit patches of %zu leads and %zu positions; expected num_leads in a "
            "config",
            pv_weights_name(w), c->leads, c->patch_leads, c->max_patches);
    return PSGVIT_OK;
}

static psgvit_status infer_patches(pv_osf_config *c, const psgvit_weights *w, const pv_json *json,
                                   psgvit_error *err)
{
    const char *name = "to_patch_embedding.weight";
    const psgvit_tensor *patch = psgvit_weights_find(w, name), *pos;
    c->lead_wise = !patch || patch->rank != 3;
    PV_TRY(pv_tensor_need(w, name, c->lead_wise ? 4 : 3,
                          "[D, 1, leads, samples] or [D, leads, samples]", &patch, err));
    PV_TRY(pv_tensor_need(w, "pos_embedding", 3, "[1, patches + 1, D]", &pos, err));
    c->patch_samples = (size_t)patch->shape[patch->rank - 1];
    c->patch_leads = (size_t)patch->shape[patch->rank - 2];
    c->max_patches = (size_t)pos->shape[1] - 1;
    c->leads = c->patch_leads;
    if (c->lead_wise)
        PV_TRY(infer_leads(c, w, json, err));
    size_t groups = c->leads / c->patch_leads;
    uint64_t samples = (uint64_t)(c->max_patches / groups) * c->patch_samples;
    if (c->max_patches % groups || samples < 1 || samples > PV_SIZE_MAX) {
        char expected[96];
        snprintf(expected, sizeof expected, "[1, N + 1, %zu] with N a multiple of %zu lead groups",
                 c->width, groups);
        return pv_tensor_wrong_shape(w, pos, expected, err);
    }
    c->samples = (size_t)samples;
    return PSGVIT_OK;
}

/* ---- against the config ---------------------------------------------------------------------- */

/* A name of one of the seven variants stands for their sizes; any other says nothing. */
static psgvit_status confirm_name(const pv_osf_config *c, const pv_json *json, psgvit_error *err)
{
    const char *name = NULL;
    PV_TRY(pv_json_string(json, "encoder_name", &name, err));
    for (size_t i = 0; name && i < VARIANTS; i++)
        if (strcmp(name, variants[i].name) == 0 && !is_variant(c, i))
            return pv_fail(err, PSGVIT_E_MODEL,
                           "%s: config says encoder_name = %s (width %zu, depth %zu, heads %zu, "
                           "mlp_dim %zu), but 'cls_token' and the blocks say width %zu, depth %zu, "
                           "heads %zu, mlp_dim %zu",
                           json->file, name, variants[i].width, variants[i].depth,
                           variants[i].heads, variants[i].mlp_dim, c->width, c->depth, c->heads,
                           c->mlp_dim);
    return PSGVIT_OK;
}

/* sample_rate times window_size_sec is T. With one of them alone, the rate is that of OSF. */
static psgvit_status confirm_time(const pv_osf_config *c, const pv_json *json, const char *source,
                                  psgvit_error *err)
{
    double rate = RATE, seconds = (double)c->samples / RATE;
    PV_TRY(pv_json_positive(json, "sample_rate", &rate, err));
    PV_TRY(pv_json_positive(json, "window_size_sec", &seconds, err));
    if (fabs(rate * seconds - (double)c->samples) < 1e-6 * (double)c->samples)
        return PSGVIT_OK;
    return pv_fail(
        err, PSGVIT_E_MODEL,
        "%s: sample_rate = %g and window_size_sec = %g of the config are %g samples, but %s "
        "says %zu",
        json->file, rate, seconds, rate * seconds, source, c->samples);
}

/* lead_wise is 0 or 1, or false or true. */
static psgvit_status read_lead_wise(const pv_json *json, size_t *lead_wise, psgvit_error *err)
{
    const cJSON *item = pv_json_find(json, "lead_wise");
    if (cJSON_IsBool(item))
        *lead_wise = cJSON_IsTrue(item) ? 1 : 0;
    else
        PV_TRY(pv_json_size(json, "lead_wise", 0, lead_wise, err));
    return *lead_wise <= 1 ? PSGVIT_OK : pv_json_wrong(json, "lead_wise", item, "0 or 1", err);
}

static psgvit_status confirm_patches(const pv_osf_config *c, const psgvit_weights *w,
                                     const pv_json *json, psgvit_error *err)
{
    const char *patch = "to_patch_embedding.weight", *leads = patch;
    if (c->lead_wise && psgvit_weights_find(w, "lead_emb.weight"))
        leads = "lead_emb.weight";
    size_t lead_wise = c->lead_wise, any = 1;
    PV_TRY(read_lead_wise(json, &lead_wise, err));
    if (lead_wise != c->lead_wise)
        return pv_contradiction(json, "lead_wise", lead_wise, c->lead_wise, w, patch, err);
    PV_TRY(pv_confirm(json, "patch_size_time", c->patch_samples, w, patch, err));
    if (c->lead_wise)
        PV_TRY(pv_confirm(json, "patch_size_ch", c->patch_leads, w, patch, err));
    else /* the reference ignores it then, and its default is 4 */
        PV_TRY(pv_json_size(json, "patch_size_ch", 1, &any, err));
    PV_TRY(pv_confirm(json, "num_leads", c->leads, w, leads, err));
    PV_TRY(pv_confirm(json, "seq_len", c->samples, w, "pos_embedding", err));
    return confirm_time(c, json, "tensor 'pos_embedding'", err);
}

static psgvit_status confirm(const pv_osf_config *c, const psgvit_weights *w, const pv_json *json,
                             psgvit_error *err)
{
    char last[64];
    snprintf(last, sizeof last, "block%zu.attn.norm.weight", c->depth - 1);
    const char *qkv = "block0.attn.fn.to_qkv.weight";
    PV_TRY(pv_confirm(json, "width", c->width, w, "cls_token", err));
    PV_TRY(pv_confirm(json, "depth", c->depth, w, last, err));
    PV_TRY(pv_confirm(json, "heads", c->heads, w, qkv, err));
    PV_TRY(pv_confirm(json, "dim_head", HEAD_DIM, w, qkv, err));
    PV_TRY(pv_confirm(json, "mlp_dim", c->mlp_dim, w, "block0.ff.fn.net.0.weight", err));
    PV_TRY(confirm_patches(c, w, json, err));
    return confirm_name(c, json, err);
}

/* The list against the file, then what is left over. */
static psgvit_status check(const pv_osf_config *c, const psgvit_weights *w, const pv_log *log,
                           psgvit_error *err)
{
    static const char *const known[] = {"lead_emb.weight", "head.",    "predictor.",
                                        "reconstructor.",  "encoder.", NULL};
    pv_check list;
    PV_TRY(pv_check_begin(&list, w, err));
    psgvit_status status = pv_osf_rows(c, pv_check_row, &list, err);
    pv_check_end(&list, "", known, status == PSGVIT_OK ? log : NULL);
    return status;
}

static psgvit_status read_with(pv_osf_config *c, const psgvit_weights *w, const pv_json *json,
                               const pv_log *log, psgvit_error *err)
{
    PV_TRY(infer_blocks(c, w, err));
    PV_TRY(infer_patches(c, w, json, err));
    derive(c);
    PV_TRY(confirm(c, w, json, err));
    return check(c, w, log, err);
}

psgvit_status pv_osf_config_read(pv_osf_config *config, const psgvit_weights *weights,
                                 const char *config_json, const pv_log *log, psgvit_error *err)
{
    *config = (pv_osf_config){0};
    PV_TRY(pv_expect_kind(weights, "osf", err));
    pv_json json;
    psgvit_status status = pv_config_open(&json, weights, "osf", config_json, err);
    if (status == PSGVIT_OK)
        status = read_with(config, weights, &json, log, err);
    pv_json_close(&json);
    return status;
}

/* ---- a variant's own ------------------------------------------------------------------------- */

/* What the config changes in a variant's sizes. */
static psgvit_status change(pv_osf_config *c, const pv_json *json, psgvit_error *err)
{
    size_t dim_head = HEAD_DIM;
    double rate = RATE, seconds = SECONDS;
    PV_TRY(pv_json_size(json, "width", 1, &c->width, err));
    PV_TRY(pv_json_size(json, "depth", 1, &c->depth, err));
    PV_TRY(pv_json_size(json, "heads", 1, &c->heads, err));
    PV_TRY(pv_json_size(json, "mlp_dim", 1, &c->mlp_dim, err));
    PV_TRY(pv_json_size(json, "num_leads", 1, &c->leads, err));
    PV_TRY(read_lead_wise(json, &c->lead_wise, err));
    PV_TRY(pv_json_size(json, "patch_size_time", 1, &c->patch_samples, err));
    PV_TRY(pv_json_size(json, "patch_size_ch", 1, &c->patch_leads, err));
    PV_TRY(pv_json_positive(json, "sample_rate", &rate, err));
    PV_TRY(pv_json_positive(json, "window_size_sec", &seconds, err));
    if (rate * seconds > (double)PV_SIZE_MAX)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: sample_rate = %g times window_size_sec = %g is too "
                       "long an epoch",
                       json->file, rate, seconds);
    c->samples = (size_t)(rate * seconds + 0.5);
    PV_TRY(pv_json_size(json, "seq_len", 1, &c->samples, err));
    PV_TRY(pv_json_size(json, "dim_head", 1, &dim_head, err));
    if (dim_head != HEAD_DIM)
        return pv_json_wrong(json, "dim_head", pv_json_find(json, "dim_head"), "64", err);
    return PSGVIT_OK;
}

/* Sizes that fit together, and those that follow. */
static psgvit_status complete(pv_osf_config *c, const pv_json *json, psgvit_error *err)
{
    if (!c->lead_wise)
        c->patch_leads = c->leads;
    if (c->depth > PV_DEPTH_MAX)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: depth is %zu, expected at most %d", json->file,
                       c->depth, PV_DEPTH_MAX);
    if (c->leads % c->patch_leads)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: num_leads is %zu, expected a multiple of "
                       "patch_size_ch = %zu",
                       json->file, c->leads, c->patch_leads);
    if (c->samples % c->patch_samples)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: seq_len is %zu, expected a multiple of "
                       "patch_size_time = %zu",
                       json->file, c->samples, c->patch_samples);
    uint64_t patches = (uint64_t)(c->leads / c->patch_leads) * (c->samples / c->patch_samples);
    if (patches > PV_SIZE_MAX)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: an epoch has %llu patches, expected at most %u",
                       json->file, (unsigned long long)patches, PV_SIZE_MAX);
    c->max_patches = (size_t)patches;
    derive(c);
    PV_TRY(confirm_time(c, json, "seq_len", err));
    return confirm_name(c, json, err);
}

static char *print(const pv_osf_config *c)
{
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"num_leads", (double)c->leads},
        {"patch_size_time", (double)c->patch_samples},
        {"patch_size_ch", (double)c->patch_leads},
        {"lead_wise", (double)c->lead_wise},
        {"sample_rate", RATE},
        {"window_size_sec", (double)c->samples / RATE},
        {"seq_len", (double)c->samples},
        {"width", (double)c->width},
        {"depth", (double)c->depth},
        {"heads", (double)c->heads},
        {"mlp_dim", (double)c->mlp_dim},
        {"dim_head", HEAD_DIM},
    };
    cJSON *root = cJSON_CreateObject();
    bool made = cJSON_AddStringToObject(root, "model", "osf") &&
                cJSON_AddStringToObject(root, "encoder_name", c->variant);
    for (size_t i = 0; made && i < sizeof numbers / sizeof numbers[0]; i++)
        made = cJSON_AddNumberToObject(root, numbers[i].key, numbers[i].value);
    char *text = made ? pv_json_print(root) : NULL;
    cJSON_Delete(root);
    return text;
}

psgvit_status pv_osf_variant(pv_osf_config *c, const char *variant, const char *text, char **json,
                             psgvit_error *err)
{
    size_t i = 0;
    while (i < VARIANTS && strcmp(variant, variants[i].name + strlen("vit_")) != 0)
        i++;
    if (i == VARIANTS)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "unknown variant 'osf-%.60s', expected osf-nano, osf-tiny, osf-small, "
                       "osf-middle, osf-base, osf-large or osf-xl",
                       variant);
    *c = (pv_osf_config){.width = variants[i].width,
                         .depth = variants[i].depth,
                         .heads = variants[i].heads,
                         .mlp_dim = variants[i].mlp_dim,
                         .leads = LEADS,
                         .lead_wise = 1,
                         .patch_leads = 4,
                         .patch_samples = 64,
                         .samples = RATE * SECONDS};
    pv_json own;
    psgvit_status status = pv_json_open(&own, variants[i].name, text, err);
    if (status == PSGVIT_OK)
        status = pv_confirm_kind(&own, "osf", err);
    if (status == PSGVIT_OK)
        status = change(c, &own, err);
    if (status == PSGVIT_OK)
        status = complete(c, &own, err);
    pv_json_close(&own);
    if (status != PSGVIT_OK)
        return status;
    *json = print(c);
    return *json ? PSGVIT_OK : pv_fail_memory(err, "a config's text", 1024);
}
