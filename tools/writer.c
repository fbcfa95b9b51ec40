/* SPDX-License-Identifier: MIT */
/*
 * A file is a head, whose size is fixed when the file is opened and which is written last, since
 * the SHA-256 in it is known last; then the epochs; then, in JSON, a tail.
 */
#define _GNU_SOURCE 1
#include "writer.h"

#include "json_out.h"
#include "staged_file.h"
#include "staged_stream.h"
#include "writer_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const writer_format_names[WRITER_FORMATS] = {"safetensors", "npy", "csv", "json",
                                                         "tsv"};

enum { LATE = 64, PARTS = WRITER_TENSORS + 4, MOST_HEAD = 100000000 /* of safetensors */ };

/* One tensor of the file. */
typedef struct part {
    const char *name, *dtype;
    size_t rank, shape[WRITER_RANK];
    size_t row;    /* bytes of one epoch, or of one channel of the mask */
    uint64_t at;   /* where it begins, bytes from the head's end */
    uint64_t size; /* bytes in all */
} part;

struct writer {
    staged_file file;
    staged_stream text; /* of the epochs, where they are text */
    writer_format format;
    writer_content content;
    part parts[PARTS]; /* by falling size of their elements, so that each is aligned */
    size_t part_count;
    size_t values; /* the part that is the content's first tensor; the others follow */
    uint64_t head; /* bytes of the head */
};

static bool has_clock(const writer *w)
{
    return w->content.night && w->content.night->clock;
}

static bool is_text(writer_format format)
{
    return format != WRITER_SAFETENSORS && format != WRITER_NPY;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void add_part(writer *w, const char *name, const char *dtype, size_t element, size_t rank,
                     const size_t *shape)
{
    part *p = &w->parts[w->part_count++];
    *p = (part){.name = name, .dtype = dtype, .rank = rank, .row = element};
    memcpy(p->shape, shape, rank * sizeof *shape);
}

static void list_parts(writer *w)
{
    const writer_content *c = &w->content;
    bool all = w->format == WRITER_SAFETENSORS;
    size_t epochs = c->tensors[0].shape[0];
    if (all && has_clock(w))
        add_part(w, "epoch_start_s", "F64", sizeof(double), 1, &epochs);
    w->values = w->part_count;
    for (size_t i = 0; i < c->tensor_count; i++)
        add_part(w, c->tensors[i].name, "F32", sizeof(float), c->tensors[i].rank,
                 c->tensors[i].shape);
    if (all && c->head) {
        add_part(w, "probabilities", "F32", sizeof(float), 2, (size_t[]){epochs, c->head->classes});
        add_part(w, "stage", "I32", sizeof(int32_t), 1, &epochs);
    }
    if (all && has_clock(w))
        add_part(w, "channel_mask", "U8", 1, 1, &c->night->channels);
}

/* Sets row, at and size of all parts. Returns the bytes of all, or UINT64_MAX if they overflow. */
static uint64_t measure(writer *w)
{
    uint64_t all = 0;
    for (size_t i = 0; i < w->part_count; i++) {
        part *p = &w->parts[i];
        for (size_t k = 1; k < p->rank; k++)
            if (__builtin_mul_overflow(p->row, p->shape[k], &p->row))
                return UINT64_MAX;
        p->at = all;
        if (__builtin_mul_overflow((uint64_t)p->row, (uint64_t)p->shape[0], &p->size) ||
            __builtin_add_overflow(all, p->size, &all) || all > INT64_MAX)
            return UINT64_MAX;
    }
    return all;
}

/* ---- heads ----------------------------------------------------------------------------------- */

static void put_safetensors_head(FILE *out, const writer *w, const char *late)
{
    fputs("{\"__metadata__\": ", out);
    writer_put_metadata(out, &w->content, late);
    for (size_t i = 0; i < w->part_count; i++) {
        const part *p = &w->parts[i];
        fprintf(out, ", \"%s\": {\"dtype\": \"%s\", \"shape\": [", p->name, p->dtype);
        writer_put_shape(out, p->rank, p->shape);
        fprintf(out, "], \"data_offsets\": [%llu, %llu]}", (unsigned long long)p->at,
                (unsigned long long)(p->at + p->size));
    }
    fputc('}', out);
}

static void put_npy_head(FILE *out, const part *p)
{
    fputs("{'descr': '<f4', 'fortran_order': False, 'shape': (", out);
    writer_put_shape(out, p->rank, p->shape);
    fputs(p->rank == 1 ? ",), }" : "), }", out);
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
    case WRITER_NPY: put_npy_head(out, &w->parts[0]); break;
    case WRITER_JSON: writer_put_json_head(out, &w->content, late); break;
    case WRITER_CSV:
    case WRITER_TSV: writer_put_table_head(out, &w->content, w->format); break;
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

/* ---- the writer ------------------------------------------------------------------------------ */

/* What is known beforehand: times and mask. */
static int write_known(writer *w, cli_failure *failure)
{
    const night_facts *n = w->content.night;
    if (w->format != WRITER_SAFETENSORS || !has_clock(w))
        return CLI_DONE;
    const part *times = &w->parts[0], *mask = &w->parts[w->part_count - 1];
    unsigned char *found = calloc(n->channels + 1, 1);
    if (!found)
        return cli_fail(failure, CLI_MEMORY, "out of memory: the mask of %zu channels",
                        n->channels);
    for (size_t c = 0; c < n->channels; c++)
        found[c] = n->channel[c].state != PSGVIT_CHANNEL_MISSING;
    int code =
        staged_file_write(&w->file, w->head + times->at, n->epoch_start_s, times->size, failure);
    if (!code)
        code = staged_file_write(&w->file, w->head + mask->at, found, mask->size, failure);
    free(found);
    return code;
}

static int open_file(writer *w, const char *path, cli_failure *failure)
{
    static const char late[LATE + 1] =
        "0000000000000000000000000000000000000000000000000000000000000000";
    uint64_t bytes = measure(w), all;
    size_t size = 0;
    char *text = make_head(w, late, &size);
    if (!text)
        return cli_fail(failure, CLI_MEMORY, "out of memory: the head of the output");
    free(text); /* only its size counts */
    w->head = head_size(w->format, size);
    if (bytes == UINT64_MAX || __builtin_add_overflow(bytes, w->head, &all) || w->head > MOST_HEAD)
        return cli_fail(failure, CLI_OUTPUT, "%s: the output is too large for a file", path);
    int code = staged_file_open(&w->file, path, is_text(w->format) ? 0 : all, failure);
    if (!code && is_text(w->format))
        code = staged_stream_open(&w->text, &w->file, w->head, failure);
    return code ? code : write_known(w, failure);
}

int writer_open(writer **made, const char *path, writer_format format,
                const writer_content *content, cli_failure *failure)
{
    *made = NULL;
    writer *w = calloc(1, sizeof *w);
    if (!w)
        return cli_fail(failure, CLI_MEMORY, "out of memory: the writer needs %zu bytes",
                        sizeof *w);
    w->file.fd = w->file.folder = -1;
    w->format = format;
    w->content = *content;
    list_parts(w);
    int code = open_file(w, path, failure);
    if (code)
        writer_abort(&w);
    *made = w;
    return code;
}

static int put_binary(writer *w, size_t first, size_t rows, const float *const *values,
                      const head_scores *scores, cli_failure *failure)
{
    const void *sources[WRITER_TENSORS + 2] = {NULL};
    size_t count = w->content.tensor_count;
    for (size_t i = 0; i < count; i++)
        sources[i] = values[i];
    if (w->format == WRITER_SAFETENSORS && w->content.head) {
        sources[count++] = scores->probabilities;
        sources[count++] = scores->stage;
    }
    int code = CLI_DONE;
    for (size_t i = 0; i < count && !code; i++) {
        const part *p = &w->parts[w->values + i];
        code = staged_file_write(&w->file, w->head + p->at + (uint64_t)first * p->row, sources[i],
                                 rows * p->row, failure);
    }
    return code;
}

static void put_text(writer *w, size_t epoch, const float *const *rows, const head_scores *scores)
{
    if (w->format == WRITER_JSON)
        writer_put_json_epoch(w->text.out, &w->content, epoch, rows, scores);
    else
        writer_put_table_epoch(w->text.out, &w->content, w->format, epoch, rows[0], scores);
}

int writer_put(writer *w, size_t first, size_t rows, const float *const *values,
               const head_scores *scores, cli_failure *failure)
{
    if (!is_text(w->format))
        return put_binary(w, first, rows, values, scores, failure);
    for (size_t r = 0; r < rows && !w->text.failure.code; r++) {
        const float *row[WRITER_TENSORS] = {NULL};
        for (size_t i = 0; i < w->content.tensor_count; i++)
            row[i] = values[i] + r * (w->parts[w->values + i].row / sizeof(float));
        head_scores one = {0};
        if (w->content.head)
            one = (head_scores){scores->probabilities + r * w->content.head->classes,
                                scores->stage + r, scores->confidence + r};
        put_text(w, first + r, row, w->content.head ? &one : NULL);
    }
    return staged_stream_check(&w->text, failure);
}

int writer_finish(writer *w, const char *late, cli_failure *failure)
{
    if (w->format == WRITER_JSON)
        fputs("\n]}\n", w->text.out);
    int code = is_text(w->format) ? staged_stream_finish(&w->text, failure) : CLI_DONE;
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
    staged_stream_abort(&(*w)->text);
    staged_file_abort(&(*w)->file);
    free(*w);
    *w = NULL;
}
