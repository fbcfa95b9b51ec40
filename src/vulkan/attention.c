/* SPDX-License-Identifier: MIT */
/*
 * Attention as dispatches, a workgroup for a head and some of a sequence's queries: where the
 * result is an operand in f16 or two parts and the shape suits them, of attention_fragments_f16 or
 * attention_fragments_split.comp on a device with `fragments`, of attention_f16.comp or
 * attention_split.comp on others; else of attention.comp. In bf16 it is always attention.comp: with
 * q, k, v and the weights of values in 8 digits, too, the logits of eegpt_4x1000 had a cosine of
 * 0.99986 with the truth.
 */
#include "vulkan/attention.h"

#include "vulkan/record.h"

#include <string.h>

/* ---- by cooperative matrices ---- */

/* Measured on an H200, 2026-11-22 and 23, bench_vulkan, in f16 and in two parts. Of fragments, all
 * queries at once, 256 epochs of OSF-base take 62 and 142 us, 16 take 7.6 and 14.7, one 6.3 and
 * 10.6; EEGPT's 62 tokens in 496 sequences take 41 and 91, 68 in 31 take 6.5 and 12.9. By 3 x 4
 * these are 175 and 316, 11.6 and 20.7, 5.1 and 7.9, 111 and 347, 14.0 and 25.1; one epoch by 1 x 4
 * is 4.5 and 6.9, 4 of them, in 48 workgroups, are 5.8 by 3 x 4 in f16. So fragments are for many
 * workgroups, the more where a subgroup is all there is of a head: nobody else fills its waits. */
static const vk_team teams[] = {
    {0, 1, 90, true},
    {1, 1, 1024, true},
    {3, 4, 90, false},
    {2, 4, 90, false},
    /* from here on any number of queries: pv_vk_attention_operand relies on it */
    {1, 4, 0, false},
    {1, 1, 0, false}, /* needs the least shared memory */
};

vk_teams pv_vk_teams(void)
{
    return (vk_teams){teams, sizeof teams / sizeof *teams};
}

static size_t tiles_of(size_t length, size_t tile)
{
    return (length + tile - 1) / tile;
}

/* Subgroups with queries of their own. */
static uint32_t down_of(const vk_device *d, const pv_attention_shape *s, const vk_team *t)
{
    return t->down ? t->down : (uint32_t)tiles_of(s->queries, d->features.edge);
}

/* As attention_matrix.glsl declares it; fragments need none. */
static size_t team_bytes(const vk_device *d, vk_layout layout, const pv_attention_shape *s,
                         const vk_team *t)
{
    const size_t edge = d->features.edge, parts = layout == VK_LAYOUT_SPLIT ? 2 : 1;
    const size_t keys = tiles_of(s->keys, edge) * edge, queries = t->down * edge;
    const size_t row = (keys > s->dim ? keys : s->dim) / 4 + 1;
    const size_t sharers = t->across * d->features.subgroup / edge;
    const size_t shares = keys / 8 > sharers ? keys / 8 : sharers;
    return t->fragments ? 0
                        : 16 * (parts * keys * (s->dim / 8 + 1) + queries * row) +
                              sizeof(float) * queries * shares;
}

/* Fragments take two tiles of dimensions at a time. */
static bool takes(const vk_device *d, vk_layout layout, const pv_attention_shape *s,
                  const vk_team *t)
{
    const uint32_t across = t->across * d->features.subgroup, edge = d->features.edge;
    return t->fragments ? pv_vk_by_fragments(d, layout) && s->dim % (2 * edge) == 0
                        : across % edge == 0 && s->dim % edge == 0;
}

bool pv_vk_team_runs(const vk_device *d, vk_layout layout, const pv_attention_shape *s,
                     const vk_team *t)
{
    enum { MOST_KEYS = 128, MOST_DIM = 128 }; /* their matrices stay in registers */
    if (layout != VK_LAYOUT_F16 && layout != VK_LAYOUT_SPLIT)
        return false; /* the device may have no matrices, and so no edge */
    const size_t threads = (size_t)down_of(d, s, t) * t->across * d->features.subgroup;
    return s->keys <= MOST_KEYS && s->dim <= MOST_DIM && takes(d, layout, s, t) &&
           threads <= d->limits.maxComputeWorkGroupInvocations &&
           threads <= d->limits.maxComputeWorkGroupSize[0] &&
           team_bytes(d, layout, s, t) <= d->limits.maxComputeSharedMemorySize;
}

/* Does a team that runs suit so many queries, without an empty matrix in the first workgroup, and
 * with more than one subgroup if it is to have as many as there are? */
static bool suits(const vk_device *d, const pv_attention_shape *s, const vk_team *t)
{
    const size_t edge = d->features.edge;
    return t->down == 1 || s->queries > (t->down ? (t->down - 1) * edge : edge);
}

const vk_team *pv_vk_team_for(const vk_device *d, vk_layout layout, const pv_attention_shape *s)
{
    for (size_t i = 0; i < sizeof teams / sizeof *teams; i++) {
        const vk_team *t = &teams[i];
        if (!pv_vk_team_runs(d, layout, s, t) || !suits(d, s, t))
            continue;
        const size_t rows = (size_t)down_of(d, s, t) * d->features.edge;
        if (tiles_of(s->queries, rows) * s->sequences * s->heads >= t->enough)
            return t;
    }
    return NULL;
}

pv_tensor pv_vk_attention_operand(const pv_plan *plan, const pv_store *store, pv_tensor t,
                                  const pv_attention_shape *s)
{
    const pv_tensor operand = pv_vk_operand(plan, store, t);
    const vk_layout layout = (vk_layout)operand.form;
    const bool whole = s->heads * s->dim % PV_FORM_TILE == 0;
    return whole && pv_vk_team_for(pv_vk_device_of(plan), layout, s) ? operand : t;
}

/* ---- by threads ---- */

enum {
    THREADS = 128, /* 8 across keys and dimensions, 16 down the queries */
    QUERIES = 16,  /* of a workgroup, for each of a thread's rows */
    DEPTH = 64,
    ENOUGH = 264, /* workgroups: two for each multiprocessor of an H100 */
};

/* As in attention.comp. */
static size_t thread_bytes(uint32_t rows)
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
        bool fits = thread_bytes(rows) <= d->limits.maxComputeSharedMemorySize;
        bool enough = rows == 1 || tiles * s->sequences * s->heads >= wanted;
        if (fits && enough && tiles * rows <= least) {
            least = tiles * rows;
            best = rows;
        }
    }
    return best;
}

/* ---- dispatches ---- */

/* What both kinds of shaders have: q, k, v and y are bound, `constants` made. */
typedef struct job {
    vk_dispatch d;
    vk_module module;
    uint32_t constants[PV_VK_CONSTANTS];
    size_t rows; /* queries of a workgroup */
    bool fours;  /* every view may be read by fours */
} job;

static psgvit_status bind(const pv_plan *plan, const pv_tensor views[4], job *j, psgvit_error *err)
{
    j->fours = true;
    for (size_t i = 0; i < 4; i++) {
        PV_TRY(pv_vk_bind_view(plan, &j->d, views[i], i == 3, err));
        j->fours = j->fours && pv_vk_fours(&j->d, views[i]);
    }
    return PSGVIT_OK;
}

static void by_threads(const vk_device *device, const pv_attention_shape *s, int form, job *j)
{
    const uint32_t chunks = (uint32_t)((s->dim + DEPTH - 1) / DEPTH);
    const uint32_t rows = rows_for(device, s, chunks);
    const uint32_t constants[] = {THREADS, rows, chunks, j->fours && s->dim % 4 == 0,
                                  (uint32_t)form};
    memcpy(j->constants, constants, sizeof constants);
    j->module = PV_MODULE_ATTENTION;
    j->rows = rows * QUERIES;
    pv_vk_push(&j->d, s->queries);
    pv_vk_push(&j->d, s->keys);
    pv_vk_push(&j->d, s->dim);
}

static void by_matrices(const vk_device *device, const pv_attention_shape *s, int form, bool ready,
                        const vk_team *t, job *j)
{
    static const vk_module modules[VK_LAYOUTS][2] = {
        [VK_LAYOUT_F16] = {PV_MODULE_ATTENTION_F16, PV_MODULE_ATTENTION_FRAGMENTS_F16},
        [VK_LAYOUT_SPLIT] = {PV_MODULE_ATTENTION_SPLIT, PV_MODULE_ATTENTION_FRAGMENTS_SPLIT},
    };
    const uint32_t edge = device->features.edge, subgroup = device->features.subgroup;
    const uint32_t down = down_of(device, s, t);
    const uint32_t keys = (uint32_t)tiles_of(s->keys, edge), dims = (uint32_t)s->dim / edge;
    const uint32_t matrices[] = {down * t->across * subgroup, down, t->across, subgroup, edge, keys,
                                 dims, ready};
    const uint32_t fragments[] = {down * subgroup, down, keys, dims, ready};
    memcpy(j->constants, t->fragments ? fragments : matrices,
           t->fragments ? sizeof fragments : sizeof matrices);
    j->module = modules[form][t->fragments];
    j->rows = (size_t)down * edge;
    pv_vk_push(&j->d, s->queries);
    pv_vk_push(&j->d, s->keys);
}

/* In as many dispatches as the device's grid needs. */
static psgvit_status record(pv_plan *plan, const pv_attention_shape *s, job *j, psgvit_error *err)
{
    vk_dispatch *d = &j->d;
    const size_t tiles = tiles_of(s->queries, j->rows), total = tiles * s->sequences;
    const size_t most = pv_vk_device_of(plan)->limits.maxComputeWorkGroupCount[0];
    pv_vk_push(d, tiles);
    pv_vk_push(d, 0);
    pv_vk_push_float(d, s->scale);
    for (size_t first = 0; first < total; first += most) {
        const size_t count = total - first < most ? total - first : most;
        d->push[d->push_count - 2] = (uint32_t)first;
        d->groups[0] = (uint32_t)count;
        d->groups[1] = (uint32_t)s->heads;
        d->groups[2] = 1;
        d->flops = 4.0 * (double)(count * j->rows) * (double)s->keys * (double)(s->heads * s->dim);
        PV_TRY(pv_vk_record(plan, d, j->module, j->constants, err));
    }
    return PSGVIT_OK;
}

psgvit_status pv_vk_record_team(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                                const pv_attention_shape *s, const vk_team *team, pv_tensor y,
                                psgvit_error *err)
{
    job j = {0};
    PV_TRY(bind(plan, (const pv_tensor[]){q, k, v, y}, &j, err));
    if (team && j.fours)
        by_matrices(pv_vk_device_of(plan), s, y.form, q.form != 0, team, &j);
    else
        by_threads(pv_vk_device_of(plan), s, y.form, &j);
    if (j.module != PV_MODULE_ATTENTION && y.form == VK_LAYOUT_SPLIT)
        PV_TRY(pv_vk_plan_flag(plan, &j.d.use[j.d.uses++], err));
    return record(plan, s, &j, err);
}

psgvit_status pv_vk_record_attention(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                                     const pv_attention_shape *s, pv_tensor y, psgvit_error *err)
{
    if (!y.rows || !y.cols)
        return PSGVIT_OK;
    const vk_team *team = pv_vk_team_for(pv_vk_device_of(plan), (vk_layout)y.form, s);
    return pv_vk_record_team(plan, q, k, v, s, team, y, err);
}
