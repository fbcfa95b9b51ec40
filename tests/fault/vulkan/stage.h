/* SPDX-License-Identifier: MIT */
/* What tests of Vulkan's faults work with: the mock's controls, and a device that is opened. */
#ifndef TESTS_FAULT_VULKAN_STAGE_H
#define TESTS_FAULT_VULKAN_STAGE_H

#include "fault/vulkan/mock.h"
#include "unit/job.h"

#define DISCRETE VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
#define INTEGRATED VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU
#define VIRTUAL VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU
#define SOFTWARE VK_PHYSICAL_DEVICE_TYPE_CPU
#define OTHER VK_PHYSICAL_DEVICE_TYPE_OTHER
#define PRESENT(...)                                                                               \
    static const mock_device shown[] = {__VA_ARGS__};                                              \
    stage_mock()->present(shown, sizeof shown / sizeof *shown)

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
/* Asserts that `part` is in the text. */
void stage_expect_part(const char *text, const char *part);
/* Opens one and asserts that it is the one of this name; NULL: the CPU. */
void stage_expect(psgvit_backend backend, const char *wanted, const char *name, stage_log *log);
/* Asserts that none is opened, with this status and a sentence that has this part. */
void stage_refuse(psgvit_backend backend, const char *wanted, psgvit_status status,
                  const char *sentence, stage_log *log);
/* Lets a job of OSF have few samples an epoch: every call is made, and there is little to compute.
 * No truth is known of it. */
void stage_shorten(const vector_case *c, test_job *job);
/* Opens a device of Vulkan and asserts that it computes two epochs of a case right. */
void stage_run_case(const char *name, const char *device_name);
/* Asserts that there has been no fault, and that nothing is alive. */
void stage_assert_clean(void);

/* Round each test: kept devices and pipelines before, a clean end and the real devices after. */
int stage_setup(void **state);
int stage_teardown(void **state);

#endif
