/* SPDX-License-Identifier: MIT */
/* Stands in for the Vulkan backend in a build without it: there are no such devices. */
#include "ops/ops.h"

psgvit_status pv_vulkan_open(psgvit_device **device, const psgvit_device_params *params,
                             psgvit_error *err)
{
    *device = NULL;
    (void)params;
    return pv_fail(err, PSGVIT_E_DEVICE,
                   "backend vulkan: this build of libpsgvit %s has no Vulkan support",
                   psgvit_version());
}
