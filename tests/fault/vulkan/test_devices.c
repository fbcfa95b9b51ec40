/* SPDX-License-Identifier: MIT */
/*
 * Devices that this machine lacks: what the list says of them, which one is taken, and what becomes
 * of one that is too old, too small, or computes wrong.
 */
#include "fault/vulkan/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the list ---- */

static void expect_info(const psgvit_device_info *info, const char *name, psgvit_device_type type,
                        const char *reason)
{
    assert_string_equal(info->name, name);
    assert_string_equal(info->reason, reason);
    assert_int_equal(info->type, type);
    assert_int_equal(info->backend, PSGVIT_BACKEND_VULKAN);
    assert_int_equal(info->usable, !reason[0]);
    assert_int_equal(info->precisions, reason[0] ? 0 : 1u << PSGVIT_F32);
    assert_int_equal(info->isa, PSGVIT_ISA_AUTO);
    assert_int_equal(info->threads, 0);
    assert_true(info->memory_bytes > 0);
}

static void test_list(void **state)
{
    (void)state;
    PRESENT({.name = "GPU", .type = DISCRETE, .uuid = 0xA1},
            {.name = "iGPU", .type = INTEGRATED, .uuid = 2},
            {.name = "vGPU", .type = VIRTUAL, .version = VK_API_VERSION_1_1, .uuid = 3},
            {.name = "soft", .type = SOFTWARE, .uuid = 4},
            {.name = "other", .type = OTHER, .uuid = 5},
            {.name = "old", .type = DISCRETE, .version = VK_API_VERSION_1_0, .uuid = 6},
            {.name = "no queue", .type = DISCRETE, .no_queue = true},
            {.name = "small", .type = DISCRETE, .limits = MOCK_LIMITS_BELOW},
            {.name = "least", .type = DISCRETE, .limits = MOCK_LIMITS_LEAST},
            {.name = "8 GiB", .type = DISCRETE, .memory = 8ull << 30});
    psgvit_error err;
    psgvit_device_list *list = NULL;
    assert_int_equal(psgvit_device_list_open(&list, &err), PSGVIT_OK);
    assert_int_equal(psgvit_device_list_count(list), 11);
    assert_null(psgvit_device_list_at(list, 11));
    const psgvit_device_info *at[11];
    for (size_t i = 0; i < 11; i++)
        assert_non_null(at[i] = psgvit_device_list_at(list, i));
    assert_int_equal(at[0]->backend, PSGVIT_BACKEND_CPU);
    expect_info(at[1], "GPU", PSGVIT_DEVICE_DISCRETE, "");
    expect_info(at[2], "iGPU", PSGVIT_DEVICE_INTEGRATED, "");
    expect_info(at[3], "vGPU", PSGVIT_DEVICE_VIRTUAL, "");
    expect_info(at[4], "soft", PSGVIT_DEVICE_SOFTWARE, "");
    expect_info(at[5], "other", PSGVIT_DEVICE_VIRTUAL, "");
    expect_info(at[6], "old", PSGVIT_DEVICE_DISCRETE, "its driver has Vulkan 1.0, expected 1.1");
    expect_info(at[7], "no queue", PSGVIT_DEVICE_DISCRETE, "it has no queue that computes");
    expect_info(at[8], "small", PSGVIT_DEVICE_DISCRETE,
                "its maxComputeSharedMemorySize is 8192, expected at least 16384");
    expect_info(at[9], "least", PSGVIT_DEVICE_DISCRETE, "");
    expect_info(at[10], "8 GiB", PSGVIT_DEVICE_DISCRETE, "");
    assert_true(at[10]->memory_bytes == 8ull << 30);
    assert_string_equal(at[1]->uuid, "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1");
    assert_string_equal(at[6]->uuid, ""); /* Vulkan 1.0 knows none */
    stage_expect_part(at[1]->driver, "Mesa");
    psgvit_device_list_close(&list);
}

/* ---- which one is taken ---- */

static void test_order(void **state)
{
    (void)state;
    stage_log log;
    PRESENT({.name = "soft", .type = SOFTWARE},
            {.name = "vGPU", .type = VIRTUAL},
            {.name = "iGPU", .type = INTEGRATED},
            {.name = "GPU", .type = DISCRETE},
            {.name = "GPU two", .type = DISCRETE});
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, "GPU", &log);
    assert_string_equal(log.text, "");
    stage_expect(PSGVIT_BACKEND_VULKAN, NULL, "GPU", &log);
    assert_string_equal(log.text, "");
    stage_mock()->present(shown, 3);
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, "iGPU", NULL);
    stage_expect(PSGVIT_BACKEND_VULKAN, NULL, "iGPU", NULL);
    stage_mock()->present(shown, 2);
    stage_expect(PSGVIT_BACKEND_VULKAN, NULL, "vGPU", &log);
    assert_string_equal(log.text, "");
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log); /* never a virtual or software one */
    stage_expect_part(log.text,
                      "3 backend auto takes the CPU: there is no discrete or integrated GPU");
    stage_mock()->present(shown, 1);
    stage_expect(PSGVIT_BACKEND_VULKAN, NULL, "soft", &log);
    stage_expect_part(log.text, "2 backend vulkan: there is no GPU, soft computes on the CPU");
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, NULL, NULL);
    stage_expect(PSGVIT_BACKEND_CPU, NULL, NULL, NULL);
}

static void test_by_name(void **state)
{
    (void)state;
    stage_log log;
    PRESENT({.name = "A100", .type = DISCRETE, .uuid = 1},
            {.name = "A100", .type = DISCRETE, .uuid = 2},
            {.name = "old A30", .type = DISCRETE, .version = VK_API_VERSION_1_0, .uuid = 3},
            {.name = "soft", .type = SOFTWARE, .uuid = 4});
    for (int backend = PSGVIT_BACKEND_AUTO; backend <= PSGVIT_BACKEND_VULKAN; backend += 2) {
        psgvit_backend b = (psgvit_backend)backend;
        stage_expect(b, "SOFT", "soft", &log); /* by name a software one is no surprise */
        assert_string_equal(log.text, "");
        stage_expect(b, "2", "A100", NULL);
        stage_expect(b, "02020202-0202-0202-0202-020202020202", "A100", NULL);
        stage_refuse(b, "a100", PSGVIT_E_DEVICE,
               "device 'a100': 2 answer to that: 1 'A100' (01010101010101010101010101010101), "
                     "2 'A100' (02020202020202020202020202020202)", NULL);
        stage_refuse(b, "A30", PSGVIT_E_DEVICE,
                     "old A30: can't be used: its driver has Vulkan 1.0, expected 1.1", NULL);
        stage_refuse(b, "5", PSGVIT_E_DEVICE, "device '5': there is none", NULL);
        stage_refuse(b, "H100", PSGVIT_E_DEVICE, "4 'soft'", NULL);
    }
    stage_expect(PSGVIT_BACKEND_AUTO, "0", NULL, NULL);
    stage_refuse(PSGVIT_BACKEND_VULKAN, "0", PSGVIT_E_DEVICE, "device '0': there is none", NULL);
    stage_refuse(PSGVIT_BACKEND_CPU, "1", PSGVIT_E_DEVICE, "device '1': there is none", NULL);
    stage_refuse(PSGVIT_BACKEND_CPU, "soft", PSGVIT_E_DEVICE, "device 'soft': there is none", NULL);
}

/* An instruction set is the CPU's: who asks auto for one has said which. */
static void test_isa(void **state)
{
    (void)state;
    PRESENT({.name = "GPU", .type = DISCRETE});
    psgvit_error err;
    psgvit_device *device = NULL;
    psgvit_device_params p = {.struct_size = sizeof p, .isa = PSGVIT_ISA_C};
    assert_int_equal(psgvit_device_open(&device, &p, &err), PSGVIT_OK);
    assert_int_equal(psgvit_device_get_info(device)->backend, PSGVIT_BACKEND_CPU);
    psgvit_device_close(&device);
    p = (psgvit_device_params){.struct_size = sizeof p, .threads = -1};
    assert_int_equal(psgvit_device_open(&device, &p, &err), PSGVIT_E_ARGUMENT);
    p = (psgvit_device_params){
        .struct_size = sizeof p, .backend = PSGVIT_BACKEND_VULKAN, .isa = (psgvit_isa)9};
    assert_int_equal(psgvit_device_open(&device, &p, &err), PSGVIT_E_ARGUMENT);
}

static void test_unusable(void **state)
{
    (void)state;
    stage_log log;
    PRESENT({.name = "old", .type = DISCRETE, .version = VK_API_VERSION_1_0},
            {.name = "small", .type = INTEGRATED, .limits = MOCK_LIMITS_BELOW},
            {.name = "soft", .type = SOFTWARE});
    stage_expect(PSGVIT_BACKEND_VULKAN, NULL, "soft", &log);
    stage_expect_part(log.text, "2 old: can't be used: its driver has Vulkan 1.0, expected 1.1\n"
                          "2 small: can't be used: its maxComputeSharedMemorySize is 8192, "
                          "expected at least 16384\n"
                          "2 backend vulkan: there is no GPU, soft computes on the CPU\n");
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log);
    stage_expect_part(log.text,
                      "2 backend auto passes over a GPU: old: can't be used: its driver has");
    stage_mock()->present(shown, 2);
    stage_refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
           "backend vulkan: none of the 2 devices can be used; old: its driver has Vulkan 1.0",
                 NULL);
    stage_mock()->present(shown, 0);
    stage_refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
                 "backend vulkan: no driver has found a device", NULL);
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log);
    stage_expect_part(log.text,
                      "backend auto takes the CPU: backend vulkan: no driver has found a device");
}

/* ---- the self-test ---- */

static void test_wrong(void **state)
{
    (void)state;
    stage_log log;
    /* Grossly, by as little as half precision would do, and not a number. */
    PRESENT({.name = "wild", .type = DISCRETE, .error = 100.0f},
            {.name = "sloppy", .type = INTEGRATED, .error = 1e-2f},
            {.name = "good", .type = INTEGRATED},
            {.name = "none", .type = DISCRETE, .error = 0.0f / 0.0f});
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, "good", &log);
    stage_expect_part(log.text, "2 backend auto passes over a GPU: wild: it computes wrong: in the "
                                "self-test's linear layer in f32 with tiles of 32 x 32 x 32 by 4 "
                                "groups value 4 is ");
    stage_expect_part(log.text, "2 backend auto passes over a GPU: sloppy: it computes wrong");
    stage_expect_part(log.text, "none: it computes wrong");
    stage_refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
                 "wild: it computes wrong: in the", NULL);
    stage_refuse(PSGVIT_BACKEND_VULKAN, "sloppy", PSGVIT_E_DEVICE,
                 "sloppy: it computes wrong", NULL);
    stage_mock()->present(shown, 2);
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log);
    stage_expect_part(log.text,
                      "3 backend auto takes the CPU: there is no discrete or integrated GPU");
}

/* Each kernel is tried, however late it goes wrong: behind seven submits, of weights, come the
 * classes of tiles that lavapipe has the memory for; two more submits of weights, and attention. */
static void test_wrong_later(void **state)
{
    (void)state;
    static const struct {
        long at;
        const char *op;
    } wrong[] = {{8, "linear layer in f32 with tiles of 32 x 32 x 32 by 4 groups"},
                 {9, "linear layer in f32 with tiles of 64 x 64 x 8 by 1 groups"},
                 {12, "attention in front of a linear layer in f32"},
                 {13, "attention"}, {14, "attention"}, {15, "attention"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const mock_device late = {
            .name = "late", .type = DISCRETE, .error = 1e-2f, .error_at = wrong[i].at};
        char sentence[160];
        stage_mock()->present(&late, 1);
        snprintf(sentence, sizeof sentence,
                 "late: it computes wrong: in the self-test's %s value 4 is ", wrong[i].op);
        stage_refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE, sentence, NULL);
    }
    const mock_device right = {
        .name = "right", .type = DISCRETE, .error = 1e-2f, .error_at = 16};
    stage_mock()->present(&right, 1);
    stage_mock()->arm(0, 0, "vkCreateComputePipelines");
    stage_expect(PSGVIT_BACKEND_VULKAN, NULL, "right", NULL);
    assert_int_equal(stage_mock()->calls(), 10); /* what writes and reads a stream, a norm, a layer
                                                    with GELU, and six of these */
}

/* An encoder of this precision can't be opened. */
static void refuse_precision(psgvit_device *device, psgvit_precision precision,
                             const char *sentence)
{
    psgvit_error err;
    vector_case c;
    osf_encoder *encoder = NULL;
    osf_encoder_params p = {.struct_size = sizeof p, .precision = precision};
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 0);
    assert_int_equal(osf_encoder_open_memory(&encoder, device, c.image, c.image_size, &p, &err),
                     PSGVIT_E_DEVICE);
    assert_null(encoder);
    stage_expect_part(err.message, sentence);
    vector_close(&c);
}

/* A device that says it has fast matrices, but whose driver can't compile their shaders, is used
 * without them: those of f32 are tried at once, those of bf16 when somebody wants them. */
static void test_matrices(void **state)
{
    (void)state;
    PRESENT({.name = "fast", .type = DISCRETE, .matrices = true});
    psgvit_error err;
    psgvit_device *device = NULL;
    psgvit_device_list *list = NULL;
    stage_log log;
    unsigned all = 1u << PSGVIT_F32 | 1u << PSGVIT_F16 | 1u << PSGVIT_BF16;
    assert_int_equal(psgvit_device_list_open(&list, &err), PSGVIT_OK);
    assert_int_equal(psgvit_device_list_at(list, 1)->precisions, all);
    psgvit_device_list_close(&list);
    assert_int_equal(stage_open(&device, PSGVIT_BACKEND_AUTO, NULL, &log, &err), PSGVIT_OK);
    stage_expect_part(log.text, "2 fast: creating a compute pipeline failed: VK_ERROR_UNKNOWN "
                                "(-13); it is used without f16\n");
    assert_int_equal(psgvit_device_get_info(device)->precisions,
                     1u << PSGVIT_F32 | 1u << PSGVIT_BF16);
    refuse_precision(device, PSGVIT_F16, "fast: precision f16 is not supported, ");
    for (int i = 0; i < 2; i++)
        refuse_precision(device, PSGVIT_BF16,
                         "fast: creating a compute pipeline failed: VK_ERROR_UNKNOWN (-13)");
    psgvit_device_close(&device);
}

/* A device whose matrices should be read element by element, and can't: they are tried as wholes
 * before they are given up. */
static void test_fragments(void **state)
{
    (void)state;
    enum { NVIDIA = 0x10de };
    PRESENT({.name = "fast", .type = DISCRETE, .matrices = true, .unchecked = true,
             .vendor = NVIDIA, .subgroup = 32});
    psgvit_error err;
    psgvit_device *device = NULL;
    stage_log log;
    assert_int_equal(stage_open(&device, PSGVIT_BACKEND_AUTO, NULL, &log, &err), PSGVIT_OK);
    assert_string_equal(log.text, "2 fast: creating a compute pipeline failed: VK_ERROR_UNKNOWN "
                                  "(-13); its matrices are used as wholes\n"
                                  "2 fast: creating a compute pipeline failed: VK_ERROR_UNKNOWN "
                                  "(-13); it is used without f16\n");
    psgvit_device_close(&device);
    stage_run_case("osf_one_head", NULL);
}

/* Not one class of tiles of fast matrices fits: they are not used where others do, and else an
 * error. */
static void test_narrow(void **state)
{
    (void)state;
    PRESENT({.name = "narrow", .type = DISCRETE, .matrices = true, .group = 128, .subgroup = 64});
    psgvit_error err;
    psgvit_device *device = NULL;
    stage_log log;
    if (stage_open(&device, PSGVIT_BACKEND_VULKAN, NULL, &log, &err))
        fail_msg("%s", err.message);
    assert_string_equal(log.text,
                        "2 narrow: its maxComputeWorkGroupSize[0] is 128, expected at least 256 "
                        "for a linear layer in f32 by fast matrices; it is used without f16\n");
    refuse_precision(device, PSGVIT_BF16,
                     "narrow: its maxComputeWorkGroupSize[0] is 128, expected at least 256 for a "
                     "linear layer in bf16 by fast matrices");
    psgvit_device_close(&device);
    stage_run_case("osf_one_head", NULL);
}

/* ---- old loaders ---- */

static void test_loader_version(void **state)
{
    (void)state;
    stage_log log;
    stage_mock()->loader_version(VK_API_VERSION_1_0);
    stage_refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
           "backend vulkan: libvulkan.so.1 has no vkEnumerateInstanceVersion, which Vulkan 1.1 has",
                 NULL);
    stage_expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log);
    stage_expect_part(log.text,
                      "backend auto takes the CPU: backend vulkan: libvulkan.so.1 has no");
    stage_mock()->loader_version(VK_MAKE_API_VERSION(0, 1, 0, 7));
    stage_refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
                 "backend vulkan: libvulkan.so.1 is of Vulkan 1.0, expected 1.1 or later", NULL);
    stage_mock()->loader_version(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_order, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_by_name, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_isa, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_unusable, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_wrong, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_later, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_matrices, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_fragments, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_narrow, stage_setup, stage_teardown),
        cmocka_unit_test_setup_teardown(test_loader_version, stage_setup, stage_teardown),
    };
    return cmocka_run_group_tests_name("devices of Vulkan", tests, NULL, NULL);
}
