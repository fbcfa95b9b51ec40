/* SPDX-License-Identifier: MIT */
/* The bytes of tables and JSON are those of cells put one by one; nothing is held in memory. */
#include "writer_text.h"

#include "json_out.h"

#include <math.h>
#include <string.h>

enum { TIME_DIGITS = 17 };

/* ---- metadata -------------------------------------------------------------------------------- */

static void put_entries(FILE *out, const night_entry *entries, size_t count, const char *late,
                        bool *first)
{
    for (size_t i = 0; i < count; i++) {
        fputs(*first ? "" : ", ", out);
        *first = false;
        json_put_string(out, entries[i].key);
        fputs(": ", out);
        json_put_string(out, entries[i].value ? entries[i].value : late);
    }
}

void writer_put_metadata(FILE *out, const writer_content *content, const char *late)
{
    bool first = true;
    fputc('{', out);
    put_entries(out, content->entries, content->entry_count, late, &first);
    if (content->night)
        put_entries(out, content->night->entries, content->night->entry_count, "", &first);
    if (content->head)
        put_entries(out, content->head->entries, content->head->entry_count, "", &first);
    fputc('}', out);
}

void writer_put_shape(FILE *out, size_t rank, const size_t *shape)
{
    for (size_t i = 0; i < rank; i++)
        fprintf(out, "%s%zu", i ? ", " : "", shape[i]);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Nine digits give every float32 back. */
static void put_number(FILE *out, float value, writer_format format)
{
    if (isfinite(value))
        fprintf(out, "%.9g", (double)value);
    else if (format == WRITER_JSON)
        fputs("null", out);
    else if (format == WRITER_TSV && isnan(value))
        fputs("n/a", out);
    else
        fputs(isnan(value) ? "nan" : value > 0 ? "inf" : "-inf", out);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

void writer_put_json_head(FILE *out, const writer_content *content, const char *late)
{
    fputs("{\"metadata\": ", out);
    writer_put_metadata(out, content, late);
    fputs(", \"shapes\": {", out);
    for (size_t i = 0; i < content->tensor_count; i++) {
        const writer_tensor *t = &content->tensors[i];
        fprintf(out, "%s\"%s\": [", i ? ", " : "", t->name);
        writer_put_shape(out, t->rank, t->shape);
        fputc(']', out);
    }
    if (content->head)
        fprintf(out, ", \"probabilities\": [%zu, %zu], \"stage\": [%zu]",
                content->tensors[0].shape[0], content->head->classes, content->tensors[0].shape[0]);
    fputc('}', out);
    if (content->night && content->night->clock) {
        fputs(", \"channel_mask\": [", out);
        for (size_t c = 0; c < content->night->channels; c++)
            fprintf(out, "%s%d", c ? ", " : "",
                    content->night->channel[c].state != PSGVIT_CHANNEL_MISSING);
        fputc(']', out);
    }
    fputs(", \"epochs\": [", out);
}

/* Nested arrays of the numbers of one epoch, the innermost one for rank 1; returns what is behind
 * them. */
static const float *put_nested(FILE *out, const size_t *shape, size_t rank, const float *at)
{
    for (size_t i = 0; i < shape[0]; i++) {
        fputs(i ? ", " : "[", out);
        if (rank == 1)
            put_number(out, *at++, WRITER_JSON);
        else
            at = put_nested(out, shape + 1, rank - 1, at);
    }
    fputc(']', out);
    return at;
}

void writer_put_json_epoch(FILE *out, const writer_content *content, size_t epoch,
                           const float *const *rows, const head_scores *scores)
{
    fprintf(out, "%s\n{\"epoch\": %zu", epoch ? "," : "", epoch);
    if (content->night && content->night->clock) {
        fputs(", \"epoch_start_s\": ", out);
        json_put_decimal(out, content->night->epoch_start_s[epoch], TIME_DIGITS);
    }
    if (scores) {
        fprintf(out, ", \"stage\": %d, \"confidence\": ", (int)*scores->stage);
        put_number(out, *scores->confidence, WRITER_JSON);
        fputs(", \"probabilities\": ", out);
        put_nested(out, &content->head->classes, 1, scores->probabilities);
    }
    for (size_t i = 0; i < content->tensor_count; i++) {
        const writer_tensor *t = &content->tensors[i];
        fprintf(out, ", \"%s\": ", t->name);
        put_nested(out, t->shape + 1, t->rank - 1, rows[i]);
    }
    fputc('}', out);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static char separator(writer_format format)
{
    return format == WRITER_TSV ? '\t' : ',';
}

/* A text of a head, whose labels hold no control characters: only commas and quotes need care, and
 * these only in CSV (RFC 4180). */
static void put_cell(FILE *out, const char *prefix, const char *text, writer_format format)
{
    bool quoted = format == WRITER_CSV && strpbrk(text, ",\"");
    fprintf(out, "%s%s", quoted ? "\"" : "", prefix);
    for (const char *c = text; *c; c++) {
        if (quoted && *c == '"')
            fputc('"', out);
        fputc(*c, out);
    }
    fputs(quoted ? "\"" : "", out);
}

void writer_put_score_names(FILE *out, const linear_head *h, writer_format format)
{
    char comma = separator(format);
    fprintf(out, "%cstage%cconfidence", comma, comma);
    for (size_t k = 0; k < h->classes; k++) {
        fputc(comma, out);
        put_cell(out, "p_", h->labels[k], format);
    }
}

void writer_put_scores(FILE *out, const linear_head *h, writer_format format,
                       const head_scores *scores)
{
    char comma = separator(format);
    fputc(comma, out);
    if (*scores->stage >= 0)
        put_cell(out, "", h->labels[*scores->stage], format);
    else
        fputs(format == WRITER_TSV ? "n/a" : "", out);
    fputc(comma, out);
    put_number(out, *scores->confidence, format);
    for (size_t k = 0; k < h->classes; k++) {
        fputc(comma, out);
        put_number(out, scores->probabilities[k], format);
    }
}

void writer_put_table_head(FILE *out, const writer_content *content, writer_format format)
{
    char comma = separator(format);
    const writer_tensor *t = &content->tensors[0];
    if (content->night && content->night->clock)
        fprintf(out, "onset%cduration%c", comma, comma);
    fputs("epoch", out);
    if (content->head)
        writer_put_score_names(out, content->head, format);
    for (size_t i = 0; i < t->shape[1]; i++)
        fprintf(out, "%c%s_%zu", comma, t->name, i);
    fputc('\n', out);
}

void writer_put_table_epoch(FILE *out, const writer_content *content, writer_format format,
                            size_t epoch, const float *row, const head_scores *scores)
{
    char comma = separator(format);
    const night_facts *n = content->night;
    if (n && n->clock) {
        json_put_decimal(out, n->epoch_start_s[epoch], TIME_DIGITS);
        fputc(comma, out);
        json_put_decimal(out, n->epoch_seconds, TIME_DIGITS);
        fputc(comma, out);
    }
    fprintf(out, "%zu", epoch);
    if (scores)
        writer_put_scores(out, content->head, format, scores);
    for (size_t i = 0; i < content->tensors[0].shape[1]; i++) {
        fputc(comma, out);
        put_number(out, row[i], format);
    }
    fputc('\n', out);
}
