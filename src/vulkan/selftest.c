/* SPDX-License-Identifier: MIT */
/*
 * What a device has to prove when it is opened: a linear layer with GELU and an attention, of sizes
 * that fill no tile, against the same in double on the CPU. A precision other than f32 that fails
 * is not offered; a device that fails f32 is refused.
 */
#include "vulkan/vulkan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS = 37, INPUTS = 100, OUTPUTS = 70, /* linear */
    SEQUENCES = 2, TOKENS = 45, HEADS = 3, DIM = 20, /* attention */
    WIDTH = HEADS * DIM,
    QKV = SEQUENCES * TOKENS * 3 * WIDTH,
    SCALE = 4, /* scores far enough apart that a softmax which overflows or rounds is seen */
};

/* What right arithmetic stays well below: of the sum of magnitudes of a product, and of the largest
 * value of an attention. */
static const double LINEAR_F32 = 16.0 / (1 << 24), LINEAR_F16 = 1.1 / (1 << 10),
                    LINEAR_BF16 = 1.1 / (1 << 7), ATTENTION = 2e-5;

typedef struct trial {
    float x[ROWS * INPUTS], weight[OUTPUTS * INPUTS], bias[OUTPUTS];
    float qkv[QKV]; /* [SEQUENCES * TOKENS, 3 * WIDTH] */
} trial;

/* The same numbers every time, in [-1, 1). */
static void fill(float *values, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)seed * 0x1p-31f;
    }
}

static psgvit_status compare(const vk_device *d, const char *op, const float *found, size_t at,
                             double expected, double tolerance, psgvit_error *err)
{
    if (fabs((double)found[at] - expected) <= tolerance)
        return PSGVIT_OK;
    return pv_fail(err, PSGVIT_E_DEVICE,
                   "%s: it computes wrong: in the self-test's %s value %zu is %.9g, expected %.9g "
                   "within %.1g",
                   d->name, op, at, (double)found[at], expected, tolerance);
}

/* ---- linear ---- */

static psgvit_status check_linear(const vk_device *d, const trial *t, psgvit_precision precision,
                                  const float *y, psgvit_error *err)
{
    static const char *const ops[] = {"linear layer in f32", "linear layer in f16",
                                      "linear layer in bf16"};
    double share = precision == PSGVIT_F32   ? LINEAR_F32
                   : precision == PSGVIT_F16 ? LINEAR_F16
                                             : LINEAR_BF16;
    for (size_t r = 0; r < ROWS; r++)
        for (size_t n = 0; n < OUTPUTS; n++) {
            double sum = (double)t->bias[n], size = fabs(sum);
            for (size_t k = 0; k < INPUTS; k++) {
                double product = (double)t->x[r * INPUTS + k] * (double)t->weight[n * INPUTS + k];
                sum += product;
                size += fabs(product);
            }
            double gelu = 0.5 * sum * (1.0 + erf(sum * sqrt(0.5)));
            PV_TRY(compare(d, ops[precision], y, r * OUTPUTS + n, gelu, share * size, err));
        }
    return PSGVIT_OK;
}

static void read_rows(const void *source, size_t first, size_t count, float *values)
{
    const trial *t = source;
    memcpy(values, t->weight + first * INPUTS, count * INPUTS * sizeof *values);
}

/* Runs the plan that `x` and `y` are bound to, `x` filled with `count` values. */
static psgvit_status run(pv_plan *plan, pv_buffer *x, const float *values, size_t count,
                         psgvit_error *err)
{
    PV_TRY(pv_plan_finish(plan, err));
    memcpy(x->host, values, count * sizeof *values);
    return pv_plan_submit(plan, err);
}

static psgvit_status try_linear(vk_device *d, const trial *t, pv_store *store, pv_buffer *x,
                                pv_buffer *y, psgvit_error *err)
{
    pv_rows rows = {OUTPUTS, INPUTS, read_rows, t};
    pv_linear_weight weight;
    pv_plan *plan;
    PV_TRY(pv_store_matrix(store, &rows, &weight.matrix, err));
    PV_TRY(pv_store_tensor(store, t->bias, 1, OUTPUTS, &weight.bias, err));
    PV_TRY(pv_plan_begin(&d->base, &plan, err));
    pv_linear(plan, pv_view(x, 0, ROWS, INPUTS), &weight, PV_GELU, pv_view(y, 0, ROWS, OUTPUTS));
    psgvit_status status = run(plan, x, t->x, ROWS * INPUTS, err);
    pv_plan_destroy(plan);
    return status ? status : check_linear(d, t, store->precision, y->host, err);
}

/* ---- attention ---- */

/* Of one query of one head: DIM values. */
static void attend(const trial *t, size_t sequence, size_t query, size_t head, double *y)
{
    const float *rows = t->qkv + sequence * TOKENS * 3 * WIDTH + head * DIM;
    const float *q = rows + query * 3 * WIDTH;
    double score[TOKENS], most = -1e300, sum = 0.0;
    for (size_t j = 0; j < TOKENS; j++) {
        score[j] = 0.0;
        for (size_t i = 0; i < DIM; i++)
            score[j] += SCALE * (double)q[i] * (double)rows[j * 3 * WIDTH + WIDTH + i];
        most = fmax(most, score[j]);
    }
    memset(y, 0, DIM * sizeof *y);
    for (size_t j = 0; j < TOKENS; j++) {
        double p = exp(score[j] - most);
        sum += p;
        for (size_t i = 0; i < DIM; i++)
            y[i] += p * (double)rows[j * 3 * WIDTH + 2 * WIDTH + i];
    }
    for (size_t i = 0; i < DIM; i++)
        y[i] /= sum;
}

static psgvit_status check_attention(const vk_device *d, const trial *t, const float *y,
                                     psgvit_error *err)
{
    double expected[DIM];
    for (size_t s = 0; s < SEQUENCES; s++)
        for (size_t r = 0; r < TOKENS; r++)
            for (size_t h = 0; h < HEADS; h++) {
                size_t at = (s * TOKENS + r) * WIDTH + h * DIM;
                attend(t, s, r, h, expected);
                for (size_t i = 0; i < DIM; i++)
                    PV_TRY(compare(d, "attention", y, at + i, expected[i], ATTENTION, err));
            }
    return PSGVIT_OK;
}

static psgvit_status try_attention(vk_device *d, const trial *t, pv_buffer *x, pv_buffer *y,
                                   psgvit_error *err)
{
    pv_attention_shape shape = {SEQUENCES, TOKENS, TOKENS, HEADS, DIM, SCALE};
    pv_tensor qkv = pv_view(x, 0, SEQUENCES * TOKENS, 3 * WIDTH);
    pv_plan *plan;
    PV_TRY(pv_plan_begin(&d->base, &plan, err));
    pv_attention(plan, pv_columns(qkv, 0, WIDTH), pv_columns(qkv, WIDTH, WIDTH),
                 pv_columns(qkv, 2 * WIDTH, WIDTH), &shape,
                 pv_view(y, 0, SEQUENCES * TOKENS, WIDTH));
    psgvit_status status = run(plan, x, t->qkv, QKV, err);
    pv_plan_destroy(plan);
    return status ? status : check_attention(d, t, y->host, err);
}

/* ---- all of it ---- */

static psgvit_status try_precision(vk_device *d, const trial *t, psgvit_precision precision,
                                   pv_buffer *x, pv_buffer *y, psgvit_error *err)
{
    pv_store *store;
    PV_TRY(pv_store_create(&d->base, precision, &store, err));
    psgvit_status status = try_linear(d, t, store, x, y, err);
    pv_store_destroy(store);
    return status;
}

/* Goes on without the matrices of a precision that has failed, if that can be. */
static psgvit_status withdraw(vk_device *d, psgvit_precision precision, psgvit_status status,
                              const psgvit_error *why, psgvit_error *err)
{
    if (status != PSGVIT_E_DEVICE || atomic_load(&d->lost))
        return pv_fail(err, status, "%s", why->message);
    pv_log_line(&d->base.log, PSGVIT_LOG_WARNING, "%s; it is used without %s", why->message,
                psgvit_precision_name(precision));
    if (precision == PSGVIT_F16)
        d->features.f16_matrix = false;
    else
        d->features.bf16_matrix = false;
    d->base.info.precisions &= ~(1u << precision);
    return PSGVIT_OK;
}

static psgvit_status try_all(vk_device *d, const trial *t, pv_buffer *x, pv_buffer *y,
                             psgvit_error *err)
{
    psgvit_error why;
    psgvit_status status = PSGVIT_OK;
    if (d->features.f16_matrix && (status = try_precision(d, t, PSGVIT_F16, x, y, &why)))
        PV_TRY(withdraw(d, PSGVIT_F16, status, &why, err));
    if (d->features.bf16_matrix && (status = try_precision(d, t, PSGVIT_BF16, x, y, &why)))
        PV_TRY(withdraw(d, PSGVIT_BF16, status, &why, err));
    /* f32 is made of f16 matrices where there are some, of plain arithmetic where they fail. */
    if (d->features.f16_matrix && (status = try_precision(d, t, PSGVIT_F32, x, y, &why)))
        PV_TRY(withdraw(d, PSGVIT_F16, status, &why, err));
    if (!d->features.f16_matrix)
        PV_TRY(try_precision(d, t, PSGVIT_F32, x, y, err));
    return try_attention(d, t, x, y, err);
}

psgvit_status pv_vk_self_test(vk_device *device, psgvit_error *err)
{
    pv_buffer *x = NULL, *y = NULL;
    trial *t = malloc(sizeof *t);
    if (!t)
        return pv_fail_memory(err, "a self-test", sizeof *t);
    fill(t->x, ROWS * INPUTS, 1);
    fill(t->weight, OUTPUTS * INPUTS, 2);
    fill(t->bias, OUTPUTS, 3);
    fill(t->qkv, QKV, 4);
    psgvit_status status = pv_buffer_create(&device->base, QKV, PV_HOST, &x, err);
    if (!status)
        status = pv_buffer_create(&device->base, QKV, PV_HOST, &y, err);
    if (!status)
        status = try_all(device, t, x, y, err);
    pv_buffer_destroy(&device->base, y);
    pv_buffer_destroy(&device->base, x);
    free(t);
    return status;
}
