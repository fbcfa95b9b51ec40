/* SPDX-License-Identifier: MIT */
/*
 * What the interface promises about odd samples: the three policies, the clamp of OSF, and that an
 * epoch of NaN never touches its neighbours, at every instruction set.
 */
#include "unit/job.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EPOCHS = 5 };

typedef void (*body_fn)(const vector_case *c, const vector_encoder *e);

/* Runs `body` for each model, with one thread and with two, at each instruction set. */
static void for_each(body_fn body)
{
    psgvit_isa best = job_best_isa();
    for (int m = 0; m < 2; m++) {
        vector_case c;
        vector_open(&c, TESTS_DIR "/vectors", job_cases[m], 0);
        for (int threads = 1; threads <= 2; threads++)
            for (psgvit_isa isa = PSGVIT_ISA_C; isa <= best; isa++) {
                vector_encoder e;
                psgvit_device *device = job_device(threads, isa);
                vector_encoder_open(&e, &c, device);
                body(&c, &e);
                vector_encoder_close(&e);
                psgvit_device_close(&device);
            }
        vector_close(&c);
    }
}

static float *sample(const vector_case *c, const test_job *job, size_t epoch, size_t channel,
                     size_t at)
{
    float *signal = (float *)(uintptr_t)job->signal;
    return signal + (epoch * c->channels + channel) * c->samples + at;
}

static void fill(const vector_case *c, const test_job *job, size_t epoch, float value)
{
    for (size_t i = 0; i < c->channels * c->samples; i++)
        *sample(c, job, epoch, 0, i) = value;
}

/* Output i of epoch k of two jobs: the same bits? */
static bool same_bits(const vector_case *c, const test_job *a, const test_job *b, size_t i,
                      size_t k)
{
    size_t each = job_each(c, i);
    return !memcmp(a->out[i] + k * each, b->out[i] + k * each, each * sizeof(float));
}

static void assert_same(const vector_case *c, const test_job *a, const test_job *b)
{
    for (size_t i = 0; i < c->output_count; i++)
        for (size_t k = 0; k < a->epochs; k++)
            assert_true(same_bits(c, a, b, i, k));
}

/* ---- neighbours ---- */

static void neighbours(const vector_case *c, const vector_encoder *e)
{
    static const size_t batches[] = {2, EPOCHS};
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        test_job clean = job_make(c, EPOCHS);
        clean.batch = batches[b];
        job_run(e, &clean);
        for (size_t bad = 0; bad < EPOCHS; bad++) {
            test_job job = job_make(c, EPOCHS);
            job.batch = batches[b];
            job.nan = PSGVIT_NAN_PROPAGATE;
            fill(c, &job, bad, NAN);
            job_run(e, &job);
            for (size_t i = 0; i < c->output_count; i++)
                for (size_t k = 0; k < EPOCHS; k++) {
                    if (k != bad) {
                        assert_true(same_bits(c, &job, &clean, i, k));
                        job_assert_true(c, &job, i, k);
                        continue;
                    }
                    for (size_t j = 0; j < job_each(c, i); j++)
                        assert_true(isnan(job.out[i][k * job_each(c, i) + j]));
                }
            /* What NaN left in the scratch memory is never read. */
            test_job after = job_make(c, EPOCHS);
            after.batch = batches[b];
            job_run(e, &after);
            assert_same(c, &after, &clean);
            job_free(&after);
            job_free(&job);
        }
        job_free(&clean);
    }
}

static void test_neighbours(void **state)
{
    (void)state;
    for_each(neighbours);
}

/* ---- policies ---- */

static void refuse(const vector_case *c, const vector_encoder *e)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    static const size_t epochs[] = {0, 2, EPOCHS - 1};
    for (size_t v = 0; v < 3; v++) {
        psgvit_error err;
        char part[128];
        test_job job = job_make(c, EPOCHS);
        size_t channel = v ? c->channels - 1 : 1, at = v == 1 ? c->samples - 1 : 300 * (v / 2);
        job.batch = 2;
        job.first_epoch = 1000;
        *sample(c, &job, epochs[v], channel, at) = values[v];
        assert_int_equal(job_encode(e, &job, &err), PSGVIT_E_INPUT);
        snprintf(part, sizeof part, "epoch %zu, channel %zu", 1000 + epochs[v], channel);
        job_assert_says(&err, PSGVIT_E_INPUT, part);
        snprintf(part, sizeof part, "sample %zu is %s,", at, v ? "infinite" : "NaN");
        job_assert_says(&err, PSGVIT_E_INPUT, part);
        if (e->osf) /* its leads have names */
            job_assert_says(&err, PSGVIT_E_INPUT, v ? "(EEG_C4_A1)" : "(EMG_Chin)");
        *sample(c, &job, epochs[v], channel, at) = 0.0f;
        job_run(e, &job);
        job_free(&job);
    }
}

static void zero(const vector_case *c, const vector_encoder *e)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    for (int no_clamp = 0; no_clamp < 2; no_clamp++) {
        test_job zeros = job_make(c, EPOCHS), job = job_make(c, EPOCHS);
        for (size_t k = 0; k < EPOCHS; k++)
            for (size_t i = 0; i < c->channels * c->samples; i += k + 3) {
                *sample(c, &zeros, k, 0, i) = 0.0f;
                *sample(c, &job, k, 0, i) = values[i % 3];
            }
        zeros.no_clamp = job.no_clamp = no_clamp;
        job.nan = PSGVIT_NAN_ZERO;
        job_run(e, &zeros);
        job_run(e, &job);
        assert_same(c, &job, &zeros);
        job_free(&zeros);
        job_free(&job);
    }
}

static void one_nan(const vector_case *c, const vector_encoder *e)
{
    test_job job = job_make(c, 2);
    job.nan = PSGVIT_NAN_PROPAGATE;
    *sample(c, &job, 1, c->channels - 1, c->samples / 2) = NAN;
    job_run(e, &job);
    for (size_t i = 0; i < c->output_count; i++)
        job_assert_true(c, &job, i, 0);
    /* Attention carries it to CLS; in EEGPT to its own patch, and the probe to every logit. */
    size_t last = e->osf ? 0 : 1, found = 0;
    for (size_t j = 0; j < job_each(c, last); j++)
        found += isnan(job.out[last][job_each(c, last) + j]) != 0;
    assert_int_equal(found, job_each(c, last));
    job_free(&job);
}

static void test_refuse(void **state)
{
    (void)state;
    for_each(refuse);
}

static void test_zero(void **state)
{
    (void)state;
    for_each(zero);
}

static void test_one_nan(void **state)
{
    (void)state;
    for_each(one_nan);
}

/* ---- the clamp, and values at the edges of float32 ---- */

/* The same as the run with `stand_in` in the place of `value`, for OSF with its clamp. */
static void clamp(const vector_case *c, const vector_encoder *e)
{
    static const struct {
        float value, stand_in;
        psgvit_nan_policy nan;
    } pairs[] = {{1e38f, 6, 0},
                 {-1e38f, -6, 0},
                 {FLT_MAX, 6, 0},
                 {6.0000005f, 6, 0},
                 {INFINITY, 6, PSGVIT_NAN_PROPAGATE},
                 {-INFINITY, -6, PSGVIT_NAN_PROPAGATE},
                 {INFINITY, 0, PSGVIT_NAN_ZERO}};
    for (size_t p = 0; e->osf && p < sizeof pairs / sizeof pairs[0]; p++) {
        test_job job = job_make(c, 2), other = job_make(c, 2);
        for (size_t i = 0; i < 1000; i++) {
            *sample(c, &job, 1, 2, i) = pairs[p].value;
            *sample(c, &other, 1, 2, i) = pairs[p].stand_in;
        }
        job.nan = pairs[p].nan;
        job_run(e, &job);
        other.no_clamp = 0;
        job_run(e, &other);
        assert_same(c, &job, &other);
        if (pairs[p].stand_in != 0) {
            job.no_clamp = 1; /* and without the clamp not */
            job_run(e, &job);
            assert_false(same_bits(c, &job, &other, 0, 1) && p != 3);
        }
        job_free(&job);
        job_free(&other);
    }
}

static void extremes(const vector_case *c, const vector_encoder *e)
{
    static const float values[] = {0.0f, -0.0f, 1e-40f, -1e-45f, FLT_MIN, 1e15f, 1e38f};
    test_job zeros = job_make(c, 3);
    fill(c, &zeros, 1, 0.0f);
    zeros.no_clamp = 1;
    job_run(e, &zeros);
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        test_job job = job_make(c, 3);
        fill(c, &job, 1, values[v]);
        job.no_clamp = 1;
        job_run(e, &job);
        for (size_t i = 0; i < c->output_count; i++) {
            size_t each = job_each(c, i);
            assert_true(same_bits(c, &job, &zeros, i, 0));
            assert_true(same_bits(c, &job, &zeros, i, 2));
            for (size_t j = each; j < 2 * each && fabsf(values[v]) < 1e38f; j++) {
                assert_true(isfinite(job.out[i][j]));
                if (fabsf(values[v]) < 1e-30f)
                    assert_true(fabsf(job.out[i][j] - zeros.out[i][j]) < 1e-6f);
            }
        }
        job_free(&job);
    }
    job_free(&zeros);
}

static void test_clamp(void **state)
{
    (void)state;
    for_each(clamp);
}

static void test_extremes(void **state)
{
    (void)state;
    for_each(extremes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours), cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_zero),       cmocka_unit_test(test_one_nan),
        cmocka_unit_test(test_clamp),      cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests_name("api: signals", tests, NULL, NULL);
}
