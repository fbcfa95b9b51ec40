/* SPDX-License-Identifier: MIT */
/* EEGPT: reads its weights into a store, and records its forward pass for a shape. What computes is
 * behind ops.h. */
#include "model/eegpt_model.h"

#include "base/checked.h"
#include "base/memory.h"
#include "model/load.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- loading ---- */

/* `count` floats, zeroed; NULL marks the loader as failed. */
static float *numbers(pv_loader *l, size_t count, const char *what)
{
    float *values = l->status ? NULL : pv_alloc(count * sizeof *values);
    if (!l->status && !values)
        l->status = pv_fail_memory(l->err, what, count * sizeof *values);
    if (values)
        memset(values, 0, count * sizeof *values);
    return values;
}

/* chan_proj: [C', C], the same for both kinds; only the convolution is renormed. */
static void load_chan_proj(pv_loader *l, pv_eegpt_model *m)
{
    const pv_eegpt_config *c = &m->config;
    bool conv = c->chan_proj == PV_CHAN_PROJ_CONV1D;
    size_t count = c->tokens * c->channels;
    float *values = numbers(l, count + c->tokens, "chan_proj");
    if (!values)
        return;
    pv_load_values(l, values, count,
                   conv ? "chan_proj.proj.parametrizations.weight.original"
                        : "chan_proj.proj.weight");
    pv_load_values(l, values + count, c->tokens, "chan_proj.proj.bias");
    if (conv)
        pv_renorm_rows(values, c->tokens, c->channels, c->chan_max_norm);
    pv_load_tensor_values(l, &m->chan_proj, values, c->tokens, c->channels);
    pv_load_tensor_values(l, &m->chan_bias, values + count, 1, c->tokens);
    pv_free(values);
}

/* The rows that a patch's tokens start from: chan_embed[chans_id], then the summary tokens. */
static void load_table(pv_loader *l, pv_eegpt_model *m)
{
    const pv_eegpt_config *c = &m->config;
    size_t rows = c->tokens + c->summary, d = c->width;
    float *table = numbers(l, rows * d, "the token table");
    float *embed = numbers(l, c->channel_rows * d, "chan_embed");
    if (table && embed) {
        pv_load_values(l, embed, c->channel_rows * d, "target_encoder.chan_embed.weight");
        for (size_t i = 0; i < c->tokens; i++)
            memcpy(table + i * d, embed + (size_t)c->ids[i] * d, d * sizeof *table);
        pv_load_values(l, table + c->tokens * d, c->summary * d, "target_encoder.summary_token");
        pv_load_tensor_values(l, &m->table, table, rows, d);
    }
    pv_free(embed);
    pv_free(table);
}

static bool spares_products(const pv_eegpt_model *m)
{
    return m->store->device->spares & (1u << m->store->precision);
}

/* Is attention in the last block so much less work without K and V that it is faster? Products of a
 * patch, 2*D at a time: K and V of all tokens, and a score for each query and token; or a layer
 * before and one behind for each query, and a score for each query, head and token. At a ratio of
 * 1.2 (1 channel) a pass takes 1 % longer, at 1.4 (2) as long, at 1.8 (4) 3 % less (2 threads of an
 * AMD EPYC, Zen 3, AVX2, 2026-11-23). On AMX, where small layers cost more than their products, 4
 * channels were expected to take 4 % longer by it; beyond the noise no difference was seen. */
static bool absorbs(const pv_eegpt_model *m)
{
    const pv_eegpt_config *c = &m->config;
    size_t tokens = c->tokens + c->summary, n = c->summary, d = c->width;
    size_t with = tokens * d + n * tokens, without = n * d + n * tokens * c->heads;
    return spares_products(m) && with > without + without / 2;
}

/* Is it faster to compute qkv of the first block for the channels alone? It is copied, then, to lie
 * beside that of the summary tokens. A pass of 4 channels takes 7 % less, of 22 2 %, of 64 as long
 * (likewise). */
static bool knows_summary(const pv_eegpt_model *m)
{
    const pv_eegpt_config *c = &m->config;
    return spares_products(m) && c->depth > 1 && 8 * c->summary >= c->tokens + c->summary;
}

/* What an absorbing last block needs of its qkv [3*D, D]: q as it is, and a layer for each head,
 * W_k^T [D, d] and W_v [d, D]. The bias of k is read to be found finite, and counted. */
static void load_heads(pv_loader *l, pv_eegpt_model *m, pv_vit_block *b)
{
    const pv_eegpt_config *c = &m->config;
    size_t d = c->width, dim = d / c->heads;
    float *weight = numbers(l, 3 * d * d, "attn.qkv.weight");
    float *bias = numbers(l, 3 * d, "attn.qkv.bias");
    float *transpose = numbers(l, d * dim, "attn.qkv.weight");
    m->heads = calloc(2 * c->heads, sizeof *m->heads);
    if (!l->status && !m->heads)
        l->status = pv_fail_memory(l->err, "attn.qkv", 2 * c->heads * sizeof *m->heads);
    if (!l->status) {
        pv_load_values(l, weight, 3 * d * d, "attn.qkv.weight");
        if (c->qkv_bias)
            pv_load_values(l, bias, 3 * d, "attn.qkv.bias");
        pv_load_linear_values(l, &b->q, weight, bias, d, d, false);
        b->k_heads = m->heads;
        b->v_heads = m->heads + c->heads;
        for (size_t h = 0; h < c->heads; h++) {
            const float *k = weight + (d + h * dim) * d, *v = k + d * d; /* [d, D] */
            for (size_t j = 0; j < d * dim; j++)
                transpose[j] = k[j % dim * d + j / dim];
            pv_load_linear_values(l, &m->heads[h], transpose, NULL, d, dim, false);
            pv_load_linear_values(l, &m->heads[c->heads + h], v, bias + 2 * d + h * dim, dim, d,
                                  false);
        }
    }
    pv_free(transpose);
    pv_free(bias);
    pv_free(weight);
}

static void load_block(pv_loader *l, pv_eegpt_model *m, size_t i)
{
    const pv_eegpt_config *c = &m->config;
    pv_vit_block *b = &m->blocks[i];
    size_t d = c->width;
    const pv_row_slice all = {0, 3 * d}, query = {0, d}, key_value = {d, 2 * d};
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%starget_encoder.blocks.%zu.", c->prefix, i);
    l->prefix = prefix;
    pv_load_norm(l, &b->norm1, d, c->eps, "norm1");
    if (i + 1 < c->depth) {
        pv_load_linear(l, &b->qkv, all, d, c->qkv_bias, "attn.qkv");
    } else if (absorbs(m)) {
        load_heads(l, m, b);
    } else {
        pv_load_linear(l, &b->q, query, d, c->qkv_bias, "attn.qkv");
        pv_load_linear(l, &b->kv, key_value, d, c->qkv_bias, "attn.qkv");
    }
    pv_load_linear(l, &b->out, (pv_row_slice){0, d}, d, true, "attn.proj");
    pv_load_norm(l, &b->norm2, d, c->eps, "norm2");
    pv_load_linear(l, &b->fc1, (pv_row_slice){0, c->mlp_dim}, d, true, "mlp.fc1");
    pv_load_linear(l, &b->fc2, (pv_row_slice){0, d}, c->mlp_dim, true, "mlp.fc2");
    l->prefix = c->prefix;
}

/* The summary tokens, [summary, D], through norm1 and qkv of the first block, by the ops of a pass:
 * values [summary, 3*D]. */
static psgvit_status project_summary(const pv_eegpt_model *m, float *values, psgvit_error *err)
{
    const pv_eegpt_config *c = &m->config;
    psgvit_device *device = m->store->device;
    size_t n = c->summary, d = c->width;
    pv_tensor x = m->table;
    pv_buffer *buffer = NULL;
    pv_plan *plan = NULL;
    x.offset += c->tokens * x.stride;
    x.rows = n;
    psgvit_status status = pv_buffer_create(device, n * 4 * d, PV_HOST, &buffer, err);
    if (!status)
        status = pv_plan_begin(device, &plan, err);
    if (!status) {
        pv_tensor h = pv_view(buffer, 0, n, d), qkv = pv_view(buffer, n * d, n, 3 * d);
        plan->exact = 1; /* nobody would run it again */
        pv_layernorm(plan, x, &m->blocks->norm1, h);
        pv_linear(plan, h, &m->blocks->qkv, PV_PLAIN, qkv);
        status = pv_plan_finish(plan, err);
    }
    if (!status)
        status = pv_plan_submit(plan, err);
    if (!status)
        memcpy(values, buffer->host + n * d, n * 3 * d * sizeof *values);
    pv_plan_destroy(plan);
    pv_buffer_destroy(device, buffer);
    return status;
}

/* What a first block finds for the summary tokens, which no signal has changed yet. */
static void load_same_qkv(pv_loader *l, pv_eegpt_model *m)
{
    const pv_eegpt_config *c = &m->config;
    size_t rows = c->tokens + c->summary, cols = 3 * c->width;
    float *table = numbers(l, rows * cols, "the summary tokens' qkv");
    if (table) {
        l->status = project_summary(m, table + c->tokens * cols, l->err);
        pv_load_tensor_values(l, &m->blocks->same_qkv, table, rows, cols);
    }
    pv_free(table);
}

/* In float32 in any precision: the sums of 2048 nearly cancel, and an error here is one of the
 * logits (4 channels x 1000 samples in bf16 throughout: a cosine of 0.99978, else 0.99998). */
static void load_probe(pv_loader *l, pv_linear_weight *probe, size_t rows, size_t cols,
                       double max_norm, const char *weight, const char *bias)
{
    float *values = numbers(l, rows * cols + rows, weight);
    if (!values)
        return;
    pv_load_values(l, values, rows * cols, weight);
    pv_load_values(l, values + rows * cols, rows, bias);
    pv_renorm_rows(values, rows, cols, max_norm);
    pv_load_linear_values(l, probe, values, values + rows * cols, rows, cols, true);
    pv_free(values);
}

static psgvit_status load(pv_eegpt_model *m, const psgvit_weights *weights, psgvit_error *err)
{
    const pv_eegpt_config *c = &m->config;
    pv_loader l = {.weights = weights, .store = m->store, .prefix = c->prefix, .err = err};
    m->blocks = calloc(c->depth, sizeof *m->blocks);
    if (!m->blocks)
        return pv_fail_memory(err, "the blocks", c->depth * sizeof *m->blocks);
    if (c->chan_proj != PV_CHAN_PROJ_NONE)
        load_chan_proj(&l, m);
    pv_load_linear(&l, &m->patch, (pv_row_slice){0, c->width}, c->patch_samples, true,
                   "target_encoder.patch_embed.proj");
    load_table(&l, m);
    for (size_t i = 0; i < c->depth && !l.status; i++)
        load_block(&l, m, i);
    if (knows_summary(m))
        load_same_qkv(&l, m);
    pv_load_norm(&l, &m->norm, c->width, c->eps, "target_encoder.norm");
    if (c->outputs) {
        load_probe(&l, &m->probe1, PV_PROBE_HIDDEN, c->summary * c->width, PV_PROBE1_MAX_NORM,
                   "final_layer.probe1.parametrizations.weight.original",
                   "final_layer.probe1.bias");
        load_probe(&l, &m->probe2, c->outputs, c->probe_patches * PV_PROBE_HIDDEN,
                   PV_PROBE2_MAX_NORM, "final_layer.probe2.parametrizations.weight.original",
                   "final_layer.probe2.bias");
    }
    m->parameters = l.parameters;
    return l.status;
}

psgvit_status pv_eegpt_load(pv_eegpt_model *m, psgvit_device *device,
                            const psgvit_weights *weights, const char *config_json,
                            psgvit_precision precision, psgvit_error *err)
{
    *m = (pv_eegpt_model){0};
    psgvit_status status =
        pv_eegpt_config_read(&m->config, weights, config_json, &device->log, err);
    if (!status)
        status = pv_store_create(device, precision, &m->store, err);
    if (!status)
        status = load(m, weights, err);
    if (!status)
        status = pv_weights_unchanged(weights, err);
    if (status)
        pv_eegpt_free(m);
    return status;
}

void pv_eegpt_free(pv_eegpt_model *m)
{
    pv_store_destroy(m->store);
    pv_eegpt_config_free(&m->config);
    free(m->heads);
    free(m->blocks);
    *m = (pv_eegpt_model){0};
}

/* ---- the forward pass ---- */

/* Everything whose size depends on the shape of a pass. */
typedef struct eegpt_pass {
    pv_patch_shape patch;
    pv_vit_shape vit;
    pv_vit_memory vit_memory;
    pv_tensor projected; /* [B*C', T] */
    pv_tensor columns;   /* [B*P*C', patch_samples] */
    pv_tensor tokens;    /* [B*P*C', D], over vit.h */
    pv_tensor features;  /* [B*P*summary, D], if only logits are wanted */
    pv_tensor hidden;    /* [B*P, 16] of the probe */
} eegpt_pass;

static eegpt_pass shape_of(const pv_eegpt_model *m, const pv_pass_shape *shape)
{
    const pv_eegpt_config *c = &m->config;
    eegpt_pass s = {0};
    s.patch = (pv_patch_shape){.epochs = shape->epochs,
                               .channels = c->tokens,
                               .samples = shape->samples,
                               .group = 1,
                               .length = c->patch_samples,
                               .stride = c->patch_stride,
                               .count = pv_eegpt_patches(c, shape->samples),
                               .time_major = 1};
    size_t tokens = c->tokens + c->summary;
    s.vit = (pv_vit_shape){.sequences = shape->epochs * s.patch.count,
                           .tokens = tokens,
                           .width = c->width,
                           .heads = c->heads,
                           .head_dim = c->width / c->heads,
                           .hidden = c->mlp_dim,
                           .scale = (float)(1.0 / sqrt((double)(c->width / c->heads))),
                           .vary = {tokens, 0, m->blocks->same_qkv.buffer ? c->tokens : 0},
                           .keep = {tokens, c->tokens, c->summary},
                           .absorbed = m->heads != NULL};
    return s;
}

static bool lay_memory(eegpt_pass *s, pv_buffer *buffer, size_t *floats)
{
    size_t patches = s->vit.sequences, tokens = patches * s->patch.channels;
    size_t leads = s->patch.epochs * s->patch.channels;
    *floats = 0;
    if (!pv_vit_memory_lay(&s->vit_memory, &s->vit, buffer, floats) ||
        !pv_lay(&s->projected, buffer, floats, leads, s->patch.samples) ||
        !pv_lay(&s->columns, buffer, floats, tokens, s->patch.length) ||
        !pv_lay(&s->features, buffer, floats, patches * s->vit.keep.count, s->vit.width) ||
        !pv_lay(&s->hidden, buffer, floats, patches, PV_PROBE_HIDDEN))
        return false;
    s->tokens = pv_view(buffer, s->vit_memory.h.offset, tokens, s->vit.width);
    return true;
}

static void forward(const pv_eegpt_model *m, const eegpt_pass *s, pv_pass *pass)
{
    const pv_eegpt_config *c = &m->config;
    pv_plan *p = pass->plan;
    size_t b = s->patch.epochs, patches = s->vit.sequences, kept = s->vit.keep.count, d = c->width;
    const pv_vit_memory memory = pv_vit_memory_for(p, m->store, &s->vit, &s->vit_memory);
    pv_tensor signal = pv_view(pass->signal, 0, b * c->channels, s->patch.samples);
    if (c->chan_proj != PV_CHAN_PROJ_NONE) {
        pv_mix_channels(p, signal, m->chan_proj, m->chan_bias, s->projected); /* [B*C', T] */
        signal = s->projected;
    }
    pv_patchify(p, signal, &s->patch, s->columns);            /* [B*P*C', patch_samples] */
    pv_linear(p, s->columns, &m->patch, PV_PLAIN, s->tokens); /* [B*P*C', D] */
    pv_assemble(p, s->tokens, m->table, 0, memory.x);         /* [B*P*(C'+summary), D] */
    pass->tokens = pv_vit_blocks(p, m->blocks, c->depth, &s->vit, &memory);
    pv_tensor features = s->features;
    if (pass->output[PV_EEGPT_FEATURES])
        features = pv_pass_output(pass, PV_EEGPT_FEATURES, patches * kept, d);
    pv_layernorm(p, pass->tokens, &m->norm, features);        /* [B*P*summary, D] */
    if (!pass->output[PV_EEGPT_LOGITS])
        return;
    pv_tensor flat = pv_reshape(features, patches, kept * d); /* [B*P, summary*D] */
    pv_tensor logits = pv_pass_output(pass, PV_EEGPT_LOGITS, b, c->outputs);
    pv_linear(p, flat, &m->probe1, PV_PLAIN, s->hidden);      /* [B*P, 16] */
    flat = pv_reshape(s->hidden, b, s->patch.count * PV_PROBE_HIDDEN);
    pv_linear(p, flat, &m->probe2, PV_PLAIN, logits);         /* [B, outputs] */
}

psgvit_status pv_eegpt_record(const pv_eegpt_model *m, const pv_pass_shape *shape, pv_pass **pass,
                              psgvit_error *err)
{
    const pv_eegpt_config *c = &m->config;
    eegpt_pass s = shape_of(m, shape);
    size_t floats, signal, patches = s.patch.count;
    size_t each[PV_OUTPUTS] = {patches * c->summary * c->width, c->outputs};
    *pass = NULL;
    if (shape->epochs > INT_MAX / s.vit.tokens / patches ||
        !pv_mul(c->channels, shape->samples, &signal) || !lay_memory(&s, NULL, &floats))
        return pv_fail(err, PSGVIT_E_MEMORY,
                       "out of memory: a batch of %zu windows of %zu samples is too large",
                       shape->epochs, shape->samples);
    PV_TRY(pv_pass_create(pass, m->store->device, shape, signal, floats, each, err));
    (void)lay_memory(&s, (*pass)->work, &floats);
    forward(m, &s, *pass);
    return pv_pass_finish(pass, err);
}
