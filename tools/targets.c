/* SPDX-License-Identifier: MIT */
/* All is decided before anything is computed, so that no night is embedded in vain. */
#define _GNU_SOURCE 1
#include "targets.h"

#include "interrupt.h"
#include "staged_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(cli_failure *failure)
{
    return cli_fail(failure, CLI_MEMORY, "out of memory: the names of the outputs");
}

/* "<folder>/<name of the input with its suffix replaced>"; standard input is "stdin". NULL if there
 * is no memory. */
static char *name_in_folder(const char *folder, const char *input, const char *suffix)
{
    size_t length = strlen(input);
    while (length > 1 && input[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && input[start - 1] != '/')
        start--;
    const char *name = input + start;
    length -= start;
    if (!strcmp(input, "-")) {
        name = "stdin";
        length = strlen(name);
    }
    for (size_t i = length; i-- > 1;) /* a dot at the start makes a hidden file, not a suffix */
        if (name[i] == '.') {
            length = i;
            break;
        }
    char *path = NULL;
    const char *slash = !strcmp(folder, "/") ? "" : "/";
    if (asprintf(&path, "%s%s%.*s.%s", folder, slash, (int)length, name, suffix) < 0)
        return NULL;
    return path;
}

typedef struct pair {
    const char *target, *input;
} pair;

static int by_target(const void *a, const void *b)
{
    return strcmp(((const pair *)a)->target, ((const pair *)b)->target);
}

static int check_collisions(const targets *t, const infer_options *options, cli_failure *failure)
{
    pair *pairs = malloc(t->count * sizeof *pairs);
    if (!pairs)
        return no_memory(failure);
    for (size_t i = 0; i < t->count; i++)
        pairs[i] = (pair){t->paths[i], options->inputs[i]};
    qsort(pairs, t->count, sizeof *pairs, by_target);
    int code = CLI_DONE;
    for (size_t i = 1; i < t->count && !code; i++)
        if (!strcmp(pairs[i - 1].target, pairs[i].target))
            code = cli_fail(failure, CLI_USAGE, "%s and %s would both be written to %s",
                            pairs[i - 1].input, pairs[i].input, pairs[i].target);
    free(pairs);
    return code;
}

/* The sources must survive: an embedding is never written over what it is made from. */
static int check_source(const char *target, const char *source, cli_failure *failure)
{
    struct stat a, b;
    if (!source || !strcmp(source, "-") || stat(target, &a) != 0 || stat(source, &b) != 0)
        return CLI_DONE;
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return CLI_DONE;
    return cli_fail(failure, CLI_USAGE, "%s would be written over %s, from which it is made",
                    target, source);
}

int targets_plan(targets *t, const infer_options *options, cli_failure *failure)
{
    *t = (targets){.count = options->input_count};
    t->paths = calloc(t->count, sizeof *t->paths);
    t->folder = options->folder ? strdup(options->out) : NULL;
    if (!t->paths || (options->folder && !t->folder))
        return no_memory(failure);
    for (size_t n = t->folder ? strlen(t->folder) : 0; n > 1 && t->folder[n - 1] == '/'; n--)
        t->folder[n - 1] = '\0';
    for (size_t i = 0; i < t->count; i++) {
        t->paths[i] = t->folder ? name_in_folder(t->folder, options->inputs[i],
                                                 writer_format_names[options->format])
                                : strdup(options->out);
        if (!t->paths[i])
            return no_memory(failure);
    }
    int code = check_collisions(t, options, failure);
    for (size_t i = 0; i < t->count && !code; i++) {
        if (!strcmp(t->paths[i], "-"))
            continue;
        code = check_source(t->paths[i], options->inputs[i], failure);
        if (!code)
            code = check_source(t->paths[i], options->model, failure);
        if (!code)
            code = check_source(t->paths[i], options->config, failure);
    }
    return code;
}

/* The folder that must take a new name: OUT itself, or its parent while it is missing. */
static int check_folder(const char *folder, cli_failure *failure)
{
    struct stat st;
    if (stat(folder, &st) == 0) {
        if (!S_ISDIR(st.st_mode))
            return cli_fail(failure, CLI_OUTPUT, "%s: expected a folder, found a file", folder);
    } else {
        if (errno != ENOENT)
            return cli_fail(failure, CLI_OUTPUT, "%s: the folder can't be made: %s", folder,
                            strerror(errno));
        char *parent = strdup(folder);
        if (!parent)
            return no_memory(failure);
        char *slash = strrchr(parent, '/');
        if (slash)
            slash[slash == parent ? 1 : 0] = '\0';
        const char *where = slash ? parent : ".";
        if (stat(where, &st) == 0 && !S_ISDIR(st.st_mode))
            errno = ENOTDIR;
        else
            errno = access(where, W_OK | X_OK) == 0 ? 0 : errno;
        int code = errno ? cli_fail(failure, CLI_OUTPUT, "%s: the folder can't be made: %s: %s",
                                    folder, where, strerror(errno))
                         : CLI_DONE;
        free(parent);
        return code;
    }
    return access(folder, W_OK | X_OK) == 0
               ? CLI_DONE
               : cli_fail(failure, CLI_OUTPUT, "%s: the folder can't be written to: %s", folder,
                          strerror(errno));
}

int targets_check(const targets *t, cli_failure *failure)
{
    return t->folder ? check_folder(t->folder, failure) : staged_file_check(t->paths[0], failure);
}

int targets_make_folder(targets *t, cli_failure *failure)
{
    if (!t->folder || t->made)
        return CLI_DONE;
    t->made = mkdir(t->folder, 0777) == 0;
    if (t->made)
        interrupt_remove_folder(t->folder);
    if (t->made || errno == EEXIST)
        return CLI_DONE;
    return cli_fail(failure, CLI_OUTPUT, "%s: the folder can't be made: %s", t->folder,
                    strerror(errno));
}

void targets_free(targets *t)
{
    interrupt_remove_folder(NULL);
    if (t->made)
        rmdir(t->folder); /* fails, as it should, where an output lies in it */
    for (size_t i = 0; t->paths && i < t->count; i++)
        free(t->paths[i]);
    free(t->paths);
    free(t->folder);
    *t = (targets){0};
}
