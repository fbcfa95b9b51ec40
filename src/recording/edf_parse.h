/* SPDX-License-Identifier: MIT */
/* The steps of pv_edf_open: numbers and texts of the header (edf_header.c), onsets of the records
 * (edf_annotations.c). */
#ifndef PV_RECORDING_EDF_PARSE_H
#define PV_RECORDING_EDF_PARSE_H

#include "recording/edf.h"

enum { PV_EDF_HEADER = 256 }; /* bytes of the file's part of the header, and of each signal's */

/* All of `text` as a decimal number: sign, digits, one point or comma, exponent. No blanks, no
 * infinity, no locale. Rounds as EDFlib does: whole and fractional digits apart. */
bool pv_edf_number(const char *text, size_t length, double *value);

/* The first PV_EDF_HEADER bytes. *records is the header's own count, -1 if it is not known. */
psgvit_status pv_edf_parse_file(pv_edf *edf, const unsigned char *bytes, double *records,
                                const pv_log *log, psgvit_error *err);
/* The edf->signals times PV_EDF_HEADER bytes behind them, to edf->signal, which is there. */
psgvit_status pv_edf_parse_signals(pv_edf *edf, const unsigned char *bytes, const pv_log *log,
                                   psgvit_error *err);

/* The onset in front of the annotation list in `size` bytes. */
bool pv_edf_onset(const unsigned char *list, size_t size, double *onset);
/* How many texts, but for empty ones, are in the annotation lists in `size` bytes. */
size_t pv_edf_count_texts(const unsigned char *lists, size_t size);
/* edf->info from all the rest. */
psgvit_status pv_edf_fill_info(pv_edf *edf, psgvit_error *err);
/* edf->segment from the onsets of all records. */
psgvit_status pv_edf_find_segments(pv_edf *edf, const pv_log *log, psgvit_error *err);

#endif
