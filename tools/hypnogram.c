/* SPDX-License-Identifier: MIT */
/*
 * The table and Luna's lines are written as they come. The EDF+ file is filled record by record; it
 * is made as the hypnograms of Sleep-EDF are, which all readers know: no signal but the
 * annotations, and records that last 0 seconds.
 */
#define _POSIX_C_SOURCE 200809L
#include "hypnogram.h"

#include "json_out.h"
#include "staged_stream.h"
#include "writer_text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const hypnogram_format_names[HYPNOGRAM_FORMATS] = {"tsv", "annot", "edf"};

enum {
    TIME_DIGITS = 9,                   /* a nanosecond */
    EDF_HEADER = 512,                  /* of a file with one signal */
    EDF_RECORD = 61440,                /* bytes at most, by the specification */
    EDF_ANNOTATION = HEAD_LABEL + 160, /* of one epoch at most */
};

struct hypnogram {
    staged_file file;
    staged_stream text;
    hypnogram_format format;
    const night_facts *night;
    const linear_head *head;
    bool numbered; /* the keys of an .annot */
    char record[EDF_RECORD];
    size_t used, records;
};

/* ---- the table ------------------------------------------------------------------------------- */

static void put_tsv_head(hypnogram *g)
{
    fputs("onset\tduration", g->text.out);
    writer_put_score_names(g->text.out, g->head, WRITER_TSV);
    fputc('\n', g->text.out);
}

static void put_tsv_epoch(hypnogram *g, size_t epoch, const head_scores *scores)
{
    json_put_decimal(g->text.out, night_epoch_start(g->night, epoch), TIME_DIGITS);
    fputc('\t', g->text.out);
    json_put_decimal(g->text.out, g->night->epoch_seconds, TIME_DIGITS);
    writer_put_scores(g->text.out, g->head, WRITER_TSV, scores);
    fputc('\n', g->text.out);
}

/* ---- Luna ------------------------------------------------------------------------------------ */

/* Of the name of a number in Luna's sixth column, where = ; | and blanks have a meaning. */
static char key_character(char c)
{
    return isalnum((unsigned char)c) ? c : '_';
}

/* Of a class, without what has a meaning for Luna even inside of quotes. */
static char class_character(char c)
{
    return strchr("|\"'#", c) ? '_' : c;
}

/* Do they become one? */
static bool are_twins(const char *a, const char *b, char (*character)(char))
{
    for (; *a && *b; a++, b++)
        if (character(*a) != character(*b))
            return false;
    return *a == *b;
}

/* Are there labels that become one? Then *i < *k are the first. */
static bool find_twins(const linear_head *h, char (*character)(char), size_t *i, size_t *k)
{
    for (*k = 0; *k < h->classes; ++*k)
        for (*i = 0; *i < *k; ++*i)
            if (are_twins(h->labels[*i], h->labels[*k], character))
                return true;
    return false;
}

int hypnogram_check(hypnogram_format format, const linear_head *h, const char *path,
                    cli_failure *failure)
{
    size_t i, k;
    if (format != HYPNOGRAM_ANNOT || !find_twins(h, class_character, &i, &k))
        return CLI_DONE;
    return cli_fail(failure, CLI_MODEL,
                    "%s: labels: classes %zu and %zu, '%s' and '%s', would be the same in an "
                    ".annot, which has _ for each of | \" ' #",
                    path, i, k, h->labels[i], h->labels[k]);
}

/* With the number of its class, where labels alone would not tell all of them apart. */
static void put_key(const hypnogram *g, size_t k)
{
    fputs("p_", g->text.out);
    for (const char *c = g->head->labels[k]; *c; c++)
        fputc(key_character(*c), g->text.out);
    if (g->numbered)
        fprintf(g->text.out, "_%zu", k);
}

static void put_class(FILE *out, const char *label)
{
    for (const char *c = label; *c; c++)
        fputc(class_character(*c), out);
}

/* A line for each class, then the names of the columns. */
static void put_annot_head(hypnogram *g)
{
    FILE *out = g->text.out;
    size_t i, twin;
    g->numbered = find_twins(g->head, key_character, &i, &twin);
    for (size_t k = 0; k < g->head->classes; k++) {
        fputs("# ", out);
        put_class(out, g->head->labels[k]);
        fputs(" | stage | confidence[num]", out);
        for (i = 0; i < g->head->classes; i++) {
            fputc(' ', out);
            put_key(g, i);
            fputs("[num]", out);
        }
        fputc('\n', out);
    }
    fputs("class\tinstance\tchannel\tstart\tstop\tmeta\n", out);
}

static void put_annot_epoch(hypnogram *g, size_t epoch, const head_scores *scores)
{
    FILE *out = g->text.out;
    double start = night_epoch_start(g->night, epoch);
    put_class(out, *scores->stage < 0 ? "?" : g->head->labels[*scores->stage]);
    fputs("\t.\t.\t", out);
    json_put_decimal(out, start, TIME_DIGITS);
    fputc('\t', out);
    json_put_decimal(out, start + g->night->epoch_seconds, TIME_DIGITS);
    if (*scores->stage < 0) {
        fputs("\t.\n", out);
        return;
    }
    fprintf(out, "\tconfidence=%.9g", (double)*scores->confidence);
    for (size_t k = 0; k < g->head->classes; k++) {
        fputc(';', out);
        put_key(g, k);
        fprintf(out, "=%.9g", (double)scores->probabilities[k]);
    }
    fputc('\n', out);
}

/* ---- EDF+ ------------------------------------------------------------------------------------ */

/* A record begins with the time at which it begins. */
static void begin_record(hypnogram *g)
{
    memset(g->record, 0, sizeof g->record);
    memcpy(g->record, "+0\x14\x14", 5); /* with the NUL that ends it */
    g->used = 5;
}

static void end_record(hypnogram *g, size_t size)
{
    fwrite(g->record, 1, size, g->text.out);
    g->records++;
}

static void put_edf_epoch(hypnogram *g, size_t epoch, const head_scores *scores)
{
    char onset[JSON_DECIMAL], duration[JSON_DECIMAL];
    if (g->used + EDF_ANNOTATION > EDF_RECORD) {
        end_record(g, EDF_RECORD);
        begin_record(g);
    }
    json_decimal(onset, night_epoch_start(g->night, epoch), TIME_DIGITS);
    json_decimal(duration, g->night->epoch_seconds, TIME_DIGITS);
    const char *words = *scores->stage < 0 ? "Sleep stage ?" : g->head->stages[*scores->stage];
    int n = snprintf(g->record + g->used, EDF_ANNOTATION, "+%s\x15%s\x14%s\x14", onset, duration,
                     words);
    g->used += (size_t)n + 1;
}

/* A field of the header: text padded with blanks, without a NUL. */
static char *put_field(char *at, size_t size, const char *text)
{
    size_t length = strlen(text);
    memset(at, ' ', size);
    memcpy(at, text, length < size ? length : size);
    return at + size;
}

/* The dates of the header, of a start "2001-02-03T22:30:00". Two digits of the year are those of
 * 1985 to 2084; what is unknown is X, and 1985 in the field that can't say so. */
static void make_dates(const char *start, char date[9], char hours[9], char recording[81])
{
    static const char *const months[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                         "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
    unsigned year, month, day, hour, minute, second;
    if (sscanf(start, "%4u-%2u-%2uT%2u:%2u:%2u", &year, &month, &day, &hour, &minute, &second) !=
            6 ||
        year < 1 || month < 1 || month > 12 || day > 31 || hour > 23 || minute > 59 ||
        second > 60) {
        strcpy(date, "01.01.85");
        strcpy(hours, "00.00.00");
        strcpy(recording, "Startdate X X X psgvit");
        return;
    }
    if (year >= 1985 && year <= 2084)
        snprintf(date, 9, "%02u.%02u.%02u", day, month, year % 100);
    else
        snprintf(date, 9, "%02u.%02u.yy", day, month);
    snprintf(hours, 9, "%02u.%02u.%02u", hour, minute, second);
    snprintf(recording, 81, "Startdate %02u-%s-%04u X X psgvit", day, months[month - 1], year);
}

/* Record and header: their sizes are known last. One record is as short as it can be. */
static int finish_edf(hypnogram *g, cli_failure *failure)
{
    size_t size = g->records ? EDF_RECORD : (g->used + 1) / 2 * 2;
    char header[EDF_HEADER], date[9], hours[9], recording[81], number[24], samples[24];
    end_record(g, size);
    make_dates(g->night->start, date, hours, recording);
    snprintf(number, sizeof number, "%zu", g->records);
    snprintf(samples, sizeof samples, "%zu", size / 2);
    const struct {
        size_t size;
        const char *text;
    } fields[] = {
        {8, "0"},
        {80, "X X X X"},
        {80, recording},
        {8, date},
        {8, hours},
        {8, "512"},
        {44, "EDF+C"},
        {8, number},
        {8, "0"},
        {4, "1"},
        {16, "EDF Annotations"},
        {80, ""},
        {8, ""},
        {8, "-1"},
        {8, "1"},
        {8, "-32768"},
        {8, "32767"},
        {80, ""},
        {8, samples},
        {32, ""},
    };
    char *at = header;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        at = put_field(at, fields[i].size, fields[i].text);
    int code = staged_stream_finish(&g->text, failure);
    return code ? code : staged_file_write(&g->file, 0, header, sizeof header, failure);
}

/* ---- the hypnogram --------------------------------------------------------------------------- */

int hypnogram_open(hypnogram **made, const char *path, hypnogram_format format,
                   const night_facts *n, const linear_head *h, cli_failure *failure)
{
    *made = NULL;
    hypnogram *g = calloc(1, sizeof *g);
    if (!g)
        return cli_fail(failure, CLI_MEMORY, "%s: out of memory: the hypnogram", path);
    g->file.fd = g->file.folder = -1;
    g->format = format;
    g->night = n;
    g->head = h;
    int code = staged_file_open(&g->file, path, 0, failure);
    if (!code)
        code = staged_stream_open(&g->text, &g->file, format == HYPNOGRAM_EDF ? EDF_HEADER : 0,
                                  failure);
    if (code) {
        hypnogram_abort(&g);
        return code;
    }
    switch (format) {
    case HYPNOGRAM_TSV: put_tsv_head(g); break;
    case HYPNOGRAM_ANNOT: put_annot_head(g); break;
    case HYPNOGRAM_EDF: begin_record(g); break;
    }
    *made = g;
    return CLI_DONE;
}

int hypnogram_put(hypnogram *g, size_t first, size_t rows, const head_scores *scores,
                  cli_failure *failure)
{
    for (size_t r = 0; r < rows; r++) {
        head_scores one = {scores->probabilities + r * g->head->classes, scores->stage + r,
                           scores->confidence + r};
        switch (g->format) {
        case HYPNOGRAM_TSV: put_tsv_epoch(g, first + r, &one); break;
        case HYPNOGRAM_ANNOT: put_annot_epoch(g, first + r, &one); break;
        case HYPNOGRAM_EDF: put_edf_epoch(g, first + r, &one); break;
        }
    }
    return staged_stream_check(&g->text, failure);
}

int hypnogram_finish(hypnogram *g, cli_failure *failure)
{
    int code = g->format == HYPNOGRAM_EDF ? finish_edf(g, failure)
                                          : staged_stream_finish(&g->text, failure);
    return code ? code : staged_file_sync(&g->file, failure);
}

int hypnogram_commit(hypnogram **g, cli_failure *failure)
{
    int code = staged_file_commit(&(*g)->file, failure);
    hypnogram_abort(g);
    return code;
}

void hypnogram_abort(hypnogram **g)
{
    if (!g || !*g)
        return;
    staged_stream_abort(&(*g)->text);
    staged_file_abort(&(*g)->file);
    free(*g);
    *g = NULL;
}
