/* SPDX-License-Identifier: MIT */
/* OSF: reads its weights into a store, and records its forward pass for a shape. What computes is
 * behind ops.h. */
#include "model/osf_model.h"

#include "base/memory.h"
#include "model/load.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_DIM = 64 }; /* in every variant */
static const double EPS = 1e-5;

size_t pv_osf_patches(const pv_osf_config *c, size_t samples)
{
    size_t groups = c->leads / c->patch_leads;
    if (samples == 0 || samples % c->patch_samples || samples / c->patch_samples > c->max_patches)
        return 0;
    size_t patches = groups * (samples / c->patch_samples);
    return patches <= c->max_patches ? patches : 0;
}

/* ---- loading ---- */

/* Positions [N_max + 1, D] with CLS added to row 0: what every epoch's tokens start from. */
static void load_table(pv_loader *l, pv_osf_model *m)
{
    size_t rows = m->config.max_patches + 1, cols = m->config.width;
    float *table = pv_alloc((rows + 1) * cols * sizeof *table);
    if (!table) {
        l->status = pv_fail_memory(l->err, "pos_embedding", (rows + 1) * cols * sizeof *table);
        return;
    }
    float *cls = table + rows * cols;
    memset(table, 0, (rows + 1) * cols * sizeof *table);
    pv_load_values(l, table, rows * cols, "pos_embedding");
    pv_load_values(l, cls, cols, "cls_token");
    for (size_t i = 0; i < cols; i++)
        table[i] += cls[i];
    pv_load_tensor_values(l, &m->table, table, rows, cols);
    pv_free(table);
}

/* A model of one head and width 64 has no to_out: the identity stands in, whose products with 1 and
 * sums with 0 are exact. */
static void load_identity(pv_loader *l, pv_linear_weight *out)
{
    float identity[HEAD_DIM * HEAD_DIM] = {0};
    for (size_t i = 0; i < HEAD_DIM; i++)
        identity[i * HEAD_DIM + i] = 1.0f;
    pv_load_linear_values(l, out, identity, NULL, HEAD_DIM, HEAD_DIM, false);
}

static void load_block(pv_loader *l, pv_osf_model *m, size_t i)
{
    const pv_osf_config *c = &m->config;
    pv_vit_block *b = &m->blocks[i];
    size_t d = c->width, inner = c->heads * HEAD_DIM;
    const pv_row_slice all = {0, 3 * inner}, query = {0, inner}, key_value = {inner, 2 * inner};
    char prefix[32];
    snprintf(prefix, sizeof prefix, "block%zu.", i);
    l->prefix = prefix;
    pv_load_norm(l, &b->norm1, d, EPS, "attn.norm");
    if (i + 1 < c->depth) {
        pv_load_linear(l, &b->qkv, all, d, true, "attn.fn.to_qkv");
    } else {
        pv_load_linear(l, &b->q, query, d, true, "attn.fn.to_qkv");
        pv_load_linear(l, &b->kv, key_value, d, true, "attn.fn.to_qkv");
    }
    if (c->has_out)
        pv_load_linear(l, &b->out, (pv_row_slice){0, d}, inner, true, "attn.fn.to_out.0");
    else
        load_identity(l, &b->out);
    pv_load_norm(l, &b->norm2, d, EPS, "ff.norm");
    pv_load_linear(l, &b->fc1, (pv_row_slice){0, c->mlp_dim}, d, true, "ff.fn.net.0");
    pv_load_linear(l, &b->fc2, (pv_row_slice){0, d}, c->mlp_dim, true, "ff.fn.net.3");
    l->prefix = "";
}

static psgvit_status load(pv_osf_model *m, const psgvit_weights *weights, psgvit_error *err)
{
    const pv_osf_config *c = &m->config;
    pv_loader l = {.weights = weights, .store = m->store, .prefix = "", .err = err};
    m->blocks = calloc(c->depth, sizeof *m->blocks);
    if (!m->blocks)
        return pv_fail_memory(err, "the blocks", c->depth * sizeof *m->blocks);
    load_table(&l, m);
    pv_load_linear(&l, &m->patch, (pv_row_slice){0, c->width}, c->patch_leads * c->patch_samples,
                   false, "to_patch_embedding");
    for (size_t i = 0; i < c->depth && !l.status; i++)
        load_block(&l, m, i);
    pv_load_norm(&l, &m->norm, c->width, EPS, "norm");
    m->parameters = l.parameters;
    return l.status;
}

psgvit_status pv_osf_load(pv_osf_model *m, psgvit_device *device, const psgvit_weights *weights,
                          const char *config_json, psgvit_precision precision, psgvit_error *err)
{
    *m = (pv_osf_model){0};
    PV_TRY(pv_osf_config_read(&m->config, weights, config_json, &device->log, err));
    PV_TRY(pv_store_create(device, precision, &m->store, err));
    psgvit_status status = load(m, weights, err);
    if (!status)
        status = pv_weights_unchanged(weights, err);
    if (status)
        pv_osf_free(m);
    return status;
}

void pv_osf_free(pv_osf_model *m)
{
    pv_store_destroy(m->store);
    free(m->blocks);
    *m = (pv_osf_model){0};
}

/* ---- the forward pass ---- */

/* Everything whose size depends on the shape of a pass. */
typedef struct osf_pass {
    size_t patches; /* N, without CLS */
    pv_patch_shape patch;
    pv_vit_shape vit;
    pv_vit_memory vit_memory;
    pv_tensor columns; /* [B*N, patch_leads * patch_samples] */
    pv_tensor tokens;  /* [B*N, D], over vit.h */
} osf_pass;

static osf_pass shape_of(const pv_osf_config *c, const pv_pass_shape *shape)
{
    osf_pass s = {.patches = pv_osf_patches(c, shape->samples)};
    s.patch = (pv_patch_shape){.epochs = shape->epochs,
                               .channels = c->leads,
                               .samples = shape->samples,
                               .group = c->patch_leads,
                               .length = c->patch_samples,
                               .stride = c->patch_samples,
                               .count = shape->samples / c->patch_samples};
    size_t tokens = s.patches + 1;
    bool cls_only = shape->wanted == 1u << PV_OSF_CLS;
    s.vit = (pv_vit_shape){.sequences = shape->epochs,
                           .tokens = tokens,
                           .width = c->width,
                           .heads = c->heads,
                           .head_dim = HEAD_DIM,
                           .hidden = c->mlp_dim,
                           .scale = 0.125f, /* 64^-0.5 */
                           .keep = {tokens, 0, cls_only ? 1 : tokens}};
    return s;
}

static bool lay_memory(osf_pass *s, pv_buffer *buffer, size_t *floats)
{
    size_t rows = s->vit.sequences * s->patches;
    *floats = 0;
    if (!pv_vit_memory_lay(&s->vit_memory, &s->vit, buffer, floats) ||
        !pv_lay(&s->columns, buffer, floats, rows, s->patch.group * s->patch.length))
        return false;
    s->tokens = pv_view(buffer, s->vit_memory.h.offset, rows, s->vit.width);
    return true;
}

static void forward(const pv_osf_model *m, const osf_pass *s, pv_pass *pass)
{
    pv_plan *p = pass->plan;
    size_t b = s->vit.sequences, n = s->patches, d = s->vit.width;
    const pv_vit_memory memory = pv_vit_memory_for(p, m->store, &s->vit, &s->vit_memory);
    pv_tensor table = m->table;
    table.rows = n + 1; /* of a shorter epoch the first N+1 of all, as the reference takes them */
    pv_tensor signal = pv_view(pass->signal, 0, b * s->patch.channels, s->patch.samples);
    pv_patchify(p, signal, &s->patch, s->columns);                /* [B*N, leads*samples] */
    pv_linear(p, s->columns, &m->patch, PV_PLAIN, s->tokens);     /* [B*N, D] */
    pv_assemble(p, s->tokens, table, 1, memory.x);                /* [B*(N+1), D] */
    pass->tokens = pv_vit_blocks(p, m->blocks, m->config.depth, &s->vit, &memory);
    pv_tensor y = s->vit_memory.h;
    y.rows = pass->tokens.rows;
    pv_layernorm(p, pass->tokens, &m->norm, y);                   /* [B*(N+1) or B, D] */
    pv_row_range cls = {s->vit.keep.count, 0, 1}, patches = {n + 1, 1, n};
    if (pass->output[PV_OSF_CLS])
        pv_select_rows(p, y, cls, pv_pass_output(pass, PV_OSF_CLS, b, d));
    if (pass->output[PV_OSF_PATCHES])
        pv_select_rows(p, y, patches, pv_pass_output(pass, PV_OSF_PATCHES, b * n, d));
    if (pass->output[PV_OSF_MEAN])
        pv_mean_rows(p, y, patches, pv_pass_output(pass, PV_OSF_MEAN, b, d));
}

psgvit_status pv_osf_record(const pv_osf_model *m, const pv_pass_shape *shape, pv_pass **pass,
                            psgvit_error *err)
{
    osf_pass s = shape_of(&m->config, shape);
    size_t floats, d = m->config.width, each[PV_OUTPUTS] = {d, s.patches * d, d};
    *pass = NULL;
    if (shape->epochs > INT_MAX / s.vit.tokens || !lay_memory(&s, NULL, &floats))
        return pv_fail(err, PSGVIT_E_MEMORY, "out of memory: a batch of %zu epochs is too large",
                       shape->epochs);
    PV_TRY(pv_pass_create(pass, m->store->device, shape, m->config.leads * shape->samples, floats,
                          each, err));
    (void)lay_memory(&s, (*pass)->work, &floats);
    forward(m, &s, *pass);
    return pv_pass_finish(pass, err);
}
