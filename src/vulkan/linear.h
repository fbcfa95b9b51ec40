/* SPDX-License-Identifier: MIT */
/* The classes of tiles that a linear layer is computed in: a row's bits depend on nothing but the
 * row and its class. */
#ifndef PV_VULKAN_LINEAR_H
#define PV_VULKAN_LINEAR_H

#include "vulkan/vulkan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a class takes, in microseconds on an H200; its proportions are taken for any device. */
typedef struct vk_cost {
    uint32_t resident; /* workgroups that a multiprocessor has at a time, */
    float start;       /* of a dispatch, */
    float round;       /* of a round of all multiprocessors, */
    float step;        /* of 1024 of k in it, */
    float add;         /* and what a round takes more where it adds to y */
} vk_cost;

typedef struct vk_tile {
    uint32_t bm, bn, bk; /* of a workgroup: rows, columns, and of k at a time */
    uint32_t tm, tn;     /* of a thread of linear.comp; else of a subgroup, whole matrices; bm is
                            whole tiles of an operand then, and so is each group's share of bk */
    uint32_t split;      /* groups of threads, or of subgroups, among which bk is divided */
    uint32_t chunk;      /* of linear.comp: of k, in steps of bk, that is summed up before it is
                            added; 0: all */
    vk_cost cost;
} vk_tile;

/* All classes of a kernel; the last suits any shape. */
typedef struct vk_tiles {
    const vk_tile *at;
    size_t count;
} vk_tiles;

vk_tiles pv_vk_tiles(const vk_device *device, vk_layout layout);
/* Those that the device chooses from, but for any but the last one only where it runs. */
vk_tiles pv_vk_choices(const vk_device *device, vk_layout layout);

/* A limit of the device that a class of tiles goes beyond. */
typedef struct vk_lack {
    const char *limit; /* its name in Vulkan; NULL: there is none */
    uint64_t found, needed;
} vk_lack;

vk_lack pv_vk_tile_lacks(const vk_device *device, vk_layout layout, const vk_tile *tile);
/* Does it lack nothing? */
bool pv_vk_tile_runs(const vk_device *device, vk_layout layout, const vk_tile *tile);
/* The class of the least cost for y [m, n] and x [m, k]. */
const vk_tile *pv_vk_tile_for(const vk_device *device, vk_layout layout, pv_epilogue epilogue,
                              size_t m, size_t n, size_t k);

#endif
