/* SPDX-License-Identifier: MIT */
/* The table that notes ops before they are recorded. Bytes are what an op has to read and write if
 * it touches everything once, operations what the formula needs. */
#include "ops/profile.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

psgvit_status pv_profile_create(pv_profile **profile, psgvit_error *err)
{
    *profile = calloc(1, sizeof **profile);
    return *profile ? PSGVIT_OK : pv_fail_memory(err, "a profile", sizeof **profile);
}

void pv_profile_destroy(pv_profile *profile)
{
    if (!profile)
        return;
    free(profile->ops);
    free(profile);
}

void pv_profile_reset(pv_profile *profile)
{
    for (size_t i = 0; i < profile->count; i++)
        profile->ops[i].seconds = 0.0;
}

/* Appends an op. */
static psgvit_status note(pv_plan *plan, psgvit_error *err, const char *name, double flops,
                          double bytes, const char *shape, ...)
    __attribute__((format(printf, 6, 7)));

static psgvit_status note(pv_plan *plan, psgvit_error *err, const char *name, double flops,
                          double bytes, const char *shape, ...)
{
    pv_profile *p = plan->profile;
    pv_timed_op *ops = pv_grow(p->ops, &p->room, p->count, sizeof *ops, "a profile", err);
    if (!ops)
        return PSGVIT_E_MEMORY;
    p->ops = ops;
    pv_timed_op *op = &p->ops[p->count++];
    *op = (pv_timed_op){.name = name, .flops = flops, .bytes = bytes};
    va_list sizes;
    va_start(sizes, shape);
    vsnprintf(op->shape, sizeof op->shape, shape, sizes);
    va_end(sizes);
    return PSGVIT_OK;
}

static double elements(pv_tensor t)
{
    return (double)t.rows * (double)t.cols;
}

static double bytes_each(pv_tensor t)
{
    return t.half ? 2.0 : 4.0;
}

static double bytes_of(pv_tensor t)
{
    return elements(t) * bytes_each(t);
}

static psgvit_status mix_channels(pv_plan *plan, pv_tensor x, pv_tensor weight, pv_tensor bias,
                                  pv_tensor y, psgvit_error *err)
{
    PV_TRY(note(plan, err, "mix_channels", 2.0 * elements(y) * (double)weight.cols,
                bytes_of(x) + bytes_of(weight) + bytes_of(bias) + bytes_of(y), "%zux%zux%zu",
                y.rows, y.cols, weight.cols));
    return plan->device->backend->ops->mix_channels(plan, x, weight, bias, y, err);
}

static psgvit_status patchify(pv_plan *plan, pv_tensor x, const pv_patch_shape *shape, pv_tensor y,
                              psgvit_error *err)
{
    PV_TRY(note(plan, err, "patchify", 0.0, bytes_of(x) + bytes_of(y), "%zux%zu", y.rows, y.cols));
    return plan->device->backend->ops->patchify(plan, x, shape, y, err);
}

static psgvit_status linear(pv_plan *plan, pv_tensor x, const pv_linear_weight *weight,
                            pv_epilogue epilogue, pv_tensor y, psgvit_error *err)
{
    static const char *const epilogues[] = {
        [PV_PLAIN] = "", [PV_GELU] = " gelu", [PV_ADD] = " add"};
    double read = bytes_of(x) + (double)weight->matrix->bytes +
                  (epilogue == PV_ADD ? bytes_of(y) : 0.0);
    PV_TRY(note(plan, err, "linear", 2.0 * elements(y) * (double)x.cols, read + bytes_of(y),
                "%zux%zux%zu%s", y.rows, y.cols, x.cols, epilogues[epilogue]));
    return plan->device->backend->ops->linear(plan, x, weight, epilogue, y, err);
}

static psgvit_status assemble(pv_plan *plan, pv_tensor x, pv_tensor table, size_t first,
                              pv_tensor y, psgvit_error *err)
{
    PV_TRY(note(plan, err, "assemble", elements(x), bytes_of(x) + bytes_of(table) + bytes_of(y),
                "%zux%zu", y.rows, y.cols));
    return plan->device->backend->ops->assemble(plan, x, table, first, y, err);
}

static psgvit_status layernorm(pv_plan *plan, pv_tensor x, const pv_norm_weight *weight,
                               pv_tensor y, psgvit_error *err)
{
    PV_TRY(note(plan, err, "layernorm", 8.0 * elements(x), bytes_of(x) + bytes_of(y), "%zux%zu",
                y.rows, y.cols));
    return plan->device->backend->ops->layernorm(plan, x, weight, y, err);
}

static psgvit_status attention(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                               const pv_attention_shape *s, pv_tensor y, psgvit_error *err)
{
    PV_TRY(note(plan, err, "attention", 4.0 * elements(y) * (double)s->keys,
                bytes_of(q) + bytes_of(k) + bytes_of(v) + bytes_of(y), "%zux%zux%zux%zux%zu",
                s->sequences, s->heads, s->queries, s->keys, s->dim));
    return plan->device->backend->ops->attention(plan, q, k, v, s, y, err);
}

static psgvit_status select_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y,
                                 psgvit_error *err)
{
    PV_TRY(note(plan, err, "select_rows", 0.0, elements(y) * bytes_each(x) + bytes_of(y), "%zux%zu",
                y.rows, y.cols));
    return plan->device->backend->ops->select_rows(plan, x, range, y, err);
}

static psgvit_status mean_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y,
                               psgvit_error *err)
{
    double count = (double)range.count, read = count * bytes_of(y);
    PV_TRY(note(plan, err, "mean_rows", count * elements(y), read + bytes_of(y), "%zux%zux%zu",
                y.rows, y.cols, range.count));
    return plan->device->backend->ops->mean_rows(plan, x, range, y, err);
}

const pv_ops pv_profiled_ops = {
    .mix_channels = mix_channels,
    .patchify = patchify,
    .linear = linear,
    .assemble = assemble,
    .layernorm = layernorm,
    .attention = attention,
    .select_rows = select_rows,
    .mean_rows = mean_rows,
};
