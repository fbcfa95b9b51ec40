/* SPDX-License-Identifier: MIT */
/*
 * Time-stamped annotation lists: "+12.5 \x15 duration \x14 text \x14 ... \x14 \0", one after
 * another in the bytes of an annotation signal, zeros behind them. The first list of a record tells
 * the record's own onset.
 */
#include "recording/edf_parse.h"

#include "base/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DURATION = 0x15, TEXT = 0x14 }; /* what comes behind these bytes */

/* Seconds. Writers round onsets to a millisecond or finer, and a gap is longer than that. */
static const double tolerance = 1e-3;

/* Where the first of the two bytes is, or the end. */
static size_t find(const unsigned char *bytes, size_t size, int a, int b)
{
    size_t at = 0;
    while (at < size && bytes[at] != a && bytes[at] != b)
        at++;
    return at;
}

bool pv_edf_onset(const unsigned char *list, size_t size, double *onset)
{
    size_t length = find(list, size, DURATION, TEXT);
    return length > 0 && length < size && (list[0] == '+' || list[0] == '-') &&
           pv_edf_number((const char *)list, length, onset);
}

size_t pv_edf_count_texts(const unsigned char *lists, size_t size)
{
    size_t count = 0;
    while (size > 0) {
        const unsigned char *zero = memchr(lists, '\0', size);
        size_t length = zero ? (size_t)(zero - lists) : size;
        double onset;
        /* Behind the onset a text ends at the next TEXT; what follows the last one is no text. */
        for (size_t at = pv_edf_onset(lists, length, &onset) ? find(lists, length, TEXT, TEXT) + 1
                                                             : length;
             at < length;) {
            size_t text = find(lists + at, length - at, TEXT, TEXT);
            count += text > 0 && at + text < length;
            at += text + 1;
        }
        size -= zero ? length + 1 : length;
        lists += length + 1;
    }
    return count;
}

/* ---- records --------------------------------------------------------------------------------- */

static const pv_edf_signal *next_annotations(const pv_edf *edf, size_t *i)
{
    while (*i < edf->signals)
        if (edf->signal[(*i)++].annotations)
            return &edf->signal[*i - 1];
    return NULL;
}

/* Bytes of signal s in a record. */
static size_t size_of(const pv_edf *edf, const pv_edf_signal *s)
{
    return s->per_record * (edf->bdf ? 3 : 2);
}

/* Reads signal s of record r alone. */
static psgvit_status read_lists(const pv_edf *edf, const pv_edf_signal *s, size_t r,
                                unsigned char *lists, psgvit_error *err)
{
    uint64_t at = edf->data + (uint64_t)r * edf->record_bytes + s->at; /* inside the file */
    return pv_source_read(edf->source, at, lists, size_of(edf, s), err);
}

static unsigned char *make_room(const pv_edf *edf)
{
    return malloc(edf->record_bytes); /* more than any of its signals, at most PV_EDF_MAX_RECORD */
}

/* Adds record r, which begins at `onset`, to the last segment or to a new one. */
static psgvit_status add_record(pv_edf *edf, size_t r, double onset, size_t *capacity,
                                psgvit_error *err)
{
    if (edf->segments) {
        pv_edf_segment *last = &edf->segment[edf->segments - 1];
        double expected = last->onset + (double)last->count * edf->record_seconds;
        if (fabs(onset - expected) <= tolerance) {
            last->count++;
            return PSGVIT_OK;
        }
        if (onset <= expected - edf->record_seconds)
            return pv_fail(err, PSGVIT_E_INPUT,
                           "%s: onset of data record %zu: expected more than %.17g s, that of the "
                           "one before, found %.17g s",
                           edf->source->name, r, expected - edf->record_seconds, onset);
    } else if (onset < -tolerance) { /* its samples lie in no epoch, since the first is at 0 */
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: onset of data record %zu: expected 0 s or more, since the header tells "
                       "when the recording starts, found %.17g s",
                       edf->source->name, r, onset);
    }
    if (edf->segments == *capacity) {
        size_t larger = *capacity ? 2 * *capacity : 16; /* less than twice PV_EDF_MAX_RECORDS */
        pv_edf_segment *moved = calloc(larger, sizeof *moved);
        if (!moved)
            return pv_fail(err, PSGVIT_E_MEMORY, "%s: out of memory for %zu segments",
                           edf->source->name, larger);
        if (*capacity)
            memcpy(moved, edf->segment, *capacity * sizeof *moved);
        free(edf->segment);
        edf->segment = moved;
        *capacity = larger;
    }
    edf->segment[edf->segments++] = (pv_edf_segment){.first = r, .count = 1, .onset = onset};
    return PSGVIT_OK;
}

/* A device whose clock is set now and then may begin a record before the last one's end. */
static void log_gaps(const pv_edf *edf, const pv_log *log)
{
    size_t overlaps = 0;
    for (size_t i = 1; i < edf->segments; i++) {
        const pv_edf_segment *last = &edf->segment[i - 1];
        overlaps += edf->segment[i].onset < last->onset + (double)last->count * edf->record_seconds;
    }
    if (edf->segments > 1)
        pv_log_line(log, PSGVIT_LOG_INFO, "%s: gaps between its data records: %zu",
                    edf->source->name, edf->segments - 1 - overlaps);
    if (overlaps)
        pv_log_line(log, PSGVIT_LOG_WARNING,
                    "%s: data records that begin before the end of the one before: %zu",
                    edf->source->name, overlaps);
}

psgvit_status pv_edf_find_segments(pv_edf *edf, const pv_log *log, psgvit_error *err)
{
    size_t i = 0, capacity = 0;
    const pv_edf_signal *clock = next_annotations(edf, &i);
    if (!clock)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected a signal '%cDF Annotations', since the file is discontinuous, "
                       "found none",
                       edf->source->name, edf->bdf ? 'B' : 'E');
    unsigned char *lists = make_room(edf);
    if (!lists)
        return pv_fail_memory(err, "a data record", edf->record_bytes);
    psgvit_status status = PSGVIT_OK;
    double begin = 0.0;
    for (size_t r = 0; !status && r < edf->records; r++) {
        double onset = 0.0;
        status = read_lists(edf, clock, r, lists, err);
        if (!status && !pv_edf_onset(lists, size_of(edf, clock), &onset))
            status = pv_fail(err, PSGVIT_E_INPUT,
                             "%s: onset of data record %zu: expected '+' or '-' and seconds at the "
                             "start of its annotations, found none",
                             edf->source->name, r);
        /* The header's time has whole seconds: the rest of it is the first record's onset. */
        if (r == 0 && onset > 0.0 && onset < 1.0)
            begin = onset;
        if (!status)
            status = add_record(edf, r, onset - begin, &capacity, err);
    }
    free(lists);
    if (!status && begin > 0.0)
        pv_log_line(log, PSGVIT_LOG_INFO, "%s: it starts %g s after the second in its header",
                    edf->source->name, begin);
    if (!status)
        log_gaps(edf, log);
    return status;
}

psgvit_status pv_edf_count_annotations(const pv_edf *edf, size_t *count, psgvit_error *err)
{
    const pv_edf_signal *s;
    unsigned char *lists = make_room(edf);
    *count = 0;
    if (!lists)
        return pv_fail_memory(err, "a data record", edf->record_bytes);
    psgvit_status status = PSGVIT_OK;
    for (size_t i = 0; !status && (s = next_annotations(edf, &i));)
        for (size_t r = 0; !status && r < edf->records; r++) {
            status = read_lists(edf, s, r, lists, err);
            if (!status)
                *count += pv_edf_count_texts(lists, size_of(edf, s));
        }
    free(lists);
    return status;
}
