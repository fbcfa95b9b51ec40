/* SPDX-License-Identifier: MIT */
/*
 * Signal files as epochs of float32: raw little-endian float32, NPY, EDF and BDF. Raw and NPY are
 * taken as they are. Of an EDF the channels that the model wants are found by name, derived where
 * need be, prepared by a preset, and cut. A complete program, which counts the epochs of a night of
 * 12 channels:
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
    PSGVIT_FORMAT_EDF,      /* EDF, EDF+C, EDF+D and BDF */
} psgvit_format;

typedef enum psgvit_layout {
    PSGVIT_LAYOUT_EPOCHS = 0, /* [E, C, T] */
    PSGVIT_LAYOUT_CHANNELS,   /* [C, L], one whole recording, channel-major, cut into epochs */
} psgvit_layout;

/* Whose naming of channels an EDF follows: the same label means another thing elsewhere. */
typedef enum psgvit_cohort {
    PSGVIT_COHORT_AUTO = 0, /* the one that the labels tell, else generic */
    PSGVIT_COHORT_GENERIC,  /* what is unambiguous everywhere */
    PSGVIT_COHORT_SHHS,
    PSGVIT_COHORT_MESA,
    PSGVIT_COHORT_MROS,
    PSGVIT_COHORT_CFS,
    PSGVIT_COHORT_CCSHS,
    PSGVIT_COHORT_CHAT,
    PSGVIT_COHORT_SOF,
    PSGVIT_COHORT_WSC,
    PSGVIT_COHORT_NCHSDB,
    PSGVIT_COHORT_STAGES,
    PSGVIT_COHORTS, /* how many there are */
} psgvit_cohort;

/* "auto", "generic", "shhs" ...; "?" for no cohort. Lives for ever. Thread-safety: safe, as that of
 * the next two. */
PSGVIT_API const char *psgvit_cohort_name(psgvit_cohort cohort);

/* How an EDF's signals become the model's. A name is for ever: a change of the recipe is a new
 * version, and psgvit_prep_version tells it. Signals of 1 to 20,000 Hz can be prepared. A band
 * edge that a signal is too slow for is left out, but for OSF's high-pass of the EMG: without it a
 * lead is missing. Each segment of an EDF+D is filtered by itself. */
typedef enum psgvit_prep {
    PSGVIT_PREP_DEFAULT = 0, /* osf-train for the leads of OSF, eegpt-pretrain for other names */
    PSGVIT_PREP_NONE,        /* found and derived, in the file's unit, at the wanted rate already */
    /* As OSF's training data was made, with its quirks: MNE's low-pass at half of 128 (ECG), 64
     * (EMG, EOG, EEG), 32 (SN) or 8 Hz (ABD, THX, NP) and 10 Hz high-pass (EMG), pandas' linear
     * interpolation to that rate, z-score over the first 12 h, then 64 Hz. */
    PSGVIT_PREP_OSF_TRAIN,
    /* The same bands, straight to the model's rate: band-limited, free of aliases, on the true time
     * axis; z-score over all of the night. */
    PSGVIT_PREP_OSF_CLEAN,
    PSGVIT_PREP_EEGPT_PRETRAIN, /* mV, average reference, nearest */
    PSGVIT_PREP_EEGPT_P300,     /* mV, to 120 Hz, average reference, polyphase */
    PSGVIT_PREP_EEGPT_SLEEP,    /* to 30 Hz, z-score of each window, average reference, nearest */
    PSGVIT_PREP_EEGPT_TUEG,     /* uV / 100, 0.1 to 75 Hz without 50 Hz, no reference, polyphase */
    PSGVIT_PREPS,               /* how many there are */
} psgvit_prep;

/* "default", "none", "osf-train" ...; "?" for no preset. Lives for ever. */
PSGVIT_API const char *psgvit_prep_name(psgvit_prep prep);
/* Of the recipe, from 1 on; 0 for no preset. */
PSGVIT_API int psgvit_prep_version(psgvit_prep prep);

typedef enum psgvit_unit {
    PSGVIT_UNIT_DEFAULT = 0, /* the preset's */
    PSGVIT_UNIT_V,
    PSGVIT_UNIT_MV,
    PSGVIT_UNIT_UV,
} psgvit_unit;

typedef enum psgvit_reref {
    PSGVIT_REREF_DEFAULT = 0, /* the preset's */
    PSGVIT_REREF_NONE,
    PSGVIT_REREF_AVERAGE, /* minus the mean over the channels that were found */
} psgvit_reref;

typedef enum psgvit_resample {
    PSGVIT_RESAMPLE_DEFAULT = 0, /* the preset's */
    PSGVIT_RESAMPLE_NEAREST,     /* as torch's interpolate(mode='nearest') */
    PSGVIT_RESAMPLE_POLYPHASE,   /* band-limited, on the true time axis */
} psgvit_resample;

typedef struct psgvit_recording_params {
    size_t struct_size;
    psgvit_format format;
    psgvit_layout layout;   /* of raw data; an NPY file's shape says it: 3-D epochs, 2-D channels */
    size_t channels;        /* C that is expected; 0: as the file says (NPY), to look at it only */
    size_t samples;         /* T of an epoch; 0: as the file says (3-D NPY), else default_samples */
    size_t default_samples; /* T where the file does not say it; 0: unknown, to look at it only */

    /* What follows is for EDF alone. */
    const char *const *names; /* [channels] of the model's inputs; NULL with 12 channels: OSF's */
    double rate;              /* Hz of the model, to 20000; 0: 64 for OSF's leads, else 256 */
    psgvit_cohort cohort;
    const char *aliases;      /* lines NAME=LABEL,LABEL,..., tried in their order and before the
                                 tables. A label in double quotes may hold commas, and "" for a
                                 quote; LABEL#2 is the second of equal ones; A-B, where no channel
                                 is called so, is A minus B. A line that begins with '#' is a
                                 comment. NULL: none */
    psgvit_prep prep;
    psgvit_unit unit;         /* this and the next two change EEGPT's presets alone; eegpt-tueg then
                                 has that unit in place of uV / 100 */
    psgvit_reref reref;
    psgvit_resample resample;
    double stride_seconds;    /* from one window to the next; 0: windows touch */
    psgvit_log_fn log;        /* what was tolerated in the file; NULL: silence */
    void *log_user;
    int threads;              /* 0: what OpenMP would use for the caller; they change no bit */
} psgvit_recording_params;

typedef enum psgvit_channel_state {
    PSGVIT_CHANNEL_MISSING = 0, /* zeros stand in */
    PSGVIT_CHANNEL_FOUND,       /* one signal of the file */
    PSGVIT_CHANNEL_DERIVED,     /* the difference of two */
} psgvit_channel_state;

/* What one input of the model was made of. */
typedef struct psgvit_channel {
    const char *name;   /* of the input: "EEG_C3_A2" */
    psgvit_channel_state state;
    const char *source; /* label or labels: "C3-M2", "C3 - M2"; "" if missing */
    const char *unit;   /* of the source, as the file has it; "" if missing or blank */
    double rate;        /* Hz of the source; 0 if missing */
    double flat;        /* share of samples that repeat the one before, for a second or longer */
    double clipped;     /* share at the ends of the digital range */
    const char *note;   /* why it is missing, or what was done: "inverted, mV"; "" if nothing */
} psgvit_channel;

typedef struct psgvit_recording_info {
    psgvit_format format;
    psgvit_layout layout;
    size_t channels; /* C; 0 if unknown */
    size_t samples;  /* T of an epoch; 0 if unknown */
    size_t epochs;   /* E */
    size_t length;   /* samples of each channel in all: L, or E * T; of all, if C is unknown */
    size_t dropped;  /* samples of a last, partial epoch that is left out; only in [C, L] */

    /* What follows is 0, NULL or "" unless the format is EDF. */
    double rate;           /* Hz of the epochs */
    double epoch_seconds;  /* length of an epoch */
    double stride_seconds; /* from one epoch to the next where nothing is left out */
    const char *start;     /* clock time of the start, "2001-02-03T22:30:00"; "" if unknown */
    psgvit_cohort cohort;  /* that was used */
    psgvit_prep prep;      /* that was used */
    const psgvit_channel *channel; /* [channels]; flat and clipped are known from the open on */
    size_t skipped;        /* epochs left out because a gap of an EDF+D lies in them */
} psgvit_recording_info;

/* An open recording that yields its epochs in order. Thread-safety: one thread at a time. */
typedef struct psgvit_recording psgvit_recording;

/* Opens a file, a pipe, or "-", standard input. What can't be sought in is read to its end here; a
 * device is refused. Of an EDF the channels are found and a first pass over the file is made here.
 * PSGVIT_E_INPUT names the file, what was expected and what was found, PSGVIT_E_ARGUMENT the field
 * of params or the line of the aliases. Thread-safety: safe. */
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
/* Seconds from the file's start to the start of epoch `index`; epochs that were left out are not
 * counted. 0 for other formats than EDF, and past the last epoch. */
PSGVIT_API double psgvit_recording_epoch_start(const psgvit_recording *recording, size_t index);
/* Seconds from the file's start to the start of the i-th epoch that was left out; 0 unless i is
 * below info's `skipped`. */
PSGVIT_API double psgvit_recording_skipped_start(const psgvit_recording *recording, size_t i);

/* ---- what an EDF itself says ----------------------------------------------------------------- */

/* A signal, as the header has it. Texts are without the blanks at their ends and have no control
 * characters, but nobody promises that they are UTF-8. */
typedef struct psgvit_edf_signal {
    const char *label, *transducer, *unit, *prefilter;
    double physical_min, physical_max;
    int digital_min, digital_max;
    size_t per_record;  /* samples in a data record */
    double rate;        /* Hz */
    int annotations;    /* not 0: this is "EDF Annotations", no signal */
    const char *defect; /* why it can't be used, such as a zero physical range; "" if it can */
} psgvit_edf_signal;

/* Data records without a gap between them. */
typedef struct psgvit_edf_segment {
    double onset, seconds; /* from the file's start, which is that of the first if it is less than a
                              second behind the header's time; length */
} psgvit_edf_segment;

typedef struct psgvit_edf_info {
    int bdf;           /* not 0: 24 bits a sample, else 16 */
    int plus;          /* not 0: EDF+ or BDF+ */
    int discontinuous; /* not 0: EDF+D or BDF+D */
    const char *patient, *recording;
    const char *start; /* clock time, "2001-02-03T22:30:00"; "" if unknown */
    size_t records;    /* whole data records that the file has */
    double record_seconds;
    size_t signals;
    const psgvit_edf_signal *signal; /* [signals] */
    size_t segments;
    const psgvit_edf_segment *segment; /* [segments], in time; one unless discontinuous */
} psgvit_edf_info;

/* Belongs to the recording; NULL if that is no EDF. A recording that is opened without channels is
 * looked at only: nothing is searched for in it or prepared. */
PSGVIT_API const psgvit_edf_info *psgvit_recording_get_edf(const psgvit_recording *recording);
/* Reads through an EDF for its annotations, those with a text; other formats have none. Fails as
 * psgvit_recording_read does. */
PSGVIT_API psgvit_status psgvit_recording_count_annotations(const psgvit_recording *recording,
                                                            size_t *count, psgvit_error *err);

/* Frees the handle and sets it to NULL. NULL is allowed. */
PSGVIT_API void psgvit_recording_close(psgvit_recording **recording);

#ifdef __cplusplus
}
#endif
#endif
