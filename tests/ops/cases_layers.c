/* SPDX-License-Identifier: MIT */
/*
 * A norm, a layer with GELU and a layer that adds, as in a block of a model: what goes from one to
 * the next is an operand, and so may be the stream that is added to, which the backend may keep in
 * a form of its own. What else writes and reads a stream. And one number of an operand that is
 * beyond what such a form holds.
 */
#include "ops/cases.h"
#include "ops/ops_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MOST_WIDTH = 512 };
static const double EPS = 1e-5, NORM_ERROR = 4e-6;
static const float LARGE = 64.0f; /* numbers of a stream, so that none is lost beside a layer's */

static void norm_row(pv_tensor x, size_t row, pv_tensor gamma, double *y)
{
    double mean = 0.0, variance = 0.0, width = (double)x.cols;
    for (size_t j = 0; j < x.cols; j++)
        mean += (double)at(x, row, j) / width;
    for (size_t j = 0; j < x.cols; j++)
        variance += pow((double)at(x, row, j) - mean, 2.0) / width;
    for (size_t j = 0; j < x.cols; j++)
        y[j] = ((double)at(x, row, j) - mean) / sqrt(variance + EPS) * (double)at(gamma, 0, j);
}

/* y = x W^T; returns the largest sum of magnitudes of a product. */
static double layer_row(const double *x, const weight *w, double *y)
{
    double most = 0.0;
    for (size_t j = 0; j < w->rows.rows; j++) {
        double size = 0.0;
        y[j] = 0.0;
        for (size_t c = 0; c < w->rows.cols; c++) {
            y[j] += x[c] * (double)at(w->rows, j, c);
            size += fabs(x[c] * (double)at(w->rows, j, c));
        }
        most = size > most ? size : most;
    }
    return most;
}

static void check_rows(pv_tensor x, pv_tensor gamma, const weight *fc1, const weight *fc2,
                       pv_tensor y)
{
    for (size_t i = 0; i < x.rows; i++) {
        double h[MOST_WIDTH], hidden[MOST_WIDTH], truth[MOST_WIDTH];
        norm_row(x, i, gamma, h);
        double size = layer_row(h, fc1, hidden);
        for (size_t j = 0; j < fc1->rows.rows; j++)
            hidden[j] = gelu(hidden[j]);
        size = size * (double)fc2->rows.cols / 2.0 + layer_row(hidden, fc2, truth);
        for (size_t j = 0; j < y.cols; j++)
            near(at(y, i, j), (double)at(x, i, j) + truth[j], rounding() * (4.0 + size), "layers",
                 i, j);
    }
}

/* Every row becomes the stream's, and is read from it again. */
static const pv_row_range ALL = {1, 0, 1};

static pv_tensor zero_row(size_t width)
{
    pv_tensor zeros = random_rows(1, width, 0);
    for (size_t j = 0; j < width; j++)
        zeros.buffer->host[GUARD + j] = 0.0f;
    return zeros;
}

static void multiply_by(pv_tensor t, float factor)
{
    for (size_t i = 0; i < t.rows * t.cols; i++)
        t.buffer->host[t.offset + i / t.cols * t.stride + i % t.cols] *= factor;
}

/* gamma is random times `large`; beyond what a kernel takes, the plan says so, and recorded anew it
 * is right. */
static void layers_case(size_t m, size_t width, size_t hidden_width, float large)
{
    weight fc1 = make_weight(hidden_width, width, false);
    weight fc2 = make_weight(width, hidden_width, false);
    pv_tensor x = random_rows(m, width, 4), gamma = random_rows(1, width, 0);
    pv_tensor beta = zero_row(width), h = poisoned_rows(m, width, 0);
    pv_tensor zeros = zero_row(width), sums = poisoned_rows(m, width, 0);
    pv_tensor hidden = poisoned_rows(m, hidden_width, 0), y = poisoned_rows(m, width, 1);
    multiply_by(x, LARGE);
    multiply_by(gamma, large);
    bool exact = false;
    do {
        pv_plan *plan = begin();
        plan->exact = exact;
        pv_norm_weight norm = {gamma, beta, (float)EPS};
        pv_tensor h_operand = pv_operand(plan, fc1.store, h);
        pv_tensor hidden_operand = pv_operand(plan, fc2.store, hidden);
        pv_tensor stream = pv_stream(plan, fc2.store, sums);
        pv_assemble(plan, x, zeros, 0, stream);
        pv_layernorm(plan, stream, &norm, h_operand);
        pv_linear(plan, h_operand, &fc1.linear, PV_GELU, hidden_operand);
        pv_linear(plan, hidden_operand, &fc2.linear, PV_ADD, stream);
        pv_select_rows(plan, stream, ALL, y);
        exact = wants_exact(plan);
    } while (exact);
    check_around(sums);
    check_around(h);
    check_around(hidden);
    check_guards(y);
    check_rows(x, gamma, &fc1, &fc2, y);
    release(x);
    release(gamma);
    release(beta);
    release(zeros);
    release(sums);
    release(h);
    release(hidden);
    release(y);
    free_weight(&fc1);
    free_weight(&fc2);
}

/* x [m, k] is normed to [m, k] and goes through a layer to [m, n]; a place is beyond f16's 65504 in
 * between, 90000, and elsewhere nothing is: the norm of a large number among small ones is the root
 * of their count. */
static void large_operand_case(size_t m, size_t k, size_t n)
{
    enum { WEIGHT = 4000 };
    weight w = make_weight(n, k, false);
    pv_tensor x = random_rows(m, k, 0), gamma = random_rows(1, k, 0), beta = random_rows(1, k, 0);
    pv_tensor h = poisoned_rows(m, k, 0), y = poisoned_rows(m, n, 0);
    for (size_t j = 0; j < k; j++)
        beta.buffer->host[GUARD + j] = 0.0f;
    for (size_t p = 0; p < PLACES; p++) {
        const place large = place_of(p, m, k);
        float *number = &x.buffer->host[GUARD + large.row * k + large.col];
        float *factor = &gamma.buffer->host[GUARD + large.col];
        const float own = *number, own_factor = *factor;
        *number = 1e4f;
        *factor = WEIGHT;
        bool exact = false;
        do {
            pv_plan *plan = begin();
            plan->exact = exact;
            pv_norm_weight norm = {gamma, beta, (float)EPS};
            pv_tensor operand = pv_operand(plan, w.store, h);
            pv_layernorm(plan, x, &norm, operand);
            pv_linear(plan, operand, &w.linear, PV_PLAIN, y);
            exact = wants_exact(plan);
        } while (exact);
        for (size_t r = 0; r < 2; r++) { /* its row, and the next one */
            const size_t i = (large.row + r) % m;
            double normed[MOST_WIDTH], truth[MOST_WIDTH];
            norm_row(x, i, gamma, normed);
            const double size = layer_row(normed, &w, truth);
            for (size_t j = 0; j < n; j++)
                near(at(y, i, j), truth[j], (8 * rounding() + NORM_ERROR) * (1 + size),
                     "large operand", i, j);
        }
        *number = own;
        *factor = own_factor;
    }
    release(x);
    release(gamma);
    release(beta);
    release(h);
    release(y);
    free_weight(&w);
}

static void test_large_operands(void **state)
{
    (void)state;
    large_operand_case(33, 512, 144);
    large_operand_case(49, 512, 144);
}

/* Tokens become a stream, of which some become another one; each is looked at, as it is and through
 * a norm. Gaps and a place that no vectors begin at leave float32 to the slow ways. */
static void stream_case(size_t sequences, size_t tokens, size_t given, size_t width, size_t gap,
                        pv_row_range keep)
{
    weight w = make_weight(1, 1, false);
    pv_tensor x = random_rows(sequences * given, width, gap);
    pv_tensor table = random_rows(tokens, width, gap);
    pv_tensor gamma = random_rows(1, width, 0), beta = zero_row(width);
    pv_tensor sums = poisoned_rows(sequences * tokens, width, 0);
    pv_tensor few = poisoned_rows(sequences * keep.count, width, 0);
    pv_tensor all = poisoned_rows(sums.rows, width, gap), y = poisoned_rows(few.rows, width, gap);
    pv_tensor normed = poisoned_rows(few.rows, width, gap);
    const pv_norm_weight norm = {gamma, beta, (float)EPS};
    multiply_by(x, LARGE);
    multiply_by(pv_rows_of(table, 0, 1), 1e-3f); /* subnormal in f16 */
    pv_plan *plan = begin();
    pv_tensor stream = pv_stream(plan, w.store, sums), kept = pv_stream(plan, w.store, few);
    pv_assemble(plan, x, table, tokens - given, stream);
    pv_select_rows(plan, stream, keep, kept);
    pv_select_rows(plan, stream, ALL, all);
    pv_select_rows(plan, kept, ALL, y);
    pv_layernorm(plan, kept, &norm, normed);
    run(plan, 2);
    for (size_t i = 0; i < all.rows; i++)
        for (size_t j = 0; j < width; j++) {
            const size_t token = i % tokens, first = tokens - given;
            double truth = (double)at(table, token, j);
            if (token >= first)
                truth += (double)at(x, i / tokens * given + token - first, j);
            near(at(all, i, j), truth, rounding() * fabs(truth) + 1e-6, "stream", i, j);
        }
    for (size_t i = 0; i < y.rows; i++) {
        double truth[MOST_WIDTH];
        const size_t from = i / keep.count * keep.group + keep.first + i % keep.count;
        same_bits(pv_rows_of(y, i, 1), pv_rows_of(all, from, 1), "kept rows");
        norm_row(y, i, gamma, truth);
        for (size_t j = 0; j < width; j++)
            near(at(normed, i, j), truth[j], NORM_ERROR, "norm of a stream", i, j);
    }
    check_around(sums);
    check_around(few);
    check_guards(all);
    check_guards(y);
    check_guards(normed);
    const pv_tensor made[] = {x, table, gamma, beta, sums, few, all, y, normed};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        release(made[i]);
    free_weight(&w);
}

static void test_stream(void **state)
{
    (void)state;
    stream_case(3, 7, 6, 48, 0, (pv_row_range){7, 0, 1});
    stream_case(2, 21, 17, 80, 4, (pv_row_range){21, 17, 4});
    stream_case(3, 7, 7, 64, 1, (pv_row_range){7, 1, 6});
    stream_case(3, 7, 6, 50, 0, (pv_row_range){7, 0, 7}); /* no whole tiles */
}

/* Without memory for whole tiles, and where every op has to be exact, a stream stays float32; what
 * is an operand, but no stream, is not added to. */
static void test_stream_conditions(void **state)
{
    (void)state;
    weight w = make_weight(64, 64, false);
    pv_tensor t = random_rows(3, 64, 0), last = pv_rows_of(t, 2, 1);
    last.offset = t.buffer->floats - last.cols;
    pv_plan *plan = begin();
    assert_int_equal(pv_stream(plan, w.store, last).form, 0);
    const pv_tensor operand = pv_operand(plan, w.store, t);
    plan->exact = true;
    assert_int_equal(pv_stream(plan, w.store, t).form, 0);
    pv_linear(plan, t, &w.linear, PV_ADD, operand);
    assert_int_equal(pv_plan_finish(plan, &err), operand.form ? PSGVIT_E_ARGUMENT : PSGVIT_OK);
    pv_plan_destroy(plan);
    release(t);
    free_weight(&w);
}

static void test_layers(void **state)
{
    (void)state;
    layers_case(5, 64, 128, 1.0f);
    layers_case(91, 128, 80, 1.0f);
    layers_case(37, 80, 256, 1.0f);
    layers_case(49, 256, 144, 1.0f);
    layers_case(33, 16, 512, 1.0f);
    layers_case(7, 70, 33, 1.0f); /* no whole tiles */
    if (precision == PSGVIT_F32)
        layers_case(19, 64, 64, 1e5f);
}

int cases_run_layers(psgvit_device *on, psgvit_precision in)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layers), cmocka_unit_test(test_stream),
                                       cmocka_unit_test(test_stream_conditions),
                                       cmocka_unit_test(test_large_operands)};
    device = on;
    precision = in;
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
