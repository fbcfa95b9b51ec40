/* SPDX-License-Identifier: MIT */
/*
 * Reports of signal files; of EDF inspect_edf.c writes them. Raw data has no header: it is shown as
 * a night of OSF's shape if its size allows that, and else as one row of numbers; the report says
 * which.
 */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"
#include "inspect.h"
#include "json_out.h"

#include <psgvit/recording.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { OSF_CHANNELS = 12, OSF_SAMPLES = 1920, MOST_AT_ONCE = 1 << 20 }; /* floats */

typedef struct channel_statistics {
    double sum;
    double squares;
    float least;
    float most;
    size_t count; /* finite samples */
    size_t bad;   /* NaN or infinite ones */
} channel_statistics;

typedef struct recording_report {
    psgvit_recording *recording;
    psgvit_recording_info info; /* as it was opened */
    bool guessed;               /* raw data whose size merely fits OSF's shape */
    bool shapeless;             /* raw data that does not: one row */
    inspect_notes notes;
    channel_statistics *channels; /* [info.channels] */
} recording_report;

static void take_samples(channel_statistics *s, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(x[i])) {
            s->bad++;
            continue;
        }
        s->least = s->count == 0 || x[i] < s->least ? x[i] : s->least;
        s->most = s->count == 0 || x[i] > s->most ? x[i] : s->most;
        s->sum += (double)x[i];
        s->squares += (double)x[i] * (double)x[i];
        s->count++;
    }
}

static double mean_of(const channel_statistics *s)
{
    return s->count ? s->sum / (double)s->count : NAN;
}

static double deviation_of(const channel_statistics *s)
{
    double mean = mean_of(s);
    double variance = s->count ? s->squares / (double)s->count - mean * mean : NAN;
    return variance > 0.0 ? sqrt(variance) : variance < 0.0 ? 0.0 : variance;
}

/* Opens it by its content; raw data again as a night, or as one row. What a pipe held is gone after
 * the first time: it gets no statistics. */
static psgvit_status open_report(recording_report *report, const char *path, psgvit_error *err)
{
    psgvit_recording_params params = {.struct_size = sizeof params};
    params.log = inspect_take_note;
    params.log_user = &report->notes;
    struct stat st;
    bool regular = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    psgvit_status status = psgvit_recording_open(&report->recording, path, &params, err);
    if (status)
        return status;
    report->info = *psgvit_recording_get_info(report->recording);
    if (psgvit_recording_get_edf(report->recording) ||
        (report->info.channels && report->info.samples))
        return PSGVIT_OK;
    bool raw = report->info.format == PSGVIT_FORMAT_RAW;
    if (raw && !report->info.length) {
        err->code = PSGVIT_E_INPUT;
        snprintf(err->message, sizeof err->message,
                 "%s: expected samples of raw float32, found an empty file", path);
        return err->code;
    }
    report->guessed =
        raw && report->info.length > 0 && report->info.length % (OSF_CHANNELS * OSF_SAMPLES) == 0;
    report->shapeless = raw && !report->guessed;
    if (!regular)
        return PSGVIT_OK;
    params.channels = report->guessed ? OSF_CHANNELS : raw ? 1 : 0;
    params.default_samples = report->shapeless ? 1 : OSF_SAMPLES;
    psgvit_recording_close(&report->recording);
    status = psgvit_recording_open(&report->recording, path, &params, err);
    if (!status)
        report->info = *psgvit_recording_get_info(report->recording);
    return status;
}

static psgvit_status read_all(recording_report *report, psgvit_error *err)
{
    size_t width = report->info.samples;
    size_t epoch = report->info.channels * width; /* at most what the file holds, or nothing */
    if (epoch == 0 || report->info.epochs == 0)
        return PSGVIT_OK;
    size_t capacity = epoch < MOST_AT_ONCE ? MOST_AT_ONCE / epoch : 1;
    float *signal = malloc(capacity * epoch * sizeof *signal);
    psgvit_status status = PSGVIT_OK;
    if (!signal) {
        err->code = PSGVIT_E_MEMORY;
        snprintf(err->message, sizeof err->message, "no memory for an epoch of %zu samples", epoch);
        return err->code;
    }
    for (size_t got = 1; !status && got > 0;) {
        status = psgvit_recording_read(report->recording, signal, capacity, &got, err);
        for (size_t i = 0; !status && i < got * report->info.channels; i++)
            take_samples(&report->channels[i % report->info.channels], signal + i * width, width);
    }
    free(signal);
    return status;
}

static const char *format_name(const recording_report *report)
{
    return report->info.format == PSGVIT_FORMAT_NPY ? "npy" : "raw";
}

/* NaN, which statistics of no sample are, as a dash. */
static void put_cell(double value)
{
    if (isnan(value))
        printf(" %13s", "-");
    else
        printf(" %13.6g", value);
}

static void put_text(const inspect_arguments *args, const recording_report *report)
{
    const psgvit_recording_info *info = &report->info;
    json_put_plain(stdout, args->path, SIZE_MAX);
    if (report->shapeless)
        printf(": recording, raw float32, %zu samples of unknown shape\n", info->length);
    else if (info->layout == PSGVIT_LAYOUT_CHANNELS)
        printf(
            ": recording, %s float32 [%zu, %zu], channels x samples: %zu epochs of %zu, the last "
            "%zu samples left over\n",
            format_name(report), info->channels, info->length, info->epochs, info->samples,
            info->dropped);
    else
        printf(": recording, %s float32 [%zu, %zu, %zu], epochs x channels x samples\n",
               format_name(report), info->epochs, info->channels, info->samples);
    if (report->guessed)
        printf("the shape is a guess: raw data has none, and the size fits OSF's %d x %d\n",
               OSF_CHANNELS, OSF_SAMPLES);
    printf("%7s %13s %13s %13s %13s %11s\n", "channel", "mean", "deviation", "min", "max",
           "not finite");
    for (size_t c = 0; c < info->channels; c++) {
        const channel_statistics *s = &report->channels[c];
        printf("%7zu", c);
        put_cell(mean_of(s));
        put_cell(deviation_of(s));
        put_cell(s->count ? (double)s->least : NAN);
        put_cell(s->count ? (double)s->most : NAN);
        printf(" %11zu\n", s->bad);
    }
}

static void put_number(const char *name, double value)
{
    printf(",\"%s\":", name);
    json_put_double(stdout, value);
}

static void put_json(const inspect_arguments *args, const recording_report *report)
{
    const psgvit_recording_info *info = &report->info;
    bool channels = info->layout == PSGVIT_LAYOUT_CHANNELS;
    fputs("{\"file\":", stdout);
    json_put_string(stdout, args->path);
    printf(",\"kind\":\"recording\",\"ok\":true,\"format\":\"%s\",\"layout\":\"%s\"",
           format_name(report), channels ? "channels" : "epochs");
    if (report->shapeless)
        printf(",\"shape\":[%zu]", info->length);
    else if (channels)
        printf(",\"shape\":[%zu,%zu]", info->channels, info->length);
    else
        printf(",\"shape\":[%zu,%zu,%zu]", info->epochs, info->channels, info->samples);
    printf(",\"guessed\":%s", report->guessed ? "true" : "false");
    if (!report->shapeless)
        printf(",\"epochs\":%zu,\"samples\":%zu,\"dropped\":%zu", info->epochs, info->samples,
               info->dropped);
    fputs(",\"channels\":[", stdout);
    for (size_t c = 0; c < info->channels; c++) {
        const channel_statistics *s = &report->channels[c];
        printf("%s\n{\"not_finite\":%zu", c ? "," : "", s->bad);
        put_number("mean", mean_of(s));
        put_number("deviation", deviation_of(s));
        put_number("min", s->count ? (double)s->least : NAN);
        put_number("max", s->count ? (double)s->most : NAN);
        putchar('}');
    }
    fputs("]}\n", stdout);
}

/* What was opened: its statistics, or of an EDF what it says. */
static psgvit_status put_report(const inspect_arguments *args, recording_report *report,
                                psgvit_error *err)
{
    if (psgvit_recording_get_edf(report->recording))
        return inspect_edf(args, report->recording, &report->notes, err);
    report->channels = calloc(report->info.channels + 1, sizeof *report->channels);
    if (!report->channels)
        return PSGVIT_E_MEMORY;
    psgvit_status status = read_all(report, err);
    if (!status)
        (args->json ? put_json : put_text)(args, report);
    return status;
}

int inspect_recording(const inspect_arguments *args)
{
    psgvit_error err;
    recording_report report = {0};
    if (args->model) {
        snprintf(err.message, sizeof err.message,
                 "%s: expected a model, found a recording by content or name", args->path);
        return inspect_failure(args, "recording", CLI_INPUT, err.message);
    }
    psgvit_status status = open_report(&report, args->path, &err);
    if (!status)
        status = put_report(args, &report, &err);
    int code = CLI_DONE;
    if (status == PSGVIT_E_MEMORY)
        code = inspect_failure(args, "recording", CLI_MEMORY, "no memory for the recording");
    else if (status)
        code = inspect_failure(args, "recording", CLI_INPUT, err.message);
    inspect_notes_free(&report.notes);
    psgvit_recording_close(&report.recording);
    free(report.channels);
    return code;
}
