/* SPDX-License-Identifier: MIT */
/*
 * Is an output complete, and what this run would make of the same input? Then --resume skips it.
 * Outputs appear whole or not at all, so being there is being complete; what it was made of stands
 * in its metadata. That the input is still the same is told by its path and size in the metadata,
 * and, as make does, by its time: one that is newer than its output is done again. A time in the
 * metadata would make two runs over copies of the same files differ.
 */
#ifndef TOOLS_RESUME_H
#define TOOLS_RESUME_H

#include "writer.h"

#include <sys/stat.h>

/* Formats that carry metadata. */
bool resume_can_read(writer_format format);

/* What a complete output has. */
typedef struct resume_wanted {
    const char *tensor;                   /* the name of one */
    const writer_entry *entries;          /* [count] of the metadata; NULL: no such key */
    const writer_entry *entries_if_there; /* [count_if_there]: these values, or no such key */
    size_t count, count_if_there;
} resume_wanted;

/* By the time of the last change of its content, is `a` newer than `b`? */
bool resume_is_newer(const struct stat *a, const struct stat *b);

/* True if `output` has all that and `input` is no newer; *epochs becomes the number of its epochs.
 * Whatever can't be read is not complete. */
bool resume_is_complete(const char *output, writer_format format, const char *input,
                        const resume_wanted *wanted, size_t *epochs);

#endif
