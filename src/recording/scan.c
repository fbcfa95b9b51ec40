/* SPDX-License-Identifier: MIT */
/* Counts of flat and clipped samples. */
#include "recording/scan.h"

#include <stdbool.h>

/* Samples in runs of at least `run` equal values inside values[begin, end), which no run leaves.
 * Any such run has a sample at one of every `run` places, so only those are looked at. */
static uint64_t count_flat(const int32_t *values, size_t begin, size_t end, size_t run)
{
    uint64_t flat = 0;
    for (size_t next = begin; end - next >= run;) {
        size_t at = next + run - 1, left = at, right = at + 1;
        while (left > next && values[left - 1] == values[at])
            left--;
        while (right < end && values[right] == values[at])
            right++;
        if (right - left >= run)
            flat += right - left;
        next = right;
    }
    return flat;
}

pv_scan pv_scan_piece(const int32_t *values, size_t count, int32_t lowest, int32_t highest,
                      size_t run)
{
    pv_scan scan = {.samples = count};
    if (!count)
        return scan;
    size_t head = 1, tail = 1;
    while (head < count && values[head] == values[0])
        head++;
    while (tail < count && values[count - 1 - tail] == values[count - 1])
        tail++;
    scan.head = head;
    scan.tail = tail;
    scan.first = values[0];
    scan.last = values[count - 1];
    if (head < count)
        scan.flat = count_flat(values, head, count - tail, run);
    size_t clipped = 0;
    for (size_t i = 0; i < count; i++)
        clipped += (size_t)(values[i] <= lowest) | (size_t)(values[i] >= highest);
    scan.clipped = clipped;
    return scan;
}

void pv_scan_join(pv_scan *scan, const pv_scan *piece, size_t run)
{
    if (!scan->samples || !piece->samples) {
        if (piece->samples)
            *scan = *piece;
        return;
    }
    uint64_t flat = piece->flat, head = scan->head, tail = piece->tail;
    bool scan_one = scan->head == scan->samples, piece_one = piece->head == piece->samples;
    /* What ends where the pieces meet counts now, unless it also touches an outer end. */
    if (scan->last == piece->first) {
        uint64_t length = scan->tail + piece->head;
        if (scan_one)
            head = length;
        if (piece_one)
            tail = length;
        if (!scan_one && !piece_one && length >= run)
            flat += length;
    } else {
        if (!scan_one && scan->tail >= run)
            flat += scan->tail;
        if (!piece_one && piece->head >= run)
            flat += piece->head;
    }
    scan->flat += flat;
    scan->samples += piece->samples;
    scan->clipped += piece->clipped;
    scan->head = head;
    scan->tail = tail;
    scan->last = piece->last;
}

double pv_scan_flat(const pv_scan *scan, size_t run)
{
    uint64_t flat = scan->flat + (scan->head >= run ? scan->head : 0);
    if (scan->head < scan->samples)
        flat += scan->tail >= run ? scan->tail : 0;
    return scan->samples ? (double)flat / (double)scan->samples : 0.0;
}

double pv_scan_clipped(const pv_scan *scan)
{
    return scan->samples ? (double)scan->clipped / (double)scan->samples : 0.0;
}
