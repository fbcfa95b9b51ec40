/* SPDX-License-Identifier: MIT */
/* AMX's tiles as gemm_amx*.c use them: eight tiles of 16 rows of 64 bytes, four of them the sums of
 * a block of y, 32 rows x 32 columns. Included by files that are compiled for AMX alone. */
#ifndef PV_CPU_AMX_H
#define PV_CPU_AMX_H

#include "cpu/cpu.h"

#include <immintrin.h>
#include <stdint.h>

/* A tile holds 16 x 32 of bf16, in pairs, or 16 x 16 of float32. */
enum {
    AMX_TILE = 16,
    AMX_STEP = 32,             /* of k, that one product of tiles takes */
    AMX_PANEL = 2 * AMX_TILE,  /* columns of y, two tiles wide */
    AMX_BLOCK = 2 * AMX_TILE,  /* rows of y, two tiles high */
    AMX_WORDS = AMX_TILE * AMX_STEP, /* bf16 of a tile */
    AMX_SUMS_STRIDE = AMX_PANEL * sizeof(float)
};

typedef uint16_t amx_bf16;
typedef float amx_sums[AMX_BLOCK][AMX_PANEL]; /* of a block */

/* gcc 12 thinks that tiles neither read nor write memory. */
#define AMX_BARRIER() __asm__ volatile("" ::: "memory")

static inline void amx_configure(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = AMX_TILE;
    }
    AMX_BARRIER();
    _tile_loadconfig(&config);
    AMX_BARRIER();
}

/* Tiles 0 to 3 begin at `sums`, or at zero. */
static inline __attribute__((always_inline)) void amx_begin(amx_sums sums, int accumulate)
{
    AMX_BARRIER();
    if (accumulate) {
        _tile_loadd(0, sums[0], AMX_SUMS_STRIDE);
        _tile_loadd(1, sums[0] + AMX_TILE, AMX_SUMS_STRIDE);
        _tile_loadd(2, sums[AMX_TILE], AMX_SUMS_STRIDE);
        _tile_loadd(3, sums[AMX_TILE] + AMX_TILE, AMX_SUMS_STRIDE);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
}

static inline __attribute__((always_inline)) void amx_end(amx_sums sums)
{
    _tile_stored(0, sums[0], AMX_SUMS_STRIDE);
    _tile_stored(1, sums[0] + AMX_TILE, AMX_SUMS_STRIDE);
    _tile_stored(2, sums[AMX_TILE], AMX_SUMS_STRIDE);
    _tile_stored(3, sums[AMX_TILE] + AMX_TILE, AMX_SUMS_STRIDE);
    AMX_BARRIER();
}

/* Rows of y that a block's sums will be written to: fetched while it is multiplied, since stores
 * that wait for their lines took a fifth of the time. */
typedef struct amx_fetch {
    const float *row;
    size_t stride, left, each; /* floats, rows, rows at a step */
} amx_fetch;

/* Of block b of rows [m0, m1), at `column`, in `steps` of k. */
static inline amx_fetch amx_fetch_of(const cpu_linear *op, const size_t m[2], size_t b,
                                     size_t column, size_t steps)
{
    size_t first = m[0] + b * AMX_BLOCK, left = m[1] - first;
    return (amx_fetch){.row = op->y + first * op->y_stride + column,
                       .stride = op->y_stride,
                       .left = left < AMX_BLOCK ? left : AMX_BLOCK,
                       .each = (AMX_BLOCK + steps - 1) / steps};
}

static inline __attribute__((always_inline)) void amx_fetch_step(amx_fetch *f)
{
    for (size_t i = 0; i < f->each && f->left; i++, f->left--, f->row += f->stride) {
        __builtin_prefetch(f->row, 1, 2);
        __builtin_prefetch(f->row + AMX_TILE, 1, 2);
    }
}

/* y (+)= the sums of a panel, for rows [m0, m1) and the columns from `column` on that y has. Behind
 * the last k the epilogue is applied to the sums, while they are in cache. */
static inline void amx_store(const cpu_linear *op, const pv_kernels *kernels, amx_sums *sums,
                             const size_t m[2], size_t column, bool accumulate, bool last)
{
    size_t columns = op->n - column < AMX_PANEL ? op->n - column : AMX_PANEL;
    uint32_t lanes = columns == AMX_PANEL ? 0xffffffffu : (1u << columns) - 1;
    __mmask16 left = (__mmask16)lanes, right = (__mmask16)(lanes >> AMX_TILE);
    const float *bias = op->bias ? op->bias + column : NULL;
    float *row = sums[0][0];
    for (size_t i = m[0]; i < m[1]; i++, row += AMX_PANEL) {
        float *y = op->y + i * op->y_stride + column;
        if (accumulate) {
            __m512 a = _mm512_maskz_loadu_ps(left, y);
            __m512 b = _mm512_maskz_loadu_ps(right, right ? y + AMX_TILE : y);
            _mm512_storeu_ps(row, _mm512_add_ps(_mm512_loadu_ps(row), a));
            _mm512_storeu_ps(row + AMX_TILE, _mm512_add_ps(_mm512_loadu_ps(row + AMX_TILE), b));
        }
        if (last && op->epilogue == PV_GELU)
            kernels->bias_gelu(row, bias, columns);
        else if (last && bias)
            kernels->bias(row, bias, columns);
        _mm512_mask_storeu_ps(y, left, _mm512_loadu_ps(row));
        if (right)
            _mm512_mask_storeu_ps(y + AMX_TILE, right, _mm512_loadu_ps(row + AMX_TILE));
    }
}

/* How a file multiplies: so many rows, and of k, at a time, which `take` brings into the workspace
 * from x [rows, k], and then rows [m, m1) of y, columns [n, n1), for k in [k, k1). */
typedef struct amx_method {
    size_t rows, depth;
    void (*take)(const float *x, size_t stride, size_t rows, size_t k, void *workspace);
    void (*multiply)(const cpu_linear *op, const pv_kernels *kernels, void *workspace,
                     const size_t m[2], const size_t n[2], const size_t k[2]);
} amx_method;

/* A thread's share of y. */
static inline void amx_walk(const cpu_linear *op, const cpu_team *team, const amx_method *way)
{
    size_t rows[2], columns[2];
    pv_cpu_grid(team, op->m, op->n, AMX_PANEL, rows, columns);
    if (rows[0] == rows[1] || columns[0] == columns[1])
        return;
    amx_configure();
    for (size_t m0 = rows[0]; m0 < rows[1]; m0 += way->rows) {
        size_t m[2] = {m0, rows[1] - m0 < way->rows ? rows[1] : m0 + way->rows};
        for (size_t k0 = 0; k0 < op->k; k0 += way->depth) {
            size_t k[2] = {k0, op->k - k0 < way->depth ? op->k : k0 + way->depth};
            way->take(op->x + m0 * op->x_stride + k0, op->x_stride, m[1] - m0, k[1] - k0,
                      team->workspace);
            way->multiply(op, team->kernels, team->workspace, m, columns, k);
        }
    }
    _tile_release();
}

#endif
