/* SPDX-License-Identifier: MIT */
/* A linear layer in f16 (linear_matrix.glsl). Weights come multiplied by a power of two that brings
 * the largest one below 2^14, activations are by F16_SCALE; `scale` undoes both. */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define FORM    F16
#define Element float16_t
#define PARTS   1

#extension GL_GOOGLE_include_directive : require
#include "linear_matrix.glsl"
