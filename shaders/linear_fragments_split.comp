/* SPDX-License-Identifier: MIT */
/* A linear layer with the error of float32 by three products of f16 (linear_fragments.glsl).
 * See linear_split.comp for its range. */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define FORM    SPLIT
#define Element float16_t
#define PARTS   2

#extension GL_GOOGLE_include_directive : require
#include "linear_fragments.glsl"
