/* SPDX-License-Identifier: MIT */
/*
 * Matrix products on AMX tiles with the error of float32. Every operand is split into three bf16
 * parts, together its 24 bits; of their nine products the six that matter are added in float32, the
 * smallest first. Weights stay float32 in memory, 4 bytes each, and are split in cache while the
 * tiles work on the part before: at one epoch memory is the limit, not arithmetic.
 *
 * Only this file is compiled for AMX; pv_cpu_gemm_amx is taken where cpuid.c has found it.
 */
#define _DEFAULT_SOURCE /* syscall */
#include "cpu/steps.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A tile is 16 rows of 64 bytes: 16 x 32 of bf16, 16 x 16 of float32. A step of k is 32 wide; which
 * of its 32 stand in a pair is free if x and W agree: (j, j + 16), so that a pair of plain loads
 * makes a row of a tile. */
enum {
    TILE = 16,
    STEP = 32,
    PARTS = 3,
    PANEL = 2 * TILE,   /* columns of y, two tiles wide */
    BLOCK = 2 * TILE,   /* rows of y, two tiles high */
    PART = TILE * STEP, /* bf16 of one part of one tile */
    MC = 128,           /* rows of x whose parts stay in L2 ... */
    KO = 768,           /* ... for this much of k: 590 KB */
    KC = 384            /* of a panel of W that is split at a time: 74 KB */
};

typedef uint16_t bf16;

/* What a thread works in. */
typedef struct amx_work {
    float sums[MC / BLOCK][4][TILE * TILE]; /* of one panel */
    bf16 w[2][KC / STEP][2][PARTS][PART];   /* this chunk and the next */
    bf16 x[MC / TILE][KO / STEP][PARTS][PART];
} amx_work;

/* ---- splitting ---- */

/* e and o are 16 floats each, at k and k + 16: one row of a tile for each part, PART apart. The
 * first two parts are rounded to nearest, what is left after them fits the third. */
static inline __attribute__((always_inline)) void split_row(__m512i e, __m512i o, bf16 *to)
{
    const __m512i high = _mm512_set1_epi32((int)0xffff0000u), half = _mm512_set1_epi32(0x8000);
    for (int part = 0; part < PARTS; part++) {
        __m512i he = part < 2 ? _mm512_add_epi32(e, half) : e;
        __m512i ho = part < 2 ? _mm512_add_epi32(o, half) : o;
        he = _mm512_and_si512(he, high);
        ho = _mm512_and_si512(ho, high);
        _mm512_store_si512(to + part * PART, _mm512_or_si512(_mm512_srli_epi32(he, 16), ho));
        e = _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(e), _mm512_castsi512_ps(he)));
        o = _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(o), _mm512_castsi512_ps(ho)));
    }
}

/* Rows [0, rows) of x at k in [0, width), zeros to fill the last tiles. */
static void split_x(const float *x, size_t stride, size_t rows, size_t width, amx_work *work)
{
    size_t steps = (width + STEP - 1) / STEP, padded = (rows + BLOCK - 1) / BLOCK * BLOCK;
    for (size_t m = 0; m < padded; m++)
        for (size_t s = 0; s < steps; s++) {
            size_t left = m < rows ? width - s * STEP : 0;
            uint32_t lanes = left >= STEP ? 0xffffffffu : (1u << left) - 1;
            const float *from = m < rows ? x + m * stride + s * STEP : x;
            __m512 e = _mm512_maskz_loadu_ps((__mmask16)lanes, from);
            __m512 o = lanes >> 16 ? _mm512_maskz_loadu_ps((__mmask16)(lanes >> 16), from + TILE)
                                   : _mm512_setzero_ps();
            split_row(_mm512_castps_si512(e), _mm512_castps_si512(o),
                      work->x[m / TILE][s][0] + m % TILE * STEP);
        }
}

/* Goes through the packed floats of a chunk of W, a row of a tile at a time. */
typedef struct w_cursor {
    const float *from;
    bf16 (*to)[PARTS][PART]; /* tiles in the same order */
    size_t row, rows;
} w_cursor;

static inline __attribute__((always_inline)) void split_w(w_cursor *c, size_t count)
{
    for (size_t i = 0; i < count && c->row < c->rows; i++, c->row++) {
        const float *from = c->from + c->row * STEP;
        _mm_prefetch((const char *)(from + 1024), _MM_HINT_T0);
        _mm_prefetch((const char *)(from + 1024 + TILE), _MM_HINT_T0);
        split_row(_mm512_load_si512(from), _mm512_load_si512(from + TILE),
                  c->to[c->row / TILE][0] + c->row % TILE * STEP);
    }
}

/* ---- tiles ---- */

#define BARRIER() __asm__ volatile("" ::: "memory") /* gcc 12 thinks that tiles read no memory */

static void configure(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = TILE;
    }
    BARRIER();
    _tile_loadconfig(&config);
    BARRIER();
}

#define LOAD_X(part)                                                                               \
    do {                                                                                           \
        _tile_loadd(4, x0[k][part], 64);                                                           \
        _tile_loadd(5, x1[k][part], 64);                                                           \
    } while (0)
#define LOAD_W(part)                                                                               \
    do {                                                                                           \
        _tile_loadd(6, w[k][0][part], 64);                                                         \
        _tile_loadd(7, w[k][1][part], 64);                                                         \
    } while (0)
#define MULTIPLY()                                                                                 \
    do {                                                                                           \
        _tile_dpbf16ps(0, 4, 6);                                                                   \
        _tile_dpbf16ps(1, 4, 7);                                                                   \
        _tile_dpbf16ps(2, 5, 6);                                                                   \
        _tile_dpbf16ps(3, 5, 7);                                                                   \
        split_w(next, 2);                                                                          \
    } while (0)

/* sums (+)= x W^T for one block and `steps` of k, splitting some of the next chunk of W between the
 * products, where the vector units are idle. */
static void block(bf16 (*x0)[PARTS][PART], bf16 (*x1)[PARTS][PART], bf16 (*w)[2][PARTS][PART],
                  size_t steps, float (*sums)[TILE * TILE], int accumulate, w_cursor *next)
{
    BARRIER();
    if (accumulate) {
        _tile_loadd(0, sums[0], 64);
        _tile_loadd(1, sums[1], 64);
        _tile_loadd(2, sums[2], 64);
        _tile_loadd(3, sums[3], 64);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t k = 0; k < steps; k++) {
        LOAD_X(2);
        LOAD_W(0);
        MULTIPLY();
        LOAD_X(1);
        MULTIPLY();
        LOAD_W(1);
        MULTIPLY();
        LOAD_X(0);
        MULTIPLY();
        LOAD_W(2);
        MULTIPLY();
        LOAD_W(0);
        MULTIPLY();
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
    BARRIER();
}

/* y (+)= the sums of a panel; only the rows and columns that y has. */
static void add_sums(float (*sums)[4][TILE * TILE], float *y, size_t stride, size_t rows,
                     size_t columns, int accumulate)
{
    uint32_t lanes = columns >= PANEL ? 0xffffffffu : (1u << columns) - 1;
    for (size_t m = 0; m < rows; m++)
        for (size_t half = 0; half < 2; half++) {
            __mmask16 mask = (__mmask16)(lanes >> (half * TILE));
            float *to = y + m * stride + half * TILE;
            if (!mask)
                continue;
            __m512 sum =
                _mm512_loadu_ps(sums[m / BLOCK][m % BLOCK / TILE * 2 + half] + m % TILE * TILE);
            if (accumulate)
                sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, to));
            _mm512_mask_storeu_ps(to, mask, sum);
        }
}

/* ---- the product ---- */

/* Rows [m, m1) of y, columns [n0, n1), for k in [k0, k1), whose parts of x are in work->x. */
static void multiply(const cpu_linear *op, amx_work *work, const size_t m[2], const size_t n[2],
                     const size_t k[2])
{
    size_t k_padded = (op->k + STEP - 1) / STEP * STEP, steps_all = (k[1] - k[0] + STEP - 1) / STEP;
    size_t chunks = (steps_all + KC / STEP - 1) / (KC / STEP);
    size_t panels = (n[1] - n[0] + PANEL - 1) / PANEL;
    size_t blocks = (m[1] - m[0] + BLOCK - 1) / BLOCK;
    w_cursor next = {0};
    for (size_t i = 0; i <= panels * chunks; i++) { /* chunk i is split while i - 1 is multiplied */
        if (i < panels * chunks) {
            size_t first = i % chunks * (KC / STEP), steps = steps_all - first;
            steps = steps < KC / STEP ? steps : KC / STEP;
            size_t panel = n[0] / PANEL + i / chunks;
            next = (w_cursor){op->weight + (panel * k_padded + k[0] + first * STEP) * PANEL,
                              work->w[i % 2][0], 0, steps * 2 * TILE};
        } else {
            next = (w_cursor){0};
        }
        if (i > 0) {
            size_t chunk = (i - 1) % chunks, first = chunk * (KC / STEP), steps = steps_all - first;
            steps = steps < KC / STEP ? steps : KC / STEP;
            for (size_t b = 0; b < blocks; b++)
                block(work->x[2 * b] + first, work->x[2 * b + 1] + first, work->w[(i - 1) % 2],
                      steps, work->sums[b], chunk > 0, &next);
            if (chunk + 1 == chunks) {
                size_t column = n[0] + (i - 1) / chunks * PANEL;
                add_sums(work->sums, op->y + m[0] * op->y_stride + column, op->y_stride,
                         m[1] - m[0], n[1] - column, k[0] > 0 || op->epilogue == PV_ADD);
            }
        }
        split_w(&next, next.rows);
        BARRIER();
    }
}

static void amx_run(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    amx_work *work = (amx_work *)(void *)team->workspace;
    size_t rows[2], columns[2];
    pv_cpu_grid(team, op->m, op->n, PANEL, rows, columns);
    if (rows[0] == rows[1] || columns[0] == columns[1])
        return;
    configure();
    for (size_t m0 = rows[0]; m0 < rows[1]; m0 += MC) {
        size_t m[2] = {m0, rows[1] - m0 < MC ? rows[1] : m0 + MC};
        for (size_t k0 = 0; k0 < op->k; k0 += KO) {
            size_t k[2] = {k0, op->k - k0 < KO ? op->k : k0 + KO};
            split_x(op->x + m0 * op->x_stride + k0, op->x_stride, m[1] - m0, k[1] - k0, work);
            multiply(op, work, m, columns, k);
        }
        pv_cpu_epilogue(op, team->kernels, m[0], m[1], columns[0], columns[1]);
    }
    _tile_release();
}

/* ---- packing: panels [n / 32][k / 32][2 tiles][16 rows][16 of k + j, 16 of k + 16 + j] ---- */

static size_t amx_packed_floats(const pv_kernels *kernels, size_t n, size_t k)
{
    (void)kernels;
    return (n + PANEL - 1) / PANEL * PANEL * ((k + STEP - 1) / STEP * STEP);
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
        for (size_t row = 0; row < TILE; row++, to += STEP) {
            memcpy(to, step[row] + tile * TILE, TILE * sizeof *to);
            memcpy(to + TILE, step[row + TILE] + tile * TILE, TILE * sizeof *to);
        }
}

static void amx_pack(const pv_kernels *kernels, const float *rows, size_t first, size_t count,
                     size_t k, float *packed)
{
    size_t padded = (k + STEP - 1) / STEP * STEP;
    for (size_t p = 0; p < count; p += PANEL) {
        float *panel = packed + (first + p) * padded;
        for (size_t j = 0; j < k; j += STEP) {
            _Alignas(64) float step[STEP][PANEL];
            size_t width = k - j < STEP ? k - j : STEP;
            kernels->pack(rows + p * k + j, k, count - p, width, step[0]);
            memset(step[width - 1] + PANEL, 0, (STEP - width) * sizeof step[0]);
            amx_pack_step(step, panel + j * PANEL);
        }
    }
}

static const cpu_gemm amx = {
    .name = "amx",
    .alone = false,
    .workspace_floats = sizeof(amx_work) / sizeof(float),
    .packed_floats = amx_packed_floats,
    .pack_rows = amx_pack_rows,
    .pack = amx_pack,
    .run = amx_run,
};

/* The kernel gives a process the tiles' registers only if it asks; asking twice does no harm. */
const cpu_gemm *pv_cpu_gemm_amx(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) ? NULL : &amx;
}

#else

const cpu_gemm *pv_cpu_gemm_amx(void)
{
    return NULL;
}

#endif
