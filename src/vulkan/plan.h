/* SPDX-License-Identifier: MIT */
/* A plan of the GPU inside: what command.c records and run.c runs. */
#ifndef PV_VULKAN_PLAN_H
#define PV_VULKAN_PLAN_H

#include "vulkan/vulkan.h"

typedef struct vk_piece {
    VkCommandBuffer commands;
    size_t first, count; /* dispatches */
    double flops;
} vk_piece;

typedef struct vk_plan {
    pv_plan base;
    vk_device *device;
    vk_dispatch *dispatches; /* while recording */
    size_t count, room;
    vk_piece *pieces;
    size_t piece_count;
    double flops;
    VkDescriptorPool sets;
    VkCommandPool pool;
    VkFence fence;
    double started; /* when it was submitted last */
    VkQueryPool times;   /* VK_NULL_HANDLE where the queue has no clock */
    uint32_t time_count; /* begin and end; with a profile, begin and the end of each dispatch */
    uint64_t *ticks;     /* [time_count], of the last run */
    size_t *noted;       /* with a profile: the op of each dispatch; else NULL */
    size_t noted_room;
    pv_buffer *flag;     /* NULL: nobody asked for it */
} vk_plan;

#endif
