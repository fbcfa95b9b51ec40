/* SPDX-License-Identifier: MIT */
/*
 * Devices that this machine lacks: what the list says of them, which one is taken, and what becomes
 * of one that is too old or too small, computes wrong, is lost, or hangs.
 */
#include "fault/vulkan/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DISCRETE VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
#define INTEGRATED VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU
#define VIRTUAL VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU
#define SOFTWARE VK_PHYSICAL_DEVICE_TYPE_CPU
#define OTHER VK_PHYSICAL_DEVICE_TYPE_OTHER
#define PRESENT(...)                                                                               \
    static const mock_device shown[] = {__VA_ARGS__};                                              \
    stage_mock()->present(shown, sizeof shown / sizeof *shown)

static int setup(void **state)
{
    (void)state;
    stage_mock()->keep(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_assert_clean();
    stage_mock()->present(NULL, 0);
    stage_mock()->keep(false);
    return 0;
}

static void expect_part(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected '%s' in: %s", part, text);
}

/* Opens one and asserts that it is the one of this name. */
static void expect(psgvit_backend backend, const char *wanted, const char *name, stage_log *log)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    if (stage_open(&device, backend, wanted, log, &err))
        fail_msg("%s", err.message);
    const psgvit_device_info *info = psgvit_device_get_info(device);
    if (name)
        assert_string_equal(info->name, name);
    assert_int_equal(info->backend, name ? PSGVIT_BACKEND_VULKAN : PSGVIT_BACKEND_CPU);
    assert_true(info->usable && !info->reason[0] && info->precisions & 1u << PSGVIT_F32);
    psgvit_device_close(&device);
}

static void refuse(psgvit_backend backend, const char *wanted, psgvit_status status,
                   const char *sentence, stage_log *log)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    assert_int_equal(stage_open(&device, backend, wanted, log, &err), status);
    assert_null(device);
    expect_part(err.message, sentence);
}

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
    expect_part(at[1]->driver, "Mesa");
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
    expect(PSGVIT_BACKEND_AUTO, NULL, "GPU", &log);
    assert_string_equal(log.text, "");
    expect(PSGVIT_BACKEND_VULKAN, NULL, "GPU", &log);
    assert_string_equal(log.text, "");
    stage_mock()->present(shown, 3);
    expect(PSGVIT_BACKEND_AUTO, NULL, "iGPU", NULL);
    expect(PSGVIT_BACKEND_VULKAN, NULL, "iGPU", NULL);
    stage_mock()->present(shown, 2);
    expect(PSGVIT_BACKEND_VULKAN, NULL, "vGPU", &log);
    assert_string_equal(log.text, "");
    expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log); /* never a virtual or software one */
    expect_part(log.text, "3 backend auto takes the CPU: there is no discrete or integrated GPU");
    stage_mock()->present(shown, 1);
    expect(PSGVIT_BACKEND_VULKAN, NULL, "soft", &log);
    expect_part(log.text, "2 backend vulkan: there is no GPU, soft computes on the CPU");
    expect(PSGVIT_BACKEND_AUTO, NULL, NULL, NULL);
    expect(PSGVIT_BACKEND_CPU, NULL, NULL, NULL);
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
        expect(b, "SOFT", "soft", &log); /* by name a software one is no surprise */
        assert_string_equal(log.text, "");
        expect(b, "2", "A100", NULL);
        expect(b, "02020202-0202-0202-0202-020202020202", "A100", NULL);
        refuse(b, "a100", PSGVIT_E_DEVICE,
               "device 'a100': 2 answer to that: 1 'A100' (01010101010101010101010101010101), "
               "2 'A100' (02020202020202020202020202020202)", NULL);
        refuse(b, "A30", PSGVIT_E_DEVICE,
               "old A30: can't be used: its driver has Vulkan 1.0, expected 1.1", NULL);
        refuse(b, "5", PSGVIT_E_DEVICE, "device '5': there is none", NULL);
        refuse(b, "H100", PSGVIT_E_DEVICE, "4 'soft'", NULL);
    }
    expect(PSGVIT_BACKEND_AUTO, "0", NULL, NULL);
    refuse(PSGVIT_BACKEND_VULKAN, "0", PSGVIT_E_DEVICE, "device '0': there is none", NULL);
    refuse(PSGVIT_BACKEND_CPU, "1", PSGVIT_E_DEVICE, "device '1': there is none", NULL);
    refuse(PSGVIT_BACKEND_CPU, "soft", PSGVIT_E_DEVICE, "device 'soft': there is none", NULL);
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
    expect(PSGVIT_BACKEND_VULKAN, NULL, "soft", &log);
    expect_part(log.text, "2 old: can't be used: its driver has Vulkan 1.0, expected 1.1\n"
                          "2 small: can't be used: its maxComputeSharedMemorySize is 8192, "
                          "expected at least 16384\n"
                          "2 backend vulkan: there is no GPU, soft computes on the CPU\n");
    expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log);
    expect_part(log.text, "2 backend auto passes over a GPU: old: can't be used: its driver has");
    stage_mock()->present(shown, 2);
    refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
           "backend vulkan: none of the 2 devices can be used; old: its driver has Vulkan 1.0",
           NULL);
    stage_mock()->present(shown, 0);
    refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
           "backend vulkan: no driver has found a device", NULL);
    expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log);
    expect_part(log.text,
                "backend auto takes the CPU: backend vulkan: no driver has found a device");
}

/* ---- the self-test ---- */

/* Opens a device and asserts that it computes a case right. */
static void run_case(const char *name, const char *device_name)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    vector_case c;
    vector_encoder e;
    vector_open(&c, TESTS_DIR "/vectors", name, 0);
    if (stage_open(&device, PSGVIT_BACKEND_VULKAN, device_name, NULL, &err) ||
        stage_encoder(&e, &c, device, &err))
        fail_msg("%s", err.message);
    test_job job = job_make(&c, 2);
    job_run(&e, &job);
    stage_assert_true(&c, &job);
    job_free(&job);
    vector_encoder_close(&e);
    vector_close(&c);
    psgvit_device_close(&device);
}

static void test_wrong(void **state)
{
    (void)state;
    stage_log log;
    /* Grossly, by as little as half precision would do, and not a number. */
    PRESENT({.name = "wild", .type = DISCRETE, .error = 100.0f},
            {.name = "sloppy", .type = INTEGRATED, .error = 1e-3f},
            {.name = "good", .type = INTEGRATED},
            {.name = "none", .type = DISCRETE, .error = 0.0f / 0.0f});
    expect(PSGVIT_BACKEND_AUTO, NULL, "good", &log);
    expect_part(log.text, "2 backend auto passes over a GPU: wild: it computes wrong: in the "
                          "self-test's linear layer in f32 with tiles of 64 x 64 x 8 value 4 "
                          "is ");
    expect_part(log.text, "2 backend auto passes over a GPU: sloppy: it computes wrong");
    expect_part(log.text, "none: it computes wrong");
    refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE, "wild: it computes wrong: in the", NULL);
    refuse(PSGVIT_BACKEND_VULKAN, "sloppy", PSGVIT_E_DEVICE, "sloppy: it computes wrong", NULL);
    stage_mock()->present(shown, 2);
    expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log);
    expect_part(log.text, "3 backend auto takes the CPU: there is no discrete or integrated GPU");
}

/* Each kernel is tried, however late it goes wrong: behind two submits, of a weight and a bias,
 * come the classes of tiles that lavapipe has the memory for, the last of which is like the first,
 * and then attention. */
static void test_wrong_later(void **state)
{
    (void)state;
    static const char *const ops[] = {"linear layer in f32 with tiles of 64 x 64 x 8",
                                      "linear layer in f32 with tiles of 32 x 32 x 32",
                                      "linear layer in f32 with tiles of 64 x 64 x 8",
                                      "attention", "attention", "attention"};
    const long first = 3, count = sizeof ops / sizeof *ops;
    for (long i = 0; i < count; i++) {
        const mock_device late = {
            .name = "late", .type = DISCRETE, .error = 1e-3f, .error_at = first + i};
        char sentence[160];
        stage_mock()->present(&late, 1);
        snprintf(sentence, sizeof sentence,
                 "late: it computes wrong: in the self-test's %s value 4 is ", ops[i]);
        refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE, sentence, NULL);
    }
    const mock_device right = {
        .name = "right", .type = DISCRETE, .error = 1e-3f, .error_at = first + count};
    stage_mock()->present(&right, 1);
    stage_mock()->arm(0, 0, "vkCreateComputePipelines");
    expect(PSGVIT_BACKEND_VULKAN, NULL, "right", NULL);
    assert_int_equal(stage_mock()->calls(), 5); /* no two of them are the same kernel */
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
    expect_part(err.message, sentence);
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
    expect_part(log.text, "2 fast: creating a compute pipeline failed: VK_ERROR_UNKNOWN (-13); it "
                          "is used without f16\n");
    assert_int_equal(psgvit_device_get_info(device)->precisions,
                     1u << PSGVIT_F32 | 1u << PSGVIT_BF16);
    refuse_precision(device, PSGVIT_F16, "fast: precision f16 is not supported, ");
    for (int i = 0; i < 2; i++)
        refuse_precision(device, PSGVIT_BF16,
                         "fast: creating a compute pipeline failed: VK_ERROR_UNKNOWN (-13)");
    psgvit_device_close(&device);
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
    run_case("osf_one_head", NULL);
}

/* ---- small devices ---- */

/* The least that Vulkan 1.1 allows is enough; the mock sees what goes beyond it. */
static void test_least(void **state)
{
    (void)state;
    PRESENT({.name = "least",
             .type = DISCRETE,
             .version = VK_API_VERSION_1_1,
             .limits = MOCK_LIMITS_LEAST});
    run_case("osf_one_head", NULL);
    run_case("eegpt_odd", NULL);
    run_case("eegpt_conv_proj", NULL);
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
    refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_MEMORY,
           "small: allocating memory failed: VK_ERROR_OUT_OF_DEVICE_MEMORY (-2)", NULL);
    mock->memory(0);
    assert_int_equal(stage_open(&device, PSGVIT_BACKEND_VULKAN, NULL, &log, &err), PSGVIT_OK);
    mock->memory(1 << 10);
    assert_int_equal(stage_encoder(&e, &c, device, &err), PSGVIT_E_MEMORY);
    expect_part(err.message, "small: allocating memory failed");
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
    expect_part(log.text, "2 memory has no room for a batch of 8 epochs: going on with 4\n"
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

/* ---- lost, and hanging ---- */

/* A device that fails in its job: a sentence, then no call of Vulkan that could hang, and another
 * device works beside it. */
static void give_up(const mock_device *bad, const char *sentence)
{
    psgvit_error err;
    psgvit_device *device = NULL, *other = NULL;
    vector_case c;
    vector_encoder e, second;
    mock_device shown[2] = {*bad, {.name = "good", .type = DISCRETE, .uuid = 2}};
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 0);
    stage_mock()->keep(false);
    stage_mock()->present(shown, 2);
    if (stage_open(&device, PSGVIT_BACKEND_VULKAN, bad->name, NULL, &err) ||
        stage_encoder(&e, &c, device, &err))
        fail_msg("%s", err.message);
    test_job job = job_make(&c, 2);
    assert_int_equal(job_encode(&e, &job, &err), PSGVIT_E_DEVICE);
    expect_part(err.message, sentence);
    long submits = stage_mock()->submits();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(job_encode(&e, &job, &err), PSGVIT_E_DEVICE);
        expect_part(err.message, "broken: the device was lost in an earlier call");
        assert_int_equal(stage_encoder(&second, &c, device, &err), PSGVIT_E_DEVICE);
        expect_part(err.message, "broken: the device was lost in an earlier call");
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
    stage_assert_clean();
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
    give_up(&bad, "broken: submitting work failed: VK_ERROR_DEVICE_LOST (-4)");
}

static void test_hang(void **state)
{
    (void)state;
    long submits = submits_to_open();
    mock_device bad = {.name = "broken", .type = DISCRETE, .uuid = 1, .hangs_at = submits + 1};
    give_up(&bad, "broken: waiting for the device failed: VK_TIMEOUT (2)");
}

/* One that never answers is refused by its self-test, and auto goes on to the next. */
static void test_hang_at_once(void **state)
{
    (void)state;
    stage_log log;
    PRESENT({.name = "stuck", .type = DISCRETE, .hangs_at = 1},
            {.name = "gone", .type = DISCRETE, .lost_at = 1},
            {.name = "good", .type = INTEGRATED});
    expect(PSGVIT_BACKEND_AUTO, NULL, "good", &log);
    expect_part(log.text, "stuck: waiting for the device failed: VK_TIMEOUT (2)");
    expect_part(log.text, "gone: submitting work failed: VK_ERROR_DEVICE_LOST (-4)");
}

/* ---- old loaders ---- */

static void test_loader_version(void **state)
{
    (void)state;
    stage_log log;
    stage_mock()->loader_version(VK_API_VERSION_1_0);
    refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
           "backend vulkan: libvulkan.so.1 has no vkEnumerateInstanceVersion, which Vulkan 1.1 has",
           NULL);
    expect(PSGVIT_BACKEND_AUTO, NULL, NULL, &log);
    expect_part(log.text, "backend auto takes the CPU: backend vulkan: libvulkan.so.1 has no");
    stage_mock()->loader_version(VK_MAKE_API_VERSION(0, 1, 0, 7));
    refuse(PSGVIT_BACKEND_VULKAN, NULL, PSGVIT_E_DEVICE,
           "backend vulkan: libvulkan.so.1 is of Vulkan 1.0, expected 1.1 or later", NULL);
    stage_mock()->loader_version(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_isa, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unusable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_matrices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_narrow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_least, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hang, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hang_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loader_version, setup, teardown),
    };
    return cmocka_run_group_tests_name("devices of Vulkan", tests, NULL, NULL);
}
