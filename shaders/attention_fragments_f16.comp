/* SPDX-License-Identifier: MIT */
/* Attention in f16 (attention_fragments.glsl); q, k and v are multiplied by F16_SCALE, which is
 * undone in the scores, and which the result is to have, too. */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define FORM    F16
#define Element float16_t
#define PARTS   1

#extension GL_GOOGLE_include_directive : require
#include "attention_fragments.glsl"
