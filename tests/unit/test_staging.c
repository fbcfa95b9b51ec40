/* SPDX-License-Identifier: MIT */
/*
 * Host buffers and their twins, on lavapipe as if its memory were its own: which bytes a plan
 * copies, in which direction and where among its dispatches, and that the results have the same
 * bits as without. Then the same with the copies in command buffers of their own, which semaphores
 * alone hold back, as if the one queue were three.
 */
#include "parity/vector.h"
#include "unit/job.h"
#include "vulkan/vulkan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- a device that notes ---- */

enum { COPIES = 16 };

static psgvit_device *device;
static vk_device *d;
static psgvit_error err;
static vk_api real;
static char events[1024]; /* c: copy, t: time, d: dispatch; as they are recorded */
static char submits[64];  /* w: waits, s: signals, f: has a fence, and ';' behind each */
static VkSemaphore signalled;
static struct {
    VkBuffer from, to;
    VkBufferCopy region;
} copies[COPIES];
static size_t copy_count;

static VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo *info,
                                  VkFence fence)
{
    assert_int_equal(count, 1);
    if (info->waitSemaphoreCount) /* for what is in front of it */
        assert_true(info->waitSemaphoreCount == 1 && *info->pWaitSemaphores == signalled &&
                    *info->pWaitDstStageMask == VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
    assert_true(info->signalSemaphoreCount <= 1);
    signalled = info->signalSemaphoreCount ? *info->pSignalSemaphores : VK_NULL_HANDLE;
    const size_t used = strlen(submits);
    snprintf(submits + used, sizeof submits - used, "%s%s%s;",
             info->waitSemaphoreCount ? "w" : "", signalled ? "s" : "", fence ? "f" : "");
    return real.QueueSubmit(queue, count, info, fence);
}

static void note(const char *event)
{
    strncat(events, event, sizeof events - strlen(events) - 1);
}

static void VKAPI_CALL copy(VkCommandBuffer commands, VkBuffer from, VkBuffer to, uint32_t count,
                            const VkBufferCopy *regions)
{
    assert_int_equal(count, 1);
    if (copy_count < COPIES) { /* weights take many */
        copies[copy_count].from = from;
        copies[copy_count].to = to;
        copies[copy_count].region = *regions;
    }
    copy_count++;
    note("c");
    real.CmdCopyBuffer(commands, from, to, count, regions);
}

static void VKAPI_CALL write_time(VkCommandBuffer commands, VkPipelineStageFlagBits stage,
                                  VkQueryPool pool, uint32_t query)
{
    note("t");
    real.CmdWriteTimestamp(commands, stage, pool, query);
}

static void VKAPI_CALL dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z)
{
    note("d");
    real.CmdDispatch(commands, x, y, z);
}

static int hook(void **state)
{
    (void)state;
    real = d->api;
    d->api.CmdCopyBuffer = copy;
    d->api.CmdWriteTimestamp = write_time;
    d->api.CmdDispatch = dispatch;
    d->api.QueueSubmit = submit;
    d->twins = true;
    return 0;
}

static int unhook(void **state)
{
    (void)state;
    d->api = real;
    d->twins = false;
    return 0;
}

static void forget(void)
{
    events[0] = submits[0] = '\0';
    copy_count = 0;
}

/* ---- plans ---- */

/* A host buffer whose float i is i. */
static pv_buffer *buffer(size_t floats)
{
    pv_buffer *b;
    if (pv_buffer_create(device, floats, PV_HOST, &b, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < floats; i++)
        b->host[i] = (float)i;
    return b;
}

static pv_plan *begin(void)
{
    pv_plan *plan;
    forget();
    assert_int_equal(pv_plan_begin(device, &plan, &err), PSGVIT_OK);
    return plan;
}

static void run(pv_plan *plan)
{
    if (pv_plan_finish(plan, &err) || pv_plan_submit(plan, &err))
        fail_msg("%s", err.message);
    pv_plan_destroy(plan);
}

static void assert_copy(size_t index, const pv_buffer *host, bool in, size_t first, size_t floats)
{
    const vk_buffer *b = (const vk_buffer *)host;
    assert_true(index < copy_count);
    assert_true(copies[index].from == (in ? b->buffer : b->twin->buffer));
    assert_true(copies[index].to == (in ? b->twin->buffer : b->buffer));
    assert_int_equal(copies[index].region.srcOffset, first * sizeof(float));
    assert_int_equal(copies[index].region.dstOffset, first * sizeof(float));
    assert_int_equal(copies[index].region.size, floats * sizeof(float));
}

static void take_all(pv_plan *plan, pv_tensor x, pv_tensor y)
{
    pv_select_rows(plan, x, (pv_row_range){1, 0, 1}, y);
}

/* What is read goes in, what is written comes back, exactly that. */
static void test_in_and_out(void **state)
{
    (void)state;
    pv_buffer *a = buffer(100), *b = buffer(100);
    pv_plan *plan = begin();
    take_all(plan, pv_view(a, 7, 3, 5), pv_view(b, 50, 3, 5));
    assert_int_equal(pv_plan_finish(plan, &err), PSGVIT_OK);
    assert_string_equal(events, d->copy_in ? "cctdt" : "ctdtc");
    assert_int_equal(copy_count, 2);
    assert_copy(0, a, true, 7, 15);
    assert_copy(1, b, false, 50, 15);
    for (int n = 0; n < 2; n++) {
        for (size_t i = 0; i < 100; i++)
            b->host[i] = -1.0f;
        a->host[7] = (float)(1000 + n); /* what is there when it starts */
        assert_int_equal(pv_plan_submit(plan, &err), PSGVIT_OK);
        for (size_t i = 0; i < 100; i++)
            assert_true(b->host[i] == (i < 50 || i >= 65 ? -1.0f : a->host[i - 50 + 7]));
    }
    assert_string_equal(submits, d->copy_in ? "s;ws;wf;s;ws;wf;" : "f;f;");
    pv_plan_destroy(plan);
    pv_buffer_destroy(device, a);
    pv_buffer_destroy(device, b);
}

/* From the host alone, back to it alone, and neither. */
static void test_one_way(void **state)
{
    (void)state;
    pv_buffer *a = buffer(100), *b = buffer(100), *own;
    assert_int_equal(pv_buffer_create(device, 100, PV_DEVICE, &own, &err), PSGVIT_OK);
    pv_tensor x = pv_view(a, 3, 2, 5), y = pv_view(b, 8, 2, 5);
    pv_tensor first = pv_view(own, 0, 2, 5), second = pv_view(own, 50, 2, 5);
    const pv_tensor steps[3][2] = {{x, first}, {first, second}, {second, y}};
    for (size_t i = 0; i < 3; i++) {
        pv_plan *plan = begin();
        take_all(plan, steps[i][0], steps[i][1]);
        run(plan);
        assert_int_equal(copy_count, i != 1);
        assert_string_equal(submits, !d->copy_in || i == 1 ? "f;" : "s;wf;");
    }
    for (size_t i = 0; i < 100; i++)
        assert_true(b->host[i] == (float)(i >= 8 && i < 18 ? i - 8 + 3 : i));
    pv_buffer_destroy(device, a);
    pv_buffer_destroy(device, b);
    pv_buffer_destroy(device, own);
}

/* What the plan has written itself isn't read from the host, be it in two parts, as long as it is
 * all of it. */
static void test_written_before(void **state)
{
    (void)state;
    pv_buffer *a = buffer(100), *b = buffer(100), *c = buffer(100);
    pv_plan *plan = begin();
    take_all(plan, pv_view(a, 0, 2, 5), pv_view(b, 0, 2, 5));
    take_all(plan, pv_view(a, 10, 2, 5), pv_view(b, 10, 2, 5));
    take_all(plan, pv_view(b, 0, 4, 5), pv_view(c, 0, 4, 5));
    run(plan);
    assert_int_equal(copy_count, 3);
    assert_copy(0, a, true, 0, 20);
    assert_copy(1, b, false, 0, 20);
    assert_copy(2, c, false, 0, 20);
    plan = begin();
    take_all(plan, pv_view(a, 20, 2, 5), pv_view(b, 0, 2, 5));
    take_all(plan, pv_view(b, 0, 3, 5), pv_view(c, 0, 3, 5));
    run(plan);
    assert_copy(1, b, true, 0, 15);
    for (size_t i = 0; i < 15; i++)
        assert_true(c->host[i] == (float)(i < 10 ? i + 20 : i));
    pv_buffer_destroy(device, a);
    pv_buffer_destroy(device, b);
    pv_buffer_destroy(device, c);
}

/* Floats between rows that are written are the host's, and stay. */
static void test_gaps(void **state)
{
    (void)state;
    pv_buffer *a = buffer(100), *b = buffer(100);
    pv_plan *plan = begin();
    pv_tensor y = pv_view(b, 4, 3, 5);
    y.stride = 7;
    take_all(plan, pv_view(a, 50, 3, 5), y);
    run(plan);
    assert_int_equal(copy_count, 3);
    assert_copy(1, b, true, 4, 19);
    assert_copy(2, b, false, 4, 19);
    for (size_t i = 0; i < 100; i++) {
        size_t row = (i - 4) / 7, col = (i - 4) % 7;
        bool element = i >= 4 && row < 3 && col < 5;
        assert_true(b->host[i] == (float)(element ? 50 + row * 5 + col : i));
    }
    pv_buffer_destroy(device, a);
    pv_buffer_destroy(device, b);
}

static void read_ones(const void *source, size_t first, size_t count, float *values)
{
    (void)source, (void)first;
    for (size_t i = 0; i < count * 4; i++)
        values[i] = 1.0f;
}

/* A residual stream is read before it is written, a plain result is not. */
static void test_adding(void **state)
{
    (void)state;
    pv_store *store;
    pv_linear_weight w = {0};
    const pv_rows rows = {3, 4, read_ones, NULL, false};
    assert_int_equal(pv_store_create(device, PSGVIT_F32, &store, &err), PSGVIT_OK);
    assert_int_equal(pv_store_matrix(store, &rows, &w.matrix, &err), PSGVIT_OK);
    pv_buffer *a = buffer(100), *b = buffer(100);
    pv_plan *plan = begin();
    pv_linear(plan, pv_view(a, 0, 1, 4), &w, PV_ADD, pv_view(b, 8, 1, 3));
    run(plan);
    assert_int_equal(copy_count, 3);
    assert_copy(1, b, true, 8, 3);
    assert_copy(2, b, false, 8, 3);
    for (size_t i = 8; i < 11; i++)
        assert_true(b->host[i] == (float)i + 6.0f);
    plan = begin();
    pv_linear(plan, pv_view(a, 0, 1, 4), &w, PV_PLAIN, pv_view(b, 8, 1, 3));
    run(plan);
    assert_int_equal(copy_count, 2);
    assert_copy(1, b, false, 8, 3);
    assert_true(b->host[8] == 6.0f);
    pv_buffer_destroy(device, a);
    pv_buffer_destroy(device, b);
    pv_store_destroy(store);
}

/* The plan's flag is set without a copy, and memory of the device alone has no twin. */
static void test_no_twin(void **state)
{
    (void)state;
    vk_use use;
    pv_buffer *b;
    pv_plan *plan = begin();
    assert_int_equal(pv_vk_plan_flag(plan, &use, &err), PSGVIT_OK);
    assert_null(use.host);
    pv_plan_destroy(plan);
    assert_int_equal(pv_buffer_create(device, 100, PV_DEVICE, &b, &err), PSGVIT_OK);
    assert_null(((vk_buffer *)b)->twin);
    pv_buffer_destroy(device, b);
}

/* ---- models ---- */

/* All outputs of two epochs, with twins and without. */
static void same_bits(const char *name)
{
    enum { EPOCHS = 2 };
    vector_case c;
    vector_encoder e;
    test_job job[2];
    size_t bytes = 0;
    vector_open(&c, TESTS_DIR "/vectors", name, 0);
    for (int staging = 0; staging < 2; staging++) {
        vector_encoder_open(&e, &c, device);
        job[staging] = job_make(&c, EPOCHS);
        d->twins = staging;
        forget();
        job_run(&e, &job[staging]);
        vector_encoder_close(&e);
        assert_true(staging || !copy_count);
    }
    assert_int_equal(copy_count, 1 + c.output_count); /* the signal in, each output back */
    assert_int_equal(copies[0].region.size,
                     EPOCHS * c.channels * c.samples * sizeof(float));
    for (size_t i = 0; i < c.output_count; i++) {
        const size_t size = EPOCHS * job_each(&c, i) * sizeof(float);
        assert_memory_equal(job[0].out[i], job[1].out[i], size);
        bytes += size - (size_t)copies[1 + i].region.size;
        job_assert_true(&c, &job[1], i, 0);
    }
    assert_true(bytes == 0);
    const char *end = strrchr(events, 't');
    assert_true(d->copy_in || !strncmp(events, "ctd", 3));
    assert_int_equal(strspn(end + 1, "c"), d->copy_in ? 0 : c.output_count);
    assert_int_equal(strspn(events, "c"), d->copy_in ? copy_count : 1);
    job_free(&job[0]);
    job_free(&job[1]);
    vector_close(&c);
}

static void test_same_bits(void **state)
{
    (void)state;
    same_bits("osf_one_head");
    same_bits("eegpt_odd");
    same_bits("eegpt_conv_proj");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, hook, unhook)
    const struct CMUnitTest tests[] = {
        TEST(test_in_and_out), TEST(test_one_way), TEST(test_written_before), TEST(test_gaps),
        TEST(test_adding),     TEST(test_no_twin), TEST(test_same_bits),
    };
    psgvit_device_params params = {.struct_size = sizeof params, .backend = PSGVIT_BACKEND_VULKAN};
    if (psgvit_device_open(&device, &params, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    d = (vk_device *)device;
    d->twins = false;
    int failures = cmocka_run_group_tests_name("staging", tests, NULL, NULL);
    d->copy_in = d->copy_out = d->queue;
    d->copy_family = d->family;
    d->least_copies = 0;
    failures += cmocka_run_group_tests_name("staging by other queues", tests, NULL, NULL);
    psgvit_device_close(&device);
    return failures;
}
