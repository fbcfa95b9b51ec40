/* SPDX-License-Identifier: MIT */
/* A night's embeddings as colours: principal components by subspace iteration, in the memory of the
 * embeddings and two small blocks beside them. */
#ifndef TOOLS_NIGHT_MAP_H
#define TOOLS_NIGHT_MAP_H

#include <stdbool.h>
#include <stddef.h>

enum { NIGHT_MAP_AXES = 3 };

/* Scores of `rows` [count,width] on the axes of largest variance, and the share of the variance
 * that each axis holds. Rows with a NaN or an infinity are left out, and their scores are NaN. The
 * rows are centred in place. The direction of an axis, which is arbitrary, is such that its largest
 * number is positive. False: out of memory. */
bool night_map_make(float *rows, size_t count, size_t width, float *scores /* [count,3] */,
                    double share[NIGHT_MAP_AXES]);
/* Colours: axis by axis, from the 2nd to the 98th percentile. Rows of NaN stay black. */
bool night_map_colours(const float *scores, size_t count, unsigned char *rgb /* [count,3] */);

#endif
