/* SPDX-License-Identifier: MIT */
/*
 * The checked wrappers of ops.h: every documented precondition is looked at here, once, and then it
 * is one call into the backend. A violation is a fault of the model code, not of a file or a user;
 * it still ends in a sentence.
 */
#include "ops/ops.h"

#include "base/team.h"
#include "ops/profile.h"

#include <stdbool.h>

/* Does the view lie inside its buffer? */
static bool inside(pv_tensor view)
{
    const pv_tensor t = pv_memory_of(view);
    if (!t.buffer || t.cols > t.stride)
        return false;
    if (!t.rows || !t.cols)
        return t.offset <= t.buffer->floats;
    size_t room = t.buffer->floats;
    if (t.offset > room || t.cols > room - t.offset)
        return false;
    return t.rows - 1 <= (room - t.offset - t.cols) / t.stride;
}

static bool floats(pv_tensor t)
{
    return !t.form && inside(t);
}

/* Is it float32, or a residual stream in whatever form? */
static bool sums(pv_tensor t)
{
    return (!t.form || t.stream) && inside(t);
}

static bool same_shape(pv_tensor a, pv_tensor b)
{
    return a.rows == b.rows && a.cols == b.cols;
}

static bool is_shape(pv_tensor t, size_t rows, size_t cols)
{
    return inside(t) && t.rows == rows && t.cols == cols;
}

static const pv_ops *ops_of(const pv_plan *plan)
{
    return plan->profile ? &pv_profiled_ops : plan->device->backend->ops;
}

/* Records op(...) if the plan is sound so far and `holds`; `what` names the broken precondition. */
#define RECORD(plan, holds, what, call)                                                            \
    do {                                                                                           \
        psgvit_error *pv_err_ = &(plan)->error;                                                    \
        if (pv_err_->code != PSGVIT_OK)                                                            \
            return;                                                                                \
        if (!(holds))                                                                              \
            (void)pv_fail(pv_err_, PSGVIT_E_ARGUMENT, "internal: " what);                          \
        else                                                                                       \
            (void)ops_of(plan)->call;                                                              \
    } while (0)

int pv_device_team(const psgvit_device *device)
{
    const int team = pv_team_size(device->threads_asked), most = device->info.threads;
    return most && most < team ? most : team;
}

psgvit_status pv_buffer_create(psgvit_device *device, size_t floats, int kind, pv_buffer **buffer,
                               psgvit_error *err)
{
    *buffer = NULL;
    if (floats > SIZE_MAX / sizeof(float) - 4096)
        return pv_fail(err, PSGVIT_E_MEMORY, "out of memory: a buffer needs %zu floats", floats);
    return device->backend->buffer_create(device, floats, kind, buffer, err);
}

void pv_buffer_destroy(psgvit_device *device, pv_buffer *buffer)
{
    if (buffer)
        device->backend->buffer_destroy(device, buffer);
}

psgvit_status pv_store_create(psgvit_device *device, psgvit_precision precision, pv_store **store,
                              psgvit_error *err)
{
    *store = NULL;
    if (!(device->info.precisions & (1u << precision)))
        return pv_fail(err, PSGVIT_E_DEVICE, "%s: precision %s is not supported, f32 is%s%s",
                       device->info.name, psgvit_precision_name(precision),
                       device->info.precisions & (1u << PSGVIT_F16) ? ", f16 is" : "",
                       device->info.precisions & (1u << PSGVIT_BF16) ? ", bf16 is" : "");
    return device->backend->store_create(device, precision, store, err);
}

psgvit_status pv_store_matrix(pv_store *store, const pv_rows *source, const pv_matrix **matrix,
                              psgvit_error *err)
{
    *matrix = NULL;
    return store->device->backend->store_matrix(store, source, matrix, err);
}

psgvit_status pv_store_tensor(pv_store *store, const float *values, size_t rows, size_t cols,
                              pv_tensor *tensor, psgvit_error *err)
{
    *tensor = (pv_tensor){0};
    return store->device->backend->store_tensor(store, values, rows, cols, tensor, err);
}

void pv_store_destroy(pv_store *store)
{
    if (store)
        store->device->backend->store_destroy(store);
}

psgvit_status pv_plan_begin(psgvit_device *device, pv_plan **plan, psgvit_error *err)
{
    *plan = NULL;
    return device->backend->plan_begin(device, plan, err);
}

psgvit_status pv_plan_finish(pv_plan *plan, psgvit_error *err)
{
    if (plan->error.code != PSGVIT_OK)
        return pv_fail(err, plan->error.code, "%s", plan->error.message);
    return plan->device->backend->plan_finish(plan, err);
}

psgvit_status pv_plan_start(pv_plan *plan, psgvit_error *err)
{
    return plan->device->backend->plan_start(plan, err);
}

psgvit_status pv_plan_wait(pv_plan *plan, psgvit_error *err)
{
    const pv_backend *backend = plan->device->backend;
    return backend->plan_wait ? backend->plan_wait(plan, err) : PSGVIT_OK;
}

psgvit_status pv_plan_submit(pv_plan *plan, psgvit_error *err)
{
    PV_TRY(pv_plan_start(plan, err));
    return pv_plan_wait(plan, err);
}

void pv_plan_destroy(pv_plan *plan)
{
    if (plan)
        plan->device->backend->plan_destroy(plan);
}

pv_tensor pv_operand(const pv_plan *plan, const pv_store *store, pv_tensor t)
{
    const pv_backend *backend = plan->device->backend;
    return backend->operand ? backend->operand(plan, store, t) : t;
}

pv_tensor pv_stream(const pv_plan *plan, const pv_store *store, pv_tensor t)
{
    const pv_backend *backend = plan->device->backend;
    return backend->stream ? backend->stream(plan, store, t) : t;
}

pv_tensor pv_attention_operand(const pv_plan *plan, const pv_store *store, pv_tensor t,
                               const pv_attention_shape *shape)
{
    const pv_backend *backend = plan->device->backend;
    return backend->attention_operand ? backend->attention_operand(plan, store, t, shape) : t;
}

void pv_mix_channels(pv_plan *plan, pv_tensor x, pv_tensor weight, pv_tensor bias, pv_tensor y)
{
    RECORD(plan,
           floats(x) && floats(weight) && is_shape(bias, 1, weight.rows) && floats(y) &&
               weight.cols && x.rows % weight.cols == 0 && x.cols == y.cols &&
               y.rows == x.rows / weight.cols * weight.rows,
           "mix_channels: shapes disagree", mix_channels(plan, x, weight, bias, y, pv_err_));
}

void pv_patchify(pv_plan *plan, pv_tensor x, const pv_patch_shape *s, pv_tensor y)
{
    RECORD(plan,
           !x.form && is_shape(x, s->epochs * s->channels, s->samples) &&
               x.stride == x.cols && s->group &&
               s->channels % s->group == 0 &&
               is_shape(y, s->epochs * (s->channels / s->group) * s->count, s->group * s->length),
           "patchify: shapes disagree", patchify(plan, x, s, y, pv_err_));
}

void pv_linear(pv_plan *plan, pv_tensor x, const pv_linear_weight *w, pv_epilogue epilogue,
               pv_tensor y)
{
    RECORD(plan,
           inside(x) && x.cols == w->matrix->cols && is_shape(y, x.rows, w->matrix->rows) &&
               (epilogue != PV_ADD || sums(y)) &&
               (!w->bias.buffer || is_shape(w->bias, 1, y.cols)),
           "linear: shapes disagree", linear(plan, x, w, epilogue, y, pv_err_));
}

void pv_assemble(pv_plan *plan, pv_tensor x, pv_tensor table, size_t first, pv_tensor y)
{
    RECORD(plan,
           floats(x) && floats(table) && sums(y) && table.rows && first <= table.rows &&
               x.cols == table.cols && y.cols == table.cols && y.rows % table.rows == 0 &&
               y.rows && x.rows % (y.rows / table.rows) == 0 &&
               x.rows / (y.rows / table.rows) <= table.rows - first,
           "assemble: shapes disagree", assemble(plan, x, table, first, y, pv_err_));
}

void pv_layernorm(pv_plan *plan, pv_tensor x, const pv_norm_weight *w, pv_tensor y)
{
    RECORD(plan,
           sums(x) && inside(y) && same_shape(x, y) && is_shape(w->gamma, 1, x.cols) &&
               is_shape(w->beta, 1, x.cols),
           "layernorm: shapes disagree", layernorm(plan, x, w, y, pv_err_));
}

void pv_attention(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                  const pv_attention_shape *s, pv_tensor y)
{
    size_t width = s->heads * s->dim;
    RECORD(plan,
           s->keys && s->dim && q.form == k.form && q.form == v.form &&
               (!q.form || q.form == y.form) && (!y.form || s->dim % 4 == 0) &&
               is_shape(q, s->sequences * s->queries, width) &&
               is_shape(k, s->sequences * s->keys, width) && is_shape(v, k.rows, width) &&
               is_shape(y, q.rows, width),
           "attention: shapes disagree", attention(plan, q, k, v, s, y, pv_err_));
}

/* A range that fits x and yields `each` rows of y for every group. */
static bool range_fits(pv_tensor x, pv_row_range r, size_t each, pv_tensor y)
{
    return r.group && r.count && r.first <= r.group && r.count <= r.group - r.first &&
           x.rows % r.group == 0 && is_shape(y, x.rows / r.group * each, x.cols);
}

void pv_select_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y)
{
    RECORD(plan, sums(x) && sums(y) && range_fits(x, range, range.count, y),
           "select_rows: shapes disagree", select_rows(plan, x, range, y, pv_err_));
}

void pv_mean_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y)
{
    RECORD(plan, floats(x) && floats(y) && range_fits(x, range, 1, y), "mean_rows: shapes disagree",
           mean_rows(plan, x, range, y, pv_err_));
}
