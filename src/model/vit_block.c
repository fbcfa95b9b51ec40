/* SPDX-License-Identifier: MIT */
/* A block is a function whose lines are the steps of the paper, each with its shape. The last block
 * of a stack is another one, since it may drop rows. */
#include "model/vit_block.h"

#include "base/checked.h"

/* [rows, cols] where t ends, with the tiles or the gaps that it may have as an operand. */
static pv_tensor behind(pv_tensor t, size_t rows, size_t cols)
{
    const size_t floats = pv_whole_tiles(t.rows) * (t.cols + PV_FORM_GAP);
    return pv_view(t.buffer, t.offset + floats, rows, cols);
}

enum { VIEWS = sizeof(pv_vit_memory) / sizeof(pv_tensor) };

bool pv_vit_memory_lay(pv_vit_memory *m, const pv_vit_shape *s, pv_buffer *buffer, size_t *offset)
{
    size_t rows, most, inner = s->heads * s->head_dim, kept = s->sequences * s->keep.count;
    size_t few = s->absorbed ? kept : 0, absorbed = s->heads * s->width;
    size_t widest = 4 * s->width + 8 * inner + 2 * absorbed + s->hidden + VIEWS * PV_FORM_GAP;
    if (!pv_mul(s->sequences, s->tokens, &rows) || !pv_add(rows, PV_FORM_TILE, &most) ||
        !pv_mul(most, widest, &most) || !pv_add(most, *offset, &most))
        return false;
    m->x = pv_view(buffer, *offset, rows, s->width);
    m->h = behind(m->x, rows, s->width);
    m->qkv = behind(m->h, rows, 3 * inner);
    m->att = behind(m->qkv, rows, inner);
    m->vary = behind(m->qkv, s->sequences * s->vary.count, 3 * inner);
    m->hid = behind(m->h, rows, s->hidden);
    m->few = behind(m->h, few, s->width);
    m->q = behind(m->few, few, inner);
    m->q_x = behind(m->q, few, absorbed);
    m->att_x = behind(m->q_x, few, absorbed);
    const pv_tensor last[] = {m->att, m->vary, m->hid, m->att_x};
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        const pv_tensor end = behind(last[i], kept, s->width);
        m->kept = i && m->kept.offset > end.offset ? m->kept : end;
    }
    *offset = behind(m->kept, 0, 0).offset;
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

/* Norm, then q, k and v; only for the tokens that vary, if the others' are known. */
static void project(pv_plan *p, const pv_vit_block *b, const pv_vit_shape *s,
                    const pv_vit_memory *m)
{
    pv_tensor h = head(m->h, m->vary.rows);
    if (!b->same_qkv.buffer) {
        pv_layernorm(p, m->x, &b->norm1, m->h);        /* [S*N, D] */
        pv_linear(p, m->h, &b->qkv, PV_PLAIN, m->qkv); /* [S*N, 3*H*d] */
        return;
    }
    pv_select_rows(p, m->x, s->vary, h);               /* [S*vary, D] */
    pv_layernorm(p, h, &b->norm1, h);                  /* [S*vary, D] */
    pv_linear(p, h, &b->qkv, PV_PLAIN, m->vary);       /* [S*vary, 3*H*d] */
    pv_assemble(p, m->vary, b->same_qkv, s->vary.first, m->qkv); /* [S*N, 3*H*d] */
}

static void block(pv_plan *p, const pv_vit_block *b, const pv_vit_shape *s, const pv_vit_memory *m)
{
    size_t inner = s->heads * s->head_dim;
    pv_tensor q = pv_columns(m->qkv, 0, inner), k = pv_columns(m->qkv, inner, inner);
    pv_tensor v = pv_columns(m->qkv, 2 * inner, inner);
    pv_attention_shape shape = attention_shape(s, s->tokens);
    project(p, b, s, m);                            /* [S*N, 3*H*d] */
    pv_attention(p, q, k, v, &shape, m->att);       /* [S*N, H*d] */
    pv_linear(p, m->att, &b->out, PV_ADD, m->x);    /* [S*N, D] */
    pv_layernorm(p, m->x, &b->norm2, m->h);         /* [S*N, D] */
    pv_linear(p, m->h, &b->fc1, PV_GELU, m->hid);   /* [S*N, M] */
    pv_linear(p, m->hid, &b->fc2, PV_ADD, m->x);    /* [S*N, D] */
}

/* Attention of the rows `x`, n of each sequence, over all of the stream. */
static pv_tensor attend(pv_plan *p, const pv_vit_block *b, const pv_vit_shape *s,
                        const pv_vit_memory *m, pv_tensor x)
{
    size_t inner = s->heads * s->head_dim;
    pv_tensor h = head(m->h, x.rows), att = head(m->att, x.rows);
    pv_tensor q = head(pv_columns(m->qkv, 0, inner), x.rows);
    pv_tensor kv = pv_columns(m->qkv, inner, 2 * inner);
    pv_tensor k = pv_columns(kv, 0, inner), v = pv_columns(kv, inner, inner);
    pv_attention_shape shape = attention_shape(s, s->keep.count);
    pv_layernorm(p, m->x, &b->norm1, m->h);         /* [S*N, D] */
    pv_linear(p, m->h, &b->kv, PV_PLAIN, kv);       /* [S*N, 2*H*d] */
    if (x.rows < m->x.rows)
        pv_layernorm(p, x, &b->norm1, h);           /* [S*n, D], over that of all rows */
    pv_linear(p, h, &b->q, PV_PLAIN, q);            /* [S*n, H*d] */
    pv_attention(p, q, k, v, &shape, att);          /* [S*n, H*d] */
    return att;
}

/* A linear layer of its own for each head. */
static void each_head(pv_plan *p, pv_tensor x, const pv_linear_weight *weights, size_t heads,
                      pv_tensor y)
{
    size_t from = x.cols / heads, to = y.cols / heads;
    for (size_t i = 0; i < heads; i++)
        pv_linear(p, pv_columns(x, i * from, from), &weights[i], PV_PLAIN,
                  pv_columns(y, i * to, to));
}

/* The same without K and V of all tokens; DeepSeek-V2 calls it absorbing their weights. Scores:
 * q . (W_k x + b_k) = (W_k^T q) . x, plus what all keys have the same, which softmax does not see.
 * Result: softmax's p sum to 1, so sum p (W_v x + b_v) = W_v (sum p x) + b_v. */
static pv_tensor attend_absorbed(pv_plan *p, const pv_vit_block *b, const pv_vit_shape *s,
                                 const pv_vit_memory *m)
{
    size_t heads = s->heads, queries = m->q.rows * heads;
    pv_tensor q_x = pv_reshape(m->q_x, queries, s->width);
    pv_tensor att_x = pv_reshape(m->att_x, queries, s->width);
    pv_attention_shape shape = {s->sequences, s->keep.count * heads, s->tokens, 1, s->width,
                                s->scale};
    pv_layernorm(p, m->x, &b->norm1, m->h);           /* [S*N, D] */
    pv_select_rows(p, m->h, s->keep, m->few);         /* [S*n, D] */
    pv_linear(p, m->few, &b->q, PV_PLAIN, m->q);      /* [S*n, H*d] */
    each_head(p, m->q, b->k_heads, heads, m->q_x);    /* [S*n, H*D] */
    pv_attention(p, q_x, m->h, m->h, &shape, att_x);  /* [S*n*H, D] */
    each_head(p, m->att_x, b->v_heads, heads, m->q);  /* [S*n, H*d] */
    return m->q;
}

/* Past what is attended to only the kept rows are computed, n of each sequence. */
static pv_tensor last_block(pv_plan *p, const pv_vit_block *b, const pv_vit_shape *s,
                            const pv_vit_memory *m)
{
    bool all = s->keep.count == s->tokens;
    pv_tensor x = all ? m->x : m->kept, h = head(m->h, x.rows), hid = head(m->hid, x.rows);
    if (!all)
        pv_select_rows(p, m->x, s->keep, x);        /* [S*n, D] */
    pv_tensor att = s->absorbed ? attend_absorbed(p, b, s, m) : attend(p, b, s, m, x);
    pv_linear(p, att, &b->out, PV_ADD, x);          /* [S*n, D] */
    pv_layernorm(p, x, &b->norm2, h);               /* [S*n, D] */
    pv_linear(p, h, &b->fc1, PV_GELU, hid);         /* [S*n, M] */
    pv_linear(p, hid, &b->fc2, PV_ADD, x);          /* [S*n, D] */
    return x;
}

pv_vit_memory pv_vit_memory_for(const pv_plan *plan, const pv_store *store,
                                const pv_vit_shape *shape, const pv_vit_memory *memory)
{
    pv_vit_memory m = *memory;
    m.x = pv_stream(plan, store, m.x);
    m.kept = pv_stream(plan, store, m.kept);
    m.h = pv_operand(plan, store, m.h);
    if (shape->head_dim % 4 == 0) {
        const pv_attention_shape attention = attention_shape(shape, shape->tokens);
        m.att = pv_operand(plan, store, m.att);
        if (m.att.form)
            m.qkv = pv_attention_operand(plan, store, m.qkv, &attention);
    }
    m.hid = pv_operand(plan, store, m.hid);
    return m;
}

pv_tensor pv_vit_blocks(pv_plan *plan, const pv_vit_block *blocks, size_t depth,
                        const pv_vit_shape *shape, const pv_vit_memory *memory)
{
    for (size_t i = 0; i + 1 < depth; i++)
        block(plan, &blocks[i], shape, memory);
    return last_block(plan, &blocks[depth - 1], shape, memory);
}
