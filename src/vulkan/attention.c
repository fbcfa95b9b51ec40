/* SPDX-License-Identifier: MIT */
/* Attention as dispatches of attention.comp: a workgroup for a head and a tile of queries. */
#include "vulkan/record.h"

/* 128 threads: 16 across keys and dimensions, 8 down the queries, up to 4 queries each. */
enum { THREADS = 128, QUERIES = 8, DEPTH = 64 };

/* The fewest queries a thread that still takes a sequence at one go, since keys and values are read
 * once for a tile; few of them where heads are so wide that results would not stay in registers. */
static uint32_t rows_for(const pv_attention_shape *s, uint32_t chunks)
{
    uint32_t most = chunks == 1 ? 4 : chunks == 2 ? 2 : 1;
    uint32_t rows = 1;
    while (rows < most && rows * QUERIES < s->queries)
        rows *= 2;
    return rows;
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
    const uint32_t chunks = (uint32_t)((s->dim + DEPTH - 1) / DEPTH), rows = rows_for(s, chunks);
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
