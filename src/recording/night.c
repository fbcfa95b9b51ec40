/* SPDX-License-Identifier: MIT */
/* Statistics of a whole night, in rounds of a few pieces for each thread. */
#include "recording/night.h"

#include "base/status.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

/* A piece of a round: records [first, first + count) of a segment. */
typedef struct piece {
    size_t segment, first, count;
    pv_range *range;  /* [leads] */
    pv_moments *lead; /* [leads] */
    pv_scan *scan;    /* [used] */
    psgvit_status status;
    psgvit_error err;
} piece;

size_t pv_night_flat_run(const pv_edf *edf, size_t i)
{
    double run = ceil(edf->signal[i].rate);
    return run > 2.0 ? (size_t)run : 2;
}

void pv_night_free(pv_night *night)
{
    free(night->lead);
    free(night->scan);
    *night = (pv_night){0};
}

static void free_pieces(piece *pieces, size_t count)
{
    for (size_t i = 0; pieces && i < count; i++) {
        free(pieces[i].range);
        free(pieces[i].lead);
        free(pieces[i].scan);
    }
    free(pieces);
}

static psgvit_status make_pieces(piece **pieces, size_t count, const pv_pipeline *p,
                                 psgvit_error *err)
{
    bool made = (*pieces = calloc(count, sizeof **pieces)) != NULL;
    for (size_t i = 0; made && i < count; i++) {
        piece *a = &(*pieces)[i];
        a->range = calloc(p->leads, sizeof *a->range);
        a->lead = calloc(p->leads, sizeof *a->lead);
        a->scan = calloc(p->used, sizeof *a->scan);
        made = a->range && a->lead && a->scan;
    }
    if (made)
        return PSGVIT_OK;
    free_pieces(*pieces, count);
    *pieces = NULL;
    return pv_fail_memory(err, "the statistics of a recording",
                          count * (sizeof **pieces + p->leads * sizeof(pv_moments)));
}

/* The first grid point at or behind the start of record r of a segment. */
static int64_t first_point(const pv_edf *edf, double rate, size_t r)
{
    return (int64_t)ceil((double)r * edf->record_seconds * rate - 1e-6);
}

/* The grid points of a lead that belong to a piece. osf-train: from the second one on, up to that
 * at the end of the last whole second, for which the last sample stands. */
static pv_range find_range(const pv_edf *edf, const pv_recipe *recipe, const pv_route *route,
                           const piece *a)
{
    const pv_edf_segment *s = &edf->segment[a->segment];
    double rate = route->grid_rate, seconds = (double)s->count * edf->record_seconds;
    int64_t from = first_point(edf, rate, a->first);
    int64_t to = first_point(edf, rate, a->first + a->count);
    if (route->late) {
        int64_t end = (int64_t)(floor(seconds + 1e-6) * rate) + 1;
        from = from ? from : 1;
        to = to > end || a->first + a->count == s->count ? end : to;
    }
    if (isfinite(recipe->night_seconds)) { /* the night ends at a grid point, which counts */
        double night = edf->segment[0].onset + recipe->night_seconds;
        int64_t end = llround(night * rate) - llround(s->onset * rate) + 1;
        to = to < end ? to : end;
    }
    return (pv_range){from, to > from ? (size_t)(to - from) : 0};
}

/* Two passes, which cost little beside a filter and lose nothing. */
static pv_moments gather(const float *grid, size_t count, double level)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += grid[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (grid[i] - mean) * (grid[i] - mean);
    return (pv_moments){(double)count, mean + level, squares};
}

static void join(pv_moments *all, const pv_moments *part)
{
    double count = all->count + part->count, apart = part->mean - all->mean;
    if (part->count <= 0.0)
        return;
    all->mean += apart * (part->count / count);
    all->squares += part->squares + apart * apart * (all->count / count * part->count);
    all->count = count;
}

static void run_piece(const pv_pipeline *p, const pv_recipe *recipe, piece *a, pv_worker *w)
{
    const pv_edf *edf = p->edf;
    for (size_t i = 0; i < p->leads; i++) {
        const pv_made_lead *lead = &p->lead[i];
        bool wanted = lead->tracks && recipe->scaling == PV_SCALING_NIGHT;
        a->range[i] = wanted ? find_range(edf, recipe, lead->track[0].route, a) : (pv_range){0};
    }
    a->status = pv_pipeline_run(p, w, a->segment, a->range, a->first, a->count, &a->err);
    if (a->status)
        return;
    for (size_t i = 0; i < p->leads; i++)
        a->lead[i] = a->range[i].count ? gather(w->grid[i], a->range[i].count, w->level[i])
                                       : (pv_moments){0};
    for (size_t u = 0; u < p->used; u++) {
        const pv_edf_signal *s = &edf->signal[p->used_signal[u]];
        bool up = s->digital_min < s->digital_max;
        const int32_t *digital = pv_worker_digital(p, w, u);
        a->scan[u] = pv_scan_piece(digital + (a->first - w->first) * s->per_record,
                                   a->count * s->per_record, up ? s->digital_min : s->digital_max,
                                   up ? s->digital_max : s->digital_min,
                                   pv_night_flat_run(edf, p->used_signal[u]));
    }
}

/* Puts the next piece behind *segment and *record into a; false at the end. */
static bool next_piece(const pv_edf *edf, size_t records, size_t *segment, size_t *record, piece *a)
{
    while (*segment < edf->segments && *record >= edf->segment[*segment].count) {
        ++*segment;
        *record = 0;
    }
    if (*segment == edf->segments)
        return false;
    size_t left = edf->segment[*segment].count - *record;
    a->segment = *segment;
    a->first = *record;
    a->count = left < records ? left : records;
    *record += a->count;
    return true;
}

static psgvit_status run_rounds(pv_night *night, const pv_pipeline *p, const pv_recipe *recipe,
                                size_t records, piece *pieces, pv_worker *worker, size_t workers,
                                psgvit_error *err)
{
    for (size_t segment = 0, record = 0;;) {
        size_t count = 0, most = PV_PIECES_A_THREAD * workers;
        while (count < most && next_piece(p->edf, records, &segment, &record, &pieces[count]))
            count++;
        if (!count)
            return PSGVIT_OK;
#pragma omp parallel for num_threads((int)(count < workers ? count : workers)) schedule(dynamic)
        for (size_t i = 0; i < count; i++)
            run_piece(p, recipe, &pieces[i], &worker[omp_get_thread_num()]);
        for (size_t i = 0; i < count; i++) {
            if (pieces[i].status) {
                if (err)
                    *err = pieces[i].err;
                return pieces[i].status;
            }
            for (size_t k = 0; k < p->leads; k++)
                join(&night->lead[k], &pieces[i].lead[k]);
            for (size_t u = 0; u < p->used; u++)
                pv_scan_join(&night->scan[u], &pieces[i].scan[u],
                             pv_night_flat_run(p->edf, p->used_signal[u]));
        }
    }
}

psgvit_status pv_night_make(pv_night *night, const pv_pipeline *p, const pv_recipe *recipe,
                            double piece_seconds, pv_worker *worker, size_t workers,
                            psgvit_error *err)
{
    double records = floor(piece_seconds / p->edf->record_seconds);
    piece *pieces = NULL;
    *night = (pv_night){0};
    night->lead = calloc(p->leads, sizeof *night->lead);
    night->scan = calloc(p->used, sizeof *night->scan);
    psgvit_status status = PSGVIT_OK;
    if (!night->lead || !night->scan)
        status =
            pv_fail_memory(err, "the statistics of a recording", p->leads * sizeof *night->lead);
    if (!status)
        status = make_pieces(&pieces, PV_PIECES_A_THREAD * workers, p, err);
    if (!status)
        status = run_rounds(night, p, recipe, records > 1.0 ? (size_t)records : 1, pieces, worker,
                            workers, err);
    free_pieces(pieces, PV_PIECES_A_THREAD * workers);
    if (status)
        pv_night_free(night);
    return status;
}
