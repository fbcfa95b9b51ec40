/* SPDX-License-Identifier: MIT */
/*
 * Every op on a Vulkan device, and linear layers and attention in every precision, layout and class
 * of tiles that it can run.
 *
 *     test_ops_vulkan [DEVICE]
 *
 * DEVICE as in psgvit_device_params; without it, what the backend chooses. Without any device the
 * exit status is 77: skipped.
 */
#include "ops/cases.h"
#include "vulkan/attention.h"
#include "vulkan/linear.h"
#include "vulkan/vulkan.h"

#include <stdio.h>

enum { SKIPPED = 77 };

static int run_tiles(psgvit_device *device, psgvit_precision precision)
{
    vk_device *vulkan = (vk_device *)device;
    const vk_layout layout = pv_vk_layout_of(vulkan, precision);
    const vk_tiles tiles = pv_vk_tiles(vulkan, layout);
    const char *name = layout == VK_LAYOUT_SPLIT ? "f32 in two parts"
                                                 : psgvit_precision_name(precision);
    int failures = 0;
    if (!(device->info.precisions & (1u << precision))) {
        printf("not tested: %s, which this device lacks\n", name);
        return 0;
    }
    for (size_t i = 0; i < tiles.count; i++) {
        const vk_tile *t = &tiles.at[i];
        printf("-- %s, tiles of %u x %u x %u by %u groups\n", name, t->bm, t->bn, t->bk, t->split);
        if (!pv_vk_tile_runs(vulkan, layout, t)) {
            printf("not tested: too large for this device\n");
            continue;
        }
        vulkan->tile = t;
        failures += cases_run_linear(device, precision) + cases_run_layers(device, precision);
    }
    vulkan->tile = NULL;
    return failures + (precision == PSGVIT_BF16 ? cases_run_exact(device, precision) : 0);
}

static const vk_team *team;  /* of every attention that it can run */
static const vk_team *alone; /* the smallest one of the same kernel */
static int by_team;          /* how many were */

static void attend(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                   const pv_attention_shape *s, pv_tensor y)
{
    if (!pv_vk_team_runs((const vk_device *)plan->device, (vk_layout)y.form, s, team)) {
        pv_attention(plan, q, k, v, s, y);
        return;
    }
    by_team++;
    (void)pv_vk_record_team(plan, q, k, v, s, team, y, &plan->error);
}

/* Where the team runs, so does this one; where it doesn't, `attend` leaves the choice, too. */
static void attend_alone(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                         const pv_attention_shape *s, pv_tensor y)
{
    if (pv_vk_team_runs((const vk_device *)plan->device, (vk_layout)y.form, s, team))
        (void)pv_vk_record_team(plan, q, k, v, s, alone, y, &plan->error);
    else
        pv_attention(plan, q, k, v, s, y);
}

static const vk_team *smallest_of(vk_teams teams, bool fragments)
{
    const vk_team *t = teams.at + teams.count - 1;
    while (t->fragments != fragments)
        t--;
    return t;
}

static int run_teams(psgvit_device *device, psgvit_precision precision)
{
    const vk_device *vulkan = (const vk_device *)device;
    const vk_teams teams = pv_vk_teams();
    int failures = 0;
    if (precision == PSGVIT_BF16) /* never by matrices */
        return vulkan->features.bf16_matrix
                   ? cases_run_operand(device, precision, pv_attention, pv_attention)
                   : 0;
    if (!vulkan->features.f16_matrix || pv_vk_layout_of(vulkan, precision) == VK_LAYOUT_F32) {
        printf("not tested: attention in %s by matrices, which this device has none for\n",
               psgvit_precision_name(precision));
        return 0;
    }
    for (size_t i = 0; i < teams.count; i++) {
        by_team = 0;
        team = &teams.at[i];
        alone = smallest_of(teams, team->fragments);
        if (team->fragments && !pv_vk_by_fragments(vulkan, pv_vk_layout_of(vulkan, precision)))
            continue;
        failures += cases_run_operand(device, precision, attend, attend_alone);
        printf("-- attention in %s, %u by %u subgroups%s: %d by matrices\n",
               psgvit_precision_name(precision), team->down, team->across,
               team->fragments ? " of fragments" : "", by_team);
        failures += by_team == 0;
    }
    return failures;
}

/* A stream becomes an operand from so many numbers on. */
static int check_least_stream(psgvit_device *device)
{
    enum { ROWS = 32, COLS = 48 };
    vk_device *vulkan = (vk_device *)device;
    pv_store *store = NULL;
    pv_buffer *buffer = NULL;
    pv_plan *plan = NULL;
    psgvit_error err;
    int failures = 1;
    if (!(device->info.precisions & (1u << PSGVIT_F16)))
        return 0;
    if (!pv_store_create(device, PSGVIT_F16, &store, &err) &&
        !pv_buffer_create(device, ROWS * COLS, PV_DEVICE, &buffer, &err) &&
        !pv_plan_begin(device, &plan, &err)) {
        const pv_tensor t = pv_view(buffer, 0, ROWS, COLS);
        vulkan->least_stream = ROWS * COLS + 1;
        failures = pv_stream(plan, store, t).form != 0;
        vulkan->least_stream = ROWS * COLS;
        failures += pv_stream(plan, store, t).form == 0;
    }
    if (failures)
        printf("FAILED: the least stream that is an operand\n");
    pv_plan_destroy(plan);
    pv_buffer_destroy(device, buffer);
    pv_store_destroy(store);
    return failures;
}

int main(int argc, char **argv)
{
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_VULKAN,
                                   .device = argc > 1 ? argv[1] : NULL};
    psgvit_device *device;
    psgvit_error err;
    if (psgvit_device_open(&device, &params, &err)) {
        printf("not tested: %s\n", err.message);
        return argc > 1 ? 1 : SKIPPED;
    }
    printf("-- %s\n", device->info.name);
    vk_device *vulkan = (vk_device *)device;
    int failures = check_least_stream(device);
    vulkan->least_stream = 0; /* the cases' are small */
    failures += cases_run(device);
    for (psgvit_precision precision = PSGVIT_F32; precision <= PSGVIT_BF16; precision++)
        failures += run_teams(device, precision) + run_tiles(device, precision);
    vk_features *features = &vulkan->features;
    if (features->f16_matrix) { /* as a device without matrices computes */
        features->f16_matrix = false;
        failures += run_tiles(device, PSGVIT_F32);
        features->f16_matrix = true;
    }
    vulkan->twins = !vulkan->twins; /* as a device with or without memory of its own */
    printf("-- host buffers with%s twins\n", vulkan->twins ? "" : "out");
    failures += cases_run(device);
    psgvit_device_close(&device);
    return failures;
}
