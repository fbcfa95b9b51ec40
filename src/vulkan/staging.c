/* SPDX-License-Identifier: MIT */
/*
 * Copies between host buffers and their twins. A GPU with memory of its own reads what the host
 * wrote ten to a hundred times slower than its own, and its matrix units wait meanwhile: shaders
 * see the twin. What a plan reads of twins is copied there in front of its first dispatch, and what
 * it has written back behind its last one: much of it by queues of their own, so that the copies of
 * one plan run beside the computing of another.
 */
#include "base/memory.h"
#include "vulkan/plan.h"

#include <stdlib.h>

/* ---- what is copied ---- */

/* Appends what the use spans, as one range with those that it touches: no two of a list do. */
static psgvit_status add(vk_ranges *ranges, const vk_use *use, psgvit_error *err)
{
    vk_range range = {use->host, use->from, use->to};
    size_t apart = 0;
    if (range.from == range.to)
        return PSGVIT_OK;
    for (size_t i = 0; i < ranges->count; i++) {
        const vk_range *r = &ranges->at[i];
        if (r->host != range.host || r->from > range.to || range.from > r->to) {
            ranges->at[apart++] = *r;
            continue;
        }
        range.from = r->from < range.from ? r->from : range.from;
        range.to = r->to > range.to ? r->to : range.to;
    }
    ranges->count = apart;
    vk_range *at = pv_grow(ranges->at, &ranges->room, apart, sizeof *at, "a plan", err);
    if (!at)
        return PSGVIT_E_MEMORY;
    ranges->at = at;
    at[ranges->count++] = range;
    return PSGVIT_OK;
}

static bool holds(const vk_ranges *ranges, const vk_use *use)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const vk_range *r = &ranges->at[i];
        if (r->host == use->host && r->from <= use->from && use->to <= r->to)
            return true;
    }
    return use->from == use->to;
}

/* What the host wrote must be there, unless the plan has replaced it all. */
static psgvit_status need(vk_staging *s, const vk_use *use, psgvit_error *err)
{
    if (holds(&s->known, use))
        return PSGVIT_OK;
    PV_TRY(add(&s->in, use, err));
    return add(&s->known, use, err);
}

psgvit_status pv_vk_staging_use(vk_staging *s, const vk_dispatch *dispatch, psgvit_error *err)
{
    for (uint32_t i = 0; i < dispatch->uses; i++) {
        const vk_use *use = &dispatch->use[i];
        if (use->host && !use->whole) /* of what isn't written the twin knows nothing, either */
            PV_TRY(need(s, use, err));
    }
    for (uint32_t i = 0; i < dispatch->uses; i++) {
        const vk_use *use = &dispatch->use[i];
        if (!use->host || !use->write)
            continue;
        PV_TRY(add(&s->known, use, err));
        PV_TRY(add(&s->out, use, err));
    }
    return PSGVIT_OK;
}

void pv_vk_staging_free(vk_staging *s)
{
    free(s->in.at);
    free(s->out.at);
    free(s->known.at);
    *s = (vk_staging){0};
}

/* ---- in the plan's own command buffers ---- */

typedef enum vk_way { VK_WAY_IN, VK_WAY_OUT } vk_way;

static void copy(const vk_ranges *ranges, vk_way way, const vk_device *d, VkCommandBuffer commands)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const vk_range *r = &ranges->at[i];
        const VkBuffer host = r->host->buffer, twin = r->host->twin->buffer;
        const VkBufferCopy region = {r->from, r->from, r->to - r->from};
        d->api.CmdCopyBuffer(commands, way == VK_WAY_IN ? host : twin,
                             way == VK_WAY_IN ? twin : host, 1, &region);
    }
}

static void copy_out(const vk_staging *s, const vk_device *d, VkCommandBuffer commands)
{
    copy(&s->out, VK_WAY_OUT, d, commands);
    pv_vk_barrier(d, commands, PV_VK_COPIES_WROTE, PV_VK_HOST_READS);
}

void pv_vk_staging_write_in(const vk_staging *s, const vk_device *device, VkCommandBuffer commands)
{
    if (!s->in.count)
        return;
    copy(&s->in, VK_WAY_IN, device, commands);
    pv_vk_barrier(device, commands, PV_VK_COPIES_WROTE, PV_VK_SHADERS_USE);
}

void pv_vk_staging_write_out(const vk_staging *s, const vk_device *device, VkCommandBuffer commands)
{
    if (!s->out.count)
        return;
    pv_vk_barrier(device, commands, PV_VK_SHADERS_WROTE, PV_VK_COPIES_READ);
    copy_out(s, device, commands);
}

/* ---- by queues of their own ---- */

static uint64_t bytes_of(const vk_ranges *ranges)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ranges->count; i++)
        bytes += ranges->at[i].to - ranges->at[i].from;
    return bytes;
}

static psgvit_status make_objects(vk_copies *c, vk_device *d, VkCommandBuffer commands[2],
                                  psgvit_error *err)
{
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = d->copy_family};
    PV_VK_TRY(d, d->api.CreateCommandPool(d->device, &pool, NULL, &c->pool),
              "creating a command pool", err);
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = c->pool,
        .commandBufferCount = 2};
    PV_VK_TRY(d, d->api.AllocateCommandBuffers(d->device, &info, commands),
              "allocating a command buffer", err);
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    PV_VK_TRY(d, d->api.CreateSemaphore(d->device, &semaphore, NULL, &c->copied),
              "creating a semaphore", err);
    PV_VK_TRY(d, d->api.CreateSemaphore(d->device, &semaphore, NULL, &c->computed),
              "creating a semaphore", err);
    return PSGVIT_OK;
}

psgvit_status pv_vk_copies_create(vk_plan *p, psgvit_error *err)
{
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    vk_device *d = p->device;
    VkCommandBuffer commands[2];
    if (!d->copy_in || bytes_of(&p->staging.in) + bytes_of(&p->staging.out) < d->least_copies)
        return PSGVIT_OK;
    PV_TRY(make_objects(&p->copies, d, commands, err));
    for (vk_way way = VK_WAY_IN; way <= VK_WAY_OUT; way++) {
        PV_VK_TRY(d, d->api.BeginCommandBuffer(commands[way], &begin), "beginning commands", err);
        if (way == VK_WAY_IN)
            copy(&p->staging.in, way, d, commands[way]);
        else
            copy_out(&p->staging, d, commands[way]);
        PV_VK_TRY(d, d->api.EndCommandBuffer(commands[way]), "ending commands", err);
    }
    p->copies.in = p->staging.in.count ? commands[VK_WAY_IN] : NULL;
    p->copies.out = p->staging.out.count ? commands[VK_WAY_OUT] : NULL;
    return PSGVIT_OK;
}

void pv_vk_copies_destroy(const vk_copies *c, const vk_device *device)
{
    device->api.DestroySemaphore(device->device, c->copied, NULL);
    device->api.DestroySemaphore(device->device, c->computed, NULL);
    device->api.DestroyCommandPool(device->device, c->pool, NULL);
}
