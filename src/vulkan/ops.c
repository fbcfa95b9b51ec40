/* SPDX-License-Identifier: MIT */
/*
 * Which shader does an op, with which constants, bindings and push constants, and on which grid:
 * all ops but the linear layer (linear.c) and attention (attention.c). The order of bindings and
 * push constants is that of the shader; every view is a pair of them, where it begins and its
 * stride.
 */
#include "vulkan/record.h"

#include <string.h>

enum { THREADS = 128 }; /* what every device has */

void pv_vk_push_float(vk_dispatch *d, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    pv_vk_push(d, bits);
}

psgvit_status pv_vk_bind(const pv_plan *plan, vk_dispatch *d, pv_tensor t, bool write,
                         psgvit_error *err)
{
    uint32_t at;
    PV_TRY(pv_vk_use_tensor(pv_vk_device_of(plan), t, write, &d->use[d->uses], &at, err));
    d->uses++;
    pv_vk_push(d, at);
    return PSGVIT_OK;
}

psgvit_status pv_vk_bind_view(const pv_plan *plan, vk_dispatch *d, pv_tensor t, bool write,
                              psgvit_error *err)
{
    PV_TRY(pv_vk_bind(plan, d, t, write, err));
    pv_vk_push(d, t.stride);
    return PSGVIT_OK;
}

bool pv_vk_fours(const vk_dispatch *d, pv_tensor t)
{
    return d->use[d->uses - 1].offset % 16 == 0 && t.offset % 4 == 0 && t.cols % 4 == 0 &&
           (t.stride % 4 == 0 || t.rows == 1);
}

pv_tensor pv_vk_operand(const pv_plan *plan, const pv_store *store, pv_tensor t)
{
    const vk_layout layout = pv_vk_layout_of(pv_vk_device_of(plan), store->precision);
    pv_tensor operand = t;
    operand.form = (int)layout;
    operand.half = layout != VK_LAYOUT_SPLIT;
    operand.tiled = true;
    operand.stride = pv_tiles_floats(operand, t.rows);
    const bool room = t.offset + t.cols / PV_FORM_TILE * operand.stride <= t.buffer->floats;
    return layout != VK_LAYOUT_F32 && !plan->exact && t.cols % PV_FORM_TILE == 0 &&
                   t.offset % 4 == 0 && t.stride == t.cols && room
               ? operand
               : t;
}

/* In f16 alone: bf16's 8 digits are too few for sums that each block adds to, and f32's two parts
 * take as much memory as float32. */
pv_tensor pv_vk_large_stream(const pv_plan *plan, const pv_store *store, pv_tensor t)
{
    const bool half = pv_vk_layout_of(pv_vk_device_of(plan), store->precision) == VK_LAYOUT_F16;
    pv_tensor stream = half ? pv_vk_operand(plan, store, t) : t;
    stream.stream = stream.form != 0;
    return stream;
}

/* A small one stays in caches, whatever its form, and is normalised faster row by row: 16 epochs of
 * OSF-base take 6.2 us each, by tiles 10.1 (H200, a profile). */
pv_tensor pv_vk_stream(const pv_plan *plan, const pv_store *store, pv_tensor t)
{
    const bool small = (uint64_t)t.rows * t.cols < pv_vk_device_of(plan)->least_stream;
    return small ? t : pv_vk_large_stream(plan, store, t);
}

psgvit_status pv_vk_record(pv_plan *plan, vk_dispatch *d, vk_module module,
                           const uint32_t constants[PV_VK_CONSTANTS], psgvit_error *err)
{
    vk_device *device = (vk_device *)plan->device;
    PV_TRY(pv_vk_kernel_get(device, module, constants, &d->kernel, err));
    return pv_vk_plan_add(plan, d, err);
}

/* A grid for `items` of work in groups of `each`. Shaders go round again where the grid is too
 * small for all. */
static void set_grid(const pv_plan *plan, vk_dispatch *d, size_t items, size_t each)
{
    size_t groups = (items + each - 1) / each;
    size_t most = pv_vk_device_of(plan)->limits.maxComputeWorkGroupCount[0];
    d->groups[0] = (uint32_t)(groups < most ? groups : most);
    d->groups[1] = d->groups[2] = 1;
}

/* A thread for each element of y. */
static psgvit_status record_elements(pv_plan *plan, vk_dispatch *d, vk_module module, pv_tensor y,
                                     double flops_each, psgvit_error *err)
{
    const uint32_t constants[PV_VK_CONSTANTS] = {THREADS};
    if (!y.rows || !y.cols)
        return PSGVIT_OK;
    set_grid(plan, d, y.rows * y.cols, THREADS);
    d->flops = (double)y.rows * (double)y.cols * flops_each;
    return pv_vk_record(plan, d, module, constants, err);
}

static size_t fourths_of(pv_tensor y)
{
    return y.rows * ((y.cols + 3) / 4);
}

/* A thread for each four neighbours of a row of y. */
static psgvit_status record_fourths(pv_plan *plan, vk_dispatch *d, vk_module module, bool fours,
                                    pv_tensor x, pv_tensor y, psgvit_error *err)
{
    const uint32_t constants[PV_VK_CONSTANTS] = {THREADS, fours, (uint32_t)y.form,
                                                 (uint32_t)x.form};
    if (!y.rows || !y.cols)
        return PSGVIT_OK;
    set_grid(plan, d, fourths_of(y), THREADS);
    d->flops = (double)y.rows * (double)y.cols;
    return pv_vk_record(plan, d, module, constants, err);
}

static psgvit_status mix_channels(pv_plan *plan, pv_tensor x, pv_tensor weight, pv_tensor bias,
                                  pv_tensor y, psgvit_error *err)
{
    vk_dispatch d = {0};
    PV_TRY(pv_vk_bind_view(plan, &d, x, false, err));
    PV_TRY(pv_vk_bind_view(plan, &d, weight, false, err));
    vk_dispatch last = {0};
    PV_TRY(pv_vk_bind(plan, &last, bias, false, err));
    d.use[d.uses++] = last.use[0];
    PV_TRY(pv_vk_bind_view(plan, &d, y, true, err));
    pv_vk_push(&d, last.push[0]);
    pv_vk_push(&d, y.rows * y.cols);
    pv_vk_push(&d, y.cols);
    pv_vk_push(&d, weight.cols);
    pv_vk_push(&d, weight.rows);
    return record_elements(plan, &d, PV_MODULE_MIX_CHANNELS, y, 2.0 * (double)weight.cols, err);
}

static psgvit_status patchify(pv_plan *plan, pv_tensor x, const pv_patch_shape *shape, pv_tensor y,
                              psgvit_error *err)
{
    vk_dispatch d = {0};
    PV_TRY(pv_vk_bind_view(plan, &d, x, false, err));
    PV_TRY(pv_vk_bind_view(plan, &d, y, true, err));
    const size_t numbers[] = {y.rows * y.cols, shape->channels, shape->samples,
                              shape->group,    shape->channels / shape->group,
                              shape->length,   shape->stride,   shape->count,
                              shape->time_major ? 1 : 0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        pv_vk_push(&d, numbers[i]);
    return record_elements(plan, &d, PV_MODULE_PATCHIFY, y, 1.0, err);
}

static psgvit_status assemble(pv_plan *plan, pv_tensor x, pv_tensor table, size_t first,
                              pv_tensor y, psgvit_error *err)
{
    vk_dispatch d = {0};
    PV_TRY(pv_vk_bind_view(plan, &d, x, false, err));
    bool fours = pv_vk_fours(&d, x);
    PV_TRY(pv_vk_bind_view(plan, &d, table, false, err));
    fours = fours && pv_vk_fours(&d, table);
    PV_TRY(pv_vk_bind_view(plan, &d, y, true, err));
    fours = fours && pv_vk_fours(&d, y);
    pv_vk_push(&d, fourths_of(y));
    pv_vk_push(&d, y.cols);
    pv_vk_push(&d, table.rows);
    pv_vk_push(&d, x.rows / (y.rows / table.rows));
    pv_vk_push(&d, first);
    return record_fourths(plan, &d, PV_MODULE_ASSEMBLE, fours, x, y, err);
}

/* Which rows the shader takes, of so many items. */
static void push_range(vk_dispatch *d, size_t items, size_t cols, pv_row_range range)
{
    pv_vk_push(d, items);
    pv_vk_push(d, cols);
    pv_vk_push(d, range.group);
    pv_vk_push(d, range.first);
    pv_vk_push(d, range.count);
}

static psgvit_status select_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y,
                                 psgvit_error *err)
{
    vk_dispatch d = {0};
    PV_TRY(pv_vk_bind_view(plan, &d, x, false, err));
    bool fours = pv_vk_fours(&d, x);
    PV_TRY(pv_vk_bind_view(plan, &d, y, true, err));
    fours = fours && pv_vk_fours(&d, y);
    push_range(&d, fourths_of(y), y.cols, range);
    return record_fourths(plan, &d, PV_MODULE_SELECT_ROWS, fours, x, y, err);
}

static psgvit_status mean_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y,
                               psgvit_error *err)
{
    vk_dispatch d = {0};
    PV_TRY(pv_vk_bind_view(plan, &d, x, false, err));
    PV_TRY(pv_vk_bind_view(plan, &d, y, true, err));
    push_range(&d, y.rows * y.cols, y.cols, range);
    return record_elements(plan, &d, PV_MODULE_MEAN_ROWS, y, (double)range.count, err);
}

/* A warp's worth of threads for a row: each has 24 of 768 values in registers. */
static psgvit_status record_norm(pv_plan *plan, vk_dispatch *d, pv_tensor y, bool fours,
                                 psgvit_error *err)
{
    enum { LANES = 32, ROWS = THREADS / LANES };
    const uint32_t values = (uint32_t)((y.cols + 4 * LANES - 1) / (4 * LANES));
    const uint32_t constants[PV_VK_CONSTANTS] = {THREADS, LANES, ROWS, values, fours,
                                                 (uint32_t)y.form};
    set_grid(plan, d, y.rows, ROWS);
    return pv_vk_record(plan, d, PV_MODULE_LAYERNORM, constants, err);
}

/* Of an operand: a workgroup for each row of tiles. */
static psgvit_status record_tiles_norm(pv_plan *plan, vk_dispatch *d, pv_tensor y, bool fours,
                                       psgvit_error *err)
{
    enum { TEAMS = THREADS / 32 };
    const size_t tiles = y.cols / PV_FORM_TILE;
    const uint32_t constants[PV_VK_CONSTANTS] = {
        THREADS, TEAMS, (uint32_t)((tiles + TEAMS - 1) / TEAMS), fours, (uint32_t)y.form};
    set_grid(plan, d, y.rows, PV_FORM_TILE);
    return pv_vk_record(plan, d, PV_MODULE_LAYERNORM_TILES, constants, err);
}

static psgvit_status layernorm(pv_plan *plan, pv_tensor x, const pv_norm_weight *weight,
                               pv_tensor y, psgvit_error *err)
{
    vk_dispatch d = {0}, norm = {0};
    if (!y.rows || !y.cols)
        return PSGVIT_OK;
    PV_TRY(pv_vk_bind_view(plan, &d, x, false, err));
    bool fours = pv_vk_fours(&d, x);
    PV_TRY(pv_vk_bind(plan, &norm, weight->gamma, false, err));
    fours = fours && pv_vk_fours(&norm, weight->gamma);
    PV_TRY(pv_vk_bind(plan, &norm, weight->beta, false, err));
    fours = fours && pv_vk_fours(&norm, weight->beta);
    d.use[d.uses++] = norm.use[0];
    d.use[d.uses++] = norm.use[1];
    PV_TRY(pv_vk_bind_view(plan, &d, y, true, err));
    fours = fours && pv_vk_fours(&d, y);
    pv_vk_push(&d, norm.push[0]);
    pv_vk_push(&d, norm.push[1]);
    pv_vk_push(&d, y.rows);
    pv_vk_push(&d, y.cols);
    pv_vk_push_float(&d, weight->eps);
    d.flops = (double)y.rows * (double)y.cols * 8.0;
    return x.form ? record_tiles_norm(plan, &d, y, fours, err)
                  : record_norm(plan, &d, y, fours, err);
}

const pv_ops pv_vk_ops = {
    .mix_channels = mix_channels,
    .patchify = patchify,
    .linear = pv_vk_record_linear,
    .assemble = assemble,
    .layernorm = layernorm,
    .attention = pv_vk_record_attention,
    .select_rows = select_rows,
    .mean_rows = mean_rows,
};
