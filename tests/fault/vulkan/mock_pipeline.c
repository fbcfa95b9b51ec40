/* SPDX-License-Identifier: MIT */
/* The mock's shader modules and pipelines, which it can keep beyond their device. */
#include "fault/vulkan/mock_core.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MODULES = 64, PIPELINES = 256, COOPERATIVE_MATRIX = 6022 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    VkShaderModule module;
    uint64_t hash;
} modules[MODULES];
static struct {
    VkPipeline pipeline;
    uint64_t hash;
} kept[PIPELINES];
static size_t cache_bytes;
static uint32_t fast_module; /* its address stands for a module that nothing here can compile */

#define FAST_MODULE ((VkShaderModule)(uintptr_t)&fast_module)

static uint64_t hash_of(const void *bytes, size_t size, uint64_t hash)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return hash;
}

/* Does the module need fast matrices? */
static bool is_fast(const VkShaderModuleCreateInfo *info)
{
    const uint32_t *words = info->pCode;
    for (size_t i = 5; i < info->codeSize / 4 && (words[i] & 0xFFFF) == 17; i += words[i] >> 16)
        if (words[i + 1] == COOPERATIVE_MATRIX)
            return true;
    return false;
}

static VkResult VKAPI_CALL create_shader_module(VkDevice device,
                                                const VkShaderModuleCreateInfo *info,
                                                const VkAllocationCallbacks *allocation,
                                                VkShaderModule *module)
{
    MOCK_MAY_FAIL(CreateShaderModule, MOCK_MEMORY_ERRORS);
    bool fast = is_fast(info);
    if (fast && !mock_state_of(device)->as.matrices)
        mock_fault("a shader of fast matrices on a device that has none");
    *module = FAST_MODULE;
    VkResult result =
        fast ? VK_SUCCESS : mock_real.CreateShaderModule(device, info, allocation, module);
    if (result != VK_SUCCESS)
        return result;
    mock_born(MOCK_SHADER_MODULE, (uint64_t)*module, device);
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (modules[i].module)
        i++;
    modules[i].module = *module;
    modules[i].hash = hash_of(info->pCode, info->codeSize, 14695981039346656037u);
    pthread_mutex_unlock(&lock);
    return VK_SUCCESS;
}

static size_t module_place(VkShaderModule module)
{
    size_t i = 0;
    while (i < MODULES && modules[i].module != module)
        i++;
    if (i == MODULES)
        abort();
    return i;
}

static void VKAPI_CALL destroy_shader_module(VkDevice device, VkShaderModule module,
                                             const VkAllocationCallbacks *allocation)
{
    if (!module || !mock_died(MOCK_SHADER_MODULE, (uint64_t)module))
        return;
    pthread_mutex_lock(&lock);
    modules[module_place(module)].module = VK_NULL_HANDLE;
    pthread_mutex_unlock(&lock);
    if (module != FAST_MODULE)
        mock_real.DestroyShaderModule(device, module, allocation);
}

static VkResult VKAPI_CALL create_cache(VkDevice device, const VkPipelineCacheCreateInfo *info,
                                        const VkAllocationCallbacks *allocation,
                                        VkPipelineCache *cache)
{
    MOCK_MAY_FAIL(CreatePipelineCache, MOCK_MEMORY_ERRORS);
    VkResult result = mock_real.CreatePipelineCache(device, info, allocation, cache);
    if (result == VK_SUCCESS)
        mock_born(MOCK_PIPELINE_CACHE, (uint64_t)*cache, device);
    pthread_mutex_lock(&lock);
    cache_bytes += info->initialDataSize;
    pthread_mutex_unlock(&lock);
    return result;
}

static void VKAPI_CALL destroy_cache(VkDevice device, VkPipelineCache cache,
                                     const VkAllocationCallbacks *allocation)
{
    if (cache && mock_died(MOCK_PIPELINE_CACHE, (uint64_t)cache))
        mock_real.DestroyPipelineCache(device, cache, allocation);
}

size_t mock_cache_bytes(void)
{
    return cache_bytes;
}

static VkResult VKAPI_CALL get_cache_data(VkDevice device, VkPipelineCache cache, size_t *size,
                                          void *data)
{
    MOCK_MAY_FAIL(GetPipelineCacheData, MOCK_MEMORY_ERRORS);
    return mock_real.GetPipelineCacheData(device, cache, size, data);
}

/* The place of a pipeline that is kept: its own, or a free one. */
static size_t pipeline_place(uint64_t hash)
{
    for (size_t i = 0; i < PIPELINES; i++)
        if (!kept[i].pipeline || kept[i].hash == hash)
            return i;
    abort();
}

static VkResult VKAPI_CALL create_pipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                            const VkComputePipelineCreateInfo *info,
                                            const VkAllocationCallbacks *allocation,
                                            VkPipeline *pipeline)
{
    const VkSpecializationInfo *constants = info->stage.pSpecializationInfo;
    const bool unchecked = mock_state_of(device)->as.unchecked;
    VkComputePipelineCreateInfo plain = *info;
    plain.pNext = NULL;
    if (unchecked != (info->pNext != NULL))
        mock_fault("a pipeline with%s checks of bounds", unchecked ? "" : "out");
    MOCK_MAY_FAIL(CreateComputePipelines, MOCK_MEMORY_ERRORS, VK_ERROR_UNKNOWN);
    if (mock_strict() && *(const uint32_t *)constants->pData > 128)
        mock_fault("a workgroup of %u threads", *(const uint32_t *)constants->pData);
    if (info->stage.module == FAST_MODULE)
        return VK_ERROR_UNKNOWN;
    pthread_mutex_lock(&lock);
    uint64_t hash = hash_of(constants->pData, constants->dataSize,
                            modules[module_place(info->stage.module)].hash);
    size_t place = pipeline_place(hash);
    mock_history_note(hash, count);
    *pipeline = mock_keeps() ? kept[place].pipeline : VK_NULL_HANDLE;
    pthread_mutex_unlock(&lock);
    VkResult result = *pipeline ? VK_SUCCESS
                                : mock_real.CreateComputePipelines(device, cache, count, &plain,
                                                                   allocation, pipeline);
    if (result != VK_SUCCESS)
        return result;
    mock_born(MOCK_PIPELINE, (uint64_t)*pipeline, device);
    if (mock_keeps()) {
        kept[place].pipeline = *pipeline;
        kept[place].hash = hash;
    }
    return VK_SUCCESS;
}

static void VKAPI_CALL destroy_pipeline(VkDevice device, VkPipeline pipeline,
                                        const VkAllocationCallbacks *allocation)
{
    if (pipeline && mock_died(MOCK_PIPELINE, (uint64_t)pipeline) && !mock_keeps())
        mock_real.DestroyPipeline(device, pipeline, allocation);
}

void mock_end_kept_pipelines(VkDevice device)
{
    for (size_t i = 0; i < PIPELINES; i++)
        if (kept[i].pipeline)
            mock_real.DestroyPipeline(device, kept[i].pipeline, NULL);
    memset(kept, 0, sizeof kept);
}

PFN_vkVoidFunction mock_pipeline_function(const char *name)
{
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } table[] = {
#define ENTRY(name, function) {"vk" #name, (PFN_vkVoidFunction)function}
        ENTRY(CreateShaderModule, create_shader_module),
        ENTRY(DestroyShaderModule, destroy_shader_module),
        ENTRY(CreateComputePipelines, create_pipelines),
        ENTRY(DestroyPipeline, destroy_pipeline),
        ENTRY(CreatePipelineCache, create_cache),
        ENTRY(DestroyPipelineCache, destroy_cache),
        ENTRY(GetPipelineCacheData, get_cache_data),
#undef ENTRY
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].function;
    return NULL;
}
