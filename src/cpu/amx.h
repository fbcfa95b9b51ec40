/* SPDX-License-Identifier: MIT */
/* AMX's tiles as gemm_amx*.c use them: eight tiles of 16 rows of 64 bytes, four of them the sums of
 * a block of y, 32 rows x 32 columns. Included by files that are compiled for AMX alone. */
#ifndef PV_CPU_AMX_H
#define PV_CPU_AMX_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* A tile holds 16 x 32 of bf16, in pairs, or 16 x 16 of float32. */
enum {
    AMX_TILE = 16,
    AMX_STEP = 32,             /* of k, that one product of tiles takes */
    AMX_PANEL = 2 * AMX_TILE,  /* columns of y, two tiles wide */
    AMX_BLOCK = 2 * AMX_TILE,  /* rows of y, two tiles high */
    AMX_WORDS = AMX_TILE * AMX_STEP /* bf16 of a tile */
};

typedef uint16_t amx_bf16;
typedef float amx_sums[4][AMX_TILE * AMX_TILE]; /* of a block: its tiles row by row */

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
}

static inline __attribute__((always_inline)) void amx_end(amx_sums sums)
{
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
    AMX_BARRIER();
}

/* y (+)= the sums of a panel's blocks; only the rows and columns that y has. */
static inline void amx_store(amx_sums *sums, float *y, size_t stride, size_t rows, size_t columns,
                             int accumulate)
{
    uint32_t lanes = columns >= AMX_PANEL ? 0xffffffffu : (1u << columns) - 1;
    for (size_t m = 0; m < rows; m++)
        for (size_t half = 0; half < 2; half++) {
            __mmask16 mask = (__mmask16)(lanes >> (half * AMX_TILE));
            float *to = y + m * stride + half * AMX_TILE;
            if (!mask)
                continue;
            __m512 sum = _mm512_loadu_ps(sums[m / AMX_BLOCK][m % AMX_BLOCK / AMX_TILE * 2 + half] +
                                         m % AMX_TILE * AMX_TILE);
            if (accumulate)
                sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, to));
            _mm512_mask_storeu_ps(to, mask, sum);
        }
}

#endif
