/* SPDX-License-Identifier: MIT */
/*
 * The linear layer: which kernel and which class of tiles it gets, and the dispatches of
 * linear.comp and of the kernels of matrices, linear_*.comp and linear_fragments_*.comp.
 */
#include "vulkan/linear.h"

#include "vulkan/record.h"

#include <math.h>

/* ---- classes of tiles ---- */

/* Costs are fitted to what bench_vulkan measured on an H200, 2026-11-23, for the layers of OSF-base
 * in batches of 1, 4, 16 and 256 and of EEGPT's windows of 4, 22 and 64 channels, so that the class
 * they take for a shape is the fastest one, or nearly. */

/* Sums of at most 384 (8 times 48): with 768 eegpt_4x1000 had 1.36 to 1.61 times PyTorch's mean
 * error, with 384 it has 1.09 times. 64 x 64 reaches 34 TFLOP/s, larger tiles don't. */
static const vk_tile tiles_f32[] = {
    /* a probe: few columns, long k, so that threads divide k */
    {16, 16, 128, 4, 4, 16, 0, {1, 2.5f, 1.7f, 8.3f, 0.0f}},
    /* one epoch: little work, so that threads divide k, too */
    {32, 32, 32, 4, 4, 4, 24, {1, 3.0f, 0.3f, 13.1f, 0.0f}},
    /* many, and what every device can run */
    {64, 64, 8, 8, 4, 1, 48, {2, 2.0f, 0.1f, 59.4f, 0.0f}},
};

/* For a device that is a CPU: Mesa's llvmpipe reads shared memory float by float, so that 8 x 8 a
 * thread takes 150 ms of it where 8 x 4 takes 260 (out of one epoch); 16 x 8 would take 110, but
 * each pipeline a second more to make. */
static const vk_tile tile_software = {32, 64, 8, 8, 8, 1, 48, {0}};

/* The same for a subgroup's matrices where a thread knows its elements, measured in f16. */
static const vk_tile tiles_fragments[] = {
    /* many epochs: 240 to 350 TFLOP/s, of 588 that matrices by themselves reach */
    {256, 64, 32, 64, 64, 1, 0, {2, 3.5f, 0.6f, 25.9f, 13.0f}},
    {128, 96, 32, 64, 48, 1, 0, {3, 1.0f, 1.4f, 29.4f, 5.1f}},
    {96, 96, 48, 48, 48, 1, 0, {1, 6.0f, 0.7f, 6.7f, 2.0f}},
    {64, 96, 48, 32, 48, 1, 0, {2, 2.5f, 0.2f, 10.6f, 0.4f}},
    {64, 64, 48, 32, 32, 1, 0, {1, 3.5f, 0.0f, 4.3f, 0.1f}},
    /* few: groups of subgroups share out k */
    {48, 64, 192, 48, 32, 4, 0, {1, 3.0f, 1.8f, 2.1f, 0.3f}},
    {64, 32, 96, 32, 32, 2, 0, {1, 1.5f, 0.9f, 2.1f, 0.0f}},
    {48, 16, 192, 48, 16, 4, 0, {1, 3.0f, 0.2f, 1.1f, 0.0f}},
    {48, 16, 256, 48, 16, 8, 0, {1, 2.0f, 0.9f, 1.2f, 0.0f}},
    {48, 16, 768, 48, 16, 16, 0, {1, 1.5f, 2.2f, 0.7f, 0.3f}},
    {16, 16, 512, 16, 16, 16, 0, {2, 2.0f, 0.3f, 0.9f, 0.3f}},
    {32, 32, 64, 16, 16, 1, 0, {1, 4.0f, 0.0f, 1.7f, 0.0f}},
};

/* The same in two parts, which take twice the registers: 95 to 135 TFLOP/s, which is 285 to 405 of
 * products. */
static const vk_tile tiles_fragments_split[] = {
    {128, 64, 32, 64, 32, 1, 0, {2, 1.0f, 4.0f, 33.2f, 3.3f}},
    /* begins in 4 us, but in a model itself and what follows it take longer if rows are few */
    {96, 96, 32, 48, 48, 1, 0, {1, 19.0f, 0.2f, 20.4f, 4.1f}},
    {96, 64, 32, 48, 32, 1, 0, {1, 3.5f, 0.6f, 15.2f, 1.0f}},
    {64, 64, 32, 32, 32, 1, 0, {1, 4.5f, 0.3f, 10.5f, 0.7f}},
    {48, 32, 128, 48, 32, 4, 0, {1, 2.5f, 0.7f, 3.4f, 0.2f}},
    {32, 32, 128, 32, 32, 4, 0, {1, 4.5f, 0.1f, 3.1f, 0.3f}},
    {48, 16, 384, 48, 16, 12, 0, {1, 2.0f, 1.2f, 2.4f, 0.0f}},
    {16, 16, 512, 16, 16, 16, 0, {1, 3.0f, 0.0f, 1.4f, 0.0f}},
    {32, 32, 64, 16, 16, 1, 0, {3, 1.0f, 0.8f, 10.1f, 0.4f}},
};

/* The same where only the driver knows, so that matrices go through shared memory. */
static const vk_tile tiles_matrix[] = {
    /* many epochs */
    {192, 128, 64, 48, 64, 1, 0, {1, 1.0f, 5.0f, 22.1f, 0.0f}},
    {160, 128, 32, 80, 64, 1, 0, {1, 3.0f, 2.3f, 17.5f, 0.0f}},
    {96, 128, 64, 48, 32, 1, 0, {1, 1.0f, 2.3f, 14.2f, 0.0f}},
    {96, 96, 32, 48, 48, 1, 0, {3, 3.0f, 2.4f, 26.0f, 0.0f}},
    {64, 64, 128, 32, 32, 2, 0, {1, 2.0f, 1.9f, 6.5f, 0.0f}},
    {64, 64, 64, 32, 32, 1, 0, {2, 1.0f, 2.3f, 10.5f, 0.0f}},
    /* one: what counts is how often shared memory is filled and waited for */
    {32, 16, 128, 16, 16, 4, 0, {3, 1.5f, 1.7f, 4.8f, 0.0f}},
    {32, 32, 128, 16, 16, 2, 0, {1, 3.0f, 0.4f, 3.2f, 0.0f}},
    {16, 16, 512, 16, 16, 16, 0, {1, 3.0f, 0.5f, 2.1f, 0.0f}},
    /* what every device can run */
    {32, 32, 64, 16, 16, 1, 0, {1, 3.0f, 0.3f, 6.0f, 0.0f}},
};

/* The same in two parts, which take twice the shared memory, too. */
static const vk_tile tiles_split[] = {
    {128, 128, 32, 32, 64, 1, 0, {1, 3.0f, 3.1f, 40.9f, 0.0f}},
    {96, 128, 32, 48, 32, 1, 0, {1, 3.0f, 0.3f, 38.2f, 0.0f}},
    {96, 96, 32, 32, 48, 1, 0, {1, 3.0f, 1.2f, 33.7f, 0.0f}},
    {64, 128, 32, 32, 32, 1, 0, {1, 3.0f, 1.4f, 26.9f, 0.0f}},
    {64, 64, 16, 32, 32, 1, 0, {4, 2.0f, 3.0f, 46.0f, 0.0f}},
    {64, 64, 64, 32, 32, 2, 0, {1, 3.0f, 1.0f, 16.1f, 0.0f}},
    {32, 16, 128, 16, 16, 4, 0, {1, 3.0f, 0.5f, 5.7f, 0.0f}},
    {32, 32, 128, 16, 16, 4, 0, {1, 3.0f, 1.0f, 7.1f, 0.0f}},
    {16, 16, 256, 16, 16, 8, 0, {1, 3.0f, 0.5f, 3.3f, 0.0f}},
    {32, 32, 64, 16, 16, 1, 0, {2, 2.0f, 0.8f, 14.3f, 0.0f}},
};

#define PV_TILES(tiles) ((vk_tiles){tiles, sizeof tiles / sizeof *tiles})

vk_tiles pv_vk_tiles(const vk_device *device, vk_layout layout)
{
    const bool split = layout == VK_LAYOUT_SPLIT;
    if (layout == VK_LAYOUT_F32)
        return PV_TILES(tiles_f32);
    if (pv_vk_by_fragments(device, layout))
        return split ? PV_TILES(tiles_fragments_split) : PV_TILES(tiles_fragments);
    return split ? PV_TILES(tiles_split) : PV_TILES(tiles_matrix);
}

vk_tiles pv_vk_choices(const vk_device *device, vk_layout layout)
{
    if (device->base.info.type == PSGVIT_DEVICE_SOFTWARE && layout == VK_LAYOUT_F32)
        return (vk_tiles){&tile_software, 1};
    return pv_vk_tiles(device, layout);
}

static uint32_t threads_of(const vk_device *d, vk_layout layout, const vk_tile *t)
{
    uint32_t parts = t->bm / t->tm * (t->bn / t->tn);
    return parts * t->split * (layout == VK_LAYOUT_F32 ? 1 : d->features.subgroup);
}

/* As the shaders declare it. */
static size_t shared_bytes(const vk_device *d, vk_layout layout, const vk_tile *t)
{
    const size_t parts = layout == VK_LAYOUT_SPLIT ? 2 : 1;
    size_t slabs = 2 * t->bk * (t->bm + t->bn + 8) * sizeof(float);
    size_t sums = (t->split > 2 ? t->split - 1 : 1) * t->bm * t->bn * sizeof(float);
    if (pv_vk_by_fragments(d, layout))
        return t->split > 1 ? t->split * t->bm * t->bn * sizeof(float) : 0;
    if (layout != VK_LAYOUT_F32) {
        const size_t subgroups = t->bm / t->tm * (t->bn / t->tn);
        slabs = (t->bm + t->bn) * (t->bk / 8 + 1) * 16 * parts;
        sums = t->split > 1 ? t->split * t->bm * (t->bn / 4 + 1) * 16
                            : subgroups * d->features.edge * (t->tn / 4 | 4) * 16;
    }
    return slabs > sums ? slabs : sums;
}

vk_lack pv_vk_tile_lacks(const vk_device *d, vk_layout layout, const vk_tile *t)
{
    const VkPhysicalDeviceLimits *l = &d->limits;
    const uint32_t threads = threads_of(d, layout, t);
    const vk_lack lacks[] = {
        {"maxComputeWorkGroupInvocations", l->maxComputeWorkGroupInvocations, threads},
        {"maxComputeWorkGroupSize[0]", l->maxComputeWorkGroupSize[0], threads},
        {"maxComputeSharedMemorySize", l->maxComputeSharedMemorySize, shared_bytes(d, layout, t)},
    };
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++)
        if (lacks[i].found < lacks[i].needed)
            return lacks[i];
    return (vk_lack){0};
}

bool pv_vk_tile_runs(const vk_device *d, vk_layout layout, const vk_tile *t)
{
    return !pv_vk_tile_lacks(d, layout, t).limit;
}

static size_t tiles_along(size_t length, uint32_t tile)
{
    return (length + tile - 1) / tile;
}

/* Microseconds, by the costs. While rounds are few the last one takes its whole time, however few
 * multiprocessors have work in it. */
static double time_of(const vk_tile *t, pv_epilogue epilogue, size_t m, size_t n, size_t k)
{
    enum { MULTIPROCESSORS = 132, FEW = 4 };
    const double tiles = (double)tiles_along(m, t->bm) * (double)tiles_along(n, t->bn);
    double rounds = tiles / (MULTIPROCESSORS * t->cost.resident);
    if (rounds <= FEW)
        rounds = ceil(rounds);
    const double steps = (double)(tiles_along(k, t->bk) * t->bk) / 1024.0;
    const double add = epilogue == PV_ADD ? (double)t->cost.add : 0.0;
    return t->cost.start + rounds * (t->cost.round + t->cost.step * steps + add);
}

const vk_tile *pv_vk_tile_for(const vk_device *device, vk_layout layout, pv_epilogue epilogue,
                              size_t m, size_t n, size_t k)
{
    const vk_tiles tiles = pv_vk_choices(device, layout);
    const vk_tile *best = &tiles.at[tiles.count - 1];
    for (size_t i = 0; i + 1 < tiles.count; i++) {
        const vk_tile *t = &tiles.at[i];
        if (pv_vk_tile_runs(device, layout, t) &&
            time_of(t, epilogue, m, n, k) < time_of(best, epilogue, m, n, k))
            best = t;
    }
    return best;
}

/* ---- dispatches ---- */

typedef struct layer {
    const vk_matrix *matrix;
    pv_tensor bias;
    pv_epilogue epilogue;
    vk_layout kernel; /* which of them: VK_LAYOUT_F32 takes weights in two parts, too */
    const vk_tile *tile;
} layer;

/* Rows that one dispatch may have: whole tiles, as many as its work and the grid allow. */
static size_t rows_at_once(const vk_device *d, const vk_tile *t, size_t n, size_t k)
{
    double rows = pv_vk_most_flops(d) / (2.0 * (double)n * (double)k) / t->bm;
    size_t most = d->limits.maxComputeWorkGroupCount[1];
    size_t tiles = rows < 1.0 ? 1 : rows > (double)most ? most : (size_t)rows;
    return tiles * t->bm;
}

static psgvit_status bind(const pv_plan *plan, const layer *l, pv_tensor x, pv_tensor y,
                          vk_dispatch *d, bool *x_fours, bool *y_fours, psgvit_error *err)
{
    const vk_use matrix = pv_vk_use_matrix(l->matrix);
    vk_dispatch bias = {0};
    PV_TRY(pv_vk_bind_view(plan, d, x, false, err));
    *x_fours = pv_vk_fours(d, x);
    d->use[d->uses++] = matrix;
    PV_TRY(pv_vk_bind_view(plan, d, y, true, err));
    if (l->epilogue == PV_ADD)
        d->use[d->uses - 1].whole = false;
    *y_fours = pv_vk_fours(d, y) && l->tile->tn % 4 == 0;
    if (l->bias.buffer)
        PV_TRY(pv_vk_bind(plan, &bias, l->bias, false, err));
    d->use[d->uses++] = l->bias.buffer ? bias.use[0] : matrix; /* no binding stays empty */
    pv_vk_push(d, bias.push[0]);
    return PSGVIT_OK;
}

/* What the kernels for cooperative matrices have in place of linear.comp's threads. */
static void set_subgroups(const vk_device *device, const layer *l, pv_tensor x, pv_tensor y,
                          vk_dispatch *d, uint32_t constants[PV_VK_CONSTANTS])
{
    constants[4] = l->tile->bm / l->tile->tm;
    constants[5] = l->tile->bn / l->tile->tn;
    constants[11] = x.form != 0;
    constants[12] = y.form != 0;
    constants[13] = device->features.edge;
    constants[14] = device->features.subgroup;
    constants[15] = x.cols % l->tile->bk != 0;
    /* in f16 x comes as 2^-5 of itself */
    pv_vk_push_float(d, l->matrix->scale * (l->kernel == VK_LAYOUT_F16 ? 32.0f : 1.0f));
}

static vk_module module_of(const vk_device *d, vk_layout kernel)
{
    static const vk_module modules[VK_LAYOUTS][2] = {
        [VK_LAYOUT_F32] = {PV_MODULE_LINEAR},
        [VK_LAYOUT_F16] = {PV_MODULE_LINEAR_F16, PV_MODULE_LINEAR_FRAGMENTS_F16},
        [VK_LAYOUT_BF16] = {PV_MODULE_LINEAR_BF16, PV_MODULE_LINEAR_FRAGMENTS_BF16},
        [VK_LAYOUT_SPLIT] = {PV_MODULE_LINEAR_SPLIT, PV_MODULE_LINEAR_FRAGMENTS_SPLIT},
    };
    return modules[kernel][pv_vk_by_fragments(d, kernel)];
}

static psgvit_status record(pv_plan *plan, const layer *l, pv_tensor x, pv_tensor y,
                            psgvit_error *err)
{
    const vk_device *device = pv_vk_device_of(plan);
    const vk_tile *t = l->tile;
    vk_dispatch d = {0};
    bool x_fours, y_fours;
    PV_TRY(bind(plan, l, x, y, &d, &x_fours, &y_fours, err));
    pv_vk_push(&d, y.rows);
    pv_vk_push(&d, y.cols);
    pv_vk_push(&d, x.cols);
    uint32_t constants[PV_VK_CONSTANTS] = {
        threads_of(device, l->kernel, t), t->bm, t->bn, t->bk, t->tm, t->tn, t->split,
        (uint32_t)l->epilogue, l->bias.buffer != NULL, x_fours, y_fours,
        x.cols > t->chunk * t->bk ? t->chunk : 0, l->matrix->layout == VK_LAYOUT_SPLIT};
    if (l->kernel == VK_LAYOUT_F32)
        pv_vk_push_float(&d, l->matrix->scale);
    else
        set_subgroups(device, l, x, y, &d, constants);
    if (l->kernel == VK_LAYOUT_SPLIT)
        PV_TRY(pv_vk_plan_flag(plan, &d.use[d.uses++], err));
    d.groups[0] = (uint32_t)tiles_along(y.cols, t->bn);
    d.groups[1] = (uint32_t)tiles_along(y.rows, t->bm);
    d.groups[2] = 1;
    d.flops = 2.0 * (double)y.rows * (double)y.cols * (double)x.cols;
    return pv_vk_record(plan, &d, module_of(device, l->kernel), constants, err);
}

/* The rare kernel for numbers beyond f16 has one class, so that the self-test tries all it does. */
static const vk_tile *tile_of(const vk_device *d, const layer *l, size_t m, size_t n, size_t k)
{
    const vk_tiles plain = pv_vk_choices(d, VK_LAYOUT_F32);
    if (l->kernel != l->matrix->layout)
        return &plain.at[plain.count - 1];
    return l->matrix->tile ? l->matrix->tile : pv_vk_tile_for(d, l->kernel, l->epilogue, m, n, k);
}

psgvit_status pv_vk_record_linear(pv_plan *plan, pv_tensor x, const pv_linear_weight *weight,
                                  pv_epilogue epilogue, pv_tensor y, psgvit_error *err)
{
    const vk_device *device = pv_vk_device_of(plan);
    layer l = {(const vk_matrix *)weight->matrix, weight->bias, epilogue, VK_LAYOUT_F32,
               NULL};
    if (l.matrix->layout != VK_LAYOUT_SPLIT || !plan->exact)
        l.kernel = l.matrix->layout;
    l.tile = tile_of(device, &l, y.rows, y.cols, x.cols);
    const size_t most = rows_at_once(device, l.tile, y.cols, x.cols);
    for (size_t first = 0; y.cols && first < y.rows; first += most) {
        const size_t count = y.rows - first < most ? y.rows - first : most;
        PV_TRY(record(plan, &l, pv_rows_of(x, first, count), pv_rows_of(y, first, count), err));
    }
    return PSGVIT_OK;
}
