/* SPDX-License-Identifier: MIT */
/*
 * Elements of a file as float32. All is done on the bits in integer registers: no rounding mode, no
 * flush-to-zero of the caller's can change a result, and no exception flag is raised. Blocks of
 * fixed length let a compiler vectorise at -O2; whether a block is finite is asked for the block,
 * and the index is looked for only if it is not.
 */
#include "weights/safetensors.h"

#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "psgvit needs a little-endian machine: files of weights and signals are copied as they are"
#endif

enum { BLOCK = 1024 }; /* elements: source and target of a block stay in the first-level cache */

#define EXPONENT 0x7F800000u /* of a float32; all ones: infinite or NaN */

static uint32_t widen_f16(uint32_t half)
{
    uint32_t sign = (half & 0x8000u) << 16, body = half & 0x7FFFu, small;
    /* A subnormal is its mantissa times 2^-24: exact as float32, so nothing rounds or flags. */
    float scaled = (float)(int32_t)body * 0x1p-24f;
    memcpy(&small, &scaled, sizeof small);
    /* Others move to the exponent's new bias; infinity and NaN move twice, to all ones. */
    uint32_t is_small = 0u - (uint32_t)(body < 0x400u),
             is_special = 0u - (uint32_t)(body >= 0x7C00u);
    uint32_t normal = (body << 13) + (112u << 23) + (is_special & (112u << 23));
    return sign | (is_small & small) | (~is_small & normal);
}

/* Rounded to nearest even; beyond the range of float32 it becomes infinity. */
static uint32_t narrow_f64(uint64_t bits)
{
    uint32_t sign = (uint32_t)(bits >> 32) & 0x80000000u;
    uint64_t body = bits & 0x7FFFFFFFFFFFFFFFu;
    uint64_t exponent = body >> 52;
    if (exponent == 0x7FF)
        return sign | EXPONENT | (body & 0xFFFFFFFFFFFFFu ? 0x400000u : 0);
    if (exponent >= 897) { /* 2^-126 and above: rounding may carry into the exponent */
        uint64_t rebased = body - (896ull << 52);
        uint64_t rounded = (rebased + 0xFFFFFFFu + (rebased >> 29 & 1)) >> 29;
        return sign | (rounded < EXPONENT ? (uint32_t)rounded : EXPONENT);
    }
    if (exponent < 873) /* under 2^-150, half of the smallest subnormal */
        return sign;
    uint64_t mantissa = (body & 0xFFFFFFFFFFFFFu) | 1ull << 52;
    unsigned shift = 29 + (unsigned)(897 - exponent);
    uint64_t half = (1ull << (shift - 1)) - 1;
    return sign | (uint32_t)((mantissa + half + (mantissa >> shift & 1)) >> shift);
}

/* ---- blocks: BLOCK elements at `from`, any alignment ----------------------------------------- */

static void convert_f32(const unsigned char *restrict from, float *restrict values)
{
    memcpy(values, from, BLOCK * sizeof *values);
}

static void convert_f16(const unsigned char *restrict from, float *restrict values)
{
    for (size_t i = 0; i < BLOCK; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        uint32_t bits = widen_f16(half);
        memcpy(values + i, &bits, sizeof bits);
    }
}

static void convert_bf16(const unsigned char *restrict from, float *restrict values)
{
    for (size_t i = 0; i < BLOCK; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(values + i, &bits, sizeof bits);
    }
}

static void convert_f64(const unsigned char *restrict from, float *restrict values)
{
    for (size_t i = 0; i < BLOCK; i++) {
        uint64_t wide;
        memcpy(&wide, from + 8 * i, sizeof wide);
        uint32_t bits = narrow_f64(wide);
        memcpy(values + i, &bits, sizeof bits);
    }
}

static int is_special(const float *value)
{
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    return (bits & EXPONENT) == EXPONENT;
}

/* Of BLOCK values, the index of the first that is NaN or infinite, or BLOCK. */
static size_t first_special(const float *values)
{
    int any = 0;
    for (size_t i = 0; i < BLOCK; i++)
        any |= is_special(values + i);
    size_t i = any ? 0 : BLOCK;
    while (i < BLOCK && !is_special(values + i))
        i++;
    return i;
}

/* ---- tensors --------------------------------------------------------------------------------- */

int pv_is_float(psgvit_dtype dtype)
{
    return dtype == PSGVIT_DTYPE_F32 || dtype == PSGVIT_DTYPE_F16 || dtype == PSGVIT_DTYPE_BF16 ||
           dtype == PSGVIT_DTYPE_F64;
}

size_t pv_convert(psgvit_dtype dtype, const void *bytes, size_t count, float *values)
{
    void (*convert)(const unsigned char *restrict, float *restrict) =
        dtype == PSGVIT_DTYPE_F16    ? convert_f16
        : dtype == PSGVIT_DTYPE_BF16 ? convert_bf16
        : dtype == PSGVIT_DTYPE_F64  ? convert_f64
                                     : convert_f32;
    size_t size = psgvit_dtype_bits(dtype) / 8, bad = count;
    size_t whole = count - count % BLOCK, rest = count % BLOCK;
    for (size_t i = 0; i < whole; i += BLOCK) {
        convert((const unsigned char *)bytes + i * size, values + i);
        size_t k = first_special(values + i);
        if (k < BLOCK && bad == count)
            bad = i + k;
    }
    if (rest > 0) { /* a block filled up with zeros */
        unsigned char from[BLOCK * sizeof(uint64_t)] = {0};
        float to[BLOCK];
        memcpy(from, (const unsigned char *)bytes + whole * size, rest * size);
        convert(from, to);
        memcpy(values + whole, to, rest * sizeof *to);
        size_t k = first_special(to);
        if (k < BLOCK && bad == count)
            bad = whole + k;
    }
    return bad;
}
