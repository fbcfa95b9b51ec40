/* SPDX-License-Identifier: MIT */
/*
 * The order of looking is command line, device, model, input. A fault of one of the first three
 * ends the run with its own exit code; of several inputs each may fail by itself.
 */
#define _GNU_SOURCE 1
#include "infer.h"

#include "device_list.h"
#include "infer_reader.h"
#include "interrupt.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void infer_warn(const infer_session *s, const char *format, ...)
{
    char line[CLI_SENTENCE];
    int verbosity = s->options.verbosity;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    cli_log(&verbosity, PSGVIT_LOG_WARNING, line);
}

static int open_device(infer_session *s, cli_failure *failure)
{
    psgvit_device_params params = {
        .struct_size = sizeof params,
        .backend = s->options.backend,
        .device = s->options.device,
        .isa = s->options.isa,
        .threads = (int)s->options.threads,
        .log = cli_log,
        .log_user = &s->options.verbosity,
    };
    psgvit_error err;
    return psgvit_device_open(&s->device, &params, &err) ? cli_fail_status(failure, &err)
                                                         : CLI_DONE;
}

/* All of them, or none: half a montage can't be searched for. */
static int name_channels(infer_session *s, cli_failure *failure)
{
    if (!s->kind->channel_name)
        return CLI_DONE;
    s->names = calloc(s->facts.channels + 1, sizeof *s->names);
    if (!s->names)
        return cli_fail(failure, CLI_MEMORY, "out of memory: the names of the channels");
    for (size_t i = 0; i < s->facts.channels && s->names; i++) {
        s->names[i] = s->kind->channel_name(s->encoder, i);
        if (!s->names[i][0]) {
            free(s->names);
            s->names = NULL;
        }
    }
    return CLI_DONE;
}

/* And the hash of its config, "unknown" if that changes meanwhile; what it must be is the library's
 * to say. */
static int open_encoder(infer_session *s, cli_failure *failure)
{
    const infer_options *o = &s->options;
    struct stat st;
    model_hash *config = NULL;
    const char *reason;
    bool regular = o->config && stat(o->config, &st) == 0 && S_ISREG(st.st_mode);
    int code = regular ? model_hash_start(&config, o->config, failure) : CLI_DONE;
    psgvit_error err;
    if (!code && s->kind->open(&s->encoder, s->device, o, &err))
        code = cli_fail_status(failure, &err);
    if (config) {
        model_hash_loaded(config);
        model_hash_finish(config, s->config_sha256, &reason);
    } else if (o->config) {
        strcpy(s->config_sha256, "unknown");
    }
    model_hash_close(&config);
    return code;
}

static int open_model(infer_session *s, cli_failure *failure)
{
    int code = model_hash_start(&s->hash, s->options.model, failure);
    if (code)
        return code;
    double start = cli_clock();
    code = open_encoder(s, failure);
    if (code)
        return code;
    s->timings.load = cli_clock() - start;
    model_hash_loaded(s->hash);
    s->kind->describe(s->encoder, &s->facts);
    return name_channels(s, failure);
}

/* Which outputs, and can the model give them? */
static int choose_outputs(infer_session *s, cli_failure *failure)
{
    const infer_options *o = &s->options;
    if (!o->outputs_given)
        s->wanted[s->facts.usual] = true;
    for (size_t i = 0; i < WRITER_TENSORS; i++) {
        s->wanted[i] = s->wanted[i] || o->wanted[i];
        if (s->wanted[i] && !s->facts.has[i])
            return cli_fail(failure, CLI_MODEL, "%s: %s", o->model, s->kind->lacking);
    }
    bool table = o->format == WRITER_CSV || o->format == WRITER_TSV;
    if (table && !s->kind->syntax.flat[s->facts.usual] && !o->outputs_given)
        return cli_fail(failure, CLI_MODEL, "%s: %s, and .%s can't hold its %s", o->model,
                        s->kind->lacking, writer_format_names[o->format],
                        s->kind->syntax.outputs[s->facts.usual]);
    return CLI_DONE;
}

/* --window in samples, which must be whole ones, and those of --samples if both are given. */
static int count_samples(infer_session *s, cli_failure *failure)
{
    const infer_options *o = &s->options;
    double seconds = o->edf.window_seconds, samples = seconds * s->facts.rate;
    s->samples = o->samples;
    if (seconds == 0)
        return CLI_DONE;
    if (samples < 1 || fabs(samples - nearbyint(samples)) > 1e-6)
        return cli_fail(failure, CLI_INPUT,
                        "--window %g: expected whole samples at the model's %g Hz, found %g",
                        seconds, s->facts.rate, samples);
    s->samples = (size_t)nearbyint(samples);
    if (o->samples && o->samples != s->samples)
        return cli_fail(failure, CLI_INPUT,
                        "--window %g: expected the %zu samples of --samples, found %zu at %g Hz",
                        seconds, o->samples, s->samples, s->facts.rate);
    return CLI_DONE;
}

/* Of less than a sample, windows would be the same one over and over. */
static int check_stride(const infer_session *s, cli_failure *failure)
{
    double stride = s->options.edf.stride_seconds, rate = s->facts.rate;
    return stride > 0 && stride * rate < 1 - 1e-6
               ? cli_fail(failure, CLI_INPUT,
                          "--stride %g: expected at least a sample at the model's %g Hz, which is "
                          "%g s",
                          stride, rate, 1 / rate)
               : CLI_DONE;
}

/* What the command line says of the signal, against the model: the same for all inputs. */
static int check_options(infer_session *s, cli_failure *failure)
{
    const infer_options *o = &s->options;
    cli_failure reason;
    if (o->channels && o->channels != s->facts.channels)
        return cli_fail(failure, CLI_INPUT, "--channels %zu: the model %s expects %zu channels",
                        o->channels, o->model, s->facts.channels);
    int code = check_stride(s, failure);
    if (!code)
        code = count_samples(s, failure);
    if (!code && s->samples && s->kind->fit(s->encoder, s->samples, s->wanted, &reason))
        code = o->samples
                   ? cli_fail(failure, CLI_INPUT, "--samples %zu: %s", o->samples, reason.message)
                   : cli_fail(failure, CLI_INPUT, "--window %g: %s", o->edf.window_seconds,
                              reason.message);
    return code;
}

bool infer_wants_vectors(const infer_session *s)
{
    return s->head || s->options.page.path;
}

static int open_head(infer_session *s, cli_failure *failure)
{
    const infer_options *o = &s->options;
    if (!o->head)
        return CLI_DONE;
    int code = head_open(&s->head, o->head, s->facts.vector_width, failure);
    return code || !o->hypnogram.path
               ? code
               : hypnogram_check(o->hypnogram_format, s->head, o->head, failure);
}

int infer_prepare_outputs(infer_session *s, cli_failure *failure)
{
    return targets_prepare(&s->targets, failure);
}

/* ---- the inputs ------------------------------------------------------------------------------ */

const sample *infer_sample(const infer_session *s, size_t index)
{
    return &s->list.samples[shard_input(&s->options.shard, index)];
}

const char *infer_name(const infer_session *s, size_t index)
{
    const char *path = infer_sample(s, index)->path;
    return strcmp(path, "-") ? path : "standard input";
}

static int take_inputs(infer_session *s, cli_failure *failure)
{
    const infer_options *o = &s->options;
    int code = o->list ? sample_list_read(&s->list, o->list, failure)
                       : sample_list_take(&s->list, o->inputs, o->input_count, failure);
    if (code)
        return code;
    s->alone = !o->list && !o->shard_given && o->input_count == 1;
    s->count = shard_share(&o->shard, s->list.count);
    s->results = calloc(s->count + 1, sizeof *s->results);
    return s->results ? targets_plan(&s->targets, o, &s->list, failure)
                      : cli_fail(failure, CLI_MEMORY, "out of memory: the list of inputs");
}

static void note(infer_session *s, size_t index, const char *status)
{
    const infer_result *result = &s->results[index];
    const manifest_entry entry = {
        .status = status,
        .output = result->code ? NULL : targets_path(&s->targets, TARGET_EMBEDDINGS, index),
        .epochs = result->epochs,
        .seconds = result->seconds,
        .code = result->code,
        .error = result->error,
    };
    if (s->manifest)
        manifest_put(s->manifest, infer_sample(s, index), &entry);
}

/* Which inputs are done already; known before anything is read. */
static void find_complete(infer_session *s)
{
    size_t complete = 0;
    for (size_t i = 0; i < s->count; i++) {
        infer_result *result = &s->results[i];
        result->complete = s->options.resume && infer_is_complete(s, i, &result->epochs);
        result->turn = i - complete;
        if (!result->complete)
            continue;
        complete++;
        note(s, i, "skipped");
    }
    if (complete && s->options.verbosity > 0)
        cli_say("%zu of %zu inputs are complete already", complete, s->count);
}

static int start_readers(infer_session *s, cli_failure *failure)
{
    size_t count = infer_reader_count(s);
    int code = CLI_DONE;
    for (; s->reader_count < count && !code; s->reader_count += code == CLI_DONE)
        code = infer_reader_start(&s->readers[s->reader_count], s, s->reader_count, count, failure);
    return code;
}

static int open_many(infer_session *s, cli_failure *failure)
{
    const infer_options *o = &s->options;
    int code = infer_prepare_outputs(s, failure);
    if (!code && (o->list || o->shard_given))
        code = manifest_open(&s->manifest, s->targets.sets[TARGET_EMBEDDINGS].folder, &s->list,
                             &o->shard, failure);
    return code;
}

static int open_session(infer_session *s, cli_failure *failure)
{
    int code = take_inputs(s, failure);
    if (!code)
        code = open_device(s, failure);
    if (!code)
        code = open_model(s, failure);
    if (!code)
        code = choose_outputs(s, failure);
    if (!code)
        code = open_head(s, failure);
    if (!code)
        code = check_options(s, failure);
    if (!code)
        code = infer_make_settings(s, failure);
    if (!code && !s->alone)
        code = open_many(s, failure);
    if (code)
        return code;
    find_complete(s);
    return start_readers(s, failure);
}

/* Where a reader is left behind, what it uses stays for it until the process ends. */
static void close_session(infer_session *s)
{
    cli_failure ignored;
    bool ended = true;
    for (size_t i = 0; i < s->reader_count; i++)
        ended = infer_reader_close(&s->readers[i]) && ended;
    manifest_close(&s->manifest, &ignored);
    targets_free(&s->targets);
    if (!ended)
        return;
    if (s->encoder)
        s->kind->close(s->encoder);
    psgvit_device_close(&s->device);
    model_hash_close(&s->hash);
    head_close(&s->head);
    for (size_t i = 0; s->results && i < s->count; i++) {
        free(s->results[i].error);
        free(s->results[i].recording);
    }
    free(s->results);
    free(s->names);
    free(s->settings);
    sample_list_free(&s->list);
    infer_options_free(&s->options);
}

/* ---- the run --------------------------------------------------------------------------------- */

/* Does this failure leave the other inputs a chance? */
static bool ends_all(int code)
{
    return code != CLI_DONE && code != CLI_INPUT && code != CLI_MEMORY && code != CLI_OUTPUT;
}

static int run_input(infer_session *s, size_t index)
{
    cli_failure failure = {0};
    infer_result *result = &s->results[index];
    int code = interrupt_code() ? interrupt_fail(&failure) : infer_input(s, index, &failure);
    bool interrupted = code == CLI_INTERRUPTED || code == CLI_TERMINATED;
    result->code = code;
    if (code) {
        result->error = strdup(failure.message);
        cli_error(code, "%s", failure.message);
    } else if (s->options.verbosity > 0) {
        cli_say("%s: %zu epochs in %.2f s, written to %s", infer_name(s, index), result->epochs,
                result->seconds, targets_path(&s->targets, TARGET_EMBEDDINGS, index));
    }
    note(s, index, interrupted ? "interrupted" : code ? "failed" : "done");
    return code;
}

static int run_inputs(infer_session *s)
{
    size_t failed = 0;
    for (size_t i = 0; i < s->count; i++) {
        int code = s->results[i].complete ? CLI_DONE : run_input(s, i);
        failed += code != CLI_DONE;
        if (ends_all(code) || s->alone)
            return code;
    }
    if (failed)
        return cli_error(CLI_SOME_FAILED, "%zu of %zu inputs failed", failed, s->count);
    return CLI_DONE;
}

static int run(infer_session *s)
{
    double start = cli_clock();
    cli_failure failure = {0};
    int code = open_session(s, &failure);
    if (code && interrupt_code()) /* which a read that it cut short says otherwise */
        code = interrupt_fail(&failure);
    if (code)
        return cli_error(code, "%s", failure.message);
    double opened = cli_clock();
    code = run_inputs(s);
    s->timings.total = cli_clock() - start;
    s->timings.run = cli_clock() - opened;
    int noted = manifest_close(&s->manifest, &failure);
    if (noted)
        cli_error(noted, "%s", failure.message);
    int reported = s->options.json ? infer_report(s, code ? code : noted) : CLI_DONE;
    return code ? code : noted ? noted : reported;
}

int infer_main(const infer_kind *kind, int argc, char **argv)
{
    static infer_session session; /* a reader that is left behind may still look at it */
    int code;
    session.kind = kind;
    cli_set_program(kind->syntax.program);
    interrupt_hold_streams();
    interrupt_watch();
    if (!infer_options_parse(&session.options, &kind->syntax, argc, argv, &code)) {
        infer_options_free(&session.options);
        return code;
    }
    if (session.options.list_devices)
        code = device_list_print(session.options.json);
    else
        code = run(&session);
    close_session(&session);
    return code;
}
