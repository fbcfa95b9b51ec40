/* SPDX-License-Identifier: MIT */
/*
 * GPUs: finding them, opening and closing one, and what becomes of a call that fails. A device is
 * opened only if it computes right (selftest.c).
 */
#include "vulkan/vulkan.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH_ROWS = 16384, /* H200, f32: 27 TFLOP/s at 1456 rows, 40 at 23296 */
    BATCH_ROWS_SOFTWARE = 1536,
};

/* Waiting for queues of their own cost 0.3 ms on an H200 (16 epochs of OSF-base in f16: 2.43 to
 * 2.73 ms), in which PCIe carries as many bytes. */
static const uint64_t LEAST_COPIES = 16 << 20;
/* See pv_vk_stream: between 16 and 256 epochs of OSF-base. */
static const uint64_t LEAST_STREAM = 4 << 20;

/* For work that was not waited for to its end, before its memory is given back. */
static const uint64_t LAST_WAIT_NANOSECONDS = 5000000000;

/* ---- failures ---- */

psgvit_status pv_vk_fail(vk_device *device, VkResult result, const char *what, psgvit_error *err)
{
    if (result == VK_ERROR_DEVICE_LOST)
        atomic_store(&device->lost, true);
    return pv_fail(err, pv_vk_result_status(result), "%s: %s failed: %s (%d)", device->name, what,
                   pv_vk_result_name(result), (int)result);
}

void pv_vk_give_up(vk_device *device, VkResult result)
{
    vk_work known = VK_WORK_KNOWN;
    if (result != VK_ERROR_DEVICE_LOST) /* which ends all work, as far as Vulkan goes */
        atomic_compare_exchange_strong(&device->work, &known, VK_WORK_ABANDONED);
    atomic_store(&device->lost, true);
}

/* Waits for all that was submitted to a queue, by a fence: vkDeviceWaitIdle has no limit. */
static bool ends(vk_device *d, VkQueue queue)
{
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkFence fence;
    if (d->api.CreateFence(d->device, &info, NULL, &fence) != VK_SUCCESS)
        return false;
    VkResult result = d->api.QueueSubmit(queue, 0, NULL, fence);
    const bool submitted = result == VK_SUCCESS;
    if (submitted)
        result = d->api.WaitForFences(d->device, 1, &fence, VK_TRUE, LAST_WAIT_NANOSECONDS);
    const bool ended = result == VK_SUCCESS || result == VK_ERROR_DEVICE_LOST;
    if (ended || !submitted)
        d->api.DestroyFence(d->device, fence, NULL);
    return ended;
}

bool pv_vk_may_destroy(vk_device *device)
{
    if (atomic_load(&device->work) == VK_WORK_KNOWN)
        return true;
    pthread_mutex_lock(&device->lock);
    if (atomic_load(&device->work) == VK_WORK_ABANDONED) {
        const bool ended =
            ends(device, device->queue) &&
            (!device->copy_in || (ends(device, device->copy_in) && ends(device, device->copy_out)));
        atomic_store(&device->work, ended ? VK_WORK_KNOWN : VK_WORK_ENDLESS);
        if (!ended)
            pv_log_line(&device->base.log, PSGVIT_LOG_WARNING,
                        "%s: does not end its work: memory and whatever else it may use is left "
                        "to it",
                        device->name);
    }
    pthread_mutex_unlock(&device->lock);
    return atomic_load(&device->work) == VK_WORK_KNOWN;
}

psgvit_status pv_vk_alive(vk_device *device, psgvit_error *err)
{
    if (!atomic_load(&device->lost))
        return PSGVIT_OK;
    return pv_fail(err, PSGVIT_E_DEVICE,
                   "%s: the device was lost in an earlier call: close it and open it again",
                   device->name);
}

/* ---- finding ---- */

struct pv_vulkan {
    vk_loader loader;
    vk_candidate *candidates;
    size_t count;
};

/* All handles, in memory of the caller. Devices may come while we count: those are left out. */
static psgvit_status list_handles(const vk_loader *l, VkPhysicalDevice **handles, uint32_t *count,
                                  psgvit_error *err)
{
    VkResult result = l->api.EnumeratePhysicalDevices(l->instance, count, NULL);
    if (result == VK_SUCCESS && *count) {
        *handles = calloc(*count, sizeof **handles);
        if (!*handles)
            return pv_fail_memory(err, "a device list", *count * sizeof **handles);
        result = l->api.EnumeratePhysicalDevices(l->instance, count, *handles);
    }
    if (result != VK_SUCCESS && result != VK_INCOMPLETE)
        return pv_fail(err, pv_vk_result_status(result),
                       "backend vulkan: listing devices failed: %s (%d)",
                       pv_vk_result_name(result), (int)result);
    if (!*count)
        return pv_fail(err, PSGVIT_E_DEVICE, "backend vulkan: no driver has found a device");
    return PSGVIT_OK;
}

static psgvit_status find_devices(pv_vulkan *v, psgvit_error *err)
{
    VkPhysicalDevice *handles = NULL;
    uint32_t count = 0;
    psgvit_status status = list_handles(&v->loader, &handles, &count, err);
    if (!status) {
        v->candidates = calloc(count, sizeof *v->candidates);
        if (!v->candidates)
            status = pv_fail_memory(err, "a device list", count * sizeof *v->candidates);
    }
    for (; !status && v->count < count; v->count++)
        status = pv_vk_describe(&v->loader, handles[v->count], &v->candidates[v->count], err);
    free(handles);
    return status;
}

psgvit_status pv_vulkan_find(pv_vulkan **vulkan, psgvit_error *err)
{
    *vulkan = NULL;
    pv_vulkan *v = calloc(1, sizeof *v);
    if (!v)
        return pv_fail_memory(err, "a device list", sizeof *v);
    psgvit_status status = pv_vk_loader_open(&v->loader, err);
    if (!status)
        status = find_devices(v, err);
    if (status) {
        pv_vulkan_forget(v);
        return status;
    }
    *vulkan = v;
    return PSGVIT_OK;
}

size_t pv_vulkan_count(const pv_vulkan *vulkan)
{
    return vulkan ? vulkan->count : 0;
}

const psgvit_device_info *pv_vulkan_at(const pv_vulkan *vulkan, size_t index)
{
    return index < pv_vulkan_count(vulkan) ? &vulkan->candidates[index].info : NULL;
}

void pv_vulkan_forget(pv_vulkan *vulkan)
{
    if (!vulkan)
        return;
    pv_vk_loader_close(&vulkan->loader);
    free(vulkan->candidates);
    free(vulkan);
}

/* ---- opening ---- */

static void stop(vk_device *d)
{
    d->loader.stays = d->loader.stays || !pv_vk_may_destroy(d);
    pv_vk_pipelines_destroy(d);
    if (pv_vk_may_destroy(d))
        d->api.DestroyDevice(d->device, NULL);
    pthread_mutex_destroy(&d->lock);
}

static void device_close(psgvit_device *device)
{
    vk_device *d = (vk_device *)device;
    stop(d);
    pv_vk_loader_close(&d->loader);
    free(d);
}

static const pv_backend vulkan_backend = {
    .ops = &pv_vk_ops,
    .device_close = device_close,
    .buffer_create = pv_vk_buffer_create,
    .buffer_destroy = pv_vk_buffer_destroy,
    .store_create = pv_vk_store_create,
    .store_matrix = pv_vk_store_matrix,
    .store_tensor = pv_vk_store_tensor,
    .store_destroy = pv_vk_store_destroy,
    .plan_begin = pv_vk_plan_begin,
    .plan_finish = pv_vk_plan_finish,
    .plan_start = pv_vk_plan_start,
    .plan_wait = pv_vk_plan_wait,
    .plan_destroy = pv_vk_plan_destroy,
    .operand = pv_vk_operand,
    .stream = pv_vk_stream,
    .attention_operand = pv_vk_attention_operand,
};

/* Takes over what is known of the device; strings become the device's own. */
static void adopt(vk_device *d, const pv_vulkan *v, const vk_candidate *c,
                  const psgvit_device_params *params)
{
    d->base = (psgvit_device){.backend = &vulkan_backend,
                              .info = c->info,
                              .log = {params->log, params->log_user},
                              .batch_rows = c->info.type == PSGVIT_DEVICE_SOFTWARE
                                                ? BATCH_ROWS_SOFTWARE
                                                : BATCH_ROWS,
                              .most_rows = SIZE_MAX,
                              .threads_asked = params->threads,
                              .in_flight = 2};
    d->twins = c->info.type == PSGVIT_DEVICE_DISCRETE;
    d->least_copies = LEAST_COPIES;
    d->least_stream = LEAST_STREAM;
    d->loader = v->loader;
    d->api = v->loader.api;
    d->family = c->family;
    d->copy_family = c->copy_family;
    d->clock_mask = c->clock_mask;
    d->maker = c->maker;
    d->memory = c->memory;
    d->limits = c->limits;
    d->max_allocation = c->max_allocation;
    d->features = c->features;
    memcpy(d->name, c->name, sizeof d->name);
    memcpy(d->driver, c->driver, sizeof d->driver);
    memcpy(d->uuid, c->uuid, sizeof d->uuid);
    d->base.info.name = d->name;
    d->base.info.driver = d->driver;
    d->base.info.uuid = d->uuid;
    d->base.info.reason = "";
}

static psgvit_status find_functions(vk_device *d, psgvit_error *err)
{
#define FIND(function)                                                                             \
    d->api.function =                                                                              \
        (PFN_vk##function)d->api.GetDeviceProcAddr(d->device, "vk" #function);                     \
    if (!d->api.function)                                                                          \
        return pv_fail(err, PSGVIT_E_DEVICE, "%s: its driver has no vk" #function, d->name);
    PV_VK_DEVICE(FIND)
#undef FIND
    return PSGVIT_OK;
}

static void find_queues(vk_device *d, bool copies)
{
    d->api.GetDeviceQueue(d->device, d->family, 0, &d->queue);
    if (!copies)
        return;
    d->api.GetDeviceQueue(d->device, d->copy_family, 0, &d->copy_in);
    d->api.GetDeviceQueue(d->device, d->copy_family, 1, &d->copy_out);
}

/* From a new VkDevice to one that has proved itself. */
static psgvit_status start(vk_device *d, bool copies, const char *cache_path, psgvit_error *err)
{
    psgvit_status status = find_functions(d, err);
    if (!status && pthread_mutex_init(&d->lock, NULL))
        status = pv_fail(err, PSGVIT_E_MEMORY, "%s: out of memory: a lock", d->name);
    if (status) {
        if (d->api.DestroyDevice)
            d->api.DestroyDevice(d->device, NULL);
        return status;
    }
    find_queues(d, copies);
    status = pv_vk_pipelines_create(d, cache_path, err);
    if (status) {
        pthread_mutex_destroy(&d->lock);
        d->api.DestroyDevice(d->device, NULL);
        return status;
    }
    status = pv_vk_self_test(d, err);
    if (status)
        stop(d);
    return status;
}

psgvit_status pv_vulkan_open(psgvit_device **device, pv_vulkan *vulkan, size_t index,
                             const psgvit_device_params *params, psgvit_error *err)
{
    const vk_candidate *c = &vulkan->candidates[index];
    *device = NULL;
    if (!c->info.usable)
        return pv_fail(err, PSGVIT_E_DEVICE, "%s: can't be used: %s", c->name, c->reason);
    vk_device *d = calloc(1, sizeof *d);
    if (!d)
        return pv_fail_memory(err, "a device", sizeof *d);
    adopt(d, vulkan, c, params);
    VkResult result = pv_vk_create_device(&d->loader, c, &d->device);
    psgvit_status status =
        result ? pv_vk_fail(d, result, "creating the device", err)
               : start(d, c->copies, params->shader_cache, err);
    if (status) {
        vulkan->loader.stays = d->loader.stays;
        free(d);
        return status;
    }
    vulkan->loader = (vk_loader){0};
    *device = &d->base;
    return PSGVIT_OK;
}
