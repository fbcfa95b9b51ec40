/* SPDX-License-Identifier: MIT */
/*
 * Attention with the error of float32, each product by three of f16 (attention_fragments.glsl).
 * Where a number of q, k or v is beyond f16, `flag` is set, and the caller computes again by
 * attention.comp.
 */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define FORM    SPLIT
#define Element float16_t
#define PARTS   2

#extension GL_GOOGLE_include_directive : require
#include "attention_fragments.glsl"
