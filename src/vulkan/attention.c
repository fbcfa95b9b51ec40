/* SPDX-License-Identifier: MIT */
/* Attention as dispatches of attention.comp: a workgroup for a head and a tile of queries. */
#include "vulkan/record.h"

enum {
    THREADS = 128, /* 8 across keys and dimensions, 16 down the queries */
    QUERIES = 16,  /* of a workgroup, for each of a thread's rows */
    DEPTH = 64,
    ENOUGH = 264, /* workgroups: two for each multiprocessor of an H100 */
};

/* As in attention.comp. */
static size_t shared_bytes(uint32_t rows)
{
    return rows * QUERIES * (DEPTH + 4 + 32 + 4 + 8) * sizeof(float) + 32 * DEPTH * sizeof(float);
}

/* Queries that a thread has: keys and values are read once for a tile, so as many as leave few rows
 * of a sequence's last tile empty, the device enough workgroups, and results in registers (8 floats
 * for each row and each 64 dimensions). A query's bits don't depend on it. */
static uint32_t rows_for(const vk_device *d, const pv_attention_shape *s, uint32_t chunks)
{
    size_t wanted = d->base.info.type == PSGVIT_DEVICE_SOFTWARE ? 0 : ENOUGH, least = SIZE_MAX;
    uint32_t best = 1;
    for (uint32_t rows = 1; rows <= 3 && (rows == 1 || rows * chunks <= 8); rows++) {
        size_t tiles = (s->queries + rows * QUERIES - 1) / (rows * QUERIES);
        bool fits = shared_bytes(rows) <= d->limits.maxComputeSharedMemorySize;
        bool enough = rows == 1 || tiles * s->sequences * s->heads >= wanted;
        if (fits && enough && tiles * rows <= least) {
            least = tiles * rows;
            best = rows;
        }
    }
    return best;
}

psgvit_status pv_vk_record_attention(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                                     const pv_attention_shape *s, pv_tensor y, psgvit_error *err)
{
    vk_dispatch d = {0};
    bool fours = s->dim % 4 == 0;
    const pv_tensor views[] = {q, k, v, y};
    if (!y.rows || !y.cols)
        return PSGVIT_OK;
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        PV_TRY(pv_vk_bind_view(plan, &d, views[i], i == 3, err));
        fours = fours && pv_vk_fours(&d, views[i]);
    }
    const uint32_t chunks = (uint32_t)((s->dim + DEPTH - 1) / DEPTH);
    const uint32_t rows = rows_for(pv_vk_device_of(plan), s, chunks);
    const uint32_t constants[PV_VK_CONSTANTS] = {THREADS, rows, chunks, fours};
    const size_t tiles = (s->queries + rows * QUERIES - 1) / (rows * QUERIES);
    const size_t total = tiles * s->sequences;
    const size_t most = pv_vk_device_of(plan)->limits.maxComputeWorkGroupCount[0];
    pv_vk_push(&d, s->queries);
    pv_vk_push(&d, s->keys);
    pv_vk_push(&d, s->dim);
    pv_vk_push(&d, tiles);
    pv_vk_push(&d, 0);
    pv_vk_push_float(&d, s->scale);
    for (size_t first = 0; first < total; first += most) {
        const size_t count = total - first < most ? total - first : most;
        d.push[d.push_count - 2] = (uint32_t)first;
        d.groups[0] = (uint32_t)count;
        d.groups[1] = (uint32_t)s->heads;
        d.groups[2] = 1;
        d.flops = 4.0 * (double)(count * rows * QUERIES) * (double)s->keys * (double)y.cols;
        PV_TRY(pv_vk_record(plan, &d, PV_MODULE_ATTENTION, constants, err));
    }
    return PSGVIT_OK;
}
