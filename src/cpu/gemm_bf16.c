/* SPDX-License-Identifier: MIT */
/* Packs weights in bf16. Plain C, once at load: any machine does it the same way. */
#include "cpu/gemm_bf16.h"

#include <string.h>

/* Rounds to nearest, ties to even. NaN stays NaN: rounding could carry it over into zero. */
static uint16_t bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
}

size_t pv_bf16_packed_bytes(const pv_kernels *kernels, size_t n, size_t k)
{
    (void)kernels;
    size_t rows = (n + PV_BF16_PANEL - 1) / PV_BF16_PANEL * PV_BF16_PANEL;
    return rows * pv_bf16_padded(k) * sizeof(uint16_t);
}

size_t pv_bf16_pack_rows(const pv_kernels *kernels)
{
    (void)kernels;
    return PV_BF16_PANEL;
}

/* 32 of k, of which `width` exist, of one panel. */
static void pack_step(const float *rows, size_t count, size_t k, size_t width, uint16_t *to)
{
    for (size_t n = 0; n < PV_BF16_PANEL; n++)
        for (size_t j = 0; j < PV_BF16_STEP; j++) {
            float value = n < count && j < width ? rows[n * k + j] : 0.0f;
            to[(j / 2 * PV_BF16_PANEL + n) * 2 + j % 2] = bf16_of(value);
        }
}

void pv_bf16_pack(const pv_kernels *kernels, const float *rows, size_t first, size_t count,
                  size_t k, void *packed)
{
    size_t padded = pv_bf16_padded(k);
    (void)kernels;
    for (size_t p = 0; p < count; p += PV_BF16_PANEL) {
        uint16_t *panel = (uint16_t *)packed + (first + p) * padded;
        for (size_t j = 0; j < padded; j += PV_BF16_STEP)
            pack_step(rows + p * k + j, count - p, k, k - j, panel + j * PV_BF16_PANEL);
    }
}
