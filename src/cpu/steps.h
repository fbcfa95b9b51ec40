/* SPDX-License-Identifier: MIT */
/* What a recorded op of the CPU holds, and the functions that do a thread's part of it. */
#ifndef PV_CPU_STEPS_H
#define PV_CPU_STEPS_H

#include "cpu/cpu.h"

/* A view with its address resolved. */
typedef struct cpu_rows {
    float *at;
    size_t rows, cols, stride; /* floats, whatever it holds */
} cpu_rows;

typedef struct cpu_mix {
    cpu_rows x, weight, y;
    const float *bias;
} cpu_mix;

typedef struct cpu_patchify {
    cpu_rows x, y;
    pv_patch_shape shape;
} cpu_patchify;

typedef struct cpu_assemble {
    cpu_rows x, table, y;
    size_t first;
} cpu_assemble;

typedef struct cpu_layernorm {
    cpu_rows x, y;
    const float *gamma, *beta;
    float eps;
    cpu_operand_fn to_operand; /* y is one; or NULL */
} cpu_layernorm;

typedef struct cpu_attention {
    cpu_rows q, k, v, y;
    pv_attention_shape shape;
    cpu_operand_fn to_operand; /* y is one; or NULL */
} cpu_attention;

typedef struct cpu_select {
    cpu_rows x, y;
    pv_row_range range;
} cpu_select;

typedef union cpu_args {
    cpu_mix mix;
    cpu_patchify patchify;
    cpu_linear linear;
    cpu_assemble assemble;
    cpu_layernorm layernorm;
    cpu_attention attention;
    cpu_select select; /* of the mean, too */
} cpu_args;

typedef struct cpu_op {
    cpu_run_fn run;
    bool alone; /* by one thread, outside of the team */
    size_t noted; /* in the plan's profile, if it has one */
    cpu_args as;
} cpu_op;

/* Of a head, without the result. */
static inline size_t pv_cpu_attention_floats(const pv_kernels *kernels,
                                             const pv_attention_shape *shape)
{
    return kernels->attention_workspace(shape->keys, shape->dim);
}

void pv_cpu_run_mix(const cpu_args *args, const cpu_team *team);
void pv_cpu_run_patchify(const cpu_args *args, const cpu_team *team);
void pv_cpu_run_epilogue(const cpu_args *args, const cpu_team *team);
void pv_cpu_run_assemble(const cpu_args *args, const cpu_team *team);
void pv_cpu_run_layernorm(const cpu_args *args, const cpu_team *team);
void pv_cpu_run_attention(const cpu_args *args, const cpu_team *team);
void pv_cpu_run_select(const cpu_args *args, const cpu_team *team);
void pv_cpu_run_mean(const cpu_args *args, const cpu_team *team);

#endif
