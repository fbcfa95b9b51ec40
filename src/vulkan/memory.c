/* SPDX-License-Identifier: MIT */
/*
 * Memory of a GPU. A buffer is one allocation. What ops read from and write to the host lies in
 * memory that both sides see; on a discrete GPU it has a twin in the GPU's own (staging.c).
 * Elsewhere a copy would only add a step: a signal is read once and an output written once.
 * Weights lie in chunks, and get there through one staging buffer.
 */
#include "vulkan/vulkan.h"

#include "base/team.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGN = 256,             /* bytes: no device wants bindings at more */
    CHUNK_BYTES = 16 << 20,  /* of weights: a device may allow only 4096 allocations */
    SMALL_BYTES = 1 << 20,   /* of a chunk of weights that each have less than a quarter of that */
    STAGING_BYTES = 1 << 20, /* at least; else as much as the largest weight */
    BLOCK_BYTES = 256 << 10, /* of float32 rows on their way to the packing */
};

/* ---- buffers ---- */

typedef enum vk_place {
    VK_PLACE_DEVICE, /* the GPU's own */
    VK_PLACE_HOST,   /* both see it; what the CPU reads is cached */
} vk_place;

/* The first type of `allowed` that has all of `wanted`; -1 if there is none. */
static int type_with(const vk_device *d, uint32_t allowed, VkMemoryPropertyFlags wanted)
{
    for (uint32_t i = 0; i < d->memory.memoryTypeCount; i++)
        if (allowed & (1u << i) && (d->memory.memoryTypes[i].propertyFlags & wanted) == wanted)
            return (int)i;
    return -1;
}

static int choose_type(const vk_device *d, uint32_t allowed, vk_place place)
{
    VkMemoryPropertyFlags shared =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkMemoryPropertyFlags best = place == VK_PLACE_HOST
                                     ? shared | VK_MEMORY_PROPERTY_HOST_CACHED_BIT
                                     : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    int type = type_with(d, allowed, best);
    return type >= 0 ? type : type_with(d, allowed, place == VK_PLACE_HOST ? shared : 0);
}

static psgvit_status allocate(vk_device *d, vk_buffer *b, vk_place place, psgvit_error *err)
{
    VkMemoryRequirements needs;
    d->api.GetBufferMemoryRequirements(d->device, b->buffer, &needs);
    int type = choose_type(d, needs.memoryTypeBits, place);
    if (type < 0)
        return pv_fail(err, PSGVIT_E_DEVICE, "%s: has no memory that a buffer can use", d->name);
    if (needs.size > d->max_allocation)
        return pv_fail(err, PSGVIT_E_MEMORY,
                       "%s: out of memory: one allocation may have %llu bytes, expected %llu",
                       d->name, (unsigned long long)d->max_allocation,
                       (unsigned long long)needs.size);
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .allocationSize = needs.size,
                                 .memoryTypeIndex = (uint32_t)type};
    VkResult result = d->api.AllocateMemory(d->device, &info, NULL, &b->memory);
    char what[96];
    snprintf(what, sizeof what, "allocating %llu bytes of memory (the device has %llu in all)",
             (unsigned long long)needs.size, (unsigned long long)d->base.info.memory_bytes);
    PV_VK_TRY(d, result, what, err);
    PV_VK_TRY(d, d->api.BindBufferMemory(d->device, b->buffer, b->memory, 0), "binding memory",
              err);
    void *host;
    if (place == VK_PLACE_HOST) {
        PV_VK_TRY(d, d->api.MapMemory(d->device, b->memory, 0, VK_WHOLE_SIZE, 0, &host),
                  "mapping memory", err);
        b->base.host = host;
    }
    return PSGVIT_OK;
}

static psgvit_status create(vk_device *d, uint64_t bytes, vk_place place, vk_buffer **buffer,
                            psgvit_error *err)
{
    PV_TRY(pv_vk_alive(d, err));
    vk_buffer *b = calloc(1, sizeof *b);
    if (!b)
        return pv_fail_memory(err, "a buffer", sizeof *b);
    b->bytes = (bytes ? bytes + ALIGN - 1 : ALIGN) / ALIGN * ALIGN;
    const uint32_t families[] = {d->family, d->copy_family};
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = b->bytes,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    if (d->copy_in && d->copy_family != d->family) {
        info.sharingMode = VK_SHARING_MODE_CONCURRENT;
        info.queueFamilyIndexCount = 2;
        info.pQueueFamilyIndices = families;
    }
    VkResult result = d->api.CreateBuffer(d->device, &info, NULL, &b->buffer);
    psgvit_status status = result ? pv_vk_fail(d, result, "creating a buffer", err)
                                  : allocate(d, b, place, err);
    if (status) {
        pv_vk_buffer_destroy(&d->base, &b->base);
        return status;
    }
    b->base.floats = (size_t)(b->bytes / sizeof(float));
    *buffer = b;
    return PSGVIT_OK;
}

static psgvit_status create_floats(vk_device *d, size_t floats, vk_place place,
                                   vk_buffer **buffer, psgvit_error *err)
{
    PV_TRY(create(d, (uint64_t)floats * sizeof(float), place, buffer, err));
    (*buffer)->base.floats = floats;
    return PSGVIT_OK;
}

psgvit_status pv_vk_buffer_create(psgvit_device *device, size_t floats, int kind,
                                  pv_buffer **buffer, psgvit_error *err)
{
    vk_device *d = (vk_device *)device;
    const bool host = kind == PV_HOST;
    vk_buffer *b;
    PV_TRY(create_floats(d, floats, host ? VK_PLACE_HOST : VK_PLACE_DEVICE, &b, err));
    psgvit_status status =
        host && d->staging ? create(d, b->bytes, VK_PLACE_DEVICE, &b->twin, err) : PSGVIT_OK;
    if (status) {
        pv_vk_buffer_destroy(device, &b->base);
        return status;
    }
    *buffer = &b->base;
    return PSGVIT_OK;
}

psgvit_status pv_vk_buffer_create_shared(vk_device *device, size_t floats, pv_buffer **buffer,
                                         psgvit_error *err)
{
    vk_buffer *b;
    PV_TRY(create_floats(device, floats, VK_PLACE_HOST, &b, err));
    *buffer = &b->base;
    return PSGVIT_OK;
}

void pv_vk_buffer_destroy(psgvit_device *device, pv_buffer *buffer)
{
    vk_device *d = (vk_device *)device;
    vk_buffer *b = (vk_buffer *)buffer;
    if (b->twin)
        pv_vk_buffer_destroy(device, &b->twin->base);
    if (pv_vk_may_destroy(d)) {
        d->api.DestroyBuffer(d->device, b->buffer, NULL);
        d->api.FreeMemory(d->device, b->memory, NULL); /* and unmaps it */
    }
    free(b);
}

/* ---- stores ---- */

typedef struct vk_chunk {
    vk_buffer *buffer;
    uint64_t used;
    struct vk_chunk *next;
} vk_chunk;

typedef struct vk_store {
    pv_store base;
    vk_device *device;
    vk_layout layout;
    const vk_packing *packing;
    vk_chunk *chunks, *small; /* of large and of small weights */
    vk_matrix *matrices;
    vk_buffer *staging;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence;
} vk_store;

static psgvit_status make_commands(vk_store *s, psgvit_error *err)
{
    vk_device *d = s->device;
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = d->family};
    PV_VK_TRY(d, d->api.CreateCommandPool(d->device, &pool, NULL, &s->pool),
              "creating a command pool", err);
    VkCommandBufferAllocateInfo commands = {.sType =
                                                VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = s->pool,
                                            .commandBufferCount = 1};
    PV_VK_TRY(d, d->api.AllocateCommandBuffers(d->device, &commands, &s->commands),
              "allocating a command buffer", err);
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    PV_VK_TRY(d, d->api.CreateFence(d->device, &fence, NULL, &s->fence), "creating a fence", err);
    return PSGVIT_OK;
}

psgvit_status pv_vk_store_create(psgvit_device *device, psgvit_precision precision,
                                 pv_store **store, psgvit_error *err)
{
    vk_device *d = (vk_device *)device;
    PV_TRY(pv_vk_alive(d, err));
    PV_TRY(pv_vk_prove(d, precision, err));
    return pv_vk_store_create_unproven(d, precision, store, err);
}

psgvit_status pv_vk_store_create_unproven(vk_device *d, psgvit_precision precision,
                                          pv_store **store, psgvit_error *err)
{
    vk_store *s = calloc(1, sizeof *s);
    if (!s)
        return pv_fail_memory(err, "a store", sizeof *s);
    s->base = (pv_store){&d->base, precision};
    s->device = d;
    s->layout = pv_vk_layout_of(d, precision);
    s->packing = pv_vk_packing_of(s->layout);
    psgvit_status status = make_commands(s, err);
    if (status) {
        pv_vk_store_destroy(&s->base);
        return status;
    }
    *store = &s->base;
    return PSGVIT_OK;
}

static void destroy_chunks(vk_device *d, vk_chunk *chunks)
{
    while (chunks) {
        vk_chunk *next = chunks->next;
        pv_vk_buffer_destroy(&d->base, &chunks->buffer->base);
        free(chunks);
        chunks = next;
    }
}

void pv_vk_store_destroy(pv_store *store)
{
    vk_store *s = (vk_store *)store;
    vk_device *d = s->device;
    destroy_chunks(d, s->chunks);
    destroy_chunks(d, s->small);
    for (vk_matrix *m = s->matrices; m;) {
        vk_matrix *next = m->next;
        free(m);
        m = next;
    }
    if (s->staging)
        pv_vk_buffer_destroy(&d->base, &s->staging->base);
    if (pv_vk_may_destroy(d)) {
        d->api.DestroyFence(d->device, s->fence, NULL);
        d->api.DestroyCommandPool(d->device, s->pool, NULL);
    }
    free(s);
}

/* *end, the end of a list, becomes a new chunk. */
static psgvit_status add_chunk(vk_store *s, uint64_t size, vk_chunk **end, psgvit_error *err)
{
    vk_chunk *c = calloc(1, sizeof *c);
    if (!c)
        return pv_fail_memory(err, "a chunk of weights", sizeof *c);
    psgvit_status status = create(s->device, size, VK_PLACE_DEVICE, &c->buffer, err);
    if (status) {
        free(c);
        return status;
    }
    *end = c;
    return PSGVIT_OK;
}

/* `bytes` of a chunk, at an offset that fits any binding. A chunk of large weights has room for as
 * many of the size of its first one as CHUNK_BYTES hold, and no small one takes that: a model's
 * equal blocks leave few tails (of OSF-base's memory 2 %, of OSF-large's 1 %). The oldest one with
 * room is taken. */
static psgvit_status reserve(vk_store *s, uint64_t bytes, vk_buffer **buffer, uint64_t *offset,
                             psgvit_error *err)
{
    bytes = (bytes ? bytes + ALIGN - 1 : ALIGN) / ALIGN * ALIGN;
    const bool small = bytes < SMALL_BYTES / 4;
    const uint64_t many = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES / bytes * bytes;
    vk_chunk **at = small ? &s->small : &s->chunks;
    while (*at && (*at)->buffer->bytes - (*at)->used < bytes)
        at = &(*at)->next;
    if (!*at)
        PV_TRY(add_chunk(s, small ? SMALL_BYTES : many, at, err));
    vk_chunk *c = *at;
    *buffer = c->buffer;
    *offset = c->used;
    c->used += bytes;
    return PSGVIT_OK;
}

/* A staging buffer of at least `bytes`. */
static psgvit_status stage(vk_store *s, uint64_t bytes, psgvit_error *err)
{
    if (s->staging && s->staging->bytes >= bytes)
        return PSGVIT_OK;
    if (s->staging)
        pv_vk_buffer_destroy(&s->device->base, &s->staging->base);
    s->staging = NULL;
    return create(s->device, bytes > STAGING_BYTES ? bytes : STAGING_BYTES, VK_PLACE_HOST,
                  &s->staging, err);
}

/* Copies the first `bytes` of the staging buffer to their place, and waits. */
static psgvit_status upload(vk_store *s, vk_buffer *to, uint64_t offset, uint64_t bytes,
                            psgvit_error *err)
{
    vk_device *d = s->device;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkBufferCopy copy = {.dstOffset = offset, .size = bytes};
    VkMemoryBarrier visible = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_SHADER_READ_BIT};
    PV_VK_TRY(d, d->api.BeginCommandBuffer(s->commands, &begin), "beginning commands", err);
    d->api.CmdCopyBuffer(s->commands, s->staging->buffer, to->buffer, 1, &copy);
    d->api.CmdPipelineBarrier(s->commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                              VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &visible, 0, NULL, 0,
                              NULL);
    PV_VK_TRY(d, d->api.EndCommandBuffer(s->commands), "ending commands", err);
    const vk_submission submission = {
        .queue = d->queue, .commands = &s->commands, .count = 1, .fence = s->fence};
    PV_TRY(pv_vk_submit(d, &submission, err));
    return pv_vk_wait(d, s->fence, err);
}

/* A matrix on its way to the staging buffer, by a team of OpenMP's usual size: reading and
 * converting OSF-base takes one thread a second. */
typedef struct vk_packer {
    const vk_packing *packing;
    const pv_rows *source;
    size_t rows;   /* of a block */
    int threads;   /* inside a parallel region of the caller one, as on the CPU */
    float *blocks; /* [threads, rows, cols] */
} vk_packer;

/* Reads block `index` of the matrix; returns its rows. */
static size_t read_block(const vk_packer *p, size_t index, float *values)
{
    size_t first = index * p->rows, left = p->source->rows - first;
    size_t count = left < p->rows ? left : p->rows;
    p->source->read(p->source->source, first, count, values);
    return count;
}

static float *own_block(const vk_packer *p)
{
    return p->blocks + (size_t)omp_get_thread_num() * p->rows * p->source->cols;
}

/* The power of two that brings the largest magnitude below the packing's limit, reading all of the
 * matrix; 1 where everything fits. */
static float scale_for(const vk_packer *p, size_t blocks)
{
    float most = 0.0f;
    if (!(p->packing->limit > 0.0f))
        return 1.0f;
#pragma omp parallel for reduction(max : most) num_threads(p->threads)
    for (size_t b = 0; b < blocks; b++) {
        float *values = own_block(p);
        size_t count = read_block(p, b, values) * p->source->cols;
        for (size_t i = 0; i < count; i++)
            most = fabsf(values[i]) > most ? fabsf(values[i]) : most;
    }
    if (!(most > 0.0f))
        return 1.0f;
    /* Infinite where `most` is, which the loader refuses behind us, or is subnormal. */
    float exponent = floorf(log2f(p->packing->limit / most));
    return ldexpf(1.0f, (int)fminf(fmaxf(exponent, -126.0f), 126.0f));
}

/* Reads, scales and packs the whole matrix into the staging buffer. */
static psgvit_status pack(const vk_store *s, const pv_rows *source, vk_matrix *m, psgvit_error *err)
{
    vk_packer p = {.packing = s->packing,
                   .source = source,
                   .rows = BLOCK_BYTES / sizeof(float) / (source->cols + 1) + 1,
                   .threads = pv_team_size(0)};
    size_t blocks = (source->rows + p.rows - 1) / p.rows;
    size_t bytes = (size_t)p.threads * p.rows * source->cols * sizeof *p.blocks;
    if (!(p.blocks = malloc(bytes)))
        return pv_fail_memory(err, "rows of a weight", bytes);
    float scale = scale_for(&p, blocks);
    void *packed = s->staging->base.host;
    memset(packed, 0, (size_t)m->bytes);
#pragma omp parallel for num_threads(p.threads)
    for (size_t b = 0; b < blocks; b++) {
        float *values = own_block(&p);
        size_t count = read_block(&p, b, values);
        p.packing->pack(values, b * p.rows, count, source->rows, source->cols, scale, packed);
    }
    m->scale = 1.0f / scale;
    free(p.blocks);
    return PSGVIT_OK;
}

psgvit_status pv_vk_store_matrix(pv_store *store, const pv_rows *source, const pv_matrix **matrix,
                                 psgvit_error *err)
{
    vk_store *s = (vk_store *)store;
    vk_matrix *m = calloc(1, sizeof *m);
    if (!m)
        return pv_fail_memory(err, "a weight", sizeof *m);
    m->next = s->matrices;
    s->matrices = m;
    m->layout = s->layout;
    m->tile = s->device->tile;
    PV_TRY(pv_vk_packed_bytes(s->device, s->layout, source->rows, source->cols, &m->bytes, err));
    m->base = (pv_matrix){source->rows, source->cols, (size_t)m->bytes};
    PV_TRY(reserve(s, m->bytes, &m->buffer, &m->offset, err));
    PV_TRY(stage(s, m->bytes, err));
    PV_TRY(pack(s, source, m, err));
    PV_TRY(upload(s, m->buffer, m->offset, m->bytes, err));
    *matrix = &m->base;
    return PSGVIT_OK;
}

psgvit_status pv_vk_store_tensor(pv_store *store, const float *values, size_t rows, size_t cols,
                                 pv_tensor *tensor, psgvit_error *err)
{
    vk_store *s = (vk_store *)store;
    uint64_t bytes = (uint64_t)rows * cols * sizeof *values, offset = 0;
    vk_buffer *buffer = NULL;
    PV_TRY(reserve(s, bytes, &buffer, &offset, err));
    PV_TRY(stage(s, bytes, err));
    memcpy(s->staging->base.host, values, (size_t)bytes);
    if (bytes)
        PV_TRY(upload(s, buffer, offset, bytes, err));
    *tensor = pv_view(&buffer->base, (size_t)(offset / sizeof *values), rows, cols);
    return PSGVIT_OK;
}
