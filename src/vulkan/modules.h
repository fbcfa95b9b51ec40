/* SPDX-License-Identifier: MIT */
/* The shaders as SPIR-V, put into the library at build time (modules.S). */
#ifndef PV_VULKAN_MODULES_H
#define PV_VULKAN_MODULES_H

#include <stddef.h>
#include <stdint.h>

typedef enum vk_module {
    PV_MODULE_MIX_CHANNELS,
    PV_MODULE_PATCHIFY,
    PV_MODULE_LINEAR,       /* float32, by FMA */
    PV_MODULE_LINEAR_F16,   /* KHR cooperative matrices, one f16 product */
    PV_MODULE_LINEAR_BF16,  /* the same in bf16 */
    PV_MODULE_LINEAR_SPLIT, /* the same with float32's error, by three f16 products */
    PV_MODULE_LINEAR_FRAGMENTS_F16, /* the same three by matrices whose elements are known */
    PV_MODULE_LINEAR_FRAGMENTS_BF16,
    PV_MODULE_LINEAR_FRAGMENTS_SPLIT,
    PV_MODULE_ASSEMBLE,
    PV_MODULE_LAYERNORM,
    PV_MODULE_LAYERNORM_TILES,
    PV_MODULE_ATTENTION,       /* float32, by FMA */
    PV_MODULE_ATTENTION_F16,   /* KHR cooperative matrices, one f16 product */
    PV_MODULE_ATTENTION_SPLIT, /* the same with float32's error, by three f16 products */
    PV_MODULE_ATTENTION_FRAGMENTS_F16,   /* the same two on a device with `fragments` */
    PV_MODULE_ATTENTION_FRAGMENTS_SPLIT,
    PV_MODULE_SELECT_ROWS,
    PV_MODULE_MEAN_ROWS,
} vk_module;

typedef struct vk_code {
    const uint32_t *words;
    size_t bytes;
} vk_code;

vk_code pv_vk_module_code(vk_module module);
/* "linear_split" ...; lives for ever. */
const char *pv_vk_module_name(vk_module module);

#endif
