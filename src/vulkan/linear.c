/* SPDX-License-Identifier: MIT */
/*
 * The linear layer: how weights are packed, which class of tiles a shape gets, and the dispatches
 * of linear.comp.
 */
#include "vulkan/linear.h"

#include "vulkan/record.h"

static const double MOST_FLOPS = 16e9; /* of a dispatch, so that none takes long */

/* ---- float32: panels of 32 rows, k-major ---- */

enum { PANEL = 32 };

static uint64_t panels_bytes(size_t n, size_t k)
{
    return (uint64_t)((n + PANEL - 1) / PANEL * PANEL) * k * sizeof(float);
}

/* Panel by panel, so that whole lines of 32 are written where all of its rows are there. */
static void pack_panels(const float *rows, size_t first, size_t count, size_t n, size_t k,
                        float scale, void *packed)
{
    (void)n;
    for (size_t r = 0; r < count;) {
        size_t lane = (first + r) % PANEL, lanes = PANEL - lane;
        lanes = lanes < count - r ? lanes : count - r;
        float *panel = (float *)packed + (first + r - lane) * k + lane;
        for (size_t c = 0; c < k; c++)
            for (size_t i = 0; i < lanes; i++)
                panel[c * PANEL + i] = rows[(r + i) * k + c] * scale;
        r += lanes;
    }
}

static const vk_packing panels = {panels_bytes, pack_panels, 0.0f};

const vk_packing *pv_vk_packing_of(const vk_device *device, psgvit_precision precision, int *number)
{
    (void)device;
    *number = (int)precision;
    return &panels;
}

/* ---- tiles ---- */

const vk_tile pv_vk_tiles[] = {
    {16, 16, 128, 2, 4, 8, 0, 0, 16},
    {128, 128, 16, 8, 8, 1, 0, 256, 0},
    {64, 64, 16, 4, 4, 1, 0, 192, 0},
    {32, 32, 64, 4, 4, 4, 0, 0, 0},
    {64, 64, 8, 8, 4, 1, 0, 0, 0},
};
const size_t pv_vk_tile_count = sizeof pv_vk_tiles / sizeof *pv_vk_tiles;

static uint32_t threads_of(const vk_tile *t)
{
    return t->bm / t->tm * (t->bn / t->tn) * t->split;
}

static size_t shared_bytes(const vk_tile *t)
{
    size_t slabs = 2 * t->bk * (t->bm + t->bn + 8), sums = (t->split - 1) * t->bm * t->bn;
    return (slabs > sums ? slabs : sums) * sizeof(float);
}

bool pv_vk_tile_runs(const vk_device *d, const vk_tile *t)
{
    return threads_of(t) <= d->limits.maxComputeWorkGroupInvocations &&
           threads_of(t) <= d->limits.maxComputeWorkGroupSize[0] &&
           shared_bytes(t) <= d->limits.maxComputeSharedMemorySize;
}

static size_t tiles_along(size_t length, uint32_t tile)
{
    return (length + tile - 1) / tile;
}

const vk_tile *pv_vk_tile_for(const vk_device *device, size_t m, size_t n)
{
    for (size_t i = 0; i + 1 < pv_vk_tile_count; i++) {
        const vk_tile *t = &pv_vk_tiles[i];
        if (pv_vk_tile_runs(device, t) && (!t->most_columns || n <= t->most_columns) &&
            tiles_along(m, t->bm) * tiles_along(n, t->bn) >= t->enough)
            return t;
    }
    return &pv_vk_tiles[pv_vk_tile_count - 1];
}

/* ---- dispatches ---- */

/* Rows that one dispatch may have: whole tiles, as many as its work and the grid allow. */
static size_t rows_at_once(const vk_device *d, const vk_tile *t, size_t n, size_t k)
{
    double rows = MOST_FLOPS / (2.0 * (double)n * (double)k) / t->bm;
    size_t most = d->limits.maxComputeWorkGroupCount[1];
    size_t tiles = rows < 1.0 ? 1 : rows > (double)most ? most : (size_t)rows;
    return tiles * t->bm;
}

static pv_tensor rows_from(pv_tensor t, size_t first, size_t count)
{
    t.offset += first * t.stride;
    t.rows = count;
    return t;
}

static psgvit_status record_rows(pv_plan *plan, const vk_tile *t, pv_tensor x,
                                 const pv_linear_weight *weight, pv_epilogue epilogue, pv_tensor y,
                                 psgvit_error *err)
{
    const size_t n = y.cols, k = x.cols;
    const vk_use matrix = pv_vk_use_matrix((const vk_matrix *)weight->matrix);
    const bool bias = weight->bias.buffer != NULL;
    vk_dispatch d = {0}, last = {0};
    PV_TRY(pv_vk_bind_view(plan, &d, x, false, err));
    const bool x_fours = pv_vk_fours(&d, x);
    d.use[d.uses++] = matrix;
    PV_TRY(pv_vk_bind_view(plan, &d, y, true, err));
    const bool y_fours = pv_vk_fours(&d, y) && t->tn % 4 == 0;
    if (bias)
        PV_TRY(pv_vk_bind(plan, &last, weight->bias, false, err));
    d.use[d.uses++] = bias ? last.use[0] : matrix; /* no binding stays empty */
    pv_vk_push(&d, last.push[0]);
    pv_vk_push(&d, y.rows);
    pv_vk_push(&d, n);
    pv_vk_push(&d, k);
    const uint32_t constants[PV_VK_CONSTANTS] = {
        threads_of(t), t->bm, t->bn, t->bk, t->tm, t->tn, t->split, (uint32_t)epilogue, bias,
        x_fours, y_fours, t->chunk};
    d.groups[0] = (uint32_t)tiles_along(n, t->bn);
    d.groups[1] = (uint32_t)tiles_along(y.rows, t->bm);
    d.groups[2] = 1;
    d.flops = 2.0 * (double)y.rows * (double)n * (double)k;
    return pv_vk_record(plan, &d, PV_MODULE_LINEAR, constants, err);
}

psgvit_status pv_vk_record_linear(pv_plan *plan, pv_tensor x, const pv_linear_weight *weight,
                                  pv_epilogue epilogue, pv_tensor y, psgvit_error *err)
{
    const vk_device *device = pv_vk_device_of(plan);
    const vk_tile *tile = device->tile ? device->tile : pv_vk_tile_for(device, y.rows, y.cols);
    const size_t most = rows_at_once(device, tile, y.cols, x.cols);
    for (size_t first = 0; y.cols && first < y.rows; first += most) {
        const size_t count = y.rows - first < most ? y.rows - first : most;
        PV_TRY(record_rows(plan, tile, rows_from(x, first, count), weight, epilogue,
                           rows_from(y, first, count), err));
    }
    return PSGVIT_OK;
}
