/* SPDX-License-Identifier: MIT */
/*
 * Matrix products on AMX tiles in bf16: weights are kept in it, activations come in it, or are
 * rounded to it first, sums are float32. One product of tiles does what takes gemm_amx.c six, so
 * that everything is bound by how fast the tiles are fed and sums put away: a chunk of W, 32
 * columns wide, stays in L1 while rows pass by, 32 at a time, each tile of which meets two of W.
 */
#include "cpu/gemm_bf16.h"
#include "cpu/steps.h"

#if defined(__x86_64__)

#include "cpu/amx.h"

#include <string.h>

/* Tried with blocks of 16 x 64 and KC 256, minima of a pass in ms (2 threads of an Intel Xeon with
 * AMX, 2026-11-23; single ones up to twice as long by what else the host does) of EEGPT, 22
 * channels x 1000 and x 4000, and of OSF-base, 1 and 4 epochs: 4.1, 15.7, 11.2, 40.5.
 * x through L1, not past it: 22 x 4000 28.0, not 17.2;
 * x brought into L1 two steps ahead, expected to take less, since a tile from L2 was thought to
 * cost 50 cycles and one from L1 8: 4.7, 24.1, 13.0, 44.1; sums of the next block: 4.5, 23.0, 13.4,
 * 46.4;
 * KC 192: 22 x 4000 21.4, not 17.2; 320: 4.3, 17.8, 12.4, 42.2; 512, all of EEGPT's k, so that no
 * sums wait in L2: 4.9, 21.2, 12.6, 42.8;
 * at most 256 rows: 4.3, 16.5;
 * blocks of 32 x 32 over float32, which every layer rounded: 5.6, 23.9, 14.3.
 * In turns within one process, ratios to that (the same day, the same code twice within 1 %), of
 * OSF-base, 1 and 4 epochs, and of EEGPT, 22 and 64 channels x 1000 and a window of depth 8:
 * blocks of 32 x 32 and KC 512, which put sums away half as often, each tile loaded anew as soon
 * as it is free, expected to take 10 % less: 1.03, 0.98, 0.95, 0.97, 0.93, so they are taken;
 * x loaded a step ahead: 0.98, 0.98, 1.00, 1.00, 0.99; sums fetched before they are stored, or an
 * epilogue that begins a step later: nothing.
 * Pieces that other threads take over, ratios to shares alone, in turns: OSF-base, 1, 4 and 16
 * epochs, EEGPT, 22 channels x 1000, and 8 windows of depth 8, 16 threads: 0.99, 0.86, 0.86, 0.95,
 * 0.83 with quarters of a share of 6 panels at most; 2 threads in a busy minute, 1 epoch and 22 x
 * 1000: 0.88 and 0.79 with those, 0.80 and 0.72 with halves of 12, which are taken (2026-11-24). */
enum {
    PANEL = PV_BF16_PANEL,     /* columns of y, two tiles wide */
    BLOCK = 2 * AMX_TILE,      /* rows of y */
    MOST_ROWS = 512,           /* of x between two passes over W ... */
    MOST_X = 5 << 18,          /* ... and bytes of them, that stay in L2: 1.3 MB */
    KC = 512,                  /* of a panel of W that stays in L1: 32 KB */
    GROUP = 12,                /* panels of a piece of a thread's share, at most */
    LINE = 64 / sizeof(amx_bf16)
};
_Static_assert((int)PANEL == (int)AMX_WIDE, "a block is as wide as a panel of W");

/* What a thread works in. */
typedef struct amx_work {
    float sums[MOST_ROWS / BLOCK][AMX_SUMS]; /* of one panel */
    amx_bf16 x[]; /* rows whose tiles can't be loaded from where they are, x_row() apart */
} amx_work;

/* bf16 of a row in amx_work: with a line more than it takes, neighbours lie in different sets. */
static size_t x_row(size_t k)
{
    return pv_bf16_padded(k) + LINE;
}

/* Rows of x that are multiplied by all of W at a time. */
static size_t most_rows(size_t k)
{
    size_t rows = MOST_X / sizeof(amx_bf16) / x_row(k) / BLOCK * BLOCK;
    return rows < BLOCK ? BLOCK : rows > MOST_ROWS ? MOST_ROWS : rows;
}

static size_t amx_workspace(const cpu_linear *op)
{
    size_t rows = op->x_half ? BLOCK : most_rows(op->k);
    return (sizeof(amx_work) + rows * x_row(op->k) * sizeof(amx_bf16)) / sizeof(float);
}

/* ---- x ---- */

/* 32 of k, of which `width` exist; the others become 0. */
static inline __m512i round_step(const float *from, size_t width)
{
    uint32_t lanes = width >= AMX_STEP ? 0xffffffffu : (1u << width) - 1;
    __m512 low = _mm512_maskz_loadu_ps((__mmask16)lanes, from), high = _mm512_setzero_ps();
    if (lanes >> AMX_TILE)
        high = _mm512_maskz_loadu_ps((__mmask16)(lanes >> AMX_TILE), from + AMX_TILE);
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

static void amx_to_operand(const float *row, size_t n, void *operand)
{
    amx_bf16 *to = operand;
    for (size_t k = 0; k < n; k += AMX_STEP) {
        uint32_t lanes = n - k >= AMX_STEP ? 0xffffffffu : (1u << (n - k)) - 1;
        _mm512_mask_storeu_epi16(to + k, lanes, round_step(row + k, n - k));
    }
}

/* Where the tiles of rows [m, m1) are loaded from: the first `direct` from x itself, the others
 * from copies. */
typedef struct x_rows {
    const amx_bf16 *x, *copies;
    size_t x_stride, copies_stride; /* bf16 */
    size_t direct;
} x_rows;

/* Copies what is float32, or the rows of a last block that is not full, with zeros to fill it. */
static x_rows take(const cpu_linear *op, const size_t m[2], amx_work *work)
{
    size_t rows = m[1] - m[0], padded = (rows + BLOCK - 1) / BLOCK * BLOCK, row = x_row(op->k);
    x_rows x = {.x = (const amx_bf16 *)(const void *)(op->x + m[0] * op->x_stride),
                .copies = work->x,
                .x_stride = op->x_stride * sizeof(float) / sizeof(amx_bf16),
                .copies_stride = row,
                .direct = op->x_half ? rows / BLOCK * BLOCK : 0};
    for (size_t i = x.direct; i < padded; i++) {
        amx_bf16 *to = work->x + (i - x.direct) * row;
        if (i >= rows)
            memset(to, 0, row * sizeof *to);
        else if (op->x_half)
            memcpy(to, x.x + i * x.x_stride, op->k * sizeof *to);
        else
            for (size_t k = 0; k < op->k; k += AMX_STEP)
                _mm512_storeu_si512(
                    to + k, round_step(op->x + (m[0] + i) * op->x_stride + k, op->k - k));
    }
    return x;
}

/* ---- the product ---- */

/* Lines of W that come next, some fetched at each step. */
typedef struct ahead {
    const amx_bf16 *line, *end;
    size_t each;
} ahead;

static inline __attribute__((always_inline)) void fetch(ahead *next)
{
    for (size_t i = 0; i < next->each && next->line < next->end; i++, next->line += LINE)
        _mm_prefetch((const char *)next->line, _MM_HINT_T1);
}

static const size_t sums_at[4] = {0, AMX_TILE, AMX_TILE * PANEL, AMX_TILE * PANEL + AMX_TILE};

/* sums (+)= x W^T for one block and `steps` of k. A tile is loaded for the next step as soon as
 * this one has done with it; behind the last step, the last ones once more. Between the products
 * the block before is finished. */
static void block(const amx_bf16 *x, size_t x_stride, const amx_bf16 *w, size_t steps, float *sums,
                  int accumulate, ahead *next, amx_fetch y, amx_epilogue *before)
{
    enum { W_STRIDE = PANEL * 2 * sizeof(amx_bf16) };
    const size_t each = (before->left + 4 * steps - 1) / (4 * steps);
    const size_t stride = x_stride * sizeof *x;
    const amx_bf16 *x1 = x + AMX_TILE * x_stride;
    amx_epilogue rest = *before;
    ahead lines = *next;
    amx_begin(sums, PANEL, sums_at, accumulate);
    _tile_loadd(6, w, W_STRIDE);
    _tile_stream_loadd(4, x, stride);
    _tile_loadd(7, w + AMX_STEP, W_STRIDE);
    _tile_stream_loadd(5, x1, stride);
    for (size_t k = 1; k <= steps; k++) {
        const size_t on = k < steps ? AMX_STEP : 0;
        x += on;
        x1 += on;
        w += on * PANEL;
        _tile_dpbf16ps(0, 4, 6);
        amx_finish(&rest, each, false);
        _tile_dpbf16ps(1, 4, 7);
        _tile_stream_loadd(4, x, stride);
        amx_finish(&rest, each, false);
        _tile_dpbf16ps(2, 5, 6);
        _tile_loadd(6, w, W_STRIDE);
        amx_finish(&rest, each, false);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(7, w + AMX_STEP, W_STRIDE);
        _tile_stream_loadd(5, x1, stride);
        amx_finish(&rest, each, false);
        fetch(&lines);
        amx_fetch_step(&y);
    }
    amx_end(sums, PANEL, sums_at);
    *next = lines;
    before->left = 0;
}

/* A chunk of a panel of W. */
typedef struct w_chunk {
    const amx_bf16 *at;
    size_t first, steps; /* of k, in steps */
} w_chunk;

static w_chunk chunk_at(const cpu_linear *op, size_t column, size_t first, size_t longest)
{
    size_t padded = pv_bf16_padded(op->k), left = padded / AMX_STEP - first;
    return (w_chunk){.at = (const amx_bf16 *)op->weight + column * padded +
                           first * AMX_STEP * PANEL,
                     .first = first,
                     .steps = left < longest ? left : longest};
}

/* To fetch a chunk in so many steps. */
static ahead ahead_of(const w_chunk *c, size_t steps)
{
    size_t words = c->steps * AMX_STEP * PANEL;
    return (ahead){c->at, c->at + words, (words / LINE + steps - 1) / steps};
}

/* All blocks of rows [m, m1) by one chunk, the last of its panel if `full`. */
static void multiply_chunk(const cpu_linear *op, amx_work *work, const x_rows *x,
                           const size_t m[2], size_t column, const w_chunk *c, bool full,
                           ahead next, amx_epilogue *before)
{
    for (size_t row = m[0], b = 0; row < m[1]; row += BLOCK, b++) {
        size_t rows = m[1] - row < BLOCK ? m[1] - row : BLOCK, i = b * BLOCK;
        bool direct = i < x->direct;
        const amx_bf16 *from = direct ? x->x + i * x->x_stride
                                      : x->copies + (i - x->direct) * x->copies_stride;
        amx_epilogue e = amx_epilogue_of(op, work->sums[b], row, rows, column);
        block(from + c->first * AMX_STEP, direct ? x->x_stride : x->copies_stride, c->at, c->steps,
              work->sums[b], c->first > 0, &next,
              full ? amx_fetch_of(&e, c->steps) : (amx_fetch){0}, before);
        if (full)
            *before = e;
    }
}

/* Rows [m, m1) of y, columns [n, n1). */
static void multiply(const cpu_linear *op, amx_work *work, const x_rows *x, const size_t m[2],
                     const size_t n[2])
{
    size_t steps = pv_bf16_padded(op->k) / AMX_STEP, blocks = (m[1] - m[0] + BLOCK - 1) / BLOCK;
    size_t longest = pv_cpu_evenly(steps, KC / AMX_STEP, 1);
    amx_epilogue before = {0};
    for (size_t column = n[0]; column < n[1]; column += PANEL)
        for (size_t first = 0; first < steps; first += longest) {
            w_chunk chunk = chunk_at(op, column, first, longest);
            bool full = first + chunk.steps == steps, end = full && column + PANEL >= n[1];
            ahead next = {0};
            if (!end) {
                w_chunk behind = full ? chunk_at(op, column + PANEL, 0, longest)
                                      : chunk_at(op, column, first + longest, longest);
                next = ahead_of(&behind, blocks * chunk.steps);
            }
            multiply_chunk(op, work, x, m, column, &chunk, full, next, &before);
        }
    amx_finish(&before, SIZE_MAX, false);
}

static cpu_pieces amx_bf16_pieces(const cpu_linear *op, const cpu_team *owner)
{
    size_t rows[2], columns[2];
    pv_cpu_grid(owner, op->m, op->n, PANEL, pv_cpu_reads, rows, columns);
    size_t height = rows[1] - rows[0];
    return pv_cpu_pieces(rows, columns, height ? pv_cpu_evenly(height, most_rows(op->k), BLOCK) : 1,
                         amx_piece_panels(columns, GROUP) * PANEL);
}

static void amx_bf16_run(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    amx_work *work = (amx_work *)(void *)team->workspace;
    x_rows x = {0};
    size_t taken = SIZE_MAX; /* the first of the rows in x */
    amx_configure();
    for (size_t i = 0; i < team->count; i++) {
        const cpu_team owner = cpu_owner(team, i);
        const cpu_pieces pieces = amx_bf16_pieces(op, &owner);
        for (size_t piece; cpu_begin(&owner, pieces.count, &piece);) {
            size_t m[2], n[2];
            pv_cpu_piece(&pieces, piece, m, n);
            if (taken != m[0])
                x = take(op, m, work);
            taken = m[0];
            multiply(op, work, &x, m, n);
        }
    }
    _tile_release();
}

const cpu_gemm pv_cpu_gemm_amx_bf16 = {
    .name = "amx bf16",
    .needs_amx = true,
    .workspace = amx_workspace,
    .packed_bytes = pv_bf16_packed_bytes,
    .pack_rows = pv_bf16_pack_rows,
    .pack = pv_bf16_pack,
    .run = amx_bf16_run,
    .to_operand = amx_to_operand,
    .heads = &pv_cpu_heads_amx_bf16,
};

#endif
