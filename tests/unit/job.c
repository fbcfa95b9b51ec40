/* SPDX-License-Identifier: MIT */
/* Jobs of either model for tests. */
#include "unit/job.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *const job_cases[2] = {"osf_one_head", "eegpt_odd"};

psgvit_device *job_device(int threads, psgvit_isa isa)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_CPU,
                                   .threads = threads,
                                   .isa = isa};
    if (psgvit_device_open(&device, &params, &err))
        fail_msg("%s", err.message);
    return device;
}

psgvit_isa job_best_isa(void)
{
    psgvit_device *device = job_device(1, PSGVIT_ISA_AUTO);
    psgvit_isa isa = psgvit_device_get_info(device)->isa;
    psgvit_device_close(&device);
    return isa;
}

size_t job_each(const vector_case *c, size_t i)
{
    return c->outputs[i].count / c->epochs;
}

test_job job_make(const vector_case *c, size_t epochs)
{
    test_job job = {.epochs = epochs, .samples = c->samples};
    size_t each = c->channels * c->samples;
    float *signal = malloc(epochs * each * sizeof *signal);
    assert_non_null(signal);
    for (size_t e = 0; e < epochs; e++)
        memcpy(signal + e * each, c->input + e % c->epochs * each, each * sizeof *signal);
    job.signal = signal;
    for (size_t i = 0; i < c->output_count; i++) {
        job.room[i] = epochs * job_each(c, i);
        job.out[i] = malloc(job.room[i] * sizeof(float));
        assert_non_null(job.out[i]);
    }
    job_clear(c, &job);
    return job;
}

void job_clear(const vector_case *c, test_job *job)
{
    for (size_t i = 0; i < c->output_count; i++)
        for (size_t k = 0; job->out[i] && k < job->room[i]; k++)
            job->out[i][k] = NAN;
}

void job_free(test_job *job)
{
    free((void *)(uintptr_t)job->signal);
    for (size_t i = 0; i < VECTOR_OUTPUTS; i++)
        free(job->out[i]);
    *job = (test_job){0};
}

void job_assert_true(const vector_case *c, const test_job *job, size_t i, size_t e)
{
    size_t each = job_each(c, i);
    double max, mean;
    vector_compare(job->out[i] + e * each, c->outputs[i].truth + e % c->epochs * each, each, &max,
                   &mean);
    if (!vector_promise(&c->outputs[i], max, mean))
        fail_msg("%s: %s of epoch %zu: error is %g at most, %g on average", c->name,
                 c->outputs[i].name, e, max, mean);
}

psgvit_status job_encode(const vector_encoder *e, const test_job *job, psgvit_error *err)
{
    if (e->eegpt) {
        eegpt_job own = {.struct_size = sizeof own,
                         .signal = job->signal,
                         .epochs = job->epochs,
                         .samples = job->samples,
                         .features = job->out[0],
                         .features_capacity = job->room[0],
                         .logits = job->out[1],
                         .logits_capacity = job->room[1],
                         .batch = job->batch,
                         .nan = job->nan,
                         .first_epoch = job->first_epoch,
                         .progress = job->progress,
                         .cancel = job->cancel,
                         .user = job->user};
        return eegpt_encode(e->eegpt, &own, err);
    }
    osf_job own = {.struct_size = sizeof own,
                   .signal = job->signal,
                   .epochs = job->epochs,
                   .samples = job->samples,
                   .cls = job->out[0],
                   .cls_capacity = job->room[0],
                   .patches = job->out[1],
                   .patches_capacity = job->room[1],
                   .mean = job->out[2],
                   .mean_capacity = job->room[2],
                   .batch = job->batch,
                   .no_clamp = job->no_clamp,
                   .nan = job->nan,
                   .first_epoch = job->first_epoch,
                   .progress = job->progress,
                   .cancel = job->cancel,
                   .user = job->user};
    return osf_encode(e->osf, &own, err);
}

void job_run(const vector_encoder *e, const test_job *job)
{
    psgvit_error err = {PSGVIT_E_DEVICE, "stale"};
    if (job_encode(e, job, &err))
        fail_msg("%s", err.message);
    assert_int_equal(err.code, PSGVIT_OK);
    assert_string_equal(err.message, "");
}

void job_assert_says(const psgvit_error *err, psgvit_status code, const char *part)
{
    if (err->code != code || !strstr(err->message, part))
        fail_msg("expected %s with '%s', found %s: %s", psgvit_status_name(code), part,
                 psgvit_status_name(err->code), err->message);
}

unsigned char *job_with_stranger(const vector_case *c, size_t *size)
{
    static const char entry[] = "\"stranger\":{\"dtype\":\"F32\",\"shape\":[0],"
                                "\"data_offsets\":[0,0]},";
    size_t header = 0, add = sizeof entry - 1;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | c->image[i];
    unsigned char *image = malloc(c->image_size + add);
    assert_non_null(image);
    for (int i = 0; i < 8; i++)
        image[i] = (unsigned char)((header + add) >> (8 * i));
    image[8] = '{';
    memcpy(image + 9, entry, add);
    memcpy(image + 9 + add, c->image + 9, c->image_size - 9);
    *size = c->image_size + add;
    return image;
}

void job_note(job_thread *self, const char *message)
{
    if (!self->wrong++)
        snprintf(self->message, sizeof self->message, "%s", message);
}

void job_compare(job_thread *self, const vector_case *c, const vector_encoder *e, test_job *job,
                 const test_job *expected)
{
    psgvit_error err;
    job_clear(c, job);
    if (job_encode(e, job, &err)) {
        job_note(self, err.message);
        return;
    }
    for (size_t i = 0; i < c->output_count; i++) {
        size_t bytes = expected->epochs * job_each(c, i) * sizeof(float);
        if (expected->out[i] && memcmp(job->out[i], expected->out[i], bytes))
            job_note(self, "other bits than alone");
    }
}

/* Where another thread than the test's own crashes, cmocka's handlers end the program without a
 * word; without them the signal does, and who has run the test names it. */
static void hand_over_signals(bool away)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
    static void (*handlers[sizeof signals / sizeof *signals])(int);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (away)
            handlers[i] = signal(signals[i], SIG_DFL);
        else
            (void)signal(signals[i], handlers[i]);
}

void job_run_threads(void *threads, size_t count, size_t size, void *(*body)(void *))
{
    hand_over_signals(true);
    for (size_t i = 0; i < count; i++) {
        job_thread *self = (job_thread *)((char *)threads + i * size);
        assert_int_equal(pthread_create(&self->thread, NULL, body, self), 0);
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(((job_thread *)((char *)threads + i * size))->thread, NULL);
    hand_over_signals(false);
    for (size_t i = 0; i < count; i++) {
        const job_thread *self = (const job_thread *)((char *)threads + i * size);
        if (self->wrong)
            fail_msg("caller %zu: %d times, first: %s", i, self->wrong, self->message);
    }
}
