/* SPDX-License-Identifier: MIT */
/* The mock's second family of queues, which only copies and isn't there: what belongs to a family,
 * command pools and buffers, is made for the real one, and noted. */
#include "fault/vulkan/mock_core.h"

#include <pthread.h>
#include <string.h>

enum { POOLS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static VkCommandPool pools[POOLS];        /* of that family */
static VkCommandBuffer copies[2 * POOLS]; /* two of each */

bool mock_copies_only(VkCommandBuffer commands)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < 2 * POOLS; i++)
        found = found || copies[i] == commands;
    pthread_mutex_unlock(&lock);
    return found;
}

/* Shared by two families if there are two. */
static VkResult VKAPI_CALL create_buffer(VkDevice device, const VkBufferCreateInfo *info,
                                         const VkAllocationCallbacks *allocation, VkBuffer *buffer)
{
    const mock_device *as = &mock_state_of(device)->as;
    const bool shared = info->sharingMode == VK_SHARING_MODE_CONCURRENT;
    VkBufferCreateInfo plain = *info;
    MOCK_MAY_FAIL(CreateBuffer, MOCK_MEMORY_ERRORS);
    if (shared != (as->copies >= 2 && as->type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU) ||
        (shared && (info->queueFamilyIndexCount != 2 ||
                    info->pQueueFamilyIndices[0] + info->pQueueFamilyIndices[1] != 1)))
        mock_fault("a buffer for other families than it should be");
    plain.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    VkResult result = mock_real.CreateBuffer(device, &plain, allocation, buffer);
    if (result == VK_SUCCESS)
        mock_born(MOCK_BUFFER, (uint64_t)*buffer, device);
    return result;
}

static size_t pool_at(VkCommandPool pool)
{
    size_t i = 0;
    while (i < POOLS && pools[i] != pool)
        i++;
    return i;
}

static VkResult VKAPI_CALL create_command_pool(VkDevice device,
                                               const VkCommandPoolCreateInfo *info,
                                               const VkAllocationCallbacks *allocation,
                                               VkCommandPool *pool)
{
    VkCommandPoolCreateInfo plain = *info;
    MOCK_MAY_FAIL(CreateCommandPool, MOCK_MEMORY_ERRORS);
    plain.queueFamilyIndex = 0;
    VkResult result = mock_real.CreateCommandPool(device, &plain, allocation, pool);
    if (result != VK_SUCCESS)
        return result;
    mock_born(MOCK_COMMAND_POOL, (uint64_t)*pool, device);
    pthread_mutex_lock(&lock);
    if (info->queueFamilyIndex == MOCK_COPY_FAMILY)
        pools[pool_at(VK_NULL_HANDLE)] = *pool;
    pthread_mutex_unlock(&lock);
    return VK_SUCCESS;
}

static void VKAPI_CALL destroy_command_pool(VkDevice device, VkCommandPool pool,
                                            const VkAllocationCallbacks *allocation)
{
    if (!pool || !mock_died(MOCK_COMMAND_POOL, (uint64_t)pool))
        return;
    pthread_mutex_lock(&lock);
    size_t i = pool_at(pool);
    if (i < POOLS) {
        pools[i] = VK_NULL_HANDLE;
        copies[2 * i] = copies[2 * i + 1] = NULL;
    }
    pthread_mutex_unlock(&lock);
    mock_real.DestroyCommandPool(device, pool, allocation);
}

static VkResult VKAPI_CALL allocate_commands(VkDevice device,
                                             const VkCommandBufferAllocateInfo *info,
                                             VkCommandBuffer *commands)
{
    MOCK_MAY_FAIL(AllocateCommandBuffers, MOCK_MEMORY_ERRORS);
    VkResult result = mock_real.AllocateCommandBuffers(device, info, commands);
    pthread_mutex_lock(&lock);
    size_t pool = pool_at(info->commandPool);
    for (uint32_t i = 0; result == VK_SUCCESS && pool < POOLS && i < 2; i++)
        copies[2 * pool + i] = commands[i];
    pthread_mutex_unlock(&lock);
    return result;
}

PFN_vkVoidFunction mock_family_function(const char *name)
{
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } table[] = {
#define ENTRY(name, function) {"vk" #name, (PFN_vkVoidFunction)function}
        ENTRY(CreateBuffer, create_buffer),
        ENTRY(CreateCommandPool, create_command_pool),
        ENTRY(DestroyCommandPool, destroy_command_pool),
        ENTRY(AllocateCommandBuffers, allocate_commands),
#undef ENTRY
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].function;
    return NULL;
}
