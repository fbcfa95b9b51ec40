/* SPDX-License-Identifier: MIT */
/*
 * Plans of the GPU, recording: dispatches are gathered while an op records, then written once into
 * command buffers, with a barrier wherever a dispatch needs what an earlier one of the plan did. A
 * command buffer holds a bounded amount of work. Running them is in run.c.
 */
#include "base/memory.h"
#include "ops/profile.h"
#include "vulkan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- plans ---- */

psgvit_status pv_vk_plan_begin(psgvit_device *device, pv_plan **plan, psgvit_error *err)
{
    vk_plan *p = calloc(1, sizeof *p);
    if (!p)
        return pv_fail_memory(err, "a plan", sizeof *p);
    p->base.device = device;
    p->device = (vk_device *)device;
    *plan = &p->base;
    return PSGVIT_OK;
}

void pv_vk_plan_destroy(pv_plan *plan)
{
    vk_plan *p = (vk_plan *)plan;
    vk_device *d = p->device;
    if (pv_vk_may_destroy(d)) {
        d->api.DestroyQueryPool(d->device, p->times, NULL);
        d->api.DestroyFence(d->device, p->fence, NULL);
        pv_vk_copies_destroy(&p->copies, d);
        d->api.DestroyCommandPool(d->device, p->pool, NULL);
        d->api.DestroyDescriptorPool(d->device, p->sets, NULL);
    }
    if (p->flag)
        pv_vk_buffer_destroy(&d->base, &p->flag->base);
    pv_vk_staging_free(&p->staging);
    free(p->pieces);
    free(p->dispatches);
    free(p->ticks);
    free(p->noted);
    free(p);
}

psgvit_status pv_vk_use_tensor(const vk_device *device, pv_tensor tensor, bool write, vk_use *use,
                               uint32_t *at, psgvit_error *err)
{
    const vk_buffer *host = (const vk_buffer *)tensor.buffer;
    const vk_buffer *b = host->twin ? host->twin : host;
    uint64_t align = device->limits.minStorageBufferOffsetAlignment;
    const pv_tensor t = pv_memory_of(tensor);
    uint64_t begin = (uint64_t)t.offset * sizeof(float);
    uint64_t last = t.rows ? (t.rows - 1) * t.stride + t.cols : 0;
    uint64_t end = begin + (uint64_t)last * sizeof(float);
    uint64_t first = begin / align * align;
    const uint64_t to = end;
    end = (end + 15) / 16 * 16; /* shaders read four floats at once; buffers end on more */
    if (end <= first)
        end = first + 16;
    if (end - first > device->limits.maxStorageBufferRange)
        return pv_fail(err, PSGVIT_E_MEMORY,
                       "%s: out of memory: a shader can see %llu bytes at once, expected %llu",
                       device->name, (unsigned long long)device->limits.maxStorageBufferRange,
                       (unsigned long long)(end - first));
    *use = (vk_use){.buffer = b->buffer,
                    .offset = first,
                    .bytes = end - first,
                    .write = write,
                    .whole = write && !tensor.form && tensor.stride == tensor.cols,
                    .host = host->twin ? host : NULL,
                    .from = begin,
                    .to = to};
    *at = (uint32_t)((begin - first) / sizeof(float));
    return PSGVIT_OK;
}

vk_use pv_vk_use_matrix(const vk_matrix *matrix)
{
    return (vk_use){
        .buffer = matrix->buffer->buffer, .offset = matrix->offset, .bytes = matrix->bytes};
}

psgvit_status pv_vk_plan_flag(pv_plan *plan, vk_use *use, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    uint32_t at;
    if (!p->flag)
        PV_TRY(pv_vk_memory_create(p->device, sizeof(float), VK_PLACE_HOST, &p->flag, err));
    return pv_vk_use_tensor(p->device, pv_view(&p->flag->base, 0, 1, 1), false, use, &at, err);
}

/* Says in the profile which kernel does the op that is being recorded, with its constants, and
 * keeps whose the dispatch is. */
static psgvit_status note(vk_plan *p, const vk_kernel *kernel, psgvit_error *err)
{
    pv_profile *profile = p->base.profile;
    size_t *noted =
        pv_grow(p->noted, &p->noted_room, p->count, sizeof *noted, "a profile", err);
    if (!noted)
        return PSGVIT_E_MEMORY;
    p->noted = noted;
    noted[p->count] = pv_profile_current(profile);
    pv_timed_op *op = &profile->ops[noted[p->count]];
    size_t last = PV_VK_CONSTANTS, used;
    while (last > 0 && !kernel->constants[last - 1])
        last--;
    used = (size_t)snprintf(op->kernel, sizeof op->kernel, "%s", pv_vk_module_name(kernel->module));
    for (size_t i = 0; i < last && used < sizeof op->kernel; i++)
        used += (size_t)snprintf(op->kernel + used, sizeof op->kernel - used, "%c%u", i ? ',' : ' ',
                                 kernel->constants[i]);
    return PSGVIT_OK;
}

psgvit_status pv_vk_plan_add(pv_plan *plan, const vk_dispatch *dispatch, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    vk_dispatch *dispatches =
        pv_grow(p->dispatches, &p->room, p->count, sizeof *dispatches, "a plan", err);
    if (!dispatches)
        return PSGVIT_E_MEMORY;
    p->dispatches = dispatches;
    PV_TRY(pv_vk_staging_use(&p->staging, dispatch, err));
    if (plan->profile)
        PV_TRY(note(p, dispatch->kernel, err));
    p->dispatches[p->count++] = *dispatch;
    return PSGVIT_OK;
}

/* ---- finishing ---- */

/* Between command buffers a GPU runs empty: OSF-base on an H200 lost a third of its time when they
 * held 1e10. */
double pv_vk_most_flops(const vk_device *device)
{
    if (device->base.info.type != PSGVIT_DEVICE_DISCRETE)
        return 1e10;
    return device->features.f16_matrix ? 1e12 : 1e11;
}

/* Cuts the dispatches into pieces. */
static psgvit_status cut(vk_plan *p, psgvit_error *err)
{
    const double most = pv_vk_most_flops(p->device);
    p->pieces = calloc(p->count ? p->count : 1, sizeof *p->pieces);
    if (!p->pieces)
        return pv_fail_memory(err, "a plan", p->count * sizeof *p->pieces);
    for (size_t i = 0; i < p->count; i++) {
        vk_piece *piece = p->piece_count ? &p->pieces[p->piece_count - 1] : NULL;
        double flops = p->dispatches[i].flops;
        if (!piece || piece->flops + flops > most) {
            piece = &p->pieces[p->piece_count++];
            piece->first = i;
        }
        piece->count++;
        piece->flops += flops;
        p->flops += flops;
    }
    return PSGVIT_OK;
}

static psgvit_status make_clock(vk_plan *p, psgvit_error *err)
{
    vk_device *d = p->device;
    p->time_count = p->noted ? (uint32_t)p->count + 1 : 2;
    if (!(p->ticks = calloc(p->time_count, sizeof *p->ticks)))
        return pv_fail_memory(err, "a plan", p->time_count * sizeof *p->ticks);
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = p->time_count};
    PV_VK_TRY(d, d->api.CreateQueryPool(d->device, &info, NULL, &p->times),
              "creating a query pool", err);
    return PSGVIT_OK;
}

static psgvit_status make_objects(vk_plan *p, psgvit_error *err)
{
    vk_device *d = p->device;
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                 (uint32_t)p->count * PV_VK_BINDINGS};
    VkDescriptorPoolCreateInfo sets = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = (uint32_t)p->count,
                                       .poolSizeCount = 1,
                                       .pPoolSizes = &size};
    if (p->count)
        PV_VK_TRY(d, d->api.CreateDescriptorPool(d->device, &sets, NULL, &p->sets),
                  "creating a descriptor pool", err);
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .queueFamilyIndex = d->family};
    PV_VK_TRY(d, d->api.CreateCommandPool(d->device, &pool, NULL, &p->pool),
              "creating a command pool", err);
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    PV_VK_TRY(d, d->api.CreateFence(d->device, &fence, NULL, &p->fence), "creating a fence", err);
    return d->clock_mask ? make_clock(p, err) : PSGVIT_OK;
}

/* The accesses that no barrier has ended yet: those of dispatches [first, next). */
typedef struct vk_pending {
    size_t first, next;
} vk_pending;

static bool overlap(const vk_use *a, const vk_use *b)
{
    return a->buffer == b->buffer && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes && (a->write || b->write);
}

static bool conflicts(const vk_plan *p, const vk_pending *pending, const vk_dispatch *dispatch)
{
    for (size_t i = pending->first; i < pending->next; i++)
        for (uint32_t j = 0; j < p->dispatches[i].uses; j++)
            for (uint32_t k = 0; k < dispatch->uses; k++)
                if (overlap(&p->dispatches[i].use[j], &dispatch->use[k]))
                    return true;
    return false;
}

void pv_vk_barrier(const vk_device *d, VkCommandBuffer commands, vk_access from, vk_access to)
{
    const VkMemoryBarrier memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                    .srcAccessMask = from.access,
                                    .dstAccessMask = to.access};
    d->api.CmdPipelineBarrier(commands, from.stage, to.stage, 0, 1, &memory, 0, NULL, 0, NULL);
}

static psgvit_status bind(const vk_plan *p, const vk_dispatch *dispatch, VkDescriptorSet *set,
                          psgvit_error *err)
{
    vk_device *d = p->device;
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = p->sets,
                                        .descriptorSetCount = 1,
                                        .pSetLayouts = &d->pipelines.sets};
    PV_VK_TRY(d, d->api.AllocateDescriptorSets(d->device, &info, set),
              "allocating a descriptor set", err);
    VkDescriptorBufferInfo buffers[PV_VK_BINDINGS];
    VkWriteDescriptorSet writes[PV_VK_BINDINGS];
    for (uint32_t i = 0; i < dispatch->uses; i++) {
        const vk_use *use = &dispatch->use[i];
        buffers[i] = (VkDescriptorBufferInfo){use->buffer, use->offset, use->bytes};
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = *set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = &buffers[i]};
    }
    d->api.UpdateDescriptorSets(d->device, dispatch->uses, writes, 0, NULL);
    return PSGVIT_OK;
}

static psgvit_status write_dispatch(const vk_plan *p, VkCommandBuffer commands, size_t index,
                                    vk_pending *pending, psgvit_error *err)
{
    const vk_dispatch *dispatch = &p->dispatches[index];
    const vk_api *api = &p->device->api;
    VkPipelineLayout layout = p->device->pipelines.layout;
    VkDescriptorSet set;
    PV_TRY(bind(p, dispatch, &set, err));
    if (conflicts(p, pending, dispatch)) {
        pv_vk_barrier(p->device, commands, PV_VK_SHADERS_WROTE, PV_VK_SHADERS_USE);
        pending->first = index;
    }
    pending->next = index + 1;
    api->CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, dispatch->kernel->pipeline);
    api->CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0,
                               NULL);
    api->CmdPushConstants(commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                          dispatch->push_count * (uint32_t)sizeof *dispatch->push, dispatch->push);
    api->CmdDispatch(commands, dispatch->groups[0], dispatch->groups[1], dispatch->groups[2]);
    return PSGVIT_OK;
}

/* When all that is recorded so far is done. */
static void write_time(const vk_plan *p, VkCommandBuffer commands, uint32_t query)
{
    p->device->api.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, p->times,
                                     query);
}

/* In front of the plan's first dispatch. */
static void write_head(const vk_plan *p, VkCommandBuffer commands)
{
    if (!p->copies.pool)
        pv_vk_staging_write_in(&p->staging, p->device, commands);
    if (p->times) {
        p->device->api.CmdResetQueryPool(commands, p->times, 0, p->time_count);
        write_time(p, commands, 0); /* when the plan before this one is done */
    }
}

/* Behind its last. The host reads the flag as well as outputs. */
static void write_tail(const vk_plan *p, VkCommandBuffer commands)
{
    if (p->times && !p->noted)
        write_time(p, commands, 1);
    pv_vk_barrier(p->device, commands, PV_VK_SHADERS_WROTE, PV_VK_HOST_READS);
    if (!p->copies.pool)
        pv_vk_staging_write_out(&p->staging, p->device, commands);
}

static psgvit_status write_piece(vk_plan *p, size_t index, vk_pending *pending, psgvit_error *err)
{
    vk_device *d = p->device;
    vk_piece *piece = &p->pieces[index];
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = p->pool,
                                        .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    PV_VK_TRY(d, d->api.AllocateCommandBuffers(d->device, &info, &piece->commands),
              "allocating a command buffer", err);
    PV_VK_TRY(d, d->api.BeginCommandBuffer(piece->commands, &begin), "beginning commands", err);
    if (index == 0)
        write_head(p, piece->commands);
    for (size_t i = piece->first; i < piece->first + piece->count; i++) {
        PV_TRY(write_dispatch(p, piece->commands, i, pending, err));
        if (p->times && p->noted)
            write_time(p, piece->commands, (uint32_t)i + 1);
    }
    if (index + 1 == p->piece_count)
        write_tail(p, piece->commands);
    PV_VK_TRY(d, d->api.EndCommandBuffer(piece->commands), "ending commands", err);
    return PSGVIT_OK;
}

psgvit_status pv_vk_plan_finish(pv_plan *plan, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    PV_TRY(pv_vk_alive(p->device, err));
    PV_TRY(cut(p, err));
    PV_TRY(make_objects(p, err));
    PV_TRY(pv_vk_copies_create(p, err));
    vk_pending pending = {0, 0};
    for (size_t i = 0; i < p->piece_count; i++)
        PV_TRY(write_piece(p, i, &pending, err));
    free(p->dispatches);
    p->dispatches = NULL;
    pv_vk_staging_free(&p->staging);
    return PSGVIT_OK;
}
