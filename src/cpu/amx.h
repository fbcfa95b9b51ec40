/* SPDX-License-Identifier: MIT */
/* AMX's tiles as gemm_amx*.c use them: eight tiles of 16 rows of 64 bytes, four of them the sums of
 * a block of y, and what is done to sums until they are y: a little between any two products of the
 * block that follows, while the vector units are idle. Included by files that are compiled for AMX
 * alone. */
#ifndef PV_CPU_AMX_H
#define PV_CPU_AMX_H

#include "cpu/cpu.h"
#include "cpu/vec_avx512.h"
#include "cpu/vec_math.h"

#include <immintrin.h>
#include <stdint.h>

/* A tile holds 16 x 32 of bf16, in pairs, or 16 x 16 of float32. */
enum {
    AMX_TILE = 16,
    AMX_STEP = 32,                      /* of k, that one product of tiles takes */
    AMX_WORDS = AMX_TILE * AMX_STEP,    /* bf16 of a tile */
    AMX_SUMS = 4 * AMX_TILE * AMX_TILE, /* of a block */
    AMX_WIDE = 2 * AMX_TILE             /* columns of a block */
};

typedef uint16_t amx_bf16;

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

/* Panels of a piece of a share of these columns: half of them, and no more than `most`. */
static inline size_t amx_piece_panels(const size_t columns[2], size_t most)
{
    size_t half = (columns[1] - columns[0]) / AMX_WIDE / 2;
    return half < 1 ? 1 : half > most ? most : half;
}

/* Tiles 0 to 3 begin at zero, or as they were left in `sums`: each at its own place, rows `stride`
 * floats apart. */
static inline __attribute__((always_inline)) void amx_begin(const float *sums, size_t stride,
                                                            const size_t at[4], int accumulate)
{
    AMX_BARRIER();
    if (accumulate) {
        _tile_loadd(0, sums + at[0], stride * sizeof(float));
        _tile_loadd(1, sums + at[1], stride * sizeof(float));
        _tile_loadd(2, sums + at[2], stride * sizeof(float));
        _tile_loadd(3, sums + at[3], stride * sizeof(float));
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
}

static inline __attribute__((always_inline)) void amx_end(float *sums, size_t stride,
                                                          const size_t at[4])
{
    _tile_stored(0, sums + at[0], stride * sizeof(float));
    _tile_stored(1, sums + at[1], stride * sizeof(float));
    _tile_stored(2, sums + at[2], stride * sizeof(float));
    _tile_stored(3, sums + at[3], stride * sizeof(float));
    AMX_BARRIER();
}

/* Rows of y that a block's sums will be written to: fetched while it is multiplied, since stores
 * that wait for their lines took a fifth of the time. */
typedef struct amx_fetch {
    const char *row;
    size_t stride, bytes, left, each; /* bytes, bytes, rows, rows at a step */
} amx_fetch;

static inline __attribute__((always_inline)) void amx_fetch_step(amx_fetch *f)
{
    for (size_t i = 0; i < f->each && f->left; i++, f->left--, f->row += f->stride)
        for (size_t b = 0; b < f->bytes; b += 64)
            __builtin_prefetch(f->row + b, 1, 2);
}

/* What is still to be done to the sums of a block, row after row. */
typedef struct amx_epilogue {
    const float *sums; /* of the next row */
    char *y;           /* the same row, at the block's first column */
    const float *bias; /* at the block's first column, or NULL */
    size_t y_stride;   /* bytes */
    size_t left;       /* rows */
    uint32_t lanes;    /* columns that y has, a bit each */
    bool accumulate, gelu, half; /* half: y is bf16 */
} amx_epilogue;

/* Of a block that begins at (row, column) of y and has `rows` of its own. */
static inline amx_epilogue amx_epilogue_of(const cpu_linear *op, const float *sums, size_t row,
                                           size_t rows, size_t column)
{
    size_t exist = op->n - column;
    size_t size = op->y_half ? sizeof(amx_bf16) : sizeof(float);
    return (amx_epilogue){.sums = sums,
                          .y = (char *)op->y + row * op->y_stride * sizeof(float) + column * size,
                          .bias = op->bias ? op->bias + column : NULL,
                          .y_stride = op->y_stride * sizeof(float),
                          .left = rows,
                          .lanes = exist < AMX_WIDE ? ((uint32_t)1 << exist) - 1 : UINT32_MAX,
                          .accumulate = op->epilogue == PV_ADD,
                          .gelu = op->epilogue == PV_GELU,
                          .half = op->y_half};
}

/* The same rows of y, to be fetched in `steps`. */
static inline amx_fetch amx_fetch_of(const amx_epilogue *e, size_t steps)
{
    size_t size = e->half ? sizeof(amx_bf16) : sizeof(float);
    return (amx_fetch){.row = e->y,
                       .stride = e->y_stride,
                       .bytes = AMX_WIDE * size,
                       .left = e->left,
                       .each = (e->left + steps - 1) / steps};
}

/* x Phi(x) for a result that is rounded to bf16: Phi is 1/2 and an odd polynomial, minimax (by
 * linear programming) on [-4.25, 4.25], where it leaves [0, 1] by 6e-6, so that what is below is 0.
 * At most 8.7e-5 off for |x| < 4.25. */
PV_INLINE vec amx_gelu_bf16(vec x)
{
    const vec t = vec_max(vec_set(-4.25f), vec_min(vec_set(4.25f), x));
    const vec s = vec_mul(t, t);
    vec p = vec_set(-8.28833375e-10f);
    p = vec_fma(p, s, vec_set(7.45492653e-8f));
    p = vec_fma(p, s, vec_set(-2.90739645e-6f));
    p = vec_fma(p, s, vec_set(6.50896367e-5f));
    p = vec_fma(p, s, vec_set(-9.37131740e-4f));
    p = vec_fma(p, s, vec_set(9.24454486e-3f));
    p = vec_fma(p, s, vec_set(-6.54286849e-2f));
    p = vec_fma(p, s, vec_set(0.398404698f));
    return vec_mul(x, vec_max(vec_set(0.0f), vec_fma(p, t, vec_set(0.5f))));
}

/* The next row. `exact`: a result of float32. */
static inline __attribute__((always_inline)) void amx_finish_row(amx_epilogue *e, bool exact)
{
    const __mmask16 left = (__mmask16)e->lanes, right = (__mmask16)(e->lanes >> AMX_TILE);
    const size_t second = right ? AMX_TILE : 0;
    float *y = (float *)(void *)e->y;
    vec a = vec_load(e->sums), b = vec_load(e->sums + AMX_TILE);
    if (e->accumulate) {
        a = vec_add(a, _mm512_maskz_loadu_ps(left, y));
        b = vec_add(b, _mm512_maskz_loadu_ps(right, y + second));
    }
    if (e->bias) {
        a = vec_add(a, _mm512_maskz_loadu_ps(left, e->bias));
        b = vec_add(b, _mm512_maskz_loadu_ps(right, e->bias + second));
    }
    if (e->gelu) {
        a = exact ? gelu_of(a) : amx_gelu_bf16(a);
        b = exact ? gelu_of(b) : amx_gelu_bf16(b);
    }
    if (e->half) {
        const __m512bh pair = _mm512_cvtne2ps_pbh(b, a);
        _mm512_mask_storeu_epi16(e->y, e->lanes, (__m512i)pair);
    } else {
        _mm512_mask_storeu_ps(y, left, a);
        _mm512_mask_storeu_ps(y + second, right, b);
    }
    e->sums += AMX_WIDE;
    e->y += e->y_stride;
}

static inline __attribute__((always_inline)) void amx_finish(amx_epilogue *e, size_t rows,
                                                             bool exact)
{
    for (; rows > 0 && e->left; rows--, e->left--)
        amx_finish_row(e, exact);
}

#endif
