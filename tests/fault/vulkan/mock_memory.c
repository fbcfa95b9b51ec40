/* SPDX-License-Identifier: MIT */
/*
 * The mock's memory, and what submits make of it. A round of a test does what the round before did
 * until its call fails, and a driver for the CPU takes its time for that. So where devices are
 * kept, all that decides what a submit makes is put into one number, the history of the device:
 * sizes of memory, commands, pipelines, and what the host has written. At a history that was there
 * before, the submit's changes are copied instead. A device for which a call has failed has no
 * history any more: what becomes of it is computed.
 */
#include "fault/vulkan/mock_core.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORIES = 1024, KNOWN = 1024, COMMANDS = 256, FRESH = 0xA5 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t allocated, most_allocated;
static struct {
    VkDevice device;
    VkDeviceMemory memory;
    uint64_t bytes;
    uint64_t *all;    /* [bytes / 8] */
    uint64_t *before; /* a submit that is computed; NULL: there is none */
    float *mapped;    /* by the library */
} memories[MEMORIES];

static uint64_t history; /* 0: none */
static uint64_t submitting;
static bool copied; /* the last submit was; so no time was taken */
static struct {
    VkCommandBuffer commands;
    uint64_t history;
} recorded[COMMANDS];
/* What a submit changed: of each part its memory, its first word, their number, and they. */
static struct {
    uint64_t history;
    uint64_t *parts;
    size_t words;
} known[KNOWN];
static size_t known_count, recorded_next;

void mock_limit_memory(uint64_t bytes)
{
    most_allocated = bytes;
}

uint64_t mock_allocated(void)
{
    return allocated;
}

void mock_spoil(const mock_state *d)
{
    for (size_t i = 0; i < MEMORIES; i++)
        if (memories[i].memory && memories[i].device == d->device && memories[i].mapped)
            memories[i].mapped[4] += d->as.error;
}

/* ---- history ---- */

static uint64_t mixed(uint64_t h, uint64_t word)
{
    h = h * 0x9E3779B97F4A7C15u + word; /* which may be h */
    return h ^ h >> 29;
}

void mock_history_begin(void)
{
    history = mock_keeps() ? 1 : 0;
    copied = false;
}

void mock_history_end(void)
{
    history = 0;
}

void mock_history_note(uint64_t a, uint64_t b)
{
    if (history)
        history = mixed(mixed(history, a), b) | 1;
}

void mock_history_recorded(VkCommandBuffer commands)
{
    size_t i = 0;
    while (i < COMMANDS && recorded[i].commands != commands)
        i++;
    if (i == COMMANDS)
        i = recorded_next++ % COMMANDS;
    recorded[i].commands = commands;
    recorded[i].history = history;
}

/* Commands, and all that the host has written or may have. */
static void note_submit(uint32_t count, const VkSubmitInfo *infos)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < infos[i].commandBufferCount; k++)
            for (size_t r = 0; r < COMMANDS; r++)
                if (recorded[r].commands == infos[i].pCommandBuffers[k])
                    mock_history_note(recorded[r].history, k);
    for (size_t m = 0; history && m < MEMORIES; m++) {
        if (!memories[m].memory || !memories[m].mapped)
            continue;
        uint64_t h[4] = {m, m, m, m};
        const uint64_t words = memories[m].bytes / 8, *at = memories[m].all;
        for (uint64_t i = 0; i + 4 <= words; i += 4)
            for (uint64_t k = 0; k < 4; k++)
                h[k] = mixed(h[k], at[i + k]);
        mock_history_note(h[0], h[1]);
        mock_history_note(h[2], h[3]);
    }
}

static void copy_changes(const uint64_t *parts, size_t words)
{
    for (size_t i = 0; i < words; i += 3 + parts[i + 2]) {
        const uint64_t *part = parts + i;
        memcpy(memories[part[0]].all + part[1], part + 3, part[2] * sizeof *part);
    }
}

bool mock_history_submit(uint32_t count, const VkSubmitInfo *infos)
{
    note_submit(count, infos);
    submitting = history;
    copied = false;
    for (size_t i = 0; history && i < known_count && !copied; i++)
        if (known[i].history == history) {
            copy_changes(known[i].parts, known[i].words);
            copied = true;
        }
    for (size_t m = 0; history && !copied && known_count < KNOWN && m < MEMORIES; m++)
        if (memories[m].memory) {
            memories[m].before = malloc(memories[m].bytes);
            if (!memories[m].before)
                abort();
            memcpy(memories[m].before, memories[m].all, memories[m].bytes);
        }
    return copied;
}

/* Writes the parts of a memory that have changed, unless `parts` is NULL. Returns their words. */
static size_t list_changes(size_t m, uint64_t *parts)
{
    const uint64_t words = memories[m].bytes / 8, *before = memories[m].before,
                   *now = memories[m].all;
    size_t used = 0;
    for (uint64_t i = 0; i < words;) {
        while (i < words && before[i] == now[i])
            i++;
        const uint64_t first = i;
        while (i < words && before[i] != now[i])
            i++;
        if (i == first)
            break;
        if (parts) {
            const uint64_t head[3] = {m, first, i - first};
            memcpy(parts + used, head, sizeof head);
            memcpy(parts + used + 3, now + first, (i - first) * sizeof *now);
        }
        used += 3 + (i - first);
    }
    return used;
}

void mock_history_submitted(void)
{
    size_t words = 0, used = 0;
    for (size_t m = 0; m < MEMORIES; m++)
        words += memories[m].before ? list_changes(m, NULL) : 0;
    uint64_t *parts = history && !copied && known_count < KNOWN ? malloc(words * 8 + 8) : NULL;
    for (size_t m = 0; m < MEMORIES; m++) {
        if (memories[m].before && parts)
            used += list_changes(m, parts + used);
        free(memories[m].before);
        memories[m].before = NULL;
    }
    if (!parts)
        return;
    known[known_count].history = submitting;
    known[known_count].parts = parts;
    known[known_count++].words = words;
}

bool mock_history_times(uint64_t *times, size_t count)
{
    static uint64_t clock;
    for (size_t i = 0; copied && i < count; i++)
        times[i] = clock += 1000;
    return copied;
}

void mock_history_forget(void)
{
    while (known_count)
        free(known[--known_count].parts);
    history = 0;
}

/* ---- memory ---- */

static size_t place_of(VkDeviceMemory memory)
{
    size_t i = 0;
    while (i < MEMORIES && memories[i].memory != memory)
        i++;
    if (i == MEMORIES)
        abort();
    return i;
}

static VkResult VKAPI_CALL allocate_memory(VkDevice device, const VkMemoryAllocateInfo *info,
                                           const VkAllocationCallbacks *allocation,
                                           VkDeviceMemory *memory)
{
    void *all = NULL;
    MOCK_MAY_FAIL(AllocateMemory, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                  VK_ERROR_TOO_MANY_OBJECTS);
    if (mock_strict() && info->allocationSize > 1u << 30)
        mock_fault("an allocation of %llu bytes", (unsigned long long)info->allocationSize);
    if (most_allocated && allocated + info->allocationSize > most_allocated)
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkResult result = mock_real.AllocateMemory(device, info, allocation, memory);
    if (result != VK_SUCCESS)
        return result;
    if (mock_real.MapMemory(device, *memory, 0, VK_WHOLE_SIZE, 0, &all) != VK_SUCCESS ||
        info->allocationSize % 8)
        abort(); /* lavapipe has no memory that the host can't see */
    if (mock_keeps())
        memset(all, FRESH, info->allocationSize);
    mock_history_note(info->allocationSize, info->memoryTypeIndex);
    mock_born(MOCK_MEMORY, (uint64_t)*memory, device);
    pthread_mutex_lock(&lock);
    size_t i = place_of(VK_NULL_HANDLE);
    memories[i].device = device;
    memories[i].memory = *memory;
    memories[i].bytes = info->allocationSize;
    memories[i].all = all;
    memories[i].mapped = NULL;
    allocated += info->allocationSize;
    pthread_mutex_unlock(&lock);
    return VK_SUCCESS;
}

static void VKAPI_CALL free_memory(VkDevice device, VkDeviceMemory memory,
                                   const VkAllocationCallbacks *allocation)
{
    if (!memory || !mock_died(MOCK_MEMORY, (uint64_t)memory))
        return;
    pthread_mutex_lock(&lock);
    size_t i = place_of(memory);
    mock_history_note(i, memories[i].bytes);
    memories[i].memory = VK_NULL_HANDLE;
    allocated -= memories[i].bytes;
    pthread_mutex_unlock(&lock);
    mock_real.FreeMemory(device, memory, allocation);
}

static VkResult VKAPI_CALL map_memory(VkDevice device, VkDeviceMemory memory, VkDeviceSize offset,
                                      VkDeviceSize size, VkMemoryMapFlags flags, void **data)
{
    MOCK_MAY_FAIL(MapMemory, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                  VK_ERROR_MEMORY_MAP_FAILED);
    VkResult result = mock_real.MapMemory(device, memory, offset, size, flags, data);
    pthread_mutex_lock(&lock);
    if (result == VK_SUCCESS)
        memories[place_of(memory)].mapped = *data;
    pthread_mutex_unlock(&lock);
    return result;
}

static VkResult VKAPI_CALL bind_buffer_memory(VkDevice device, VkBuffer buffer,
                                              VkDeviceMemory memory, VkDeviceSize offset)
{
    MOCK_MAY_FAIL(BindBufferMemory, VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    mock_history_note(offset, place_of(memory));
    return mock_real.BindBufferMemory(device, buffer, memory, offset);
}

PFN_vkVoidFunction mock_memory_function(const char *name)
{
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } table[] = {
#define ENTRY(name, function) {"vk" #name, (PFN_vkVoidFunction)function}
        ENTRY(AllocateMemory, allocate_memory),
        ENTRY(FreeMemory, free_memory),
        ENTRY(MapMemory, map_memory),
        ENTRY(BindBufferMemory, bind_buffer_memory),
#undef ENTRY
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].function;
    return NULL;
}
