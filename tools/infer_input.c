/* SPDX-License-Identifier: MIT */
/*
 * One input: take a part of its epochs from the reader, encode them, write them, again. Memory is
 * that of these epochs, however long the night is.
 */
#define _GNU_SOURCE 1
#include "channel_report.h"
#include "infer_outputs.h"
#include "infer_reader.h"
#include "interrupt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input on its way. */
typedef struct passage {
    infer_session *session;
    infer_result *result;
    size_t index;
    const char *name;
    infer_source *source;
    size_t done;                   /* epochs */
    float *values[WRITER_TENSORS]; /* [source->computed], each for one part */
    float *vectors;                /* for one part, where they are no output by themselves */
    head_scores scores;
    infer_outputs outputs;
} passage;

/* ---- what there is to say -------------------------------------------------------------------- */

/* The lines that the library logged on the reader's thread. */
static void say_talk(const infer_session *s, char *talk)
{
    int verbosity = s->options.verbosity;
    for (char *line = talk; line && *line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        cli_log(&verbosity, (psgvit_log_level)(line[0] - '0'), line + 1);
        line = end ? end + 1 : NULL;
    }
}

static void say_source(const passage *p)
{
    const infer_session *s = p->session;
    const infer_source *source = p->source;
    int verbosity = s->options.verbosity;
    if (source->format == PSGVIT_FORMAT_EDF) {
        double rest = (double)source->dropped / s->facts.rate;
        if (verbosity >= 0)
            channel_report_say(p->name, source->facts, rest, !s->alone && verbosity == 0);
    } else if (source->dropped) {
        infer_warn(s,
                   "%s: the last %zu samples of each channel are less than an epoch of %zu and "
                   "are left out",
                   p->name, source->dropped, source->samples);
    }
    const infer_edf_options *edf = &s->options.edf;
    if (source->format != PSGVIT_FORMAT_EDF && (edf->cohort || edf->aliases))
        infer_warn(s, "%s: %s has no effect: only an EDF's channels are found by their names",
                   p->name, edf->cohort ? "--cohort" : "--alias");
}

/* ---- room ------------------------------------------------------------------------------------ */

static int make_room(passage *p, cli_failure *failure)
{
    const infer_session *s = p->session;
    const infer_source *source = p->source;
    bool missing = false;
    for (size_t k = 0; k < source->computed; k++) {
        p->values[k] = malloc(source->part * source->rows[k] * sizeof(float));
        missing = missing || !p->values[k];
    }
    if (infer_wants_vectors(s) && s->kind->reduce) {
        p->vectors = malloc(source->part * s->facts.vector_width * sizeof(float));
        missing = missing || !p->vectors;
    }
    if (missing)
        return cli_fail(failure, CLI_MEMORY, "%s: out of memory: the outputs of %zu epochs",
                        p->name, source->part);
    return s->head ? head_scores_make(&p->scores, s->head, source->part, failure) : CLI_DONE;
}

static void free_passage(passage *p)
{
    infer_outputs_abort(&p->outputs);
    for (size_t k = 0; k < WRITER_TENSORS; k++)
        free(p->values[k]);
    free(p->vectors);
    head_scores_free(&p->scores);
    infer_source_free(&p->source);
}

/* ---- the way through ------------------------------------------------------------------------- */

static void on_progress(void *user, size_t done, size_t total)
{
    const passage *p = user;
    (void)total;
    progress_update(p->done + done);
}

static int on_cancel(void *user)
{
    (void)user;
    return interrupt_code();
}

static int encode_part(passage *p, const infer_part *part, cli_failure *failure)
{
    const infer_session *s = p->session;
    const infer_source *source = p->source;
    infer_job job = {
        .signal = part->signal,
        .epochs = part->epochs,
        .samples = source->samples,
        .batch = s->options.batch,
        .first_epoch = p->done,
        .nan = s->options.nan,
        .no_clamp = s->options.no_clamp,
        .progress = on_progress,
        .cancel = on_cancel,
        .user = p,
    };
    for (size_t k = 0; k < source->computed; k++) {
        job.outputs[source->outputs[k]] = p->values[k];
        job.capacities[source->outputs[k]] = source->part * source->rows[k];
    }
    psgvit_error err;
    psgvit_status status = s->kind->encode(s->encoder, &job, &err);
    if (status == PSGVIT_E_CANCELLED)
        return interrupt_fail(failure);
    return status ? cli_fail(failure, cli_exit_code(status), "%s: %s", p->name, err.message)
                  : CLI_DONE;
}

static int write_part(passage *p, const infer_part *part, cli_failure *failure)
{
    const infer_session *s = p->session;
    const infer_source *source = p->source;
    infer_rows rows = {.first = p->done,
                       .count = part->epochs,
                       .signal = part->signal,
                       .values = (const float *const *)p->values};
    if (infer_wants_vectors(s)) {
        const float *values = p->values[source->vector];
        if (s->kind->reduce)
            s->kind->reduce(values, part->epochs, &source->tensors[source->vector], p->vectors);
        rows.vectors = s->kind->reduce ? p->vectors : values;
    }
    if (s->head) {
        head_apply(s->head, rows.vectors, part->epochs, &p->scores);
        rows.scores = &p->scores;
    }
    return infer_outputs_put(&p->outputs, &rows, failure);
}

static int pass_part(passage *p, const infer_part *part, cli_failure *failure)
{
    infer_timings *timings = &p->session->timings;
    double start = cli_clock();
    int code = encode_part(p, part, failure);
    double encoded = cli_clock();
    timings->compute += encoded - start;
    if (!code)
        code = write_part(p, part, failure);
    timings->write += cli_clock() - encoded;
    p->done += part->epochs;
    return code;
}

/* What the input's first part brings with it. */
static int begin(passage *p, infer_part *part, cli_failure *failure)
{
    infer_session *s = p->session;
    infer_source *source = p->source = part->source;
    part->source = NULL;
    p->result->epochs = source->epochs;
    p->result->samples = source->samples;
    p->result->dropped = source->dropped;
    p->result->tensor_count = source->tensor_count;
    memcpy(p->result->tensors, source->tensors, sizeof source->tensors);
    say_source(p);
    if (s->options.json && source->facts->clock)
        p->result->recording = channel_report_json(source->facts);
    int code = make_room(p, failure);
    double start = cli_clock();
    if (!code && s->alone) /* of several, once before the first */
        code = infer_prepare_outputs(s, failure);
    if (!code)
        code = infer_outputs_open(&p->outputs, s, p->index, source, failure);
    s->timings.write += cli_clock() - start;
    progress_begin(s->options.verbosity < 0 ? PROGRESS_NEVER : s->options.progress, p->name,
                   p->index, s->count, source->epochs);
    return code;
}

static int commit(passage *p, cli_failure *failure)
{
    infer_session *s = p->session;
    infer_know_hash(s);
    if (interrupt_code())
        return interrupt_fail(failure);
    double start = cli_clock();
    int code = infer_outputs_commit(&p->outputs, s->sha256, failure);
    s->timings.write += cli_clock() - start;
    return code;
}

/* The parts of the input, up to its last or a failure. */
static int pass_all(passage *p, cli_failure *failure)
{
    infer_session *s = p->session;
    infer_reader *reader = s->readers[p->result->turn % s->reader_count];
    int code = CLI_DONE;
    for (bool last = false; !last && !code;) {
        infer_part *part = infer_reader_take(reader);
        if (!part)
            return interrupt_fail(failure);
        last = part->last;
        s->timings.read += part->time;
        say_talk(s, part->talk);
        code = part->failure.code;
        if (code)
            *failure = part->failure;
        else if (part->source)
            code = begin(p, part, failure);
        if (!code)
            code = pass_part(p, part, failure);
        infer_reader_return(reader, part);
        if (code && !last)
            infer_reader_skip(reader, p->index);
    }
    return code;
}

int infer_input(infer_session *s, size_t index, cli_failure *failure)
{
    passage p = {.session = s, .result = &s->results[index], .index = index};
    p.name = infer_name(s, index);
    p.result->started = true;
    double start = cli_clock();
    int code = pass_all(&p, failure);
    progress_end();
    if (!code)
        code = commit(&p, failure);
    p.result->seconds = (cli_clock() - start) * 1e-3;
    free_passage(&p);
    return code;
}
