/* SPDX-License-Identifier: MIT */
/* Packs weights in bf16. Plain C, once at load: any machine does it the same way; a pair of k is a
 * word whose low half is the first, as on every CPU that has the kernels. */
#include "cpu/gemm_bf16.h"

#include <string.h>

/* Rounds a float32's bits to nearest, ties to even. NaN stays NaN: rounding could carry it over
 * into zero. */
static uint32_t bf16_of(uint32_t bits)
{
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded;
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

/* 32 of k, of which `width` exist, of one row of W: 16 pairs, 32 apart. */
static void pack_row(const float *row, size_t width, uint32_t *to)
{
    uint32_t bits[PV_BF16_STEP] = {0};
    memcpy(bits, row, (width < PV_BF16_STEP ? width : PV_BF16_STEP) * sizeof *bits);
    for (size_t j = 0; j < PV_BF16_STEP; j++)
        bits[j] = bf16_of(bits[j]);
    for (size_t j = 0; j < PV_BF16_STEP / 2; j++)
        to[j * PV_BF16_PANEL] = bits[2 * j] | bits[2 * j + 1] << 16;
}

void pv_bf16_pack(const pv_kernels *kernels, const float *rows, size_t first, size_t count,
                  size_t k, void *packed)
{
    size_t padded = pv_bf16_padded(k);
    (void)kernels;
    for (size_t p = 0; p < count; p += PV_BF16_PANEL) {
        uint32_t *panel = (uint32_t *)packed + (first + p) * padded / 2;
        for (size_t j = 0; j < padded; j += PV_BF16_STEP)
            for (size_t n = 0; n < PV_BF16_PANEL; n++) {
                size_t width = p + n < count ? k - j : 0;
                pack_row(width ? rows + (p + n) * k + j : rows, width,
                         panel + j / 2 * PV_BF16_PANEL + n);
            }
    }
}
