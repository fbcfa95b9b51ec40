/* SPDX-License-Identifier: MIT */
/*
 * Proves that the validation layer sees what it is there for, where the tests run under it: a pass
 * without its barriers, and a device that goes before its buffers.
 *
 *     test_validation barriers|buffers
 */
#include "parity/vector.h"
#include "unit/job.h"
#include "vulkan/vulkan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *left_out;

static void VKAPI_CALL no_barrier(VkCommandBuffer commands, VkPipelineStageFlags from,
                                  VkPipelineStageFlags to, VkDependencyFlags flags, uint32_t count,
                                  const VkMemoryBarrier *barriers, uint32_t buffer_count,
                                  const VkBufferMemoryBarrier *buffers, uint32_t image_count,
                                  const VkImageMemoryBarrier *images)
{
    (void)commands, (void)from, (void)to, (void)flags, (void)count, (void)barriers;
    (void)buffer_count, (void)buffers, (void)image_count, (void)images;
}

static void VKAPI_CALL no_destroy(VkDevice device, VkBuffer buffer,
                                  const VkAllocationCallbacks *allocation)
{
    (void)device, (void)buffer, (void)allocation;
}

static void test_misuse(void **state)
{
    (void)state;
    psgvit_device_params params = {.struct_size = sizeof params, .backend = PSGVIT_BACKEND_VULKAN};
    psgvit_error err;
    psgvit_device *device = NULL;
    vector_case c;
    vector_encoder e;
    if (psgvit_device_open(&device, &params, &err))
        fail_msg("%s", err.message);
    vk_device *d = (vk_device *)device;
    if (!strcmp(left_out, "barriers"))
        d->api.CmdPipelineBarrier = no_barrier;
    else
        d->api.DestroyBuffer = no_destroy;
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 1);
    vector_encoder_open(&e, &c, device);
    test_job job = job_make(&c, 1);
    job_run(&e, &job);
    job_free(&job);
    vector_encoder_close(&e);
    psgvit_device_close(&device);
    vector_close(&c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_misuse)};
    left_out = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("validation", tests, NULL, NULL);
}
