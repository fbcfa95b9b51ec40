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

/* Bytes [from, to) of a host buffer that has a twin. */
typedef struct vk_range {
    const vk_buffer *host;
    uint64_t from, to;
} vk_range;

typedef struct vk_ranges {
    vk_range *at;
    size_t count, room;
} vk_ranges;

/* What a plan copies between host buffers and their twins. */
typedef struct vk_staging {
    vk_ranges in, out; /* to the twins, in front of all dispatches; and back behind them */
    vk_ranges known;   /* that the twins have, so far: copied in or written */
} vk_staging;

/* Copies that go by queues of their own, beside the computing of another plan. */
typedef struct vk_copies {
    VkCommandPool pool;           /* VK_NULL_HANDLE: the pieces have them */
    VkCommandBuffer in, out;      /* NULL: there is nothing to copy */
    VkSemaphore copied, computed; /* signalled behind `in`, and behind the last piece */
} vk_copies;

typedef struct vk_plan {
    pv_plan base;
    vk_device *device;
    vk_dispatch *dispatches; /* while recording */
    size_t count, room;
    vk_staging staging; /* while recording */
    vk_copies copies;
    vk_piece *pieces;
    size_t piece_count;
    double flops;
    VkDescriptorPool sets;
    VkCommandPool pool;
    VkFence fence;
    double started;      /* when it was submitted last */
    VkQueryPool times;   /* VK_NULL_HANDLE where the queue has no clock */
    uint32_t time_count; /* begin and end; with a profile, begin and the end of each dispatch */
    uint64_t *ticks;     /* [time_count], of the last run */
    size_t *noted;       /* with a profile: the op of each dispatch; else NULL */
    size_t noted_room;
    vk_buffer *flag;     /* NULL: nobody asked for it */
} vk_plan;

/* ---- staging.c ---- */

/* Takes note of what a dispatch does with twins, in the plan's order. */
psgvit_status pv_vk_staging_use(vk_staging *staging, const vk_dispatch *dispatch,
                                psgvit_error *err);
/* The copies in and those out, with their barriers, into command buffers that compute. */
void pv_vk_staging_write_in(const vk_staging *staging, const vk_device *device,
                            VkCommandBuffer commands);
void pv_vk_staging_write_out(const vk_staging *staging, const vk_device *device,
                             VkCommandBuffer commands);
void pv_vk_staging_free(vk_staging *staging);
/* Records the plan's copies for queues of their own if it has many bytes of them, and the device
 * such queues. */
psgvit_status pv_vk_copies_create(vk_plan *plan, psgvit_error *err);
void pv_vk_copies_destroy(const vk_copies *copies, const vk_device *device);

#endif
