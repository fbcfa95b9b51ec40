/* SPDX-License-Identifier: MIT */
/* Devices that have little: the least limits that Vulkan 1.1 allows, memory that runs out, weights
 * that are too large, clocks that overflow. */
#include "fault/vulkan/stage.h"
#include "ops/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The least that Vulkan 1.1 allows is enough; the mock sees what goes beyond it. */
static void test_least(void **state)
{
    (void)state;
    PRESENT({.name = "least",
             .type = DISCRETE,
             .version = VK_API_VERSION_1_1,
             .limits = MOCK_LIMITS_LEAST});
    stage_run_case("osf_one_head", NULL);
    stage_run_case("eegpt_odd", NULL);
    stage_run_case("eegpt_conv_proj", NULL);
}

static void read_zeros(const void *source, size_t first, size_t count, float *values)
{
    const size_t *cols = source;
    (void)first;
    memset(values, 0, count * *cols * sizeof *values);
}

static void never_read(const void *source, size_t first, size_t count, float *values)
{
    (void)source, (void)first, (void)count, (void)values;
    fail_msg("a weight was read that no shader could see");
}

/* What a shader can't see as a whole is refused before it is read: with 2^27 bytes, which is the
 * least, a weight of 2^25 floats is the largest. */
static void test_range(void **state)
{
    (void)state;
    PRESENT({.name = "least", .type = DISCRETE, .limits = MOCK_LIMITS_LEAST});
    psgvit_error err;
    psgvit_device *device = NULL;
    pv_store *store = NULL;
    const pv_matrix *matrix;
    const pv_rows rows = {8192, 4097, never_read, NULL, false};
    assert_int_equal(stage_open(&device, PSGVIT_BACKEND_VULKAN, NULL, NULL, &err), PSGVIT_OK);
    assert_int_equal(pv_store_create(device, PSGVIT_F32, &store, &err), PSGVIT_OK);
    assert_int_equal(pv_store_matrix(store, &rows, &matrix, &err), PSGVIT_E_MEMORY);
    assert_string_equal(err.message,
                        "least: out of memory: a weight of 8192 x 4097 takes 134250496 bytes, and "
                        "a shader can see 134217728 at once");
    pv_store_destroy(store);
    psgvit_device_close(&device);
}

/* Weights as in a model's blocks leave little more unused than two chunks have. */
static void test_chunks(void **state)
{
    (void)state;
    PRESENT({.name = "GPU", .type = DISCRETE});
    static const size_t widths[] = {64, 384};
    for (size_t w = 0; w < 2; w++) {
        psgvit_error err;
        psgvit_device *device = NULL;
        pv_store *store = NULL;
        const pv_matrix *matrix;
        const size_t n = widths[w], shapes[][2] = {{3 * n, n}, {n, n}, {4 * n, n}, {n, 4 * n}};
        assert_int_equal(stage_open(&device, PSGVIT_BACKEND_VULKAN, NULL, NULL, &err), PSGVIT_OK);
        uint64_t before = stage_mock()->allocated(), taken = 0;
        assert_int_equal(pv_store_create(device, PSGVIT_F32, &store, &err), PSGVIT_OK);
        for (size_t i = 0; i < 12 * 4; i++) {
            const size_t *shape = shapes[i % 4];
            const pv_rows rows = {shape[0], shape[1], read_zeros, &shape[1], false};
            pv_tensor bias;
            float zeros[4 * 384] = {0};
            assert_int_equal(pv_store_matrix(store, &rows, &matrix, &err), PSGVIT_OK);
            assert_int_equal(pv_store_tensor(store, zeros, 1, rows.rows, &bias, &err), PSGVIT_OK);
            taken += (rows.rows * rows.cols + rows.rows) * sizeof(float);
        }
        uint64_t staging = 4 * n * n * sizeof(float);
        staging = staging < 1 << 20 ? 1 << 20 : staging;
        uint64_t found = stage_mock()->allocated() - before - staging;
        if (found > taken + taken / 50 + (17 << 20))
            fail_msg("width %zu: %llu bytes for %llu", n, (unsigned long long)found,
                     (unsigned long long)taken);
        pv_store_destroy(store);
        psgvit_device_close(&device);
    }
}

/* Memory that runs out before a device, a model or a batch is in it. A batch is halved until it
 * fits. */
static void test_memory(void **state)
{
    (void)state;
    PRESENT({.name = "small", .type = DISCRETE});
    const mock_controls *mock = stage_mock();
    psgvit_error err;
    psgvit_device *device = NULL;
    stage_log log;
    vector_case c;
    vector_encoder e;
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 0);
    mock->memory(1 << 10);
    stage_refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_MEMORY,
                 " in all) failed: VK_ERROR_OUT_OF_DEVICE_MEMORY (-2)", NULL);
    mock->memory(0);
    assert_int_equal(stage_open(&device, PSGVIT_BACKEND_VULKAN, NULL, &log, &err), PSGVIT_OK);
    mock->memory(1 << 10);
    assert_int_equal(stage_encoder(&e, &c, device, &err), PSGVIT_E_MEMORY);
    stage_expect_part(err.message, " in all) failed: VK_ERROR_OUT_OF_DEVICE_MEMORY (-2)");
    mock->memory(0);
    assert_int_equal(stage_encoder(&e, &c, device, &err), PSGVIT_OK);
    uint64_t before = mock->allocated();
    test_job one = job_make(&c, 1), eight = job_make(&c, 8);
    one.batch = 1;
    eight.batch = 8;
    job_run(&e, &one);
    mock->memory(mock->allocated() + (mock->allocated() - before)); /* room for two epochs */
    job_run(&e, &eight);
    stage_assert_true(&c, &eight);
    stage_expect_part(log.text, "2 memory has no room for a batch of 8 epochs: going on with 4\n"
                          "2 memory has no room for a batch of 4 epochs: going on with 2\n");
    mock->memory(before);
    job_clear(&c, &eight);
    eight.batch = 5;
    log.text[0] = '\0';
    assert_int_equal(job_encode(&e, &eight, &err), PSGVIT_OK); /* what is there is enough */
    stage_assert_true(&c, &eight);
    job_free(&one);
    job_free(&eight);
    vector_encoder_close(&e);
    psgvit_device_close(&device);
    mock->memory(0);
    vector_close(&c);
}

/* ---- clocks ---- */

static double time_on(psgvit_device *device, const vector_case *c)
{
    psgvit_error err;
    vector_encoder e;
    double device_ms = -1.0;
    assert_int_equal(stage_encoder(&e, c, device, &err), PSGVIT_OK);
    test_job job = job_make(c, 1);
    osf_job timed = {.struct_size = sizeof timed,
                     .signal = job.signal,
                     .epochs = 1,
                     .cls = job.out[0],
                     .cls_capacity = job.room[0],
                     .device_ms = &device_ms};
    if (osf_encode(e.osf, &timed, &err))
        fail_msg("%s", err.message);
    job_free(&job);
    vector_encoder_close(&e);
    return device_ms;
}

/* A clock of 36 bits that overflows in the middle, and a queue without one. */
static void test_clocks(void **state)
{
    (void)state;
    PRESENT({.name = "short", .type = DISCRETE, .uuid = 1, .clock_bits = 36},
            {.name = "none", .type = DISCRETE, .uuid = 2, .limits = MOCK_LIMITS_LEAST});
    vector_case c;
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 1);
    for (size_t i = 0; i < 2; i++) {
        psgvit_error err;
        psgvit_device *device = NULL;
        if (stage_open(&device, PSGVIT_BACKEND_VULKAN, shown[i].name, NULL, &err))
            fail_msg("%s", err.message);
        double ms = time_on(device, &c);
        if (i ? ms < 0.0 || ms > 0.0 : !(ms > 0.0 && ms < 10e3))
            fail_msg("%s: %g ms", shown[i].name, ms);
        psgvit_device_close(&device);
    }
    vector_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_least, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_range, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_chunks, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_memory, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_clocks, stage_setup, stage_teardown),
    };
    return cmocka_run_group_tests_name("limits of Vulkan", tests, NULL, NULL);
}
