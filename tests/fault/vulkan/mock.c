/* SPDX-License-Identifier: MIT */
/* The mock's controls, its instances and its physical devices. */
#define _DEFAULT_SOURCE
#include "fault/vulkan/mock_core.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

enum { DEVICES = 16, OBJECTS = 4096 };

vk_api mock_real;
const char *const mock_type_names[MOCK_TYPES] = {
    "instance", "device", "fence", "semaphore", "memory", "buffer", "shader module",
    "descriptor set layout", "pipeline layout", "pipeline cache", "pipeline",
    "descriptor pool", "command pool", "query pool",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    long calls, at;
    unsigned which, errors;
    const char *only, *failed;
    VkResult error;
} injection;
static char fault[512];
static struct {
    mock_type type;
    uint64_t handle;
    const void *parent;
} objects[OBJECTS];
static size_t object_count;
static uint64_t left[OBJECTS]; /* to devices that hang; here a leak checker sees them */
static size_t left_count;
static const mock_device *shown;
static size_t shown_count;
static uint32_t version;
static bool keeping;
static VkInstance kept;
static mock_physical physicals[DEVICES];
static uint32_t physical_count;

/* ---- failures ---- */

bool mock_fails(const char *function, const VkResult *legal, unsigned count, VkResult *result)
{
    pthread_mutex_lock(&lock);
    bool counts = !injection.only || !strcmp(function, injection.only);
    bool yes = counts && ++injection.calls == injection.at;
    if (yes) {
        injection.failed = function;
        injection.errors = count;
        injection.error = *result = legal[injection.which % count];
        mock_history_end();
    }
    pthread_mutex_unlock(&lock);
    return yes;
}

static void arm(long n, unsigned which, const char *only)
{
    pthread_mutex_lock(&lock);
    memset(&injection, 0, sizeof injection);
    injection.at = n;
    injection.which = which;
    injection.only = only;
    pthread_mutex_unlock(&lock);
}

static const char *failed(void)
{
    return injection.failed;
}

static const char *disarm(void)
{
    injection.at = 0;
    return injection.failed;
}

static long calls(void)
{
    return injection.calls;
}

static VkResult error(void)
{
    return injection.error;
}

static unsigned errors(void)
{
    return injection.errors;
}

void mock_fault(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&lock);
    if (!fault[0])
        vsnprintf(fault, sizeof fault, format, args);
    pthread_mutex_unlock(&lock);
    va_end(args);
}

/* ---- objects ---- */

void mock_born(mock_type type, uint64_t handle, const void *parent)
{
    pthread_mutex_lock(&lock);
    bool room = object_count < OBJECTS;
    if (room) {
        objects[object_count].type = type;
        objects[object_count].handle = handle;
        objects[object_count++].parent = parent;
    }
    pthread_mutex_unlock(&lock);
    if (!room)
        mock_fault("more than %d objects", OBJECTS);
}

bool mock_died(mock_type type, uint64_t handle)
{
    size_t i = 0;
    pthread_mutex_lock(&lock);
    while (i < object_count && (objects[i].type != type || objects[i].handle != handle))
        i++;
    bool found = i < object_count;
    const void *device =
        found && type == MOCK_DEVICE ? (void *)(uintptr_t)handle : found ? objects[i].parent : NULL;
    if (found)
        objects[i] = objects[--object_count];
    pthread_mutex_unlock(&lock);
    if (mock_hangs(device) && type != MOCK_SHADER_MODULE && type != MOCK_PIPELINE_CACHE)
        mock_fault("a %s was destroyed that a device may use", mock_type_names[type]);
    if (!found)
        mock_fault("a %s that doesn't exist was destroyed", mock_type_names[type]);
    return found;
}

void mock_orphans(const void *parent)
{
    mock_type type = MOCK_TYPES;
    pthread_mutex_lock(&lock);
    for (size_t i = object_count; i-- > 0;)
        if (objects[i].parent == parent) {
            type = objects[i].type;
            objects[i] = objects[--object_count];
        }
    pthread_mutex_unlock(&lock);
    if (type != MOCK_TYPES)
        mock_fault("a %s outlived its device", mock_type_names[type]);
}

size_t mock_alive(mock_type type)
{
    size_t count = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < object_count; i++)
        count += objects[i].type == type;
    pthread_mutex_unlock(&lock);
    return count;
}

static size_t leave(void)
{
    size_t before = object_count;
    bool hung = false;
    pthread_mutex_lock(&lock);
    for (size_t i = object_count; i-- > 0;)
        if (mock_hangs(objects[i].parent) || (hung && objects[i].type == MOCK_INSTANCE) ||
            (objects[i].type == MOCK_DEVICE && mock_hangs((void *)(uintptr_t)objects[i].handle))) {
            hung = true;
            left[left_count++] = objects[i].handle;
            objects[i] = objects[--object_count];
        }
    pthread_mutex_unlock(&lock);
    return before - object_count;
}

static const char *take_fault(bool closed)
{
    static char taken[512];
    if (closed && object_count)
        mock_fault("%zu objects are alive, such as a %s", object_count,
                   mock_type_names[objects[0].type]);
    memcpy(taken, fault, sizeof taken);
    fault[0] = '\0';
    return taken[0] ? taken : NULL;
}

/* ---- the rest of the controls ---- */

static void present(const mock_device *devices, size_t count)
{
    shown = devices;
    shown_count = count;
}

bool mock_keeps(void)
{
    return keeping;
}

static void keep(bool on)
{
    keeping = on;
    if (on || !kept)
        return;
    mock_end_kept();
    mock_real.DestroyInstance(kept, NULL);
    kept = NULL;
}

static void loader_version(uint32_t v)
{
    version = v;
}

EXPORTED const mock_controls *mock_controls_get(void);
const mock_controls *mock_controls_get(void)
{
    static const mock_controls controls = {
        .present = present,
        .keep = keep,
        .arm = arm,
        .failed = failed,
        .disarm = disarm,
        .calls = calls,
        .error = error,
        .errors = errors,
        .loader_version = loader_version,
        .fault = take_fault,
        .leave = leave,
        .memory = mock_limit_memory,
        .allocated = mock_allocated,
        .submits = mock_submits,
        .under_way = mock_under_way,
        .most_under_way = mock_most_under_way,
        .cache_bytes = mock_cache_bytes,
    };
    return &controls;
}

/* ---- instances ---- */

static VkResult VKAPI_CALL enumerate_instance_version(uint32_t *found)
{
    MOCK_MAY_FAIL(EnumerateInstanceVersion, VK_ERROR_OUT_OF_HOST_MEMORY);
    if (!version)
        return mock_real.EnumerateInstanceVersion(found);
    *found = version;
    return VK_SUCCESS;
}

static VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info,
                                           const VkAllocationCallbacks *allocation,
                                           VkInstance *instance)
{
    MOCK_MAY_FAIL(CreateInstance, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                  VK_ERROR_INITIALIZATION_FAILED, VK_ERROR_LAYER_NOT_PRESENT,
                  VK_ERROR_EXTENSION_NOT_PRESENT, VK_ERROR_INCOMPATIBLE_DRIVER);
    *instance = keeping ? kept : NULL;
    VkResult result =
        *instance ? VK_SUCCESS : mock_real.CreateInstance(info, allocation, instance);
    if (result == VK_SUCCESS)
        mock_born(MOCK_INSTANCE, (uint64_t)(uintptr_t)*instance, NULL);
    if (result == VK_SUCCESS && keeping)
        kept = *instance;
    return result;
}

static void VKAPI_CALL destroy_instance(VkInstance instance,
                                        const VkAllocationCallbacks *allocation)
{
    if (!instance || !mock_died(MOCK_INSTANCE, (uint64_t)(uintptr_t)instance))
        return;
    if (mock_alive(MOCK_DEVICE) > mock_alive(MOCK_INSTANCE))
        mock_fault("a device outlived its instance");
    if (instance != kept)
        mock_real.DestroyInstance(instance, allocation);
}

/* ---- physical devices ---- */

static const mock_physical *of(VkPhysicalDevice handle)
{
    return (const mock_physical *)(uintptr_t)handle;
}

static VkResult VKAPI_CALL enumerate_physical_devices(VkInstance instance, uint32_t *count,
                                                      VkPhysicalDevice *devices)
{
    VkPhysicalDevice real[DEVICES];
    uint32_t found = DEVICES;
    MOCK_MAY_FAIL(EnumeratePhysicalDevices, VK_ERROR_OUT_OF_HOST_MEMORY,
                  VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_INITIALIZATION_FAILED);
    VkResult result = mock_real.EnumeratePhysicalDevices(instance, &found, real);
    if (result < 0 || !found)
        return result;
    pthread_mutex_lock(&lock);
    physical_count = shown ? (uint32_t)shown_count : found;
    for (uint32_t i = 0; i < physical_count; i++) {
        physicals[i].real = real[shown ? 0 : i];
        physicals[i].as = shown ? shown[i] : (mock_device){0};
    }
    uint32_t room = devices ? *count : 0;
    for (uint32_t i = 0; i < room && i < physical_count; i++)
        devices[i] = (VkPhysicalDevice)(uintptr_t)&physicals[i];
    *count = devices && room < physical_count ? room : physical_count;
    pthread_mutex_unlock(&lock);
    return devices && room < physical_count ? VK_INCOMPLETE : VK_SUCCESS;
}

/* What Vulkan 1.1 allows at the least, of what the library may use. */
static void least_limits(VkPhysicalDeviceLimits *l)
{
    l->maxComputeWorkGroupInvocations = 128;
    l->maxComputeWorkGroupSize[0] = l->maxComputeWorkGroupSize[1] = 128;
    l->maxComputeWorkGroupSize[2] = 64;
    for (int i = 0; i < 3; i++)
        l->maxComputeWorkGroupCount[i] = 65535;
    l->maxComputeSharedMemorySize = 16384;
    l->maxPushConstantsSize = 128;
    l->maxPerStageDescriptorStorageBuffers = 4;
    l->maxPerStageResources = 128;
    l->maxDescriptorSetStorageBuffers = 24;
    l->maxStorageBufferRange = 1u << 27;
    l->minStorageBufferOffsetAlignment = 256;
    l->maxMemoryAllocationCount = 4096;
    l->nonCoherentAtomSize = 256;
    l->timestampComputeAndGraphics = VK_FALSE;
    l->timestampPeriod = 0.0f;
}

static void disguise(const mock_device *as, VkPhysicalDeviceProperties *p)
{
    if (!as->name)
        return;
    snprintf(p->deviceName, sizeof p->deviceName, "%s", as->name);
    p->deviceType = as->type;
    p->apiVersion = as->version ? as->version : p->apiVersion;
    p->vendorID = as->vendor ? as->vendor : p->vendorID;
    if (as->limits != MOCK_LIMITS_REAL)
        least_limits(&p->limits);
    if (as->limits == MOCK_LIMITS_BELOW)
        p->limits.maxComputeSharedMemorySize = 8192;
    if (as->group)
        p->limits.maxComputeWorkGroupSize[0] = as->group;
}

static void VKAPI_CALL get_properties(VkPhysicalDevice device, VkPhysicalDeviceProperties *p)
{
    mock_real.GetPhysicalDeviceProperties(of(device)->real, p);
    disguise(&of(device)->as, p);
}

static void set_subgroup(VkBaseOutStructure *s, uint32_t threads)
{
    VkPhysicalDeviceSubgroupSizeControlProperties *sizes = (void *)s;
    VkPhysicalDeviceSubgroupProperties *subgroup = (void *)s;
    if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES) {
        subgroup->subgroupSize = threads;
        subgroup->supportedOperations |=
            VK_SUBGROUP_FEATURE_VOTE_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    }
    if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES)
        sizes->minSubgroupSize = sizes->maxSubgroupSize = threads;
}

static void VKAPI_CALL get_properties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *p)
{
    const mock_device *as = &of(device)->as;
    if (as->version && as->version < VK_API_VERSION_1_1)
        mock_fault("vkGetPhysicalDeviceProperties2 of a device of Vulkan 1.0");
    mock_real.GetPhysicalDeviceProperties2(of(device)->real, p);
    disguise(as, &p->properties);
    for (VkBaseOutStructure *s = p->pNext; s && as->name; s = s->pNext) {
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES)
            memset(((VkPhysicalDeviceIDProperties *)s)->deviceUUID, as->uuid, VK_UUID_SIZE);
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES &&
            as->limits != MOCK_LIMITS_REAL)
            ((VkPhysicalDeviceMaintenance3Properties *)s)->maxMemoryAllocationSize = 1u << 30;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES &&
            as->limits != MOCK_LIMITS_REAL)
            ((VkPhysicalDeviceSubgroupProperties *)s)->subgroupSize = 1;
        if (as->subgroup)
            set_subgroup(s, as->subgroup);
    }
}

static void VKAPI_CALL get_features2(VkPhysicalDevice device, VkPhysicalDeviceFeatures2 *f)
{
    const mock_device *as = &of(device)->as;
    mock_real.GetPhysicalDeviceFeatures2(of(device)->real, f);
    for (VkBaseOutStructure *s = f->pNext; s; s = s->pNext)
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT)
            ((VkPhysicalDevicePipelineRobustnessFeaturesEXT *)s)->pipelineRobustness =
                as->unchecked;
    for (VkBaseOutStructure *s = f->pNext; s && as->matrices; s = s->pNext) {
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES)
            ((VkPhysicalDeviceShaderFloat16Int8Features *)s)->shaderFloat16 = VK_TRUE;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES)
            ((VkPhysicalDeviceVulkanMemoryModelFeatures *)s)->vulkanMemoryModel = VK_TRUE;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR)
            ((VkPhysicalDeviceCooperativeMatrixFeaturesKHR *)s)->cooperativeMatrix = VK_TRUE;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR) {
            VkPhysicalDeviceShaderBfloat16FeaturesKHR *b = (void *)s;
            b->shaderBFloat16Type = b->shaderBFloat16CooperativeMatrix = VK_TRUE;
        }
    }
}

static void VKAPI_CALL get_memory(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties *m)
{
    mock_real.GetPhysicalDeviceMemoryProperties(of(device)->real, m);
    for (uint32_t i = 0; i < m->memoryHeapCount && of(device)->as.memory; i++)
        m->memoryHeaps[i].size = of(device)->as.memory;
}

static void VKAPI_CALL get_queue_families(VkPhysicalDevice device, uint32_t *count,
                                          VkQueueFamilyProperties *families)
{
    const mock_device *as = &of(device)->as;
    const uint32_t room = *count;
    mock_real.GetPhysicalDeviceQueueFamilyProperties(of(device)->real, count, families);
    for (uint32_t i = 0; families && i < *count; i++) {
        if (as->no_queue)
            families[i].queueFlags &= ~(VkQueueFlags)VK_QUEUE_COMPUTE_BIT;
        if (as->limits != MOCK_LIMITS_REAL)
            families[i].timestampValidBits = 0;
        if (as->clock_bits)
            families[i].timestampValidBits = as->clock_bits;
    }
    if (families && as->copies && *count == MOCK_COPY_FAMILY && room > *count)
        families[(*count)++] = (VkQueueFamilyProperties){
            .queueFlags = VK_QUEUE_TRANSFER_BIT | VK_QUEUE_SPARSE_BINDING_BIT,
            .queueCount = as->copies};
}

static VkResult VKAPI_CALL enumerate_extensions(VkPhysicalDevice device, const char *layer,
                                                uint32_t *count, VkExtensionProperties *list)
{
    static const VkExtensionProperties all[] = {{VK_EXT_PIPELINE_ROBUSTNESS_EXTENSION_NAME, 1},
                                                {VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, 2},
                                                {VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME, 1}};
    const mock_device *as = &of(device)->as;
    const VkExtensionProperties *more = as->unchecked ? all : all + 1;
    const uint32_t extra = (as->unchecked ? 1u : 0u) + (as->matrices ? 2u : 0u);
    MOCK_MAY_FAIL(EnumerateDeviceExtensionProperties, VK_ERROR_OUT_OF_HOST_MEMORY,
                  VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_LAYER_NOT_PRESENT);
    uint32_t room = list && *count >= extra ? *count - extra : 0;
    VkResult result =
        mock_real.EnumerateDeviceExtensionProperties(of(device)->real, layer, &room, list);
    if (list && result == VK_SUCCESS)
        memcpy(list + room, more, extra * sizeof *more);
    *count = room + extra;
    return result;
}

static VkResult VKAPI_CALL get_matrix_shapes(VkPhysicalDevice device, uint32_t *count,
                                             VkCooperativeMatrixPropertiesKHR *shapes)
{
    static const VkComponentTypeKHR types[] = {VK_COMPONENT_TYPE_FLOAT16_KHR,
                                               VK_COMPONENT_TYPE_BFLOAT16_KHR};
    (void)device;
    MOCK_MAY_FAIL(GetPhysicalDeviceCooperativeMatrixPropertiesKHR, VK_ERROR_OUT_OF_HOST_MEMORY,
                  VK_ERROR_OUT_OF_DEVICE_MEMORY);
    for (uint32_t i = 0; shapes && i < *count && i < 2; i++) {
        shapes[i].MSize = shapes[i].NSize = shapes[i].KSize = 16;
        shapes[i].AType = shapes[i].BType = types[i];
        shapes[i].CType = shapes[i].ResultType = VK_COMPONENT_TYPE_FLOAT32_KHR;
        shapes[i].saturatingAccumulation = VK_FALSE;
        shapes[i].scope = VK_SCOPE_SUBGROUP_KHR;
    }
    *count = 2;
    return VK_SUCCESS;
}

static VkResult VKAPI_CALL create_device(VkPhysicalDevice device, const VkDeviceCreateInfo *info,
                                         const VkAllocationCallbacks *allocation, VkDevice *out)
{
    (void)allocation;
    MOCK_MAY_FAIL(CreateDevice, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                  VK_ERROR_INITIALIZATION_FAILED, VK_ERROR_EXTENSION_NOT_PRESENT,
                  VK_ERROR_FEATURE_NOT_PRESENT, VK_ERROR_TOO_MANY_OBJECTS, VK_ERROR_DEVICE_LOST);
    return mock_create_device(of(device), info, out);
}

/* ---- functions by name ---- */

static PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice device, const char *name)
{
    (void)device;
    return mock_device_function(name);
}

static void load(void)
{
    void *library = dlopen(REAL_LOADER, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        fprintf(stderr, "mock: %s\n", dlerror());
        abort();
    }
#define FIND(name) *(void **)&mock_real.name = dlsym(library, "vk" #name);
    PV_VK_GLOBAL(FIND)
    PV_VK_INSTANCE(FIND)
    PV_VK_DEVICE(FIND)
#undef FIND
}

EXPORTED PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name);
PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } table[] = {
#define ENTRY(name, function) {"vk" #name, (PFN_vkVoidFunction)function}
        ENTRY(CreateInstance, create_instance),
        ENTRY(EnumerateInstanceVersion, enumerate_instance_version),
        ENTRY(DestroyInstance, destroy_instance),
        ENTRY(EnumeratePhysicalDevices, enumerate_physical_devices),
        ENTRY(EnumerateDeviceExtensionProperties, enumerate_extensions),
        ENTRY(GetPhysicalDeviceProperties, get_properties),
        ENTRY(GetPhysicalDeviceProperties2, get_properties2),
        ENTRY(GetPhysicalDeviceFeatures2, get_features2),
        ENTRY(GetPhysicalDeviceMemoryProperties, get_memory),
        ENTRY(GetPhysicalDeviceQueueFamilyProperties, get_queue_families),
        ENTRY(CreateDevice, create_device),
        ENTRY(GetDeviceProcAddr, get_device_function),
        ENTRY(GetPhysicalDeviceCooperativeMatrixPropertiesKHR, get_matrix_shapes),
#undef ENTRY
    };
    (void)instance;
    pthread_once(&once, load);
    if (version == VK_API_VERSION_1_0 && !strcmp(name, "vkEnumerateInstanceVersion"))
        return NULL;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].function;
    return NULL;
}
