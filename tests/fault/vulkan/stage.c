/* SPDX-License-Identifier: MIT */
/* What tests of Vulkan's faults work with. */
#include "fault/vulkan/stage.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const mock_controls *stage_mock(void)
{
    static const mock_controls *controls;
    if (controls)
        return controls;
    void *library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL); /* stays open: it has state */
    assert_non_null(library);
    mock_controls_fn get = NULL;
    void *symbol = dlsym(library, "mock_controls_get");
    memcpy(&get, &symbol, sizeof get);
    if (!get)
        fail_msg("libvulkan.so.1 is not the mock: LD_LIBRARY_PATH must lead to it");
    return controls = get();
}

void stage_note(void *user, psgvit_log_level level, const char *line)
{
    stage_log *log = user;
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof log->text - used, "%d %s\n", (int)level, line);
}

psgvit_status stage_open(psgvit_device **device, psgvit_backend backend, const char *name,
                         stage_log *log, psgvit_error *err)
{
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = backend,
                                   .device = name,
                                   .threads = 1,
                                   .log = log ? stage_note : NULL,
                                   .log_user = log};
    if (log)
        log->text[0] = '\0';
    return psgvit_device_open(device, &params, err);
}

psgvit_status stage_encoder(vector_encoder *e, const vector_case *c, psgvit_device *device,
                            psgvit_error *err)
{
    *e = (vector_encoder){0};
    return c->eegpt
               ? eegpt_encoder_open_memory(&e->eegpt, device, c->image, c->image_size, NULL, err)
               : osf_encoder_open_memory(&e->osf, device, c->image, c->image_size, NULL, err);
}

void stage_assert_true(const vector_case *c, const test_job *job)
{
    for (size_t i = 0; i < c->output_count; i++)
        for (size_t k = 0; k < job->epochs; k++)
            job_assert_true(c, job, i, k);
}

void stage_assert_clean(void)
{
    const char *fault = stage_mock()->fault(true);
    if (fault)
        fail_msg("%s", fault);
}

void stage_expect_part(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected '%s' in: %s", part, text);
}

void stage_expect(psgvit_backend backend, const char *wanted, const char *name, stage_log *log)
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

void stage_refuse(psgvit_backend backend, const char *wanted, psgvit_status status,
                   const char *sentence, stage_log *log)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    assert_int_equal(stage_open(&device, backend, wanted, log, &err), status);
    assert_null(device);
    stage_expect_part(err.message, sentence);
}

void stage_shorten(const vector_case *c, test_job *job)
{
    enum { SHARE = 10 }; /* of the samples, and so of the patches */
    assert_true(!c->eegpt && job->samples % SHARE == 0);
    job->samples /= SHARE;
    job->room[1] /= SHARE;
}

void stage_run_case(const char *name, const char *device_name)
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

int stage_setup(void **state)
{
    (void)state;
    stage_mock()->keep(true);
    return 0;
}

int stage_teardown(void **state)
{
    (void)state;
    stage_assert_clean();
    stage_mock()->present(NULL, 0);
    stage_mock()->keep(false);
    return 0;
}
