/* SPDX-License-Identifier: MIT */
/* A small sound EDF or BDF in memory, field by field to be spoilt. */
#ifndef TESTS_UNIT_EDF_FILE_H
#define TESTS_UNIT_EDF_FILE_H

#include "recording/edf.h"

enum edf_field {
    EDF_VERSION,
    EDF_PATIENT,
    EDF_RECORDING,
    EDF_DATE,
    EDF_TIME,
    EDF_HEADER_BYTES,
    EDF_RESERVED,
    EDF_RECORDS,
    EDF_SECONDS,
    EDF_SIGNALS,
    EDF_LABEL, /* from here on one a signal */
    EDF_TRANSDUCER,
    EDF_UNIT,
    EDF_PHYSICAL_MIN,
    EDF_PHYSICAL_MAX,
    EDF_DIGITAL_MIN,
    EDF_DIGITAL_MAX,
    EDF_PREFILTER,
    EDF_PER_RECORD,
};

typedef struct edf_file {
    pv_source source; /* memory of exactly `size` bytes; its name is "night.edf" */
    size_t signals, per_record, records, sample; /* sample: bytes of one */
    char log[4096];                              /* what pv_edf_open said, a line each */
} edf_file;

/* Signals "S0", "S1" ... in uV, -1000 to 1000, all digital values, records of one second. Sample k
 * of record r of signal i is edf_sample's. */
void edf_file_make(edf_file *file, bool bdf, size_t signals, size_t per_record, size_t records);
void edf_file_free(edf_file *file);
int32_t edf_sample(const edf_file *file, size_t i, size_t r, size_t k);
/* Writes a field of the header: `text` and blanks. */
void edf_file_set(edf_file *file, enum edf_field field, size_t i, const char *text);
/* The bytes of signal i in record r. */
unsigned char *edf_file_at(edf_file *file, size_t i, size_t r);
/* Makes signal i the annotations of an EDF+C or EDF+D ('C', 'D'); its samples are all 0. */
void edf_file_plus(edf_file *file, size_t i, char kind);
/* Gives the source `size` bytes, cut off or filled up with 0x41. */
void edf_file_resize(edf_file *file, size_t size);

/* pv_edf_open, with the lines of the log in file->log. */
psgvit_status edf_file_open(pv_edf **edf, edf_file *file, psgvit_error *err);

#endif
