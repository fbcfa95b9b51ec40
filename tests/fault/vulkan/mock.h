/* SPDX-License-Identifier: MIT */
/*
 * A libvulkan.so.1 between the library and the real loader. It forwards every call, and on demand
 * lets one fail, presents devices that this machine lacks, and notes what was used wrongly: objects
 * that outlive their device, or that a limit forbids. A test finds it through LD_LIBRARY_PATH, and
 * its controls by dlsym("mock_controls_get").
 */
#ifndef TESTS_FAULT_VULKAN_MOCK_H
#define TESTS_FAULT_VULKAN_MOCK_H

#define VK_NO_PROTOTYPES 1
#include <vulkan/vulkan_core.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mock_limits {
    MOCK_LIMITS_REAL,
    MOCK_LIMITS_LEAST, /* the least that Vulkan 1.1 allows; going beyond is a fault */
    MOCK_LIMITS_BELOW, /* less than that */
} mock_limits;

/* A device as it is presented; what computes is always the first real one. */
typedef struct mock_device {
    const char *name;
    VkPhysicalDeviceType type;
    uint32_t version;    /* of Vulkan; 0: the real one */
    unsigned char uuid;  /* every byte of it */
    mock_limits limits;
    bool no_queue;       /* no queue family computes */
    uint32_t copies;     /* queues of a second family, which only copies; 0: there is none */
    uint64_t memory;     /* bytes that it says it has; 0: the real number */
    uint32_t group;      /* most threads of a workgroup in a row; 0: the real number */
    uint32_t subgroup;   /* threads of every subgroup, which vote and shuffle; 0: the real number */
    uint32_t vendor;     /* its number; 0: the real one */
    uint32_t clock_bits; /* of its clock, which overflows behind its first time; 0: as it is */
    float error;         /* added to the fifth float of all mapped memory behind a submit, */
    long error_at;       /* from this one on */
    long lost_at;        /* the submit, from 1, that loses the device; 0: none */
    long hangs_at;       /* the submit behind which no fence is signalled any more; 0: none */
    bool wakes;          /* but for the second wait: it was only slow */
    bool slow;           /* a fence is ready only for who waits for it */
    bool unchecked;      /* pipelines may do without checks of bounds */
    bool matrices;       /* says that it has fast matrices, but can't compile their shaders */
} mock_device;

typedef struct mock_controls {
    /* Presents these instead of the real devices; NULL: the real ones. The list must stay. */
    void (*present)(const mock_device *devices, size_t count);
    /* Keeps one instance, one device and all pipelines for ever, whatever is closed and opened:
     * thousands of rounds in seconds. For one device at a time. False: ends that. */
    void (*keep)(bool on);
    /* Lets the n-th call from now, n from 1, return the `which`-th of its legal errors, round and
     * round (n of 0: only count). Calls that can't fail don't count, nor do, if `only` isn't NULL,
     * those of other functions than that. */
    void (*arm)(long n, unsigned which, const char *only);
    const char *(*failed)(void); /* the function that has failed, NULL if none has */
    const char *(*disarm)(void); /* ends that, and says the same */
    long (*calls)(void);      /* since arm */
    VkResult (*error)(void);  /* what the last failure was */
    unsigned (*errors)(void); /* how many legal errors that function has */
    /* Says which version the loader has; 0: the real one, 1.0.0: it lacks the function. */
    void (*loader_version)(uint32_t version);
    /* The first fault since the last call of this, NULL if there is none. Objects that are alive
     * are one if `closed`. */
    const char *(*fault)(bool closed);
    /* Forgets what was left to devices that hang, and their instances; how many objects. */
    size_t (*leave)(void);
    /* Lets no more than so many bytes of memory be alive at a time; 0: as many as there are. */
    void (*memory)(uint64_t bytes);
    uint64_t (*allocated)(void); /* bytes that are alive */
    long (*submits)(void); /* of all time */
    long (*under_way)(void);      /* submits with a fence that has not been reset since */
    long (*most_under_way)(void); /* at once, since the last call of this */
    size_t (*cache_bytes)(void); /* of compiled shaders that it was ever given */
} mock_controls;

typedef const mock_controls *(*mock_controls_fn)(void);

#endif
