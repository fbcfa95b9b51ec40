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
