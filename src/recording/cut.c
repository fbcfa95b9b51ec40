/* SPDX-License-Identifier: MIT */
/* Cuts, scales and references epochs. */
#include "recording/cut.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 256 }; /* samples of all leads that are averaged at once */

/* The grid point at `seconds`; segments that start between two points are moved to the nearer. */
static int64_t point_at(const pv_route *route, double onset, double seconds)
{
    int64_t point = llround(seconds * route->grid_rate) - llround(onset * route->grid_rate);
    return point > 0 ? point : 0;
}

/* How many grid points an epoch is made of. */
static size_t points(const pv_route *route, size_t samples)
{
    return (size_t)((samples - 1) * route->pick.num / route->pick.den) + 1;
}

pv_range pv_cut_range(const pv_cutter *cutter, size_t lead, double onset, double first, double last)
{
    const pv_made_lead *made = &cutter->pipeline->lead[lead];
    if (!made->tracks)
        return (pv_range){0};
    const pv_route *route = made->track[0].route;
    int64_t from = point_at(route, onset, first), to = point_at(route, onset, last);
    return (pv_range){from, (size_t)(to - from) + points(route, cutter->samples)};
}

/* Mean and one by the deviation (as sklearn's scale has it: by the count itself) of a window. */
static void window_scale(const float *grid, size_t count, double *mean, double *factor)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += grid[i];
    *mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (grid[i] - *mean) * (grid[i] - *mean);
    *factor = squares > 0.0 ? 1.0 / sqrt(squares / (double)count) : 0.0;
}

/* x[i] = (grid + add) * factor where the pick of the route says. */
static void pick(const pv_route *route, const float *grid, double add, double factor, float *x,
                 size_t samples)
{
    uint64_t num = route->pick.num, den = route->pick.den, whole = num / den, part = num % den;
    if (num == den) {
        for (size_t i = 0; i < samples; i++)
            x[i] = (float)((grid[i] + add) * factor);
        return;
    }
    uint64_t at = 0, rest = 0;
    for (size_t i = 0; i < samples; i++) {
        x[i] = (float)((grid[at] + add) * factor);
        rest += part;
        at += whole + (rest >= den);
        rest -= rest >= den ? den : 0;
    }
}

/* As pandas interpolates the rows between a slow column's values, den apart: in float32, and behind
 * the last value, which is the epoch's own, as that one. */
static void blend(const pv_route *route, const float *grid, double add, double factor, float *x,
                  size_t samples)
{
    size_t den = (size_t)route->pick.den, count = points(route, samples);
    for (size_t k = 0; k < count; k++) {
        float here = (float)((grid[k] + add) * factor);
        float next = k + 1 < count ? (float)((grid[k + 1] + add) * factor) : here;
        for (size_t j = 0; j < den && k * den + j < samples; j++)
            x[k * den + j] = here + (next - here) * ((float)j / (float)den);
    }
}

static void cut_lead(const pv_cutter *cutter, const pv_worker *worker, size_t lead, pv_range range,
                     double onset, double start, float *x)
{
    const pv_route *route = cutter->pipeline->lead[lead].track[0].route;
    int64_t first = point_at(route, onset, start);
    float *grid = worker->grid[lead] + (first - range.first);
    double level = worker->level[lead], add = level, factor = cutter->factor[lead];
    if (route->late && first == 0) {
        size_t step = (size_t)(route->pick.num / route->pick.den), from = step ? step : 1;
        grid[0] = grid[from < range.count ? from : 0]; /* epochs of a sample or two have no more */
    }
    if (cutter->recipe->scaling == PV_SCALING_NIGHT) {
        add = level - cutter->mean[lead];
    } else if (cutter->recipe->scaling == PV_SCALING_WINDOW) {
        double mean;
        window_scale(grid, points(route, cutter->samples), &mean, &factor);
        add = -mean;
    }
    if (factor == 0.0)
        memset(x, 0, cutter->samples * sizeof *x);
    else if (route->blend)
        blend(route, grid, add, factor, x, cutter->samples);
    else
        pick(route, grid, add, factor, x, cutter->samples);
}

/* Minus the mean of the leads that there are; missing ones are 0. */
static void reference(const pv_cutter *cutter, float *epoch)
{
    const pv_pipeline *p = cutter->pipeline;
    size_t samples = cutter->samples, found = 0;
    for (size_t c = 0; c < p->leads; c++)
        found += p->lead[c].tracks > 0;
    for (size_t from = 0; from < samples; from += BLOCK) {
        size_t count = samples - from < BLOCK ? samples - from : BLOCK;
        double mean[BLOCK] = {0.0};
        for (size_t c = 0; c < p->leads; c++)
            for (size_t i = 0; i < count; i++)
                mean[i] += epoch[c * samples + from + i];
        for (size_t i = 0; i < count; i++)
            mean[i] /= (double)found;
        for (size_t c = 0; c < p->leads; c++)
            for (size_t i = 0; p->lead[c].tracks && i < count; i++)
                epoch[c * samples + from + i] -= (float)mean[i];
    }
}

void pv_cut(const pv_cutter *cutter, const pv_worker *worker, const pv_range *range, double onset,
            double start, float *epoch)
{
    for (size_t c = 0; c < cutter->pipeline->leads; c++) {
        float *x = epoch + c * cutter->samples;
        if (cutter->pipeline->lead[c].tracks)
            cut_lead(cutter, worker, c, range[c], onset, start, x);
        else
            memset(x, 0, cutter->samples * sizeof *x);
    }
    if (cutter->recipe->average)
        reference(cutter, epoch);
}
