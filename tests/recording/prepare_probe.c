/* SPDX-License-Identifier: MIT */
/*
 * Prepares an EDF and writes its epochs as bare float32, for a test to compare:
 *
 *     prepare_probe FILE OUT [channels=N] [samples=T] [rate=HZ] [names=A,B,...] [prep=NAME]
 *                   [unit=V|mV|uV] [reref=none|average] [resample=nearest|polyphase] [stride=S]
 *                   [cohort=NAME] [aliases=LINE;LINE...] [threads=N] [capacity=EPOCHS]
 *
 * Standard output has the information as one JSON object; an error is its sentence on standard
 * error and the exit code 3, or 2 for a wrong argument.
 */
#include <psgvit/recording.h>

#include "json_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *words)
{
    fprintf(stderr, "%s\n", words);
    return 2;
}

static size_t find(const char *const *names, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(names[i], name))
        i++;
    if (i == count)
        exit(fail(name));
    return i;
}

/* Cuts text at `mark` into at most 256 parts, in place. */
static size_t split(char *text, char mark, const char **parts)
{
    size_t count = 0;
    while (text && count < 256) {
        parts[count++] = text;
        text = strchr(text, mark);
        if (text)
            *text++ = '\0';
    }
    return count;
}

static void take(psgvit_recording_params *params, size_t *capacity, const char *key, char *value)
{
    static const char *names[256];
    static const char *const units[] = {"default", "V", "mV", "uV"};
    static const char *const rerefs[] = {"default", "none", "average"};
    static const char *const resamples[] = {"default", "nearest", "polyphase"};
    if (!strcmp(key, "channels")) {
        params->channels = (size_t)strtoul(value, NULL, 10);
    } else if (!strcmp(key, "samples")) {
        params->samples = (size_t)strtoul(value, NULL, 10);
    } else if (!strcmp(key, "rate")) {
        params->rate = strtod(value, NULL);
    } else if (!strcmp(key, "names")) {
        params->channels = split(value, ',', names);
        params->names = names;
    } else if (!strcmp(key, "prep")) {
        while (params->prep < PSGVIT_PREPS && strcmp(psgvit_prep_name(params->prep), value))
            params->prep++;
    } else if (!strcmp(key, "unit")) {
        params->unit = (psgvit_unit)find(units, 4, value);
    } else if (!strcmp(key, "reref")) {
        params->reref = (psgvit_reref)find(rerefs, 3, value);
    } else if (!strcmp(key, "resample")) {
        params->resample = (psgvit_resample)find(resamples, 3, value);
    } else if (!strcmp(key, "stride")) {
        params->stride_seconds = strtod(value, NULL);
    } else if (!strcmp(key, "cohort")) {
        while (params->cohort < PSGVIT_COHORTS && strcmp(psgvit_cohort_name(params->cohort), value))
            params->cohort++;
    } else if (!strcmp(key, "aliases")) {
        for (char *c = value; *c; c++)
            *c = *c == ';' ? '\n' : *c;
        params->aliases = value;
    } else if (!strcmp(key, "threads")) {
        params->threads = (int)strtol(value, NULL, 10);
    } else if (!strcmp(key, "capacity")) {
        *capacity = (size_t)strtoul(value, NULL, 10);
    } else {
        exit(fail(key));
    }
}

static void put(const char *key, const char *value)
{
    printf("\"%s\": ", key);
    json_put_string(stdout, value);
    printf(", ");
}

static void put_number(const char *key, double value)
{
    printf("\"%s\": ", key);
    json_put_double(stdout, value);
    printf(", ");
}

static void report_channel(const psgvit_channel *c)
{
    static const char *const states[] = {"missing", "found", "derived"};
    printf("{");
    put("name", c->name);
    put("state", states[c->state]);
    put("source", c->source);
    put("unit", c->unit);
    put_number("rate", c->rate);
    put_number("flat", c->flat);
    put_number("clipped", c->clipped);
    printf("\"note\": ");
    json_put_string(stdout, c->note);
    printf("}");
}

static void report(const psgvit_recording *recording)
{
    const psgvit_recording_info *info = psgvit_recording_get_info(recording);
    printf("{\"channels\": %zu, \"samples\": %zu, \"epochs\": %zu, \"length\": %zu, "
           "\"dropped\": %zu, \"skipped\": %zu, ",
           info->channels, info->samples, info->epochs, info->length, info->dropped, info->skipped);
    put_number("rate", info->rate);
    put_number("epoch_seconds", info->epoch_seconds);
    put_number("stride_seconds", info->stride_seconds);
    put("start", info->start);
    put("cohort", psgvit_cohort_name(info->cohort));
    put("prep", psgvit_prep_name(info->prep));
    printf("\"version\": %d, \"channel\": [", psgvit_prep_version(info->prep));
    for (size_t i = 0; info->channel && i < info->channels; i++) {
        printf(i ? ", " : "");
        report_channel(&info->channel[i]);
    }
    printf("], \"starts\": [");
    for (size_t i = 0; i < info->epochs; i++)
        printf("%s%.9g", i ? ", " : "", psgvit_recording_epoch_start(recording, i));
    printf("], \"skipped_starts\": [");
    for (size_t i = 0; i < info->skipped && i < 1000; i++)
        printf("%s%.9g", i ? ", " : "", psgvit_recording_skipped_start(recording, i));
    printf("]}\n");
}

static psgvit_status copy(psgvit_recording *recording, FILE *out, size_t capacity,
                          psgvit_error *err)
{
    const psgvit_recording_info *info = psgvit_recording_get_info(recording);
    size_t epoch = info->channels * info->samples, count = 1;
    float *signal = malloc(capacity * epoch * sizeof *signal);
    psgvit_status status = signal ? PSGVIT_OK : PSGVIT_E_MEMORY;
    while (!status && count) {
        status = psgvit_recording_read(recording, signal, capacity, &count, err);
        if (!status && fwrite(signal, epoch * sizeof *signal, count, out) != count)
            status = PSGVIT_E_MEMORY;
    }
    free(signal);
    return status;
}

int main(int argc, char **argv)
{
    psgvit_recording_params params = {.struct_size = sizeof params, .channels = 12};
    psgvit_recording *recording = NULL;
    psgvit_error err = {0};
    size_t capacity = 7;
    params.default_samples = 1920;
    if (argc < 3)
        return fail("usage: prepare_probe FILE OUT [KEY=VALUE]...");
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return fail(argv[i]);
        *value = '\0';
        take(&params, &capacity, argv[i], value + 1);
    }
    FILE *out = fopen(argv[2], "wb");
    if (!out)
        return fail(argv[2]);
    psgvit_status status = psgvit_recording_open(&recording, argv[1], &params, &err);
    if (!status) {
        report(recording);
        status = copy(recording, out, capacity, &err);
    }
    if (status)
        fprintf(stderr, "%s\n", err.message);
    psgvit_recording_close(&recording);
    fclose(out);
    return status == PSGVIT_E_ARGUMENT ? 2 : status ? 3 : 0;
}
