/* SPDX-License-Identifier: MIT */
/*
 * A linear layer in f16 (linear_matrix.glsl). Weights come multiplied by a power of two that brings
 * the largest one below 2^14. Activations are multiplied by 2^-5 here: float16 reaches up to 2^21
 * then, where hidden values of trained models stay below 2^18, and what becomes subnormal loses at
 * most 2^-20. That is little beside the rest: normalised rows, attention's means of values and
 * GELU's results are of the order of one, and patches, whatever their unit, are added to position
 * or channel embeddings. A value beyond 2^21 makes the results of its own row infinite or NaN,
 * which is seen, where a clamped one would be wrong in silence. `scale` undoes both powers.
 */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define Element float16_t
#define PARTS 1

struct Packed {
    uint part[PARTS];
};

Packed pack(vec2 v)
{
    return Packed(uint[](packHalf2x16(v * 0.03125)));
}

void tell()
{
}

#extension GL_GOOGLE_include_directive : require
#include "linear_matrix.glsl"
