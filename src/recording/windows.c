/* SPDX-License-Identifier: MIT */
/* The grid of epochs over the segments of a recording. */
#include "recording/windows.h"

#include "base/status.h"

#include <math.h>
#include <stdlib.h>

/* s; onsets are decimal fractions, so their sums are off by less. */
static const double slack = 1e-6;

/* s: 31 years; and how many epochs a double can count. */
static const double longest = 1e9, most = 9e15;

/* Each is told, some ten bytes of it in the header of an output; 4 years of 30 s. */
enum { MOST_SKIPPED = 1 << 22 };

void pv_windows_free(pv_windows *w)
{
    free(w->run);
    *w = (pv_windows){0};
}

static double segment_end(const pv_edf *edf, size_t i)
{
    return edf->segment[i].onset + (double)edf->segment[i].count * edf->record_seconds;
}

/* How many epochs of the grid end by `end`. */
static size_t fitting(const pv_windows *w, double end)
{
    double last = floor((end - w->length + slack) / w->stride);
    return last >= 0.0 ? (size_t)last + 1 : 0;
}

static psgvit_status check_count(const pv_edf *edf, const pv_windows *w, double end,
                                 psgvit_error *err)
{
    if (w->skipped > MOST_SKIPPED)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected gaps that leave out at most %d epochs of %g s every %g s, "
                       "found %zu: are the onsets of its data records sound?",
                       edf->source->name, MOST_SKIPPED, w->length, w->stride, w->skipped);
    if (w->count)
        return PSGVIT_OK;
    if (w->skipped)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected an epoch of %g s without a gap, found a gap in each of %zu",
                       edf->source->name, w->length, w->skipped);
    return pv_fail(err, PSGVIT_E_INPUT,
                   "%s: expected at least one epoch of %g s, found %g s in all", edf->source->name,
                   w->length, end);
}

psgvit_status pv_windows_make(pv_windows *w, const pv_edf *edf, double length, double stride,
                              psgvit_error *err)
{
    *w = (pv_windows){.length = length, .stride = stride};
    double end = 0.0;
    for (size_t i = 0; i < edf->segments; i++)
        end = fmax(end, segment_end(edf, i));
    if (!(length > 0.0 && stride > 0.0 && end < longest && end / fmin(length, stride) < most))
        return pv_fail(err, PSGVIT_E_INPUT, "%s: %g s can't be cut into epochs of %g s every %g s",
                       edf->source->name, end, length, stride);
    w->run = calloc(edf->segments ? edf->segments : 1, sizeof *w->run);
    if (!w->run)
        return pv_fail_memory(err, "the epochs of a recording", edf->segments * sizeof *w->run);
    size_t behind = 0; /* number on the grid behind the last epoch that is kept */
    for (size_t i = 0; i < edf->segments; i++) {
        double from = ceil((edf->segment[i].onset - slack) / stride);
        size_t first = from > 0.0 ? (size_t)from : 0;
        size_t stop = fitting(w, segment_end(edf, i));
        if (first < behind)
            first = behind;
        if (stop <= first)
            continue;
        w->run[w->runs++] = (pv_window_run){i, first, w->count, stop - first};
        w->count += stop - first;
        behind = stop;
    }
    w->skipped = fitting(w, end) - w->count;
    psgvit_status status = check_count(edf, w, end, err);
    if (status)
        pv_windows_free(w);
    return status;
}

const pv_window_run *pv_windows_find(const pv_windows *w, size_t index)
{
    size_t low = 0, high = w->runs;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (w->run[middle].index <= index)
            low = middle;
        else
            high = middle;
    }
    return &w->run[low];
}

double pv_windows_start(const pv_windows *w, size_t index)
{
    if (index >= w->count)
        return 0.0;
    const pv_window_run *run = pv_windows_find(w, index);
    return (double)(run->first + (index - run->index)) * w->stride;
}

double pv_windows_skipped(const pv_windows *w, size_t i)
{
    if (i >= w->skipped)
        return 0.0;
    /* first - index epochs are left out before a run; behind how many runs is the i-th of them? */
    size_t low = 0, high = w->runs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->run[middle].first - w->run[middle].index <= i)
            low = middle + 1;
        else
            high = middle;
    }
    size_t kept = low < w->runs ? w->run[low].index : w->count;
    return (double)(i + kept) * w->stride;
}
