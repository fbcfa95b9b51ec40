/* SPDX-License-Identifier: MIT */
/*
 * What a device has to prove, against the same in double on the CPU: attention and linear layers in
 * f32 when it is opened, linear layers in f16 or bf16 before there are weights of that precision.
 * Each class of tiles that it may choose is tried, since a driver can get one wrong and another
 * right. The kernels are those that OSF and EEGPT need for a layer with GELU, so that trying them
 * costs no pipeline that isn't used afterwards.
 */
#include "vulkan/linear.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a linear layer: more than one of any tile, and none is filled. A class that adds its sums up
 * in chunks of k does so here if it does for the widths of the models, 512 and 768. */
enum {
    MOST_ROWS = 200,
    SOFTWARE_ROWS = 40, /* its tiles are small, and it slow */
    INPUTS = 420,
    OUTPUTS = 140,
};

/* What right arithmetic stays well below: of the sum of magnitudes of a product, and of the largest
 * value of an attention. */
static const double LINEAR_F32 = 16.0 / (1 << 24), LINEAR_F16 = 1.1 / (1 << 10),
                    LINEAR_BF16 = 1.1 / (1 << 7), ATTENTION = 2e-5;

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

/* Runs the plan that `x` is bound to, filled with `count` values, and `y`, filled with NaN: what is
 * not written is wrong. */
static psgvit_status run(pv_plan *plan, pv_buffer *x, const float *values, size_t count,
                         pv_buffer *y, psgvit_error *err)
{
    PV_TRY(pv_plan_finish(plan, err));
    memcpy(x->host, values, count * sizeof *values);
    memset(y->host, 0xff, y->floats * sizeof *y->host);
    return pv_plan_submit(plan, err);
}

/* ---- linear layers ---- */

typedef struct trial {
    size_t rows;
    float x[MOST_ROWS * INPUTS], weight[INPUTS * OUTPUTS], bias[OUTPUTS]; /* W, transposed */
    double gelu[MOST_ROWS * OUTPUTS]; /* the truth */
    double size[MOST_ROWS * OUTPUTS]; /* the sum of magnitudes behind it */
} trial;

static void compute(trial *t)
{
    for (size_t i = 0; i < t->rows * OUTPUTS; i++) {
        t->gelu[i] = (double)t->bias[i % OUTPUTS];
        t->size[i] = fabs(t->gelu[i]);
    }
    for (size_t r = 0; r < t->rows; r++)
        for (size_t k = 0; k < INPUTS; k++)
            for (size_t n = 0; n < OUTPUTS; n++) {
                double product = (double)t->x[r * INPUTS + k] * (double)t->weight[k * OUTPUTS + n];
                t->gelu[r * OUTPUTS + n] += product;
                t->size[r * OUTPUTS + n] += fabs(product);
            }
    for (size_t i = 0; i < t->rows * OUTPUTS; i++)
        t->gelu[i] *= 0.5 * (1.0 + erf(t->gelu[i] * sqrt(0.5)));
}

static void read_rows(const void *source, size_t first, size_t count, float *values)
{
    const trial *t = source;
    for (size_t i = 0; i < count * INPUTS; i++)
        values[i] = t->weight[i % INPUTS * OUTPUTS + first + i / INPUTS];
}

/* With the kernel for numbers beyond f16 if `exact`. */
static psgvit_status try_layer(vk_device *d, const trial *t, const pv_linear_weight *weight,
                               const char *op, double share, bool exact, pv_buffer *x,
                               pv_buffer *y, psgvit_error *err)
{
    pv_plan *plan;
    PV_TRY(pv_plan_begin(&d->base, &plan, err));
    plan->exact = exact;
    pv_linear(plan, pv_view(x, 0, t->rows, INPUTS), weight, PV_GELU,
              pv_view(y, 0, t->rows, OUTPUTS));
    psgvit_status status = run(plan, x, t->x, t->rows * INPUTS, y, err);
    pv_plan_destroy(plan);
    for (size_t i = 0; !status && i < t->rows * OUTPUTS; i++)
        status = compare(d, op, y->host, i, t->gelu[i], share * t->size[i], err);
    return status;
}

static psgvit_status try_classes(vk_device *d, const trial *t, pv_store *store, pv_buffer *x,
                                 pv_buffer *y, psgvit_error *err)
{
    const char *precision = psgvit_precision_name(store->precision);
    const double share = store->precision == PSGVIT_F32   ? LINEAR_F32
                         : store->precision == PSGVIT_F16 ? LINEAR_F16
                                                          : LINEAR_BF16;
    pv_rows rows = {OUTPUTS, INPUTS, read_rows, t};
    pv_linear_weight weight;
    char op[96];
    PV_TRY(pv_store_matrix(store, &rows, &weight.matrix, err));
    PV_TRY(pv_store_tensor(store, t->bias, 1, OUTPUTS, &weight.bias, err));
    vk_matrix *matrix = (vk_matrix *)weight.matrix; /* of a store that nobody else has */
    const vk_tiles tiles = pv_vk_choices(d, matrix->layout);
    for (size_t i = 0; i < tiles.count; i++) {
        matrix->tile = &tiles.at[i];
        if (!pv_vk_tile_runs(d, matrix->layout, matrix->tile))
            continue;
        snprintf(op, sizeof op, "linear layer in %s with tiles of %u x %u x %u", precision,
                 matrix->tile->bm, matrix->tile->bn, matrix->tile->bk);
        PV_TRY(try_layer(d, t, &weight, op, share, false, x, y, err));
    }
    if (matrix->layout != VK_LAYOUT_SPLIT)
        return PSGVIT_OK;
    return try_layer(d, t, &weight, "linear layer in f32 beyond f16", share, true, x, y, err);
}

/* The last class is what is left where no other suits. */
static psgvit_status check_limits(const vk_device *d, psgvit_precision precision,
                                  psgvit_error *err)
{
    const vk_layout layout = pv_vk_layout_of(d, precision);
    const vk_tiles tiles = pv_vk_choices(d, layout);
    const vk_lack lack = pv_vk_tile_lacks(d, layout, &tiles.at[tiles.count - 1]);
    if (!lack.limit)
        return PSGVIT_OK;
    return pv_fail(err, PSGVIT_E_DEVICE,
                   "%s: its %s is %llu, expected at least %llu for a linear layer in %s%s",
                   d->name, lack.limit, (unsigned long long)lack.found,
                   (unsigned long long)lack.needed, psgvit_precision_name(precision),
                   layout == VK_LAYOUT_F32 ? "" : " by fast matrices");
}

static psgvit_status try_precision(vk_device *d, const trial *t, psgvit_precision precision,
                                   psgvit_error *err)
{
    pv_buffer *x = NULL, *y = NULL;
    pv_store *store = NULL;
    psgvit_status status = pv_vk_store_create_unproven(d, precision, &store, err);
    if (!status)
        status = pv_buffer_create(&d->base, t->rows * INPUTS, PV_HOST, &x, err);
    if (!status)
        status = pv_buffer_create(&d->base, t->rows * OUTPUTS, PV_HOST, &y, err);
    if (!status)
        status = try_classes(d, t, store, x, y, err);
    pv_buffer_destroy(&d->base, y);
    pv_buffer_destroy(&d->base, x);
    pv_store_destroy(store);
    return status;
}

psgvit_status pv_vk_prove(vk_device *d, psgvit_precision precision, psgvit_error *err)
{
    atomic_bool *proven = &d->proven[pv_vk_layout_of(d, precision)];
    if (atomic_load(proven))
        return PSGVIT_OK;
    PV_TRY(check_limits(d, precision, err));
    trial *t = malloc(sizeof *t);
    if (!t)
        return pv_fail_memory(err, "a self-test", sizeof *t);
    t->rows = d->base.info.type == PSGVIT_DEVICE_SOFTWARE ? SOFTWARE_ROWS : MOST_ROWS;
    fill(t->x, t->rows * INPUTS, 1);
    fill(t->weight, OUTPUTS * INPUTS, 2);
    fill(t->bias, OUTPUTS, 3);
    compute(t);
    psgvit_status status = try_precision(d, t, precision, err);
    free(t);
    if (!status)
        atomic_store(proven, true);
    return status;
}

/* ---- attention ---- */

enum { KEYS = 45, HEADS = 3, DIM = 20, WIDTH = HEADS * DIM, SEQUENCES = 96,
       QKV = SEQUENCES * KEYS * 3 * WIDTH,
       SCALE = 4 }; /* scores so far apart that a softmax which overflows or rounds is seen */

/* Of one query of one head: DIM values. qkv [SEQUENCES * KEYS, 3 * WIDTH] */
static void attend(const float *qkv, const pv_attention_shape *s, size_t sequence, size_t query,
                   size_t head, double *y)
{
    const float *q = qkv + (sequence * s->queries + query) * 3 * WIDTH + head * DIM;
    const float *rows = qkv + sequence * KEYS * 3 * WIDTH + head * DIM;
    double score[KEYS], most = -1e300, sum = 0.0;
    for (size_t j = 0; j < KEYS; j++) {
        score[j] = 0.0;
        for (size_t i = 0; i < DIM; i++)
            score[j] += (double)SCALE * (double)q[i] * (double)rows[j * 3 * WIDTH + WIDTH + i];
        most = fmax(most, score[j]);
    }
    memset(y, 0, DIM * sizeof *y);
    for (size_t j = 0; j < KEYS; j++) {
        double p = exp(score[j] - most);
        sum += p;
        for (size_t i = 0; i < DIM; i++)
            y[i] += p * (double)rows[j * 3 * WIDTH + 2 * WIDTH + i];
    }
    for (size_t i = 0; i < DIM; i++)
        y[i] /= sum;
}

/* All that the first sequence and some others have. */
static psgvit_status check_attention(const vk_device *d, const pv_attention_shape *s,
                                     const float *qkv, const float *y, psgvit_error *err)
{
    double expected[DIM];
    for (size_t i = 0; i < s->sequences; i += 19)
        for (size_t r = 0; r < s->queries; r++)
            for (size_t h = 0; h < HEADS; h++) {
                size_t at = (i * s->queries + r) * WIDTH + h * DIM;
                attend(qkv, s, i, r, h, expected);
                for (size_t c = 0; c < DIM; c++)
                    PV_TRY(compare(d, "attention", y, at + c, expected[c], ATTENTION, err));
            }
    return PSGVIT_OK;
}

static psgvit_status try_attention(vk_device *d, const pv_attention_shape *s, const float *qkv,
                                   pv_buffer *x, pv_buffer *y, psgvit_error *err)
{
    pv_tensor all = pv_view(x, 0, s->sequences * KEYS, 3 * WIDTH);
    pv_tensor q = pv_columns(all, 0, WIDTH);
    pv_plan *plan;
    q.rows = s->sequences * s->queries;
    PV_TRY(pv_plan_begin(&d->base, &plan, err));
    pv_attention(plan, q, pv_columns(all, WIDTH, WIDTH), pv_columns(all, 2 * WIDTH, WIDTH), s,
                 pv_view(y, 0, q.rows, WIDTH));
    psgvit_status status = run(plan, x, qkv, QKV, y, err);
    pv_plan_destroy(plan);
    return status ? status : check_attention(d, s, qkv, y->host, err);
}

/* Tiles of 16, 32 and 48 queries (attention.c): one of each is the best for one of these. A GPU
 * takes the larger ones only where there are many. */
static psgvit_status try_attentions(vk_device *d, const float *qkv, psgvit_error *err)
{
    const size_t many = d->base.info.type == PSGVIT_DEVICE_SOFTWARE ? 2 : SEQUENCES;
    const pv_attention_shape shapes[] = {{2, 13, KEYS, HEADS, DIM, SCALE},
                                         {many, 32, KEYS, HEADS, DIM, SCALE},
                                         {many, KEYS, KEYS, HEADS, DIM, SCALE}};
    pv_buffer *x = NULL, *y = NULL;
    psgvit_status status = pv_buffer_create(&d->base, QKV, PV_HOST, &x, err);
    if (!status)
        status = pv_buffer_create(&d->base, QKV / 3, PV_HOST, &y, err);
    for (size_t i = 0; !status && i < sizeof shapes / sizeof *shapes; i++)
        status = try_attention(d, &shapes[i], qkv, x, y, err);
    pv_buffer_destroy(&d->base, y);
    pv_buffer_destroy(&d->base, x);
    return status;
}

/* ---- a new device ---- */

/* f32 is made of f16 matrices where there are some, of plain arithmetic where they fail. */
static psgvit_status prove_f32(vk_device *d, psgvit_error *err)
{
    psgvit_error why;
    psgvit_status status = pv_vk_prove(d, PSGVIT_F32, &why);
    if (status == PSGVIT_E_DEVICE && d->features.f16_matrix && !atomic_load(&d->lost)) {
        pv_log_line(&d->base.log, PSGVIT_LOG_WARNING, "%s; it is used without f16", why.message);
        d->features.f16_matrix = false;
        d->base.info.precisions &= ~(1u << PSGVIT_F16);
        status = pv_vk_prove(d, PSGVIT_F32, &why);
    }
    return status ? pv_fail(err, status, "%s", why.message) : PSGVIT_OK;
}

psgvit_status pv_vk_self_test(vk_device *device, psgvit_error *err)
{
    PV_TRY(prove_f32(device, err));
    float *qkv = malloc(QKV * sizeof *qkv);
    if (!qkv)
        return pv_fail_memory(err, "a self-test", QKV * sizeof *qkv);
    fill(qkv, QKV, 4);
    psgvit_status status = try_attentions(device, qkv, err);
    free(qkv);
    return status;
}
