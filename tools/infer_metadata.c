/* SPDX-License-Identifier: MIT */
/*
 * What an output says of how it was made, and whether one that is there says the same. Nothing in
 * it may differ between two runs that compute the same: no time, no thread, no host.
 */
#define _GNU_SOURCE 1
#include "infer.h"
#include "json_out.h"
#include "resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void infer_know_hash(infer_session *s)
{
    const char *reason;
    if (!s->sha256[0] && !model_hash_finish(s->hash, s->sha256, &reason))
        infer_warn(s, "%s: model_sha256 is unknown: %s", s->options.model, reason);
}

/* ---- the entries ----------------------------------------------------------------------------- */

static void put_key(FILE *out, const char *key, bool *first)
{
    fprintf(out, "%s\"%s\": ", *first ? "" : ", ", key);
    *first = false;
}

static void put_number(FILE *out, const char *key, double value, bool *first)
{
    if (value == 0)
        return;
    put_key(out, key, first);
    json_put_double(out, value);
}

static void put_text(FILE *out, const char *key, const char *value, bool *first)
{
    if (!value)
        return;
    put_key(out, key, first);
    json_put_string(out, value);
}

/* Only what differs from the default: a new option changes no old file. */
static void put_settings(FILE *out, const infer_session *s)
{
    static const char *const formats[] = {NULL, "raw", "npy", "edf"},
                             *const units[] = {NULL, "V", "mV", "uV"},
                             *const layouts[] = {NULL, "epochs", "channels"},
                             *const policies[] = {NULL, "zero", "propagate"},
                             *const rerefs[] = {NULL, "none", "average"},
                             *const resamples[] = {NULL, "nearest", "polyphase"};
    const infer_options *o = &s->options;
    const infer_edf_options *edf = &o->edf;
    bool first = true;
    fputc('{', out);
    put_text(out, "input_format", formats[o->input_format], &first);
    put_text(out, "layout", layouts[o->layout], &first);
    put_number(out, "samples", (double)s->samples, &first);
    put_text(out, "nan", policies[o->nan], &first);
    if (o->no_clamp) {
        put_key(out, "clamp", &first);
        fputs("false", out);
    }
    put_text(out, "cohort", edf->cohort ? psgvit_cohort_name(edf->cohort) : NULL, &first);
    put_text(out, "aliases", edf->aliases, &first);
    put_text(out, "unit", units[edf->unit], &first);
    put_text(out, "reref", rerefs[edf->reref], &first);
    put_text(out, "resample", resamples[edf->resample], &first);
    put_number(out, "stride", edf->stride_seconds, &first);
    fputc('}', out);
}

int infer_make_settings(infer_session *s, cli_failure *failure)
{
    size_t size = 0;
    FILE *out = open_memstream(&s->settings, &size);
    if (out)
        put_settings(out, s);
    if (!out || fclose(out) != 0)
        return cli_fail(failure, CLI_MEMORY, "out of memory: the metadata");
    return CLI_DONE;
}

char *infer_inputs_entry(const infer_session *s, size_t index)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputc('[', out);
    json_put_string(out, infer_sample(s, index)->path);
    fputc(']', out);
    return fclose(out) == 0 ? text : NULL;
}

void infer_put_entries(const infer_session *s, writer_content *content, const char *inputs,
                       const char *bytes)
{
    const psgvit_device_info *device = psgvit_device_get_info(s->device);
    const writer_entry entries[] = {
        {"model", s->options.model},
        {"model_sha256", NULL}, /* known later */
        {"variant", s->facts.variant},
        {"precision", psgvit_precision_name(s->options.precision)},
        {"backend", psgvit_backend_name(device->backend)},
        {"device", device->name},
        {"isa", psgvit_isa_name(device->isa)},
        {"version", psgvit_version()},
        {"inputs", inputs},
        {"options", s->settings},
        {"source_bytes", bytes},
    };
    content->entry_count = sizeof entries / sizeof *entries;
    memcpy(content->entries, entries, sizeof entries);
    if (s->config_sha256[0])
        content->entries[content->entry_count++] =
            (writer_entry){"config_sha256", s->config_sha256};
}

/* ---- --resume -------------------------------------------------------------------------------- */

/* What `prep` stands for in an EDF's metadata, if this run is to read one. */
static psgvit_prep resolve_prep(const infer_session *s)
{
    if (s->options.edf.prep != PSGVIT_PREP_DEFAULT)
        return s->options.edf.prep;
    return s->kind->syntax.tool == INFER_OSF ? PSGVIT_PREP_OSF_TRAIN : PSGVIT_PREP_EEGPT_PRETRAIN;
}

static bool compare(const infer_session *s, size_t index, const char *inputs, const char *bytes,
                    size_t *epochs)
{
    psgvit_prep prep = resolve_prep(s);
    char prep_version[16];
    snprintf(prep_version, sizeof prep_version, "%d", psgvit_prep_version(prep));
    writer_entry entries[] = {
        {"model_sha256", s->sha256},
        {"variant", s->facts.variant},
        {"version", psgvit_version()},
        {"precision", psgvit_precision_name(s->options.precision)},
        {"inputs", inputs},
        {"options", s->settings},
        {"source_bytes", bytes},
        {"config_sha256", s->config_sha256[0] ? s->config_sha256 : NULL},
        {"head_sha256", NULL},
    };
    const writer_entry edf[] = {{"prep", psgvit_prep_name(prep)}, {"prep_version", prep_version}};
    resume_wanted wanted = {
        .entries = entries, .count = 8, .entries_if_there = edf, .count_if_there = 2};
    if (s->options.page.path) /* which shows the stages of a head, if there was one */
        wanted.count = 9;
    for (size_t i = 0; s->head && i < s->head->entry_count; i++)
        if (!strcmp(s->head->entries[i].key, "head_sha256")) {
            entries[8].value = s->head->entries[i].value;
            wanted.count = 9;
        }
    for (size_t i = 0; i < WRITER_TENSORS; i++) {
        wanted.tensor = s->kind->syntax.outputs[i];
        if (s->wanted[i] &&
            !resume_is_complete(targets_path(&s->targets, TARGET_EMBEDDINGS, index),
                                s->options.format, infer_sample(s, index)->path, &wanted, epochs))
            return false;
    }
    return true;
}

/* Are those that are wanted of the embeddings' own run? It writes the embeddings' last byte before
 * theirs: an older one was made with what was there before. */
static bool has_companions(const infer_session *s, size_t index)
{
    struct stat embeddings, st;
    if (stat(targets_path(&s->targets, TARGET_EMBEDDINGS, index), &embeddings) != 0)
        return false;
    for (int kind = TARGET_EMBEDDINGS + 1; kind < TARGET_KINDS; kind++) {
        const char *path = targets_path(&s->targets, (target_kind)kind, index);
        if (path &&
            (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || resume_is_newer(&embeddings, &st)))
            return false;
    }
    return true;
}

bool infer_is_complete(infer_session *s, size_t index, size_t *epochs)
{
    struct stat st;
    char bytes[24];
    if (!has_companions(s, index))
        return false;
    infer_know_hash(s);
    if (stat(infer_sample(s, index)->path, &st) != 0 || !strcmp(s->sha256, "unknown") ||
        !strcmp(s->config_sha256, "unknown"))
        return false;
    snprintf(bytes, sizeof bytes, "%lld", (long long)st.st_size);
    char *inputs = infer_inputs_entry(s, index);
    bool complete = inputs && compare(s, index, inputs, bytes, epochs);
    free(inputs);
    return complete;
}
