/* SPDX-License-Identifier: MIT */
/*
 * What the parts of psgvit-bench share. bench_model.c is a model on a device with its signal and
 * outputs, bench_blas.c the same matrix products by bare BLAS, bench_profile.c what each step
 * takes, bench_child.c a process that does nothing but load and run; psgvit-bench.c reads the
 * command line and times, bench_report.c says what was found.
 */
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include <psgvit/eegpt.h>
#include <psgvit/osf.h>

#include <stdbool.h>

/* ---- what is asked for ----------------------------------------------------------------------- */

enum { BENCH_MOST_MODELS = 32, BENCH_MOST_BATCHES = 32, BENCH_OSF_CHANNELS = 12 };

/* Bits of outputs, in the order of bench_output_names. */
enum { BENCH_CLS, BENCH_PATCHES, BENCH_MEAN, BENCH_FEATURES, BENCH_LOGITS, BENCH_OUTPUTS };
extern const char *const bench_output_names[BENCH_OUTPUTS];

/* "cls,patches" */
enum { BENCH_OUTPUTS_TEXT = 64 };
void bench_outputs_text(unsigned outputs, char text[BENCH_OUTPUTS_TEXT]);

typedef struct bench_spec {
    char name[48];    /* as on the command line: "osf-base", "eegpt:22x1000:8" */
    char variant[16]; /* "osf-base", "eegpt" */
    bool eegpt;
    size_t channels; /* C; of an OSF, how many of its 12 have a signal */
    size_t samples;  /* T and depth of an EEGPT */
    size_t depth;
    unsigned outputs; /* bits */
} bench_spec;

/* What a device can do at most; 0: not told. */
typedef struct bench_peak {
    double gflops, gbs;
} bench_peak;

typedef struct bench_arguments {
    bench_spec models[BENCH_MOST_MODELS];
    size_t model_count;
    size_t batches[BENCH_MOST_BATCHES];
    size_t batch_count;
    size_t epochs; /* of a job; 0: one batch */
    size_t runs;
    size_t channels; /* 0: all */
    size_t threads;  /* 0: the device's own choice */
    psgvit_backend backend;
    const char *device;
    psgvit_isa isa;
    psgvit_precision precision;
    bool json;
    bool profile;
    bench_peak peak;
    const char *child_file; /* not NULL: this process is the child, and the model is in this file */
} bench_arguments;

/* Reads "osf-base" or "eegpt:22x1000[:8]"; says what is wrong and returns false. */
bool bench_parse_model(bench_spec *spec, const char *text);

/* ---- a model --------------------------------------------------------------------------------- */

/* Sizes of the matrix products of one epoch. */
typedef struct bench_shape {
    size_t depth;
    size_t width;      /* D */
    size_t inner;      /* heads * head dimension */
    size_t mlp_dim;    /* M */
    size_t tokens;     /* rows that enter a block */
    size_t sequence;   /* tokens that see each other: `tokens` of OSF, C' + 4 of EEGPT */
    size_t patch_rows; /* patches that are embedded, each of `patch_size` samples */
    size_t patch_size;
    size_t probe; /* multiplications of the probe */
} bench_shape;

typedef struct bench_model {
    const bench_spec *spec;
    osf_encoder *osf; /* one of the two */
    eegpt_encoder *eegpt;
    bench_shape shape;
    size_t epochs, batch; /* of a job, and at once; batch 0: what suits the device */
    float *signal;
    float *outputs[BENCH_OUTPUTS];
    size_t sizes[BENCH_OUTPUTS]; /* in floats */
    double device_ms;            /* of the last run, by the device's own clock; 0: it has none */
    psgvit_profile_fn profile;   /* of the runs from now on; NULL: none */
    void *profile_user;
} bench_model;

/* The bytes of the model's safetensors file, freed by free(). */
psgvit_status bench_model_image(const bench_spec *spec, unsigned char **bytes, size_t *size,
                                psgvit_error *err);
/* From memory if `bytes` is not NULL, else from the file. *load_ms is what opening took. */
psgvit_status bench_model_open(bench_model *model, const bench_spec *spec, psgvit_device *device,
                               psgvit_precision precision, const char *path,
                               const unsigned char *bytes, size_t size, double *load_ms,
                               psgvit_error *err);
/* Room and a signal for `epochs` epochs, to run `batch` at once. */
psgvit_status bench_model_prepare(bench_model *model, size_t epochs, size_t batch,
                                  psgvit_error *err);
psgvit_status bench_model_run(bench_model *model, psgvit_error *err);
void bench_model_close(bench_model *model);

/* Floating-point operations of so many epochs: 2 M N K of every linear layer and of the two
 * products of attention, for all rows of all blocks. What a model may leave out because an output
 * is not wanted is counted all the same. */
double bench_flops(const bench_shape *shape, size_t epochs);

/* ---- bare BLAS ------------------------------------------------------------------------------- */

typedef struct bench_blas bench_blas;

/* False in a build without BLAS; then bench_blas_open gives NULL. */
bool bench_blas_available(void);
/* Weights of all blocks and activations of `most_batch` epochs; NULL if there is no memory. The
 * calls use `threads` threads of BLAS's own. */
bench_blas *bench_blas_open(const bench_shape *shape, size_t most_batch, int threads);
/* The patches and depth x {qkv, out, fc1, fc2} of `batch` epochs; returns milliseconds. */
double bench_blas_run(bench_blas *blas, size_t batch);
void bench_blas_close(bench_blas **blas);

/* ---- the profile ----------------------------------------------------------------------------- */

typedef struct bench_profile bench_profile;

bench_profile *bench_profile_open(void); /* NULL if there is no memory */
/* A psgvit_profile_fn; `user` is the profile. */
void bench_profile_take(void *user, const psgvit_op_time *time);
/* The longest first; false if memory ran out meanwhile. */
bool bench_profile_sort(bench_profile *profile);
/* The steps of one of `runs` equal runs, as a table and as a field of a JSON object. */
void bench_profile_print(const bench_profile *profile, size_t runs, const bench_peak *peak);
void bench_profile_put(const bench_profile *profile, size_t runs, const bench_peak *peak);
void bench_profile_close(bench_profile **profile);

/* ---- the child ------------------------------------------------------------------------------- */

typedef struct bench_load {
    double load_ms;     /* of opening the encoder from a file in the page cache */
    double peak_rss_mb; /* of 10^6 bytes: the whole process, one batch included */
} bench_load;

/* A file without a name, which vanishes with the last process that has it open; -1 after saying
 * what is wrong. */
int bench_file_make(const unsigned char *bytes, size_t size);
/* Runs this program again as a child that opens the model in `file` and runs one batch. Returns 0,
 * or the exit code after saying what is wrong. */
int bench_child_measure(const bench_arguments *args, const bench_spec *spec, size_t batch, int file,
                        bench_load *load);
/* The child's whole work: returns its exit code. */
int bench_child_main(const bench_arguments *args);

/* ---- the report ------------------------------------------------------------------------------ */

typedef struct bench_result {
    const bench_spec *spec;
    size_t epochs, batch; /* as bench_model's */
    size_t runs;
    double *times;             /* [runs] milliseconds, in the order of the runs */
    double median, least, p99; /* milliseconds, here and below */
    double blas;               /* 0: not measured */
    double gpu;                /* 0: the device has no clock */
    double gflops;
    bench_load load;
    bench_profile *profile; /* NULL: not asked for */
} bench_result;

/* To standard output: a row of the table, below its head if it is the `first`, or an object of a
 * JSON array, which the first one begins. */
void bench_report_row(const bench_arguments *args, const bench_result *result,
                      const psgvit_device_info *device, bool first);
void bench_report_json(const bench_arguments *args, const bench_result *result,
                       const psgvit_device_info *device, bool first);

#endif
