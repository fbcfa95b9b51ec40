/* SPDX-License-Identifier: MIT */
/*
 * What a physical device is and can do. Only the least that Vulkan 1.1 promises is required; fast
 * matrices are found out, and enabled where they are there.
 */
#include "vulkan/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- extensions ---- */

typedef struct extension_list {
    VkExtensionProperties *at;
    uint32_t count;
} extension_list;

static VkResult list_extensions(const vk_loader *l, VkPhysicalDevice physical, extension_list *list)
{
    VkResult result = l->api.EnumerateDeviceExtensionProperties(physical, NULL, &list->count, NULL);
    if (result != VK_SUCCESS || !list->count)
        return result;
    list->at = calloc(list->count, sizeof *list->at);
    if (!list->at)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    result = l->api.EnumerateDeviceExtensionProperties(physical, NULL, &list->count, list->at);
    return result == VK_INCOMPLETE ? VK_SUCCESS : result;
}

static bool has(const extension_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (!strncmp(list->at[i].extensionName, name, sizeof list->at[i].extensionName))
            return true;
    return false;
}

/* ---- bounds ---- */

/* Enabled or not, robustBufferAccess decides this only where a driver says so: NVIDIA's checks each
 * access by default. */
static void find_unchecked(const vk_loader *l, vk_candidate *c, const extension_list *extensions)
{
    VkPhysicalDevicePipelineRobustnessFeaturesEXT robustness = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT};
    VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                     .pNext = &robustness};
    if (!has(extensions, VK_EXT_PIPELINE_ROBUSTNESS_EXTENSION_NAME))
        return;
    l->api.GetPhysicalDeviceFeatures2(c->physical, &all);
    c->features.unchecked = robustness.pipelineRobustness;
}

/* ---- fast matrices ---- */

/* The features behind fast matrices; the same chain asks for them and enables them. */
typedef struct matrix_features {
    VkPhysicalDeviceShaderFloat16Int8Features arithmetic;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16; /* last: not every device knows it */
} matrix_features;

/* Returns the head of the chain. */
static void *chain_features(matrix_features *f, bool with_bfloat16)
{
    *f = (matrix_features){0};
    f->arithmetic.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
    f->memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES;
    f->matrix.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
    f->bfloat16.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR;
    f->arithmetic.pNext = &f->memory;
    f->memory.pNext = &f->matrix;
    f->matrix.pNext = with_bfloat16 ? &f->bfloat16 : NULL;
    return &f->arithmetic;
}

static bool is_shape(const VkCooperativeMatrixPropertiesKHR *p, uint32_t edge,
                     VkComponentTypeKHR type)
{
    return p->MSize == edge && p->NSize == edge && p->KSize == edge && p->AType == type &&
           p->BType == type && p->CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
           p->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR && p->scope == VK_SCOPE_SUBGROUP_KHR &&
           !p->saturatingAccumulation;
}

/* Which types the device lists with matrices of 16 x 16 x 16, or if there are none of 8 x 8 x 8. */
static VkResult find_shapes(const vk_loader *l, VkPhysicalDevice physical, vk_features *f)
{
    uint32_t count = 0;
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        l->api.GetPhysicalDeviceCooperativeMatrixPropertiesKHR;
    VkResult result = get(physical, &count, NULL);
    if (result != VK_SUCCESS || !count)
        return result;
    VkCooperativeMatrixPropertiesKHR *shapes = calloc(count, sizeof *shapes);
    if (!shapes)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        shapes[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    result = get(physical, &count, shapes);
    for (f->edge = 16; result >= VK_SUCCESS && f->edge >= 8; f->edge /= 2) {
        for (uint32_t i = 0; i < count; i++) {
            f->f16_matrix |= is_shape(&shapes[i], f->edge, VK_COMPONENT_TYPE_FLOAT16_KHR);
            f->bf16_matrix |= is_shape(&shapes[i], f->edge, VK_COMPONENT_TYPE_BFLOAT16_KHR);
        }
        if (f->f16_matrix || f->bf16_matrix)
            break;
    }
    free(shapes);
    return result == VK_INCOMPLETE ? VK_SUCCESS : result;
}

/* Do the smallest tiles run, and has every subgroup the same size? Where a driver chooses, a
 * workgroup could have more subgroups than the shader has memory for. */
static bool suits_matrices(const vk_loader *l, const vk_candidate *c, uint32_t version)
{
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &sizes};
    if (version < VK_API_VERSION_1_3 || c->limits.maxComputeSharedMemorySize < 32768 ||
        c->limits.maxComputeWorkGroupInvocations < 256)
        return false;
    l->api.GetPhysicalDeviceProperties2(c->physical, &all);
    return sizes.minSubgroupSize == sizes.maxSubgroupSize && sizes.maxSubgroupSize <= 64;
}

/* Its drivers spread matrices over a subgroup as PTX's mma does. */
enum { NVIDIA = 0x10de };

/* What the shaders of fast matrices need is Vulkan 1.3, but for the two extensions and one more
 * binding. */
static VkResult find_matrices(const vk_loader *l, vk_candidate *c, uint32_t version,
                              const extension_list *extensions)
{
    if (!l->api.GetPhysicalDeviceCooperativeMatrixPropertiesKHR ||
        c->limits.maxPerStageDescriptorStorageBuffers < PV_VK_BINDINGS ||
        !has(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) ||
        !suits_matrices(l, c, version))
        return VK_SUCCESS;
    matrix_features f;
    VkPhysicalDeviceFeatures2 all = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = chain_features(&f, has(extensions, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME))};
    l->api.GetPhysicalDeviceFeatures2(c->physical, &all);
    if (!f.memory.vulkanMemoryModel || !f.matrix.cooperativeMatrix)
        return VK_SUCCESS;
    VkResult result = find_shapes(l, c->physical, &c->features);
    c->features.f16_matrix = c->features.f16_matrix && f.arithmetic.shaderFloat16;
    c->features.bf16_matrix = c->features.bf16_matrix && f.bfloat16.shaderBFloat16Type &&
                              f.bfloat16.shaderBFloat16CooperativeMatrix;
    c->features.fragments = c->features.f16_matrix && c->maker.vendor == NVIDIA &&
                            c->features.edge == 16 && c->features.subgroup == 32 &&
                            c->features.exchanges;
    return result;
}

VkResult pv_vk_create_device(const vk_loader *loader, const vk_candidate *c, VkDevice *device)
{
    const char *names[3];
    matrix_features f;
    VkPhysicalDevicePipelineRobustnessFeaturesEXT robustness = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT,
        .pipelineRobustness = VK_TRUE};
    const float priorities[] = {1.0f, 1.0f};
    const VkDeviceQueueCreateInfo queues[] = {
        {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
         .queueFamilyIndex = c->family,
         .queueCount = 1,
         .pQueuePriorities = priorities},
        {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
         .queueFamilyIndex = c->copy_family,
         .queueCount = 2,
         .pQueuePriorities = priorities},
    };
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .queueCreateInfoCount = c->copies ? 2 : 1,
                               .pQueueCreateInfos = queues,
                               .ppEnabledExtensionNames = names};
    if (c->features.f16_matrix || c->features.bf16_matrix) {
        info.pNext = chain_features(&f, c->features.bf16_matrix);
        f.arithmetic.shaderFloat16 = c->features.f16_matrix;
        f.memory.vulkanMemoryModel = VK_TRUE;
        f.matrix.cooperativeMatrix = VK_TRUE;
        names[info.enabledExtensionCount++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
    }
    if (c->features.bf16_matrix) {
        f.bfloat16.shaderBFloat16Type = f.bfloat16.shaderBFloat16CooperativeMatrix = VK_TRUE;
        names[info.enabledExtensionCount++] = VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME;
    }
    if (c->features.unchecked) {
        robustness.pNext = (void *)info.pNext;
        info.pNext = &robustness;
        names[info.enabledExtensionCount++] = VK_EXT_PIPELINE_ROBUSTNESS_EXTENSION_NAME;
    }
    return loader->api.CreateDevice(c->physical, &info, NULL, device);
}

/* ---- what is required ---- */

/* The first of these that a device falls short of makes it unusable. All are what every device of
 * Vulkan 1.1 has. */
static bool limits_hold(vk_candidate *c)
{
    const VkPhysicalDeviceLimits *l = &c->limits;
    const struct {
        const char *name;
        uint64_t found, least;
    } limits[] = {
        {"maxComputeWorkGroupInvocations", l->maxComputeWorkGroupInvocations, 128},
        {"maxComputeWorkGroupSize[0]", l->maxComputeWorkGroupSize[0], 128},
        {"maxComputeSharedMemorySize", l->maxComputeSharedMemorySize, 16384},
        {"maxComputeWorkGroupCount[0]", l->maxComputeWorkGroupCount[0], 65535},
        {"maxComputeWorkGroupCount[1]", l->maxComputeWorkGroupCount[1], 65535},
        {"maxComputeWorkGroupCount[2]", l->maxComputeWorkGroupCount[2], 65535},
        {"maxPushConstantsSize", l->maxPushConstantsSize, PV_VK_PUSH_BYTES},
        {"maxPerStageDescriptorStorageBuffers", l->maxPerStageDescriptorStorageBuffers,
         PV_VK_EVERY_BINDING},
        {"maxStorageBufferRange", l->maxStorageBufferRange, 1u << 27},
        {"maxMemoryAllocationCount", l->maxMemoryAllocationCount, 4096},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (limits[i].found < limits[i].least) {
            snprintf(c->reason, sizeof c->reason, "its %s is %llu, expected at least %llu",
                     limits[i].name, (unsigned long long)limits[i].found,
                     (unsigned long long)limits[i].least);
            return false;
        }
    return true;
}

static uint64_t mask_of(uint32_t bits)
{
    return bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

/* Queues that copy beside those that compute. Two: a copy that waits for a plan's end would hold up
 * the next plan's copy behind it. */
static void find_copies(vk_candidate *c, const VkQueueFamilyProperties *families, uint32_t count)
{
    const VkQueueFlags besides = VK_QUEUE_SPARSE_BINDING_BIT | VK_QUEUE_PROTECTED_BIT;
    for (uint32_t i = 0; i < count && c->info.type == PSGVIT_DEVICE_DISCRETE; i++)
        if (families[i].queueCount >= 2 &&
            (families[i].queueFlags & ~besides) == VK_QUEUE_TRANSFER_BIT) {
            c->copies = true;
            c->copy_family = i;
            return;
        }
}

static bool find_queue(const vk_loader *l, vk_candidate *c)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = sizeof families / sizeof *families;
    l->api.GetPhysicalDeviceQueueFamilyProperties(c->physical, &count, families);
    find_copies(c, families, count);
    for (uint32_t i = 0; i < count; i++)
        if (families[i].queueCount && families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) {
            c->family = i;
            c->clock_mask = mask_of(families[i].timestampValidBits);
            return true;
        }
    snprintf(c->reason, sizeof c->reason, "it has no queue that computes");
    return false;
}

/* ---- description ---- */

static psgvit_device_type type_of(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return PSGVIT_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return PSGVIT_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return PSGVIT_DEVICE_SOFTWARE;
    default: return PSGVIT_DEVICE_VIRTUAL; /* and what doesn't say: never taken by itself */
    }
}

/* The largest of the heaps that are the device's own. */
static uint64_t own_memory(const VkPhysicalDeviceMemoryProperties *memory)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++)
        if (memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT &&
            memory->memoryHeaps[i].size > bytes)
            bytes = memory->memoryHeaps[i].size;
    return bytes;
}

/* What Vulkan 1.0 tells. */
static uint32_t describe_any(const vk_loader *l, vk_candidate *c)
{
    VkPhysicalDeviceProperties p;
    l->api.GetPhysicalDeviceProperties(c->physical, &p);
    l->api.GetPhysicalDeviceMemoryProperties(c->physical, &c->memory);
    c->limits = p.limits;
    c->maker = (vk_maker){p.vendorID, p.deviceID, p.driverVersion, sizeof(void *), {0}};
    memcpy(c->maker.uuid, p.pipelineCacheUUID, sizeof c->maker.uuid);
    snprintf(c->name, sizeof c->name, "%.*s", (int)sizeof p.deviceName, p.deviceName);
    snprintf(c->driver, sizeof c->driver, "driver version %u", p.driverVersion);
    c->info = (psgvit_device_info){.backend = PSGVIT_BACKEND_VULKAN,
                                   .type = type_of(p.deviceType),
                                   .name = c->name,
                                   .driver = c->driver,
                                   .uuid = c->uuid,
                                   .memory_bytes = own_memory(&c->memory),
                                   .reason = c->reason};
    return p.apiVersion;
}

/* What Vulkan 1.1 adds. */
static void describe_more(const vk_loader *l, vk_candidate *c, bool has_driver)
{
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceMaintenance3Properties allocations = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
        .pNext = has_driver ? &driver : NULL};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, .pNext = &allocations};
    VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES,
                                       .pNext = &subgroup};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &id};
    l->api.GetPhysicalDeviceProperties2(c->physical, &all);
    c->max_allocation = allocations.maxMemoryAllocationSize;
    c->features.subgroup = subgroup.subgroupSize;
    const VkSubgroupFeatureFlags both =
        VK_SUBGROUP_FEATURE_VOTE_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    c->features.exchanges = subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT &&
                            (subgroup.supportedOperations & both) == both;
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        snprintf(c->uuid + 2 * i, 3, "%02x", id.deviceUUID[i]);
    if (has_driver)
        snprintf(c->driver, sizeof c->driver, "%.150s %.150s", driver.driverName,
                 driver.driverInfo);
}

static VkResult describe_usable(const vk_loader *l, vk_candidate *c, uint32_t version)
{
    extension_list extensions = {0};
    VkResult result = list_extensions(l, c->physical, &extensions);
    if (result == VK_SUCCESS) {
        describe_more(l, c,
                      version >= VK_API_VERSION_1_2 ||
                          has(&extensions, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME));
        find_unchecked(l, c, &extensions);
        result = find_matrices(l, c, version, &extensions);
    }
    free(extensions.at);
    if (result != VK_SUCCESS) {
        snprintf(c->reason, sizeof c->reason, "asking what it can do failed: %s (%d)",
                 pv_vk_result_name(result), (int)result);
        return result;
    }
    if (limits_hold(c) && find_queue(l, c)) {
        c->info.usable = 1;
        c->info.precisions = 1u << PSGVIT_F32 |
                             (c->features.f16_matrix ? 1u << PSGVIT_F16 : 0) |
                             (c->features.bf16_matrix ? 1u << PSGVIT_BF16 : 0);
    }
    return VK_SUCCESS;
}

psgvit_status pv_vk_describe(const vk_loader *loader, VkPhysicalDevice physical, vk_candidate *out,
                             psgvit_error *err)
{
    *out = (vk_candidate){.physical = physical};
    uint32_t version = describe_any(loader, out);
    if (version < VK_API_VERSION_1_1) {
        snprintf(out->reason, sizeof out->reason, "its driver has Vulkan %u.%u, expected 1.1",
                 VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
        return PSGVIT_OK;
    }
    VkResult result = describe_usable(loader, out, version);
    if (result != VK_SUCCESS && pv_vk_result_status(result) == PSGVIT_E_MEMORY)
        return pv_fail(err, PSGVIT_E_MEMORY, "%s: %s", out->name, out->reason);
    return PSGVIT_OK;
}
