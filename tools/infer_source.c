/* SPDX-License-Identifier: MIT */
/* As many epochs at once as make good batches, and no more than the machine could ever hold. */
#define _GNU_SOURCE 1
#include "infer_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OSF_LEADS = 12, EDF_RATE = 20000 /* Hz: the most that an EDF is prepared to */ };

/* Of signals and outputs in memory, unless one batch needs more, and of epochs in a part. A GPU
 * computes, takes in and gives back at once within a part alone, so that it gets four of the
 * batches that suit it: 180 epochs each for OSF, whose patches then take 319 MiB. */
enum {
    CPU_BYTES = 48 << 20,
    CPU_EPOCHS = 256,
    GPU_BYTES = 336 << 20,
    GPU_EPOCHS = 720,
    PART_STEP = 16, /* epochs; odd parts would end in odd batches */
};

void infer_source_free(infer_source **source)
{
    if (!source || !*source)
        return;
    night_facts_close(&(*source)->facts);
    free(*source);
    *source = NULL;
}

/* ---- does it fit? ---------------------------------------------------------------------------- */

/* An EDF is searched by names, and the model has none: a model that names no channels has OSF's. */
static bool is_nameless(const infer_session *s)
{
    return s->kind->channel_name ? !s->names : s->facts.channels != OSF_LEADS;
}

static int fail_nameless(const infer_session *s, const char *name, cli_failure *failure)
{
    if (!s->kind->channel_name)
        return cli_fail(failure, CLI_INPUT,
                        "%s: the channels of an EDF are found for the %d leads of OSF, the model "
                        "has %zu of its own",
                        name, OSF_LEADS, s->facts.channels);
    return cli_fail(failure, CLI_INPUT,
                    "%s: the model's config has no names of channels (chs_info), without which "
                    "those of an EDF can't be found",
                    name);
}

static int check_edf(const infer_session *s, const psgvit_recording_info *info, const char *name,
                     cli_failure *failure)
{
    const char *edf_only = infer_edf_only(&s->options.edf);
    if (info->format != PSGVIT_FORMAT_EDF && edf_only)
        return cli_fail(failure, CLI_INPUT,
                        "%s: expected an EDF by %s, found a file whose signals are prepared", name,
                        edf_only);
    if (info->format == PSGVIT_FORMAT_EDF && is_nameless(s)) /* 12 channels pass for OSF's */
        return fail_nameless(s, name, failure);
    return CLI_DONE;
}

static int check_geometry(const infer_session *s, const psgvit_recording_info *info,
                          const char *name, cli_failure *failure)
{
    cli_failure reason;
    if (s->options.layout == INFER_LAYOUT_EPOCHS && info->format != PSGVIT_FORMAT_EDF &&
        info->layout == PSGVIT_LAYOUT_CHANNELS)
        return cli_fail(failure, CLI_INPUT,
                        "%s: expected 3 dimensions [E, C, T] by --layout epochs, found 2, [C, L]",
                        name);
    if (info->samples == 0 && s->facts.samples == 0)
        return cli_fail(failure, CLI_INPUT,
                        "%s: the model's config has no n_times, so --samples T must be given",
                        name);
    if (s->kind->fit(s->encoder, info->samples, s->wanted, &reason))
        return cli_fail(failure, CLI_INPUT, "%s: %s", name, reason.message);
    if (info->epochs == 0)
        return cli_fail(failure, CLI_INPUT,
                        "%s: expected at least one epoch of %zu samples, found %zu samples", name,
                        info->samples, info->length);
    return check_edf(s, info, name, failure);
}

/* ---- how much of it at once? ----------------------------------------------------------------- */

/* Output `i` as one that is computed. Returns its numbers an epoch, SIZE_MAX if they overflow. */
static size_t add_output(const infer_session *s, infer_source *source, size_t i)
{
    size_t k = source->computed++, row = 1;
    writer_tensor *t = &source->tensors[k];
    t->name = s->kind->syntax.outputs[i];
    t->shape[0] = source->epochs;
    s->kind->shape(s->encoder, i, source->samples, t);
    for (size_t d = 1; d < t->rank; d++)
        if (__builtin_mul_overflow(row, t->shape[d], &row))
            return SIZE_MAX;
    source->outputs[k] = i;
    source->rows[k] = row;
    if (i == s->facts.vector)
        source->vector = k;
    return row;
}

/* Bytes of one epoch with all that is made of it; 0 if they overflow. */
static size_t measure(const infer_session *s, infer_source *source)
{
    bool vectors = infer_wants_vectors(s);
    size_t all;
    if (__builtin_mul_overflow(s->facts.channels, source->samples, &source->each) ||
        __builtin_mul_overflow(source->each, (size_t)INFER_PARTS, &all))
        return 0;
    for (size_t i = 0; i < WRITER_TENSORS; i++)
        if (s->wanted[i] && __builtin_add_overflow(all, add_output(s, source, i), &all))
            return 0;
    source->tensor_count = source->computed;
    if (vectors && !s->wanted[s->facts.vector] &&
        __builtin_add_overflow(all, add_output(s, source, s->facts.vector), &all))
        return 0;
    if (vectors && __builtin_add_overflow(all, s->facts.vector_width, &all))
        return 0;
    return __builtin_mul_overflow(all, sizeof(float), &all) ? 0 : all;
}

/* Epochs of `bytes` each that make a good part: whole batches, on a GPU two at least. */
static size_t good_part(const infer_session *s, size_t bytes)
{
    bool gpu = psgvit_device_get_info(s->device)->backend == PSGVIT_BACKEND_VULKAN;
    size_t most = gpu ? GPU_EPOCHS : CPU_EPOCHS, batch = s->options.batch;
    size_t part = (gpu ? GPU_BYTES : CPU_BYTES) / bytes;
    part = part > most ? most : part ? part : 1;
    if (batch) {
        size_t least = gpu ? 2 * batch : batch;
        return part > least ? part / batch * batch : least;
    }
    return part > PART_STEP ? part / PART_STEP * PART_STEP : part;
}

/* Memory that is only promised would end in the kernel's hands instead of in a sentence. */
static int plan_part(const infer_session *s, infer_source *source, const char *name,
                     cli_failure *failure)
{
    size_t bytes = measure(s, source), all;
    size_t part = bytes ? good_part(s, bytes) : 1;
    source->part = part < source->epochs ? part : source->epochs;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    double most = pages > 0 && page > 0 ? (double)pages * (double)page : 1e300;
    if (!bytes || __builtin_mul_overflow(bytes, source->part, &all) || (double)all > most)
        return cli_fail(failure, CLI_MEMORY,
                        "%s: out of memory: %zu epochs at once need %zu bytes each", name,
                        source->part, bytes ? bytes : SIZE_MAX);
    return CLI_DONE;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The main thread says it: there is one progress bar to wipe. */
static void keep_line(void *user, psgvit_log_level level, const char *line)
{
    infer_opened *input = user;
    char *longer = NULL, *before = input->into->talk;
    int start = before ? (int)strlen(before) : 0;
    if (asprintf(&longer, "%s%d%s\n", before ? before : "", (int)level, line) < 0)
        return;
    for (char *at = longer + start; (at = strchr(at, '\n'))[1];) /* of the name of a file */
        *at = '?';
    free(before);
    input->into->talk = longer;
}

static int describe(const infer_opened *input, infer_source *source, cli_failure *failure)
{
    const infer_session *s = input->session;
    const psgvit_recording_info *info = psgvit_recording_get_info(input->recording);
    const char *path = infer_sample(s, input->index)->path;
    struct stat st;
    source->format = info->format;
    source->epochs = info->epochs;
    source->samples = info->samples;
    source->dropped = info->dropped;
    if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
        snprintf(source->bytes, sizeof source->bytes, "%lld", (long long)st.st_size);
    int code = plan_part(s, source, infer_name(s, input->index), failure);
    if (!code)
        code = night_facts_open(&source->facts, path, input->recording,
                                (double)info->samples / s->facts.rate, failure);
    return code;
}

static int open_recording(infer_opened *input, cli_failure *failure)
{
    const infer_session *s = input->session;
    const infer_edf_options *edf = &s->options.edf;
    psgvit_recording_params params = {
        .struct_size = sizeof params,
        .format = s->options.input_format,
        .layout = s->options.layout == INFER_LAYOUT_CHANNELS ? PSGVIT_LAYOUT_CHANNELS
                                                             : PSGVIT_LAYOUT_EPOCHS,
        .channels = s->facts.channels,
        .samples = s->samples,
        .default_samples = s->facts.samples,
        .names = s->names,
        .rate = s->facts.rate,
        .cohort = edf->cohort,
        .aliases = edf->aliases,
        .prep = edf->prep,
        .unit = edf->unit,
        .reref = edf->reref,
        .resample = edf->resample,
        .stride_seconds = edf->stride_seconds,
        .threads = (int)s->options.threads,
        .log = keep_line,
        .log_user = input,
    };
    psgvit_error err;
    const char *path = infer_sample(s, input->index)->path;
    psgvit_status status = psgvit_recording_open(&input->recording, path, &params, &err);
    if (status == PSGVIT_E_ARGUMENT && s->facts.rate > EDF_RATE)
        return cli_fail(failure, CLI_INPUT,
                        "%s: expected a model of at most %d Hz for an EDF, this one's input has %g",
                        infer_name(s, input->index), EDF_RATE, s->facts.rate);
    if (status == PSGVIT_E_ARGUMENT && is_nameless(s))
        return fail_nameless(s, infer_name(s, input->index), failure);
    if (status)
        return cli_fail_status(failure, &err);
    return check_geometry(s, psgvit_recording_get_info(input->recording),
                          infer_name(s, input->index), failure);
}

static int open_input(infer_opened *input, infer_part *part)
{
    int code = open_recording(input, &part->failure);
    if (code)
        return code;
    part->source = calloc(1, sizeof *part->source);
    if (!part->source)
        return cli_fail(&part->failure, CLI_MEMORY, "%s: out of memory",
                        infer_name(input->session, input->index));
    code = describe(input, part->source, &part->failure);
    input->left = part->source->epochs;
    input->part = part->source->part;
    input->each = part->source->each;
    return code;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_part(infer_opened *input, infer_part *part)
{
    size_t floats = input->part * input->each; /* planned: does not overflow */
    if (part->room < floats) {
        free(part->signal);
        part->signal = malloc(floats * sizeof(float));
        part->room = part->signal ? floats : 0;
    }
    if (!part->signal)
        return cli_fail(&part->failure, CLI_MEMORY, "%s: out of memory: %zu epochs need %zu bytes",
                        infer_name(input->session, input->index), input->part,
                        floats * sizeof(float));
    psgvit_error err;
    if (psgvit_recording_read(input->recording, part->signal, input->part, &part->epochs, &err))
        return cli_fail_status(&part->failure, &err);
    if (part->epochs == 0)
        return cli_fail(&part->failure, CLI_INPUT, "%s: ended %zu epochs early",
                        infer_name(input->session, input->index), input->left);
    input->left -= part->epochs;
    return CLI_DONE;
}

void infer_source_read(infer_opened *input, infer_part *part)
{
    input->into = part;
    int code = input->recording ? CLI_DONE : open_input(input, part);
    if (!code)
        code = read_part(input, part);
    part->last = code || input->left == 0;
}

void infer_source_close(infer_opened *input)
{
    psgvit_recording_close(&input->recording);
}
