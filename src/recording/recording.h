/* SPDX-License-Identifier: MIT */
/*
 * A recording inside the library: where its bytes come from (recording.c), and what describes them:
 * bin.c for raw float32, npy.c for NumPy's format.
 */
#ifndef PV_RECORDING_RECORDING_H
#define PV_RECORDING_RECORDING_H

#include <psgvit/recording.h>

/* Bytes that can be read at any offset. */
typedef struct pv_source {
    char *name;            /* what messages call it: the path, or "standard input"; owned */
    int fd;                /* -1: all is in memory */
    int borrowed;          /* fd is standard input: not ours to close */
    unsigned char *memory; /* [size] of what can't be sought in, or NULL; owned */
    uint64_t base;         /* file offset of the first byte; not 0 only on standard input */
    uint64_t size;         /* bytes */
} pv_source;

struct psgvit_recording {
    pv_source source;
    psgvit_recording_info info;
    uint64_t data; /* offset of the first sample, bytes */
    size_t next;   /* epoch that is read next */

    /* Of an EDF that is prepared, else NULL: it then yields the epochs. */
    struct pv_edf *edf;
    struct pv_montage *montage;
    struct pv_prepare *prepare;
};

/* Exactly `bytes` bytes at `offset`; PSGVIT_E_INPUT if the file has become shorter. */
psgvit_status pv_source_read(const pv_source *source, uint64_t offset, void *memory, size_t bytes,
                             psgvit_error *err);

/* Each fills info and data from the source, or says what does not fit the params. */
psgvit_status pv_bin_describe(psgvit_recording *recording, const psgvit_recording_params *params,
                              psgvit_error *err);
psgvit_status pv_npy_describe(psgvit_recording *recording, const psgvit_recording_params *params,
                              psgvit_error *err);

/* epochs, length and dropped of [C, L] from info's channels and samples (either may be 0). */
void pv_recording_cut(psgvit_recording_info *info, size_t length);

enum {
    PV_NPY_RANK = 32,            /* NumPy's own limit */
    PV_NPY_PREFIX = 12,          /* magic, version and length, at most */
    PV_NPY_MAX_HEADER = 1 << 16, /* bytes of the dictionary; NumPy itself stops at 10,000 */
};

/* What an NPY header says. */
typedef struct pv_npy_header {
    char descr[32]; /* "" for a structured type */
    int fortran_order;
    size_t rank;
    size_t shape[PV_NPY_RANK];
    size_t data; /* offset of the first element, bytes */
} pv_npy_header;

/* Parses a header from the first `size` bytes of a file, PV_NPY_PREFIX + PV_NPY_MAX_HEADER of them
 * at least if the file has as many. No judgement of dtype or shape. */
psgvit_status pv_npy_parse(pv_npy_header *header, const unsigned char *bytes, size_t size,
                           const char *name, psgvit_error *err);

#endif
