/* SPDX-License-Identifier: MIT */
/* A linear layer in f16 (linear_fragments.glsl).
 * See linear_f16.comp for its scales. */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define FORM    F16
#define Element float16_t
#define PARTS   1

#extension GL_GOOGLE_include_directive : require
#include "linear_fragments.glsl"
