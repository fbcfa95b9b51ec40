/* SPDX-License-Identifier: MIT */
/*
 * Every op on a Vulkan device, and linear layers in every precision, layout and class of tiles that
 * it can run.
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

static int run_tiles(psgvit_device *device, psgvit_precision precision)
{
    vk_device *vulkan = (vk_device *)device;
    const vk_layout layout = pv_vk_layout_of(vulkan, precision);
    const vk_tiles tiles = pv_vk_tiles(layout);
    const char *name = layout == VK_LAYOUT_SPLIT ? "f32 in two parts"
                                                 : psgvit_precision_name(precision);
    int failures = 0;
    if (!(device->info.precisions & (1u << precision))) {
        printf("not tested: %s, which this device lacks\n", name);
        return 0;
    }
    for (size_t i = 0; i < tiles.count; i++) {
        const vk_tile *t = &tiles.at[i];
        printf("-- %s, tiles of %u x %u x %u\n", name, t->bm, t->bn, t->bk);
        if (!pv_vk_tile_runs(vulkan, layout, t)) {
            printf("not tested: too large for this device\n");
            continue;
        }
        vulkan->tile = t;
        failures += cases_run_linear(device, precision);
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
    for (psgvit_precision precision = PSGVIT_F32; precision <= PSGVIT_BF16; precision++)
        failures += run_tiles(device, precision);
    vk_features *features = &((vk_device *)device)->features;
    if (features->f16_matrix) { /* as a device without matrices computes */
        features->f16_matrix = false;
        failures += run_tiles(device, PSGVIT_F32);
        features->f16_matrix = true;
    }
    psgvit_device_close(&device);
    return failures;
}
