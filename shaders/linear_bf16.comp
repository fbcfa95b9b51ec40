/* SPDX-License-Identifier: MIT */
/* A linear layer in bf16 (linear_matrix.glsl), which has the range of float32. */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_bfloat16 : require

#define Element bfloat16_t
#define PARTS 1

struct Packed {
    uint part[PARTS];
};

/* Rounded to even by integers, since a float32 that becomes a bfloat16 and bits again needs one
 * more feature of a device. NaN, whatever its bits, stays one. */
uint round_bits(float v)
{
    const uint bits = floatBitsToUint(v);
    return (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u
                                              : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

Packed pack(vec2 v)
{
    return Packed(uint[](round_bits(v.x) | round_bits(v.y) << 16));
}

void tell()
{
}

#extension GL_GOOGLE_include_directive : require
#include "linear_matrix.glsl"
