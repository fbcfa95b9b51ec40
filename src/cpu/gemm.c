/* SPDX-License-Identifier: MIT */
/*
 * Matrix products of the CPU: what all ways of multiplying share (splitting over the team, the
 * epilogue), and our own way, pv_cpu_gemm_tiles, over panels packed for the micro-kernel.
 */
#include "cpu/steps.h"

#include <string.h>

/* ---- shared ---- */

void pv_cpu_grid(const cpu_team *team, size_t m, size_t n, size_t unit, size_t rows[2],
                 size_t columns[2])
{
    size_t best = 1, least = SIZE_MAX;
    for (size_t parts = 1; parts <= team->count; parts++) { /* of the columns */
        if (team->count % parts)
            continue;
        size_t reads = m / (team->count / parts) + n / parts;
        if (reads < least) {
            least = reads;
            best = parts;
        }
    }
    cpu_team row_team = {team->index / best, team->count / best, team->kernels, NULL};
    cpu_team column_team = {team->index % best, best, team->kernels, NULL};
    cpu_share(&row_team, m, &rows[0], &rows[1]);
    cpu_share(&column_team, (n + unit - 1) / unit, &columns[0], &columns[1]);
    columns[0] = columns[0] * unit < n ? columns[0] * unit : n;
    columns[1] = columns[1] * unit < n ? columns[1] * unit : n;
}

void pv_cpu_epilogue(const cpu_linear *op, const pv_kernels *kernels, size_t m0, size_t m1,
                     size_t n0, size_t n1)
{
    const float *bias = op->bias ? op->bias + n0 : NULL;
    if (op->epilogue != PV_GELU && !bias)
        return;
    for (size_t i = m0; i < m1; i++) {
        float *y = op->y + i * op->y_stride + n0;
        if (op->epilogue == PV_GELU)
            kernels->bias_gelu(y, bias, n1 - n0);
        else
            kernels->bias(y, bias, n1 - n0);
    }
}

/* ---- our own: W as panels [n / nr][k][nr], the last one padded ---- */

/* K is cut so that a panel's part (KC * nr floats) stays in L1 and no sum runs over more than KC
 * products before it is added to the others: the error of a chain of 3072 is three times that of
 * 384. MC rows of x and GROUP panels of y stay in L2 until the epilogue. */
enum { KC = 384, MC = 96, GROUP = 8, LINE = 64 / sizeof(float) };

static size_t tiles_packed_bytes(const pv_kernels *kernels, size_t n, size_t k)
{
    return (n + kernels->nr - 1) / kernels->nr * kernels->nr * k * sizeof(float);
}

static size_t tiles_pack_rows(const pv_kernels *kernels)
{
    return kernels->nr;
}

static void tiles_pack(const pv_kernels *kernels, const float *rows, size_t first, size_t count,
                       size_t k, void *packed)
{
    for (size_t p = 0; p < count; p += kernels->nr)
        kernels->pack(rows + p * k, k, count - p, k, (float *)packed + (first + p) * k);
}

/* One panel times rows [m0, m1), for k in [k0, k1). A last panel that is wider than what is left of
 * y goes through `edge` [mr, nr]. */
static void tiles_panel(const cpu_linear *op, const pv_kernels *kernels, size_t n, size_t m0,
                        size_t m1, size_t k0, size_t k1)
{
    size_t nr = kernels->nr, width = op->n - n < nr ? op->n - n : nr;
    const float *panel = (const float *)op->weight + n * op->k + k0 * nr;
    float edge[PV_MOST_TILE];
    int accumulate = k0 > 0 || op->epilogue == PV_ADD;
    size_t tiles = (m1 - m0 + kernels->mr - 1) / kernels->mr;
    /* The next panel is fetched a piece a tile: 4 to 5 % at 91 as at 1456 rows (bench_linear, 2
     * threads of an AMD EPYC Zen 3, 2026-11-22). */
    const float *next = n + nr < op->n ? panel + op->k * nr : panel;
    size_t lines = (k1 - k0) * nr / LINE / tiles;
    for (size_t t = 0; t < tiles; t++) { /* of nearly one size: 91 rows are not 15 x 6 and 1 */
        size_t m = m0 + (m1 - m0) * t / tiles, rows = m0 + (m1 - m0) * (t + 1) / tiles - m;
        for (size_t i = t * lines; i < (t + 1) * lines; i++)
            __builtin_prefetch(next + i * LINE, 0, 2);
        const float *x = op->x + m * op->x_stride + k0;
        float *y = op->y + m * op->y_stride + n;
        if (width == nr) {
            kernels->gemm_tile(rows, k1 - k0, x, op->x_stride, panel, y, op->y_stride, accumulate);
            continue;
        }
        for (size_t i = 0; i < rows && accumulate; i++) {
            memset(edge + i * nr, 0, nr * sizeof *edge);
            memcpy(edge + i * nr, y + i * op->y_stride, width * sizeof *edge);
        }
        kernels->gemm_tile(rows, k1 - k0, x, op->x_stride, panel, edge, nr, accumulate);
        for (size_t i = 0; i < rows; i++)
            memcpy(y + i * op->y_stride, edge + i * nr, width * sizeof *edge);
    }
}

static void tiles_run(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    const pv_kernels *kernels = team->kernels;
    size_t rows[2], columns[2];
    pv_cpu_grid(team, op->m, op->n, kernels->nr, rows, columns);
    for (size_t m = rows[0]; m < rows[1]; m += MC) {
        size_t m1 = rows[1] - m < MC ? rows[1] : m + MC;
        for (size_t g = columns[0]; g < columns[1]; g += GROUP * kernels->nr) {
            size_t width = GROUP * kernels->nr;
            size_t g1 = columns[1] - g < width ? columns[1] : g + width;
            for (size_t k = 0; k < op->k; k += KC) {
                size_t k1 = op->k - k < KC ? op->k : k + KC;
                for (size_t n = g; n < g1; n += kernels->nr)
                    tiles_panel(op, kernels, n, m, m1, k, k1);
            }
            pv_cpu_epilogue(op, kernels, m, m1, g, g1);
        }
    }
}

const cpu_gemm pv_cpu_gemm_tiles = {
    .name = "tiles",
    .alone = false,
    .packed_bytes = tiles_packed_bytes,
    .pack_rows = tiles_pack_rows,
    .pack = tiles_pack,
    .run = tiles_run,
};
