/* SPDX-License-Identifier: MIT */
/*
 * Every op on a Vulkan device, and linear layers in every class of tiles that it can run.
 *
 *     test_ops_vulkan [DEVICE]
 *
 * DEVICE as in psgvit_device_params; without it, what the backend chooses. Without any device the
 * exit status is 77: skipped.
 */
#include "ops/cases.h"
#include "vulkan/linear.h"
#include "vulkan/vulkan.h"

#include <stdio.h>

enum { SKIPPED = 77 };

static int run_tiles(psgvit_device *device)
{
    vk_device *vulkan = (vk_device *)device;
    int failures = 0;
    for (size_t i = 0; i < pv_vk_tile_count; i++) {
        const vk_tile *t = &pv_vk_tiles[i];
        if (!pv_vk_tile_runs(vulkan, t)) {
            printf("not tested: tiles of %u x %u, too large for this device\n", t->bm, t->bn);
            continue;
        }
        printf("-- tiles of %u x %u\n", t->bm, t->bn);
        vulkan->tile = t;
        failures += cases_run_linear(device, PSGVIT_F32);
    }
    vulkan->tile = NULL;
    return failures;
}

int main(int argc, char **argv)
{
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_VULKAN,
                                   .device = argc > 1 ? argv[1] : NULL};
    psgvit_device *device;
    psgvit_error err;
    if (psgvit_device_open(&device, &params, &err)) {
        printf("not tested: %s\n", err.message);
        return argc > 1 ? 1 : SKIPPED;
    }
    printf("-- %s\n", device->info.name);
    int failures = cases_run(device);
    failures += run_tiles(device);
    psgvit_device_close(&device);
    return failures;
}
