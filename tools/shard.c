/* SPDX-License-Identifier: MIT */
/* Shares in turn, from an option's value or from a Slurm array's variables. */
#define _GNU_SOURCE 1
#include "shard.h"

#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SHARDS = 1 << 24 };

/* A variable of Slurm, from `min` on. */
static bool read_variable(const char *option, const char *name, size_t min, size_t *value)
{
    const char *text = getenv(name);
    char what[128];
    if (!text) {
        cli_error(CLI_USAGE, "%s slurm: %s is not set: expected a task of a Slurm array", option,
                  name);
        return false;
    }
    snprintf(what, sizeof what, "%s slurm: %s", option, name);
    return cli_parse_size(what, text, min, UINT32_MAX, value);
}

/* Task IDs that Slurm counts in even steps only: those of a list such as --array=3,7,8 don't tell
 * which of them comes when. */
static bool read_slurm(const char *option, list_shard *value)
{
    size_t id, min, step, count;
    if (!read_variable(option, "SLURM_ARRAY_TASK_ID", 0, &id) ||
        !read_variable(option, "SLURM_ARRAY_TASK_MIN", 0, &min) ||
        !read_variable(option, "SLURM_ARRAY_TASK_STEP", 1, &step) ||
        !read_variable(option, "SLURM_ARRAY_TASK_COUNT", 1, &count))
        return false;
    if (id < min || (id - min) % step != 0 || (id - min) / step >= count) {
        cli_error(CLI_USAGE,
                  "%s slurm: expected the array's task IDs in even steps, found task %zu of %zu "
                  "from %zu on in steps of %zu; use --array=0-%zu, or %s i/n",
                  option, id, count, min, step, count - 1, option);
        return false;
    }
    *value = (list_shard){(id - min) / step, count};
    return true;
}

/* Digits alone; false: not a number of at most `max`. */
static bool read_number(const char *text, size_t length, size_t max, size_t *value)
{
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *value = *value * 10 + (size_t)(text[i] - '0');
        if (*value > max)
            return false;
    }
    return length > 0;
}

bool shard_parse(const char *option, const char *text, list_shard *value)
{
    if (!strcmp(text, "slurm"))
        return read_slurm(option, value);
    const char *slash = strchrnul(text, '/');
    if (*slash && read_number(text, (size_t)(slash - text), MOST_SHARDS, &value->index) &&
        read_number(slash + 1, strlen(slash + 1), MOST_SHARDS, &value->count) &&
        value->index < value->count)
        return true;
    cli_error(CLI_USAGE,
              "%s: expected i/n with i from 0 to n - 1 and n at most %d, or slurm; found '%s'",
              option, MOST_SHARDS, text);
    return false;
}

size_t shard_share(const list_shard *s, size_t total)
{
    return total > s->index ? (total - s->index - 1) / s->count + 1 : 0;
}

size_t shard_input(const list_shard *s, size_t k)
{
    return s->index + k * s->count;
}
