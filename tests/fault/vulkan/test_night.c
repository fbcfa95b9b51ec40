/* SPDX-License-Identifier: MIT */
/*
 * A night on Vulkan: while a batch computes, the next is submitted already, and neither a device
 * that is lost with two under way nor a call that fails leaves one behind. The same where copies go
 * by queues of their own.
 */
#include "fault/vulkan/stage.h"
#include "vulkan/vulkan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { EPOCHS = 6 };

typedef struct scene {
    vector_case c;
    psgvit_device *device;
    vector_encoder e;
    test_job job;
} scene;

static psgvit_status open_device(psgvit_device **device, psgvit_error *err)
{
    PV_TRY(stage_open(device, PSGVIT_BACKEND_VULKAN, NULL, NULL, err));
    ((vk_device *)*device)->least_copies = 0; /* a test's few bytes are worth other queues */
    return PSGVIT_OK;
}

/* blocks 0: all of them, and the truth is theirs. */
static void scene_open(scene *s, const char *name, size_t blocks)
{
    psgvit_error err;
    *s = (scene){0};
    vector_open(&s->c, TESTS_DIR "/vectors", name, blocks);
    if (open_device(&s->device, &err) || stage_encoder(&s->e, &s->c, s->device, &err))
        fail_msg("%s", err.message);
    s->job = job_make(&s->c, EPOCHS);
}

static void scene_close(scene *s)
{
    vector_encoder_close(&s->e);
    psgvit_device_close(&s->device);
    job_free(&s->job);
    vector_close(&s->c);
}

/* The next batch is submitted before the outputs of the one before are told. */
static void one_more_under_way(void *user, size_t done, size_t total)
{
    *(size_t *)user += 1;
    assert_int_equal(stage_mock()->under_way(), done < total);
}

static void two_under_way(const char *name)
{
    scene s;
    size_t batches = 0;
    scene_open(&s, name, 0);
    s.job.progress = one_more_under_way;
    s.job.user = &batches;
    (void)stage_mock()->most_under_way();
    s.job.batch = EPOCHS;
    job_run(&s.e, &s.job);
    assert_int_equal(stage_mock()->most_under_way(), 1);
    for (s.job.batch = 1; s.job.batch < EPOCHS; s.job.batch++) {
        batches = 0;
        job_clear(&s.c, &s.job);
        job_run(&s.e, &s.job);
        stage_assert_true(&s.c, &s.job);
        assert_int_equal(batches, (EPOCHS + s.job.batch - 1) / s.job.batch);
        assert_int_equal(stage_mock()->most_under_way(), 2);
        assert_int_equal(stage_mock()->under_way(), 0);
    }
    scene_close(&s);
}

static void test_two_under_way(void **state)
{
    (void)state;
    two_under_way("osf_one_head");
    two_under_way("eegpt_odd");
}

/* Each batch is three submits there, and one queue is not enough. */
static void test_copies(void **state)
{
    (void)state;
    PRESENT({.name = "one queue", .type = DISCRETE, .uuid = 1, .copies = 1},
            {.name = "two", .type = DISCRETE, .uuid = 2, .copies = 2},
            {.name = "integrated", .type = INTEGRATED, .uuid = 3, .copies = 2});
    static const long submits[] = {1, 3, 1};
    for (size_t i = 0; i < 3; i++) {
        scene s;
        stage_mock()->present(&shown[i], 1);
        scene_open(&s, "osf_one_head", 1);
        long before = stage_mock()->submits();
        s.job.batch = EPOCHS;
        job_run(&s.e, &s.job);
        assert_int_equal(stage_mock()->submits() - before, submits[i]);
        ((vk_device *)s.device)->least_copies = UINT64_MAX;
        s.job.batch = EPOCHS / 2;
        before = stage_mock()->submits();
        job_run(&s.e, &s.job);
        assert_int_equal(stage_mock()->submits() - before, 2);
        scene_close(&s);
    }
    stage_mock()->present(&shown[1], 1);
    two_under_way("osf_one_head");
    two_under_way("eegpt_odd");
}

/* Samples of the next batch that are not finite, and a job that is cancelled. */
static int cancel(void *user)
{
    return ++*(int *)user == 3;
}

static void test_ended(void **state)
{
    (void)state;
    psgvit_error err;
    scene s;
    int calls = 0;
    scene_open(&s, "osf_one_head", 0);
    s.job.batch = 2;
    float *sample = (float *)(uintptr_t)&s.job.signal[3 * s.c.channels * s.c.samples];
    const float was = *sample;
    *sample = INFINITY;
    job_clear(&s.c, &s.job);
    assert_int_equal(job_encode(&s.e, &s.job, &err), PSGVIT_E_INPUT);
    stage_expect_part(err.message, "epoch 3, channel 0 (");
    assert_int_equal(stage_mock()->under_way(), 0);
    *sample = was;
    s.job.cancel = cancel;
    s.job.user = &calls;
    assert_int_equal(job_encode(&s.e, &s.job, &err), PSGVIT_E_CANCELLED);
    stage_expect_part(err.message, "cancelled after 2 of 6 epochs");
    assert_int_equal(stage_mock()->under_way(), 0);
    s.job.cancel = NULL;
    job_run(&s.e, &s.job);
    stage_assert_true(&s.c, &s.job);
    scene_close(&s);
}

/* What is under way when the device goes is not waited for: that could take for ever. */
static void give_up(const mock_device *bad, const char *sentence)
{
    psgvit_error err;
    scene s;
    stage_mock()->present(bad, 1);
    scene_open(&s, "osf_one_head", 0);
    s.job.batch = 1;
    assert_int_equal(job_encode(&s.e, &s.job, &err), PSGVIT_E_DEVICE);
    stage_expect_part(err.message, sentence);
    assert_int_equal(job_encode(&s.e, &s.job, &err), PSGVIT_E_DEVICE);
    stage_expect_part(err.message, "the device was lost in an earlier call");
    scene_close(&s);
    stage_assert_clean();
}

/* Until there is an encoder. */
static long submits_of(const mock_device *device)
{
    scene s;
    stage_mock()->present(device, 1);
    long before = stage_mock()->submits();
    scene_open(&s, "osf_one_head", 0);
    long submits = stage_mock()->submits() - before;
    scene_close(&s);
    return submits;
}

static void test_lost(void **state)
{
    (void)state;
    PRESENT({.name = "good", .type = DISCRETE}, {.name = "good", .type = DISCRETE, .copies = 2});
    mock_device lost = {.name = "lost", .type = DISCRETE};
    lost.lost_at = submits_of(&shown[0]) + 3;
    give_up(&lost, "lost: submitting work failed: VK_ERROR_DEVICE_LOST (-4)");
    /* Two batches under way, and of the third the copy in, the passes or the copy out. */
    const long submits = submits_of(&shown[1]);
    lost.copies = 2;
    for (long i = 7; i <= 9; i++) {
        lost.lost_at = submits + i;
        give_up(&lost, i == 7 ? "lost: submitting work failed: VK_ERROR_DEVICE_LOST (-4)"
                              : "lost: was lost when a plan was half submitted");
    }
    /* Memory runs out behind a copy in, and the device goes while that is waited for. */
    lost.lost_at = submits + 8;
    stage_mock()->arm(submits + 8, 0, "vkQueueSubmit");
    give_up(&lost, "lost: was lost when a plan was half submitted");
    assert_non_null(stage_mock()->disarm());
}

static void assert_near(const scene *s, const test_job *expected)
{
    for (size_t i = 0; i < s->c.output_count; i++)
        for (size_t k = 0; k < expected->room[i]; k++)
            if (!(fabsf(s->job.out[i][k] - expected->out[i][k]) <= 1e-5f))
                fail_msg("%s, value %zu: %.9g, expected %.9g", s->c.outputs[i].name, k,
                         (double)s->job.out[i][k], (double)expected->out[i][k]);
}

/* An encoder whose pool is empty, and a device that is not lost: opening one takes its time. */
static void renew(scene *s, bool lost)
{
    psgvit_error err;
    vector_encoder_close(&s->e);
    if (lost)
        psgvit_device_close(&s->device);
    if ((lost && open_device(&s->device, &err)) ||
        stage_encoder(&s->e, &s->c, s->device, &err))
        fail_msg("%s", err.message);
}

/* Runs the job, after one in which call n failed. Returns the function that did. */
static const char *fail_at(scene *s, long n, const test_job *expected, long *failures)
{
    psgvit_error err;
    long before = stage_mock()->under_way();
    stage_mock()->arm(n, (unsigned)n, NULL);
    psgvit_status status = job_encode(&s->e, &s->job, &err);
    const char *function = stage_mock()->disarm();
    assert_true(function || !status);
    *failures += status != PSGVIT_OK;
    if (!status)
        assert_near(s, expected);
    status = job_encode(&s->e, &s->job, &err);
    if (!status) {
        assert_near(s, expected);
        assert_int_equal(stage_mock()->under_way(), before);
    } else if (status != PSGVIT_E_DEVICE || !strstr(err.message, "was lost")) {
        fail_msg("%s, then: %s", function, err.message);
    }
    renew(s, status != PSGVIT_OK);
    return function;
}

/* Memory runs out at each of a plan's submits, the copy in, the passes and the copy out: the job
 * goes on with less, and nothing is lost. */
static void test_submits(void **state)
{
    (void)state;
    PRESENT({.name = "GPU", .type = DISCRETE, .copies = 2});
    scene s;
    long before = stage_mock()->under_way();
    scene_open(&s, "osf_one_head", 0);
    s.job.batch = EPOCHS / 3;
    for (long n = 1; n <= 9; n++) {
        job_clear(&s.c, &s.job);
        stage_mock()->arm(n, (unsigned)n % 2, "vkQueueSubmit");
        job_run(&s.e, &s.job);
        assert_non_null(stage_mock()->disarm());
        stage_assert_true(&s.c, &s.job);
        assert_int_equal(stage_mock()->under_way(), before);
        renew(&s, false);
    }
    scene_close(&s);
}

/* Every call of a job with two batches under way fails in turn. */
static void test_calls(void **state)
{
    (void)state;
    PRESENT({.name = "GPU", .type = DISCRETE, .copies = 2});
    scene s;
    scene_open(&s, "osf_one_head", 1);
    test_job expected = job_make(&s.c, 3);
    stage_shorten(&s.c, &expected);
    job_run(&s.e, &expected);
    job_free(&s.job);
    s.job = job_make(&s.c, 3);
    stage_shorten(&s.c, &s.job);
    s.job.batch = 2;
    renew(&s, false);
    long n = 1, failures = 0;
    while (fail_at(&s, n, &expected, &failures))
        n++;
    printf("%ld calls, %ld failures of the job\n", n - 1, failures);
    assert_true(failures > 0 && failures < n - 1); /* memory that runs out need not end it */
    job_free(&expected);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_under_way, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_copies, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_ended, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_lost, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_submits, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_calls, stage_setup, stage_teardown),
    };
    return cmocka_run_group_tests_name("a night on Vulkan", tests, NULL, NULL);
}
