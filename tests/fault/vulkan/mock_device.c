/* SPDX-License-Identifier: MIT */
/* The mock's logical devices and all that belongs to one, but for memory, pipelines and what
 * belongs to a family of queues. */
#define _DEFAULT_SOURCE
#include "fault/vulkan/mock_core.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES = 8, MOST_INFOS = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mock_state devices[DEVICES];
static long all_submits, under_way, most_under_way;
static VkDevice kept_device;

mock_state *mock_state_of(VkDevice device)
{
    for (size_t i = 0; i < DEVICES; i++)
        if (devices[i].device == device)
            return &devices[i];
    abort();
}

/* The device that allows the least, if there is one. */
bool mock_strict(void)
{
    for (size_t i = 0; i < DEVICES; i++)
        if (devices[i].device && devices[i].as.limits == MOCK_LIMITS_LEAST)
            return true;
    return false;
}

long mock_submits(void)
{
    return all_submits;
}

long mock_under_way(void)
{
    return under_way;
}

long mock_most_under_way(void)
{
    long most = most_under_way;
    most_under_way = under_way;
    return most;
}

/* ---- devices ---- */

static bool enables(const VkDeviceCreateInfo *info, const char *extension)
{
    for (uint32_t i = 0; i < info->enabledExtensionCount; i++)
        if (!strcmp(info->ppEnabledExtensionNames[i], extension))
            return true;
    return false;
}

/* What is said to be there must be enabled, and nothing else. */
static void check_extensions(const mock_device *as, const VkDeviceCreateInfo *info)
{
    static const VkStructureType wanted[] = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR,
    };
    size_t found = 0;
    uint32_t names = (as->matrices ? 2u : 0u) + (as->unchecked ? 1u : 0u);
    for (const VkBaseInStructure *s = info->pNext; s; s = s->pNext)
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            found += s->sType == wanted[i];
    if (as->matrices && (found != 4 || !enables(info, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) ||
                         !enables(info, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME)))
        mock_fault("a device with fast matrices was created without them");
    if (as->unchecked && !enables(info, VK_EXT_PIPELINE_ROBUSTNESS_EXTENSION_NAME))
        mock_fault("a device that can leave checks of bounds out was created without that");
    if (info->enabledExtensionCount != names || (!names && info->pNext))
        mock_fault("a device was created with what it lacks");
}

/* Two queues that copy where there are two, and a GPU is discrete. */
static void check_queues(const mock_device *as, const VkDeviceCreateInfo *info)
{
    const bool wanted = as->copies >= 2 && as->type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    const VkDeviceQueueCreateInfo *copies = &info->pQueueCreateInfos[1];
    if (info->queueCreateInfoCount != (wanted ? 2 : 1) ||
        (wanted && (copies->queueFamilyIndex != MOCK_COPY_FAMILY || copies->queueCount != 2)))
        mock_fault("a device was created with other queues than it should");
}

VkResult mock_create_device(const mock_physical *physical, const VkDeviceCreateInfo *info,
                            VkDevice *device)
{
    VkDeviceCreateInfo plain = *info;
    plain.pNext = NULL;
    plain.enabledExtensionCount = 0;
    plain.queueCreateInfoCount = 1;
    if (physical->as.name) {
        check_extensions(&physical->as, info);
        check_queues(&physical->as, info);
    }
    *device = mock_keeps() ? kept_device : NULL;
    VkResult result = *device ? VK_SUCCESS
                              : mock_real.CreateDevice(physical->real, &plain, NULL, device);
    if (result != VK_SUCCESS)
        return result;
    if (mock_keeps())
        kept_device = *device;
    pthread_mutex_lock(&lock);
    *mock_state_of(NULL) = (mock_state){.device = *device, .as = physical->as};
    pthread_mutex_unlock(&lock);
    mock_born(MOCK_DEVICE, (uint64_t)(uintptr_t)*device, NULL);
    mock_history_begin();
    return VK_SUCCESS;
}

static void VKAPI_CALL destroy_device(VkDevice device, const VkAllocationCallbacks *allocation)
{
    if (!device || !mock_died(MOCK_DEVICE, (uint64_t)(uintptr_t)device))
        return;
    mock_orphans(device);
    pthread_mutex_lock(&lock);
    mock_state_of(device)->device = NULL;
    pthread_mutex_unlock(&lock);
    if (device != kept_device)
        mock_real.DestroyDevice(device, allocation);
}

void mock_end_kept(void)
{
    if (!kept_device)
        return;
    mock_end_kept_pipelines(kept_device);
    mock_history_forget();
    mock_real.DestroyDevice(kept_device, NULL);
    kept_device = NULL;
}

static void VKAPI_CALL get_queue(VkDevice device, uint32_t family, uint32_t index, VkQueue *queue)
{
    if (family == MOCK_COPY_FAMILY) {
        *queue = (VkQueue)(uintptr_t)&mock_state_of(device)->copy_queues[index];
        return;
    }
    mock_real.GetDeviceQueue(device, family, index, queue);
    mock_state_of(device)->queue = *queue;
}

/* ---- submitting ---- */

static bool is_copy_queue(const mock_state *d, VkQueue queue)
{
    return (char *)queue == &d->copy_queues[0] || (char *)queue == &d->copy_queues[1];
}

static mock_state *state_of_queue(VkQueue queue)
{
    mock_state *d = devices;
    while (!d->device || (d->queue != queue && !is_copy_queue(d, queue)))
        d++;
    return d;
}

/* A command buffer is for queues of its pool's family. */
static void check_family(const VkSubmitInfo *info, bool copies)
{
    for (uint32_t i = 0; i < info->commandBufferCount; i++)
        if (mock_copies_only(info->pCommandBuffers[i]) != copies)
            mock_fault("commands for another family than the queue's");
}

/* Nothing but its semaphores and its fence, where what it makes of memory is known. */
static VkResult submit_empty(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                             VkFence fence)
{
    VkSubmitInfo empty[MOST_INFOS];
    if (count > MOST_INFOS)
        abort();
    memcpy(empty, infos, count * sizeof *infos);
    for (uint32_t i = 0; i < count; i++)
        empty[i].commandBufferCount = 0;
    return mock_real.QueueSubmit(queue, count, empty, fence);
}

/* Waits for what it submits: how often a fence is asked is the same in every run. */
static VkResult VKAPI_CALL queue_submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                        VkFence fence)
{
    mock_state *d = state_of_queue(queue);
    for (uint32_t i = 0; i < count; i++)
        check_family(&infos[i], is_copy_queue(d, queue));
    queue = d->queue;
    MOCK_MAY_FAIL(QueueSubmit, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                  VK_ERROR_DEVICE_LOST);
    pthread_mutex_lock(&lock);
    all_submits++;
    d->lost = d->lost || ++d->submits == d->as.lost_at;
    bool lost = d->lost;
    pthread_mutex_unlock(&lock);
    if (lost)
        return VK_ERROR_DEVICE_LOST;
    const bool known = mock_history_submit(count, infos);
    VkResult result = known ? submit_empty(queue, count, infos, fence)
                            : mock_real.QueueSubmit(queue, count, infos, fence);
    pthread_mutex_lock(&lock);
    under_way += result == VK_SUCCESS && fence;
    most_under_way = under_way > most_under_way ? under_way : most_under_way;
    pthread_mutex_unlock(&lock);
    VkFence mine = VK_NULL_HANDLE;
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    if (result == VK_SUCCESS)
        result = mock_real.CreateFence(d->device, &info, NULL, &mine);
    if (result == VK_SUCCESS)
        result = mock_real.QueueSubmit(queue, 0, NULL, mine);
    if (result == VK_SUCCESS)
        result = mock_real.WaitForFences(d->device, 1, &mine, VK_TRUE, 60000000000u);
    mock_real.DestroyFence(d->device, mine, NULL);
    mock_history_submitted();
    if (d->as.error != 0.0f && d->submits >= d->as.error_at)
        mock_spoil(d);
    return result;
}

static bool hangs(const mock_state *d)
{
    return d->as.hangs_at && d->submits >= d->as.hangs_at && !(d->as.wakes && d->timeouts > 1);
}

bool mock_hangs(const void *device)
{
    for (size_t i = 0; device && i < DEVICES; i++)
        if (devices[i].device == device && hangs(&devices[i]))
            return true;
    return false;
}

static VkResult VKAPI_CALL get_fence_status(VkDevice device, VkFence fence)
{
    if (mock_state_of(device)->as.slow) /* how often it is asked is a matter of time */
        return VK_NOT_READY;
    MOCK_MAY_FAIL(GetFenceStatus, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                  VK_ERROR_DEVICE_LOST, VK_NOT_READY);
    if (mock_state_of(device)->lost)
        return VK_ERROR_DEVICE_LOST;
    return hangs(mock_state_of(device)) ? VK_NOT_READY : mock_real.GetFenceStatus(device, fence);
}

static VkResult VKAPI_CALL wait_for_fences(VkDevice device, uint32_t count, const VkFence *fences,
                                           VkBool32 all, uint64_t timeout)
{
    MOCK_MAY_FAIL(WaitForFences, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                  VK_ERROR_DEVICE_LOST, VK_TIMEOUT);
    if (timeout > 600000000000u)
        mock_fault("a wait of %llu ns", (unsigned long long)timeout);
    if (mock_state_of(device)->lost)
        return VK_ERROR_DEVICE_LOST;
    mock_state *d = mock_state_of(device);
    d->timeouts += hangs(d);
    return hangs(d) ? VK_TIMEOUT : mock_real.WaitForFences(device, count, fences, all, timeout);
}

static VkResult VKAPI_CALL reset_fences(VkDevice device, uint32_t count, const VkFence *fences)
{
    MOCK_MAY_FAIL(ResetFences, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    pthread_mutex_lock(&lock);
    under_way -= count;
    pthread_mutex_unlock(&lock);
    return mock_real.ResetFences(device, count, fences);
}

/* ---- what is only created and destroyed ---- */

#define CREATE(name, Name, kind, ...)                                                              \
    static VkResult VKAPI_CALL create_##name(VkDevice device, const Vk##Name##CreateInfo *info,    \
                                             const VkAllocationCallbacks *allocation,              \
                                             Vk##Name *out)                                        \
    {                                                                                              \
        MOCK_MAY_FAIL(Create##Name, __VA_ARGS__);                                                  \
        VkResult result = mock_real.Create##Name(device, info, allocation, out);                   \
        if (result == VK_SUCCESS)                                                                  \
            mock_born(kind, (uint64_t)*out, device);                                               \
        return result;                                                                             \
    }
#define DESTROY(name, Name, kind)                                                                  \
    static void VKAPI_CALL destroy_##name(VkDevice device, Vk##Name object,                        \
                                          const VkAllocationCallbacks *allocation)                 \
    {                                                                                              \
        if (object && mock_died(kind, (uint64_t)object))                                           \
            mock_real.Destroy##Name(device, object, allocation);                                   \
    }
#define BOTH(name, Name, kind, ...)                                                                \
    CREATE(name, Name, kind, __VA_ARGS__)                                                          \
    DESTROY(name, Name, kind)

BOTH(fence, Fence, MOCK_FENCE, MOCK_MEMORY_ERRORS)
BOTH(semaphore, Semaphore, MOCK_SEMAPHORE, MOCK_MEMORY_ERRORS)
DESTROY(buffer, Buffer, MOCK_BUFFER)
BOTH(descriptor_pool, DescriptorPool, MOCK_DESCRIPTOR_POOL, MOCK_MEMORY_ERRORS,
     VK_ERROR_FRAGMENTATION)
BOTH(query_pool, QueryPool, MOCK_QUERY_POOL, MOCK_MEMORY_ERRORS)
DESTROY(set_layout, DescriptorSetLayout, MOCK_SET_LAYOUT)
DESTROY(pipeline_layout, PipelineLayout, MOCK_PIPELINE_LAYOUT)

static VkResult VKAPI_CALL create_set_layout(VkDevice device,
                                             const VkDescriptorSetLayoutCreateInfo *info,
                                             const VkAllocationCallbacks *allocation,
                                             VkDescriptorSetLayout *layout)
{
    MOCK_MAY_FAIL(CreateDescriptorSetLayout, MOCK_MEMORY_ERRORS);
    if (mock_strict() && info->bindingCount > 4)
        mock_fault("%u storage buffers", info->bindingCount);
    VkResult result = mock_real.CreateDescriptorSetLayout(device, info, allocation, layout);
    if (result == VK_SUCCESS)
        mock_born(MOCK_SET_LAYOUT, (uint64_t)*layout, device);
    return result;
}

static VkResult VKAPI_CALL create_pipeline_layout(VkDevice device,
                                                  const VkPipelineLayoutCreateInfo *info,
                                                  const VkAllocationCallbacks *allocation,
                                                  VkPipelineLayout *layout)
{
    MOCK_MAY_FAIL(CreatePipelineLayout, MOCK_MEMORY_ERRORS);
    if (info->pushConstantRangeCount && info->pPushConstantRanges->size > 128)
        mock_fault("%u bytes of push constants", info->pPushConstantRanges->size);
    VkResult result = mock_real.CreatePipelineLayout(device, info, allocation, layout);
    if (result == VK_SUCCESS)
        mock_born(MOCK_PIPELINE_LAYOUT, (uint64_t)*layout, device);
    return result;
}

/* ---- descriptors and commands ---- */

static VkResult VKAPI_CALL allocate_sets(VkDevice device, const VkDescriptorSetAllocateInfo *info,
                                         VkDescriptorSet *sets)
{
    MOCK_MAY_FAIL(AllocateDescriptorSets, MOCK_MEMORY_ERRORS, VK_ERROR_FRAGMENTED_POOL,
                  VK_ERROR_OUT_OF_POOL_MEMORY);
    return mock_real.AllocateDescriptorSets(device, info, sets);
}

static void VKAPI_CALL update_sets(VkDevice device, uint32_t count,
                                   const VkWriteDescriptorSet *writes, uint32_t copy_count,
                                   const VkCopyDescriptorSet *copies)
{
    for (uint32_t i = 0; i < count; i++) {
        mock_history_note(writes[i].pBufferInfo->offset, writes[i].pBufferInfo->range);
        if (!mock_strict())
            continue;
        if (writes[i].pBufferInfo->range > 1u << 27)
            mock_fault("a binding of %llu bytes",
                       (unsigned long long)writes[i].pBufferInfo->range);
        if (writes[i].pBufferInfo->offset % 256)
            mock_fault("a binding from byte %llu on",
                       (unsigned long long)writes[i].pBufferInfo->offset);
    }
    mock_real.UpdateDescriptorSets(device, count, writes, copy_count, copies);
}

static VkResult VKAPI_CALL begin_commands(VkCommandBuffer commands,
                                          const VkCommandBufferBeginInfo *info)
{
    MOCK_MAY_FAIL(BeginCommandBuffer, MOCK_MEMORY_ERRORS);
    return mock_real.BeginCommandBuffer(commands, info);
}

static VkResult VKAPI_CALL end_commands(VkCommandBuffer commands)
{
    MOCK_MAY_FAIL(EndCommandBuffer, MOCK_MEMORY_ERRORS);
    mock_history_recorded(commands);
    return mock_real.EndCommandBuffer(commands);
}

static void VKAPI_CALL dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z)
{
    if (mock_strict() && (x > 65535 || y > 65535 || z > 65535))
        mock_fault("%u x %u x %u workgroups", x, y, z);
    mock_history_note((uint64_t)x << 32 | y, z);
    mock_real.CmdDispatch(commands, x, y, z);
}

static void VKAPI_CALL push_constants(VkCommandBuffer commands, VkPipelineLayout layout,
                                      VkShaderStageFlags stages, uint32_t offset, uint32_t size,
                                      const void *values)
{
    for (uint32_t i = 0; i + 4 <= size; i += 4)
        mock_history_note(offset + i, *(const uint32_t *)((const char *)values + i));
    mock_real.CmdPushConstants(commands, layout, stages, offset, size, values);
}

static void VKAPI_CALL copy_buffer(VkCommandBuffer commands, VkBuffer from, VkBuffer to,
                                   uint32_t count, const VkBufferCopy *regions)
{
    for (uint32_t i = 0; i < count; i++) {
        mock_history_note(regions[i].srcOffset, regions[i].dstOffset);
        mock_history_note(regions[i].size, i);
    }
    mock_real.CmdCopyBuffer(commands, from, to, count, regions);
}

/* The clock overflows behind the first time; the bits above it are anything. */
static void wrap(uint64_t *times, size_t count, uint64_t mask)
{
    const uint64_t first = times[0];
    for (size_t i = 0; i < count; i++)
        times[i] = ((times[i] - first + mask) & mask) | (i % 2 ? ~mask : 0);
}

static VkResult VKAPI_CALL get_query_results(VkDevice device, VkQueryPool pool, uint32_t first,
                                             uint32_t count, size_t size, void *data,
                                             VkDeviceSize stride, VkQueryResultFlags flags)
{
    MOCK_MAY_FAIL(GetQueryPoolResults, MOCK_MEMORY_ERRORS, VK_ERROR_DEVICE_LOST, VK_NOT_READY);
    VkResult result = mock_history_times(data, size / sizeof(uint64_t))
                          ? VK_SUCCESS
                          : mock_real.GetQueryPoolResults(device, pool, first, count, size, data,
                                                          stride, flags);
    uint32_t bits = mock_state_of(device)->as.clock_bits;
    if (result == VK_SUCCESS && bits)
        wrap(data, size / sizeof(uint64_t), ((uint64_t)1 << bits) - 1);
    return result;
}

/* ---- functions by name ---- */

PFN_vkVoidFunction mock_device_function(const char *name)
{
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } table[] = {
#define ENTRY(name, function) {"vk" #name, (PFN_vkVoidFunction)function}
        ENTRY(DestroyDevice, destroy_device),
        ENTRY(GetDeviceQueue, get_queue),
        ENTRY(QueueSubmit, queue_submit),
        ENTRY(CreateFence, create_fence),
        ENTRY(DestroyFence, destroy_fence),
        ENTRY(CreateSemaphore, create_semaphore),
        ENTRY(DestroySemaphore, destroy_semaphore),
        ENTRY(ResetFences, reset_fences),
        ENTRY(GetFenceStatus, get_fence_status),
        ENTRY(WaitForFences, wait_for_fences),
        ENTRY(DestroyBuffer, destroy_buffer),
        ENTRY(CreateDescriptorSetLayout, create_set_layout),
        ENTRY(DestroyDescriptorSetLayout, destroy_set_layout),
        ENTRY(CreatePipelineLayout, create_pipeline_layout),
        ENTRY(DestroyPipelineLayout, destroy_pipeline_layout),
        ENTRY(CreateDescriptorPool, create_descriptor_pool),
        ENTRY(DestroyDescriptorPool, destroy_descriptor_pool),
        ENTRY(AllocateDescriptorSets, allocate_sets),
        ENTRY(UpdateDescriptorSets, update_sets),
        ENTRY(BeginCommandBuffer, begin_commands),
        ENTRY(EndCommandBuffer, end_commands),
        ENTRY(CmdDispatch, dispatch),
        ENTRY(CmdPushConstants, push_constants),
        ENTRY(CmdCopyBuffer, copy_buffer),
        ENTRY(CreateQueryPool, create_query_pool),
        ENTRY(DestroyQueryPool, destroy_query_pool),
        ENTRY(GetQueryPoolResults, get_query_results),
#undef ENTRY
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].function;
    PFN_vkVoidFunction of_pipelines = mock_pipeline_function(name);
    if (of_pipelines)
        return of_pipelines;
    PFN_vkVoidFunction of_memory = mock_memory_function(name);
    if (of_memory)
        return of_memory;
    PFN_vkVoidFunction of_families = mock_family_function(name);
    if (of_families)
        return of_families;
#define FORWARD(function)                                                                          \
    if (!strcmp(name, "vk" #function))                                                             \
        return (PFN_vkVoidFunction)mock_real.function;
    PV_VK_DEVICE(FORWARD)
#undef FORWARD
    return NULL;
}
