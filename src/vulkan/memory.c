/* SPDX-License-Identifier: MIT */
/*
 * Memory of a GPU. A buffer is one allocation. What ops read from and write to the host lies in
 * memory that both sides see; on a discrete GPU it has a twin in the GPU's own (staging.c).
 * Elsewhere a copy would only add a step: a signal is read once and an output written once.
 */
#include "vulkan/vulkan.h"

#include <stdio.h>
#include <stdlib.h>

/* The first type of `allowed` that has all of `wanted`; -1 if there is none. */
static int type_with(const vk_device *d, uint32_t allowed, VkMemoryPropertyFlags wanted)
{
    for (uint32_t i = 0; i < d->memory.memoryTypeCount; i++)
        if (allowed & (1u << i) && (d->memory.memoryTypes[i].propertyFlags & wanted) == wanted)
            return (int)i;
    return -1;
}

static int choose_type(const vk_device *d, uint32_t allowed, vk_place place)
{
    VkMemoryPropertyFlags shared =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkMemoryPropertyFlags best = place == VK_PLACE_HOST
                                     ? shared | VK_MEMORY_PROPERTY_HOST_CACHED_BIT
                                     : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    int type = type_with(d, allowed, best);
    return type >= 0 ? type : type_with(d, allowed, place == VK_PLACE_HOST ? shared : 0);
}

static psgvit_status allocate(vk_device *d, vk_buffer *b, vk_place place, psgvit_error *err)
{
    VkMemoryRequirements needs;
    d->api.GetBufferMemoryRequirements(d->device, b->buffer, &needs);
    int type = choose_type(d, needs.memoryTypeBits, place);
    if (type < 0)
        return pv_fail(err, PSGVIT_E_DEVICE, "%s: has no memory that a buffer can use", d->name);
    if (needs.size > d->max_allocation)
        return pv_fail(err, PSGVIT_E_MEMORY,
                       "%s: out of memory: one allocation may have %llu bytes, expected %llu",
                       d->name, (unsigned long long)d->max_allocation,
                       (unsigned long long)needs.size);
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .allocationSize = needs.size,
                                 .memoryTypeIndex = (uint32_t)type};
    VkResult result = d->api.AllocateMemory(d->device, &info, NULL, &b->memory);
    char what[96];
    snprintf(what, sizeof what, "allocating %llu bytes of memory (the device has %llu in all)",
             (unsigned long long)needs.size, (unsigned long long)d->base.info.memory_bytes);
    PV_VK_TRY(d, result, what, err);
    PV_VK_TRY(d, d->api.BindBufferMemory(d->device, b->buffer, b->memory, 0), "binding memory",
              err);
    void *host;
    if (place == VK_PLACE_HOST) {
        PV_VK_TRY(d, d->api.MapMemory(d->device, b->memory, 0, VK_WHOLE_SIZE, 0, &host),
                  "mapping memory", err);
        b->base.host = host;
    }
    return PSGVIT_OK;
}

psgvit_status pv_vk_memory_create(vk_device *d, uint64_t bytes, vk_place place, vk_buffer **buffer,
                                  psgvit_error *err)
{
    PV_TRY(pv_vk_alive(d, err));
    vk_buffer *b = calloc(1, sizeof *b);
    if (!b)
        return pv_fail_memory(err, "a buffer", sizeof *b);
    b->bytes = pv_vk_aligned(bytes);
    const uint32_t families[] = {d->family, d->copy_family};
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = b->bytes,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    if (d->copy_in && d->copy_family != d->family) {
        info.sharingMode = VK_SHARING_MODE_CONCURRENT;
        info.queueFamilyIndexCount = 2;
        info.pQueueFamilyIndices = families;
    }
    VkResult result = d->api.CreateBuffer(d->device, &info, NULL, &b->buffer);
    psgvit_status status = result ? pv_vk_fail(d, result, "creating a buffer", err)
                                  : allocate(d, b, place, err);
    if (status) {
        pv_vk_buffer_destroy(&d->base, &b->base);
        return status;
    }
    b->base.floats = (size_t)(b->bytes / sizeof(float));
    *buffer = b;
    return PSGVIT_OK;
}

psgvit_status pv_vk_buffer_create(psgvit_device *device, size_t floats, int kind,
                                  pv_buffer **buffer, psgvit_error *err)
{
    vk_device *d = (vk_device *)device;
    const bool host = kind == PV_HOST;
    vk_buffer *b;
    PV_TRY(pv_vk_memory_create(d, (uint64_t)floats * sizeof(float),
                               host ? VK_PLACE_HOST : VK_PLACE_DEVICE, &b, err));
    b->base.floats = floats;
    psgvit_status status = PSGVIT_OK;
    if (host && d->twins)
        status = pv_vk_memory_create(d, b->bytes, VK_PLACE_DEVICE, &b->twin, err);
    if (status) {
        pv_vk_buffer_destroy(device, &b->base);
        return status;
    }
    *buffer = &b->base;
    return PSGVIT_OK;
}

void pv_vk_buffer_destroy(psgvit_device *device, pv_buffer *buffer)
{
    vk_device *d = (vk_device *)device;
    vk_buffer *b = (vk_buffer *)buffer;
    if (b->twin)
        pv_vk_buffer_destroy(device, &b->twin->base);
    if (pv_vk_may_destroy(d)) {
        d->api.DestroyBuffer(d->device, b->buffer, NULL);
        d->api.FreeMemory(d->device, b->memory, NULL); /* and unmaps it */
    }
    free(b);
}
