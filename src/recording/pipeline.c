/* SPDX-License-Identifier: MIT */
/* Runs the tracks of a pipeline over a piece of a segment. How it is laid out: layout.c. */
#include "recording/pipeline.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

psgvit_status pv_worker_make(pv_worker *w, const pv_pipeline *p, psgvit_error *err)
{
    *w = (pv_worker){0};
    w->grid = calloc(p->leads, sizeof *w->grid);
    w->grid_room = calloc(p->leads, sizeof *w->grid_room);
    w->level = calloc(p->leads, sizeof *w->level);
    if (w->grid && w->grid_room && w->level)
        return PSGVIT_OK;
    pv_worker_free(w, p);
    return pv_fail_memory(err, "the preparation of a recording", p->leads * sizeof *w->level);
}

void pv_worker_free(pv_worker *w, const pv_pipeline *p)
{
    for (size_t i = 0; w->grid && i < p->leads; i++)
        pv_free(w->grid[i]);
    pv_free(w->raw);
    pv_free(w->digital);
    pv_free(w->x);
    pv_free(w->filtered);
    pv_free(w->work);
    free(w->grid);
    free(w->grid_room);
    free(w->level);
    *w = (pv_worker){0};
}

/* Pieces are of one size, so that this allocates for the first ones alone. */
static psgvit_status reserve(void **memory, size_t *room, size_t count, size_t size,
                             psgvit_error *err)
{
    size_t bytes;
    if (!pv_mul(count, size, &bytes))
        bytes = SIZE_MAX;
    if (bytes <= *room)
        return PSGVIT_OK;
    pv_free(*memory);
    *room = 0;
    *memory = bytes < SIZE_MAX ? pv_alloc(bytes) : NULL;
    if (!*memory)
        return pv_fail_memory(err, "a piece of the recording", bytes);
    *room = bytes;
    return PSGVIT_OK;
}

/* Samples [from, to) of a track's source, and beyond its ends; of them those in [low, high) must be
 * read, which are all inside it. */
typedef struct reach {
    int64_t from, to, low, high, length;
} reach;

static reach find_reach(const pv_edf *edf, const pv_edf_segment *segment, const pv_track *track,
                        pv_range range)
{
    const pv_resampler *r = track->route->resampler;
    int64_t extra = track->route->filter ? (int64_t)track->route->filter->half : 0;
    reach a = {.length = (int64_t)(segment->count * edf->signal[track->signal].per_record)};
    int64_t last = range.first + (int64_t)range.count - 1;
    a.from = pv_resampler_position(r, range.first, a.length) - (int64_t)r->before - extra;
    a.to = pv_resampler_position(r, last, a.length) + (int64_t)r->after + extra + 1;
    a.low = a.from < 0 ? 0 : a.from;
    a.high = a.to > a.length ? a.length : a.to;
    /* What stands beyond an end is made of as many samples inside. */
    if (a.from < 0 && a.high < 1 - a.from)
        a.high = 1 - a.from < a.length ? 1 - a.from : a.length;
    if (a.to > a.length && a.low > 2 * a.length - a.to - 1)
        a.low = 2 * a.length - a.to - 1 > 0 ? 2 * a.length - a.to - 1 : 0;
    return a;
}

/* Reads the records that all ranges need, and takes the used signals out of them. */
static psgvit_status read_records(const pv_pipeline *p, pv_worker *w, const pv_edf_segment *segment,
                                  const pv_range *range, size_t first, size_t count,
                                  psgvit_error *err)
{
    size_t begin = first, end = first + count, samples = 0;
    for (size_t i = 0; i < p->leads; i++)
        for (size_t t = 0; range[i].count && t < p->lead[i].tracks; t++) {
            const pv_track *track = &p->lead[i].track[t];
            int64_t per = (int64_t)p->edf->signal[track->signal].per_record;
            reach a = find_reach(p->edf, segment, track, range[i]);
            size_t low = (size_t)(a.low / per), high = (size_t)((a.high + per - 1) / per);
            begin = begin == end || low < begin ? low : begin;
            end = high > end ? high : end;
        }
    w->first = begin;
    w->count = end - begin;
    for (size_t u = 0; u < p->used; u++)
        samples += p->edf->signal[p->used_signal[u]].per_record;
    PV_TRY(reserve(&w->raw, &w->raw_room, w->count, p->edf->record_bytes, err));
    PV_TRY(reserve(&w->digital, &w->digital_room, w->count, samples * sizeof(int32_t), err));
    PV_TRY(pv_edf_read(p->edf, segment->first + begin, w->count, w->raw, err));
    int32_t *digital = w->digital;
    for (size_t u = 0; u < p->used; u++) {
        pv_edf_digital(p->edf, p->used_signal[u], w->raw, w->count, digital);
        digital += w->count * p->edf->signal[p->used_signal[u]].per_record;
    }
    return PSGVIT_OK;
}

const int32_t *pv_worker_digital(const pv_pipeline *p, const pv_worker *w, size_t used)
{
    const int32_t *digital = w->digital;
    for (size_t u = 0; u < used; u++)
        digital += w->count * p->edf->signal[p->used_signal[u]].per_record;
    return digital;
}

/* x[i - base] = the track's sample i for i in [a->low, a->high), less *level, its first: the rest
 * is what float32 has the digits for. */
static void combine(const pv_pipeline *p, const pv_worker *w, const pv_track *track, const reach *a,
                    int64_t base, float *x, double *level)
{
    size_t count = (size_t)(a->high - a->low);
    float *to = x + (a->low - base);
    *level = 0.0;
    for (size_t t = 0; t < track->terms; t++) {
        const pv_term *term = &track->term[t];
        size_t per_record = p->edf->signal[p->used_signal[term->used]].per_record;
        const int32_t *from =
            pv_worker_digital(p, w, term->used) + ((size_t)a->low - w->first * per_record);
        int32_t zero = from[0];
        float gain = (float)term->gain;
        *level += term->gain * (term->offset + zero);
        for (size_t i = 0; t == 0 && i < count; i++)
            to[i] = gain * (float)(from[i] - zero);
        for (size_t i = 0; t == 1 && i < count; i++)
            to[i] += gain * (float)(from[i] - zero);
    }
}

/* Beyond its ends a source goes on as MNE's 'reflect_limited' has it: by odd reflection, as far as
 * it has samples, and from there on, where a source is shorter than its filter, by its level. */
static void reflect(const reach *a, int64_t base, float *x)
{
    int64_t last = a->length - 1;
    for (int64_t i = a->from; i < 0 && i < a->to; i++)
        x[i - base] = -i <= last ? 2.0f * x[-base] - x[-i - base] : 0.0f;
    for (int64_t i = a->from > last ? a->from : last + 1; i < a->to; i++)
        x[i - base] = i <= 2 * last ? 2.0f * x[last - base] - x[2 * last - i - base] : 0.0f;
}

/* Adds the track's points to the lead's, or sets them. */
static psgvit_status run_track(const pv_pipeline *p, pv_worker *w, const pv_edf_segment *segment,
                               const pv_track *track, pv_range range, size_t lead, bool add,
                               psgvit_error *err)
{
    const pv_route *route = track->route;
    reach a = find_reach(p->edf, segment, track, range);
    int64_t base = a.low < a.from ? a.low : a.from, end = a.high > a.to ? a.high : a.to;
    size_t count = (size_t)(end - base) + PV_TAPS_STEP;
    PV_TRY(reserve(&w->x, &w->x_room, count, sizeof(float), err));
    float *x = w->x;
    double level;
    combine(p, w, track, &a, base, x, &level);
    reflect(&a, base, x);
    memset(x + (end - base), 0, PV_TAPS_STEP * sizeof *x);
    if (route->filter) {
        size_t kept = (size_t)(a.to - a.from) - 2 * route->filter->half;
        PV_TRY(reserve(&w->filtered, &w->filtered_room, kept + PV_TAPS_STEP, sizeof(float), err));
        PV_TRY(reserve(&w->work, &w->work_room, 2 * route->filter->size, sizeof(double), err));
        pv_convolve(route->filter, x + (a.from - base), kept, w->filtered, w->work);
        x = w->filtered;
        base = a.from + (int64_t)route->filter->half;
        memset(x + kept, 0, PV_TAPS_STEP * sizeof *x);
    }
    float *grid = w->grid[lead];
    if (add)
        grid += range.count;
    pv_resample(route->resampler, range.first, range.count, x, base, a.length, grid);
    for (size_t i = 0; add && i < range.count; i++)
        w->grid[lead][i] += grid[i];
    w->level[lead] = (add ? w->level[lead] : 0.0) + (route->level ? level : 0.0);
    return PSGVIT_OK;
}

psgvit_status pv_pipeline_run(const pv_pipeline *p, pv_worker *w, size_t segment,
                              const pv_range *range, size_t first, size_t count, psgvit_error *err)
{
    const pv_edf_segment *s = &p->edf->segment[segment];
    PV_TRY(read_records(p, w, s, range, first, count, err));
    for (size_t i = 0; i < p->leads; i++) {
        if (!range[i].count)
            continue;
        void *grid = w->grid[i];
        psgvit_status status = reserve(&grid, &w->grid_room[i], range[i].count * p->lead[i].tracks,
                                       sizeof(float), err);
        w->grid[i] = grid;
        PV_TRY(status);
        for (size_t t = 0; t < p->lead[i].tracks; t++)
            PV_TRY(run_track(p, w, s, &p->lead[i].track[t], range[i], i, t > 0, err));
    }
    return PSGVIT_OK;
}
