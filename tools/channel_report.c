/* SPDX-License-Identifier: MIT */
/* A table of fixed columns, in which a long label moves what stands behind it. */
#define _GNU_SOURCE 1
#include "channel_report.h"

#include "json_out.h"

#include <stdlib.h>
#include <string.h>

/* "" if there is no such entry. */
static const char *entry(const night_facts *facts, const char *key)
{
    for (size_t i = 0; i < facts->entry_count; i++)
        if (!strcmp(facts->entries[i].key, key))
            return facts->entries[i].value;
    return "";
}

/* "12 channels: 9 found, 1 derived, 2 missing (EMG_LLeg, EMG_RLeg)" */
static void put_counts(FILE *out, const night_facts *facts)
{
    size_t counts[3] = {0};
    for (size_t i = 0; i < facts->channels; i++)
        counts[facts->channel[i].state]++;
    fprintf(out, "%zu channels: %zu found", facts->channels, counts[PSGVIT_CHANNEL_FOUND]);
    if (counts[PSGVIT_CHANNEL_DERIVED])
        fprintf(out, ", %zu derived", counts[PSGVIT_CHANNEL_DERIVED]);
    if (!counts[PSGVIT_CHANNEL_MISSING])
        return;
    fprintf(out, ", %zu missing", counts[PSGVIT_CHANNEL_MISSING]);
    const char *before = " (";
    for (size_t i = 0; i < facts->channels; i++)
        if (facts->channel[i].state == PSGVIT_CHANNEL_MISSING) {
            fprintf(out, "%s%s", before, facts->channel[i].name);
            before = ", ";
        }
    fputc(')', out);
}

/* What there is to put, and of which channel. */
typedef struct subject {
    const night_facts *facts;
    size_t channel;
    double rest;
} subject;

/* Text made by `put`, said as a line. */
static void say(const char *name, const subject *of, void (*put)(FILE *out, const subject *of))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    put(out, of);
    if (fclose(out) == 0)
        cli_say("%s: %s", name, text);
    free(text);
}

static void put_summary(FILE *out, const subject *of)
{
    const night_facts *facts = of->facts;
    put_counts(out, facts);
    fprintf(out, "; cohort %s, prep %s %s", entry(facts, "cohort"), entry(facts, "prep"),
            entry(facts, "prep_version"));
    if (facts->start && facts->start[0])
        fprintf(out, ", start %s", facts->start);
    if (of->rest > 0)
        fprintf(out, "; the last %.6g s are in no whole epoch", of->rest);
}

static void put_channel(FILE *out, const subject *of)
{
    const psgvit_channel *c = &of->facts->channel[of->channel];
    fprintf(out, "  %-10s ", c->name);
    if (c->state == PSGVIT_CHANNEL_MISSING)
        fputs("missing: zeros", out);
    else
        fprintf(out, "%-16s %-4s %5.6g Hz  flat %5.1f %%  clipped %5.1f %%", c->source,
                c->unit[0] ? c->unit : "-", c->rate, c->flat * 100, c->clipped * 100);
    if (c->note[0])
        fprintf(out, "  %s", c->note);
}

static void put_skipped(FILE *out, const subject *of)
{
    enum { MOST = 10 };
    const night_facts *facts = of->facts;
    fprintf(out, "%zu epochs are left out because a gap lies in them, at", facts->skipped);
    for (size_t i = 0; i < facts->skipped && i < MOST; i++)
        fprintf(out, "%s %.9g s", i ? "," : "", facts->skipped_start_s[i]);
    if (facts->skipped > MOST)
        fputs(" ...", out);
}

void channel_report_say(const char *name, const night_facts *facts, double rest, bool brief)
{
    subject of = {.facts = facts, .rest = rest};
    say(name, &of, put_summary);
    for (; of.channel < facts->channels && !brief; of.channel++)
        say(name, &of, put_channel);
    if (facts->skipped)
        say(name, &of, put_skipped);
}

char *channel_report_json(const night_facts *facts)
{
    static const char *const texts[] = {"start", "cohort", "prep"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fprintf(out, "\"%s\": ", texts[i]);
        json_put_string(out, entry(facts, texts[i]));
        fputs(", ", out);
    }
    fprintf(out, "\"prep_version\": %s, \"skipped_s\": [", entry(facts, "prep_version"));
    for (size_t i = 0; i < facts->skipped; i++) {
        fputs(i ? ", " : "", out);
        json_put_double(out, facts->skipped_start_s[i]);
    }
    fputs("], \"channels\": ", out);
    night_put_channels(out, facts->channel, facts->channels);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
