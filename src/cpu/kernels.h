/* SPDX-License-Identifier: MIT */
/*
 * The CPU's kernels: one table per instruction set, all from one body (kernels_body.h) that is
 * compiled once per set. Nothing here knows of threads, buffers or models. Rows are contiguous
 * float32 of any alignment and any length; kernels never read or write outside of them. NaN and
 * infinity in one row never reach another.
 */
#ifndef PV_CPU_KERNELS_H
#define PV_CPU_KERNELS_H

#include <psgvit/psgvit.h>

#include <stddef.h>

/* One head of one sequence: out = softmax(scale * q k^T) v. Pointers are to the head's first
 * element; strides are from row to row, in floats. */
typedef struct pv_head {
    const float *q; /* [queries, dim] */
    const float *k; /* [keys, dim] */
    const float *v; /* [keys, dim] */
    float *out;     /* [queries, dim] */
    size_t q_stride, k_stride, v_stride, out_stride;
    size_t queries, keys, dim;
    float scale; /* > 0 */
    float *workspace; /* attention_workspace(keys, dim) floats, aligned to 64 bytes */
} pv_head;

/* c[rows, nr] = a[rows, k] * b, plus what c holds if accumulate is set (if not, c is not read). */
typedef struct pv_tile {
    size_t k;
    const float *a; /* [rows, k] */
    const float *b; /* a packed panel [k, nr], aligned to 64 bytes or to one of its rows */
    float *c;       /* [rows, nr] */
    size_t a_stride, c_stride;
    int accumulate;
    /* What will be read soon: so many cache lines, or as many as there is time for, are brought
     * into the cache meanwhile. */
    const float *next;
    size_t next_lines;
} pv_tile;

enum { PV_MOST_TILE = 14 * 32 }; /* most that mr * nr below may be: AVX-512's tile */

typedef struct pv_kernels {
    psgvit_isa isa;

    /* y = (x - mean) / sqrt(var + eps) * gamma + beta over one row of n; y may be x. */
    void (*layernorm)(const float *x, const float *gamma, const float *beta, float eps, size_t n,
                      float *y);

    /* Epilogues of a row of a linear layer, in place; bias may be NULL (none): y += bias,
     * y = gelu(y + bias). */
    void (*bias)(float *y, const float *bias, size_t n);
    void (*bias_gelu)(float *y, const float *bias, size_t n);

    /* y = a + b. */
    void (*add)(const float *a, const float *b, size_t n, float *y);
    /* y += s * x. */
    void (*axpy)(float s, const float *x, size_t n, float *y);

    /* The matrix product's micro-kernel, for 1 <= rows <= mr. A row's result does not depend on the
     * others nor on `rows`, so rows are best cut into tiles of nearly one size. */
    size_t mr, nr;
    size_t kc; /* most of k for one tile, so that no sum runs over more products */
    void (*gemm_tile)(size_t rows, const pv_tile *tile);

    /* `count` rows of k, at least one, stride apart, to a panel [k, nr]; only the first nr are
     * taken, and the columns of rows that are missing hold copies. */
    void (*pack)(const float *rows, size_t stride, size_t count, size_t k, float *panel);

    void (*attention)(const pv_head *head);
    size_t (*attention_workspace)(size_t keys, size_t dim); /* floats; queries go in blocks of mr */
} pv_kernels;

/* The table of the best set at or below `ceiling` that was compiled in; the caller has made sure
 * that the machine has it. AMX has no table of its own: it is AVX-512's. */
const pv_kernels *pv_kernels_for(psgvit_isa ceiling);

extern const pv_kernels pv_kernels_c;
#if defined(__x86_64__)
extern const pv_kernels pv_kernels_avx2;
extern const pv_kernels pv_kernels_avx512;
#endif

#endif
