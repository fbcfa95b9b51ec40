/* SPDX-License-Identifier: MIT */
/* Putting a dispatch together: bindings in the order of the shader's, push constants likewise. */
#ifndef PV_VULKAN_RECORD_H
#define PV_VULKAN_RECORD_H

#include "vulkan/vulkan.h"

static inline const vk_device *pv_vk_device_of(const pv_plan *plan)
{
    return (const vk_device *)plan->device;
}

static inline void pv_vk_push(vk_dispatch *d, size_t value)
{
    d->push[d->push_count++] = (uint32_t)value;
}

void pv_vk_push_float(vk_dispatch *d, float value);

/* Binds t and pushes where it begins; pv_vk_bind_view pushes its stride, too. */
psgvit_status pv_vk_bind(const pv_plan *plan, vk_dispatch *d, pv_tensor t, bool write,
                         psgvit_error *err);
psgvit_status pv_vk_bind_view(const pv_plan *plan, vk_dispatch *d, pv_tensor t, bool write,
                              psgvit_error *err);

/* May the last view that was bound be read four floats at a time, whole rows of it? */
bool pv_vk_fours(const vk_dispatch *d, pv_tensor t);

/* Makes the kernel and appends the dispatch. Constant 0 is the number of threads. */
psgvit_status pv_vk_record(pv_plan *plan, vk_dispatch *d, vk_module module,
                           const uint32_t constants[PV_VK_CONSTANTS], psgvit_error *err);

#endif
