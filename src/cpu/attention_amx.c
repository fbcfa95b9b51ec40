/* SPDX-License-Identifier: MIT */
/*
 * Attention on AMX tiles over q, k and v in bf16, for heads whose dimension is a multiple of 32: 16
 * queries at a time, whose scores and result never leave L1. What a tile has and nobody asked for,
 * queries, keys or dimensions, is zero.
 */
#include "cpu/steps.h"

#if defined(__x86_64__)

#include "cpu/amx.h"

#include <math.h>
#include <string.h>

/* Sizes of one head, rounded up to whole tiles. */
typedef struct sizes {
    size_t steps;      /* of the dimension, 32 each */
    size_t key_tiles;  /* 16 each */
    size_t key_steps;  /* 32 each */
    size_t dim_tiles;  /* 16 each */
    size_t score_row;  /* floats */
    size_t weight_row; /* bf16 */
} sizes;

static sizes sizes_of(const pv_attention_shape *shape)
{
    size_t key_steps = (shape->keys + AMX_STEP - 1) / AMX_STEP;
    return (sizes){.steps = shape->dim / AMX_STEP,
                   .key_tiles = (shape->keys + AMX_TILE - 1) / AMX_TILE,
                   .key_steps = key_steps,
                   .dim_tiles = shape->dim / AMX_TILE,
                   .score_row = key_steps * AMX_STEP + AMX_TILE,
                   .weight_row = key_steps * AMX_STEP + AMX_STEP};
}

/* What a thread works in, one behind the other. */
typedef struct head_memory {
    amx_bf16 *k;       /* [key_tiles, steps] tiles */
    amx_bf16 *v;       /* [dim_tiles, key_steps] tiles */
    float *scores[2];  /* [16, score_row], of this block of queries and the next */
    amx_bf16 *weights; /* [16, weight_row] softmax of the scores, but for a factor a row */
    float *out;        /* [16, dim] */
    amx_bf16 *q;       /* [16, dim] of a last block */
} head_memory;

static size_t floats_of(const pv_attention_shape *shape)
{
    const sizes s = sizes_of(shape);
    size_t tiles = s.key_tiles * s.steps + s.dim_tiles * s.key_steps;
    size_t dim = s.steps * AMX_STEP;
    return tiles * AMX_WORDS / 2 + 2 * AMX_TILE * s.score_row + AMX_TILE * s.weight_row / 2 +
           AMX_TILE * dim + AMX_TILE * dim / 2;
}

static head_memory lay(const sizes *s, float *workspace)
{
    head_memory m;
    size_t dim = s->steps * AMX_STEP;
    m.scores[0] = workspace;
    m.scores[1] = m.scores[0] + AMX_TILE * s->score_row;
    m.out = m.scores[1] + AMX_TILE * s->score_row;
    m.k = (amx_bf16 *)(void *)(m.out + AMX_TILE * dim);
    m.v = m.k + s->key_tiles * s->steps * AMX_WORDS;
    m.weights = m.v + s->dim_tiles * s->key_steps * AMX_WORDS;
    m.q = m.weights + AMX_TILE * s->weight_row;
    return m;
}

/* Rows of bf16. */
typedef struct half_rows {
    amx_bf16 *at;
    size_t stride;
} half_rows;

/* ---- operands ---- */

/* Pairs of the dimension become rows of a tile, keys its columns. */
static void pack_k(const sizes *s, half_rows k, size_t keys, amx_bf16 *to)
{
    for (size_t tile = 0; tile < s->key_tiles; tile++)
        for (size_t step = 0; step < s->steps; step++, to += AMX_WORDS) {
            vec rows[AMX_TILE];
            for (size_t i = 0; i < AMX_TILE; i++) {
                size_t key = tile * AMX_TILE + i;
                rows[i] = key < keys
                              ? vec_load((const void *)(k.at + key * k.stride + step * AMX_STEP))
                              : vec_set(0.0f);
            }
            vec_transpose(rows);
            for (size_t i = 0; i < AMX_TILE; i++)
                vec_store((void *)(to + i * AMX_STEP), rows[i]);
        }
}

/* Two keys become a row of a tile, element by element: of 32 dimensions, of two tiles. */
static inline void pack_pair(__m512i a, __m512i b, amx_bf16 *to, size_t beside)
{
    const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
    const __m512i second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    __m512i low = _mm512_unpacklo_epi16(a, b), high = _mm512_unpackhi_epi16(a, b);
    _mm512_store_si512(to, _mm512_permutex2var_epi64(low, first, high));
    _mm512_store_si512(to + beside, _mm512_permutex2var_epi64(low, second, high));
}

static void pack_v(const sizes *s, half_rows v, size_t keys, amx_bf16 *to)
{
    const __m512i zero = _mm512_setzero_si512();
    const size_t beside = s->key_steps * AMX_WORDS;
    for (size_t key = 0; key < s->key_steps * AMX_STEP; key += 2)
        for (size_t step = 0; step < s->steps; step++) {
            const amx_bf16 *row = v.at + key * v.stride + step * AMX_STEP;
            __m512i a = key < keys ? _mm512_loadu_si512(row) : zero;
            __m512i b = key + 1 < keys ? _mm512_loadu_si512(row + v.stride) : zero;
            pack_pair(a, b, to + 2 * step * beside + key / 2 * AMX_STEP, beside);
        }
}

/* ---- products ---- */

/* y [16, 16 count] = a [16, 32 steps] times `count` rows of `steps` tiles, at most four. */
static inline __attribute__((always_inline)) void
product(const amx_bf16 *a, size_t a_stride, const amx_bf16 *b, size_t steps, size_t count,
        float *y, size_t y_stride)
{
    const size_t beside = steps * AMX_WORDS;
    AMX_BARRIER();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < steps; k++, a += AMX_STEP, b += AMX_WORDS) {
        _tile_loadd(4, a, a_stride * sizeof *a);
        _tile_loadd(5, b, 64);
        _tile_dpbf16ps(0, 4, 5);
        if (count > 1) {
            _tile_loadd(6, b + beside, 64);
            _tile_dpbf16ps(1, 4, 6);
        }
        if (count > 2) {
            _tile_loadd(7, b + 2 * beside, 64);
            _tile_dpbf16ps(2, 4, 7);
        }
        if (count > 3) {
            _tile_loadd(5, b + 3 * beside, 64);
            _tile_dpbf16ps(3, 4, 5);
        }
    }
    _tile_stored(0, y, y_stride * sizeof *y);
    if (count > 1)
        _tile_stored(1, y + AMX_TILE, y_stride * sizeof *y);
    if (count > 2)
        _tile_stored(2, y + 2 * AMX_TILE, y_stride * sizeof *y);
    if (count > 3)
        _tile_stored(3, y + 3 * AMX_TILE, y_stride * sizeof *y);
    AMX_BARRIER();
}

/* The same for any number of tiles. */
static void multiply(const amx_bf16 *a, size_t a_stride, const amx_bf16 *b, size_t steps,
                     size_t tiles, float *y, size_t y_stride)
{
    for (size_t t = 0; t < tiles; t += 4)
        product(a, a_stride, b + t * steps * AMX_WORDS, steps, tiles - t < 4 ? tiles - t : 4,
                y + t * AMX_TILE, y_stride);
}

/* ---- softmax ---- */

static __mmask16 keys_at(size_t j, size_t keys)
{
    return j + AMX_TILE <= keys ? 0xffff : j < keys ? vec_mask(keys - j) : 0;
}

static inline float row_top(const float *scores, size_t keys)
{
    vec top = vec_set(-INFINITY);
    for (size_t j = 0; j < keys; j += AMX_TILE)
        top = _mm512_mask_max_ps(top, keys_at(j, keys), top, vec_load(scores + j));
    return vec_highest(top);
}

/* 2^t for t <= 0: minimax (by linear programming) on [-1/2, 1/2], 2.6e-6 relative error. Below
 * 2^-126 it stays. */
static inline vec power(vec t)
{
    const vec magic = vec_set(12582912.0f);
    t = vec_max(vec_set(-126.0f), t);
    const vec z = vec_add(t, magic);
    const vec r = vec_sub(t, vec_sub(z, magic));
    vec p = vec_fma(vec_set(9.57007614e-3f), r, vec_set(5.59178914e-2f));
    p = vec_fma(p, r, vec_set(2.40247461e-1f));
    p = vec_fma(p, r, vec_set(6.93121808e-1f));
    p = vec_fma(p, r, vec_set(9.99999260e-1f));
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(z), 23)));
}

/* weights = e^(scale (s - top)), zero behind the last key; returns the reciprocal of their sum. */
static inline float row_weights(const float *scores, size_t keys, float top, float scale,
                                amx_bf16 *weights)
{
    const vec factor = vec_set(scale * 1.44269504f), offset = vec_set(-top * scale * 1.44269504f);
    vec sum = vec_set(0.0f);
    for (size_t j = 0; j < keys; j += AMX_STEP) {
        vec e[2];
        for (size_t i = 0; i < 2; i++) {
            const __mmask16 exist = keys_at(j + i * AMX_TILE, keys);
            const vec t = vec_fma(vec_load(scores + j + i * AMX_TILE), factor, offset);
            e[i] = _mm512_maskz_mov_ps(exist, power(t));
        }
        const __m512i w = (__m512i)_mm512_cvtne2ps_pbh(e[1], e[0]);
        const __m512i odd = _mm512_and_si512(w, _mm512_set1_epi32((int)0xffff0000u));
        _mm512_store_si512(weights + j, w);
        sum = vec_add(sum, vec_add(_mm512_castsi512_ps(_mm512_slli_epi32(w, 16)),
                                   _mm512_castsi512_ps(odd)));
    }
    return 1.0f / vec_sum(sum);
}

/* ---- a head ---- */

typedef struct head {
    half_rows q, k, v, y;
    size_t queries, keys;
    float scale;
} head;

/* The scores of 16 queries from `first` on. */
static void score(const head *h, const sizes *s, const head_memory *m, size_t first, float *scores)
{
    const size_t left = h->queries - first, dim = s->steps * AMX_STEP;
    half_rows q = {h->q.at + first * h->q.stride, h->q.stride};
    if (left < AMX_TILE) {
        memset(m->q + left * dim, 0, (AMX_TILE - left) * dim * sizeof *m->q);
        for (size_t i = 0; i < left; i++)
            memcpy(m->q + i * dim, q.at + i * q.stride, dim * sizeof *m->q);
        q = (half_rows){m->q, dim};
    }
    multiply(q.at, q.stride, m->k, s->steps, s->key_tiles, scores, s->score_row);
}

/* Their results. Rows by rows in two passes, so that the maximum of one isn't waited for before
 * the next begins. */
static void finish(const head *h, const sizes *s, const head_memory *m, size_t first,
                   const float *scores)
{
    const size_t left = h->queries - first, rows = left < AMX_TILE ? left : AMX_TILE;
    const size_t dim = s->steps * AMX_STEP;
    float top[AMX_TILE], factor[AMX_TILE];
    for (size_t i = 0; i < rows; i++)
        top[i] = row_top(scores + i * s->score_row, h->keys);
    for (size_t i = 0; i < rows; i++)
        factor[i] = row_weights(scores + i * s->score_row, h->keys, top[i], h->scale,
                                m->weights + i * s->weight_row);
    multiply(m->weights, s->weight_row, m->v, s->key_steps, s->dim_tiles, m->out, dim);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < dim; j += AMX_STEP) {
            const vec f = vec_set(factor[i]);
            const vec a = vec_mul(vec_load(m->out + i * dim + j), f);
            const vec b = vec_mul(vec_load(m->out + i * dim + j + AMX_TILE), f);
            _mm512_storeu_si512(h->y.at + (first + i) * h->y.stride + j,
                                (__m512i)_mm512_cvtne2ps_pbh(b, a));
        }
}

/* The next queries' scores are multiplied before these become weights: the tiles and the vector
 * units both have work, then. */
static void attend(const head *h, const sizes *s, const head_memory *m)
{
    pack_k(s, h->k, h->keys, m->k);
    pack_v(s, h->v, h->keys, m->v);
    score(h, s, m, 0, m->scores[0]);
    for (size_t first = 0, i = 0; first < h->queries; first += AMX_TILE, i = 1 - i) {
        if (first + AMX_TILE < h->queries)
            score(h, s, m, first + AMX_TILE, m->scores[1 - i]);
        finish(h, s, m, first, m->scores[i]);
    }
}

/* A head's first element in a row of a sequence. */
static half_rows head_rows(cpu_rows t, size_t row, size_t column)
{
    return (half_rows){(amx_bf16 *)(void *)(t.at + row * t.stride) + column,
                       t.stride * sizeof(float) / sizeof(amx_bf16)};
}

/* Head i % H of sequence i / H. */
static void one_head(const cpu_attention *op, const sizes *s, const head_memory *m, size_t i)
{
    const pv_attention_shape *shape = &op->shape;
    size_t sequence = i / shape->heads, column = i % shape->heads * shape->dim;
    const head h = {.q = head_rows(op->q, sequence * shape->queries, column),
                    .k = head_rows(op->k, sequence * shape->keys, column),
                    .v = head_rows(op->v, sequence * shape->keys, column),
                    .y = head_rows(op->y, sequence * shape->queries, column),
                    .queries = shape->queries,
                    .keys = shape->keys,
                    .scale = shape->scale};
    attend(&h, s, m);
}

static void run(const cpu_args *args, const cpu_team *team)
{
    const cpu_attention *op = &args->attention;
    const pv_attention_shape *shape = &op->shape;
    const sizes s = sizes_of(shape);
    const head_memory m = lay(&s, team->workspace);
    if (!shape->queries)
        return;
    amx_configure();
    memset(m.weights, 0, AMX_TILE * s.weight_row * sizeof *m.weights);
    for (size_t i = 0; i < team->count; i++) {
        const cpu_team owner = cpu_owner(team, i);
        size_t begin, end;
        cpu_share(&owner, shape->sequences * shape->heads, &begin, &end);
        for (size_t piece; cpu_begin(&owner, end - begin, &piece);)
            one_head(op, &s, &m, begin + piece);
    }
    _tile_release();
}

const cpu_heads pv_cpu_heads_amx_bf16 = {floats_of, run};

#endif
