/* SPDX-License-Identifier: MIT */
/*
 * Matrix products on AMX tiles with the error of float32. Every operand is split into three bf16
 * parts, together its 24 bits; of their nine products the six that matter are added in float32, the
 * smallest first. Weights stay float32 in memory, 4 bytes each, and are split in cache while the
 * tiles work on the part before: at one epoch memory is the limit, not arithmetic.
 *
 * Only this file and gemm_amx_bf16.c are compiled for AMX; they are taken where cpuid.c has found
 * it.
 */
#include "cpu/steps.h"

#if defined(__x86_64__)

#include "cpu/amx.h"

#include <string.h>

/* Of the 32 k of a step any two may stand in a pair if x and W agree: (j, j + 16), so that a pair
 * of plain loads makes a row of a tile. Sizes by measurement (2 threads of an Intel Xeon with AMX,
 * 2026-11-22; GFLOP/s of the linear layers): MC 128 508, 256 540, 384 407 at 1456 rows of OSF-base;
 * KC 384 494, 512 and more 530 at 806 rows of EEGPT. With no W to split it was 560 to 590. Minima
 * of a pass in ms (2026-11-23) of EEGPT, 22 and 64 channels x 1000, and of OSF-base, 4 epochs:
 * 12.0, 27.6, 126. Tried:
 * the epilogue behind a panel, expected to cost 12 %: 13.4, 29.5, 144;
 * KC 128 or 192, so that W's parts stay in L1, with x past L1, expected to take 10 % less or the
 * same: 13.8, 33.5, 138 at best; KC 256: 12.7, 28.7, 135; x past L1 alone: 12.4, 30.3, 128;
 * x brought into L1 a step ahead, expected to take less: 12.2, 28.5, 128; W, too: 13.4, 29.7,
 * 131.
 * In turns within one process, ratios to what there was (2026-11-23, the same code twice within
 * 2 %): attention on tiles, expected to take 3 % less: 1.02 to 1.04 for EEGPT and 1.01 to 1.02 for
 * 4 and 16 epochs; tiles loaded between the products that leave them free, which the products
 * would wait for if they had no second set of registers: 0.97 to 1.08; an epilogue that begins two
 * steps later, since it reads what tiles have just stored: 0.99 to 1.02; sums fetched before they
 * are stored: 0.98 to 1.09. What is left is the tiles' own time: without splitting, epilogue and
 * stores, all tiles from L1, 4 epochs took 118 of 128 ms. There the 24 products of a step with
 * their 14 loads take 137 to 175 ns by themselves, of 120 at 3.2 GHz.
 * Pieces that other threads take over: where neighbours work, a product of tiles takes 7 ns on one
 * vCPU and 18 on another, and all wait for the slowest. Expected to gain most of that; in turns,
 * ratios to shares alone of OSF-base, 1, 4 and 16 epochs, EEGPT, 22 channels x 1000, and 8 windows
 * of depth 8, 16 threads: 0.88, 0.95, 0.81, 0.91, 0.73 with quarters of a share, 6 panels at most.
 * 2 threads: in a quiet minute those cost 1.05, 1.09 and, by the least times, 1.10 and 1.00; in a
 * busy one (17 ns) 1 epoch and 22 x 1000 take 0.85 and 0.91 with them, 0.91 and 0.73 with halves of
 * 12 panels at most, which are taken, and 0.85 and 1.00 if fc2's are none (the same Xeon,
 * 2026-11-24). */
enum {
    PARTS = 3,
    PANEL = AMX_WIDE,     /* columns of y */
    BLOCK = 2 * AMX_TILE, /* rows of y */
    MC = 256, /* rows of x whose parts stay in L2 ... */
    KO = 768, /* ... for this much of k: 1.2 MB. Every MC rows read all of W again. */
    KC = 512, /* of a panel of W that is split at a time, at most: 98 KB */
    PITCH = KO / AMX_STEP,
    MOST_X = 24 * PITCH, /* tiles of x that a thread keeps the parts of: 96 rows of 3072, 1.8 MB */
    GROUP = 12           /* panels of a piece of a thread's share, at most */
};

typedef amx_bf16 parts[AMX_TILE][PARTS][AMX_STEP]; /* of one tile, row by row */

/* What a thread works in. */
typedef struct amx_work {
    float sums[MC / BLOCK][AMX_SUMS]; /* of one panel */
    parts w[2][KC / AMX_STEP][2];     /* this chunk and the next */
    parts x[MOST_X];                  /* [KO of k][16 rows][PITCH] */
} amx_work;

/* ---- splitting ---- */

/* e and o are 16 floats each, at k and k + 16: a row of the tile of each part. The first two parts
 * are rounded to nearest, what is left after them fits the third. (Cutting off instead of rounding
 * is no faster and has a tenth more error.) */
static inline __attribute__((always_inline)) void split_row(__m512i e, __m512i o, amx_bf16 *to)
{
    const __m512i high = _mm512_set1_epi32((int)0xffff0000u), half = _mm512_set1_epi32(0x8000);
    const __mmask32 odd = 0xaaaaaaaau;
    for (int part = 0; part < PARTS; part++) {
        __m512i re = part < 2 ? _mm512_add_epi32(e, half) : e;
        __m512i ro = part < 2 ? _mm512_add_epi32(o, half) : o;
        __m512i row = _mm512_mask_blend_epi16(odd, _mm512_srli_epi32(re, 16), ro);
        _mm512_store_si512(to + part * AMX_STEP, row);
        __m512 he = _mm512_castsi512_ps(_mm512_and_si512(re, high));
        __m512 ho = _mm512_castsi512_ps(_mm512_and_si512(ro, high));
        e = _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(e), he));
        o = _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(o), ho));
    }
}

/* Rows [0, rows) of x at k in [0, width), zeros to fill the last tiles. */
static void split_x(const float *x, size_t stride, size_t rows, size_t width, parts *to)
{
    size_t steps = (width + AMX_STEP - 1) / AMX_STEP;
    size_t padded = (rows + BLOCK - 1) / BLOCK * BLOCK;
    for (size_t m = 0; m < padded; m++)
        for (size_t s = 0; s < steps; s++) {
            size_t left = m < rows ? width - s * AMX_STEP : 0;
            uint32_t lanes = left >= AMX_STEP ? 0xffffffffu : (1u << left) - 1;
            const float *from = m < rows ? x + m * stride + s * AMX_STEP : x;
            __m512 e = _mm512_maskz_loadu_ps((__mmask16)lanes, from), o = _mm512_setzero_ps();
            if (lanes >> AMX_TILE)
                o = _mm512_maskz_loadu_ps((__mmask16)(lanes >> AMX_TILE), from + AMX_TILE);
            split_row(_mm512_castps_si512(e), _mm512_castps_si512(o),
                      to[m / AMX_TILE * PITCH + s][m % AMX_TILE][0]);
        }
}

/* Goes through the packed floats of a chunk of W, a row of a tile at a time, and fetches what
 * stands 4 KB behind: at 1, 16 and 48 KB and with half of the lines it was as fast at best. */
typedef struct w_cursor {
    const float *from, *end;
    amx_bf16 *to; /* tiles in the same order */
    size_t each;  /* rows that go between two products, so that all are done when those are */
} w_cursor;

static inline __attribute__((always_inline)) void split_w(w_cursor *c, size_t count)
{
    enum { AHEAD = 4096 / sizeof(float) };
    for (size_t i = 0; i < count && c->from < c->end; i++) {
        _mm_prefetch((const char *)(c->from + AHEAD), _MM_HINT_T0);
        _mm_prefetch((const char *)(c->from + AHEAD + AMX_TILE), _MM_HINT_T0);
        split_row(_mm512_load_si512(c->from), _mm512_load_si512(c->from + AMX_TILE), c->to);
        c->from += AMX_STEP;
        c->to += PARTS * AMX_STEP;
    }
}

/* ---- tiles ---- */

#define LOAD_X(part)                                                                               \
    do {                                                                                           \
        _tile_loadd(4, x0[k][0][part], STRIDE);                                                    \
        _tile_loadd(5, x1[k][0][part], STRIDE);                                                    \
    } while (0)
#define LOAD_W(part)                                                                               \
    do {                                                                                           \
        _tile_loadd(6, w[k][0][0][part], STRIDE);                                                  \
        _tile_loadd(7, w[k][1][0][part], STRIDE);                                                  \
    } while (0)
#define MULTIPLY()                                                                                 \
    do {                                                                                           \
        _tile_dpbf16ps(0, 4, 6);                                                                   \
        _tile_dpbf16ps(1, 4, 7);                                                                   \
        _tile_dpbf16ps(2, 5, 6);                                                                   \
        _tile_dpbf16ps(3, 5, 7);                                                                   \
        split_w(&next, next.each);                                                                 \
    } while (0)

static const size_t sums_at[4] = {0, AMX_TILE, AMX_TILE * PANEL, AMX_TILE * PANEL + AMX_TILE};

/* sums (+)= x W^T for one block and `steps` of k. Between the products, where the vector units are
 * idle, some of the next chunk of W is split, and the block before is finished. */
static void block(parts *x0, parts *x1, parts (*w)[2], size_t steps, float *sums, int accumulate,
                  w_cursor *cursor, amx_fetch y, amx_epilogue *before)
{
    enum { STRIDE = PARTS * AMX_STEP * sizeof(amx_bf16) };
    w_cursor next = *cursor;
    amx_epilogue rest = *before;
    const size_t each = (rest.left + 2 * steps - 1) / (2 * steps);
    amx_begin(sums, PANEL, sums_at, accumulate);
    for (size_t k = 0; k < steps; k++) {
        amx_fetch_step(&y);
        LOAD_X(2);
        LOAD_W(0);
        MULTIPLY();
        LOAD_X(1);
        MULTIPLY();
        LOAD_W(1);
        MULTIPLY();
        amx_finish(&rest, each, true);
        LOAD_X(0);
        MULTIPLY();
        LOAD_W(2);
        MULTIPLY();
        LOAD_W(0);
        MULTIPLY();
        amx_finish(&rest, each, true);
    }
    amx_end(sums, PANEL, sums_at);
    *cursor = next;
    before->left = 0;
}

/* ---- the product ---- */

/* A thread's panels of W for k in [first, first + steps * 32), chunk by chunk. */
typedef struct w_chunks {
    const float *weight;
    size_t k_padded, panel, first; /* the first panel, the first k */
    size_t steps;                  /* of a panel */
    size_t longest;                /* steps of a chunk, but for a panel's last */
    size_t each;                   /* chunks of a panel */
    size_t count;                  /* of all */
} w_chunks;

static size_t chunk_steps(const w_chunks *c, size_t i)
{
    size_t left = c->steps - i % c->each * c->longest;
    return left < c->longest ? left : c->longest;
}

static const float *chunk_floats(const w_chunks *c, size_t i)
{
    size_t panel = c->panel + i / c->each, k = c->first + i % c->each * c->longest * AMX_STEP;
    return c->weight + (panel * c->k_padded + k) * PANEL;
}

static w_chunks chunks_of(const cpu_linear *op, const size_t n[2], const size_t k[2])
{
    size_t steps = (k[1] - k[0] + AMX_STEP - 1) / AMX_STEP, most = KC / AMX_STEP;
    size_t each = (steps + most - 1) / most;
    return (w_chunks){.weight = op->weight,
                      .k_padded = (op->k + AMX_STEP - 1) / AMX_STEP * AMX_STEP,
                      .panel = n[0] / PANEL,
                      .first = k[0],
                      .steps = steps,
                      .longest = (steps + each - 1) / each,
                      .each = each,
                      .count = (n[1] - n[0] + PANEL - 1) / PANEL * each};
}

/* To split chunk i into `to` while another is multiplied, `products` in all. Behind the last chunk
 * there is nothing. */
static w_cursor cursor_at(const w_chunks *c, size_t i, parts *to, size_t products)
{
    if (i >= c->count)
        return (w_cursor){0};
    const float *from = chunk_floats(c, i);
    size_t rows = chunk_steps(c, i) * 2 * AMX_TILE;
    return (w_cursor){.from = from,
                      .end = from + rows * AMX_STEP,
                      .to = to[0][0][0],
                      .each = (rows + products - 1) / products};
}

/* Rows [m, m1) of y, columns [n0, n1), for k in [k0, k1), whose parts of x are at `x`. */
static void multiply(const cpu_linear *op, amx_work *work, parts *x, const size_t m[2],
                     const size_t n[2], const size_t k[2])
{
    const w_chunks chunks = chunks_of(op, n, k);
    size_t blocks = (m[1] - m[0] + BLOCK - 1) / BLOCK;
    w_cursor next = cursor_at(&chunks, 0, work->w[0][0], 1);
    amx_epilogue before = {0};
    split_w(&next, SIZE_MAX);
    for (size_t i = 0; i < chunks.count; i++) {
        size_t chunk = i % chunks.each, first = chunk * chunks.longest;
        size_t steps = chunk_steps(&chunks, i);
        next = cursor_at(&chunks, i + 1, work->w[(i + 1) % 2][0], blocks * steps * 6);
        size_t column = n[0] + i / chunks.each * PANEL;
        bool full = chunk + 1 == chunks.each;
        for (size_t b = 0; b < blocks; b++) {
            size_t row = m[0] + b * BLOCK, rows = m[1] - row < BLOCK ? m[1] - row : BLOCK;
            amx_epilogue e = amx_epilogue_of(op, work->sums[b], row, rows, column);
            if (k[0] > 0)
                e.accumulate = true;
            if (k[1] < op->k) {
                e.gelu = false;
                e.bias = NULL;
            }
            parts *x0 = x + 2 * b * PITCH + first;
            block(x0, x0 + PITCH, work->w[i % 2], steps, work->sums[b], chunk > 0, &next,
                  full ? amx_fetch_of(&e, steps) : (amx_fetch){0}, &before);
            if (full)
                before = e;
        }
    }
    amx_finish(&before, SIZE_MAX, true);
}

/* In cycles: products; splitting x, which nothing overlaps; splitting W, which products nearly
 * hide. Ratios to the time with the share that reads least (2 threads of an Intel Xeon with AMX,
 * 2026-11-23): 0.97 for 4 epochs of OSF-base, 0.96 and 0.975 for EEGPT of 4 and 22 channels x 1000,
 * 1.00 for 16 epochs, where 0.98 was expected. */
static size_t share_cost(size_t m, size_t n)
{
    enum { PRODUCT = 6 * 4 * 16, X_ROW = 28, W_ROW = 4 };
    size_t blocks = (m + BLOCK - 1) / BLOCK, panels = (n + PANEL - 1) / PANEL;
    size_t passes = (m + MC - 1) / MC;
    return blocks * panels * PRODUCT + blocks * BLOCK * X_ROW + passes * panels * PANEL * W_ROW;
}

/* Tiles above each other, to whole blocks. */
static size_t tiles_of(size_t rows)
{
    return (rows + BLOCK - 1) / BLOCK * (BLOCK / AMX_TILE);
}

/* Do the parts of all of k stay for so many rows? */
static bool fits(size_t rows, size_t k)
{
    return tiles_of(rows) * ((k + KO - 1) / KO) * PITCH <= MOST_X;
}

/* Pieces side by side only where all of them find x split. */
static cpu_pieces amx_pieces(const cpu_linear *op, const cpu_team *owner)
{
    size_t rows[2], columns[2];
    pv_cpu_grid(owner, op->m, op->n, PANEL, share_cost, rows, columns);
    size_t height = rows[1] - rows[0], tall = height ? pv_cpu_evenly(height, MC, BLOCK) : 1;
    size_t wide = amx_piece_panels(columns, GROUP) * PANEL;
    return pv_cpu_pieces(rows, columns, tall, fits(tall, op->k) ? wide : op->n + 1);
}

/* `held`: the first of the rows whose parts are in work->x. */
static void multiply_piece(const cpu_linear *op, amx_work *work, const size_t m[2],
                           const size_t n[2], size_t *held)
{
    const size_t rows = m[1] - m[0];
    const bool keep = fits(rows, op->k), split = !keep || *held != m[0];
    for (size_t k0 = 0; k0 < op->k; k0 += KO) {
        const size_t k[2] = {k0, op->k - k0 < KO ? op->k : k0 + KO};
        parts *x = work->x + (keep ? k0 / KO * tiles_of(rows) * PITCH : 0);
        if (split)
            split_x(op->x + m[0] * op->x_stride + k0, op->x_stride, rows, k[1] - k0, x);
        multiply(op, work, x, m, n, k);
    }
    *held = keep ? m[0] : SIZE_MAX;
}

static void amx_run(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    amx_work *work = (amx_work *)(void *)team->workspace;
    size_t held = SIZE_MAX;
    amx_configure();
    for (size_t i = 0; i < team->count; i++) {
        const cpu_team owner = cpu_owner(team, i);
        const cpu_pieces pieces = amx_pieces(op, &owner);
        for (size_t piece; cpu_begin(&owner, pieces.count, &piece);) {
            size_t m[2], n[2];
            pv_cpu_piece(&pieces, piece, m, n);
            multiply_piece(op, work, m, n, &held);
        }
    }
    _tile_release();
}

/* ---- packing: panels [n / 32][k / 32][2 tiles][16 rows][16 of k + j, 16 of k + 16 + j] ---- */

static size_t amx_packed_bytes(const pv_kernels *kernels, size_t n, size_t k)
{
    (void)kernels;
    size_t rows = (n + PANEL - 1) / PANEL * PANEL;
    size_t cols = (k + AMX_STEP - 1) / AMX_STEP * AMX_STEP;
    return rows * cols * sizeof(float);
}

static size_t amx_pack_rows(const pv_kernels *kernels)
{
    (void)kernels;
    return PANEL;
}

/* One step of a panel, its k in rows of 32 columns as the tile kernel packs them, to two tiles. */
static void amx_pack_step(float (*step)[PANEL], float *to)
{
    for (size_t tile = 0; tile < 2; tile++)
        for (size_t row = 0; row < AMX_TILE; row++, to += AMX_STEP) {
            memcpy(to, step[row] + tile * AMX_TILE, AMX_TILE * sizeof *to);
            memcpy(to + AMX_TILE, step[row + AMX_TILE] + tile * AMX_TILE, AMX_TILE * sizeof *to);
        }
}

static void amx_pack(const pv_kernels *kernels, const float *rows, size_t first, size_t count,
                     size_t k, void *packed)
{
    size_t padded = (k + AMX_STEP - 1) / AMX_STEP * AMX_STEP;
    for (size_t p = 0; p < count; p += PANEL) {
        float *panel = (float *)packed + (first + p) * padded;
        for (size_t j = 0; j < k; j += AMX_STEP) {
            _Alignas(64) float step[AMX_STEP][PANEL];
            size_t width = k - j < AMX_STEP ? k - j : AMX_STEP;
            kernels->pack(rows + p * k + j, k, count - p, width, step[0]);
            memset(step[width - 1] + PANEL, 0, (AMX_STEP - width) * sizeof step[0]);
            amx_pack_step(step, panel + j * PANEL);
        }
    }
}

static size_t amx_workspace(const cpu_linear *op)
{
    (void)op;
    return sizeof(amx_work) / sizeof(float);
}

const cpu_gemm pv_cpu_gemm_amx = {
    .name = "amx",
    .needs_amx = true,
    .workspace = amx_workspace,
    .packed_bytes = amx_packed_bytes,
    .pack_rows = amx_pack_rows,
    .pack = amx_pack,
    .run = amx_run,
};

#endif
