/* SPDX-License-Identifier: MIT */
/* Everything that a recording says is copied, its strings into one block. */
#define _POSIX_C_SOURCE 200809L
#include "night_facts.h"

#include "json_out.h"

#include <stdlib.h>
#include <string.h>

const char *const night_channel_states[3] = {"missing", "found", "derived"};

enum { MOST_DIGITS = 17 }; /* behind the point of a time */

/* What the facts point to. */
typedef struct owner {
    night_facts facts; /* first: the owner is found by it */
    char *strings, *end;
    double *starts, *skipped;
    psgvit_channel *channel;
    char *channels_json, *skipped_json;
    char epoch_seconds[JSON_DECIMAL], stride_seconds[JSON_DECIMAL], prep_version[16];
} owner;

/* ---- text ------------------------------------------------------------------------------------ */

void night_put_channels(FILE *out, const psgvit_channel *channel, size_t count)
{
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        const psgvit_channel *c = &channel[i];
        fputs(i ? ", {\"name\": " : "{\"name\": ", out);
        json_put_string(out, c->name);
        fprintf(out, ", \"state\": \"%s\", \"source\": ", night_channel_states[c->state]);
        json_put_string(out, c->source);
        fputs(", \"unit\": ", out);
        json_put_string(out, c->unit);
        fprintf(out, ", \"rate\": %.9g, \"flat\": %.6g, \"clipped\": %.6g, \"note\": ", c->rate,
                c->flat, c->clipped);
        json_put_string(out, c->note);
        fputc('}', out);
    }
    fputc(']', out);
}

static void put_seconds(FILE *out, const double *seconds, size_t count)
{
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ", " : "", out);
        json_put_decimal(out, seconds[i], MOST_DIGITS);
    }
    fputc(']', out);
}

static bool make_json(owner *o)
{
    size_t size;
    FILE *out = open_memstream(&o->channels_json, &size);
    if (!out)
        return false;
    night_put_channels(out, o->channel, o->facts.channels);
    bool made = !ferror(out);
    made = fclose(out) == 0 && made;
    out = open_memstream(&o->skipped_json, &size);
    if (!out)
        return false;
    put_seconds(out, o->skipped, o->facts.skipped);
    made = !ferror(out) && made;
    return fclose(out) == 0 && made;
}

/* ---- the copy -------------------------------------------------------------------------------- */

static size_t length_of(const char *text)
{
    return text ? strlen(text) + 1 : 1;
}

/* Copies a string to the block; NULL becomes "". */
static const char *copy(owner *o, const char *text)
{
    size_t length = length_of(text);
    char *at = o->end;
    memcpy(at, text ? text : "", length);
    o->end += length;
    return at;
}

static size_t all_strings(const char *source, const psgvit_recording_info *info)
{
    size_t all = length_of(source) + length_of(info->start);
    for (size_t i = 0; info->channel && i < info->channels; i++) {
        const psgvit_channel *c = &info->channel[i];
        all += length_of(c->name) + length_of(c->source) + length_of(c->unit) + length_of(c->note);
    }
    return all;
}

static bool copy_clock(owner *o, const psgvit_recording *recording)
{
    const psgvit_recording_info *info = psgvit_recording_get_info(recording);
    night_facts *n = &o->facts;
    o->starts = calloc(n->epochs + 1, sizeof *o->starts);
    o->skipped = calloc(info->skipped + 1, sizeof *o->skipped);
    o->channel = calloc(n->channels + 1, sizeof *o->channel);
    if (!o->starts || !o->skipped || !o->channel)
        return false;
    for (size_t i = 0; i < n->epochs; i++)
        o->starts[i] = psgvit_recording_epoch_start(recording, i);
    for (size_t i = 0; i < info->skipped; i++)
        o->skipped[i] = psgvit_recording_skipped_start(recording, i);
    for (size_t i = 0; i < n->channels; i++) {
        psgvit_channel *c = &o->channel[i];
        *c = info->channel[i];
        c->name = copy(o, c->name);
        c->source = copy(o, c->source);
        c->unit = copy(o, c->unit);
        c->note = copy(o, c->note);
    }
    n->epoch_seconds = info->epoch_seconds;
    n->epoch_start_s = o->starts;
    n->skipped = info->skipped;
    n->skipped_start_s = o->skipped;
    n->channel = o->channel;
    return make_json(o);
}

static void make_entries(owner *o, const psgvit_recording_info *info)
{
    json_decimal(o->epoch_seconds, info->epoch_seconds, MOST_DIGITS);
    json_decimal(o->stride_seconds, info->stride_seconds, MOST_DIGITS);
    snprintf(o->prep_version, sizeof o->prep_version, "%d", psgvit_prep_version(info->prep));
    const night_entry entries[] = {
        {"source", o->facts.source},
        {"start", o->facts.start},
        {"epoch_seconds", o->epoch_seconds},
        {"stride_seconds", o->stride_seconds},
        {"cohort", psgvit_cohort_name(info->cohort)},
        {"prep", psgvit_prep_name(info->prep)},
        {"prep_version", o->prep_version},
        {"channels", o->channels_json},
        {"skipped", o->skipped_json},
    };
    memcpy(o->facts.entries, entries, sizeof entries);
    o->facts.entry_count = sizeof entries / sizeof *entries;
    o->facts.channels_json = o->channels_json;
}

int night_facts_open(night_facts **made, const char *source, const psgvit_recording *recording,
                     double seconds, cli_failure *failure)
{
    const psgvit_recording_info *info = psgvit_recording_get_info(recording);
    *made = NULL;
    owner *o = calloc(1, sizeof *o);
    bool done = o && (o->strings = o->end = malloc(all_strings(source, info)));
    if (done) {
        o->facts = (night_facts){
            .source = copy(o, source),
            .clock = info->format == PSGVIT_FORMAT_EDF && info->channel,
            .start = copy(o, info->start),
            .epoch_seconds = seconds,
            .epochs = info->epochs,
            .channels = info->channels,
        };
        if (o->facts.clock && (done = copy_clock(o, recording)))
            make_entries(o, info);
    }
    *made = o ? &o->facts : NULL;
    if (done)
        return CLI_DONE;
    night_facts_close(made);
    return cli_fail(failure, CLI_MEMORY, "%s: out of memory: what is known of %zu epochs", source,
                    info->epochs);
}

void night_facts_close(night_facts **n)
{
    if (!n || !*n)
        return;
    owner *o = (owner *)*n;
    free(o->strings);
    free(o->starts);
    free(o->skipped);
    free(o->channel);
    free(o->channels_json);
    free(o->skipped_json);
    free(o);
    *n = NULL;
}

/* ---- time ------------------------------------------------------------------------------------ */

double night_epoch_start(const night_facts *n, size_t index)
{
    return n->clock ? n->epoch_start_s[index] : (double)index * n->epoch_seconds;
}

double night_visible_seconds(const night_facts *n, size_t index)
{
    double seconds = n->epoch_seconds;
    if (index + 1 < n->epochs) {
        double gap = night_epoch_start(n, index + 1) - night_epoch_start(n, index);
        if (gap > 0 && gap < seconds)
            seconds = gap;
    }
    return seconds;
}
