/* SPDX-License-Identifier: MIT */
/*
 * What a device has to prove, against the same in double on the CPU: attention and the MLP of a
 * block, in f32 when it is opened, in f16 or bf16 before there are weights of that precision. The
 * MLP's second layer is computed in each class of tiles that the device may choose, and attention
 * with each team, since a driver can get one wrong and another right. The kernels are those that
 * the models use, with the same constants, so that little is compiled that isn't needed afterwards.
 */
#include "vulkan/attention.h"
#include "vulkan/linear.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the MLP: more than one of any tile, and none is filled. A class that adds its sums up in
 * chunks of k does so here if it does for the widths of the models, 512 and 768. */
enum {
    MOST_ROWS = 200,
    SOFTWARE_ROWS = 40, /* its tiles are small, and it slow */
    WIDE = 144,         /* columns of x; whole tiles, as operands have */
    HIDDEN = 512,       /* each class takes a k of so many */
    PADDED_ROWS = (MOST_ROWS + PV_FORM_TILE - 1) / PV_FORM_TILE * PV_FORM_TILE,
    EACH = 5, /* so many rows one is checked: of each remainder, whatever a tile's rows are */
};

/* What right arithmetic stays well below: of the spread of an MLP's result, and of the largest
 * value of an attention. In a model of the arithmetic the largest errors are 0.19 of this in f16
 * and bf16, in float32 0.07 with rounded sums and 0.33 where each of 64 additions is cut off; f16
 * in the place of float32 makes 40. Of attention: 0.2 in f16 and bf16. */
static const double MLP_F32 = 256.0 / (1 << 24), MLP_F16 = 8.0 / (1 << 11),
                    MLP_BF16 = 8.0 / (1 << 8), ATTENTION_F32 = 2e-5, ATTENTION_F16 = 4e-3,
                    ATTENTION_BF16 = 4e-2;
static const float EPSILON = 1e-5f;

/* Of attention; between linear layers: two epochs of OSF and two heads. */
enum {
    MOST_KEYS = 91,
    MOST_DIM = 64,
    TEAM_ROWS = 2 * MOST_KEYS,
    TEAM_PADDED = (TEAM_ROWS + PV_FORM_TILE - 1) / PV_FORM_TILE * PV_FORM_TILE,
    TEAM_WIDTH = 2 * MOST_DIM,
    TEAM_QKV = TEAM_ROWS * 3 * TEAM_WIDTH,
};

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

/* ---- the MLP of a block: x += W2 gelu(W1 norm(x) + b1) + b2 ---- */

typedef struct trial {
    size_t rows;
    float x[MOST_ROWS * WIDE], gamma[WIDE], beta[WIDE];
    float w1[HIDDEN * WIDE], b1[HIDDEN], w2[WIDE * HIDDEN], b2[WIDE];
    float qkv[TEAM_QKV];
    double y[MOST_ROWS * WIDE];      /* the truth */
    double spread[MOST_ROWS * WIDE]; /* the root of the sum of all squares that were added */
} trial;

/* The buffers and weights of a trial on a device. */
typedef struct bench {
    pv_store *store;
    pv_buffer *x, *stream, *h, *hidden; /* [rows, WIDE], the last [rows, HIDDEN] */
    pv_tensor zeros;                    /* [1, WIDE] */
    pv_norm_weight norm;
    pv_linear_weight fc1, fc2;
    bool large; /* x is an operand, as a large stream is */
} bench;

static void normalise(const trial *t, const float *x, double h[WIDE])
{
    double mean = 0.0, variance = 0.0;
    for (size_t c = 0; c < WIDE; c++)
        mean += (double)x[c] / WIDE;
    for (size_t c = 0; c < WIDE; c++)
        variance += ((double)x[c] - mean) * ((double)x[c] - mean) / WIDE;
    for (size_t c = 0; c < WIDE; c++)
        h[c] = ((double)x[c] - mean) / sqrt(variance + (double)EPSILON) * (double)t->gamma[c] +
               (double)t->beta[c];
}

/* One row: y and its spread. What is off in h comes from W1 and goes on through W2. */
static void compute_row(trial *t, size_t row)
{
    double h[WIDE], hidden[HIDDEN], squares[HIDDEN];
    normalise(t, t->x + row * WIDE, h);
    for (size_t n = 0; n < HIDDEN; n++) {
        double sum = (double)t->b1[n], square = sum * sum;
        for (size_t c = 0; c < WIDE; c++) {
            double product = h[c] * (double)t->w1[n * WIDE + c];
            sum += product;
            square += product * product;
        }
        hidden[n] = 0.5 * sum * (1.0 + erf(sum * sqrt(0.5)));
        squares[n] = square + 2.0 * hidden[n] * hidden[n];
    }
    for (size_t n = 0; n < WIDE; n++) {
        double sum = (double)t->x[row * WIDE + n] + (double)t->b2[n], square = sum * sum;
        for (size_t c = 0; c < HIDDEN; c++) {
            double w = (double)t->w2[n * HIDDEN + c];
            sum += hidden[c] * w;
            square += squares[c] * w * w;
        }
        t->y[row * WIDE + n] = sum;
        t->spread[row * WIDE + n] = sqrt(square);
    }
}

static void prepare(trial *t, size_t rows)
{
    t->rows = rows;
    fill(t->x, rows * WIDE, 1);
    for (size_t i = 0; i < rows * WIDE; i++)
        t->x[i] *= 16.0f; /* it must be seen beside what is added to it */
    fill(t->gamma, WIDE, 2);
    fill(t->beta, WIDE, 3);
    fill(t->w1, HIDDEN * WIDE, 4);
    fill(t->b1, HIDDEN, 5);
    fill(t->w2, WIDE * HIDDEN, 6);
    fill(t->b2, WIDE, 7);
    fill(t->qkv, TEAM_QKV, 8);
    for (size_t r = 0; r < rows; r += EACH)
        compute_row(t, r);
}

static void read_w1(const void *source, size_t first, size_t count, float *values)
{
    memcpy(values, ((const trial *)source)->w1 + first * WIDE, count * WIDE * sizeof *values);
}

static void read_w2(const void *source, size_t first, size_t count, float *values)
{
    memcpy(values, ((const trial *)source)->w2 + first * HIDDEN, count * HIDDEN * sizeof *values);
}

/* With the kernels for numbers beyond f16 if `exact`. */
static psgvit_status try_mlp(vk_device *d, const trial *t, const bench *b, const char *op,
                             bool exact, psgvit_error *err)
{
    const double share = b->store->precision == PSGVIT_F32   ? MLP_F32
                         : b->store->precision == PSGVIT_F16 ? MLP_F16
                                                             : MLP_BF16;
    pv_plan *plan;
    PV_TRY(pv_plan_begin(&d->base, &plan, err));
    plan->exact = exact;
    pv_tensor given = pv_view(b->x, 0, t->rows, WIDE);
    pv_tensor x = pv_view(b->stream, 0, t->rows, WIDE);
    if (b->large)
        x = pv_vk_large_stream(plan, b->store, x);
    pv_tensor h = pv_operand(plan, b->store, pv_view(b->h, 0, t->rows, WIDE));
    pv_tensor hidden = pv_operand(plan, b->store, pv_view(b->hidden, 0, t->rows, HIDDEN));
    pv_assemble(plan, given, b->zeros, 0, x); /* as models write it */
    pv_layernorm(plan, x, &b->norm, h);
    pv_linear(plan, h, &b->fc1, PV_GELU, hidden);
    pv_linear(plan, hidden, &b->fc2, PV_ADD, x);
    pv_select_rows(plan, x, (pv_row_range){1, 0, 1}, given);
    psgvit_status status = pv_plan_finish(plan, err);
    memcpy(b->x->host, t->x, t->rows * WIDE * sizeof *t->x);
    if (!status)
        status = pv_plan_submit(plan, err);
    if (!status && plan->stale)
        status = pv_fail(err, PSGVIT_E_DEVICE,
                         "%s: it computes wrong: in the self-test's %s numbers are too large",
                         d->name, op);
    pv_plan_destroy(plan);
    for (size_t r = 0; r < t->rows; r += EACH)
        for (size_t i = r * WIDE; !status && i < (r + 1) * WIDE; i++)
            status = compare(d, op, b->x->host, i, t->y[i], share * t->spread[i], err);
    return status;
}

static psgvit_status try_classes(vk_device *d, const trial *t, const bench *b, psgvit_error *err)
{
    const char *precision = psgvit_precision_name(b->store->precision);
    vk_matrix *first = (vk_matrix *)b->fc1.matrix; /* of a store that nobody else has */
    vk_matrix *second = (vk_matrix *)b->fc2.matrix;
    const vk_tiles tiles = pv_vk_choices(d, second->layout);
    bench large = *b;
    char op[96];
    large.large = true;
    first->tile = &tiles.at[tiles.count - 1];
    for (size_t i = 0; i < tiles.count; i++) {
        second->tile = &tiles.at[i];
        if (!pv_vk_tile_runs(d, second->layout, second->tile))
            continue;
        snprintf(op, sizeof op, "linear layer in %s with tiles of %u x %u x %u by %u groups",
                 precision, second->tile->bm, second->tile->bn, second->tile->bk,
                 second->tile->split);
        PV_TRY(try_mlp(d, t, b, op, false, err));
        if (second->layout == VK_LAYOUT_F16)
            PV_TRY(try_mlp(d, t, &large, op, false, err));
    }
    if (second->layout != VK_LAYOUT_SPLIT)
        return PSGVIT_OK;
    return try_mlp(d, t, b, "linear layer in f32 beyond f16", true, err);
}

/* ---- attention ---- */

/* qkv [sequences * keys, 3 * heads * dim], in [-1, 1), as an attention takes it. */
typedef struct attention_trial {
    pv_attention_shape shape;
    const float *qkv;
    const char *op;
    double tolerance;
} attention_trial;

/* Of one query of one head: dim values. */
static void attend(const attention_trial *t, size_t sequence, size_t query, size_t head, double *y)
{
    const pv_attention_shape *s = &t->shape;
    const size_t width = s->heads * s->dim;
    const float *q = t->qkv + (sequence * s->queries + query) * 3 * width + head * s->dim;
    const float *rows = t->qkv + sequence * s->keys * 3 * width + head * s->dim;
    double score[MOST_KEYS], most = -1e300, sum = 0.0;
    for (size_t j = 0; j < s->keys; j++) {
        score[j] = 0.0;
        for (size_t i = 0; i < s->dim; i++)
            score[j] += (double)s->scale * (double)q[i] * (double)rows[(3 * j + 1) * width + i];
        most = fmax(most, score[j]);
    }
    memset(y, 0, s->dim * sizeof *y);
    for (size_t j = 0; j < s->keys; j++) {
        double p = exp(score[j] - most);
        sum += p;
        for (size_t i = 0; i < s->dim; i++)
            y[i] += p * (double)rows[(3 * j + 2) * width + i];
    }
    for (size_t i = 0; i < s->dim; i++)
        y[i] /= sum;
}

/* All that the first sequence and some others have. */
static psgvit_status check_attention(const vk_device *d, const attention_trial *t, const float *y,
                                     psgvit_error *err)
{
    const pv_attention_shape *s = &t->shape;
    double expected[MOST_DIM];
    for (size_t i = 0; i < s->sequences; i += 19)
        for (size_t r = 0; r < s->queries; r++)
            for (size_t h = 0; h < s->heads; h++) {
                size_t at = ((i * s->queries + r) * s->heads + h) * s->dim;
                attend(t, i, r, h, expected);
                for (size_t c = 0; c < s->dim; c++)
                    PV_TRY(compare(d, t->op, y, at + c, expected[c], t->tolerance, err));
            }
    return PSGVIT_OK;
}

/* ---- attention between layers that change nothing ---- */

typedef struct team_bench {
    pv_store *store;
    pv_buffer *x, *qkv; /* [TEAM_ROWS, 3 * TEAM_WIDTH] */
    pv_buffer *h, *y;   /* [TEAM_ROWS, TEAM_WIDTH] */
    pv_linear_weight before, behind;
} team_bench;

/* Rows of the matrix that changes nothing; `source` is its width. */
static void read_same(const void *source, size_t first, size_t count, float *values)
{
    const size_t width = *(const size_t *)source;
    memset(values, 0, count * width * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i * width + first + i] = 1.0f;
}

static psgvit_status make_same(pv_store *store, const size_t *width, pv_linear_weight *weight,
                               psgvit_error *err)
{
    const float zeros[3 * TEAM_WIDTH] = {0};
    const pv_rows rows = {*width, *width, read_same, width, false};
    PV_TRY(pv_store_matrix(store, &rows, &weight->matrix, err));
    return pv_store_tensor(store, zeros, 1, *width, &weight->bias, err);
}

/* A team takes operands, as those of a model do; attention.comp takes float32. */
static psgvit_status try_team(vk_device *d, const attention_trial *t, const team_bench *b,
                              const vk_team *team, psgvit_error *err)
{
    pv_tensor x = pv_view(b->x, 0, TEAM_ROWS, 3 * TEAM_WIDTH), all = x;
    pv_tensor y = pv_view(b->y, 0, TEAM_ROWS, TEAM_WIDTH);
    pv_plan *plan;
    PV_TRY(pv_plan_begin(&d->base, &plan, err));
    if (team) {
        all = pv_operand(plan, b->store, pv_view(b->qkv, 0, TEAM_ROWS, 3 * TEAM_WIDTH));
        pv_linear(plan, x, &b->before, PV_PLAIN, all);
    }
    pv_tensor h = pv_operand(plan, b->store, pv_view(b->h, 0, TEAM_ROWS, TEAM_WIDTH));
    psgvit_status status = pv_vk_record_team(
        plan, pv_columns(all, 0, TEAM_WIDTH), pv_columns(all, TEAM_WIDTH, TEAM_WIDTH),
        pv_columns(all, 2 * TEAM_WIDTH, TEAM_WIDTH), &t->shape, team, h, err);
    pv_linear(plan, h, &b->behind, PV_ADD, y);
    if (!status)
        status = pv_plan_finish(plan, err);
    memcpy(b->x->host, t->qkv, TEAM_QKV * sizeof *t->qkv);
    memset(b->y->host, 0, TEAM_ROWS * TEAM_WIDTH * sizeof *b->y->host);
    if (!status)
        status = pv_plan_submit(plan, err);
    pv_plan_destroy(plan);
    return status ? status : check_attention(d, t, b->y->host, err);
}

/* With every team that the device may choose, and without. */
static psgvit_status try_each_team(vk_device *d, attention_trial *t, const team_bench *b,
                                   psgvit_error *err)
{
    vk_matrix *behind = (vk_matrix *)b->behind.matrix; /* of a store that nobody else has */
    const vk_tiles tiles = pv_vk_choices(d, behind->layout);
    const vk_teams teams = pv_vk_teams();
    const char *precision = psgvit_precision_name(b->store->precision);
    char op[96];
    behind->tile = &tiles.at[tiles.count - 1];
    t->op = op;
    for (size_t i = 0; i < teams.count; i++) {
        if (!pv_vk_team_runs(d, behind->layout, &t->shape, &teams.at[i]))
            continue;
        snprintf(op, sizeof op, "attention in %s with %u x %u subgroups", precision,
                 teams.at[i].down, teams.at[i].across);
        PV_TRY(try_team(d, t, b, &teams.at[i], err));
    }
    snprintf(op, sizeof op, "attention in front of a linear layer in %s", precision);
    return try_team(d, t, b, NULL, err);
}

static psgvit_status prepare_teams(vk_device *d, team_bench *b, psgvit_error *err)
{
    static const size_t wide = 3 * TEAM_WIDTH, width = TEAM_WIDTH;
    const vk_layout layout = pv_vk_layout_of(d, b->store->precision);
    PV_TRY(make_same(b->store, &width, &b->behind, err));
    if (layout == VK_LAYOUT_F16 || layout == VK_LAYOUT_SPLIT)
        PV_TRY(make_same(b->store, &wide, &b->before, err));
    PV_TRY(pv_buffer_create(&d->base, TEAM_QKV, PV_HOST, &b->x, err));
    PV_TRY(pv_buffer_create(&d->base, TEAM_PADDED * wide, PV_DEVICE, &b->qkv, err));
    PV_TRY(pv_buffer_create(&d->base, TEAM_PADDED * width, PV_DEVICE, &b->h, err));
    return pv_buffer_create(&d->base, TEAM_ROWS * width, PV_HOST, &b->y, err);
}

static psgvit_status try_teams(vk_device *d, pv_store *store, const float *qkv, psgvit_error *err)
{
    const double tolerance = store->precision == PSGVIT_F32   ? ATTENTION_F32
                             : store->precision == PSGVIT_F16 ? ATTENTION_F16
                                                              : ATTENTION_BF16;
    attention_trial t = {{2, MOST_KEYS, MOST_KEYS, 2, MOST_DIM, 1.0f}, qkv, "", tolerance};
    team_bench b = {.store = store};
    psgvit_status status = prepare_teams(d, &b, err);
    if (!status)
        status = try_each_team(d, &t, &b, err);
    pv_buffer_destroy(&d->base, b.y);
    pv_buffer_destroy(&d->base, b.h);
    pv_buffer_destroy(&d->base, b.qkv);
    pv_buffer_destroy(&d->base, b.x);
    return status;
}

/* ---- a precision ---- */

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

static psgvit_status store_weights(bench *b, const trial *t, psgvit_error *err)
{
    const float zeros[WIDE] = {0};
    pv_rows w1 = {HIDDEN, WIDE, read_w1, t, false}, w2 = {WIDE, HIDDEN, read_w2, t, false};
    b->norm.eps = EPSILON;
    PV_TRY(pv_store_tensor(b->store, zeros, 1, WIDE, &b->zeros, err));
    PV_TRY(pv_store_tensor(b->store, t->gamma, 1, WIDE, &b->norm.gamma, err));
    PV_TRY(pv_store_tensor(b->store, t->beta, 1, WIDE, &b->norm.beta, err));
    PV_TRY(pv_store_matrix(b->store, &w1, &b->fc1.matrix, err));
    PV_TRY(pv_store_tensor(b->store, t->b1, 1, HIDDEN, &b->fc1.bias, err));
    PV_TRY(pv_store_matrix(b->store, &w2, &b->fc2.matrix, err));
    return pv_store_tensor(b->store, t->b2, 1, WIDE, &b->fc2.bias, err);
}

static psgvit_status try_precision(vk_device *d, const trial *t, psgvit_precision precision,
                                   psgvit_error *err)
{
    bench b = {0};
    psgvit_status status = pv_vk_store_create_unproven(d, precision, &b.store, err);
    if (!status)
        status = store_weights(&b, t, err);
    if (!status)
        status = pv_buffer_create(&d->base, t->rows * WIDE, PV_HOST, &b.x, err);
    if (!status)
        status = pv_buffer_create(&d->base, PADDED_ROWS * WIDE, PV_DEVICE, &b.stream, err);
    if (!status)
        status = pv_buffer_create(&d->base, PADDED_ROWS * WIDE, PV_DEVICE, &b.h, err);
    if (!status)
        status = pv_buffer_create(&d->base, PADDED_ROWS * HIDDEN, PV_DEVICE, &b.hidden, err);
    if (!status)
        status = try_classes(d, t, &b, err);
    if (!status)
        status = try_teams(d, b.store, t->qkv, err);
    pv_buffer_destroy(&d->base, b.hidden);
    pv_buffer_destroy(&d->base, b.h);
    pv_buffer_destroy(&d->base, b.stream);
    pv_buffer_destroy(&d->base, b.x);
    pv_store_destroy(b.store);
    return status;
}

/* By the elements of matrices where their places are known; by whole ones if they aren't there. */
static psgvit_status try_both_ways(vk_device *d, const trial *t, psgvit_precision precision,
                                   psgvit_error *err)
{
    const vk_layout layout = pv_vk_layout_of(d, precision);
    psgvit_error why;
    psgvit_status status = try_precision(d, t, precision, &why);
    if (status == PSGVIT_E_DEVICE && pv_vk_by_fragments(d, layout) && !atomic_load(&d->lost)) {
        pv_log_line(&d->base.log, PSGVIT_LOG_WARNING, "%s; its matrices are used as wholes",
                    why.message);
        atomic_store(&d->opaque[layout], true);
        status = try_precision(d, t, precision, &why);
    }
    return status ? pv_fail(err, status, "%s", why.message) : PSGVIT_OK;
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
    prepare(t, d->base.info.type == PSGVIT_DEVICE_SOFTWARE ? SOFTWARE_ROWS : MOST_ROWS);
    psgvit_status status = try_both_ways(d, t, precision, err);
    free(t);
    if (!status)
        atomic_store(proven, true);
    return status;
}

/* ---- attention in f32, which every device has ---- */

enum { KEYS = 45, HEADS = 3, DIM = 20, SEQUENCES = 96, QKV = SEQUENCES * KEYS * 3 * HEADS * DIM,
       SCALE = 4 }; /* scores so far apart that a softmax which overflows or rounds is seen */

static psgvit_status try_attention(vk_device *d, const attention_trial *t, pv_buffer *x,
                                   pv_buffer *y, psgvit_error *err)
{
    const pv_attention_shape *s = &t->shape;
    const size_t width = s->heads * s->dim;
    pv_tensor all = pv_view(x, 0, s->sequences * s->keys, 3 * width), q = pv_columns(all, 0, width);
    pv_plan *plan;
    q.rows = s->sequences * s->queries;
    PV_TRY(pv_plan_begin(&d->base, &plan, err));
    pv_attention(plan, q, pv_columns(all, width, width), pv_columns(all, 2 * width, width), s,
                 pv_view(y, 0, q.rows, width));
    psgvit_status status = pv_plan_finish(plan, err);
    memcpy(x->host, t->qkv, QKV * sizeof *t->qkv);
    memset(y->host, 0xff, y->floats * sizeof *y->host); /* NaN: what is not written is wrong */
    if (!status)
        status = pv_plan_submit(plan, err);
    pv_plan_destroy(plan);
    return status ? status : check_attention(d, t, y->host, err);
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
    for (size_t i = 0; !status && i < sizeof shapes / sizeof *shapes; i++) {
        const attention_trial t = {shapes[i], qkv, "attention", ATTENTION_F32};
        status = try_attention(d, &t, x, y, err);
    }
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
