/* SPDX-License-Identifier: MIT */
/*
 * Jobs of both models: every set of outputs and every size of batch keeps the promise, what is not
 * wanted is not touched, progress and cancelling, and names of epochs.
 */
#include "unit/job.h"

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

/* A model on a CPU. */
typedef struct opened {
    psgvit_device *device;
    vector_case c;
    vector_encoder e;
} opened;

static void open_model(opened *o, int model, int threads)
{
    o->device = job_device(threads, PSGVIT_ISA_AUTO);
    vector_open(&o->c, TESTS_DIR "/vectors", job_cases[model], 0);
    vector_encoder_open(&o->e, &o->c, o->device);
}

static void close_model(opened *o)
{
    vector_encoder_close(&o->e);
    vector_close(&o->c);
    psgvit_device_close(&o->device);
}

/* Runs `body` for each model, with one thread and with two. */
static void for_each(void (*body)(const vector_case *c, const vector_encoder *e))
{
    for (int m = 0; m < 2; m++)
        for (int threads = 1; threads <= 2; threads++) {
            opened o;
            open_model(&o, m, threads);
            body(&o.c, &o.e);
            close_model(&o);
        }
}

/* ---- outputs and batches ---- */

static void every_set_of_outputs(const vector_case *c, const vector_encoder *e)
{
    for (unsigned set = 1; set < 1u << c->output_count; set++) {
        test_job job = job_make(c, EPOCHS), part = job;
        for (size_t i = 0; i < c->output_count; i++)
            if (!(set & (1u << i)))
                part.out[i] = NULL;
        job_run(e, &part);
        for (size_t i = 0; i < c->output_count; i++)
            for (size_t k = 0; part.out[i] && k < EPOCHS; k++)
                job_assert_true(c, &job, i, k);
        job_free(&job);
    }
}

static void every_batch(const vector_case *c, const vector_encoder *e)
{
    static const size_t others[] = {0, 100, SIZE_MAX};
    test_job job = job_make(c, EPOCHS);
    for (size_t b = 1; b <= EPOCHS + 3; b++) {
        job.batch = b <= EPOCHS ? b : others[b - EPOCHS - 1];
        job_clear(c, &job);
        job_run(e, &job);
        for (size_t i = 0; i < c->output_count; i++)
            for (size_t k = 0; k < EPOCHS; k++)
                job_assert_true(c, &job, i, k);
    }
    job_free(&job);
}

/* With our own kernels an epoch has the same bits alone, anywhere in a batch, and with any number
 * of threads; through OpenBLAS it need not. */
static void same_bits(const vector_case *c, psgvit_isa isa, const test_job *alone, int threads)
{
    vector_encoder e;
    psgvit_device *device = job_device(threads, isa);
    bool own = strstr(psgvit_device_get_info(device)->driver, "own") != NULL;
    vector_encoder_open(&e, c, device);
    test_job job = job_make(c, EPOCHS);
    for (size_t batch = 1; own && batch <= EPOCHS; batch++) {
        job.batch = batch;
        job_run(&e, &job);
        for (size_t i = 0; i < c->output_count; i++)
            assert_memory_equal(job.out[i], alone->out[i], job.room[i] * sizeof(float));
    }
    job_free(&job);
    vector_encoder_close(&e);
    psgvit_device_close(&device);
}

static void test_same_bits(void **state)
{
    (void)state;
    psgvit_isa best = job_best_isa();
    for (int m = 0; m < 2; m++)
        for (psgvit_isa isa = PSGVIT_ISA_C; isa <= best; isa++) {
            vector_case c;
            vector_encoder e;
            psgvit_device *device = job_device(1, isa);
            vector_open(&c, TESTS_DIR "/vectors", job_cases[m], 0);
            vector_encoder_open(&e, &c, device);
            test_job alone = job_make(&c, EPOCHS);
            alone.batch = 1;
            job_run(&e, &alone);
            for (int threads = 1; threads <= 5; threads += threads < 3 ? 1 : 2)
                same_bits(&c, isa, &alone, threads);
            job_free(&alone);
            vector_encoder_close(&e);
            vector_close(&c);
            psgvit_device_close(&device);
        }
}

/* Room behind the last float that is promised stays as it is, before and behind. */
static void nothing_beyond(const vector_case *c, const vector_encoder *e)
{
    enum { GUARD = 64 };
    test_job job = job_make(c, EPOCHS), own = job;
    float *memory[VECTOR_OUTPUTS] = {0};
    for (size_t i = 0; i < c->output_count; i++) {
        memory[i] = malloc((job.room[i] + 2 * GUARD) * sizeof(float));
        assert_non_null(memory[i]);
        for (size_t k = 0; k < job.room[i] + 2 * GUARD; k++)
            memory[i][k] = 77.5f;
        own.out[i] = memory[i] + GUARD;
        own.room[i] = job.room[i] + GUARD;
    }
    own.batch = 2;
    job_run(e, &own);
    for (size_t i = 0; i < c->output_count; i++) {
        for (size_t k = 0; k < GUARD; k++) {
            assert_true(memory[i][k] == 77.5f);
            assert_true(memory[i][GUARD + job.room[i] + k] == 77.5f);
        }
        free(memory[i]);
    }
    job_free(&job);
}

/* No epochs are a job with nothing to do. */
static int never(void *user)
{
    *(int *)user += 1;
    return 0;
}

static void never_progress(void *user, size_t done, size_t total)
{
    (void)done;
    (void)total;
    *(int *)user += 1;
}

static void no_epochs(const vector_case *c, const vector_encoder *e)
{
    int calls = 0;
    test_job job = job_make(c, 1);
    job.epochs = 0;
    job.user = &calls;
    job.cancel = never;
    job.progress = never_progress;
    job_run(e, &job);
    test_job empty = job;
    empty.signal = NULL; /* of an empty file, say */
    job_run(e, &empty);
    assert_int_equal(calls, 0);
    assert_true(isnan(job.out[0][0]));
    job_free(&job);
}

static void test_outputs(void **state)
{
    (void)state;
    for_each(every_set_of_outputs);
}

static void test_batches(void **state)
{
    (void)state;
    for_each(every_batch);
}

static void test_nothing_beyond(void **state)
{
    (void)state;
    for_each(nothing_beyond);
}

static void test_no_epochs(void **state)
{
    (void)state;
    for_each(no_epochs);
}

/* ---- callbacks ---- */

typedef struct calls {
    size_t cancels, progresses, done;
    size_t end; /* the cancel call that says yes; 0: none */
    size_t batch;
} calls;

static int count_cancel(void *user)
{
    calls *n = user;
    assert_int_equal(n->cancels, n->progresses);
    n->cancels++;
    return n->end && n->cancels == n->end ? -1 : 0;
}

static void count_progress(void *user, size_t done, size_t total)
{
    calls *n = user;
    n->progresses++;
    assert_int_equal(n->cancels, n->progresses);
    assert_int_equal(total, EPOCHS);
    assert_true(done > n->done && done - n->done <= n->batch);
    n->done = done;
}

static void callbacks(const vector_case *c, const vector_encoder *e)
{
    test_job job = job_make(c, EPOCHS);
    job.cancel = count_cancel;
    job.progress = count_progress;
    for (size_t batch = 1; batch <= EPOCHS; batch++) {
        calls n = {.batch = batch};
        job.user = &n;
        job.batch = batch;
        job_run(e, &job);
        assert_int_equal(n.done, EPOCHS);
        assert_true(n.progresses >= (EPOCHS + batch - 1) / batch);
        for (size_t end = 1; end <= n.cancels; end++) {
            psgvit_error err;
            calls m = {.batch = batch, .end = end};
            char part[64];
            job.user = &m;
            assert_int_equal(job_encode(e, &job, &err), PSGVIT_E_CANCELLED);
            snprintf(part, sizeof part, "after %zu of %d epochs", m.done, EPOCHS);
            job_assert_says(&err, PSGVIT_E_CANCELLED, part);
            assert_int_equal(m.cancels, end);
            assert_int_equal(m.progresses, end - 1);
        }
    }
    job.cancel = NULL;
    job.progress = NULL;
    job_clear(c, &job);
    job_run(e, &job);
    for (size_t k = 0; k < EPOCHS; k++)
        job_assert_true(c, &job, 0, k);
    job_free(&job);
}

static void test_callbacks(void **state)
{
    (void)state;
    for_each(callbacks);
}

/* A callback may use the encoder itself: nothing is locked meanwhile. */
typedef struct inner {
    const vector_encoder *e;
    test_job *job;
    int runs;
} inner;

static void encode_inside(void *user, size_t done, size_t total)
{
    inner *n = user;
    (void)done;
    (void)total;
    n->runs++;
    job_run(n->e, n->job);
}

static void reentrant(const vector_case *c, const vector_encoder *e)
{
    test_job outer = job_make(c, 3), own = job_make(c, 2);
    inner n = {e, &own, 0};
    outer.batch = 1;
    outer.progress = encode_inside;
    outer.user = &n;
    job_run(e, &outer);
    assert_int_equal(n.runs, 3);
    for (size_t k = 0; k < 3; k++)
        job_assert_true(c, &outer, 0, k);
    for (size_t k = 0; k < 2; k++)
        job_assert_true(c, &own, 0, k);
    job_free(&outer);
    job_free(&own);
}

static void test_reentrant(void **state)
{
    (void)state;
    for_each(reentrant);
}

/* ---- many epochs at once ---- */

static void count_calls(void *user, size_t done, size_t total)
{
    (void)done;
    (void)total;
    ++*(int *)user;
}

/* So many that a batch of all, which takes a team of 12, is moved in and out by several threads. */
enum { MANY = 100, TEAM = 12 };

/* In how many batches they are computed. */
static int batches_of_many(int threads, size_t batch)
{
    int batches = 0;
    opened o;
    open_model(&o, 0, threads);
    test_job job = job_make(&o.c, MANY);
    job.batch = batch;
    job.progress = count_calls;
    job.user = &batches;
    job_run(&o.e, &job);
    for (size_t i = 0; i < o.c.output_count; i++)
        for (size_t k = 0; k < MANY; k++)
            job_assert_true(&o.c, &job, i, k);
    job_free(&job);
    close_model(&o);
    return batches;
}

/* A CPU takes no more than keep its threads busy, unless it has threads for all of them. */
static void test_many_at_once(void **state)
{
    (void)state;
    const int suitable = batches_of_many(2, 0);
    assert_true(suitable > 1);
    assert_int_equal(batches_of_many(2, SIZE_MAX), suitable);
    assert_int_equal(batches_of_many(TEAM, SIZE_MAX), 1);
    assert_int_equal(batches_of_many(TEAM, 1), MANY);
}

/* Whichever thread finds one first: the one that is named is the first in time. */
static void test_first_of_many(void **state)
{
    (void)state;
    for (int threads = 1; threads <= TEAM; threads += TEAM - 1) {
        opened o;
        open_model(&o, 0, threads);
        const size_t each = o.c.channels * o.c.samples;
        test_job job = job_make(&o.c, MANY);
        float *signal = (float *)(uintptr_t)job.signal; /* allocated by job_make */
        psgvit_error err;
        signal[63 * each] = signal[40 * each] = signal[21 * each + 5] = NAN;
        assert_int_equal(job_encode(&o.e, &job, &err), PSGVIT_E_INPUT);
        job_assert_says(&err, PSGVIT_E_INPUT, "epoch 21, channel 0 ");
        job_assert_says(&err, PSGVIT_E_INPUT, "sample 5 is NaN");
        job_free(&job);
        close_model(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs),   cmocka_unit_test(test_batches),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_nothing_beyond),
        cmocka_unit_test(test_no_epochs), cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_reentrant), cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_first_of_many),
    };
    return cmocka_run_group_tests_name("api: jobs", tests, NULL, NULL);
}
