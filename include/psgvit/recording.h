/* SPDX-License-Identifier: MIT */
/*
 * Signal files as epochs of float32: raw little-endian float32, and NPY. A complete program, which
 * counts the epochs of a night of 12 channels:
 *
 *     #include <psgvit/recording.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         psgvit_error err;
 *         psgvit_recording *rec = NULL;
 *         psgvit_recording_params params = {.struct_size = sizeof(params)};
 *         params.channels = 12;
 *         params.samples = 1920;
 *         if (psgvit_recording_open(&rec, argc > 1 ? argv[1] : "night.bin", &params, &err)) {
 *             fprintf(stderr, "%s\n", err.message);
 *             return 1;
 *         }
 *         printf("%zu epochs\n", psgvit_recording_get_info(rec)->epochs);
 *         psgvit_recording_close(&rec);
 *         return 0;
 *     }
 */
#ifndef PSGVIT_RECORDING_H
#define PSGVIT_RECORDING_H

#include <psgvit/psgvit.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psgvit_format {
    PSGVIT_FORMAT_AUTO = 0, /* by content; else raw */
    PSGVIT_FORMAT_RAW,      /* little-endian float32, no header */
    PSGVIT_FORMAT_NPY,      /* NumPy's format 1.0 to 3.0: '<f4', C order, 2 or 3 dimensions */
    PSGVIT_FORMAT_EDF,      /* EDF and BDF: not read yet, PSGVIT_E_INPUT */
} psgvit_format;

typedef enum psgvit_layout {
    PSGVIT_LAYOUT_EPOCHS = 0, /* [E, C, T] */
    PSGVIT_LAYOUT_CHANNELS,   /* [C, L], one whole recording, channel-major, cut into epochs */
} psgvit_layout;

typedef struct psgvit_recording_params {
    size_t struct_size;
    psgvit_format format;
    psgvit_layout layout;   /* of raw data; an NPY file's shape says it: 3-D epochs, 2-D channels */
    size_t channels;        /* C that is expected; 0: as the file says (NPY), to look at it only */
    size_t samples;         /* T of an epoch; 0: as the file says (3-D NPY), else default_samples */
    size_t default_samples; /* T where the file does not say it; 0: unknown, to look at it only */
} psgvit_recording_params;

typedef struct psgvit_recording_info {
    psgvit_format format;
    psgvit_layout layout;
    size_t channels; /* C; 0 if unknown */
    size_t samples;  /* T of an epoch; 0 if unknown */
    size_t epochs;   /* E */
    size_t length;   /* samples of each channel in all: L, or E * T; of all, if C is unknown */
    size_t dropped;  /* samples of a last, partial epoch that is left out; only in [C, L] */
} psgvit_recording_info;

/* An open recording that yields its epochs in order. Thread-safety: one thread at a time. */
typedef struct psgvit_recording psgvit_recording;

/* Opens a file, a pipe, or "-", standard input. What can't be sought in is read to its end here; a
 * device is refused. PSGVIT_E_INPUT names the file, what was expected and what was found. */
PSGVIT_API psgvit_status psgvit_recording_open(psgvit_recording **recording, const char *path,
                                               const psgvit_recording_params *params,
                                               psgvit_error *err);
/* Belongs to the recording. */
PSGVIT_API const psgvit_recording_info *psgvit_recording_get_info(
    const psgvit_recording *recording);
/* Reads the next epochs, at most `capacity`, into `signal` [epochs, C, T]; sets *epochs, 0 at the
 * end. A file that has become shorter meanwhile is PSGVIT_E_INPUT; a recording whose C or T is
 * unknown is PSGVIT_E_ARGUMENT. */
PSGVIT_API psgvit_status psgvit_recording_read(psgvit_recording *recording, float *signal,
                                               size_t capacity, size_t *epochs, psgvit_error *err);
/* Frees the handle and sets it to NULL. NULL is allowed. */
PSGVIT_API void psgvit_recording_close(psgvit_recording **recording);

#ifdef __cplusplus
}
#endif
#endif
