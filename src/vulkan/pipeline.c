/* SPDX-License-Identifier: MIT */
/*
 * Compute pipelines. All shaders share one layout, a few storage buffers and push constants, so
 * that a plan needs no more than a pipeline, a set and numbers for each dispatch.
 */
#include "vulkan/vulkan.h"

#include <stdlib.h>
#include <string.h>

static psgvit_status make_layouts(vk_device *d, psgvit_error *err)
{
    VkDescriptorSetLayoutBinding bindings[PV_VK_BINDINGS];
    uint32_t count = d->features.f16_matrix ? PV_VK_BINDINGS : PV_VK_EVERY_BINDING;
    for (uint32_t i = 0; i < count; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    VkDescriptorSetLayoutCreateInfo sets = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = count,
        .pBindings = bindings,
    };
    PV_VK_TRY(d, d->api.CreateDescriptorSetLayout(d->device, &sets, NULL, &d->pipelines.sets),
              "creating a descriptor set layout", err);
    VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, PV_VK_PUSH_BYTES};
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &d->pipelines.sets,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &push,
    };
    PV_VK_TRY(d, d->api.CreatePipelineLayout(d->device, &layout, NULL, &d->pipelines.layout),
              "creating a pipeline layout", err);
    return PSGVIT_OK;
}

psgvit_status pv_vk_pipelines_create(vk_device *device, const char *cache_path, psgvit_error *err)
{
    if (pthread_mutex_init(&device->pipelines.lock, NULL))
        return pv_fail(err, PSGVIT_E_MEMORY, "%s: out of memory: a lock", device->name);
    psgvit_status status = make_layouts(device, err);
    if (!status)
        status = pv_vk_cache_open(device, cache_path, err);
    if (status)
        pv_vk_pipelines_destroy(device);
    return status;
}

void pv_vk_pipelines_destroy(vk_device *device)
{
    const bool free_all = pv_vk_may_destroy(device);
    for (vk_kernel *k = device->pipelines.kernels; k;) {
        vk_kernel *next = k->next;
        if (free_all)
            device->api.DestroyPipeline(device->device, k->pipeline, NULL);
        free(k);
        k = next;
    }
    pv_vk_cache_close(device);
    if (free_all) {
        device->api.DestroyPipelineLayout(device->device, device->pipelines.layout, NULL);
        device->api.DestroyDescriptorSetLayout(device->device, device->pipelines.sets, NULL);
    }
    pthread_mutex_destroy(&device->pipelines.lock);
}

static psgvit_status make_pipeline(vk_device *d, vk_kernel *k, VkShaderModule shader,
                                   psgvit_error *err)
{
    VkSpecializationMapEntry entries[PV_VK_CONSTANTS];
    for (uint32_t i = 0; i < PV_VK_CONSTANTS; i++)
        entries[i] = (VkSpecializationMapEntry){i, i * (uint32_t)sizeof *k->constants,
                                                sizeof *k->constants};
    VkSpecializationInfo constants = {PV_VK_CONSTANTS, entries, sizeof k->constants, k->constants};
    const VkPipelineRobustnessCreateInfoEXT unchecked = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_ROBUSTNESS_CREATE_INFO_EXT,
        .storageBuffers = VK_PIPELINE_ROBUSTNESS_BUFFER_BEHAVIOR_DISABLED_EXT,
        .uniformBuffers = VK_PIPELINE_ROBUSTNESS_BUFFER_BEHAVIOR_DISABLED_EXT,
        .vertexInputs = VK_PIPELINE_ROBUSTNESS_BUFFER_BEHAVIOR_DISABLED_EXT,
        .images = VK_PIPELINE_ROBUSTNESS_IMAGE_BEHAVIOR_DISABLED_EXT};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .pNext = d->features.unchecked ? &unchecked : NULL,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = shader,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = d->pipelines.layout,
    };
    PV_VK_TRY(d,
              d->api.CreateComputePipelines(d->device, d->pipelines.cache, 1, &info, NULL,
                                            &k->pipeline),
              "creating a compute pipeline", err);
    return PSGVIT_OK;
}

static psgvit_status make_kernel(vk_device *d, vk_kernel *k, psgvit_error *err)
{
    vk_code code = pv_vk_module_code(k->module);
    VkShaderModuleCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = code.bytes,
                                     .pCode = code.words};
    VkShaderModule shader;
    PV_VK_TRY(d, d->api.CreateShaderModule(d->device, &info, NULL, &shader),
              "creating a shader module", err);
    psgvit_status status = make_pipeline(d, k, shader, err);
    d->api.DestroyShaderModule(d->device, shader, NULL);
    return status;
}

/* Under the lock. */
static psgvit_status find_or_make(vk_device *d, const vk_kernel *wanted, const vk_kernel **kernel,
                                  psgvit_error *err)
{
    for (vk_kernel *k = d->pipelines.kernels; k; k = k->next)
        if (k->module == wanted->module &&
            !memcmp(k->constants, wanted->constants, sizeof k->constants)) {
            *kernel = k;
            return PSGVIT_OK;
        }
    vk_kernel *k = malloc(sizeof *k);
    if (!k)
        return pv_fail_memory(err, "a kernel", sizeof *k);
    *k = *wanted;
    psgvit_status status = make_kernel(d, k, err);
    if (status) {
        free(k);
        return status;
    }
    k->next = d->pipelines.kernels;
    d->pipelines.kernels = k;
    *kernel = k;
    return PSGVIT_OK;
}

psgvit_status pv_vk_kernel_get(vk_device *device, vk_module module,
                               const uint32_t constants[PV_VK_CONSTANTS], const vk_kernel **kernel,
                               psgvit_error *err)
{
    vk_kernel wanted = {.module = module};
    memcpy(wanted.constants, constants, sizeof wanted.constants);
    pthread_mutex_lock(&device->pipelines.lock);
    psgvit_status status = find_or_make(device, &wanted, kernel, err);
    pthread_mutex_unlock(&device->pipelines.lock);
    return status;
}
