/* SPDX-License-Identifier: MIT */
/* A night with a gap and a missing channel, and the file of a head, for the tests of the outputs.
 */
#ifndef TESTS_NIGHT_FIXTURE_H
#define TESTS_NIGHT_FIXTURE_H

#include "head.h"
#include "writer_fixture.h"

enum { CLASSES = 3, CHANNELS = 4 };

/* EPOCHS epochs from 22:30:00 on, with a gap behind the second: 0, 30, 90.5, 120.5, 150.5 s. */
extern const night_facts gap_night;
extern const char *const stage_labels[CLASSES]; /* "W", "N2" and one that is hard to quote */
/* Stages 0, 1, 2, none, 1. */
extern const head_scores scores;

/* Writes a safetensors file of head.weight [K,D], head.bias [K] of that dtype ("F32", "F16" ...,
 * whose bytes they are) and the text of `labels` (NULL: no metadata) to the folder; the path is
 * good until the next call. */
const char *write_head(const char *dtype, size_t element, size_t classes, size_t width,
                       const void *weight, const void *bias, const char *labels);
/* A head on WIDTH numbers with the labels of the fixture, opened. */
linear_head *open_head(void);

#endif
