/* SPDX-License-Identifier: MIT */
/*
 * The CPU backend inside: a device is a kernel table, a way to multiply matrices and a number of
 * threads; a plan is a list of ops with resolved pointers, run by one OpenMP team from the first op
 * to the last, with a barrier behind each.
 */
#ifndef PV_CPU_CPU_H
#define PV_CPU_CPU_H

#include "cpu/kernels.h"
#include "ops/ops.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct cpu_gemm cpu_gemm;

enum { PV_PRECISIONS = PSGVIT_BF16 + 1 };

typedef struct cpu_device {
    psgvit_device base;
    const pv_kernels *kernels;
    const cpu_gemm *gemm[PV_PRECISIONS]; /* of each precision; NULL: it has none */
    char name[64], driver[96];
} cpu_device;

/* How many pieces of a thread's share have been begun, by anyone; on a line of its own. */
typedef struct cpu_begun {
    _Alignas(64) atomic_size_t pieces;
} cpu_begun;

/* Which thread of how many runs an op, and its own scratch memory. */
typedef struct cpu_team {
    size_t index, count;
    const pv_kernels *kernels;
    float *workspace;
    cpu_begun *begun; /* [count], of this op */
} cpu_team;

/* This thread's part [*begin, *end) of `total` units of work, equal to within one. */
static inline void cpu_share(const cpu_team *team, size_t total, size_t *begin, size_t *end)
{
    *begin = total * team->index / team->count;
    *end = total * (team->index + 1) / team->count;
}

/* An op whose pieces take long is not left to its shares alone: threads that have done their own
 * begin pieces of the others'. A core that is slower, or that someone else uses, too, would be
 * waited for otherwise, op after op.
 *
 *     for (size_t i = 0; i < team->count; i++) {
 *         const cpu_team owner = cpu_owner(team, i);
 *         ... the owner's share, cut into pieces
 *         for (size_t piece; cpu_begin(&owner, pieces, &piece);)
 *             ... that piece, by this thread
 *     }
 */
static inline cpu_team cpu_owner(const cpu_team *team, size_t i)
{
    cpu_team owner = *team;
    owner.index = (team->index + i) % team->count;
    return owner;
}

/* The next piece of the owner's that nobody has begun; false if there is none. */
static inline bool cpu_begin(const cpu_team *owner, size_t pieces, size_t *piece)
{
    *piece = atomic_fetch_add_explicit(&owner->begun[owner->index].pieces, 1,
                                       memory_order_relaxed);
    return *piece < pieces;
}

union cpu_args;

/* Does this thread's part of an op. */
typedef void (*cpu_run_fn)(const union cpu_args *args, const cpu_team *team);

typedef struct cpu_matrix {
    pv_matrix base;
    const cpu_gemm *gemm; /* that packed it, and alone may read it */
    const void *packed;
} cpu_matrix;

/* y [m, n] = epilogue(x [m, k] W^T + bias). Strides in floats. */
typedef struct cpu_linear {
    const float *x, *bias; /* bias may be NULL */
    float *y;
    size_t m, n, k, x_stride, y_stride;
    bool x_half, y_half; /* bf16: see cpu_gemm.to_operand */
    const void *weight; /* packed */
    pv_epilogue epilogue;
} cpu_linear;

/* Writes n numbers in a form of operands. */
typedef void (*cpu_operand_fn)(const float *numbers, size_t n, void *operand);

/* Attention for heads whose dimension is a multiple of 32. */
typedef struct cpu_heads {
    size_t (*floats)(const pv_attention_shape *shape); /* that each thread works in */
    cpu_run_fn run;
} cpu_heads;

/* A way to multiply: the layout of a weight and the code that reads it, so that neither meets a
 * stranger. */
struct cpu_gemm {
    const char *name; /* for profiles; NULL: that of the kernels' instruction set */
    bool alone;       /* run is called by one thread for the whole product, outside of any team */
    bool needs_amx;   /* the process must have been granted AMX's registers */
    size_t (*workspace)(const cpu_linear *op); /* floats of each thread; NULL: none */
    /* Bytes that a packed W [n, k] takes. */
    size_t (*packed_bytes)(const pv_kernels *kernels, size_t n, size_t k);
    /* Rows that one call of pack wants to begin at a multiple of. */
    size_t (*pack_rows)(const pv_kernels *kernels);
    /* Packs rows [first, first + count) that stand in `rows` [count, k]. */
    void (*pack)(const pv_kernels *kernels, const float *rows, size_t first, size_t count, size_t k,
                 void *packed);
    /* This thread's part of args->linear, epilogue included (alone: without it). */
    cpu_run_fn run;
    /* Writes n numbers as run takes x (x_half) and gives y (y_half), where a row is a multiple of
     * 32. NULL: it has no form but float32. */
    cpu_operand_fn to_operand;
    const cpu_heads *heads; /* attention over such operands; NULL: it has none */
};

/* Own kernels over packed panels: a row's bits depend on neither its batch nor the threads. */
extern const cpu_gemm pv_cpu_gemm_panels;
#if defined(__x86_64__)
/* AMX: with the error of float32, and with weights and activations in bf16. */
extern const cpu_gemm pv_cpu_gemm_amx, pv_cpu_gemm_amx_bf16;
extern const cpu_heads pv_cpu_heads_amx_bf16;
/* AVX-512's own instruction for bf16, where pv_cpu_has_avx512_bf16 says so. */
extern const cpu_gemm pv_cpu_gemm_avx512_bf16;
#endif
/* OpenBLAS, by its build: openmp and serial ones in the team, the pthread one alone. NULL if the
 * library was built without. `driver` becomes its name and version. */
const cpu_gemm *pv_cpu_gemm_blas(char *driver, size_t size);
/* Called by each thread of a team before its first product. */
void pv_cpu_gemm_enter(void);

/* Applies op's epilogue to rows [m0, m1) x columns [n0, n1) of y, which holds the bare product. */
void pv_cpu_epilogue(const cpu_linear *op, const pv_kernels *kernels, size_t m0, size_t m1,
                     size_t n0, size_t n1);

/* What a share of so many rows and columns costs for each k. */
typedef size_t (*cpu_cost_fn)(size_t m, size_t n);

/* What has to be read of x and W. */
size_t pv_cpu_reads(size_t m, size_t n);

/* Splits m x n over a team as a grid: this thread's rows and columns, columns in multiples of
 * `unit`, so that a share's cost is least. */
void pv_cpu_grid(const cpu_team *team, size_t m, size_t n, size_t unit, cpu_cost_fn cost,
                 size_t rows[2], size_t columns[2]);

/* A share of y in pieces, none of more than so many rows and columns; those of the same rows follow
 * each other. */
typedef struct cpu_pieces {
    size_t rows[2], columns[2], tall, wide;
    size_t across, count; /* side by side, and all */
} cpu_pieces;

cpu_pieces pv_cpu_pieces(const size_t rows[2], const size_t columns[2], size_t tall, size_t wide);
/* The rows and columns of one. */
void pv_cpu_piece(const cpu_pieces *pieces, size_t piece, size_t rows[2], size_t columns[2]);

/* `total` in parts of nearly one size, multiples of `unit` but for the last, of at most `most`. */
static inline size_t pv_cpu_evenly(size_t total, size_t most, size_t unit)
{
    size_t parts = (total + most - 1) / most, each = (total + parts - 1) / parts;
    return (each + unit - 1) / unit * unit;
}

/* The plan half of the backend (plan.c). */
psgvit_status pv_cpu_plan_begin(psgvit_device *device, pv_plan **plan, psgvit_error *err);
psgvit_status pv_cpu_plan_finish(pv_plan *plan, psgvit_error *err);
psgvit_status pv_cpu_plan_start(pv_plan *plan, psgvit_error *err);
pv_tensor pv_cpu_operand(const pv_plan *plan, const pv_store *store, pv_tensor t);
pv_tensor pv_cpu_attention_operand(const pv_plan *plan, const pv_store *store, pv_tensor t,
                                   const pv_attention_shape *shape);
void pv_cpu_plan_destroy(pv_plan *plan);
extern const pv_ops pv_cpu_ops;

#endif
