/* SPDX-License-Identifier: MIT */
/* Progress on standard error: a bar on a terminal, or a JSON object a line. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stddef.h>

typedef enum progress_mode {
    PROGRESS_AUTO, /* a bar, on a terminal, for what takes longer than a second */
    PROGRESS_NEVER,
    PROGRESS_JSON, /* {"input": ..., "done": ..., "total": ..., "epochs_per_s", "seconds_left"} */
} progress_mode;

/* One input at a time. `index` of `count` inputs, from 0; the name must live until progress_end. */
void progress_begin(progress_mode mode, const char *name, size_t index, size_t count,
                    size_t epochs);
/* Epochs done so far. Drawn at most ten times a second. */
void progress_update(size_t done);
/* Wipes the bar. */
void progress_end(void);

#endif
