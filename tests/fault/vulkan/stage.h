/* SPDX-License-Identifier: MIT */
/* What tests of Vulkan's faults work with: the mock's controls, and a device that is opened. */
#ifndef TESTS_FAULT_VULKAN_STAGE_H
#define TESTS_FAULT_VULKAN_STAGE_H

#include "fault/vulkan/mock.h"
#include "unit/job.h"

/* The controls of the libvulkan.so.1 that the library will open; fails the test if that isn't the
 * mock. */
const mock_controls *stage_mock(void);

/* A log that remembers: all lines, each behind its level and with its newline. */
typedef struct stage_log {
    char text[4096];
} stage_log;
void stage_note(void *user, psgvit_log_level level, const char *line);

/* Opens a device of a backend by name (NULL: any); `log` may be NULL. */
psgvit_status stage_open(psgvit_device **device, psgvit_backend backend, const char *name,
                         stage_log *log, psgvit_error *err);
psgvit_status stage_encoder(vector_encoder *e, const vector_case *c, psgvit_device *device,
                            psgvit_error *err);
/* Asserts that all outputs of all epochs keep the promise of f32. */
void stage_assert_true(const vector_case *c, const test_job *job);
/* Asserts that there has been no fault, and that nothing is alive. */
void stage_assert_clean(void);

#endif
