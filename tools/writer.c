/* SPDX-License-Identifier: MIT */
/*
 * A file is a head, whose size is fixed when the file is opened and which is written last, since
 * the SHA-256 in it is known last; then the epochs; then, in JSON, a tail.
 */
#define _GNU_SOURCE 1
#include "writer.h"

#include "json_out.h"
#include "staged_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const writer_format_names[WRITER_FORMATS] = {"safetensors", "npy", "csv", "json",
                                                         "tsv"};

enum { LATE = 64, TEXT = 1 << 16, MOST_HEAD = 100000000 /* of safetensors */ };

struct writer {
    staged_file file;
    writer_format format;
    writer_content content;
    size_t row[WRITER_TENSORS];    /* numbers of one epoch */
    uint64_t data[WRITER_TENSORS]; /* where the tensor begins, bytes from the head's end */
    uint64_t head;                 /* bytes of the head */
    uint64_t end;                  /* where text goes on, from the head's end */
    char text[TEXT];
    size_t text_used;
};

/* ---- heads ----------------------------------------------------------------------------------- */

static void put_shape(FILE *out, const writer_tensor *t, const char *last)
{
    for (size_t i = 0; i < t->rank; i++)
        fprintf(out, "%s%zu", i ? ", " : "", t->shape[i]);
    fputs(last, out);
}

static void put_metadata(FILE *out, const writer *w, const char *late)
{
    fputc('{', out);
    for (size_t i = 0; i < w->content.entry_count; i++) {
        const writer_entry *entry = &w->content.entries[i];
        fputs(i ? ", " : "", out);
        json_put_string(out, entry->key);
        fputs(": ", out);
        json_put_string(out, entry->value ? entry->value : late);
    }
    fputc('}', out);
}

static void put_safetensors_head(FILE *out, const writer *w, const char *late)
{
    fputs("{\"__metadata__\": ", out);
    put_metadata(out, w, late);
    for (size_t i = 0; i < w->content.tensor_count; i++) {
        const writer_tensor *t = &w->content.tensors[i];
        uint64_t bytes = (uint64_t)t->shape[0] * w->row[i] * sizeof(float);
        fprintf(out, ", \"%s\": {\"dtype\": \"F32\", \"shape\": [", t->name);
        put_shape(out, t, "]");
        fprintf(out, ", \"data_offsets\": [%llu, %llu]}", (unsigned long long)w->data[i],
                (unsigned long long)(w->data[i] + bytes));
    }
    fputc('}', out);
}

static void put_json_head(FILE *out, const writer *w, const char *late)
{
    fputs("{\"metadata\": ", out);
    put_metadata(out, w, late);
    fputs(", \"shapes\": {", out);
    for (size_t i = 0; i < w->content.tensor_count; i++) {
        fprintf(out, "%s\"%s\": [", i ? ", " : "", w->content.tensors[i].name);
        put_shape(out, &w->content.tensors[i], "]");
    }
    fputs("}, \"epochs\": [", out);
}

static void put_csv_head(FILE *out, const writer *w)
{
    fputs("epoch", out);
    for (size_t i = 0; i < w->row[0]; i++)
        fprintf(out, ",%s_%zu", w->content.tensors[0].name, i);
    fputc('\n', out);
}

/* The head's text, with `late` in its place; NULL if there is no memory. Free with free(). */
static char *make_head(const writer *w, const char *late, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out)
        return NULL;
    switch (w->format) {
    case WRITER_SAFETENSORS: put_safetensors_head(out, w, late); break;
    case WRITER_JSON: put_json_head(out, w, late); break;
    case WRITER_CSV:
    case WRITER_TSV: put_csv_head(out, w); break;
    case WRITER_NPY:
        fputs("{'descr': '<f4', 'fortran_order': False, 'shape': (", out);
        put_shape(out, &w->content.tensors[0], w->content.tensors[0].rank == 1 ? ",), }" : "), }");
        break;
    }
    int failed = ferror(out);
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}

/* Bytes in front of the text: a length, or NPY's magic, version and length. */
static size_t prefix_size(writer_format format)
{
    return format == WRITER_SAFETENSORS ? 8 : format == WRITER_NPY ? 10 : 0;
}

/* The whole head for a text of that size: data is to begin aligned, and the padding is spaces. */
static uint64_t head_size(writer_format format, size_t text)
{
    uint64_t size = prefix_size(format) + text;
    if (format == WRITER_SAFETENSORS)
        return (size + 7) / 8 * 8;
    return format == WRITER_NPY ? (size + 1 + 63) / 64 * 64 : size;
}

static int write_head(writer *w, const char *late, cli_failure *failure)
{
    size_t size = 0, prefix = prefix_size(w->format);
    char *text = make_head(w, late, &size);
    unsigned char *head = text && prefix + size <= w->head ? malloc(w->head) : NULL;
    if (!head) {
        free(text);
        return cli_fail(failure, CLI_MEMORY,
                        "out of memory: the head of the output needs %llu bytes",
                        (unsigned long long)w->head);
    }
    memset(head, ' ', w->head);
    memcpy(head + prefix, text, size);
    uint64_t length = w->head - prefix;
    if (w->format == WRITER_NPY) {
        memcpy(head, "\x93NUMPY\x01\x00", 8);
        head[w->head - 1] = '\n';
    }
    for (size_t i = w->format == WRITER_NPY ? 8 : 0; i < prefix; i++, length >>= 8)
        head[i] = (unsigned char)(length & 255);
    int code = staged_file_write(&w->file, 0, head, w->head, failure);
    free(head);
    free(text);
    return code;
}

/* ---- text ------------------------------------------------------------------------------------ */

static int flush_text(writer *w, cli_failure *failure)
{
    int code = staged_file_write(&w->file, w->head + w->end, w->text, w->text_used, failure);
    w->end += w->text_used;
    w->text_used = 0;
    return code;
}

/* Text is put in pieces that are far shorter than the room that is made for them here. */
static int make_room(writer *w, cli_failure *failure)
{
    return w->text_used + 128 > TEXT ? flush_text(w, failure) : CLI_DONE;
}

static void add_text(writer *w, const char *text)
{
    size_t length = strlen(text);
    memcpy(w->text + w->text_used, text, length);
    w->text_used += length;
}

/* Nine digits give every float32 back; the program's locale is C's, so the point is a point. */
static void add_number(writer *w, float value)
{
    if (isfinite(value))
        w->text_used += (size_t)snprintf(w->text + w->text_used, 32, "%.9g", (double)value);
    else if (w->format == WRITER_JSON)
        add_text(w, "null");
    else
        add_text(w, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

/* `rank` - 1 nested arrays of one epoch's numbers. */
static int add_nested(writer *w, const size_t *shape, size_t rank, const float **at,
                      cli_failure *failure)
{
    for (size_t i = 0; i < shape[0]; i++) {
        int code = make_room(w, failure);
        if (code)
            return code;
        add_text(w, i ? ", " : "[");
        if (rank == 1)
            add_number(w, *(*at)++);
        else if ((code = add_nested(w, shape + 1, rank - 1, at, failure)))
            return code;
    }
    add_text(w, "]");
    return CLI_DONE;
}

static int put_json_epoch(writer *w, size_t epoch, const float *const *rows, cli_failure *failure)
{
    int code = make_room(w, failure);
    if (code)
        return code;
    w->text_used += (size_t)snprintf(w->text + w->text_used, 64, "%s\n{\"epoch\": %zu",
                                     epoch ? "," : "", epoch);
    for (size_t i = 0; i < w->content.tensor_count && !code; i++) {
        const writer_tensor *t = &w->content.tensors[i];
        code = make_room(w, failure);
        if (code)
            return code;
        w->text_used += (size_t)snprintf(w->text + w->text_used, 64, ", \"%.32s\": ", t->name);
        const float *at = rows[i];
        code = add_nested(w, t->shape + 1, t->rank - 1, &at, failure);
    }
    if (!code)
        code = make_room(w, failure);
    if (!code)
        add_text(w, "}");
    return code;
}

static int put_csv_epoch(writer *w, size_t epoch, const float *row, cli_failure *failure)
{
    int code = make_room(w, failure);
    if (code)
        return code;
    w->text_used += (size_t)snprintf(w->text + w->text_used, 32, "%zu", epoch);
    for (size_t i = 0; i < w->row[0]; i++) {
        if ((code = make_room(w, failure)))
            return code;
        add_text(w, ",");
        add_number(w, row[i]);
    }
    add_text(w, "\n");
    return CLI_DONE;
}

/* ---- the writer ------------------------------------------------------------------------------ */

/* Sets row and data. Returns the bytes of all tensors, or UINT64_MAX if that overflows. */
static uint64_t measure(writer *w)
{
    uint64_t all = 0;
    for (size_t i = 0; i < w->content.tensor_count; i++) {
        const writer_tensor *t = &w->content.tensors[i];
        size_t row = 1;
        uint64_t bytes;
        for (size_t k = 1; k < t->rank; k++)
            if (__builtin_mul_overflow(row, t->shape[k], &row))
                return UINT64_MAX;
        w->row[i] = row;
        w->data[i] = all;
        if (__builtin_mul_overflow((uint64_t)row, sizeof(float), &bytes) ||
            __builtin_mul_overflow(bytes, (uint64_t)t->shape[0], &bytes) ||
            __builtin_add_overflow(all, bytes, &all) || all > INT64_MAX)
            return UINT64_MAX;
    }
    return all;
}

int writer_open(writer **made, const char *path, writer_format format,
                const writer_content *content, cli_failure *failure)
{
    static const char late[LATE + 1] =
        "0000000000000000000000000000000000000000000000000000000000000000";
    *made = NULL;
    writer *w = calloc(1, sizeof *w);
    if (!w)
        return cli_fail(failure, CLI_MEMORY, "out of memory: the writer needs %zu bytes",
                        sizeof *w);
    w->file.fd = w->file.folder = -1;
    w->format = format;
    w->content = *content;
    uint64_t bytes = measure(w), all;
    size_t size = 0;
    char *text = make_head(w, late, &size);
    int code = CLI_DONE;
    w->head = head_size(format, size);
    if (!text)
        code = cli_fail(failure, CLI_MEMORY, "out of memory: the head of the output");
    else if (bytes == UINT64_MAX || __builtin_add_overflow(bytes, w->head, &all) ||
             w->head > MOST_HEAD)
        code = cli_fail(failure, CLI_OUTPUT, "%s: the output is too large for a file", path);
    else
        code = staged_file_open(&w->file, path,
                                format == WRITER_SAFETENSORS || format == WRITER_NPY ? all : 0,
                                failure);
    free(text);
    if (code)
        writer_abort(&w);
    *made = w;
    return code;
}

int writer_put(writer *w, size_t first, size_t rows, const float *const *values,
               const head_scores *scores, cli_failure *failure)
{
    int code = CLI_DONE;
    (void)scores;
    if (w->format == WRITER_SAFETENSORS || w->format == WRITER_NPY) {
        for (size_t i = 0; i < w->content.tensor_count && !code; i++) {
            size_t bytes = w->row[i] * sizeof(float);
            code = staged_file_write(&w->file, w->head + w->data[i] + (uint64_t)first * bytes,
                                     values[i], rows * bytes, failure);
        }
        return code;
    }
    for (size_t r = 0; r < rows && !code; r++) {
        const float *row[WRITER_TENSORS] = {NULL};
        for (size_t i = 0; i < w->content.tensor_count; i++)
            row[i] = values[i] + r * w->row[i];
        code = w->format == WRITER_CSV ? put_csv_epoch(w, first + r, row[0], failure)
                                       : put_json_epoch(w, first + r, row, failure);
    }
    return code;
}

int writer_finish(writer *w, const char *late, cli_failure *failure)
{
    int code = make_room(w, failure);
    if (!code && w->format == WRITER_JSON)
        add_text(w, "\n]}\n");
    if (!code)
        code = flush_text(w, failure);
    if (!code)
        code = write_head(w, late, failure);
    return code ? code : staged_file_sync(&w->file, failure);
}

int writer_commit(writer **w, cli_failure *failure)
{
    int code = staged_file_commit(&(*w)->file, failure);
    writer_abort(w);
    return code;
}

void writer_abort(writer **w)
{
    if (!w || !*w)
        return;
    staged_file_abort(&(*w)->file);
    free(*w);
    *w = NULL;
}
