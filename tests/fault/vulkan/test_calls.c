/* SPDX-License-Identifier: MIT */
/*
 * Every call of Vulkan fails in turn, from opening a device to closing it, of both models: once at
 * every place, and at each function's first call with each of its errors. Each time a status and a
 * sentence, no object leaked, the encoder usable afterwards unless its device is lost, and the next
 * round works as if nothing had been.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "fault/vulkan/stage.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct scene {
    vector_case c;
    char cache[128]; /* the file of compiled shaders */
    test_job expected, job;
} scene;

static psgvit_status open_device(const scene *s, psgvit_device **device, psgvit_error *err)
{
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_VULKAN,
                                   .shader_cache = s->cache};
    return psgvit_device_open(device, &params, err);
}

/* One block, and two epochs in a batch, are enough to meet every call. */
static void scene_open(scene *s, const char *name)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    vector_encoder e;
    vector_open(&s->c, TESTS_DIR "/vectors", name, 1);
    char folder[] = "/tmp/psgvit-calls-XXXXXX";
    assert_non_null(mkdtemp(folder));
    snprintf(s->cache, sizeof s->cache, "%s/shaders", folder);
    s->expected = job_make(&s->c, 2);
    s->job = job_make(&s->c, 2);
    s->expected.batch = s->job.batch = 2;
    if (!s->c.eegpt) {
        stage_shorten(&s->c, &s->expected);
        stage_shorten(&s->c, &s->job);
    }
    stage_mock()->keep(true);
    if (open_device(s, &device, &err))
        fail_msg("%s", err.message);
    vector_encoder_open(&e, &s->c, device);
    job_run(&e, &s->expected);
    vector_encoder_close(&e);
    psgvit_device_close(&device);
    stage_assert_clean();
}

static void scene_close(scene *s)
{
    stage_mock()->keep(false);
    assert_int_equal(unlink(s->cache), 0);
    *strrchr(s->cache, '/') = '\0';
    assert_int_equal(rmdir(s->cache), 0); /* nothing else was left there */
    job_free(&s->expected);
    job_free(&s->job);
    vector_close(&s->c);
}

/* The numbers of a run without failures: the same bits, or, where the failure has made batches
 * smaller, near. */
static void assert_result(const scene *s, bool same_bits)
{
    for (size_t i = 0; i < s->c.output_count; i++)
        for (size_t k = 0; k < s->expected.room[i]; k++) {
            float found = s->job.out[i][k], expected = s->expected.out[i][k];
            if (!(fabsf(found - expected) <= (same_bits ? 0.0f : 1e-5f)))
                fail_msg("%s, value %zu: %.9g, expected %.9g", s->c.outputs[i].name, k,
                         (double)found, (double)expected);
        }
}

static bool is_memory(VkResult error)
{
    return error == VK_ERROR_OUT_OF_HOST_MEMORY || error == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
           error == VK_ERROR_OUT_OF_POOL_MEMORY || error == VK_ERROR_FRAGMENTED_POOL ||
           error == VK_ERROR_FRAGMENTATION || error == VK_ERROR_MEMORY_MAP_FAILED ||
           error == VK_ERROR_TOO_MANY_OBJECTS;
}

/* The status and the sentence are of the error that was injected. */
static void assert_failure(const char *function, const psgvit_error *err, bool opened)
{
    VkResult error = stage_mock()->error();
    char number[32];
    snprintf(number, sizeof number, "(%d)", (int)error);
    bool says = strstr(err->message, number) || strstr(err->message, "no driver (VK_ERROR_INC");
    psgvit_status expected = is_memory(error) ? PSGVIT_E_MEMORY : PSGVIT_E_DEVICE;
    if (!says || err->code != expected || (opened && !strstr(err->message, "llvmpipe")))
        fail_msg("%s gave %d: %s: %s", function, (int)error, psgvit_status_name(err->code),
                 err->message);
}

/* The encoder again, after a failure: right numbers, unless the device is lost, which it says at
 * once. */
static void assert_usable(scene *s, const vector_encoder *e, const char *function)
{
    psgvit_error err;
    long submits = stage_mock()->submits();
    job_clear(&s->c, &s->job);
    psgvit_status status = job_encode(e, &s->job, &err);
    if (!status) {
        assert_result(s, false);
        return;
    }
    if (status != PSGVIT_E_DEVICE || !strstr(err.message, "was lost"))
        fail_msg("%s, then: %s", function, err.message);
    assert_int_equal(stage_mock()->submits(), submits);
}

/* Opens, encodes and closes while the n-th call fails. Returns the function that has failed, NULL
 * if none has. */
static const char *attempt(scene *s, long n, unsigned which, const char *only)
{
    const mock_controls *mock = stage_mock();
    psgvit_error err = {PSGVIT_OK, ""};
    psgvit_device *device = NULL;
    vector_encoder e = {0};
    job_clear(&s->c, &s->job);
    mock->arm(n, which, only);
    psgvit_status status = open_device(s, &device, &err);
    bool opened = !status, ready = false;
    if (!status)
        status = stage_encoder(&e, &s->c, device, &err);
    if (!status) {
        ready = true;
        status = job_encode(&e, &s->job, &err);
    }
    const char *function = mock->failed();
    assert_int_equal(err.code, status);
    assert_int_equal(strlen(err.message) > 0, status != PSGVIT_OK);
    assert_true(function || !status);
    if (status)
        assert_failure(function, &err, opened);
    else
        assert_result(s, !function);
    if (ready && status)
        assert_usable(s, &e, function);
    vector_encoder_close(&e);
    psgvit_device_close(&device);
    function = mock->disarm(); /* closing has calls that fail, too */
    stage_assert_clean();
    return function;
}

typedef struct name_list {
    const char *functions[64];
    size_t count;
} name_list;

static bool is_new(name_list *seen, const char *function)
{
    for (size_t i = 0; i < seen->count; i++)
        if (!strcmp(seen->functions[i], function))
            return false;
    assert_true(seen->count < 64);
    seen->functions[seen->count++] = function;
    return true;
}

static void every_call(const char *name, size_t functions)
{
    scene s;
    name_list seen = {0};
    const char *function;
    long n = 1, rounds = 0;
    scene_open(&s, name);
    for (; (function = attempt(&s, n, (unsigned)n, NULL)); n++, rounds++) {
        if (!is_new(&seen, function))
            continue;
        unsigned errors = stage_mock()->errors();
        for (unsigned which = 0; which < errors; which++, rounds++)
            assert_string_equal(attempt(&s, n, which, NULL), function);
    }
    printf("%s: %ld calls of %zu functions, %ld rounds\n", name, n - 1, seen.count, rounds);
    if (seen.count < functions)
        fail_msg("only %zu functions were called", seen.count);
    scene_close(&s);
}

static void test_osf(void **state)
{
    (void)state;
    every_call("osf_one_head", 27);
}

static void test_eegpt(void **state)
{
    (void)state;
    every_call("eegpt_odd", 27);
}

/* What lavapipe alone never has to do: wait, and list its matrices. */
static void test_other_device(void **state)
{
    (void)state;
    static const mock_device shown[] = {{.name = "llvmpipe too",
                                         .type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
                                         .slow = true,
                                         .matrices = true}};
    static const char *const functions[] = {"vkWaitForFences",
                                            "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"};
    scene s;
    stage_mock()->present(shown, 1);
    scene_open(&s, "osf_one_head");
    for (size_t i = 0; i < 2; i++) {
        long n = 1;
        while (attempt(&s, n, (unsigned)n, functions[i]))
            n++;
        printf("%s: %ld calls\n", functions[i], n - 1);
        assert_true(n > 2);
    }
    scene_close(&s);
    stage_mock()->present(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_osf),
        cmocka_unit_test(test_eegpt),
        cmocka_unit_test(test_other_device),
    };
    return cmocka_run_group_tests_name("failing calls of Vulkan", tests, NULL, NULL);
}
