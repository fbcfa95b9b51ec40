/* SPDX-License-Identifier: MIT */
/* Attention, see cases.h. */
#include "ops/cases.h"
#include "ops/ops_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static cases_attend attend;       /* in place of pv_attention */
static cases_attend attend_alone; /* that gives the same bits */

/* Within `tolerance`; rows of y lie as those of q. */
static void check_attention(pv_tensor q, pv_tensor k, pv_tensor v, const pv_attention_shape *s,
                            pv_tensor y, double tolerance)
{
    double *p = malloc(s->keys * sizeof *p);
    for (size_t i = 0; i < q.rows; i++)
        for (size_t h = 0; h < s->heads; h++) {
            size_t first = i / s->queries * s->keys;
            double sum = 0;
            for (size_t j = 0; j < s->keys; j++) {
                p[j] = 0;
                for (size_t c = h * s->dim; c < (h + 1) * s->dim; c++)
                    p[j] += (double)at(q, i, c) * (double)at(k, first + j, c);
                sum += p[j] = exp((double)s->scale * p[j]);
            }
            for (size_t c = h * s->dim; c < (h + 1) * s->dim; c++) {
                double out = 0;
                for (size_t j = 0; j < s->keys; j++)
                    out += p[j] / sum * (double)at(v, first + j, c);
                near(at(y, i, c), out, tolerance, "attention", i, c);
            }
        }
    check_guards(y);
    free(p);
}

static void attention_case(pv_attention_shape s)
{
    size_t width = s.heads * s.dim;
    pv_tensor q = random_rows(s.sequences * s.queries, width, 5);
    pv_tensor k = random_rows(s.sequences * s.keys, width, 7);
    pv_tensor v = random_rows(s.sequences * s.keys, width, 1);
    pv_tensor y = poisoned_rows(q.rows, width, 3);
    pv_plan *plan = begin();
    pv_attention(plan, q, k, v, &s, y);
    run(plan, 2);
    check_attention(q, k, v, &s, y, 2e-6);
    release(q);
    release(k);
    release(v);
    release(y);
}

/* The result as an operand, seen through a linear layer that changes nothing. A last value of v of
 * `large` is too much for some kernels: recorded anew it is right. */
static void operand_case(pv_attention_shape s, float large)
{
    size_t width = s.heads * s.dim;
    weight w = make_identity(width);
    pv_tensor q = random_rows(s.sequences * s.queries, width, 4);
    pv_tensor y = poisoned_rows(q.rows, width, 0);
    pv_tensor kv = random_rows(s.sequences * s.keys, 2 * width, 8), k = pv_columns(kv, 0, width);
    pv_tensor v = pv_columns(kv, width, width), out = poisoned_rows(q.rows, width, 1);
    if (large > 0.0f)
        v.buffer->host[v.offset + (v.rows - 1) * v.stride + width - 1] = large;
    bool exact = false;
    do {
        pv_plan *plan = begin();
        plan->exact = exact;
        pv_tensor operand = pv_operand(plan, w.store, y);
        attend(plan, q, k, v, &s, operand);
        pv_linear(plan, operand, &w.linear, PV_PLAIN, out);
        exact = wants_exact(plan);
    } while (exact);
    check_around(y);
    check_attention(q, k, v, &s, out,
                    (precision == PSGVIT_F32 ? 2e-6 : 3 * rounding()) * fmax(1.0, (double)large));
    release(q);
    release(kv);
    release(y);
    release(out);
    free_weight(&w);
}

static void test_attention(void **state)
{
    (void)state;
    attention_case((pv_attention_shape){1, 1, 1, 1, 1, 1.0f});
    attention_case((pv_attention_shape){2, 91, 91, 3, 64, 0.125f});
    attention_case((pv_attention_shape){5, 26, 26, 2, 64, 0.125f});
    attention_case((pv_attention_shape){3, 4, 26, 2, 32, 0.2f});
    attention_case((pv_attention_shape){2, 1, 91, 2, 64, 0.125f});
    attention_case((pv_attention_shape){2, 7, 9, 3, 20, 0.5f});
    attention_case((pv_attention_shape){1, 33, 200, 1, 3, 3.0f});
    attention_case((pv_attention_shape){1, 17, 17, 2, 130, 0.1f});
    attention_case((pv_attention_shape){2, 35, 33, 1, 256, 0.06f});
}

static void test_operand(void **state)
{
    (void)state;
    operand_case((pv_attention_shape){2, 91, 91, 3, 64, 1.0f}, 0.0f);
    operand_case((pv_attention_shape){5, 26, 26, 2, 64, 1.0f}, 0.0f);
    operand_case((pv_attention_shape){3, 4, 26, 2, 32, 1.5f}, 0.0f);
    operand_case((pv_attention_shape){2, 5, 7, 3, 16, 2.0f}, 0.0f);
    operand_case((pv_attention_shape){2, 50, 24, 2, 16, 2.0f}, 0.0f);
    operand_case((pv_attention_shape){2, 18, 20, 2, 16, 1.0f}, 1e6f);
    operand_case((pv_attention_shape){1, 128, 128, 1, 64, 1.0f}, 0.0f);
    operand_case((pv_attention_shape){1, 1, 1, 1, 128, 1.0f}, 0.0f);
    operand_case((pv_attention_shape){2, 18, 129, 1, 64, 1.0f}, 0.0f); /* by threads */
    operand_case((pv_attention_shape){2, 18, 20, 2, 20, 1.0f}, 0.0f);  /* the same */
    operand_case((pv_attention_shape){2, 18, 20, 2, 24, 1.0f}, 0.0f);  /* with edges of 16 */
    operand_case((pv_attention_shape){2, 18, 20, 2, 32, 1.0f}, 1e6f);
}

/* A query's bits don't depend on what is computed beside it. */
static void alone_case(pv_attention_shape one, bool operand)
{
    pv_attention_shape all = one;
    all.sequences = 60;
    const size_t width = all.heads * all.dim, which = 41;
    weight w = make_weight(1, 1, false);
    pv_tensor q = random_rows(all.sequences * all.queries, width, 0);
    pv_tensor kv = random_rows(all.sequences * all.keys, 2 * width, 0);
    pv_tensor k = pv_columns(kv, 0, width), v = pv_columns(kv, width, width);
    pv_tensor y = poisoned_rows(q.rows, width, 0), alone = poisoned_rows(one.queries, width, 0);
    pv_plan *plan = begin();
    if (operand) {
        y = pv_operand(plan, w.store, y);
        alone = pv_operand(plan, w.store, alone);
    }
    attend(plan, q, k, v, &all, y);
    const size_t query0 = which * one.queries, key0 = which * one.keys;
    attend_alone(plan, pv_rows_of(q, query0, one.queries), pv_rows_of(k, key0, one.keys),
                 pv_rows_of(v, key0, one.keys), &one, alone);
    run(plan, 1);
    same_bits(pv_memory_of(alone), pv_memory_of(pv_rows_of(y, query0, one.queries)), "attention");
    release(q);
    release(kv);
    release(y);
    release(alone);
    free_weight(&w);
}

static void test_alone(void **state)
{
    (void)state;
    alone_case((pv_attention_shape){1, 48, 43, 5, 64, 0.125f}, false);
}

static void test_operand_alone(void **state)
{
    (void)state;
    alone_case((pv_attention_shape){1, 48, 43, 5, 64, 0.125f}, true);
    alone_case((pv_attention_shape){1, 48, 20, 5, 16, 0.125f}, true); /* by any team of a CPU */
}

int cases_run_attention(psgvit_device *on)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_attention),
                                       cmocka_unit_test(test_alone)};
    device = on;
    precision = PSGVIT_F32;
    attend = attend_alone = pv_attention;
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}

int cases_run_operand(psgvit_device *on, psgvit_precision of, cases_attend by, cases_attend alone)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operand),
                                       cmocka_unit_test(test_operand_alone)};
    device = on;
    precision = of;
    attend = by;
    attend_alone = alone;
    return cmocka_run_group_tests_name("attention to an operand", tests, NULL, NULL);
}
