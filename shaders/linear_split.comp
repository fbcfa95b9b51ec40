/* SPDX-License-Identifier: MIT */
/*
 * A linear layer with the error of float32 by three products of f16 (linear_matrix.glsl): a number
 * is first + 2^-11 second, 22 bits in all, and second times second is left out. Weights come
 * multiplied by a power of two that brings the largest one below 2^14. Activations are taken as
 * they are; where one is beyond f16, `too_large` is set, and the caller computes again by
 * linear.comp.
 */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define Element float16_t
#define PARTS 2

layout(binding = 4) writeonly buffer Flag { float too_large; };

struct Packed {
    uint part[PARTS];
};

bool found = false;

/* What a normal f16 stands for, by integers: drivers take a conversion there and back for nothing.
 * Below 2^-14 the first part is 0, so that there is none that is subnormal. */
float first_value(uint bits)
{
    const uint magnitude = bits & 0x7fffu;
    return magnitude < 0x400u ? 0.0
                              : uintBitsToFloat((bits & 0x8000u) << 16 |
                                                (magnitude << 13) + (112u << 23));
}

Packed pack(vec2 v)
{
    found = found || any(greaterThan(abs(v), vec2(65504.0)));
    uint first = packHalf2x16(v);
    const vec2 value = vec2(first_value(first & 0xffffu), first_value(first >> 16));
    first &= (value.x == 0.0 ? 0x8000u : 0xffffu) | (value.y == 0.0 ? 0x8000u : 0xffffu) << 16;
    return Packed(uint[](first, packHalf2x16((v - value) * 2048.0)));
}

void tell()
{
    if (found)
        too_large = 1.0;
}

#extension GL_GOOGLE_include_directive : require
#include "linear_matrix.glsl"
