/* SPDX-License-Identifier: MIT */
/*
 * The Vulkan backend inside. loader.c finds the functions, device.c the devices, features.c what
 * they can do; memory.c has buffers, store.c the weights in them, packing.c how those lie there;
 * pipeline.c has compute pipelines, cache.c the file that they may be kept in; command.c records
 * plans (once, with barriers derived from use), staging.c their copies from and to the host, run.c
 * runs them (submitted in bounded pieces); linear.c, attention.c and, for all else, ops.c say which
 * shader does an op, with which tiles, on which grid; selftest.c lets a device prove that it
 * computes right.
 */
#ifndef PV_VULKAN_VULKAN_H
#define PV_VULKAN_VULKAN_H

#include "ops/ops.h"
#include "vulkan/api.h"
#include "vulkan/modules.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    PV_VK_EVERY_BINDING = 4, /* storage buffers that a shader can bind everywhere */
    PV_VK_BINDINGS = 5,      /* and with cooperative matrices */
    PV_VK_PUSH_BYTES = 128,  /* push constants, what every device has */
    PV_VK_CONSTANTS = 16,    /* specialisation constants, at most; ids 0, 1, 2 ... */
};

/* ---- loader.c ---- */

/* The library and an instance: each device has its own, so that the process shares nothing. */
typedef struct vk_loader {
    void *library;
    VkInstance instance;
    vk_api api; /* global and instance functions */
    bool stays; /* for ever: a device of it could not be destroyed */
} vk_loader;

/* PSGVIT_E_DEVICE if there is no loader, no driver, or only Vulkan 1.0. */
psgvit_status pv_vk_loader_open(vk_loader *loader, psgvit_error *err);
void pv_vk_loader_close(vk_loader *loader);
/* "VK_ERROR_DEVICE_LOST" ... */
const char *pv_vk_result_name(VkResult result);
/* PSGVIT_E_MEMORY or PSGVIT_E_DEVICE. */
psgvit_status pv_vk_result_status(VkResult result);

/* ---- features.c ---- */

/* What a device offers beyond the least that is needed. */
typedef struct vk_features {
    bool f16_matrix;   /* KHR cooperative matrices, f16 x f16 + f32, by subgroup */
    bool bf16_matrix;  /* the same with bf16 */
    uint32_t edge;     /* rows, columns and depth of such a matrix: 16 or 8 */
    uint32_t subgroup; /* threads */
    bool unchecked;    /* shaders can be made without checks of their bindings' bounds */
    bool exchanges;    /* a subgroup's threads vote, and read each other's values */
    bool fragments;    /* a thread's elements of such a matrix should be those that
                          shaders/fragments.glsl says; else only the driver knows */
} vk_features;

/* Whose compiled shaders a device can use. */
typedef struct vk_maker {
    uint32_t vendor, device, driver; /* numbers of them, and of the driver's version */
    uint32_t pointer_bytes;          /* of the process */
    uint8_t uuid[VK_UUID_SIZE];      /* of the driver's pipeline caches */
} vk_maker;

/* A device that Vulkan names. */
typedef struct vk_candidate {
    VkPhysicalDevice physical;
    psgvit_device_info info; /* its strings are those below */
    vk_features features;
    vk_maker maker;
    VkPhysicalDeviceLimits limits;
    VkPhysicalDeviceMemoryProperties memory;
    uint64_t max_allocation; /* bytes */
    uint32_t family;         /* of a queue that computes */
    uint64_t clock_mask;     /* of the valid bits of that queue's timestamps; 0: it has none */
    bool copies;             /* a discrete GPU with two queues that do nothing but copy, */
    uint32_t copy_family;    /* of this family */
    char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE], driver[320], uuid[2 * VK_UUID_SIZE + 1];
    char reason[200];
} vk_candidate;

/* Describes a physical device, usable or not. PSGVIT_E_MEMORY if memory ran out meanwhile. */
psgvit_status pv_vk_describe(const vk_loader *loader, VkPhysicalDevice physical, vk_candidate *out,
                             psgvit_error *err);
/* The logical device, with all features that `candidate` has been found to have. */
VkResult pv_vk_create_device(const vk_loader *loader, const vk_candidate *candidate,
                             VkDevice *device);

/* ---- device.c ---- */

typedef struct vk_device vk_device;

/* How a weight lies in memory, so that no kernel meets a stranger: as its precision says, but for
 * float32 where the device has f16 matrices. */
typedef enum vk_layout {
    VK_LAYOUT_F32 = PSGVIT_F32,
    VK_LAYOUT_F16 = PSGVIT_F16,
    VK_LAYOUT_BF16 = PSGVIT_BF16,
    VK_LAYOUT_SPLIT, /* float32 as two f16 */
    VK_LAYOUTS,
} vk_layout;

typedef enum vk_work {
    VK_WORK_KNOWN = 0, /* who submits waits, and destroys nothing before */
    VK_WORK_ABANDONED, /* a wait was given up: some may be under way */
    VK_WORK_ENDLESS,   /* and the last wait for it was in vain, too */
} vk_work;

/* A compute pipeline: a shader with its constants. Owned by the device. */
typedef struct vk_kernel {
    vk_module module;
    uint32_t constants[PV_VK_CONSTANTS]; /* those that are not used are 0 */
    VkPipeline pipeline;
    struct vk_kernel *next;
} vk_kernel;

struct vk_device {
    psgvit_device base;
    vk_loader loader;
    vk_api api; /* all of them */
    VkDevice device;
    VkQueue queue;
    VkQueue copy_in, copy_out;  /* for copies of many bytes; VK_NULL_HANDLE: `queue` does all */
    uint32_t family, copy_family;
    uint64_t clock_mask; /* as in vk_candidate */
    VkPhysicalDeviceMemoryProperties memory;
    VkPhysicalDeviceLimits limits;
    uint64_t max_allocation;    /* bytes */
    vk_features features;       /* f16 matrices that fail the self-test are not kept */
    bool twins;                 /* host buffers that are made from now on have one */
    uint64_t least_copies;      /* bytes of a plan's copies from which on they go by those queues */
    uint64_t least_stream;      /* numbers of a residual stream from which on it is an operand */
    pthread_mutex_t lock;       /* round the queues */
    atomic_bool proven[VK_LAYOUTS]; /* every kernel of such weights has computed right */
    atomic_bool opaque[VK_LAYOUTS]; /* its matrices' elements can't be read: see fragments */
    _Atomic vk_work work;       /* may the GPU still use what belongs to the device? */
    atomic_bool lost;           /* nothing works any more; the handle can be closed */
    _Atomic double rate;        /* FLOP/s of the last plan: how much a submit may hold */
    _Atomic uint64_t queued;    /* 10^6 FLOP that are submitted and not yet waited for */
    vk_maker maker;
    char *cache_path;           /* NULL: pipelines are kept in memory only */
    const struct vk_tile *tile; /* of weights that are stored from now on; NULL: by shape */
    struct {
        pthread_mutex_t lock;
        VkDescriptorSetLayout sets;
        VkPipelineLayout layout;
        VkPipelineCache cache;
        size_t cache_bytes; /* that the driver took from its file */
        vk_kernel *kernels;
    } pipelines;
    char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE], driver[320], uuid[2 * VK_UUID_SIZE + 1];
};

/* The status of a call that did not return VK_SUCCESS: memory or device, with the name of the
 * device, `what` was tried and the result's name. A lost device is marked. */
psgvit_status pv_vk_fail(vk_device *device, VkResult result, const char *what, psgvit_error *err);
/* Nobody waits any more for work that is under way, since a wait ended in `result`: the device is
 * lost. */
void pv_vk_give_up(vk_device *device, VkResult result);
/* May what the device has worked with be destroyed? Where work was given up a few seconds are
 * waited for it once more. If it doesn't end, the answer is no for ever: objects are left to the
 * driver, and with them the device and its instance. */
bool pv_vk_may_destroy(vk_device *device);
/* PSGVIT_E_DEVICE if the device is lost, else PSGVIT_OK. */
psgvit_status pv_vk_alive(vk_device *device, psgvit_error *err);

#define PV_VK_TRY(device, call, what, err)                                                         \
    do {                                                                                           \
        VkResult pv_result_ = (call);                                                              \
        if (pv_result_ != VK_SUCCESS)                                                              \
            return pv_vk_fail((device), pv_result_, (what), (err));                                \
    } while (0)

/* ---- memory.c ---- */

/* A range of device memory; psgvit's pv_buffer for what ops read and write. */
typedef struct vk_buffer {
    pv_buffer base;
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint64_t bytes;
    struct vk_buffer *twin; /* of a host buffer: as much of the GPU's own memory, which shaders see
                               in its place; NULL: they see the host's */
} vk_buffer;

typedef enum vk_place {
    VK_PLACE_DEVICE, /* the GPU's own */
    VK_PLACE_HOST,   /* both see it; what the CPU reads is cached */
} vk_place;

enum { PV_VK_ALIGN = 256 }; /* bytes: no device wants bindings at more */

/* `bytes` rounded up to a multiple of that, and not 0. */
static inline uint64_t pv_vk_aligned(uint64_t bytes)
{
    return (bytes ? bytes + PV_VK_ALIGN - 1 : PV_VK_ALIGN) / PV_VK_ALIGN * PV_VK_ALIGN;
}

/* `bytes`, aligned, without a twin. pv_vk_buffer_destroy frees them. */
psgvit_status pv_vk_memory_create(vk_device *device, uint64_t bytes, vk_place place,
                                  vk_buffer **buffer, psgvit_error *err);
psgvit_status pv_vk_buffer_create(psgvit_device *device, size_t floats, int kind,
                                  pv_buffer **buffer, psgvit_error *err);
void pv_vk_buffer_destroy(psgvit_device *device, pv_buffer *buffer);

/* ---- store.c ---- */

/* A weight as a kernel reads it. */
typedef struct vk_matrix {
    pv_matrix base;
    vk_buffer *buffer;
    uint64_t offset, bytes; /* in the buffer; the offset fits any binding */
    vk_layout layout;
    const struct vk_tile *tile; /* that it is multiplied in; NULL: chosen by shape */
    float scale;                /* what the products are multiplied by; 1 in float32 */
    struct vk_matrix *next;
} vk_matrix;

/* The first store of a precision lets the device prove that it computes right in it. */
psgvit_status pv_vk_store_create(psgvit_device *device, psgvit_precision precision,
                                 pv_store **store, psgvit_error *err);
psgvit_status pv_vk_store_create_unproven(vk_device *device, psgvit_precision precision,
                                          pv_store **store, psgvit_error *err);
psgvit_status pv_vk_store_matrix(pv_store *store, const pv_rows *source, const pv_matrix **matrix,
                                 psgvit_error *err);
psgvit_status pv_vk_store_tensor(pv_store *store, const float *values, size_t rows, size_t cols,
                                 pv_tensor *tensor, psgvit_error *err);
void pv_vk_store_destroy(pv_store *store);

/* ---- cache.c ---- */

/* Makes the pipeline cache, with what is in the file at `path` if it can be used; NULL: no file. */
psgvit_status pv_vk_cache_open(vk_device *device, const char *path, psgvit_error *err);
/* Writes the file, if the cache has grown, and destroys the cache. */
void pv_vk_cache_close(vk_device *device);

/* ---- pipeline.c ---- */

/* cache_path as in psgvit_device_params. */
psgvit_status pv_vk_pipelines_create(vk_device *device, const char *cache_path, psgvit_error *err);
void pv_vk_pipelines_destroy(vk_device *device);
/* The kernel of a module with these constants, made on first use. Thread-safety: safe. */
psgvit_status pv_vk_kernel_get(vk_device *device, vk_module module,
                               const uint32_t constants[PV_VK_CONSTANTS], const vk_kernel **kernel,
                               psgvit_error *err);

/* ---- run.c ---- */

/* Command buffers for a queue. VK_NULL_HANDLE is none of a semaphore and of the fence. */
typedef struct vk_submission {
    VkQueue queue;
    const VkCommandBuffer *commands;
    uint32_t count;
    VkSemaphore wait;           /* what all of them wait for, */
    VkSemaphore signal;         /* and what is signalled behind them, */
    VkFence fence;              /* as is this */
} vk_submission;

psgvit_status pv_vk_submit(vk_device *device, const vk_submission *submission, psgvit_error *err);
/* Waits for the fence and resets it: at least a minute (ten on a software device), and as long as
 * the work that is under way may take. */
psgvit_status pv_vk_wait(vk_device *device, VkFence fence, psgvit_error *err);

psgvit_status pv_vk_plan_start(pv_plan *plan, psgvit_error *err);
psgvit_status pv_vk_plan_wait(pv_plan *plan, psgvit_error *err);

/* ---- command.c ---- */

/* What a barrier stands behind, or in front of. */
typedef struct vk_access {
    VkPipelineStageFlags stage;
    VkAccessFlags access;
} vk_access;

#define PV_VK_SHADERS_WROTE                                                                        \
    ((vk_access){VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT})
#define PV_VK_SHADERS_USE                                                                          \
    ((vk_access){VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,                                             \
                 VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT})
#define PV_VK_HOST_READS ((vk_access){VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT})
#define PV_VK_COPIES_WROTE                                                                         \
    ((vk_access){VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT})
#define PV_VK_COPIES_READ                                                                          \
    ((vk_access){VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT})

/* What was written by the first access is seen by the second one. */
void pv_vk_barrier(const vk_device *device, VkCommandBuffer commands, vk_access from, vk_access to);

/* What a dispatch does with one binding. */
typedef struct vk_use {
    VkBuffer buffer;
    uint64_t offset, bytes;
    bool write;            /* else it only reads */
    bool whole;            /* its op writes all of [from, to) and reads nothing of it */
    const vk_buffer *host; /* whose twin it is; NULL: nobody's */
    uint64_t from, to;     /* bytes that the view spans, without what alignment adds */
} vk_use;

typedef struct vk_dispatch {
    const vk_kernel *kernel;
    vk_use use[PV_VK_BINDINGS]; /* binding i; those from `uses` on are not there */
    uint32_t uses;
    uint32_t push[PV_VK_PUSH_BYTES / 4];
    uint32_t push_count;
    uint32_t groups[3];
    double flops; /* about: what bounds the work of one submit */
} vk_dispatch;

/* The whole extent of a view as a binding; *at becomes where the view begins in it, floats:
 * bindings begin at a multiple of the device's alignment, views anywhere. PSGVIT_E_MEMORY if the
 * device can't bind as much. */
psgvit_status pv_vk_use_tensor(const vk_device *device, pv_tensor tensor, bool write, vk_use *use,
                               uint32_t *at, psgvit_error *err);
vk_use pv_vk_use_matrix(const vk_matrix *matrix);
/* The plan's flag, which many shaders may set to 1.0, and none to anything else: numbers were too
 * large for them. The plan is `stale` then. Counts as read, for they don't have to wait for each
 * other. */
psgvit_status pv_vk_plan_flag(pv_plan *plan, vk_use *use, psgvit_error *err);
/* FLOP that a command buffer may hold, and a dispatch: a tenth of a second or less of what a device
 * of this kind does at least. */
double pv_vk_most_flops(const vk_device *device);
/* Appends a dispatch to the plan. */
psgvit_status pv_vk_plan_add(pv_plan *plan, const vk_dispatch *dispatch, psgvit_error *err);

psgvit_status pv_vk_plan_begin(psgvit_device *device, pv_plan **plan, psgvit_error *err);
psgvit_status pv_vk_plan_finish(pv_plan *plan, psgvit_error *err);
void pv_vk_plan_destroy(pv_plan *plan);

/* ---- packing.c ---- */

/* How the weights of a linear layer lie in device memory, for one precision. */
typedef struct vk_packing {
    /* Bytes that W [n, k] takes. */
    uint64_t (*bytes)(size_t n, size_t k);
    /* Packs rows [first, first + count), which stand in `rows` [count, k], into `packed`, the start
     * of the whole matrix, which is all zeros before the first call. `scale` is a power of two by
     * which values are multiplied first. The memory may be write-combined: it is never read. */
    void (*pack)(const float *rows, size_t first, size_t count, size_t n, size_t k, float scale,
                 void *packed);
    float limit; /* largest magnitude that it can hold; 0: any */
} vk_packing;

vk_layout pv_vk_layout_of(const vk_device *device, psgvit_precision precision);
/* Are matrices of this layout read and written element by element? */
bool pv_vk_by_fragments(const vk_device *device, vk_layout layout);
const vk_packing *pv_vk_packing_of(vk_layout layout);
/* The bytes of W [n, k]. PSGVIT_E_MEMORY if that is more than the device can bind at once. */
psgvit_status pv_vk_packed_bytes(const vk_device *device, vk_layout layout, size_t n, size_t k,
                                 uint64_t *bytes, psgvit_error *err);

/* ---- ops.c, linear.c, attention.c ---- */

extern const pv_ops pv_vk_ops;

/* An operand's form is its store's vk_layout; shaders/operand.glsl has how it lies in memory. */
pv_tensor pv_vk_operand(const pv_plan *plan, const pv_store *store, pv_tensor t);
/* In f16, if t is large; else it stays float32. */
pv_tensor pv_vk_stream(const pv_plan *plan, const pv_store *store, pv_tensor t);
/* The same, however small t is. */
pv_tensor pv_vk_large_stream(const pv_plan *plan, const pv_store *store, pv_tensor t);
/* Where attention goes by matrices; else qkv stays float32. */
pv_tensor pv_vk_attention_operand(const pv_plan *plan, const pv_store *store, pv_tensor t,
                                  const pv_attention_shape *shape);
psgvit_status pv_vk_record_linear(pv_plan *plan, pv_tensor x, const pv_linear_weight *weight,
                                  pv_epilogue epilogue, pv_tensor y, psgvit_error *err);
psgvit_status pv_vk_record_attention(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                                     const pv_attention_shape *shape, pv_tensor y,
                                     psgvit_error *err);

/* ---- selftest.c ---- */

/* What a new device has to prove: linear layers in f32, and attention. PSGVIT_E_DEVICE with the op,
 * its tiles and both numbers if it computes wrong. */
psgvit_status pv_vk_self_test(vk_device *device, psgvit_error *err);
/* The MLP of a block, in every class of tiles of a precision, unless that has been proven. A
 * failure is not kept: the next call tries again, but a layout that was wrong by elements of
 * matrices goes by whole ones from then on. Thread-safety: safe. */
psgvit_status pv_vk_prove(vk_device *device, psgvit_precision precision, psgvit_error *err);

#endif
