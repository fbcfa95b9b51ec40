/* SPDX-License-Identifier: MIT */
/*
 * The functions of Vulkan that are used, and no others: the loader is opened at run time, so that
 * one binary runs with and without Vulkan.
 */
#ifndef PV_VULKAN_API_H
#define PV_VULKAN_API_H

#include "vulkan/extensions.h"

#define PV_VK_GLOBAL(F)                                                                            \
    F(CreateInstance)                                                                              \
    F(EnumerateInstanceVersion)

#define PV_VK_INSTANCE(F)                                                                          \
    F(DestroyInstance)                                                                             \
    F(EnumeratePhysicalDevices)                                                                    \
    F(EnumerateDeviceExtensionProperties)                                                          \
    F(GetPhysicalDeviceProperties)                                                                 \
    F(GetPhysicalDeviceProperties2)                                                                \
    F(GetPhysicalDeviceFeatures2)                                                                  \
    F(GetPhysicalDeviceMemoryProperties)                                                           \
    F(GetPhysicalDeviceQueueFamilyProperties)                                                      \
    F(CreateDevice)                                                                                \
    F(GetDeviceProcAddr)

#define PV_VK_DEVICE(F)                                                                            \
    F(DestroyDevice)                                                                               \
    F(GetDeviceQueue)                                                                              \
    F(QueueSubmit)                                                                                 \
    F(CreateFence)                                                                                 \
    F(DestroyFence)                                                                                \
    F(ResetFences)                                                                                 \
    F(GetFenceStatus)                                                                              \
    F(WaitForFences)                                                                               \
    F(CreateSemaphore)                                                                             \
    F(DestroySemaphore)                                                                            \
    F(AllocateMemory)                                                                              \
    F(FreeMemory)                                                                                  \
    F(MapMemory)                                                                                   \
    F(CreateBuffer)                                                                                \
    F(DestroyBuffer)                                                                               \
    F(GetBufferMemoryRequirements)                                                                 \
    F(BindBufferMemory)                                                                            \
    F(CreateShaderModule)                                                                          \
    F(DestroyShaderModule)                                                                         \
    F(CreateDescriptorSetLayout)                                                                   \
    F(DestroyDescriptorSetLayout)                                                                  \
    F(CreatePipelineLayout)                                                                        \
    F(DestroyPipelineLayout)                                                                       \
    F(CreatePipelineCache)                                                                         \
    F(DestroyPipelineCache)                                                                        \
    F(GetPipelineCacheData)                                                                        \
    F(CreateComputePipelines)                                                                      \
    F(DestroyPipeline)                                                                             \
    F(CreateDescriptorPool)                                                                        \
    F(DestroyDescriptorPool)                                                                       \
    F(AllocateDescriptorSets)                                                                      \
    F(UpdateDescriptorSets)                                                                        \
    F(CreateCommandPool)                                                                           \
    F(DestroyCommandPool)                                                                          \
    F(AllocateCommandBuffers)                                                                      \
    F(BeginCommandBuffer)                                                                          \
    F(EndCommandBuffer)                                                                            \
    F(CmdBindPipeline)                                                                             \
    F(CmdBindDescriptorSets)                                                                       \
    F(CmdPushConstants)                                                                            \
    F(CmdDispatch)                                                                                 \
    F(CmdPipelineBarrier)                                                                          \
    F(CmdCopyBuffer)                                                                               \
    F(CreateQueryPool)                                                                             \
    F(DestroyQueryPool)                                                                            \
    F(CmdResetQueryPool)                                                                           \
    F(CmdWriteTimestamp)                                                                           \
    F(GetQueryPoolResults)

/* Each by its name without the vk in front. */
typedef struct vk_api {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
#define PV_VK_MEMBER(name) PFN_vk##name name;
    PV_VK_GLOBAL(PV_VK_MEMBER)
    PV_VK_INSTANCE(PV_VK_MEMBER)
    PV_VK_DEVICE(PV_VK_MEMBER)
#undef PV_VK_MEMBER
    /* NULL where no driver has VK_KHR_cooperative_matrix. */
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR
        GetPhysicalDeviceCooperativeMatrixPropertiesKHR;
} vk_api;

#endif
