/* SPDX-License-Identifier: MIT */
/*
 * Matrix products on AMX tiles in bf16: weights are kept in it, activations are rounded to it as
 * they are packed, sums are float32. One product of tiles does what takes gemm_amx.c six, so that
 * everything is bound by how fast the tiles are fed: weights come from memory once for MC rows, a
 * chunk of them stays in L1 while the rows pass by from L2.
 */
#include "cpu/gemm_bf16.h"
#include "cpu/steps.h"

#if defined(__x86_64__)

#include "cpu/amx.h"

#include <string.h>

/* By measurement (2 threads of an Intel Xeon with AMX, 2026-11-22; GFLOP/s of OSF-base's linear
 * layers at 1456 rows): KC 256 1845, 384 1553, 768 1570; MC 128, 256 and 512 within noise. */
enum {
    MC = 256,  /* rows of x that stay in L2 ... */
    KO = 1536, /* ... for this much of k: 786 KB */
    KC = 256,  /* of a panel of W that stays in L1: 16 KB */
    LINE = 64 / sizeof(amx_bf16)
};

/* What a thread works in. */
typedef struct amx_work {
    amx_sums sums[MC / AMX_BLOCK]; /* of one panel */
    amx_bf16 x[MC / AMX_TILE][KO / AMX_STEP][AMX_WORDS];
} amx_work;

/* Rows [0, rows) of x at k in [0, width), zeros to fill the last tiles. */
static void round_x(const float *x, size_t stride, size_t rows, size_t width, void *workspace)
{
    amx_work *work = workspace;
    size_t padded = (rows + AMX_BLOCK - 1) / AMX_BLOCK * AMX_BLOCK;
    for (size_t m = 0; m < padded; m++)
        for (size_t k = 0; k < width; k += AMX_STEP) {
            size_t left = m < rows ? width - k : 0;
            uint32_t lanes = left >= AMX_STEP ? 0xffffffffu : (1u << left) - 1;
            const float *from = m < rows ? x + m * stride + k : x;
            __m512 low = _mm512_maskz_loadu_ps((__mmask16)lanes, from), high = _mm512_setzero_ps();
            if (lanes >> AMX_TILE)
                high = _mm512_maskz_loadu_ps((__mmask16)(lanes >> AMX_TILE), from + AMX_TILE);
            __m512bh pair = _mm512_cvtne2ps_pbh(high, low);
            memcpy(work->x[m / AMX_TILE][k / AMX_STEP] + m % AMX_TILE * AMX_STEP, &pair,
                   sizeof pair);
        }
}

/* Lines of memory that come next, some fetched at each step. */
typedef struct ahead {
    const amx_bf16 *line, *end;
    size_t each;
} ahead;

/* sums (+)= x W^T for one block and `steps` of k. */
static void block(amx_bf16 (*x0)[AMX_WORDS], amx_bf16 (*x1)[AMX_WORDS],
                  const amx_bf16 *w, size_t steps, amx_sums sums, int accumulate, ahead *next,
                  amx_fetch y)
{
    enum { W_STRIDE = AMX_PANEL * 2 * sizeof(amx_bf16) };
    const amx_bf16 *line = next->line;
    amx_begin(sums, accumulate);
    for (size_t k = 0; k < steps; k++, w += AMX_STEP * AMX_PANEL) {
        _tile_loadd(4, x0[k], 64);
        _tile_loadd(6, w, W_STRIDE);
        _tile_loadd(7, w + AMX_STEP, W_STRIDE);
        _tile_loadd(5, x1[k], 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        for (size_t i = 0; i < next->each && line < next->end; i++, line += LINE)
            _mm_prefetch((const char *)line, _MM_HINT_T1);
        amx_fetch_step(&y);
    }
    amx_end(sums);
    next->line = line;
}

/* Rows [m, m1) of y, columns [n0, n1), for k in [k0, k1), which of x is in work->x. */
static void multiply(const cpu_linear *op, const pv_kernels *kernels, void *workspace,
                     const size_t m[2], const size_t n[2], const size_t k[2])
{
    amx_work *work = workspace;
    bool accumulate = k[0] > 0 || op->epilogue == PV_ADD;
    const amx_bf16 *weight = op->weight;
    size_t k_padded = pv_bf16_padded(op->k), steps = pv_bf16_padded(k[1] - k[0]) / AMX_STEP;
    size_t chunks = (steps * AMX_STEP + KC - 1) / KC, longest = (steps + chunks - 1) / chunks;
    size_t blocks = (m[1] - m[0] + AMX_BLOCK - 1) / AMX_BLOCK;
    for (size_t column = n[0]; column < n[1]; column += AMX_PANEL) {
        const amx_bf16 *panel = weight + column * k_padded + k[0] * AMX_PANEL;
        for (size_t first = 0; first < steps; first += longest) {
            size_t count = steps - first < longest ? steps - first : longest;
            bool last = first + count == steps, end = last && column + AMX_PANEL >= n[1];
            const amx_bf16 *w = panel + first * AMX_STEP * AMX_PANEL;
            const amx_bf16 *behind = last ? panel + k_padded * AMX_PANEL
                                          : w + count * AMX_STEP * AMX_PANEL;
            size_t lines = end ? 0 : count * AMX_STEP * AMX_PANEL / LINE;
            ahead next = {behind, behind + lines * LINE, (lines / count + blocks - 1) / blocks};
            for (size_t b = 0; b < blocks; b++) {
                amx_fetch y = {0};
                if (last)
                    y = amx_fetch_of(op, m, b, column, count);
                block(work->x[2 * b] + first, work->x[2 * b + 1] + first, w, count, work->sums[b],
                      first > 0, &next, y);
            }
        }
        amx_store(op, kernels, work->sums, m, column, accumulate, k[1] == op->k);
    }
}

static void amx_bf16_run(const cpu_args *args, const cpu_team *team)
{
    static const amx_method method = {MC, KO, round_x, multiply};
    amx_walk(&args->linear, team, &method);
}

const cpu_gemm pv_cpu_gemm_amx_bf16 = {
    .name = "amx bf16",
    .needs_amx = true,
    .workspace_floats = sizeof(amx_work) / sizeof(float),
    .packed_bytes = pv_bf16_packed_bytes,
    .pack_rows = pv_bf16_pack_rows,
    .pack = pv_bf16_pack,
    .run = amx_bf16_run,
};

#endif
