/* SPDX-License-Identifier: MIT */
/* Stands in for the Vulkan backend in a build without it: there are no such devices. */
#include "ops/ops.h"

psgvit_status pv_vulkan_find(pv_vulkan **vulkan, psgvit_error *err)
{
    *vulkan = NULL;
    return pv_fail(err, PSGVIT_E_DEVICE,
                   "backend vulkan: this build of libpsgvit %s has no Vulkan support",
                   psgvit_version());
}

size_t pv_vulkan_count(const pv_vulkan *vulkan)
{
    (void)vulkan;
    return 0;
}

const psgvit_device_info *pv_vulkan_at(const pv_vulkan *vulkan, size_t index)
{
    (void)vulkan;
    (void)index;
    return NULL;
}

psgvit_status pv_vulkan_open(psgvit_device **device, pv_vulkan *vulkan, size_t index,
                             const psgvit_device_params *params, psgvit_error *err)
{
    (void)index;
    (void)params;
    *device = NULL;
    return pv_vulkan_find(&vulkan, err);
}

void pv_vulkan_forget(pv_vulkan *vulkan)
{
    (void)vulkan;
}
