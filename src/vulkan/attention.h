/* SPDX-License-Identifier: MIT */
/* Attention by cooperative matrices: how many subgroups a workgroup of it has. No bit of the result
 * depends on that, but on whether they are those of fragments, which have kernels of their own. */
#ifndef PV_VULKAN_ATTENTION_H
#define PV_VULKAN_ATTENTION_H

#include "vulkan/vulkan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vk_team {
    uint32_t down;   /* subgroups, each with as many queries as a matrix has rows; 0: as many as a
                        sequence takes, only of fragments */
    uint32_t across; /* subgroups that share the same queries; of fragments 1 */
    size_t enough;   /* workgroups that fill a device; with fewer a smaller team is better */
    bool fragments;  /* attention_fragments.glsl, else attention_matrix.glsl */
} vk_team;

/* All of them, the first that suits a shape is taken. */
typedef struct vk_teams {
    const vk_team *at;
    size_t count;
} vk_teams;

vk_teams pv_vk_teams(void);
/* Has the device what the team needs for this shape, with weights of this layout? */
bool pv_vk_team_runs(const vk_device *device, vk_layout layout, const pv_attention_shape *shape,
                     const vk_team *team);
/* The team for a shape; NULL: none, and attention.comp does it. */
const vk_team *pv_vk_team_for(const vk_device *device, vk_layout layout,
                              const pv_attention_shape *shape);
/* pv_vk_record_attention with a team that runs; NULL: attention.comp. */
psgvit_status pv_vk_record_team(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                                const pv_attention_shape *shape, const vk_team *team, pv_tensor y,
                                psgvit_error *err);

#endif
