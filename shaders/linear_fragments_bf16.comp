/* SPDX-License-Identifier: MIT */
/* A linear layer in bf16 (linear_fragments.glsl).
 * It has the range of float32. */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_bfloat16 : require

#define FORM    BF16
#define Element bfloat16_t
#define PAIR_OF_BF16
#define PARTS   1

#extension GL_GOOGLE_include_directive : require
#include "linear_fragments.glsl"
