/* SPDX-License-Identifier: MIT */
/*
 * What osf-infer and eegpt-infer share: open device and model, stream each input through the
 * encoder into its outputs, report. A tool is one infer_kind: the few calls in which its model
 * differs. One or a few threads read and prepare ahead (infer_reader.h), the main one computes,
 * writes and talks.
 */
#ifndef TOOLS_INFER_H
#define TOOLS_INFER_H

#include "infer_options.h"
#include "manifest.h"
#include "model_hash.h"
#include "sample_list.h"
#include "targets.h"
#include "writer.h"

/* What is known of an open model. */
typedef struct infer_facts {
    const char *variant;
    size_t channels;
    size_t samples;           /* T, if nobody says another; 0: unknown */
    double rate;              /* Hz of its input */
    bool has[WRITER_TENSORS]; /* the outputs that it can give */
    size_t usual;             /* the output that is written if none is named */
    size_t vector;            /* the output that vectors are made of: what a head and a page see */
    size_t vector_width;
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
    /* The name of input channel `index`, by which an EDF is searched; "": the config does not say.
     * The function is NULL where the library knows the names itself. */
    const char *(*channel_name)(const void *encoder, size_t index);
    /* Does an epoch of T samples fit the model and the outputs? CLI_INPUT and a reason if not. */
    int (*fit)(const void *encoder, size_t samples, const bool *wanted, cli_failure *failure);
    /* Rank, and shape from the second dimension on. */
    void (*shape)(const void *encoder, size_t output, size_t samples, writer_tensor *tensor);
    psgvit_status (*encode)(void *encoder, const infer_job *job, psgvit_error *err);
    /* One vector [vector_width] an epoch, of output facts.vector; NULL: they are that output. */
    void (*reduce)(const float *values, size_t epochs, const writer_tensor *tensor, float *vectors);
} infer_kind;

/* How one input went. */
typedef struct infer_result {
    bool started;
    bool complete; /* --resume found it done */
    size_t turn;   /* among those that are not */
    int code;
    size_t epochs, samples, dropped;
    double seconds;
    writer_tensor tensors[WRITER_TENSORS];
    size_t tensor_count;
    char *recording; /* what an EDF knows of itself, as fields of JSON; NULL: nothing */
    char *error;     /* NULL: none */
} infer_result;

/* Milliseconds. Reading is done by another thread, beside the rest. */
typedef struct infer_timings {
    double load, read, compute, write, total;
    double run; /* from the first input on: what `compute` is to have the most of */
} infer_timings;

struct infer_reader;

enum { INFER_READERS = 4 };

/* One run of a tool. */
typedef struct infer_session {
    const infer_kind *kind;
    infer_options options;
    sample_list list;
    targets targets;
    psgvit_device *device;
    void *encoder;
    infer_facts facts;
    const char **names; /* [facts.channels], for EDF; NULL: the library's, or none */
    size_t samples;     /* T that was asked for; 0: the input's or the model's */
    bool wanted[WRITER_TENSORS];
    linear_head *head;
    char *settings; /* metadata `options` */
    model_hash *hash;
    char sha256[MODEL_HASH_TEXT];        /* "": not known yet */
    char config_sha256[MODEL_HASH_TEXT]; /* of -c; "": there is none */
    manifest *manifest;
    struct infer_reader *readers[INFER_READERS];
    size_t reader_count;
    infer_timings timings;
    bool alone;            /* one INPUT, no list, no shard: its exit code is that of the run */
    size_t count;          /* inputs of this shard */
    infer_result *results; /* [count] */
} infer_session;

/* The whole of main. */
int infer_main(const infer_kind *kind, int argc, char **argv);

/* ---- between the files of the two tools ---- */

void infer_warn(const infer_session *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Input `index` of the shard, and what messages call it. */
const sample *infer_sample(const infer_session *s, size_t index);
const char *infer_name(const infer_session *s, size_t index);
/* Is one vector an epoch wanted beside the outputs, for a head or a page? */
bool infer_wants_vectors(const infer_session *s);

/* Input `index`, from the reader's first part of it to its committed outputs. Returns 0 or a code
 * with the failure filled in. */
int infer_input(infer_session *s, size_t index, cli_failure *failure);
/* The report of --json on standard output. Returns 0 or CLI_OUTPUT. */
int infer_report(const infer_session *s, int code);

/* Makes sure that outputs can be written, and makes the folders for them. */
int infer_prepare_outputs(infer_session *s, cli_failure *failure);
/* Waits for the model's hash, if it is not known yet. */
void infer_know_hash(infer_session *s);
/* Fills s->settings: those options that change what is computed, as JSON. CLI_MEMORY. */
int infer_make_settings(infer_session *s, cli_failure *failure);
/* Fills `content`'s entries for an input of that many bytes ("" if unknown); `inputs` and `bytes`
 * must live as long as the content. */
void infer_put_entries(const infer_session *s, writer_content *content, const char *inputs,
                       const char *bytes);
/* The metadata entry `inputs`, a JSON array; NULL: no memory. Free with free(). */
char *infer_inputs_entry(const infer_session *s, size_t index);
/* For --resume: are all outputs of the input there, and what this run would make? Sets epochs. */
bool infer_is_complete(infer_session *s, size_t index, size_t *epochs);

#endif
