/* SPDX-License-Identifier: MIT */
/*
 * Weights on a GPU. They lie in chunks of its memory, packed by a team of threads (packing.c), and
 * get there through one staging buffer.
 */
#include "vulkan/vulkan.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 16 << 20,  /* of weights: a device may allow only 4096 allocations */
    SMALL_BYTES = 1 << 20,   /* of a chunk of weights that each have less than a quarter of that */
    STAGING_BYTES = 1 << 20, /* at least; else as much as the largest weight */
    BLOCK_BYTES = 256 << 10, /* of float32 rows on their way to the packing */
};

typedef struct vk_chunk {
    vk_buffer *buffer;
    uint64_t used;
    struct vk_chunk *next;
} vk_chunk;

typedef struct vk_store {
    pv_store base;
    vk_device *device;
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
    psgvit_status status = pv_vk_memory_create(s->device, size, VK_PLACE_DEVICE, &c->buffer, err);
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
    bytes = pv_vk_aligned(bytes);
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
    return pv_vk_memory_create(s->device, bytes > STAGING_BYTES ? bytes : STAGING_BYTES,
                               VK_PLACE_HOST, &s->staging, err);
}

/* Copies the first `bytes` of the staging buffer to their place, and waits. */
static psgvit_status upload(vk_store *s, vk_buffer *to, uint64_t offset, uint64_t bytes,
                            psgvit_error *err)
{
    vk_device *d = s->device;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkBufferCopy copy = {.dstOffset = offset, .size = bytes};
    PV_VK_TRY(d, d->api.BeginCommandBuffer(s->commands, &begin), "beginning commands", err);
    d->api.CmdCopyBuffer(s->commands, s->staging->buffer, to->buffer, 1, &copy);
    pv_vk_barrier(d, s->commands, PV_VK_COPIES_WROTE, PV_VK_SHADERS_USE);
    PV_VK_TRY(d, d->api.EndCommandBuffer(s->commands), "ending commands", err);
    const vk_submission submission = {
        .queue = d->queue, .commands = &s->commands, .count = 1, .fence = s->fence};
    PV_TRY(pv_vk_submit(d, &submission, err));
    return pv_vk_wait(d, s->fence, err);
}

/* A matrix on its way to the staging buffer, by a team: reading and converting OSF-base takes one
 * thread a second. */
typedef struct vk_packer {
    const vk_packing *packing;
    const pv_rows *source;
    size_t rows;   /* of a block */
    int threads;
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
    vk_packer p = {.packing = pv_vk_packing_of(m->layout),
                   .source = source,
                   .rows = BLOCK_BYTES / sizeof(float) / (source->cols + 1) + 1,
                   .threads = pv_device_team(&s->device->base)};
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
    /* the layout of f32 has been proven, whatever the device: see pv_vk_self_test */
    const bool in_f32 = source->exact && store->precision == PSGVIT_BF16;
    m->layout = pv_vk_layout_of(s->device, in_f32 ? PSGVIT_F32 : store->precision);
    m->tile = in_f32 ? NULL : s->device->tile; /* which is one of the other layout */
    PV_TRY(pv_vk_packed_bytes(s->device, m->layout, source->rows, source->cols, &m->bytes, err));
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
