/* SPDX-License-Identifier: MIT */
/*
 * One input: read a few batches of epochs, encode them, write them, again. Memory is that of these
 * epochs, however long the night is.
 */
#define _GNU_SOURCE 1
#include "infer.h"

#include "interrupt.h"
#include "json_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PART_BYTES = 32 << 20, /* signal and outputs in memory, unless one batch needs more */
    PART_EPOCHS = 256,
};

/* One input on its way. */
typedef struct passage {
    infer_session *session;
    infer_result *result;
    const char *name;
    psgvit_recording *recording;
    size_t epochs, samples; /* E, T */
    size_t each;            /* numbers of one epoch's signal */
    size_t part;            /* epochs in memory */
    size_t done;
    float *signal;
    writer_content content;
    size_t outputs[WRITER_TENSORS]; /* which output each tensor of the content is */
    size_t rows[WRITER_TENSORS];    /* numbers of one epoch of it */
    float *values[WRITER_TENSORS];
    char *inputs; /* metadata */
    writer *writer;
} passage;

static int fail_input(const passage *p, cli_failure *failure, const char *what)
{
    return cli_fail(failure, CLI_INPUT, "%s: %s", p->name, what);
}

/* ---- the recording --------------------------------------------------------------------------- */

static int check_geometry(passage *p, cli_failure *failure)
{
    infer_session *s = p->session;
    const psgvit_recording_info *info = psgvit_recording_get_info(p->recording);
    p->result->epochs = p->epochs = info->epochs;
    p->result->samples = p->samples = info->samples;
    p->result->dropped = info->dropped;
    if (s->options.layout == INFER_LAYOUT_EPOCHS && info->layout == PSGVIT_LAYOUT_CHANNELS)
        return fail_input(p, failure,
                          "expected 3 dimensions [E, C, T] by --layout epochs, found 2, [C, L]");
    if (p->samples == 0 && s->facts.samples == 0)
        return fail_input(p, failure,
                          "the model's config has no n_times, so --samples T must be given");
    cli_failure reason;
    if (s->kind->fit(s->encoder, p->samples, s->wanted, &reason))
        return fail_input(p, failure, reason.message);
    if (p->epochs == 0)
        return cli_fail(failure, CLI_INPUT,
                        "%s: expected at least one epoch of %zu samples, found %zu samples",
                        p->name, p->samples, info->length);
    if (info->dropped)
        infer_warn(s,
                   "%s: the last %zu samples of each channel are less than an epoch of %zu and "
                   "are left out",
                   p->name, info->dropped, p->samples);
    return CLI_DONE;
}

static int open_recording(passage *p, const char *path, cli_failure *failure)
{
    const infer_session *s = p->session;
    psgvit_recording_params params = {
        .struct_size = sizeof params,
        .format = s->options.input_format,
        .layout = s->options.layout == INFER_LAYOUT_CHANNELS ? PSGVIT_LAYOUT_CHANNELS
                                                             : PSGVIT_LAYOUT_EPOCHS,
        .channels = s->facts.channels,
        .samples = s->options.samples,
        .default_samples = s->facts.samples,
    };
    psgvit_error err;
    if (psgvit_recording_open(&p->recording, path, &params, &err))
        return cli_fail_status(failure, &err);
    return check_geometry(p, failure);
}

/* ---- room ------------------------------------------------------------------------------------ */

static int no_memory(const passage *p, cli_failure *failure, size_t bytes)
{
    return cli_fail(failure, CLI_MEMORY, "%s: out of memory: %zu epochs at once need %zu bytes",
                    p->name, p->part, bytes);
}

/* Sets content and rows. Returns the bytes of one epoch with its outputs, 0 if they overflow. */
static size_t measure(passage *p)
{
    const infer_session *s = p->session;
    size_t all;
    if (__builtin_mul_overflow(s->facts.channels, p->samples, &p->each))
        return 0;
    all = p->each;
    for (size_t i = 0; i < WRITER_TENSORS; i++) {
        if (!s->wanted[i])
            continue;
        size_t k = p->content.tensor_count++, row = 1;
        writer_tensor *t = &p->content.tensors[k];
        t->name = s->kind->syntax.outputs[i];
        t->shape[0] = p->epochs;
        s->kind->shape(s->encoder, i, p->samples, t);
        for (size_t d = 1; d < t->rank; d++)
            if (__builtin_mul_overflow(row, t->shape[d], &row))
                return 0;
        p->outputs[k] = i;
        p->rows[k] = row;
        p->result->tensors[k] = *t;
        if (__builtin_add_overflow(all, row, &all))
            return 0;
    }
    p->result->tensor_count = p->content.tensor_count;
    return __builtin_mul_overflow(all, sizeof(float), &all) ? 0 : all;
}

/* As many epochs at once as make good batches, and no more than the machine could ever hold: memory
 * that is only promised would end in the kernel's hands instead of in a sentence. */
static int make_room(passage *p, cli_failure *failure)
{
    const infer_options *o = &p->session->options;
    size_t bytes = measure(p), all;
    p->part = bytes ? PART_BYTES / bytes : 1;
    p->part = p->part > PART_EPOCHS ? PART_EPOCHS : p->part ? p->part : 1;
    if (o->batch) /* whole batches */
        p->part = p->part > o->batch ? p->part / o->batch * o->batch : o->batch;
    p->part = p->part < p->epochs ? p->part : p->epochs;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    double most = pages > 0 && page > 0 ? (double)pages * (double)page : 1e300;
    if (!bytes || __builtin_mul_overflow(bytes, p->part, &all) || (double)all > most)
        return no_memory(p, failure, bytes ? bytes : SIZE_MAX);
    p->signal = malloc(p->part * p->each * sizeof(float));
    bool missing = !p->signal;
    for (size_t k = 0; k < p->content.tensor_count; k++) {
        p->values[k] = malloc(p->part * p->rows[k] * sizeof(float));
        missing = missing || !p->values[k];
    }
    return missing ? no_memory(p, failure, all) : CLI_DONE;
}

/* ---- the output ------------------------------------------------------------------------------ */

/* The metadata entry `inputs`: a JSON array as text. */
static char *inputs_entry(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputc('[', out);
    json_put_string(out, path);
    fputc(']', out);
    return fclose(out) == 0 ? text : NULL;
}

static int open_output(passage *p, const char *path, const char *target, cli_failure *failure)
{
    const infer_session *s = p->session;
    const psgvit_device_info *device = psgvit_device_get_info(s->device);
    p->inputs = inputs_entry(path);
    if (!p->inputs)
        return cli_fail(failure, CLI_MEMORY, "%s: out of memory: the metadata", p->name);
    const writer_entry entries[] = {
        {"model", s->options.model},
        {"model_sha256", NULL}, /* known later */
        {"variant", s->facts.variant},
        {"precision", psgvit_precision_name(s->options.precision)},
        {"backend", psgvit_backend_name(device->backend)},
        {"device", device->name},
        {"isa", psgvit_isa_name(device->isa)},
        {"version", psgvit_version()},
        {"inputs", p->inputs},
    };
    p->content.entry_count = sizeof entries / sizeof *entries;
    memcpy(p->content.entries, entries, sizeof entries);
    return writer_open(&p->writer, target, s->options.format, &p->content, failure);
}

static int commit_output(passage *p, cli_failure *failure)
{
    infer_session *s = p->session;
    if (!s->sha256[0]) {
        const char *reason;
        if (!model_hash_finish(s->hash, s->sha256, &reason))
            infer_warn(s, "%s: model_sha256 is unknown: %s", s->options.model, reason);
    }
    if (interrupt_code())
        return cli_fail(failure, interrupt_code(), "interrupted");
    int code = writer_finish(p->writer, s->sha256, failure);
    return code ? code : writer_commit(&p->writer, failure);
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

static int encode_part(passage *p, size_t count, cli_failure *failure)
{
    const infer_session *s = p->session;
    infer_job job = {
        .signal = p->signal,
        .epochs = count,
        .samples = p->samples,
        .batch = s->options.batch,
        .first_epoch = p->done,
        .nan = s->options.nan,
        .no_clamp = s->options.no_clamp,
        .progress = on_progress,
        .cancel = on_cancel,
        .user = p,
    };
    for (size_t k = 0; k < p->content.tensor_count; k++) {
        job.outputs[p->outputs[k]] = p->values[k];
        job.capacities[p->outputs[k]] = p->part * p->rows[k];
    }
    psgvit_error err;
    psgvit_status status = s->kind->encode(s->encoder, &job, &err);
    if (status == PSGVIT_E_CANCELLED)
        return cli_fail(failure, interrupt_code(), "interrupted");
    return status ? cli_fail(failure, cli_exit_code(status), "%s: %s", p->name, err.message)
                  : CLI_DONE;
}

static int pass_part(passage *p, cli_failure *failure)
{
    infer_timings *timings = &p->session->timings;
    size_t count = 0;
    psgvit_error err;
    double start = cli_clock();
    if (psgvit_recording_read(p->recording, p->signal, p->part, &count, &err))
        return cli_fail_status(failure, &err);
    double read = cli_clock();
    timings->read += read - start;
    int code = encode_part(p, count, failure);
    double encoded = cli_clock();
    timings->compute += encoded - read;
    if (!code)
        code = writer_put(p->writer, p->done, count, (const float *const *)p->values, NULL,
                          failure);
    timings->write += cli_clock() - encoded;
    p->done += count;
    return code;
}

static int pass_all(passage *p, size_t index, cli_failure *failure)
{
    const infer_session *s = p->session;
    progress_begin(s->options.verbosity < 0 ? PROGRESS_NEVER : s->options.progress, p->name, index,
                   s->options.input_count, p->epochs);
    int code = CLI_DONE;
    while (!code && p->done < p->epochs)
        code = pass_part(p, failure);
    progress_end();
    return code;
}

static void free_passage(passage *p)
{
    writer_abort(&p->writer);
    psgvit_recording_close(&p->recording);
    free(p->signal);
    for (size_t k = 0; k < WRITER_TENSORS; k++)
        free(p->values[k]);
    free(p->inputs);
}

int infer_input(infer_session *s, size_t index, cli_failure *failure)
{
    const char *path = s->options.inputs[index];
    passage p = {.session = s, .result = &s->results[index]};
    p.name = strcmp(path, "-") ? path : "standard input";
    p.result->started = true;
    double start = cli_clock();
    int code = open_recording(&p, path, failure);
    s->timings.read += cli_clock() - start;
    if (!code && s->options.input_count == 1) /* of several, once before the first */
        code = infer_prepare_outputs(s, failure);
    if (!code)
        code = make_room(&p, failure);
    double opening = cli_clock();
    if (!code)
        code = open_output(&p, path, s->targets.paths[index], failure);
    s->timings.write += cli_clock() - opening;
    if (!code)
        code = pass_all(&p, index, failure);
    double closing = cli_clock();
    if (!code)
        code = commit_output(&p, failure);
    s->timings.write += cli_clock() - closing;
    p.result->seconds = (cli_clock() - start) * 1e-3;
    free_passage(&p);
    return code;
}
