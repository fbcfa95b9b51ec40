/* SPDX-License-Identifier: MIT */
/* Where the shaders of modules.S stand in memory. */
#include "vulkan/modules.h"

/* Begin and end of each, by its name in modules.S. */
#define PV_MODULE_LIST(F)                                                                          \
    F(PV_MODULE_MIX_CHANNELS, mix_channels)                                                        \
    F(PV_MODULE_PATCHIFY, patchify)                                                                \
    F(PV_MODULE_LINEAR, linear)                                                                    \
    F(PV_MODULE_LINEAR_F16, linear_f16)                                                            \
    F(PV_MODULE_LINEAR_BF16, linear_bf16)                                                          \
    F(PV_MODULE_LINEAR_SPLIT, linear_split)                                                        \
    F(PV_MODULE_LINEAR_FRAGMENTS_F16, linear_fragments_f16)                                        \
    F(PV_MODULE_LINEAR_FRAGMENTS_BF16, linear_fragments_bf16)                                      \
    F(PV_MODULE_LINEAR_FRAGMENTS_SPLIT, linear_fragments_split)                                    \
    F(PV_MODULE_ASSEMBLE, assemble)                                                                \
    F(PV_MODULE_LAYERNORM, layernorm)                                                              \
    F(PV_MODULE_LAYERNORM_TILES, layernorm_tiles)                                                  \
    F(PV_MODULE_ATTENTION, attention)                                                              \
    F(PV_MODULE_ATTENTION_F16, attention_f16)                                                      \
    F(PV_MODULE_ATTENTION_SPLIT, attention_split)                                                  \
    F(PV_MODULE_ATTENTION_FRAGMENTS_F16, attention_fragments_f16)                                  \
    F(PV_MODULE_ATTENTION_FRAGMENTS_SPLIT, attention_fragments_split)                              \
    F(PV_MODULE_SELECT_ROWS, select_rows)                                                          \
    F(PV_MODULE_MEAN_ROWS, mean_rows)

#define PV_MODULE_DECLARE(number, name)                                                            \
    extern const uint32_t pv_spirv_##name[], pv_spirv_##name##_end[];
PV_MODULE_LIST(PV_MODULE_DECLARE)

vk_code pv_vk_module_code(vk_module module)
{
    switch (module) {
#define PV_MODULE_CASE(number, name)                                                               \
    case number:                                                                                   \
        return (vk_code){pv_spirv_##name,                                                          \
                         (size_t)(pv_spirv_##name##_end - pv_spirv_##name) * sizeof(uint32_t)};
        PV_MODULE_LIST(PV_MODULE_CASE)
    default:
        return (vk_code){0};
    }
}

const char *pv_vk_module_name(vk_module module)
{
    switch (module) {
#define PV_MODULE_NAME(number, name)                                                               \
    case number: return #name;
        PV_MODULE_LIST(PV_MODULE_NAME)
    default: return "?";
    }
}
