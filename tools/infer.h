/* SPDX-License-Identifier: MIT */
/*
 * What osf-infer and eegpt-infer share: open device and model, stream each input through the
 * encoder into its output, report. A tool is one infer_kind: the few calls in which its model
 * differs.
 */
#ifndef TOOLS_INFER_H
#define TOOLS_INFER_H

#include "infer_options.h"
#include "model_hash.h"
#include "targets.h"
#include "writer.h"

/* What is known of an open model. */
typedef struct infer_facts {
    const char *variant;
    size_t channels;
    size_t samples;           /* T, if nobody says another; 0: unknown */
    bool has[WRITER_TENSORS]; /* the outputs that it can give */
    size_t usual;             /* the output that is written if none is named */
} infer_facts;

/* Epochs of one input, as osf_job and eegpt_job have them. */
typedef struct infer_job {
    const float *signal;
    size_t epochs, samples;
    float *outputs[WRITER_TENSORS]; /* NULL: not wanted */
    size_t capacities[WRITER_TENSORS];
    size_t batch, first_epoch;
    psgvit_nan_policy nan;
    bool no_clamp;
    psgvit_progress_fn progress;
    psgvit_cancel_fn cancel;
    void *user;
} infer_job;

typedef struct infer_kind {
    infer_syntax syntax;
    const char *lacking; /* said where an output is asked for that the model can't give */
    psgvit_status (*open)(void **encoder, psgvit_device *device, const infer_options *options,
                          psgvit_error *err);
    void (*close)(void *encoder);
    void (*describe)(const void *encoder, infer_facts *facts);
    /* Does an epoch of T samples fit the model and the outputs? CLI_INPUT and a reason if not. */
    int (*fit)(const void *encoder, size_t samples, const bool *wanted, cli_failure *failure);
    /* Rank, and shape from the second dimension on. */
    void (*shape)(const void *encoder, size_t output, size_t samples, writer_tensor *tensor);
    psgvit_status (*encode)(void *encoder, const infer_job *job, psgvit_error *err);
} infer_kind;

/* How one input went. */
typedef struct infer_result {
    bool started;
    int code;
    size_t epochs, samples, dropped;
    double seconds;
    writer_tensor tensors[WRITER_TENSORS];
    size_t tensor_count;
    char *error; /* NULL: none */
} infer_result;

/* Milliseconds. */
typedef struct infer_timings {
    double load, read, compute, write, total;
} infer_timings;

/* One run of a tool. */
typedef struct infer_session {
    const infer_kind *kind;
    infer_options options;
    targets targets;
    psgvit_device *device;
    void *encoder;
    infer_facts facts;
    bool wanted[WRITER_TENSORS];
    model_hash *hash;
    char sha256[MODEL_HASH_TEXT]; /* "": not known yet */
    infer_timings timings;
    infer_result *results; /* [input_count] */
} infer_session;

/* The whole of main. */
int infer_main(const infer_kind *kind, int argc, char **argv);

/* ---- between the files of the two tools ---- */

void infer_warn(const infer_session *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Input `index` from its first byte to its committed output. Returns 0 or a code with the failure
 * filled in, without the name of the input where the failure is not its own. */
int infer_input(infer_session *s, size_t index, cli_failure *failure);
/* Makes sure that outputs can be written, and makes the folder for them. */
int infer_prepare_outputs(infer_session *s, cli_failure *failure);
/* The report of --json on standard output. Returns 0 or CLI_OUTPUT. */
int infer_report(const infer_session *s, int code);

#endif
