/* SPDX-License-Identifier: MIT */
/*
 * Copies between host buffers and their twins. A GPU with memory of its own reads what the host
 * wrote ten to a hundred times slower than its own, and its matrix units wait meanwhile: shaders
 * see the twin. What a plan reads of twins is copied there in front of its first dispatch, and what
 * it has written back behind its last one.
 */
#include "base/memory.h"
#include "vulkan/plan.h"

#include <stdlib.h>

/* Appends what the use spans, as one range with those that it touches: no two of a list do. */
static psgvit_status add(vk_ranges *ranges, const vk_use *use, psgvit_error *err)
{
    vk_range range = {use->host, use->from, use->to};
    size_t apart = 0;
    if (range.from == range.to)
        return PSGVIT_OK;
    for (size_t i = 0; i < ranges->count; i++) {
        const vk_range *r = &ranges->at[i];
        if (r->host != range.host || r->from > range.to || range.from > r->to) {
            ranges->at[apart++] = *r;
            continue;
        }
        range.from = r->from < range.from ? r->from : range.from;
        range.to = r->to > range.to ? r->to : range.to;
    }
    ranges->count = apart;
    vk_range *at = pv_grow(ranges->at, &ranges->room, apart, sizeof *at, "a plan", err);
    if (!at)
        return PSGVIT_E_MEMORY;
    ranges->at = at;
    at[ranges->count++] = range;
    return PSGVIT_OK;
}

static bool holds(const vk_ranges *ranges, const vk_use *use)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const vk_range *r = &ranges->at[i];
        if (r->host == use->host && r->from <= use->from && use->to <= r->to)
            return true;
    }
    return use->from == use->to;
}

/* What the host wrote must be there, unless the plan has replaced it all. */
static psgvit_status need(vk_staging *s, const vk_use *use, psgvit_error *err)
{
    if (holds(&s->known, use))
        return PSGVIT_OK;
    PV_TRY(add(&s->in, use, err));
    return add(&s->known, use, err);
}

psgvit_status pv_vk_staging_use(vk_staging *s, const vk_dispatch *dispatch, psgvit_error *err)
{
    for (uint32_t i = 0; i < dispatch->uses; i++) {
        const vk_use *use = &dispatch->use[i];
        if (use->host && !use->whole) /* of what isn't written the twin knows nothing, either */
            PV_TRY(need(s, use, err));
    }
    for (uint32_t i = 0; i < dispatch->uses; i++) {
        const vk_use *use = &dispatch->use[i];
        if (!use->host || !use->write)
            continue;
        PV_TRY(add(&s->known, use, err));
        PV_TRY(add(&s->out, use, err));
    }
    return PSGVIT_OK;
}

static void copy(const vk_device *d, VkCommandBuffer commands, const vk_range *r, VkBuffer from,
                 VkBuffer to)
{
    const VkBufferCopy region = {r->from, r->from, r->to - r->from};
    d->api.CmdCopyBuffer(commands, from, to, 1, &region);
}

void pv_vk_staging_write_in(const vk_staging *s, const vk_device *device, VkCommandBuffer commands)
{
    for (size_t i = 0; i < s->in.count; i++) {
        const vk_buffer *host = s->in.at[i].host;
        copy(device, commands, &s->in.at[i], host->buffer, host->twin->buffer);
    }
}

void pv_vk_staging_write_out(const vk_staging *s, const vk_device *device, VkCommandBuffer commands)
{
    for (size_t i = 0; i < s->out.count; i++) {
        const vk_buffer *host = s->out.at[i].host;
        copy(device, commands, &s->out.at[i], host->twin->buffer, host->buffer);
    }
}

void pv_vk_staging_free(vk_staging *s)
{
    free(s->in.at);
    free(s->out.at);
    free(s->known.at);
    *s = (vk_staging){0};
}
