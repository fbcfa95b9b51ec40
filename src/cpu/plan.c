/* SPDX-License-Identifier: MIT */
/*
 * Plans of the CPU: recording resolves views to pointers, running hands each op to every thread of
 * one OpenMP team, with a barrier behind it. How an op does its work, and which ops are shared anew
 * while they run, is in steps.c and gemm*.c.
 */
#include "cpu/steps.h"

#include "base/memory.h"
#include "ops/profile.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cpu_plan {
    pv_plan base;
    const cpu_device *device;
    cpu_op *ops;
    size_t count, room;
    size_t workspace_floats; /* of one thread */
    float *workspace;        /* [info.threads, workspace_floats] */
    cpu_begun *begun;        /* [2, info.threads]: of this op, and of the next */
} cpu_plan;

psgvit_status pv_cpu_plan_begin(psgvit_device *device, pv_plan **plan, psgvit_error *err)
{
    cpu_plan *p = calloc(1, sizeof *p);
    if (!p)
        return pv_fail_memory(err, "a plan", sizeof *p);
    p->base.device = device;
    p->device = (const cpu_device *)device;
    *plan = &p->base;
    return PSGVIT_OK;
}

psgvit_status pv_cpu_plan_finish(pv_plan *plan, psgvit_error *err)
{
    cpu_plan *p = (cpu_plan *)plan;
    size_t line = PV_ALIGN / sizeof(float);
    p->workspace_floats = (p->workspace_floats + line - 1) / line * line;
    const size_t threads = (size_t)p->device->base.info.threads;
    const size_t bytes = threads * p->workspace_floats * sizeof(float);
    p->workspace = pv_alloc(bytes);
    p->begun = pv_alloc(2 * threads * sizeof *p->begun);
    return p->workspace && p->begun ? PSGVIT_OK : pv_fail_memory(err, "a plan's workspace", bytes);
}

void pv_cpu_plan_destroy(pv_plan *plan)
{
    cpu_plan *p = (cpu_plan *)plan;
    pv_free(p->begun);
    pv_free(p->workspace);
    free(p->ops);
    free(p);
}

/* ---- recording ---- */

/* Says in the profile which kernel does the op that is being recorded; returns its place there. */
static size_t profiled(const pv_plan *plan, const char *kernel)
{
    if (!plan->profile)
        return 0;
    size_t i = pv_profile_current(plan->profile);
    pv_timed_op *op = &plan->profile->ops[i];
    snprintf(op->kernel, sizeof op->kernel, "%s", kernel);
    return i;
}

/* The next op of the plan, zeroed; NULL with an error if there is no memory. */
static cpu_op *append(pv_plan *plan, cpu_run_fn run, psgvit_error *err)
{
    cpu_plan *p = (cpu_plan *)plan;
    cpu_op *ops = pv_grow(p->ops, &p->room, p->count, sizeof *ops, "a plan", err);
    if (!ops)
        return NULL;
    p->ops = ops;
    cpu_op *op = &p->ops[p->count++];
    *op = (cpu_op){.run = run, .noted = profiled(plan, psgvit_isa_name(plan->device->info.isa))};
    return op;
}

static void need_workspace(cpu_plan *p, size_t floats)
{
    if (floats > p->workspace_floats)
        p->workspace_floats = floats;
}

static cpu_rows resolve(pv_tensor t)
{
    if (!t.buffer)
        return (cpu_rows){0};
    return (cpu_rows){t.buffer->host + t.offset, t.rows, t.cols, t.stride};
}

enum { OPERAND_COLUMNS = 32 }; /* a multiple of these: of bf16 a line of memory */

/* Rows that lie a multiple of 4 KiB apart share the sets of L1: a line of each of a tile's 14 rows
 * is more than the 8 or 12 ways that a set has. */
static pv_tensor in_different_sets(pv_tensor t)
{
    enum { PERIOD = 4096 / sizeof(float) };
    if (t.stride == t.cols && t.stride % PERIOD == 0)
        t.stride += PV_FORM_GAP;
    return t;
}

/* An operand's form is the precision that it is for. Rows without gaps stay without. */
pv_tensor pv_cpu_operand(const pv_plan *plan, const pv_store *store, pv_tensor t)
{
    const cpu_device *device = (const cpu_device *)plan->device;
    if (!device->gemm[store->precision]->to_operand || t.cols % OPERAND_COLUMNS != 0)
        return in_different_sets(t);
    t.form = (int)store->precision;
    t.half = true;
    if (t.stride == t.cols)
        t.stride /= 2;
    return t;
}

pv_tensor pv_cpu_attention_operand(const pv_plan *plan, const pv_store *store, pv_tensor t,
                                   const pv_attention_shape *shape)
{
    const cpu_device *device = (const cpu_device *)plan->device;
    bool fits = device->gemm[store->precision]->heads && shape->dim % OPERAND_COLUMNS == 0;
    return fits ? pv_cpu_operand(plan, store, t) : t;
}

static cpu_operand_fn to_operand(const pv_plan *plan, pv_tensor t)
{
    return t.form ? ((const cpu_device *)plan->device)->gemm[t.form]->to_operand : NULL;
}

static psgvit_status mix_channels(pv_plan *plan, pv_tensor x, pv_tensor weight, pv_tensor bias,
                                  pv_tensor y, psgvit_error *err)
{
    cpu_op *op = append(plan, pv_cpu_run_mix, err);
    if (!op)
        return PSGVIT_E_MEMORY;
    op->as.mix = (cpu_mix){resolve(x), resolve(weight), resolve(y), resolve(bias).at};
    return PSGVIT_OK;
}

static psgvit_status patchify(pv_plan *plan, pv_tensor x, const pv_patch_shape *shape, pv_tensor y,
                              psgvit_error *err)
{
    cpu_op *op = append(plan, pv_cpu_run_patchify, err);
    if (!op)
        return PSGVIT_E_MEMORY;
    op->as.patchify = (cpu_patchify){resolve(x), resolve(y), *shape};
    return PSGVIT_OK;
}

static psgvit_status linear(pv_plan *plan, pv_tensor x, const pv_linear_weight *weight,
                            pv_epilogue epilogue, pv_tensor y, psgvit_error *err)
{
    const cpu_matrix *matrix = (const cpu_matrix *)weight->matrix;
    const cpu_gemm *gemm = matrix->gemm;
    cpu_rows from = resolve(x), to = resolve(y);
    cpu_linear linear = {
        .x = from.at,
        .bias = resolve(weight->bias).at,
        .y = to.at,
        .m = to.rows,
        .n = to.cols,
        .k = from.cols,
        .x_stride = from.stride,
        .y_stride = to.stride,
        .x_half = x.half,
        .y_half = y.half,
        .weight = matrix->packed,
        .epilogue = epilogue,
    };
    cpu_op *op = append(plan, gemm->run, err);
    if (!op)
        return PSGVIT_E_MEMORY;
    op->as.linear = linear;
    op->alone = gemm->alone;
    if (gemm->workspace)
        need_workspace((cpu_plan *)plan, gemm->workspace(&linear));
    if (gemm->alone && !(op = append(plan, pv_cpu_run_epilogue, err)))
        return PSGVIT_E_MEMORY;
    op->as.linear = linear;
    if (gemm->name)
        (void)profiled(plan, gemm->name);
    return PSGVIT_OK;
}

static psgvit_status assemble(pv_plan *plan, pv_tensor x, pv_tensor table, size_t first,
                              pv_tensor y, psgvit_error *err)
{
    cpu_op *op = append(plan, pv_cpu_run_assemble, err);
    if (!op)
        return PSGVIT_E_MEMORY;
    op->as.assemble = (cpu_assemble){resolve(x), resolve(table), resolve(y), first};
    return PSGVIT_OK;
}

static psgvit_status layernorm(pv_plan *plan, pv_tensor x, const pv_norm_weight *weight,
                               pv_tensor y, psgvit_error *err)
{
    cpu_op *op = append(plan, pv_cpu_run_layernorm, err);
    if (!op)
        return PSGVIT_E_MEMORY;
    op->as.layernorm = (cpu_layernorm){resolve(x), resolve(y), resolve(weight->gamma).at,
                                       resolve(weight->beta).at, weight->eps,
                                       to_operand(plan, y)};
    if (y.form)
        need_workspace((cpu_plan *)plan, y.cols);
    return PSGVIT_OK;
}

static psgvit_status attention(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                               const pv_attention_shape *shape, pv_tensor y, psgvit_error *err)
{
    cpu_plan *p = (cpu_plan *)plan;
    const cpu_heads *heads = q.form ? p->device->gemm[q.form]->heads : NULL;
    cpu_op *op = append(plan, heads ? heads->run : pv_cpu_run_attention, err);
    if (!op)
        return PSGVIT_E_MEMORY;
    op->as.attention = (cpu_attention){resolve(q), resolve(k), resolve(v),
                                       resolve(y), *shape,     to_operand(plan, y)};
    if (heads)
        need_workspace(p, heads->floats(shape));
    else
        need_workspace(p, pv_cpu_attention_floats(p->device->kernels, shape) +
                              (y.form ? shape->queries * shape->dim : 0));
    return PSGVIT_OK;
}

static psgvit_status select_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y,
                                 psgvit_error *err)
{
    cpu_op *op = append(plan, pv_cpu_run_select, err);
    if (!op)
        return PSGVIT_E_MEMORY;
    op->as.select = (cpu_select){resolve(x), resolve(y), range};
    return PSGVIT_OK;
}

static psgvit_status mean_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y,
                               psgvit_error *err)
{
    cpu_op *op = append(plan, pv_cpu_run_mean, err);
    if (!op)
        return PSGVIT_E_MEMORY;
    op->as.select = (cpu_select){resolve(x), resolve(y), range};
    return PSGVIT_OK;
}

const pv_ops pv_cpu_ops = {
    .mix_channels = mix_channels,
    .patchify = patchify,
    .linear = linear,
    .assemble = assemble,
    .layernorm = layernorm,
    .attention = attention,
    .select_rows = select_rows,
    .mean_rows = mean_rows,
};

/* ---- running ---- */

/* OpenMP's own barrier spins for milliseconds before it sleeps: where other programs want the
 * cores, a thread that waits keeps the one it waits for from running, op after op (2 threads on a
 * busy machine: 649 ms where one takes 298). This one gives the core away after SPINS. */
typedef struct cpu_barrier {
    atomic_uint arrived, generation;
} cpu_barrier;

static void barrier_wait(cpu_barrier *barrier, size_t count)
{
    enum { SPINS = 1000 }; /* some 30 us, more than most ops' imbalance */
    unsigned generation = atomic_load(&barrier->generation);
    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == count) {
        atomic_store(&barrier->arrived, 0);
        atomic_store(&barrier->generation, generation + 1);
        return;
    }
    for (int spins = 0; atomic_load(&barrier->generation) == generation;) {
        if (spins++ >= SPINS) {
            spins = SPINS;
            (void)sched_yield();
            continue;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

/* The first thread of a team times each op, the barrier behind it included. */
static double op_begins(const cpu_plan *p, const cpu_team *team)
{
    return p->base.profile && team->index == 0 ? omp_get_wtime() : 0.0;
}

static void op_ends(const cpu_plan *p, size_t i, const cpu_team *team, double start)
{
    if (p->base.profile && team->index == 0)
        p->base.profile->ops[p->ops[i].noted].seconds += omp_get_wtime() - start;
}

/* Ops [first, end) by one team, from fork to join. */
static void run_in_team(const cpu_plan *p, size_t first, size_t end)
{
    const size_t threads = (size_t)p->device->base.info.threads;
    cpu_barrier barrier = {0};
    memset(p->begun, 0, threads * sizeof *p->begun);
#pragma omp parallel num_threads(pv_device_team(&p->device->base))
    {
        pv_cpu_gemm_enter();
        cpu_team team = {(size_t)omp_get_thread_num(), (size_t)omp_get_num_threads(),
                         p->device->kernels, NULL, p->begun};
        team.workspace = p->workspace + team.index * p->workspace_floats;
        for (size_t i = first; i < end; i++) {
            double start = op_begins(p, &team);
            team.begun = p->begun + (i - first) % 2 * threads;
            atomic_store(&p->begun[(i - first + 1) % 2 * threads + team.index].pieces, 0);
            p->ops[i].run(&p->ops[i].as, &team);
            barrier_wait(&barrier, team.count);
            op_ends(p, i, &team, start);
        }
    }
}

psgvit_status pv_cpu_plan_start(pv_plan *plan, psgvit_error *err)
{
    const cpu_plan *p = (const cpu_plan *)plan;
    (void)err;
    if (plan->profile)
        pv_profile_reset(plan->profile);
    for (size_t first = 0; first < p->count;) {
        size_t end = first;
        while (end < p->count && !p->ops[end].alone)
            end++;
        if (end > first)
            run_in_team(p, first, end);
        if (end < p->count) {
            cpu_team one = {0, 1, p->device->kernels, p->workspace, NULL};
            double start = op_begins(p, &one);
            p->ops[end].run(&p->ops[end].as, &one);
            op_ends(p, end, &one, start);
            end++;
        }
        first = end;
    }
    return PSGVIT_OK;
}
