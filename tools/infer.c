/* SPDX-License-Identifier: MIT */
/*
 * The order of looking is command line, device, model, input. A fault of one of the first three
 * ends the run with its own exit code; of several inputs each may fail by itself.
 */
#define _GNU_SOURCE 1
#include "infer.h"

#include "device_list.h"
#include "interrupt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void infer_warn(const infer_session *s, const char *format, ...)
{
    char line[1536];
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

/* The library knows a config by its text: its file is named here. */
static int fail_model(const infer_options *o, const psgvit_error *err, cli_failure *failure)
{
    if (o->config && strstr(err->message, "config") && !strstr(err->message, o->config))
        return cli_fail(failure, cli_exit_code(err->code), "%s (config: %s)", err->message,
                        o->config);
    return cli_fail_status(failure, err);
}

static int open_model(infer_session *s, cli_failure *failure)
{
    int code = model_hash_start(&s->hash, s->options.model, failure);
    if (code)
        return code;
    double start = cli_clock();
    psgvit_error err;
    if (s->kind->open(&s->encoder, s->device, &s->options, &err))
        return fail_model(&s->options, &err, failure);
    s->timings.load = cli_clock() - start;
    model_hash_loaded(s->hash);
    s->kind->describe(s->encoder, &s->facts);
    return CLI_DONE;
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
    if (o->format == WRITER_CSV && !s->kind->syntax.flat[s->facts.usual] && !o->outputs_given)
        return cli_fail(failure, CLI_MODEL, "%s: %s, and .csv can't hold its %s", o->model,
                        s->kind->lacking, s->kind->syntax.outputs[s->facts.usual]);
    return CLI_DONE;
}

/* What the command line says of the signal, against the model: the same for all inputs. */
static int check_options(const infer_session *s, cli_failure *failure)
{
    const infer_options *o = &s->options;
    cli_failure reason;
    if (o->channels && o->channels != s->facts.channels)
        return cli_fail(failure, CLI_INPUT, "--channels %zu: the model %s expects %zu channels",
                        o->channels, o->model, s->facts.channels);
    if (o->samples && s->kind->fit(s->encoder, o->samples, s->wanted, &reason))
        return cli_fail(failure, CLI_INPUT, "--samples %zu: %s", o->samples, reason.message);
    return CLI_DONE;
}

int infer_prepare_outputs(infer_session *s, cli_failure *failure)
{
    int code = targets_check(&s->targets, failure);
    return code ? code : targets_make_folder(&s->targets, failure);
}

static int open_session(infer_session *s, cli_failure *failure)
{
    int code = targets_plan(&s->targets, &s->options, failure);
    if (!code)
        code = open_device(s, failure);
    if (!code)
        code = open_model(s, failure);
    if (!code)
        code = choose_outputs(s, failure);
    if (!code)
        code = check_options(s, failure);
    if (!code && s->options.input_count > 1)
        code = infer_prepare_outputs(s, failure);
    if (!code && !(s->results = calloc(s->options.input_count, sizeof *s->results)))
        code = cli_fail(failure, CLI_MEMORY, "out of memory: the list of inputs");
    return code;
}

static void close_session(infer_session *s)
{
    if (s->encoder)
        s->kind->close(s->encoder);
    psgvit_device_close(&s->device);
    model_hash_close(&s->hash);
    targets_free(&s->targets);
    for (size_t i = 0; s->results && i < s->options.input_count; i++)
        free(s->results[i].error);
    free(s->results);
}

/* Does this failure leave the other inputs a chance? */
static bool ends_all(int code)
{
    return code != CLI_DONE && code != CLI_INPUT && code != CLI_MEMORY && code != CLI_OUTPUT;
}

static int run_inputs(infer_session *s)
{
    size_t count = s->options.input_count, failed = 0;
    for (size_t i = 0; i < count; i++) {
        cli_failure failure = {0};
        infer_result *result = &s->results[i];
        int code = interrupt_code() ? cli_fail(&failure, interrupt_code(), "interrupted")
                                    : infer_input(s, i, &failure);
        result->code = code;
        if (code) {
            failed++;
            result->error = strdup(failure.message);
            cli_error(code, "%s", failure.message);
        } else if (s->options.verbosity > 0) {
            cli_say("%s: %zu epochs in %.2f s, written to %s", s->options.inputs[i], result->epochs,
                    result->seconds, s->targets.paths[i]);
        }
        if (ends_all(code) || count == 1)
            return code;
    }
    if (failed)
        return cli_error(CLI_SOME_FAILED, "%zu of %zu inputs failed", failed, count);
    return CLI_DONE;
}

static int run(infer_session *s)
{
    double start = cli_clock();
    cli_failure failure = {0};
    int code = open_session(s, &failure);
    if (code)
        return cli_error(code, "%s", failure.message);
    code = run_inputs(s);
    s->timings.total = cli_clock() - start;
    int reported = s->options.json ? infer_report(s, code) : CLI_DONE;
    return code ? code : reported;
}

int infer_main(const infer_kind *kind, int argc, char **argv)
{
    infer_session session = {.kind = kind};
    int code;
    cli_set_program(kind->syntax.program);
    interrupt_hold_streams();
    interrupt_watch();
    if (!infer_options_parse(&session.options, &kind->syntax, argc, argv, &code))
        return code;
    if (session.options.list_devices)
        return device_list_print(session.options.json);
    code = run(&session);
    close_session(&session);
    return code;
}
