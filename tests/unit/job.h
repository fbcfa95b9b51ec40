/* SPDX-License-Identifier: MIT */
/*
 * A job of either model behind one set of names, over the cases of tests/parity/vector.h, for tests
 * of what both models promise.
 */
#ifndef TESTS_UNIT_JOB_H
#define TESTS_UNIT_JOB_H

#include "parity/vector.h"

#include <pthread.h>

/* The small case of each model, and the outputs in the order of vector_case. */
extern const char *const job_cases[2];

typedef struct test_job {
    const float *signal;
    size_t epochs, samples;
    float *out[VECTOR_OUTPUTS]; /* NULL: not wanted */
    size_t room[VECTOR_OUTPUTS];
    size_t batch, first_epoch;
    psgvit_nan_policy nan;
    int no_clamp; /* OSF alone */
    psgvit_progress_fn progress;
    psgvit_cancel_fn cancel;
    void *user;
} test_job;

/* A CPU device; fails the test if there is none. threads 0: OpenMP's own number. */
psgvit_device *job_device(int threads, psgvit_isa isa);
/* The best instruction set of this machine. */
psgvit_isa job_best_isa(void);

/* A job over `epochs` epochs, which are the case's own, repeated. Signal and all outputs are
 * allocated; free with job_free. The outputs are filled with NaN. */
test_job job_make(const vector_case *c, size_t epochs);
void job_free(test_job *job);
/* Floats of output i of one epoch. */
size_t job_each(const vector_case *c, size_t i);
/* Fills all outputs with NaN. */
void job_clear(const vector_case *c, test_job *job);
/* Asserts that output i of epoch e keeps the promise of f32 against the case's truth. */
void job_assert_true(const vector_case *c, const test_job *job, size_t i, size_t e);

psgvit_status job_encode(const vector_encoder *e, const test_job *job, psgvit_error *err);
/* The same, and fails the test with the message if it does. */
void job_run(const vector_encoder *e, const test_job *job);

/* Asserts that the message has the part. */
void job_assert_says(const psgvit_error *err, psgvit_status code, const char *part);

/* A thread of the caller, the first field of what its body is given. What it finds wrong is noted
 * and told at the end: cmocka is for one thread. */
typedef struct job_thread {
    pthread_t thread;
    int wrong;
    char message[1020]; /* the first */
} job_thread;

void job_note(job_thread *self, const char *message);
/* Notes a failure, or outputs with other bits than those of `expected`; runs and writes `job`. */
void job_compare(job_thread *self, const vector_case *c, const vector_encoder *e, test_job *job,
                 const test_job *expected);
/* Runs `count` threads, which are `size` bytes each, and fails the test if one noted something. */
void job_run_threads(void *threads, size_t count, size_t size, void *(*body)(void *));

/* The case's model with an empty tensor more, 'stranger': what the log warns of. free() it. */
unsigned char *job_with_stranger(const vector_case *c, size_t *size);

#endif
