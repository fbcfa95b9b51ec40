/* SPDX-License-Identifier: MIT */
/*
 * Opens an EDF or BDF and reads its data records: what lies where, how many whole records there
 * are, and how stored numbers become physical ones. The texts of the header are edf_header.c's.
 */
#include "recording/edf.h"

#include "base/checked.h"
#include "base/status.h"
#include "recording/edf_parse.h"

#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "samples of 16 bits are taken as they lie in the file: little-endian"
#endif

/* The signals' half of the header. */
static psgvit_status read_signals(pv_edf *edf, const pv_log *log, psgvit_error *err)
{
    size_t bytes = edf->signals * PV_EDF_HEADER; /* at most 1 MiB */
    if (edf->source->size < edf->data)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected a header of %llu bytes for %zu signals, found %llu",
                       edf->source->name, (unsigned long long)edf->data, edf->signals,
                       (unsigned long long)edf->source->size);
    unsigned char *header = malloc(bytes);
    edf->signal = calloc(edf->signals, sizeof *edf->signal);
    if (!header || !edf->signal) {
        free(header);
        return pv_fail_memory(err, "the header of an EDF", bytes);
    }
    psgvit_status status = pv_source_read(edf->source, PV_EDF_HEADER, header, bytes, err);
    if (!status)
        status = pv_edf_parse_signals(edf, header, log, err);
    free(header);
    return status;
}

/* The file is as long as it is; what its header says of that is merely compared. */
static psgvit_status count_records(pv_edf *edf, double stated, const pv_log *log, psgvit_error *err)
{
    uint64_t bytes = edf->source->size - edf->data;
    uint64_t records = bytes / edf->record_bytes, rest = bytes % edf->record_bytes;
    if (records > PV_EDF_MAX_RECORDS)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: expected at most %d data records, found %llu",
                       edf->source->name, PV_EDF_MAX_RECORDS, (unsigned long long)records);
    edf->records = (size_t)records;
    if (stated < 0.0)
        pv_log_line(log, PSGVIT_LOG_WARNING,
                    "%s: its header does not tell the number of data records: the file has %zu",
                    edf->source->name, edf->records);
    else if (stated != (double)edf->records)
        pv_log_line(log, PSGVIT_LOG_WARNING,
                    "%s: its header tells of %.0f data records: the file has %zu whole ones",
                    edf->source->name, stated, edf->records);
    if (rest)
        pv_log_line(log, PSGVIT_LOG_WARNING,
                    "%s: %llu bytes behind the last whole data record are left out",
                    edf->source->name, (unsigned long long)rest);
    return PSGVIT_OK;
}

static psgvit_status find_segments(pv_edf *edf, const pv_log *log, psgvit_error *err)
{
    if (!edf->records)
        return PSGVIT_OK;
    if (edf->discontinuous)
        return pv_edf_find_segments(edf, log, err);
    edf->segment = calloc(1, sizeof *edf->segment);
    if (!edf->segment)
        return pv_fail_memory(err, "the segment of an EDF", sizeof *edf->segment);
    edf->segment->count = edf->records;
    edf->segments = 1;
    return PSGVIT_OK;
}

static psgvit_status describe(pv_edf *edf, const pv_log *log, psgvit_error *err)
{
    unsigned char header[PV_EDF_HEADER];
    double stated;
    if (edf->source->size < sizeof header)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected an EDF header of at least %zu bytes, found %llu",
                       edf->source->name, sizeof header, (unsigned long long)edf->source->size);
    PV_TRY(pv_source_read(edf->source, 0, header, sizeof header, err));
    PV_TRY(pv_edf_parse_file(edf, header, &stated, log, err));
    PV_TRY(read_signals(edf, log, err));
    PV_TRY(count_records(edf, stated, log, err));
    PV_TRY(find_segments(edf, log, err));
    return pv_edf_fill_info(edf, err);
}

psgvit_status pv_edf_open(pv_edf **edf, const pv_source *source, const pv_log *log,
                          psgvit_error *err)
{
    *edf = NULL;
    pv_edf *made = calloc(1, sizeof *made);
    if (!made)
        return pv_fail_memory(err, "the header of an EDF", sizeof *made);
    made->source = source;
    psgvit_status status = describe(made, log, err);
    if (status)
        pv_edf_close(made);
    else
        *edf = made;
    return status;
}

void pv_edf_close(pv_edf *edf)
{
    if (!edf)
        return;
    free((void *)edf->info.signal);
    free((void *)edf->info.segment);
    free(edf->segment);
    free(edf->signal);
    free(edf);
}

psgvit_status pv_edf_read(const pv_edf *edf, size_t first, size_t count, unsigned char *bytes,
                          psgvit_error *err)
{
    if (first > edf->records || count > edf->records - first)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "%s: there are %zu data records, not %zu from %zu on", edf->source->name,
                       edf->records, count, first);
    /* All of this is inside the file, whose size fits. */
    return pv_source_read(edf->source, edf->data + (uint64_t)first * edf->record_bytes, bytes,
                          count * edf->record_bytes, err);
}

static int32_t sample16(const unsigned char *bytes)
{
    int16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static int32_t sample24(const unsigned char *bytes)
{
    uint32_t value = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
    return (int32_t)(value ^ 0x800000) - 0x800000;
}

void pv_edf_digital(const pv_edf *edf, size_t i, const unsigned char *bytes, size_t count,
                    int32_t *values)
{
    const pv_edf_signal *s = &edf->signal[i];
    size_t n = s->per_record;
    for (size_t r = 0; r < count; r++, values += n) {
        const unsigned char *record = bytes + r * edf->record_bytes + s->at;
        if (edf->bdf)
            for (size_t k = 0; k < n; k++)
                values[k] = sample24(record + 3 * k);
        else
            for (size_t k = 0; k < n; k++)
                values[k] = sample16(record + 2 * k);
    }
}
