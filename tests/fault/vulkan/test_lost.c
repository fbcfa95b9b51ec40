/* SPDX-License-Identifier: MIT */
/* Devices that are lost, or hang, at their first work or in the middle of a job. */
#include "fault/vulkan/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A device that hangs is left to its driver, and with it what the driver holds for it. Visible, so
 * that the sanitizer finds it. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libvulkan_lvp\n";
}

/* A device that fails in its job: a sentence, then no call of Vulkan that could hang, and another
 * device works beside it. */
static void give_up(const mock_device *bad, const char *sentence, stage_log *log)
{
    psgvit_error err;
    psgvit_device *device = NULL, *other = NULL;
    vector_case c;
    vector_encoder e, second;
    mock_device shown[2] = {*bad, {.name = "good", .type = DISCRETE, .uuid = 2}};
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 0);
    stage_mock()->keep(false);
    stage_mock()->present(shown, 2);
    if (stage_open(&device, PSGVIT_BACKEND_VULKAN, bad->name, log, &err) ||
        stage_encoder(&e, &c, device, &err))
        fail_msg("%s", err.message);
    test_job job = job_make(&c, 2);
    assert_int_equal(job_encode(&e, &job, &err), PSGVIT_E_DEVICE);
    stage_expect_part(err.message, sentence);
    long submits = stage_mock()->submits();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(job_encode(&e, &job, &err), PSGVIT_E_DEVICE);
        stage_expect_part(err.message, "broken: the device was lost in an earlier call");
        assert_int_equal(stage_encoder(&second, &c, device, &err), PSGVIT_E_DEVICE);
        stage_expect_part(err.message, "broken: the device was lost in an earlier call");
    }
    assert_int_equal(stage_mock()->submits(), submits);
    if (stage_open(&other, PSGVIT_BACKEND_VULKAN, "good", NULL, &err) ||
        stage_encoder(&second, &c, other, &err))
        fail_msg("%s", err.message);
    job_run(&second, &job);
    stage_assert_true(&c, &job);
    vector_encoder_close(&e);
    psgvit_device_close(&device);
    job_run(&second, &job);
    vector_encoder_close(&second);
    psgvit_device_close(&other);
    job_free(&job);
    vector_close(&c);
}

/* How often a device is given work until an encoder is open. */
static long submits_to_open(void)
{
    PRESENT({.name = "good", .type = DISCRETE});
    psgvit_error err;
    psgvit_device *device = NULL;
    vector_case c;
    vector_encoder e;
    long before = stage_mock()->submits();
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 0);
    assert_int_equal(stage_open(&device, PSGVIT_BACKEND_VULKAN, NULL, NULL, &err), PSGVIT_OK);
    assert_int_equal(stage_encoder(&e, &c, device, &err), PSGVIT_OK);
    long submits = stage_mock()->submits() - before;
    vector_encoder_close(&e);
    psgvit_device_close(&device);
    vector_close(&c);
    return submits;
}

static void test_lost(void **state)
{
    (void)state;
    long submits = submits_to_open();
    mock_device bad = {.name = "broken", .type = DISCRETE, .uuid = 1, .lost_at = submits + 1};
    stage_log log;
    give_up(&bad, "broken: submitting work failed: VK_ERROR_DEVICE_LOST (-4)", &log);
    assert_string_equal(log.text, "");
}

/* Nothing that the device may still use is destroyed, nor the device itself. */
static void test_hang(void **state)
{
    (void)state;
    long submits = submits_to_open();
    mock_device bad = {.name = "broken", .type = DISCRETE, .uuid = 1, .hangs_at = submits + 1};
    stage_log log;
    give_up(&bad, "broken: waiting for the device failed: VK_TIMEOUT (2)", &log);
    assert_string_equal(log.text, "2 broken: does not end its work: memory and whatever else it "
                                  "may use is left to it\n");
    assert_true(stage_mock()->leave() > 10);
}

/* One that was only slow: what it has worked with can be destroyed in the end. */
static void test_slow(void **state)
{
    (void)state;
    long submits = submits_to_open();
    mock_device bad = {
        .name = "broken", .type = DISCRETE, .uuid = 1, .hangs_at = submits + 1, .wakes = true};
    stage_log log;
    give_up(&bad, "broken: waiting for the device failed: VK_TIMEOUT (2)", &log);
    assert_string_equal(log.text, "");
    assert_int_equal(stage_mock()->leave(), 0);
}

/* One that never answers is refused by its self-test, and auto goes on to the next. */
static void test_hang_at_once(void **state)
{
    (void)state;
    stage_log log;
    stage_mock()->keep(false); /* what is left to one device can't be another's */
    PRESENT({.name = "stuck", .type = DISCRETE, .hangs_at = 1},
            {.name = "gone", .type = DISCRETE, .lost_at = 1},
            {.name = "good", .type = INTEGRATED});
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, "good", &log);
    stage_expect_part(log.text, "stuck: waiting for the device failed: VK_TIMEOUT (2)");
    stage_expect_part(log.text, "gone: submitting work failed: VK_ERROR_DEVICE_LOST (-4)");
    assert_true(stage_mock()->leave() > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lost, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_hang, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_slow, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_hang_at_once, stage_setup, stage_teardown),
    };
    return cmocka_run_group_tests_name("lost devices of Vulkan", tests, NULL, NULL);
}
