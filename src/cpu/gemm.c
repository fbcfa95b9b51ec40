/* SPDX-License-Identifier: MIT */
/*
 * Matrix products of the CPU: what all ways of multiplying share (splitting over the team, the
 * epilogue), and our own way, pv_cpu_gemm_panels, over panels packed for the micro-kernel.
 */
#include "cpu/steps.h"

#include <string.h>

/* ---- shared ---- */

size_t pv_cpu_reads(size_t m, size_t n)
{
    return m + n;
}

void pv_cpu_grid(const cpu_team *team, size_t m, size_t n, size_t unit, cpu_cost_fn cost,
                 size_t rows[2], size_t columns[2])
{
    size_t best = 1, least = SIZE_MAX;
    for (size_t parts = 1; parts <= team->count; parts++) { /* of the columns */
        if (team->count % parts)
            continue;
        size_t costs = cost(m / (team->count / parts), n / parts);
        if (costs < least) {
            least = costs;
            best = parts;
        }
    }
    cpu_team row_team = {team->index / best, team->count / best, team->kernels, NULL, NULL};
    cpu_team column_team = {team->index % best, best, team->kernels, NULL, NULL};
    cpu_share(&row_team, m, &rows[0], &rows[1]);
    cpu_share(&column_team, (n + unit - 1) / unit, &columns[0], &columns[1]);
    columns[0] = columns[0] * unit < n ? columns[0] * unit : n;
    columns[1] = columns[1] * unit < n ? columns[1] * unit : n;
}

cpu_pieces pv_cpu_pieces(const size_t rows[2], const size_t columns[2], size_t tall, size_t wide)
{
    cpu_pieces p = {{rows[0], rows[1]}, {columns[0], columns[1]}, tall, wide, 0, 0};
    p.across = (columns[1] - columns[0] + wide - 1) / wide;
    p.count = p.across * ((rows[1] - rows[0] + tall - 1) / tall);
    return p;
}

void pv_cpu_piece(const cpu_pieces *p, size_t piece, size_t rows[2], size_t columns[2])
{
    rows[0] = p->rows[0] + piece / p->across * p->tall;
    rows[1] = p->rows[1] - rows[0] < p->tall ? p->rows[1] : rows[0] + p->tall;
    columns[0] = p->columns[0] + piece % p->across * p->wide;
    columns[1] = p->columns[1] - columns[0] < p->wide ? p->columns[1] : columns[0] + p->wide;
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

/* K is cut (kernels->kc) so that a tile's rows of x and a panel's part are in L1 or stream from L2,
 * and no sum runs over more than kc products before it is added to the others: the error of a chain
 * of 3072 is three times that of 384. MC rows of x and GROUP panels of y stay in L2 until the
 * epilogue.
 * AVX2: 256 is 1 to 2 % faster than 384 or 192 at 91 and 248 rows (CPU time of one thread of an AMD
 * EPYC, Zen 3, 2026-11-22). There its layers run at 93 % of what FMA in registers reaches, from L3
 * as from memory: a tile of 6 x 256 costs 70 to 110 cycles over its 1536, 30 of them with all in
 * L1. GROUP from 4 to 48, or y fetched before each tile, changes less than the noise of 0.5 %. Rows
 * of x without gaps, MC of 128 or 192 with them, tiles of x outside of panels: 1.4 % less to 2 %
 * more, by the shape, and with two threads no gain (2026-11-23).
 * AVX-512: 192 or 128, expected to take 5 % less as panels are twice as wide, take 1 to 3 % more;
 * MC of 196: the same (2 threads of an Intel Xeon with AMX, 2026-11-23). On Zen 5 512 takes 1 to
 * 2 % less than 256 at 91 rows, though a part is then larger than L1, and the products run at 94 to
 * 95 % of FMA in registers: a tile's beginning and end cost 2 to 3 %, fetching panels 1 to 2, y 1.
 * GROUP of 2 to 12, MC of 98 to 364, a bias added by the tiles: within the noise of 1 % (2 threads
 * of an AMD EPYC, Zen 5, 2026-11-23). Rows of its own to each thread once there are 192, so that it
 * finds what it wrote in its own caches, and blocks of one size up to 128, expected to take 3 to
 * 5 % less, in turns: 0.97 to 1.05 with AVX-512, 1.00 to 1.03 with AVX2 (2026-11-24).
 * A piece of MC rows and GROUP panels is what a thread takes over from another. Expected to gain
 * where cores are not all as fast and nothing on a quiet machine; in turns, ratios to shares
 * alone, OSF-base of 1 and 16 epochs and EEGPT, 22 channels x 1000: 0.97, 0.79 and 0.90 with
 * AVX-512, 0.98, 0.77 and 0.80 with AVX2 (16 threads of 8 cores of an Intel Xeon that other guests
 * use, too); with 2 of them 0.95 and 0.86, 0.98 and 0.99; on 2 quiet cores of a Zen 5 0.99 to 1.02,
 * and with pieces of 8 panels up to 1.03 (2026-11-24). */
enum { MC = 96, GROUP = 4, LINE = 64 / sizeof(float) };

static size_t panels_bytes(const pv_kernels *kernels, size_t n, size_t k)
{
    return (n + kernels->nr - 1) / kernels->nr * kernels->nr * k * sizeof(float);
}

static size_t panel_rows(const pv_kernels *kernels)
{
    return kernels->nr;
}

static void panels_pack(const pv_kernels *kernels, const float *rows, size_t first, size_t count,
                        size_t k, void *packed)
{
    for (size_t p = 0; p < count; p += kernels->nr)
        kernels->pack(rows + p * k, k, count - p, k, (float *)packed + (first + p) * k);
}

/* A panel's part: columns [n, n + nr) and k in [k0, k1), and the part after it, which the tiles
 * fetch among their products: 4 to 8 % faster than a piece at once before each tile (the same
 * machine and day). */
typedef struct panel_part {
    size_t n, k0, k1;
    const float *at, *next;
} panel_part;

/* One part times rows [m0, m1). A last panel that is wider than what is left of y goes through
 * `edge` [mr, nr]. */
static void multiply_part(const cpu_linear *op, const pv_kernels *kernels, const panel_part *part,
                          size_t m0, size_t m1)
{
    size_t nr = kernels->nr, width = op->n - part->n < nr ? op->n - part->n : nr;
    size_t tiles = (m1 - m0 + kernels->mr - 1) / kernels->mr;
    size_t least = (m1 - m0) / tiles, larger = (m1 - m0) % tiles;
    float edge[PV_MOST_TILE];
    pv_tile tile = {.k = part->k1 - part->k0,
                    .a = op->x + m0 * op->x_stride + part->k0,
                    .b = part->at,
                    .c = width == nr ? op->y + m0 * op->y_stride + part->n : edge,
                    .a_stride = op->x_stride,
                    .c_stride = width == nr ? op->y_stride : nr,
                    .accumulate = part->k0 > 0 || op->epilogue == PV_ADD,
                    .next = part->next,
                    .next_lines = ((part->k1 - part->k0) * nr / LINE + tiles - 1) / tiles};
    for (size_t t = 0, m = m0; t < tiles; t++) { /* of nearly one size: 91 is not 15 x 6 and 1 */
        size_t rows = least + (t < larger);
        float *y = op->y + m * op->y_stride + part->n;
        for (size_t i = 0; width < nr && tile.accumulate && i < rows; i++) {
            memset(edge + i * nr, 0, nr * sizeof *edge);
            memcpy(edge + i * nr, y + i * op->y_stride, width * sizeof *edge);
        }
        kernels->gemm_tile(rows, &tile);
        for (size_t i = 0; width < nr && i < rows; i++)
            memcpy(y + i * op->y_stride, edge + i * nr, width * sizeof *edge);
        m += rows;
        tile.a += rows * op->x_stride;
        tile.c = width == nr ? tile.c + rows * op->y_stride : edge;
        tile.next += tile.next_lines * LINE;
    }
}

static const float *panel_at(const cpu_linear *op, const pv_kernels *kernels, size_t n, size_t k)
{
    return (const float *)op->weight + n * op->k + k * kernels->nr;
}

/* Rows [m, m1) of panels [g, g1), all of K; what comes after them begins at panel `after`. */
static void multiply_group(const cpu_linear *op, const pv_kernels *kernels, size_t m, size_t m1,
                           size_t g, size_t g1, size_t after)
{
    size_t depth = pv_cpu_evenly(op->k, kernels->kc, LINE);
    for (size_t k = 0; k < op->k; k += depth) {
        size_t k1 = op->k - k < depth ? op->k : k + depth;
        for (size_t n = g; n < g1; n += kernels->nr) {
            panel_part part = {n, k, k1, panel_at(op, kernels, n, k), NULL};
            part.next = n + kernels->nr < g1 ? panel_at(op, kernels, n + kernels->nr, k)
                        : k1 < op->k         ? panel_at(op, kernels, g, k1)
                                             : panel_at(op, kernels, after, 0);
            multiply_part(op, kernels, &part, m, m1);
        }
    }
    pv_cpu_epilogue(op, kernels, m, m1, g, g1);
}

static cpu_pieces panels_pieces(const cpu_linear *op, const cpu_team *owner)
{
    size_t rows[2], columns[2];
    pv_cpu_grid(owner, op->m, op->n, owner->kernels->nr, pv_cpu_reads, rows, columns);
    return pv_cpu_pieces(rows, columns, MC, GROUP * owner->kernels->nr);
}

static void panels_run(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    for (size_t i = 0; i < team->count; i++) {
        const cpu_team owner = cpu_owner(team, i);
        const cpu_pieces pieces = panels_pieces(op, &owner);
        for (size_t piece; cpu_begin(&owner, pieces.count, &piece);) {
            size_t m[2], n[2];
            pv_cpu_piece(&pieces, piece, m, n);
            multiply_group(op, team->kernels, m[0], m[1], n[0], n[1],
                           n[1] < pieces.columns[1] ? n[1] : pieces.columns[0]);
        }
    }
}

const cpu_gemm pv_cpu_gemm_panels = {
    .packed_bytes = panels_bytes,
    .pack_rows = panel_rows,
    .pack = panels_pack,
    .run = panels_run,
};
