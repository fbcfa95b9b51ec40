/* SPDX-License-Identifier: MIT */
/*
 * Many threads of the caller at once: one encoder shared by eight for a thousand calls, several
 * shapes through one pool, and a storm of opening and closing. One OpenMP thread a call, so that
 * ThreadSanitizer sees every lock there is. What each thread finds is compared afterwards: cmocka
 * is for one thread. And a child that inherits an encoder whose team of two it does not have.
 */
#define _POSIX_C_SOURCE 200809L /* fork, alarm */
#include "unit/job.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { CALLERS = 8, CALLS = 1000 / CALLERS, SHAPES = 6, STORMS = 25 };

typedef struct caller {
    job_thread base;
    psgvit_device *device;
    const vector_case *c;
    const vector_encoder *e;
    test_job job[SHAPES];
    const test_job *expected; /* [SHAPES] */
    int shapes, calls;
} caller;

static void *share(void *user)
{
    caller *self = user;
    for (int n = 0; n < self->calls; n++) {
        int shape = n % self->shapes;
        job_compare(&self->base, self->c, self->e, &self->job[shape], &self->expected[shape]);
    }
    return NULL;
}

/* The shapes that go through one pool: more than it keeps. */
static test_job shaped(const vector_case *c, int shape)
{
    test_job job = job_make(c, (size_t)(1 + shape % 3));
    if (shape >= 3) { /* another set of outputs */
        free(job.out[1]);
        job.out[1] = NULL;
    }
    return job;
}

static void share_one(const char *name, psgvit_isa isa, int shapes, int calls)
{
    vector_case c;
    vector_encoder e;
    test_job expected[SHAPES];
    caller callers[CALLERS];
    psgvit_device *device = job_device(1, isa);
    vector_open(&c, TESTS_DIR "/vectors", name, 0);
    vector_encoder_open(&e, &c, device);
    for (int s = 0; s < shapes; s++) {
        expected[s] = shaped(&c, s);
        job_run(&e, &expected[s]);
    }
    for (int i = 0; i < CALLERS; i++) {
        callers[i] =
            (caller){.c = &c, .e = &e, .expected = expected, .shapes = shapes, .calls = calls};
        for (int s = 0; s < shapes; s++)
            callers[i].job[s] = shaped(&c, s);
    }
    job_run_threads(callers, CALLERS, sizeof *callers, share);
    for (int s = 0; s < shapes; s++) {
        for (int i = 0; i < CALLERS; i++)
            job_free(&callers[i].job[s]);
        job_free(&expected[s]);
    }
    vector_encoder_close(&e);
    vector_close(&c);
    psgvit_device_close(&device);
}

static void test_share(void **state)
{
    (void)state;
    share_one(job_cases[0], PSGVIT_ISA_AUTO, 1, CALLS);
    share_one(job_cases[1], PSGVIT_ISA_AUTO, 1, CALLS);
}

static void test_shapes(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++) {
        share_one(job_cases[m], PSGVIT_ISA_AUTO, SHAPES, 3 * SHAPES);
        share_one(job_cases[m], PSGVIT_ISA_C, SHAPES, SHAPES); /* OpenBLAS, if there is one */
    }
}

/* Opens and closes an encoder on the shared device, and one on a device of its own, and uses both.
 */
static void *storm(void *user)
{
    caller *self = user;
    for (int n = 0; n < self->calls; n++) {
        psgvit_error err;
        psgvit_device *own = NULL;
        psgvit_device_params params = {.struct_size = sizeof params, .threads = 1};
        if (n % 2 && psgvit_device_open(&own, &params, &err))
            job_note(&self->base, err.message);
        psgvit_device *device = own ? own : self->device;
        vector_encoder e = {0};
        const vector_case *c = self->c;
        if (c->eegpt
                ? eegpt_encoder_open_memory(&e.eegpt, device, c->image, c->image_size, NULL, &err)
                : osf_encoder_open_memory(&e.osf, device, c->image, c->image_size, NULL, &err))
            job_note(&self->base, err.message);
        else
            job_compare(&self->base, c, &e, &self->job[0], &self->expected[0]);
        vector_encoder_close(&e);
        psgvit_device_close(&own);
    }
    return NULL;
}

static void test_storm(void **state)
{
    (void)state;
    vector_case cases[2];
    test_job expected[2];
    caller callers[CALLERS];
    psgvit_device *device = job_device(1, PSGVIT_ISA_AUTO);
    for (int m = 0; m < 2; m++) {
        vector_encoder e;
        vector_open(&cases[m], TESTS_DIR "/vectors", job_cases[m], 0);
        vector_encoder_open(&e, &cases[m], device);
        expected[m] = job_make(&cases[m], 1);
        job_run(&e, &expected[m]);
        vector_encoder_close(&e);
    }
    for (int i = 0; i < CALLERS; i++)
        callers[i] = (caller){.device = device,
                              .c = &cases[i % 2],
                              .expected = &expected[i % 2],
                              .job = {job_make(&cases[i % 2], 1)},
                              .calls = STORMS};
    job_run_threads(callers, CALLERS, sizeof *callers, storm);
    for (int i = 0; i < CALLERS; i++)
        job_free(&callers[i].job[0]);
    for (int m = 0; m < 2; m++) {
        job_free(&expected[m]);
        vector_close(&cases[m]);
    }
    psgvit_device_close(&device);
}

/* What a child does with an encoder that it inherited, or with one of its own. Returns an exit
 * code. */
static int compute_in_child(const vector_case *c, const vector_encoder *inherited, test_job *job,
                            const test_job *expected)
{
    job_thread self = {0};
    vector_encoder own = {0};
    job_compare(&self, c, inherited, job, expected);
    vector_encoder_open(&own, c, job_device(2, PSGVIT_ISA_AUTO));
    job_compare(&self, c, &own, job, expected);
    return self.wrong;
}

static void test_fork(void **state)
{
    (void)state;
    vector_case c;
    vector_encoder e;
    psgvit_device *device = job_device(2, PSGVIT_ISA_AUTO);
    vector_open(&c, TESTS_DIR "/vectors", job_cases[0], 0);
    vector_encoder_open(&e, &c, device);
    test_job job = job_make(&c, 2), expected = job_make(&c, 2);
    job_run(&e, &expected);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60); /* in place of a team that never comes */
        _exit(compute_in_child(&c, &e, &job, &expected));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    job_run(&e, &job); /* the parent has its team still */
    job_free(&job);
    job_free(&expected);
    vector_encoder_close(&e);
    vector_close(&c);
    psgvit_device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_fork),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
