/* SPDX-License-Identifier: MIT */
/* The command line of osf-infer and eegpt-infer: all that it alone can show is checked here. */
#ifndef TOOLS_INFER_OPTIONS_H
#define TOOLS_INFER_OPTIONS_H

#include "cli.h"
#include "hypnogram.h"
#include "infer_edf_options.h"
#include "progress.h"
#include "shard.h"
#include "writer.h"

#include <psgvit/recording.h>

/* What the two tools differ in on their command line. */
typedef struct infer_syntax {
    const char *program;
    int tool;                            /* INFER_OSF or INFER_EEGPT */
    const char *outputs[WRITER_TENSORS]; /* names; NULL ends them early */
    bool flat[WRITER_TENSORS];           /* [E, n]: what fits a table */
    const char *const *help;             /* paragraphs, NULL at the end */
} infer_syntax;

typedef enum infer_layout {
    INFER_LAYOUT_UNSAID,
    INFER_LAYOUT_EPOCHS,
    INFER_LAYOUT_CHANNELS,
} infer_layout;

/* A file that is written beside the embeddings. */
typedef struct infer_companion {
    const char *path; /* as it was given; NULL: none */
    bool folder;      /* of one file an input */
    const char *suffix;
} infer_companion;

typedef struct infer_options {
    const char *model, *config, *out;
    psgvit_format input_format;
    infer_layout layout;
    size_t samples, channels; /* 0: not given */
    infer_edf_options edf;
    bool wanted[WRITER_TENSORS];
    bool outputs_given; /* else `wanted` is all false */
    psgvit_backend backend;
    const char *device;
    psgvit_isa isa;
    psgvit_precision precision;
    size_t threads, batch; /* 0: not given */
    psgvit_nan_policy nan;
    bool no_clamp, no_mmap, json, list_devices;
    progress_mode progress;
    writer_format format;
    bool format_given;
    bool folder; /* OUT is one */
    const char *head;
    infer_companion hypnogram, page;
    hypnogram_format hypnogram_format;
    int verbosity;
    const char *list; /* then there are no inputs here; NULL: none */
    char **inputs;
    size_t input_count;
    list_shard shard; /* 0 of 1, if not given */
    bool shard_given, resume;
} infer_options;

/* Returns true and fills the options, or false with the exit code in *code: after --help and
 * --version, or once a sentence has been said. Free with infer_options_free, whatever it returned.
 */
bool infer_options_parse(infer_options *options, const infer_syntax *syntax, int argc, char **argv,
                         int *code);
void infer_options_free(infer_options *options);

#endif
