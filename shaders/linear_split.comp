/* SPDX-License-Identifier: MIT */
/*
 * A linear layer with the error of float32 by three products of f16 (linear_matrix.glsl). Weights
 * come multiplied by a power of two that brings the largest one below 2^14. Activations are taken
 * as they are; where one is beyond f16, `flag` is set, and the caller computes again by
 * linear.comp.
 */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define FORM    SPLIT
#define Element float16_t
#define PARTS   2

#extension GL_GOOGLE_include_directive : require
#include "linear_matrix.glsl"
