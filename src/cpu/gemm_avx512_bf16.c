/* SPDX-License-Identifier: MIT */
/*
 * Matrix products by AVX-512's instruction for bf16, which adds the products of a pair of k to a
 * float32: weights are kept in bf16, activations are rounded to it as they are packed. For Zen 4,
 * and for Intel's CPUs with AMX where they are held to AVX-512: there the instruction is slow (165
 * GFLOP/s, where f32 does 284; 1456 rows of OSF-base, 2 threads of a Xeon, 2026-11-22), and half of
 * the memory is all that is won.
 */
#include "cpu/gemm_bf16.h"
#include "cpu/steps.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

enum {
    MR = 14,  /* rows of y whose sums stay in registers, 28 of 32 */
    MC = 98,  /* rows of x that stay in L2 ... */
    KO = 768, /* ... for this much of k: 157 KB */
    KC = 384, /* of a panel of W that stays in L1: 24 KB */
    STRIDE = KO + 32, /* of x as packed: rows in different sets of L1 */
    HALF = PV_BF16_PANEL / 2
};

#define INLINE static inline __attribute__((always_inline))

/* Loops over a tile's rows must be gone before registers are given out. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* What a thread works in. */
typedef struct bf16_work {
    uint16_t x[MC][STRIDE];
} bf16_work;

/* Rows [0, rows) of x at k in [0, width), zeros up to a whole step. */
static void round_x(const float *x, size_t stride, size_t rows, size_t width, bf16_work *work)
{
    for (size_t m = 0; m < rows; m++)
        for (size_t k = 0; k < width; k += PV_BF16_STEP) {
            size_t left = width - k;
            uint32_t lanes = left >= PV_BF16_STEP ? 0xffffffffu : (1u << left) - 1;
            const float *from = x + m * stride + k;
            __m512 low = _mm512_maskz_loadu_ps((__mmask16)lanes, from), high = _mm512_setzero_ps();
            if (lanes >> HALF)
                high = _mm512_maskz_loadu_ps((__mmask16)(lanes >> HALF), from + HALF);
            __m512bh pair = _mm512_cvtne2ps_pbh(high, low);
            memcpy(work->x[m] + k, &pair, sizeof pair);
        }
}

INLINE __m512bh pairs_at(const uint16_t *p)
{
    __m512bh pairs;
    memcpy(&pairs, p, sizeof pairs);
    return pairs;
}

INLINE __m512bh pair_everywhere(const uint16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    __m512i all = _mm512_set1_epi32(pair);
    __m512bh pairs;
    memcpy(&pairs, &all, sizeof pairs);
    return pairs;
}

/* y[rows, columns] (+)= x W^T for one panel and `pairs` of k. */
INLINE void tile_rows(const size_t rows, const uint16_t *x, const uint16_t *w, size_t pairs,
                      float *y, size_t stride, size_t columns, int accumulate)
{
    __m512 sum[MR][2];
    uint32_t lanes = columns >= PV_BF16_PANEL ? 0xffffffffu : (1u << columns) - 1;
    const __mmask16 mask[2] = {(__mmask16)lanes, (__mmask16)(lanes >> HALF)};
    UNROLL
    for (size_t i = 0; i < rows; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (size_t p = 0; p < pairs; p++, w += 2 * PV_BF16_PANEL) {
        const __m512bh w0 = pairs_at(w), w1 = pairs_at(w + PV_BF16_PANEL);
        UNROLL
        for (size_t i = 0; i < rows; i++) {
            const __m512bh pair = pair_everywhere(x + i * STRIDE + 2 * p);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], pair, w0);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], pair, w1);
        }
    }
    UNROLL
    for (size_t i = 0; i < rows; i++) {
        UNROLL
        for (size_t j = 0; j < 2; j++) {
            float *to = y + i * stride + j * HALF;
            if (accumulate)
                sum[i][j] = _mm512_add_ps(sum[i][j], _mm512_maskz_loadu_ps(mask[j], to));
            _mm512_mask_storeu_ps(to, mask[j], sum[i][j]);
        }
    }
}

static void tile(size_t rows, const uint16_t *x, const uint16_t *w, size_t pairs, float *y,
                 size_t stride, size_t columns, int accumulate)
{
    switch (rows) {
    case 1: tile_rows(1, x, w, pairs, y, stride, columns, accumulate); break;
    case 2: tile_rows(2, x, w, pairs, y, stride, columns, accumulate); break;
    case 3: tile_rows(3, x, w, pairs, y, stride, columns, accumulate); break;
    case 4: tile_rows(4, x, w, pairs, y, stride, columns, accumulate); break;
    case 5: tile_rows(5, x, w, pairs, y, stride, columns, accumulate); break;
    case 6: tile_rows(6, x, w, pairs, y, stride, columns, accumulate); break;
    case 7: tile_rows(7, x, w, pairs, y, stride, columns, accumulate); break;
    case 8: tile_rows(8, x, w, pairs, y, stride, columns, accumulate); break;
    case 9: tile_rows(9, x, w, pairs, y, stride, columns, accumulate); break;
    case 10: tile_rows(10, x, w, pairs, y, stride, columns, accumulate); break;
    case 11: tile_rows(11, x, w, pairs, y, stride, columns, accumulate); break;
    case 12: tile_rows(12, x, w, pairs, y, stride, columns, accumulate); break;
    case 13: tile_rows(13, x, w, pairs, y, stride, columns, accumulate); break;
    case 14: tile_rows(14, x, w, pairs, y, stride, columns, accumulate); break;
    default: break;
    }
}

/* One panel, at column n, times rows [m0, m1), for k in [k0, k1), which of x is in work->x. */
static void multiply(const cpu_linear *op, const bf16_work *work, size_t n, const size_t m[2],
                     const size_t k[2])
{
    size_t tiles = (m[1] - m[0] + MR - 1) / MR, width = pv_bf16_padded(k[1] - k[0]);
    size_t k_padded = pv_bf16_padded(op->k), columns = op->n - n;
    const uint16_t *panel = (const uint16_t *)op->weight + n * k_padded + k[0] * PV_BF16_PANEL;
    const char *next = (const char *)(columns > PV_BF16_PANEL ? panel + k_padded * PV_BF16_PANEL
                                                              : panel);
    for (size_t c = 0; c < width; c += KC) {
        size_t length = width - c < KC ? width - c : KC;
        for (size_t t = 0; t < tiles; t++) { /* of nearly one size */
            size_t first = (m[1] - m[0]) * t / tiles;
            size_t rows = (m[1] - m[0]) * (t + 1) / tiles - first;
            size_t bytes = length * PV_BF16_PANEL * sizeof(uint16_t) / tiles;
            for (size_t i = 0; i < bytes; i += 64) /* the next panel, a piece a tile */
                _mm_prefetch(next + i, _MM_HINT_T1);
            next += bytes;
            tile(rows, work->x[first] + c, panel + c * PV_BF16_PANEL, length / 2,
                 op->y + (m[0] + first) * op->y_stride + n, op->y_stride, columns,
                 k[0] + c > 0 || op->epilogue == PV_ADD);
        }
    }
}

static void bf16_run(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    bf16_work *work = (bf16_work *)(void *)team->workspace;
    size_t rows[2], columns[2];
    pv_cpu_grid(team, op->m, op->n, PV_BF16_PANEL, pv_cpu_reads, rows, columns);
    for (size_t m0 = rows[0]; m0 < rows[1]; m0 += MC) {
        size_t m[2] = {m0, rows[1] - m0 < MC ? rows[1] : m0 + MC};
        for (size_t k0 = 0; k0 < op->k; k0 += KO) {
            size_t k[2] = {k0, op->k - k0 < KO ? op->k : k0 + KO};
            round_x(op->x + m0 * op->x_stride + k0, op->x_stride, m[1] - m0, k[1] - k0, work);
            for (size_t n = columns[0]; n < columns[1]; n += PV_BF16_PANEL)
                multiply(op, work, n, m, k);
        }
        pv_cpu_epilogue(op, team->kernels, m[0], m[1], columns[0], columns[1]);
    }
}

static size_t bf16_workspace(const cpu_linear *op)
{
    (void)op;
    return sizeof(bf16_work) / sizeof(float);
}

const cpu_gemm pv_cpu_gemm_avx512_bf16 = {
    .name = "avx512 bf16",
    .workspace = bf16_workspace,
    .packed_bytes = pv_bf16_packed_bytes,
    .pack_rows = pv_bf16_pack_rows,
    .pack = pv_bf16_pack,
    .run = bf16_run,
};

#endif
