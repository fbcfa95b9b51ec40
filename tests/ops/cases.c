/* SPDX-License-Identifier: MIT */
/* See cases.h: all ops but attention. Outputs are poisoned with NaN and stand between guards. */
#include "ops/cases.h"
#include "ops/ops_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void linear_case(size_t m, size_t n, size_t k, pv_epilogue epilogue, bool bias, size_t gap)
{
    weight w = make_weight(n, k, bias);
    pv_tensor x = random_rows(m, k, gap), y = poisoned_rows(m, n, gap), before = {0};
    if (epilogue == PV_ADD) {
        before = random_rows(m, n, gap);
        memcpy(y.buffer->host, before.buffer->host, y.buffer->floats * sizeof(float));
    }
    pv_plan *plan = begin();
    pv_linear(plan, x, &w.linear, epilogue, y);
    run(plan, epilogue == PV_ADD ? 1 : 2);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = bias ? (double)at(w.bias, 0, j) : 0.0, size = fabs(sum) + 1;
            for (size_t c = 0; c < k; c++) {
                double product = (double)at(x, i, c) * (double)at(w.rows, j, c);
                sum += product;
                size += fabs(product);
            }
            sum = epilogue == PV_GELU  ? gelu(sum)
                  : epilogue == PV_ADD ? sum + (double)at(before, i, j)
                                       : sum;
            near(at(y, i, j), sum, rounding() * (2 + sqrt((double)k) / 4) * size, "linear", i, j);
        }
    check_guards(y);
    release(x);
    release(y);
    if (before.buffer)
        release(before);
    free_weight(&w);
}

/* A layer of a store of bf16 with the error of float32. */
static void test_linear_exact(void **state)
{
    (void)state;
    const size_t m = 31, n = 16, k = 2048;
    weight w = make_exact(n, k);
    pv_tensor x = random_rows(m, k, 0), y = poisoned_rows(m, n, 0);
    pv_plan *plan = begin();
    pv_linear(plan, x, &w.linear, PV_PLAIN, y);
    run(plan, 2);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = (double)at(w.bias, 0, j);
            for (size_t c = 0; c < k; c++)
                sum += (double)at(x, i, c) * (double)at(w.rows, j, c);
            near(at(y, i, j), sum, 1e-4, "exact linear", i, j);
        }
    release(x);
    release(y);
    free_weight(&w);
}

/* One number beyond what a kernel takes, wherever it stands: the plan says so, and recorded anew is
 * right. */
static void too_large_case(size_t m, size_t n, size_t k)
{
    weight w = make_weight(n, k, false);
    pv_tensor x = random_rows(m, k, 0), y = poisoned_rows(m, n, 0);
    for (size_t p = 0; p < PLACES; p++) {
        const place large = place_of(p, m, k);
        float *number = &x.buffer->host[x.offset + large.row * x.stride + large.col];
        const float own = *number;
        *number = 1e5f;
        bool exact = false;
        do {
            pv_plan *plan = begin();
            plan->exact = exact;
            pv_linear(plan, x, &w.linear, PV_PLAIN, y);
            exact = wants_exact(plan);
        } while (exact);
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0, size = 1.0;
            for (size_t c = 0; c < k; c++) {
                double product = (double)at(x, large.row, c) * (double)at(w.rows, j, c);
                sum += product;
                size += fabs(product);
            }
            /* All that is added behind it loses what the large product has no digits for. */
            near(at(y, large.row, j), sum, rounding() * (2 + (double)k / 8) * size,
                 "linear of a large number", large.row, j);
        }
        *number = own;
    }
    release(x);
    release(y);
    free_weight(&w);
}

static void test_linear(void **state)
{
    (void)state;
    const size_t sizes[][3] = {{1, 1, 1},    {1, 768, 768}, {2, 3, 5},     {7, 17, 33},
                               {13, 15, 64}, {26, 48, 385}, {91, 33, 128}, {97, 31, 1000},
                               {200, 16, 7}, {5, 200, 900}, {64, 64, 64},  {3, 1, 2048}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int epilogue = PV_PLAIN; epilogue <= PV_ADD; epilogue++) {
            linear_case(sizes[i][0], sizes[i][1], sizes[i][2], (pv_epilogue)epilogue, true, 0);
            linear_case(sizes[i][0], sizes[i][1], sizes[i][2], (pv_epilogue)epilogue, i % 2, 3);
        }
    too_large_case(37, 65, 70);
    too_large_case(49, 144, 512);
}

static void test_layernorm(void **state)
{
    (void)state;
    const size_t widths[] = {1, 2, 3, 7, 8, 15, 31, 64, 65, 96, 127, 768, 1537};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        size_t d = widths[w], m = 5;
        weight constants = make_weight(1, 1, false);
        pv_tensor gamma = random_rows(1, d, 0), beta = random_rows(1, d, 0);
        pv_norm_weight norm = {.eps = 1e-5f};
        pv_store_tensor(constants.store, gamma.buffer->host + GUARD, 1, d, &norm.gamma, &err);
        pv_store_tensor(constants.store, beta.buffer->host + GUARD, 1, d, &norm.beta, &err);
        pv_tensor x = random_rows(m, d, 2), y = poisoned_rows(m, d, 1);
        for (size_t j = 0; j < d; j++)
            x.buffer->host[GUARD + j] += 100.0f; /* a mean far from zero */
        pv_plan *plan = begin();
        pv_layernorm(plan, x, &norm, y);
        run(plan, 2);
        for (size_t i = 0; i < m; i++) {
            double mean = 0, var = 0;
            for (size_t j = 0; j < d; j++)
                mean += (double)at(x, i, j) / (double)d;
            for (size_t j = 0; j < d; j++)
                var += ((double)at(x, i, j) - mean) * ((double)at(x, i, j) - mean) / (double)d;
            for (size_t j = 0; j < d; j++)
                near(at(y, i, j),
                     ((double)at(x, i, j) - mean) / sqrt(var + 1e-5) * (double)at(gamma, 0, j) +
                         (double)at(beta, 0, j),
                     i ? 2e-6 : 4e-5 / sqrt(var + 1e-5), "layernorm", i, j);
        }
        check_guards(y);
        release(x);
        release(y);
        release(gamma);
        release(beta);
        free_weight(&constants);
    }
}

/* y may be x. */
static void test_layernorm_in_place(void **state)
{
    (void)state;
    const size_t m = 9, d = 70;
    pv_tensor x = random_rows(m, d, 3), same = poisoned_rows(m, d, 3), y = poisoned_rows(m, d, 0);
    pv_tensor gamma = random_rows(1, d, 0), beta = random_rows(1, d, 0);
    pv_norm_weight norm = {gamma, beta, 1e-5f};
    memcpy(same.buffer->host, x.buffer->host, x.buffer->floats * sizeof(float));
    pv_plan *plan = begin();
    pv_layernorm(plan, x, &norm, y);
    pv_layernorm(plan, same, &norm, same);
    run(plan, 1);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < d; j++)
            near(at(same, i, j), (double)at(y, i, j), 0, "layernorm in place", i, j);
    check_guards(same);
    release(x);
    release(same);
    release(y);
    release(gamma);
    release(beta);
}

static void patchify_case(pv_patch_shape s)
{
    size_t groups = s.channels / s.group;
    pv_tensor x = random_rows(s.epochs * s.channels, s.samples, 0);
    pv_tensor y = poisoned_rows(s.epochs * groups * s.count, s.group * s.length, 2);
    pv_plan *plan = begin();
    pv_patchify(plan, x, &s, y);
    run(plan, 2);
    for (size_t i = 0; i < y.rows; i++) {
        size_t epoch = i / (groups * s.count), token = i % (groups * s.count);
        size_t g = s.time_major ? token % groups : token / s.count;
        size_t p = s.time_major ? token / groups : token % s.count;
        for (size_t j = 0; j < y.cols; j++) {
            size_t t = p * s.stride + j % s.length;
            double truth = t < s.samples
                               ? (double)at(x, epoch * s.channels + g * s.group + j / s.length, t)
                               : 0;
            near(at(y, i, j), truth, 0, "patchify", i, j);
        }
    }
    check_guards(y);
    release(x);
    release(y);
}

static void test_patchify(void **state)
{
    (void)state;
    patchify_case((pv_patch_shape){2, 12, 256, 4, 64, 64, 4, 0});
    patchify_case((pv_patch_shape){2, 12, 128, 12, 64, 64, 2, 0});
    patchify_case((pv_patch_shape){3, 5, 100, 1, 64, 32, 3, 1}); /* padded */
    patchify_case((pv_patch_shape){1, 1, 7, 1, 4, 5, 3, 1});     /* a patch behind the end */
}

static void test_assemble(void **state)
{
    (void)state;
    for (size_t n = 0; n < 4; n++) {
        const size_t first = n % 2, d = n < 2 ? 37 : 40, gap = n < 2 ? 1 : 4;
        size_t sequences = 3, tokens = 6, given = 4;
        weight constants = make_weight(1, 1, false);
        pv_tensor rows = random_rows(tokens, d, 0), table;
        pv_store_tensor(constants.store, rows.buffer->host + GUARD, tokens, d, &table, &err);
        pv_tensor x = random_rows(sequences * given, d, gap);
        pv_tensor y = poisoned_rows(sequences * tokens, d, 2 * gap);
        pv_plan *plan = begin();
        pv_assemble(plan, x, table, first, y);
        run(plan, 2);
        for (size_t i = 0; i < y.rows; i++)
            for (size_t j = 0; j < d; j++) {
                size_t s = i / tokens, t = i % tokens;
                double truth = (double)at(rows, t, j);
                if (t >= first && t - first < given)
                    truth += (double)at(x, s * given + t - first, j);
                near(at(y, i, j), truth, 1e-7, "assemble", i, j);
            }
        check_guards(y);
        release(rows);
        release(x);
        release(y);
        free_weight(&constants);
    }
}

static void test_rows(void **state)
{
    (void)state;
    pv_row_range ranges[] = {{5, 0, 1}, {5, 1, 4}, {5, 0, 5}, {1, 0, 1}, {7, 6, 1}};
    const size_t count = sizeof ranges / sizeof *ranges;
    for (size_t r = 0; r < 2 * count; r++) {
        pv_row_range g = ranges[r % count];
        const size_t groups = 4, d = r < count ? 19 : 20, gap = r < count ? 1 : 8;
        pv_tensor x = random_rows(groups * g.group, d, gap);
        pv_tensor y = poisoned_rows(groups * g.count, d, 0), mean = poisoned_rows(groups, d, 3);
        pv_plan *plan = begin();
        pv_select_rows(plan, x, g, y);
        pv_mean_rows(plan, x, g, mean);
        run(plan, 2);
        for (size_t i = 0; i < groups; i++)
            for (size_t j = 0; j < d; j++) {
                double sum = 0;
                for (size_t k = 0; k < g.count; k++) {
                    double truth = (double)at(x, i * g.group + g.first + k, j);
                    near(at(y, i * g.count + k, j), truth, 0, "select", i, j);
                    sum += truth;
                }
                near(at(mean, i, j), sum / (double)g.count, 3e-7, "mean", i, j);
            }
        check_guards(y);
        check_guards(mean);
        release(x);
        release(y);
        release(mean);
    }
}

static void test_mix_channels(void **state)
{
    (void)state;
    size_t epochs = 2, in = 7, out = 19, samples = 101;
    weight constants = make_weight(1, 1, false);
    pv_tensor w = random_rows(out, in, 0), b = random_rows(1, out, 0), weights, bias;
    pv_store_tensor(constants.store, w.buffer->host + GUARD, out, in, &weights, &err);
    pv_store_tensor(constants.store, b.buffer->host + GUARD, 1, out, &bias, &err);
    pv_tensor x = random_rows(epochs * in, samples, 0), y = poisoned_rows(epochs * out, samples, 1);
    pv_plan *plan = begin();
    pv_mix_channels(plan, x, weights, bias, y);
    run(plan, 2);
    for (size_t i = 0; i < y.rows; i++)
        for (size_t t = 0; t < samples; t++) {
            double sum = (double)at(b, 0, i % out);
            for (size_t c = 0; c < in; c++)
                sum += (double)at(w, i % out, c) * (double)at(x, i / out * in + c, t);
            near(at(y, i, t), sum, 1e-6, "mix", i, t);
        }
    check_guards(y);
    release(w);
    release(b);
    release(x);
    release(y);
    free_weight(&constants);
}

/* A broken precondition ends in a sentence, and what is recorded behind it does nothing. */
static void test_preconditions(void **state)
{
    (void)state;
    weight w = make_weight(4, 8, true);
    pv_tensor x = random_rows(3, 8, 0), y = poisoned_rows(3, 4, 0), small = poisoned_rows(3, 3, 0);
    pv_plan *plan = begin();
    pv_linear(plan, x, &w.linear, PV_PLAIN, small);
    pv_linear(plan, x, &w.linear, PV_PLAIN, y);
    assert_int_equal(pv_plan_finish(plan, &err), PSGVIT_E_ARGUMENT);
    assert_non_null(strstr(err.message, "linear"));
    pv_plan_destroy(plan);
    plan = begin();
    pv_tensor outside = y;
    outside.rows = y.buffer->floats;
    pv_select_rows(plan, outside, (pv_row_range){1, 0, 1}, outside);
    assert_int_equal(pv_plan_finish(plan, &err), PSGVIT_E_ARGUMENT);
    pv_plan_destroy(plan);
    release(x);
    release(y);
    release(small);
    free_weight(&w);
}

/* A row's bits don't depend on the rows beside it. */
static void test_linear_alone(void **state)
{
    (void)state;
    const size_t m = 131, n = 37, k = 401, rows[] = {0, 31, 70, 130};
    weight w = make_weight(n, k, true);
    pv_tensor x = random_rows(m, k, 0), y = poisoned_rows(m, n, 0), alone = poisoned_rows(4, n, 0);
    pv_plan *plan = begin();
    pv_linear(plan, x, &w.linear, PV_GELU, y);
    for (size_t i = 0; i < 4; i++)
        pv_linear(plan, pv_rows_of(x, rows[i], 1), &w.linear, PV_GELU, pv_rows_of(alone, i, 1));
    run(plan, 1);
    for (size_t i = 0; i < 4; i++)
        same_bits(pv_rows_of(alone, i, 1), pv_rows_of(y, rows[i], 1), "linear");
    release(x);
    release(y);
    release(alone);
    free_weight(&w);
}

int cases_run(psgvit_device *on)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),       cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_patchify),     cmocka_unit_test(test_assemble),
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_mix_channels),
        cmocka_unit_test(test_preconditions), cmocka_unit_test(test_layernorm_in_place)};
    device = on;
    precision = PSGVIT_F32;
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL) + cases_run_attention(on) +
           cases_run_layers(on, PSGVIT_F32);
}

int cases_run_exact(psgvit_device *on, psgvit_precision of)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_linear_exact)};
    device = on;
    precision = of;
    return cmocka_run_group_tests_name("exact", tests, NULL, NULL);
}

int cases_run_linear(psgvit_device *on, psgvit_precision of)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_linear),
                                       cmocka_unit_test(test_linear_alone)};
    device = on;
    precision = of;
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL) + cases_run_layers(on, of);
}
