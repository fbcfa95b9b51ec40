/* SPDX-License-Identifier: MIT */
/*
 * Plans of the GPU: dispatches are gathered while an op records, then written once into command
 * buffers, with a barrier wherever a dispatch needs what an earlier one of the plan did. A command
 * buffer holds a bounded amount of work, and a submit as many of them as the device does in a
 * fifth of a second: drivers reset a GPU that seems to hang.
 */
#define _POSIX_C_SOURCE 200809L
#include "vulkan/vulkan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double PIECE_FLOPS = 1e10;  /* of a command buffer, at most, unless one op has more */
static const double SUBMIT_SECONDS = 0.2;
static const double POLL_SECONDS = 3e-3; /* a fence that is polled comes 20 us sooner (H200) */
/* How long a fence may take: a minute, and what the work that is under way, other threads' too,
 * takes at 1 GFLOP/s. A driver that computes on the CPU compiles a shader when it first runs:
 * lavapipe's took more than a minute on a machine with 12 busy processes for 2 cores. */
static const uint64_t WAIT_NANOSECONDS = 60000000000, WAIT_SOFTWARE_NANOSECONDS = 600000000000;
static const uint64_t MEGAFLOP_NANOSECONDS = 1000000;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- submitting ---- */

psgvit_status pv_vk_submit(vk_device *device, const VkCommandBuffer *commands, uint32_t count,
                           VkFence fence, psgvit_error *err)
{
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .commandBufferCount = count,
                         .pCommandBuffers = commands};
    PV_TRY(pv_vk_alive(device, err));
    pthread_mutex_lock(&device->lock);
    VkResult result = device->api.QueueSubmit(device->queue, 1, &info, fence);
    pthread_mutex_unlock(&device->lock);
    PV_VK_TRY(device, result, "submitting work", err);
    return PSGVIT_OK;
}

/* What can't be waited for can't be taken back: the device is given up. */
psgvit_status pv_vk_wait(vk_device *device, VkFence fence, psgvit_error *err)
{
    double start = now();
    uint64_t most = WAIT_NANOSECONDS + atomic_load(&device->queued) * MEGAFLOP_NANOSECONDS;
    if (device->base.info.type == PSGVIT_DEVICE_SOFTWARE && most < WAIT_SOFTWARE_NANOSECONDS)
        most = WAIT_SOFTWARE_NANOSECONDS;
    VkResult result;
    do
        result = device->api.GetFenceStatus(device->device, fence);
    while (result == VK_NOT_READY && now() - start < POLL_SECONDS);
    if (result == VK_NOT_READY)
        result = device->api.WaitForFences(device->device, 1, &fence, VK_TRUE, most);
    if (result != VK_SUCCESS)
        atomic_store(&device->lost, true);
    PV_VK_TRY(device, result, "waiting for the device", err);
    PV_VK_TRY(device, device->api.ResetFences(device->device, 1, &fence), "resetting a fence",
              err);
    return PSGVIT_OK;
}

/* ---- plans ---- */

typedef struct vk_piece {
    VkCommandBuffer commands;
    size_t first, count; /* dispatches */
    double flops;
} vk_piece;

typedef struct vk_plan {
    pv_plan base;
    vk_device *device;
    vk_dispatch *dispatches; /* while recording */
    size_t count, room;
    vk_piece *pieces;
    size_t piece_count;
    double flops;
    VkDescriptorPool sets;
    VkCommandPool pool;
    VkFence fence;
    VkQueryPool times; /* begin and end; VK_NULL_HANDLE where the queue has no clock */
    pv_buffer *flag;   /* NULL: nobody asked for it */
} vk_plan;

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
    d->api.DestroyQueryPool(d->device, p->times, NULL);
    d->api.DestroyFence(d->device, p->fence, NULL);
    d->api.DestroyCommandPool(d->device, p->pool, NULL);
    d->api.DestroyDescriptorPool(d->device, p->sets, NULL);
    if (p->flag)
        pv_vk_buffer_destroy(&d->base, p->flag);
    free(p->pieces);
    free(p->dispatches);
    free(p);
}

psgvit_status pv_vk_use_tensor(const vk_device *device, pv_tensor tensor, bool write, vk_use *use,
                               uint32_t *at, psgvit_error *err)
{
    const vk_buffer *b = (const vk_buffer *)tensor.buffer;
    uint64_t align = device->limits.minStorageBufferOffsetAlignment;
    uint64_t begin = (uint64_t)tensor.offset * sizeof(float);
    uint64_t last = tensor.rows ? (tensor.rows - 1) * tensor.stride + tensor.cols : 0;
    uint64_t end = begin + (uint64_t)last * sizeof(float);
    uint64_t first = begin / align * align;
    end = (end + 15) / 16 * 16; /* shaders read four floats at once; buffers end on more */
    if (end <= first)
        end = first + 16;
    if (end - first > device->limits.maxStorageBufferRange)
        return pv_fail(err, PSGVIT_E_MEMORY,
                       "%s: out of memory: a shader can see %llu bytes at once, expected %llu",
                       device->name, (unsigned long long)device->limits.maxStorageBufferRange,
                       (unsigned long long)(end - first));
    *use = (vk_use){b->buffer, first, end - first, write};
    *at = (uint32_t)((begin - first) / sizeof(float));
    return PSGVIT_OK;
}

vk_use pv_vk_use_matrix(const vk_matrix *matrix)
{
    return (vk_use){matrix->buffer->buffer, matrix->offset, matrix->bytes, false};
}

psgvit_status pv_vk_plan_flag(pv_plan *plan, vk_use *use, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    uint32_t at;
    if (!p->flag)
        PV_TRY(pv_vk_buffer_create(plan->device, 1, PV_HOST, &p->flag, err));
    return pv_vk_use_tensor(p->device, pv_view(p->flag, 0, 1, 1), false, use, &at, err);
}

psgvit_status pv_vk_plan_add(pv_plan *plan, const vk_dispatch *dispatch, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 128;
        vk_dispatch *moved = realloc(p->dispatches, room * sizeof *moved);
        if (!moved)
            return pv_fail_memory(err, "a plan", room * sizeof *moved);
        p->dispatches = moved;
        p->room = room;
    }
    p->dispatches[p->count++] = *dispatch;
    return PSGVIT_OK;
}

/* ---- finishing ---- */

/* Cuts the dispatches into pieces of at most PIECE_FLOPS. */
static psgvit_status cut(vk_plan *p, psgvit_error *err)
{
    p->pieces = calloc(p->count ? p->count : 1, sizeof *p->pieces);
    if (!p->pieces)
        return pv_fail_memory(err, "a plan", p->count * sizeof *p->pieces);
    for (size_t i = 0; i < p->count; i++) {
        vk_piece *piece = p->piece_count ? &p->pieces[p->piece_count - 1] : NULL;
        double flops = p->dispatches[i].flops;
        if (!piece || piece->flops + flops > PIECE_FLOPS) {
            piece = &p->pieces[p->piece_count++];
            piece->first = i;
        }
        piece->count++;
        piece->flops += flops;
        p->flops += flops;
    }
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
    VkQueryPoolCreateInfo times = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                   .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                   .queryCount = 2};
    if (d->timestamps)
        PV_VK_TRY(d, d->api.CreateQueryPool(d->device, &times, NULL, &p->times),
                  "creating a query pool", err);
    return PSGVIT_OK;
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

static void barrier(const vk_plan *p, VkCommandBuffer commands, VkPipelineStageFlags stage,
                    VkAccessFlags access)
{
    VkMemoryBarrier memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                              .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                              .dstAccessMask = access};
    p->device->api.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, stage, 0, 1,
                                      &memory, 0, NULL, 0, NULL);
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
        barrier(p, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
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
    if (p->times && index == 0) {
        d->api.CmdResetQueryPool(piece->commands, p->times, 0, 2);
        d->api.CmdWriteTimestamp(piece->commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, p->times, 0);
    }
    for (size_t i = 0; i < piece->count; i++)
        PV_TRY(write_dispatch(p, piece->commands, piece->first + i, pending, err));
    if (index + 1 == p->piece_count) {
        barrier(p, piece->commands, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
        if (p->times)
            d->api.CmdWriteTimestamp(piece->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                     p->times, 1);
    }
    PV_VK_TRY(d, d->api.EndCommandBuffer(piece->commands), "ending commands", err);
    return PSGVIT_OK;
}

psgvit_status pv_vk_plan_finish(pv_plan *plan, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    PV_TRY(pv_vk_alive(p->device, err));
    PV_TRY(cut(p, err));
    PV_TRY(make_objects(p, err));
    vk_pending pending = {0, 0};
    for (size_t i = 0; i < p->piece_count; i++)
        PV_TRY(write_piece(p, i, &pending, err));
    free(p->dispatches);
    p->dispatches = NULL;
    return PSGVIT_OK;
}

/* ---- running ---- */

/* As many pieces from `first` on as make SUBMIT_SECONDS of work at this rate, at least one. */
static size_t fitting(const vk_plan *p, size_t first, double rate)
{
    size_t count = 1;
    double flops = p->pieces[first].flops;
    while (first + count < p->piece_count &&
           (flops += p->pieces[first + count].flops) <= SUBMIT_SECONDS * rate)
        count++;
    return count;
}

static psgvit_status submit_pieces(vk_plan *p, psgvit_error *err)
{
    enum { MOST = 64 };
    VkCommandBuffer commands[MOST];
    double rate = atomic_load(&p->device->rate);
    for (size_t first = 0; first < p->piece_count;) {
        size_t count = fitting(p, first, rate);
        count = count < MOST ? count : MOST;
        for (size_t i = 0; i < count; i++)
            commands[i] = p->pieces[first + i].commands;
        bool last = first + count == p->piece_count;
        psgvit_status status = pv_vk_submit(p->device, commands, (uint32_t)count,
                                            last ? p->fence : VK_NULL_HANDLE, err);
        if (status && first) /* nobody can wait for the pieces that are under way */
            atomic_store(&p->device->lost, true);
        PV_TRY(status);
        first += count;
    }
    return PSGVIT_OK;
}

static psgvit_status read_times(vk_plan *p, psgvit_error *err)
{
    vk_device *d = p->device;
    uint64_t times[2];
    PV_VK_TRY(d,
              d->api.GetQueryPoolResults(d->device, p->times, 0, 2, sizeof times, times,
                                         sizeof *times, VK_QUERY_RESULT_64_BIT),
              "reading the device's clock", err);
    p->base.device_ms =
        (double)(times[1] - times[0]) * (double)d->limits.timestampPeriod * 1e-6;
    return PSGVIT_OK;
}

static psgvit_status submit_and_wait(vk_plan *p, psgvit_error *err)
{
    const uint64_t megaflops = (uint64_t)(p->flops * 1e-6);
    atomic_fetch_add(&p->device->queued, megaflops);
    psgvit_status status = submit_pieces(p, err);
    if (!status)
        status = pv_vk_wait(p->device, p->fence, err);
    atomic_fetch_sub(&p->device->queued, megaflops);
    return status;
}

psgvit_status pv_vk_plan_submit(pv_plan *plan, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    if (!p->piece_count)
        return PSGVIT_OK;
    double start = now();
    if (p->flag)
        p->flag->host[0] = 0.0f;
    PV_TRY(submit_and_wait(p, err));
    p->base.stale = p->flag && p->flag->host[0] != 0.0f;
    double seconds = now() - start;
    if (p->flops > 0.0 && seconds > 0.0)
        atomic_store(&p->device->rate, p->flops / seconds);
    return p->times ? read_times(p, err) : PSGVIT_OK;
}
