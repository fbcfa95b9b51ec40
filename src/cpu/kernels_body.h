/* SPDX-License-Identifier: MIT */
/*
 * The body of the CPU's kernels, written in the vocabulary of a vec_*.h that was included before it
 * and compiled once for each instruction set. PV_KERNELS is the table's name, PV_KERNELS_ISA its
 * level. Every function works on rows from their first element on, whatever their alignment, so
 * that a row's result depends on nothing but the row.
 */
#include "cpu/vec_math.h"

#include <math.h>

/* Loops over a tile's rows and columns must be gone before registers are given out. */
#if defined(__clang__)
#define PV_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PV_UNROLL _Pragma("GCC unroll 16")
#endif

/* A tile takes TILE_STEPS of k at once and fetches at most FETCH lines meanwhile: a quarter of what
 * it reads of b, so that four tiles fetch the next panel. */
enum {
    TILE_COLUMNS = TILE_VECS * VEC,
    TILE_STEPS = 4,
    LINE = 64 / sizeof(float),
    FETCH = TILE_COLUMNS > LINE ? TILE_COLUMNS / LINE : 1
};

/* ---- rows ------------------------------------------------------------------------------------ */

/* The sums over a row of d = x - center and of d^2. Four accumulators of each keep the adders busy
 * and the chains of roundings short. */
PV_INLINE void row_sums(const float *x, size_t n, float center, float *sum, float *squares)
{
    const vec c = vec_set(center), zero = vec_set(0.0f);
    vec s[4] = {zero, zero, zero, zero}, q[4] = {zero, zero, zero, zero};
    size_t i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC) {
        PV_UNROLL
        for (size_t j = 0; j < 4; j++) {
            const vec d = vec_sub(vec_load(x + i + j * VEC), c);
            s[j] = vec_add(s[j], d);
            q[j] = vec_fma(d, d, q[j]);
        }
    }
    for (; i < n; i += VEC) {
        const size_t left = n - i;
        const vec d = left < VEC ? vec_keep(vec_sub(vec_load_n(x + i, left), c), left, 0.0f)
                                 : vec_sub(vec_load(x + i), c);
        s[0] = vec_add(s[0], d);
        q[0] = vec_fma(d, d, q[0]);
    }
    *sum = vec_sum(vec_add(vec_add(s[0], s[1]), vec_add(s[2], s[3])));
    *squares = vec_sum(vec_add(vec_add(q[0], q[1]), vec_add(q[2], q[3])));
}

/* What the first mean is off by, the second pass finds and corrects. */
static void layernorm(const float *x, const float *gamma, const float *beta, float eps, size_t n,
                      float *y)
{
    const float count = (float)n;
    float sum, squares;
    row_sums(x, n, 0.0f, &sum, &squares);
    const float mean = sum / count;
    row_sums(x, n, mean, &sum, &squares);
    const float rest = sum / count, variance = squares / count - rest * rest;
    const vec m = vec_set(mean), r = vec_set(rest), s = vec_set(1.0f / sqrtf(variance + eps));
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        const vec d = vec_mul(vec_sub(vec_sub(vec_load(x + i), m), r), s);
        vec_store(y + i, vec_fma(d, vec_load(gamma + i), vec_load(beta + i)));
    }
    if (i < n) {
        const size_t left = n - i;
        const vec d = vec_mul(vec_sub(vec_sub(vec_load_n(x + i, left), m), r), s);
        const vec g = vec_load_n(gamma + i, left), b = vec_load_n(beta + i, left);
        vec_store_n(y + i, vec_fma(d, g, b), left);
    }
}

/* y + b, or gelu of it. `bias` may be NULL. */
PV_INLINE void finish_row(float *y, const float *bias, size_t n, int gelu)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        vec v = vec_load(y + i);
        if (bias)
            v = vec_add(v, vec_load(bias + i));
        vec_store(y + i, gelu ? gelu_of(v) : v);
    }
    if (i < n) {
        const size_t left = n - i;
        vec v = vec_load_n(y + i, left);
        if (bias)
            v = vec_add(v, vec_load_n(bias + i, left));
        vec_store_n(y + i, gelu ? gelu_of(v) : v, left);
    }
}

static void add_bias(float *y, const float *bias, size_t n)
{
    if (bias)
        finish_row(y, bias, n, 0);
}

static void bias_gelu(float *y, const float *bias, size_t n)
{
    if (bias)
        finish_row(y, bias, n, 1);
    else
        finish_row(y, NULL, n, 1);
}

static void add(const float *a, const float *b, size_t n, float *y)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(y + i, vec_add(vec_load(a + i), vec_load(b + i)));
    if (i < n)
        vec_store_n(y + i, vec_add(vec_load_n(a + i, n - i), vec_load_n(b + i, n - i)), n - i);
}

static void axpy(float s, const float *x, size_t n, float *y)
{
    const vec factor = vec_set(s);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(y + i, vec_fma(factor, vec_load(x + i), vec_load(y + i)));
    if (i < n) {
        const vec sum = vec_fma(factor, vec_load_n(x + i, n - i), vec_load_n(y + i, n - i));
        vec_store_n(y + i, sum, n - i);
    }
}

/* ---- matrix product -------------------------------------------------------------------------- */

/* Adds `steps` of k to the sums of a constant number of rows. Four rows a pointer: with a stride,
 * its double and its triple all rows fit the registers. */
PV_INLINE void tile_steps(const size_t rows, const size_t steps, const float *const group[4],
                          size_t stride, size_t p, const float *b, vec sum[TILE_ROWS][TILE_VECS])
{
    PV_UNROLL
    for (size_t s = 0; s < steps; s++) {
        vec row[TILE_VECS];
        PV_UNROLL
        for (size_t j = 0; j < TILE_VECS; j++)
            row[j] = vec_load(b + s * TILE_COLUMNS + j * VEC);
        PV_UNROLL
        for (size_t i = 0; i < rows; i++) {
            const vec x = vec_set(group[i / 4][i % 4 * stride + p + s]);
            PV_UNROLL
            for (size_t j = 0; j < TILE_VECS; j++)
                sum[i][j] = vec_fma(x, row[j], sum[i][j]);
        }
    }
}

/* The tile for a constant number of rows: all sums stay in registers over k. Its own copy of the
 * tile is one that no store to c can be thought to change. */
PV_INLINE void tile_rows(const size_t rows, const pv_tile *tile)
{
    const pv_tile t = *tile;
    const float *const group[4] = {t.a, rows > 4 ? t.a + 4 * t.a_stride : t.a,
                                   rows > 8 ? t.a + 8 * t.a_stride : t.a,
                                   rows > 12 ? t.a + 12 * t.a_stride : t.a};
    const float *b = t.b, *next = t.next;
    size_t lines = t.next_lines;
    vec sum[TILE_ROWS][TILE_VECS];
    PV_UNROLL
    for (size_t i = 0; i < rows; i++) {
        PV_UNROLL
        for (size_t j = 0; j < TILE_VECS; j++)
            sum[i][j] = vec_set(0.0f);
    }
    size_t p = 0;
    for (; p + TILE_STEPS <= t.k; p += TILE_STEPS) {
        if (lines) {
            PV_UNROLL
            for (size_t i = 0; i < FETCH; i++)
                __builtin_prefetch(next + i * LINE, 0, 2);
            next += FETCH * LINE;
            lines = lines > FETCH ? lines - FETCH : 0;
        }
        tile_steps(rows, TILE_STEPS, group, t.a_stride, p, b, sum);
        b += TILE_STEPS * TILE_COLUMNS;
    }
    for (; p < t.k; p++) {
        tile_steps(rows, 1, group, t.a_stride, p, b, sum);
        b += TILE_COLUMNS;
    }
    PV_UNROLL
    for (size_t i = 0; i < rows; i++) {
        PV_UNROLL
        for (size_t j = 0; j < TILE_VECS; j++) {
            float *to = t.c + i * t.c_stride + j * VEC;
            vec_store(to, t.accumulate ? vec_add(vec_load(to), sum[i][j]) : sum[i][j]);
        }
    }
}

static void gemm_tile(size_t rows, const pv_tile *t)
{
    switch (rows) {
    case 1: tile_rows(1, t); break;
    case 2: tile_rows(2, t); break;
    case 3: tile_rows(3, t); break;
    case 4: tile_rows(4, t); break;
#if PV_TILE_ROWS >= 6
    case 5: tile_rows(5, t); break;
    case 6: tile_rows(6, t); break;
#endif
#if PV_TILE_ROWS >= 14
    case 7: tile_rows(7, t); break;
    case 8: tile_rows(8, t); break;
    case 9: tile_rows(9, t); break;
    case 10: tile_rows(10, t); break;
    case 11: tile_rows(11, t); break;
    case 12: tile_rows(12, t); break;
    case 13: tile_rows(13, t); break;
    case 14: tile_rows(14, t); break;
#endif
    default: break;
    }
}

/* VEC rows of k, of which `count` exist, to columns of a panel; the others repeat the first. */
static void pack_rows(const float *rows, size_t stride, size_t count, size_t k, float *panel)
{
    for (size_t d = 0; d < k; d += VEC) {
        const size_t left = k - d;
        vec block[VEC];
        PV_UNROLL
        for (size_t i = 0; i < VEC; i++) {
            const float *row = rows + (i < count ? i : 0) * stride + d;
            block[i] = left < VEC ? vec_load_n(row, left) : vec_load(row);
        }
        vec_transpose(block);
        PV_UNROLL
        for (size_t i = 0; i < VEC; i++) {
            if (i < left)
                vec_store(panel + (d + i) * TILE_COLUMNS, block[i]);
        }
    }
}

static void pack(const float *rows, size_t stride, size_t count, size_t k, float *panel)
{
    for (size_t i = 0; i < TILE_COLUMNS; i += VEC) {
        const size_t left = i < count ? count - i : 0;
        pack_rows(left > 0 ? rows + i * stride : rows, stride, left, k, panel + i);
    }
}

/* ---- attention ------------------------------------------------------------------------------- */

/* Where a head's packed operands lie in its workspace. */
typedef struct packed_head {
    size_t key_pad; /* keys, rounded up to whole tiles */
    float *k;       /* [key_pad / TILE_COLUMNS, dim, TILE_COLUMNS], k transposed */
    float *v;       /* [dim_pad / TILE_COLUMNS, keys, TILE_COLUMNS] */
    float *scores;  /* [TILE_ROWS, key_pad] */
    float *edge;    /* [TILE_ROWS, TILE_COLUMNS], the columns of an output that end inside a tile */
} packed_head;

static size_t padded(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static size_t attention_workspace(size_t keys, size_t dim)
{
    const size_t key_pad = padded(keys, TILE_COLUMNS), dim_pad = padded(dim, TILE_COLUMNS);
    return padded(key_pad * dim, 16) + padded(keys * dim_pad, 16) + TILE_ROWS * key_pad +
           TILE_ROWS * TILE_COLUMNS;
}

static packed_head pack_head(const pv_head *h)
{
    const size_t key_pad = padded(h->keys, TILE_COLUMNS), dim_pad = padded(h->dim, TILE_COLUMNS);
    float *v = h->workspace + padded(key_pad * h->dim, 16);
    float *scores = v + padded(h->keys * dim_pad, 16);
    const packed_head p = {key_pad, h->workspace, v, scores, scores + TILE_ROWS * key_pad};

    for (size_t key = 0; key < key_pad; key += TILE_COLUMNS)
        pack(h->k + key * h->k_stride, h->k_stride, h->keys - key, h->dim, p.k + key * h->dim);
    for (size_t d = 0; d < dim_pad; d += VEC) {
        const size_t left = d < h->dim ? h->dim - d : 0, column = d % TILE_COLUMNS;
        float *to = p.v + (d - column) * h->keys + column;
        for (size_t key = 0; key < h->keys; key++) {
            const float *from = h->v + key * h->v_stride + d;
            const vec x = left >= VEC ? vec_load(from)
                          : left > 0  ? vec_load_n(from, left)
                                      : vec_set(0.0f);
            vec_store(to + key * TILE_COLUMNS, x);
        }
    }
    return p;
}

/* The VEC of scores from j on; -inf stands where the n scores have ended. */
PV_INLINE vec scores_at(const float *s, size_t j, size_t n)
{
    const vec v = vec_load(s + j);
    return n - j < VEC ? vec_keep(v, n - j, -INFINITY) : v;
}

PV_INLINE float row_top(const float *s, size_t n)
{
    vec top = vec_set(-INFINITY);
    for (size_t j = 0; j < n; j += VEC)
        top = vec_max(top, scores_at(s, j, n));
    return vec_highest(top);
}

/* s = e^(scale (s - top)) over a row of n scores, and zeros up to the next multiple of VEC; returns
 * the sum's reciprocal. */
PV_INLINE float row_exp(float *s, size_t n, float top, float scale)
{
    const vec t = vec_set(top);
    const vec least = vec_set(-128.0f / scale); /* e^-128 is 0 in float, and so is all below */
    vec sum = vec_set(0.0f);
    for (size_t j = 0; j < n; j += VEC) {
        vec z;
        const vec d = vec_max(least, vec_sub(scores_at(s, j, n), t));
        const vec r = exp_reduce(d, scale, &z);
        const vec e = exp_finish(r, z);
        vec_store(s + j, e);
        sum = vec_add(sum, e);
    }
    return 1.0f / vec_sum(sum);
}

/* The softmax of rows of n scores but for each row's factor, which is given back. Rows by rows in
 * two passes, so that the maximum of one isn't waited for before the next begins. */
static void softmax_rows(size_t rows, float *s, size_t stride, size_t n, float scale, float *factor)
{
    float top[TILE_ROWS];
    for (size_t i = 0; i < rows; i++)
        top[i] = row_top(s + i * stride, n);
    for (size_t i = 0; i < rows; i++)
        factor[i] = row_exp(s + i * stride, n, top[i], scale);
}

/* to[rows, n] = from[rows, n], each row times its own factor. */
PV_INLINE void scale_rows(size_t rows, size_t n, const float *factor, const float *from,
                          size_t from_stride, float *to, size_t to_stride)
{
    for (size_t i = 0; i < rows; i++) {
        const vec f = vec_set(factor[i]);
        const float *x = from + i * from_stride;
        float *y = to + i * to_stride;
        size_t j = 0;
        for (; j + VEC <= n; j += VEC)
            vec_store(y + j, vec_mul(vec_load(x + j), f));
        if (j < n)
            vec_store_n(y + j, vec_mul(vec_load_n(x + j, n - j), f), n - j);
    }
}

/* `rows` queries from `first` on. */
static void attend(const pv_head *h, const packed_head *p, size_t first, size_t rows)
{
    const float *q = h->q + first * h->q_stride;
    float *out = h->out + first * h->out_stride;
    float factor[TILE_ROWS];

    pv_tile tile = {.k = h->dim, .a = q, .a_stride = h->q_stride, .c_stride = p->key_pad};
    for (size_t j = 0; j < p->key_pad; j += TILE_COLUMNS) {
        tile.b = p->k + j * h->dim;
        tile.c = p->scores + j;
        gemm_tile(rows, &tile);
    }
    softmax_rows(rows, p->scores, p->key_pad, h->keys, h->scale, factor);

    const size_t whole = h->dim / TILE_COLUMNS * TILE_COLUMNS;
    tile = (pv_tile){.k = h->keys, .a = p->scores, .a_stride = p->key_pad};
    for (size_t j = 0; j < h->dim; j += TILE_COLUMNS) {
        tile.b = p->v + j * h->keys;
        tile.c = j < whole ? out + j : p->edge;
        tile.c_stride = j < whole ? h->out_stride : TILE_COLUMNS;
        gemm_tile(rows, &tile);
    }
    scale_rows(rows, whole, factor, out, h->out_stride, out, h->out_stride);
    scale_rows(rows, h->dim - whole, factor, p->edge, TILE_COLUMNS, out + whole, h->out_stride);
}

static void attention(const pv_head *head)
{
    if (head->queries == 0 || head->keys == 0)
        return;
    const packed_head packed = pack_head(head);
    size_t first = 0;
    for (size_t blocks = padded(head->queries, TILE_ROWS) / TILE_ROWS; blocks > 0; blocks--) {
        const size_t rows = (head->queries - first + blocks - 1) / blocks; /* blocks of a size */
        attend(head, &packed, first, rows);
        first += rows;
    }
}

const pv_kernels PV_KERNELS = {
    .isa = PV_KERNELS_ISA,
    .layernorm = layernorm,
    .bias = add_bias,
    .bias_gelu = bias_gelu,
    .add = add,
    .axpy = axpy,
    .mr = TILE_ROWS,
    .nr = TILE_COLUMNS,
    .kc = TILE_DEPTH,
    .gemm_tile = gemm_tile,
    .pack = pack,
    .attention = attention,
    .attention_workspace = attention_workspace,
};
