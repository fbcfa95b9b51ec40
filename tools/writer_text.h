/* SPDX-License-Identifier: MIT */
/* Between the files of the writer: what is text in a file. Each puts to a stream, whose failures
 * are its own. Numbers read back the same; the program's locale is C's, so the point is a point. */
#ifndef TOOLS_WRITER_TEXT_H
#define TOOLS_WRITER_TEXT_H

#include "writer.h"

#include <stdio.h>

/* All entries as a JSON object; `late` is the value of the one that has none. */
void writer_put_metadata(FILE *out, const writer_content *content, const char *late);
/* "2, 3": the sizes of a shape. */
void writer_put_shape(FILE *out, size_t rank, const size_t *shape);

/* Up to the "[" of the epochs, and the record of one epoch: rows are its tensors' first numbers,
 * `scores` its own (NULL: no head). */
void writer_put_json_head(FILE *out, const writer_content *content, const char *late);
void writer_put_json_epoch(FILE *out, const writer_content *content, size_t epoch,
                           const float *const *rows, const head_scores *scores);

/* The names of the columns, and a row, of a table of one tensor of rank 2: by commas, or by tabs
 * with n/a for what is no number (WRITER_TSV). */
void writer_put_table_head(FILE *out, const writer_content *content, writer_format format);
void writer_put_table_epoch(FILE *out, const writer_content *content, writer_format format,
                            size_t epoch, const float *row, const head_scores *scores);

/* The columns of scores, each with the separator in front: stage, confidence, p_LABEL ... and their
 * values. For tables of stages alone, too. */
void writer_put_score_names(FILE *out, const linear_head *h, writer_format format);
void writer_put_scores(FILE *out, const linear_head *h, writer_format format,
                       const head_scores *scores);

#endif
