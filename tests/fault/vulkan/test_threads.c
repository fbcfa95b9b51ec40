/* SPDX-License-Identifier: MIT */
/*
 * Many threads of the caller and Vulkan: one encoder shared by eight, through several shapes, and
 * devices of their own that each opens, uses and closes beside the others. What each thread finds
 * is compared afterwards: cmocka is for one thread.
 */
#include "unit/job.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CALLERS = 8, SHAPES = 2, CALLS = 6 };

typedef struct caller {
    job_thread base;
    psgvit_device *device;
    const vector_case *c;
    const vector_encoder *e;
    test_job job[SHAPES];
    const test_job *expected; /* [SHAPES] */
    int first;
} caller;

static psgvit_status open_device(psgvit_device **device, psgvit_error *err)
{
    psgvit_device_params params = {
        .struct_size = sizeof params, .backend = PSGVIT_BACKEND_VULKAN, .device = "llvmpipe"};
    return psgvit_device_open(device, &params, err);
}

static void *share(void *user)
{
    caller *self = user;
    for (int n = 0; n < CALLS; n++) {
        int shape = (self->first + n) % SHAPES;
        job_compare(&self->base, self->c, self->e, &self->job[shape], &self->expected[shape]);
    }
    return NULL;
}

/* An encoder of its own on the shared device, then on a device of its own. */
static void *open_own(void *user)
{
    caller *self = user;
    for (int n = 0; n < 2; n++) {
        psgvit_error err;
        psgvit_device *own = NULL;
        vector_encoder e = {0};
        const vector_case *c = self->c;
        if (n && open_device(&own, &err))
            job_note(&self->base, err.message);
        else if (osf_encoder_open_memory(&e.osf, own ? own : self->device, c->image, c->image_size,
                                         NULL, &err))
            job_note(&self->base, err.message);
        else
            job_compare(&self->base, c, &e, &self->job[0], &self->expected[0]);
        vector_encoder_close(&e);
        psgvit_device_close(&own);
    }
    return NULL;
}

/* One epoch, and two that are under way at once. */
static test_job shape(const vector_case *c, size_t index)
{
    test_job job = job_make(c, index + 1);
    job.batch = 1;
    return job;
}

static void run(void *(*body)(void *))
{
    psgvit_error err;
    psgvit_device *device = NULL;
    vector_case c;
    vector_encoder e;
    test_job expected[SHAPES];
    static caller callers[CALLERS];
    if (open_device(&device, &err))
        fail_msg("%s", err.message);
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 1);
    vector_encoder_open(&e, &c, device);
    for (size_t s = 0; s < SHAPES; s++) {
        expected[s] = shape(&c, s);
        job_run(&e, &expected[s]);
    }
    for (int i = 0; i < CALLERS; i++)
        callers[i] = (caller){.device = device,
                              .c = &c,
                              .e = &e,
                              .job = {shape(&c, 0), shape(&c, 1)},
                              .expected = expected,
                              .first = i};
    job_run_threads(callers, CALLERS, sizeof *callers, body);
    for (int i = 0; i < CALLERS; i++)
        for (size_t s = 0; s < SHAPES; s++)
            job_free(&callers[i].job[s]);
    for (size_t s = 0; s < SHAPES; s++)
        job_free(&expected[s]);
    vector_encoder_close(&e);
    vector_close(&c);
    psgvit_device_close(&device);
}

static void test_share(void **state)
{
    (void)state;
    run(share);
}

static void test_own(void **state)
{
    (void)state;
    run(open_own);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest shared[] = {cmocka_unit_test(test_share)};
    const struct CMUnitTest own[] = {cmocka_unit_test(test_own)};
    if (argc != 2 || (strcmp(argv[1], "shared") && strcmp(argv[1], "own"))) {
        fprintf(stderr, "usage: test_threads_vulkan shared|own\n");
        return 2;
    }
    if (!strcmp(argv[1], "shared"))
        return cmocka_run_group_tests_name("threads on one device", shared, NULL, NULL);
    return cmocka_run_group_tests_name("threads with devices of their own", own, NULL, NULL);
}
