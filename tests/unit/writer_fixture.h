/* SPDX-License-Identifier: MIT */
/* A folder, and something to write into it, for the tests of the tools' writer. */
#ifndef TESTS_WRITER_FIXTURE_H
#define TESTS_WRITER_FIXTURE_H

#include <psgvit/weights.h>

#include "writer.h"

enum { EPOCHS = 5, WIDTH = 3, PATCHES = 2 };

extern char folder[64]; /* empty at first, and to be left so */
extern const float cls[EPOCHS * WIDTH];
extern float patches[EPOCHS * PATCHES * WIDTH];
extern const writer_content both; /* cls and patches, with metadata */

int set_up_folder(void **state);
int tear_down_folder(void **state); /* fails if anything is left */

/* In one buffer: good until the next call. */
const char *path_of(const char *name);
size_t files_in_folder(void);
/* The whole file with a NUL behind it; free with free(). */
char *read_file(const char *path, size_t *size);

/* `both` with one of its tensors. */
writer_content only(size_t tensor);
/* All epochs in parts of two; `second` may be NULL. Like the writer, returns an exit code. */
int put_all(writer *w, const float *first, const float *second, cli_failure *failure);
/* Finishes and commits. */
int finish(writer **w, const char *late, cli_failure *failure);
int write_both(const char *path, writer_format format, const char *late, cli_failure *failure);
/* The whole of cls, which must work. */
void write_cls(const char *path, writer_format format);
void check_tensor(psgvit_weights *weights, const char *name, const float *expected, size_t count);

#endif
