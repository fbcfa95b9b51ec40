/* SPDX-License-Identifier: MIT */
/*
 * EDF, EDF+C, EDF+D and BDF: the header as it is, with what had to be tolerated in it, and the data
 * records as they are stored, with what makes physical values of them. No channel is searched for
 * here (montage.h) and nothing is filtered (prepare.h). Specifications: edfplus.info; BioSemi's
 * BDF.
 */
#ifndef PV_RECORDING_EDF_H
#define PV_RECORDING_EDF_H

#include "base/log.h"
#include "recording/recording.h"

#include <stdbool.h>

enum {
    PV_EDF_MAX_SIGNALS = 4096,     /* EDFlib's limit, too */
    PV_EDF_MAX_RECORDS = 99999999, /* the header has no room for more */
    PV_EDF_MAX_RECORD = 1 << 30,   /* bytes of a data record: whoever reads holds at least one */
};

typedef struct pv_edf_signal {
    /* Without the blanks at their ends; a control character is '?', all else is as in the file:
     * Latin-1, UTF-8 or nonsense. */
    char label[17], transducer[81], unit[9], prefilter[81];
    double physical_min, physical_max;
    int32_t digital_min, digital_max;
    size_t per_record;   /* samples in a data record */
    double rate;         /* Hz; 0 in a file of annotations alone whose records have no duration */
    double gain, offset; /* physical = gain * (offset + digital), in this order, as in EDFlib; 0 if
                            the signal has a defect */
    bool annotations;    /* "EDF Annotations", "BDF Annotations": no signal */
    char defect[96];     /* why it can't be used, such as a zero physical range; "" if it can */
    size_t at;           /* offset in a data record, bytes */
} pv_edf_signal;

/* Data records without a gap between them. */
typedef struct pv_edf_segment {
    size_t first, count; /* records */
    double onset;        /* seconds from the file's start: the header's time or, less than a second
                            behind it, the first record of an EDF+D */
} pv_edf_segment;

typedef struct pv_edf {
    const pv_source *source;
    char patient[81], recording[81];
    char start[32];     /* "2001-02-03T22:30:00"; "" if it can't be read */
    bool bdf;           /* 24 bits a sample, else 16 */
    bool plus;          /* EDF+ or BDF+ */
    bool discontinuous; /* EDF+D or BDF+D */
    size_t signals;
    pv_edf_signal *signal; /* [signals] */
    size_t records;        /* whole ones that are in the file, whatever the header says */
    double record_seconds;
    size_t record_bytes;
    uint64_t data;           /* offset of the first record */
    pv_edf_segment *segment; /* [segments], in time; one unless discontinuous */
    size_t segments;         /* 0 if the file has no whole record */
    psgvit_edf_info info;    /* the same for the public; its arrays are owned, too */
} pv_edf;

/* Reads and checks the header, and of an EDF+D the onset of every record. What is odd but harmless
 * goes to the log, a line each; PSGVIT_E_INPUT names the file, the field, what was expected and
 * what was found. Truncated files are read as far as they have whole records. The source must
 * outlive the reader. */
psgvit_status pv_edf_open(pv_edf **edf, const pv_source *source, const pv_log *log,
                          psgvit_error *err);
/* NULL is allowed. */
void pv_edf_close(pv_edf *edf);

/* Records [first, first + count), as they lie in the file: count * record_bytes. Thread-safety:
 * safe, as the next one. */
psgvit_status pv_edf_read(const pv_edf *edf, size_t first, size_t count, unsigned char *bytes,
                          psgvit_error *err);
/* Signal i of `count` records that stand in `bytes`: count * per_record values as they are stored.
 * Those beyond the digital range are kept, as pyedflib and edfio do (EDFlib itself cuts them off).
 */
void pv_edf_digital(const pv_edf *edf, size_t i, const unsigned char *bytes, size_t count,
                    int32_t *values);
/* How many annotations with a text there are in all records. */
psgvit_status pv_edf_count_annotations(const pv_edf *edf, size_t *count, psgvit_error *err);

#endif
