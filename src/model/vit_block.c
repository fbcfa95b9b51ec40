/* SPDX-License-Identifier: MIT */
/* A block is a function whose lines are the steps of the paper, each with its shape. The last block
 * of a stack is another one, since it may drop rows. */
#include "model/vit_block.h"

#include "base/checked.h"

bool pv_vit_memory_lay(pv_vit_memory *m, const pv_vit_shape *s, pv_buffer *buffer, size_t *offset)
{
    size_t rows, inner = s->heads * s->head_dim, at = *offset, most;
    size_t widest = 2 * s->width + 4 * inner + s->hidden;
    if (!pv_mul(s->sequences, s->tokens, &rows) || !pv_mul(rows, widest, &most) ||
        !pv_add(most, at, &most))
        return false;
    m->x = pv_view(buffer, at, rows, s->width);
    m->h = pv_view(buffer, at += rows * s->width, rows, s->width);
    m->qkv = pv_view(buffer, at += rows * s->width, rows, 3 * inner);
    m->att = pv_view(buffer, at + rows * 3 * inner, rows, inner);
    m->hid = pv_view(buffer, at, rows, s->hidden);
    at += rows * (4 * inner > s->hidden ? 4 * inner : s->hidden);
    m->kept = pv_view(buffer, at, s->sequences * s->keep.count, s->width);
    *offset = at + s->sequences * s->keep.count * s->width;
    return true;
}

/* The first rows of t: what is kept of it lies without gaps. */
static pv_tensor head(pv_tensor t, size_t rows)
{
    t.rows = rows;
    return t;
}

static pv_attention_shape attention_shape(const pv_vit_shape *s, size_t queries)
{
    return (pv_attention_shape){s->sequences, queries, s->tokens, s->heads, s->head_dim, s->scale};
}

static void block(pv_plan *p, const pv_vit_block *b, const pv_vit_shape *s, const pv_vit_memory *m)
{
    size_t inner = s->heads * s->head_dim;
    pv_tensor q = pv_columns(m->qkv, 0, inner), k = pv_columns(m->qkv, inner, inner);
    pv_tensor v = pv_columns(m->qkv, 2 * inner, inner);
    pv_attention_shape shape = attention_shape(s, s->tokens);
    pv_layernorm(p, m->x, &b->norm1, m->h);         /* [S*N, D] */
    pv_linear(p, m->h, &b->qkv, PV_PLAIN, m->qkv);  /* [S*N, 3*H*d] */
    pv_attention(p, q, k, v, &shape, m->att);       /* [S*N, H*d] */
    pv_linear(p, m->att, &b->out, PV_ADD, m->x);    /* [S*N, D] */
    pv_layernorm(p, m->x, &b->norm2, m->h);         /* [S*N, D] */
    pv_linear(p, m->h, &b->fc1, PV_GELU, m->hid);   /* [S*N, M] */
    pv_linear(p, m->hid, &b->fc2, PV_ADD, m->x);    /* [S*N, D] */
}

/* Past K and V only the kept rows are computed, n of each sequence. */
static pv_tensor last_block(pv_plan *p, const pv_vit_block *b, const pv_vit_shape *s,
                            const pv_vit_memory *m)
{
    size_t inner = s->heads * s->head_dim, rows = s->sequences * s->keep.count;
    int all = s->keep.count == s->tokens;
    pv_tensor x = all ? m->x : m->kept, h = head(m->h, rows), att = head(m->att, rows);
    pv_tensor kv = pv_columns(m->qkv, inner, 2 * inner);
    pv_tensor q = all ? pv_columns(m->qkv, 0, inner) : head(pv_columns(m->qkv, 0, inner), rows);
    pv_attention_shape shape = attention_shape(s, s->keep.count);
    pv_layernorm(p, m->x, &b->norm1, m->h);         /* [S*N, D] */
    pv_linear(p, m->h, &b->kv, PV_PLAIN, kv);       /* [S*N, 2*H*d] */
    if (!all) {
        pv_select_rows(p, m->x, s->keep, x);        /* [S*n, D] */
        pv_layernorm(p, x, &b->norm1, h);           /* [S*n, D], over that of all rows */
    }
    pv_linear(p, h, &b->q, PV_PLAIN, q);            /* [S*n, H*d] */
    pv_attention(p, q, pv_columns(kv, 0, inner), pv_columns(kv, inner, inner), &shape, att);
    pv_linear(p, att, &b->out, PV_ADD, x);          /* [S*n, D] */
    pv_layernorm(p, x, &b->norm2, h);               /* [S*n, D] */
    pv_linear(p, h, &b->fc1, PV_GELU, head(m->hid, rows)); /* [S*n, M] */
    pv_linear(p, head(m->hid, rows), &b->fc2, PV_ADD, x);  /* [S*n, D] */
    return x;
}

pv_tensor pv_vit_blocks(pv_plan *plan, const pv_store *store, const pv_vit_block *blocks,
                        size_t depth, const pv_vit_shape *shape, const pv_vit_memory *memory)
{
    pv_vit_memory m = *memory;
    m.h = pv_operand(plan, store, m.h);
    if (shape->head_dim % 4 == 0) {
        const pv_attention_shape attention = attention_shape(shape, shape->tokens);
        m.att = pv_operand(plan, store, m.att);
        if (m.att.form)
            m.qkv = pv_attention_operand(plan, store, m.qkv, &attention);
    }
    m.hid = pv_operand(plan, store, m.hid);
    for (size_t i = 0; i + 1 < depth; i++)
        block(plan, &blocks[i], shape, &m);
    return last_block(plan, &blocks[depth - 1], shape, &m);
}
