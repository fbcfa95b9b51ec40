/* SPDX-License-Identifier: MIT */
/* The ops of the CPU but for the matrix product: which rows are a thread's, and the kernel for
 * each. Every row is computed the same way whoever computes it. */
#include "cpu/steps.h"

#include <stdint.h>
#include <string.h>

static float *row(cpu_rows t, size_t i)
{
    return t.at + i * t.stride;
}

void pv_cpu_run_mix(const cpu_args *args, const cpu_team *team)
{
    const cpu_mix *op = &args->mix;
    size_t inputs = op->weight.cols, outputs = op->weight.rows, begin, end;
    cpu_share(team, op->y.rows, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        size_t epoch = i / outputs, o = i % outputs;
        float *y = row(op->y, i);
        for (size_t t = 0; t < op->y.cols; t++)
            y[t] = op->bias[o];
        for (size_t c = 0; c < inputs; c++)
            team->kernels->axpy(row(op->weight, o)[c], row(op->x, epoch * inputs + c), op->y.cols,
                                y);
    }
}

/* `length` samples from `first` on of a lead of `samples`; zeros behind its end. */
static void copy_samples(const float *lead, size_t samples, size_t first, size_t length, float *to)
{
    size_t real = first >= samples ? 0 : samples - first < length ? samples - first : length;
    memcpy(to, lead + (real ? first : 0), real * sizeof *to);
    memset(to + real, 0, (length - real) * sizeof *to);
}

void pv_cpu_run_patchify(const cpu_args *args, const cpu_team *team)
{
    const cpu_patchify *op = &args->patchify;
    const pv_patch_shape *s = &op->shape;
    size_t groups = s->channels / s->group, per_epoch = groups * s->count, begin, end;
    cpu_share(team, op->y.rows, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        size_t epoch = i / per_epoch, token = i % per_epoch;
        size_t g = s->time_major ? token % groups : token / s->count;
        size_t p = s->time_major ? token / groups : token % s->count;
        for (size_t lead = 0; lead < s->group; lead++)
            copy_samples(row(op->x, epoch * s->channels + g * s->group + lead), s->samples,
                         p * s->stride, s->length, row(op->y, i) + lead * s->length);
    }
}

void pv_cpu_run_epilogue(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    size_t begin, end;
    cpu_share(team, op->m, &begin, &end);
    pv_cpu_epilogue(op, team->kernels, begin, end, 0, op->n);
}

void pv_cpu_run_assemble(const cpu_args *args, const cpu_team *team)
{
    const cpu_assemble *op = &args->assemble;
    size_t tokens = op->table.rows, begin, end;
    size_t given = op->x.rows / (op->y.rows / tokens);
    cpu_share(team, op->y.rows, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        size_t sequence = i / tokens, token = i % tokens;
        const float *table = row(op->table, token);
        if (token >= op->first && token - op->first < given)
            team->kernels->add(row(op->x, sequence * given + token - op->first), table,
                               op->y.cols, row(op->y, i));
        else
            memcpy(row(op->y, i), table, op->y.cols * sizeof *table);
    }
}

void pv_cpu_run_layernorm(const cpu_args *args, const cpu_team *team)
{
    const cpu_layernorm *op = &args->layernorm;
    size_t begin, end;
    cpu_share(team, op->x.rows, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        float *y = op->to_operand ? team->workspace : row(op->y, i);
        team->kernels->layernorm(row(op->x, i), op->gamma, op->beta, op->eps, op->x.cols, y);
        if (op->to_operand)
            op->to_operand(y, op->x.cols, row(op->y, i));
    }
}

/* A head's result [queries, dim] to the columns from `column` on of an operand's rows. */
static void operand_rows(const cpu_attention *op, const float *from, size_t first, size_t column)
{
    size_t dim = op->shape.dim;
    for (size_t i = 0; i < op->shape.queries; i++)
        op->to_operand(from + i * dim, dim, (uint16_t *)(void *)row(op->y, first + i) + column);
}

/* Head i % H of sequence i / H. */
static void one_head(const cpu_attention *op, const cpu_team *team, size_t i)
{
    const pv_attention_shape *s = &op->shape;
    size_t sequence = i / s->heads, column = i % s->heads * s->dim;
    pv_head head = {
        .q = row(op->q, sequence * s->queries) + column,
        .k = row(op->k, sequence * s->keys) + column,
        .v = row(op->v, sequence * s->keys) + column,
        .out = op->to_operand ? NULL : row(op->y, sequence * s->queries) + column,
        .q_stride = op->q.stride,
        .k_stride = op->k.stride,
        .v_stride = op->v.stride,
        .out_stride = op->y.stride,
        .queries = s->queries,
        .keys = s->keys,
        .dim = s->dim,
        .scale = s->scale,
        .workspace = team->workspace,
    };
    if (op->to_operand) {
        head.out = team->workspace + pv_cpu_attention_floats(team->kernels, s);
        head.out_stride = s->dim;
    }
    team->kernels->attention(&head);
    if (op->to_operand)
        operand_rows(op, head.out, sequence * s->queries, column);
}

void pv_cpu_run_attention(const cpu_args *args, const cpu_team *team)
{
    const cpu_attention *op = &args->attention;
    for (size_t i = 0; i < team->count; i++) {
        const cpu_team owner = cpu_owner(team, i);
        size_t begin, end;
        cpu_share(&owner, op->shape.sequences * op->shape.heads, &begin, &end);
        for (size_t piece; cpu_begin(&owner, end - begin, &piece);)
            one_head(op, team, begin + piece);
    }
}

void pv_cpu_run_select(const cpu_args *args, const cpu_team *team)
{
    const cpu_select *op = &args->select;
    size_t begin, end;
    cpu_share(team, op->y.rows, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        size_t from = i / op->range.count * op->range.group + op->range.first +
                      i % op->range.count;
        memcpy(row(op->y, i), row(op->x, from), op->y.cols * sizeof(float));
    }
}

/* Sums in double: a mean of 90 tokens is closer to the truth than any one of them, and a float sum
 * would lose that. */
void pv_cpu_run_mean(const cpu_args *args, const cpu_team *team)
{
    enum { COLUMNS = 64 };
    const cpu_select *op = &args->select;
    size_t begin, end;
    cpu_share(team, op->y.rows, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const float *x = row(op->x, i * op->range.group + op->range.first);
        for (size_t c = 0; c < op->y.cols; c += COLUMNS) {
            size_t width = op->y.cols - c < COLUMNS ? op->y.cols - c : COLUMNS;
            double sums[COLUMNS] = {0};
            for (size_t j = 0; j < op->range.count; j++)
                for (size_t k = 0; k < width; k++)
                    sums[k] += (double)x[j * op->x.stride + c + k];
            for (size_t k = 0; k < width; k++)
                row(op->y, i)[c + k] = (float)(sums[k] / (double)op->range.count);
        }
    }
}
