/* SPDX-License-Identifier: MIT */
/*
 * One of n shares of a list: the inputs i, i + n, i + 2n ... in the list's order. Every job that is
 * given the same list and n comes to the same shares, and long and short nights mix.
 */
#ifndef TOOLS_SHARD_H
#define TOOLS_SHARD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct list_shard {
    size_t index, count; /* i of n: 0 <= i < n */
} list_shard;

/* "i/n", or "slurm": i and n of the Slurm array that the process is a task of, by the environment
 * variables SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT, which nothing else looks at. False once
 * a sentence has been said. */
bool shard_parse(const char *option, const char *text, list_shard *value);
/* How many of `total` inputs are its own. */
size_t shard_share(const list_shard *s, size_t total);
/* Which input its k-th one is. */
size_t shard_input(const list_shard *s, size_t k);

#endif
