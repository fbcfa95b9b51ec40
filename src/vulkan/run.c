/* SPDX-License-Identifier: MIT */
/*
 * Plans of the GPU, running: a submit holds as many command buffers as the device does in a fifth
 * of a second, for drivers reset a GPU that seems to hang. Then the host waits, and reads the
 * device's clock.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "ops/profile.h"
#include "vulkan/plan.h"

#include <time.h>

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

psgvit_status pv_vk_submit(vk_device *device, const vk_submission *s, psgvit_error *err)
{
    /* All stages: the first time of a plan is taken when its copies are done. */
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .waitSemaphoreCount = s->wait ? 1 : 0,
                         .pWaitSemaphores = &s->wait,
                         .pWaitDstStageMask = &stages,
                         .commandBufferCount = s->count,
                         .pCommandBuffers = s->commands,
                         .signalSemaphoreCount = s->signal ? 1 : 0,
                         .pSignalSemaphores = &s->signal};
    PV_TRY(pv_vk_alive(device, err));
    pthread_mutex_lock(&device->lock);
    VkResult result = device->api.QueueSubmit(s->queue, 1, &info, s->fence);
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
    if (result == VK_SUCCESS) /* a fence that stays signalled would end the next wait at once */
        result = device->api.ResetFences(device->device, 1, &fence);
    if (result != VK_SUCCESS)
        pv_vk_give_up(device, result);
    PV_VK_TRY(device, result, "waiting for the device", err);
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

/* How far a plan has come on its way to the queues. */
typedef struct vk_begun {
    bool any;
    VkSemaphore signalled; /* that nothing submitted waits for yet */
} vk_begun;

static psgvit_status submit_step(const vk_plan *p, const vk_submission *step, vk_begun *begun,
                                 psgvit_error *err)
{
    PV_TRY(pv_vk_submit(p->device, step, err));
    *begun = (vk_begun){true, step->signal};
    return PSGVIT_OK;
}

static psgvit_status submit_pieces(const vk_plan *p, vk_begun *begun, psgvit_error *err)
{
    enum { MOST = 64 };
    VkCommandBuffer commands[MOST];
    const vk_copies *c = &p->copies;
    double rate = atomic_load(&p->device->rate);
    for (size_t first = 0; first < p->piece_count;) {
        size_t count = fitting(p, first, rate);
        count = count < MOST ? count : MOST;
        for (size_t i = 0; i < count; i++)
            commands[i] = p->pieces[first + i].commands;
        const bool last = first + count == p->piece_count;
        const vk_submission pieces = {.queue = p->device->queue,
                                      .commands = commands,
                                      .count = (uint32_t)count,
                                      .wait = !first && c->in ? c->copied : VK_NULL_HANDLE,
                                      .signal = last && c->out ? c->computed : VK_NULL_HANDLE,
                                      .fence = last && !c->out ? p->fence : VK_NULL_HANDLE};
        PV_TRY(submit_step(p, &pieces, begun, err));
        first += count;
    }
    return PSGVIT_OK;
}

static psgvit_status submit_steps(const vk_plan *p, vk_begun *begun, psgvit_error *err)
{
    const vk_copies *c = &p->copies;
    const vk_submission in = {
        .queue = p->device->copy_in, .commands = &c->in, .count = 1, .signal = c->copied};
    const vk_submission out = {.queue = p->device->copy_out,
                               .commands = &c->out,
                               .count = 1,
                               .wait = c->computed,
                               .fence = p->fence};
    if (c->in)
        PV_TRY(submit_step(p, &in, begun, err));
    PV_TRY(submit_pieces(p, begun, err));
    return c->out ? submit_step(p, &out, begun, err) : PSGVIT_OK;
}

/* All of the plan or nothing. A submit that finds no memory leaves all as it was, but what went
 * before it can't be taken back: it is waited for, by a submit of nothing behind it, which also
 * waits for the semaphore that nothing else will. */
static psgvit_status submit(const vk_plan *p, psgvit_error *err)
{
    vk_begun begun = {0};
    psgvit_status status = submit_steps(p, &begun, err);
    if (!status || !begun.any)
        return status;
    const vk_submission end = {
        .queue = p->device->queue, .wait = begun.signalled, .fence = p->fence};
    if (!pv_vk_submit(p->device, &end, NULL) && !pv_vk_wait(p->device, p->fence, NULL))
        return status;
    pv_vk_give_up(p->device, VK_NOT_READY);
    return pv_fail(err, PSGVIT_E_DEVICE, "%s: was lost when a plan was half submitted",
                   p->device->name);
}

static double seconds_between(const vk_plan *p, size_t from, size_t to)
{
    return (double)((p->ticks[to] - p->ticks[from]) & p->device->clock_mask) *
           (double)p->device->limits.timestampPeriod * 1e-9;
}

static psgvit_status read_times(vk_plan *p, psgvit_error *err)
{
    vk_device *d = p->device;
    size_t last = p->time_count - 1;
    PV_VK_TRY(d,
              d->api.GetQueryPoolResults(d->device, p->times, 0, p->time_count,
                                         p->time_count * sizeof *p->ticks, p->ticks,
                                         sizeof *p->ticks, VK_QUERY_RESULT_64_BIT),
              "reading the device's clock", err);
    p->base.device_ms = seconds_between(p, 0, last) * 1e3;
    if (!p->noted)
        return PSGVIT_OK;
    pv_profile_reset(p->base.profile);
    for (size_t i = 0; i < last; i++)
        p->base.profile->ops[p->noted[i]].seconds += seconds_between(p, i, i + 1);
    return PSGVIT_OK;
}

/* In 10^6 FLOP. */
static uint64_t work(const vk_plan *p)
{
    return (uint64_t)(p->flops * 1e-6);
}

psgvit_status pv_vk_plan_start(pv_plan *plan, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    if (!p->piece_count)
        return PSGVIT_OK;
    if (p->flag)
        p->flag->base.host[0] = 0.0f;
    p->started = now();
    atomic_fetch_add(&p->device->queued, work(p));
    psgvit_status status = submit(p, err);
    if (status)
        atomic_fetch_sub(&p->device->queued, work(p));
    return status;
}

psgvit_status pv_vk_plan_wait(pv_plan *plan, psgvit_error *err)
{
    vk_plan *p = (vk_plan *)plan;
    if (!p->piece_count)
        return PSGVIT_OK;
    psgvit_status status = pv_vk_alive(p->device, err);
    if (!status)
        status = pv_vk_wait(p->device, p->fence, err);
    atomic_fetch_sub(&p->device->queued, work(p));
    PV_TRY(status);
    p->base.stale = p->flag && p->flag->base.host[0] != 0.0f;
    double seconds = now() - p->started; /* what was under way before it included */
    if (p->times) {
        PV_TRY(read_times(p, err));
        seconds = p->base.device_ms * 1e-3;
    }
    if (p->flops > 0.0 && seconds > 0.0)
        atomic_store(&p->device->rate, p->flops / seconds);
    return PSGVIT_OK;
}
