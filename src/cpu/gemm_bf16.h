/* SPDX-License-Identifier: MIT */
/*
 * Weights in bf16 as both kernels that multiply by them read them: panels of 32 columns of y,
 * [n / 32][k / 2][32][2], in pairs of k; rows of W and k beyond the last are zeros, k up to a
 * multiple of 32.
 */
#ifndef PV_CPU_GEMM_BF16_H
#define PV_CPU_GEMM_BF16_H

#include "cpu/cpu.h"

#include <stdint.h>

enum { PV_BF16_PANEL = 32, PV_BF16_STEP = 32 };

/* k with the zeros behind it. */
static inline size_t pv_bf16_padded(size_t k)
{
    return (k + PV_BF16_STEP - 1) / PV_BF16_STEP * PV_BF16_STEP;
}

/* Bytes, unit and packing as cpu_gemm's. */
size_t pv_bf16_packed_bytes(const pv_kernels *kernels, size_t n, size_t k);
size_t pv_bf16_pack_rows(const pv_kernels *kernels);
void pv_bf16_pack(const pv_kernels *kernels, const float *rows, size_t first, size_t count,
                  size_t k, void *packed);

#endif
