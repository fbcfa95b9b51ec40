/* SPDX-License-Identifier: MIT */
/* Attention in bf16 (attention_matrix.glsl), which has the range of float32. */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_bfloat16 : require

#define FORM    BF16
#define Element bfloat16_t
#define PARTS   1

#extension GL_GOOGLE_include_directive : require
#include "attention_matrix.glsl"
