/* SPDX-License-Identifier: MIT */
/*
 * Vulkan's loader, opened at run time, and an instance of its own for each device: a build runs on
 * machines without Vulkan, and nothing is shared by the process.
 */
#include "vulkan/vulkan.h"

#include <dlfcn.h>
#include <string.h>

#define LIBRARY "libvulkan.so.1"

const char *pv_vk_result_name(VkResult result)
{
    switch (result) {
    case VK_SUCCESS: return "VK_SUCCESS";
    case VK_NOT_READY: return "VK_NOT_READY";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_INCOMPLETE: return "VK_INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_FRAGMENTED_POOL: return "VK_ERROR_FRAGMENTED_POOL";
    case VK_ERROR_UNKNOWN: return "VK_ERROR_UNKNOWN";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "VK_ERROR_OUT_OF_POOL_MEMORY";
    case VK_ERROR_FRAGMENTATION: return "VK_ERROR_FRAGMENTATION";
    default: return "an unknown VkResult";
    }
}

psgvit_status pv_vk_result_status(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTED_POOL:
    case VK_ERROR_FRAGMENTATION:
    case VK_ERROR_MEMORY_MAP_FAILED:
    case VK_ERROR_TOO_MANY_OBJECTS: /* allocations; every device allows 4096 */
        return PSGVIT_E_MEMORY;
    default: return PSGVIT_E_DEVICE;
    }
}

/* C has no conversion from an object pointer, which dlsym gives, to a function pointer. */
static PFN_vkGetInstanceProcAddr find_start(void *library)
{
    PFN_vkGetInstanceProcAddr start = NULL;
    void *symbol = dlsym(library, "vkGetInstanceProcAddr");
    memcpy(&start, &symbol, sizeof start);
    return start;
}

static psgvit_status find_global(vk_api *api, psgvit_error *err)
{
#define FIND(name)                                                                                 \
    api->name = (PFN_vk##name)api->GetInstanceProcAddr(NULL, "vk" #name);                          \
    if (!api->name)                                                                                \
        return pv_fail(err, PSGVIT_E_DEVICE,                                                       \
                       "backend vulkan: " LIBRARY " has no vk" #name ", which Vulkan 1.1 has");
    PV_VK_GLOBAL(FIND)
#undef FIND
    return PSGVIT_OK;
}

static psgvit_status find_instance(vk_loader *loader, psgvit_error *err)
{
#define FIND(name)                                                                                 \
    loader->api.name =                                                                             \
        (PFN_vk##name)loader->api.GetInstanceProcAddr(loader->instance, "vk" #name);               \
    if (!loader->api.name)                                                                         \
        return pv_fail(err, PSGVIT_E_DEVICE,                                                       \
                       "backend vulkan: " LIBRARY " has no vk" #name ", which Vulkan 1.1 has");
    PV_VK_INSTANCE(FIND)
#undef FIND
    /* Of an extension: NULL where no driver has it. */
    loader->api.GetPhysicalDeviceCooperativeMatrixPropertiesKHR =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)loader->api.GetInstanceProcAddr(
            loader->instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    return PSGVIT_OK;
}

static psgvit_status make_instance(vk_loader *loader, psgvit_error *err)
{
    uint32_t version = 0;
    VkResult result = loader->api.EnumerateInstanceVersion(&version);
    if (result == VK_SUCCESS && version < VK_API_VERSION_1_1)
        return pv_fail(err, PSGVIT_E_DEVICE,
                       "backend vulkan: " LIBRARY " is of Vulkan %u.%u, expected 1.1 or later",
                       VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    /* 1.3 is the most that is ever used; devices from 1.1 on are taken. */
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .pEngineName = "libpsgvit",
                                     .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &application};
    if (result == VK_SUCCESS)
        result = loader->api.CreateInstance(&info, NULL, &loader->instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        return pv_fail(err, PSGVIT_E_DEVICE,
                       "backend vulkan: " LIBRARY " has found no driver (%s)",
                       pv_vk_result_name(result));
    if (result != VK_SUCCESS) {
        loader->instance = VK_NULL_HANDLE;
        return pv_fail(err, pv_vk_result_status(result),
                       "backend vulkan: creating an instance failed: %s (%d)",
                       pv_vk_result_name(result), (int)result);
    }
    return PSGVIT_OK;
}

static psgvit_status open_library(vk_loader *loader, psgvit_error *err)
{
    loader->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!loader->library) {
        const char *why = dlerror();
        return pv_fail(err, PSGVIT_E_DEVICE, "backend vulkan: there is no Vulkan loader: %s",
                       why ? why : LIBRARY);
    }
    loader->api.GetInstanceProcAddr = find_start(loader->library);
    if (!loader->api.GetInstanceProcAddr)
        return pv_fail(err, PSGVIT_E_DEVICE,
                       "backend vulkan: " LIBRARY " has no vkGetInstanceProcAddr");
    PV_TRY(find_global(&loader->api, err));
    PV_TRY(make_instance(loader, err));
    return find_instance(loader, err);
}

psgvit_status pv_vk_loader_open(vk_loader *loader, psgvit_error *err)
{
    *loader = (vk_loader){0};
    psgvit_status status = open_library(loader, err);
    if (status)
        pv_vk_loader_close(loader);
    return status;
}

void pv_vk_loader_close(vk_loader *loader)
{
    if (loader->instance && loader->api.DestroyInstance && !loader->stays)
        loader->api.DestroyInstance(loader->instance, NULL);
    if (loader->library && !loader->stays)
        (void)dlclose(loader->library);
    *loader = (vk_loader){0};
}
