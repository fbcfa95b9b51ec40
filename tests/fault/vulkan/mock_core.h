/* SPDX-License-Identifier: MIT */
/* What the parts of the mock share: mock.c (controls, instances, physical devices), mock_device.c
 * (logical devices and what belongs to one), mock_memory.c (memory, and what submits make of it),
 * mock_family.c (families of queues) and mock_pipeline.c (shader modules and pipelines). */
#ifndef TESTS_FAULT_VULKAN_MOCK_CORE_H
#define TESTS_FAULT_VULKAN_MOCK_CORE_H

#include "fault/vulkan/mock.h"
#include "vulkan/api.h"

/* The real functions. */
extern vk_api mock_real;

/* A physical device as it is presented. */
typedef struct mock_physical {
    VkPhysicalDevice real;
    mock_device as; /* all zeros: as it is */
} mock_physical;

/* Is this call, of a function with these legal errors, the one that fails? */
bool mock_fails(const char *function, const VkResult *legal, unsigned count, VkResult *result);
#define MOCK_MAY_FAIL(function, ...)                                                               \
    do {                                                                                           \
        static const VkResult legal_[] = {__VA_ARGS__};                                            \
        VkResult failure_;                                                                         \
        if (mock_fails("vk" #function, legal_, sizeof legal_ / sizeof *legal_, &failure_))         \
            return failure_;                                                                       \
    } while (0)

#define MOCK_MEMORY_ERRORS VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY

/* Notes a fault. */
void mock_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Objects that are alive: each by its handle. */
typedef enum mock_type {
    MOCK_INSTANCE, MOCK_DEVICE, MOCK_FENCE, MOCK_SEMAPHORE, MOCK_MEMORY, MOCK_BUFFER,
    MOCK_SHADER_MODULE, MOCK_SET_LAYOUT, MOCK_PIPELINE_LAYOUT, MOCK_PIPELINE_CACHE, MOCK_PIPELINE,
    MOCK_DESCRIPTOR_POOL, MOCK_COMMAND_POOL, MOCK_QUERY_POOL, MOCK_TYPES,
} mock_type;
extern const char *const mock_type_names[MOCK_TYPES];
/* `parent`: the device, or NULL. */
void mock_born(mock_type type, uint64_t handle, const void *parent);
/* False, which is a fault, if there is no such object. */
bool mock_died(mock_type type, uint64_t handle);
/* A parent goes: its objects that are alive are a fault, and forgotten. */
void mock_orphans(const void *parent);
/* Objects of a type that are alive. */
size_t mock_alive(mock_type type);

enum { MOCK_COPY_FAMILY = 1 }; /* behind the real one; what is submitted goes there */

bool mock_keeps(void);
VkResult mock_create_device(const mock_physical *physical, const VkDeviceCreateInfo *info,
                            VkDevice *device);
/* Ends what is kept. */
void mock_end_kept(void);
void mock_end_kept_pipelines(VkDevice device);

/* A logical device that is alive. */
typedef struct mock_state {
    VkDevice device; /* NULL: a free place */
    VkQueue queue;
    char copy_queues[2]; /* handles of queues that aren't there are their addresses */
    mock_device as;
    long submits, timeouts;
    bool lost;
} mock_state;
mock_state *mock_state_of(VkDevice device);
/* Does this device, a handle, hang? What it may use must stay. */
bool mock_hangs(const void *device);
bool mock_strict(void); /* is one alive that allows the least? */

/* Functions of the mock by name; NULL: none. */
PFN_vkVoidFunction mock_pipeline_function(const char *name);
PFN_vkVoidFunction mock_device_function(const char *name);
PFN_vkVoidFunction mock_memory_function(const char *name);
PFN_vkVoidFunction mock_family_function(const char *name);
bool mock_copies_only(VkCommandBuffer commands); /* is it of the family that does? */
long mock_submits(void);
long mock_under_way(void);
long mock_most_under_way(void);
size_t mock_cache_bytes(void);
void mock_limit_memory(uint64_t bytes);
uint64_t mock_allocated(void);
/* A device that computes wrong. */
void mock_spoil(const mock_state *d);

/* The history of the device (mock_memory.c): it begins with it, ends when a call fails, and all of
 * its numbers are forgotten when what is kept is. */
void mock_history_begin(void);
void mock_history_end(void);
void mock_history_forget(void);
/* Two facts that decide what submits make. */
void mock_history_note(uint64_t a, uint64_t b);
/* All of the facts until now are those of these commands. */
void mock_history_recorded(VkCommandBuffer commands);
/* Round a submit. True: what it makes was known, and has been copied. */
bool mock_history_submit(uint32_t count, const VkSubmitInfo *infos);
void mock_history_submitted(void);
/* Invents times if the last submit was one that was copied. */
bool mock_history_times(uint64_t *times, size_t count);

#endif
