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

/* "<folder>/<ID>.<suffix>"; NULL if there is no memory. */
static char *name_in_folder(const char *folder, const char *id, const char *suffix)
{
    char *path = NULL;
    const char *slash = !strcmp(folder, "/") ? "" : "/";
    return asprintf(&path, "%s%s%s.%s", folder, slash, id, suffix) < 0 ? NULL : path;
}

/* `given` up to its last slash, without those at its end. */
static char *folder_of(const char *given, bool whole)
{
    size_t length = strlen(given);
    while (!whole && length > 1 && given[length - 1] != '/')
        length--;
    while (length > 1 && given[length - 1] == '/')
        length--;
    return strndup(given, length);
}

/* `given` names a folder as a whole (OUT), or ends in a slash and perhaps a suffix, or is a file.
 */
static int plan_set(target_set *set, const targets *t, const infer_options *options,
                    const sample_list *list, const infer_companion *given, cli_failure *failure)
{
    bool whole = given->path == options->out;
    set->paths = calloc(t->count + 1, sizeof *set->paths);
    set->folder = given->folder ? folder_of(given->path, whole) : NULL;
    if (!set->paths || (given->folder && !set->folder))
        return no_memory(failure);
    for (size_t k = 0; k < t->count; k++) {
        const char *id = list->samples[shard_input(&options->shard, k)].id;
        set->paths[k] =
            set->folder ? name_in_folder(set->folder, id, given->suffix) : strdup(given->path);
        if (!set->paths[k])
            return no_memory(failure);
    }
    return CLI_DONE;
}

/* Of the whole list, so that all shards agree. */
static int check_twins(const infer_options *options, const sample_list *list, cli_failure *failure)
{
    const sample *first, *second;
    if (!options->folder) /* then there is one input */
        return CLI_DONE;
    int code = sample_list_twins(list, &first, &second, failure);
    if (code || !first)
        return code;
    return cli_fail(failure, CLI_USAGE, "%s and %s would both be written to %s%s%s.%s", first->path,
                    second->path, options->out,
                    options->out[strlen(options->out) - 1] == '/' ? "" : "/", first->id,
                    writer_format_names[options->format]);
}

/* The sources must survive: nothing is ever written over what it is made from. */
static int check_source(const char *target, const struct stat *there, const char *source,
                        cli_failure *failure)
{
    struct stat st;
    if (!source || !strcmp(source, "-") || stat(source, &st) != 0 || st.st_dev != there->st_dev ||
        st.st_ino != there->st_ino)
        return CLI_DONE;
    return cli_fail(failure, CLI_USAGE, "%s would be written over %s, from which it is made",
                    target, source);
}

static int check_target(const char *target, const infer_options *options, const sample *input,
                        cli_failure *failure)
{
    const char *const sources[] = {input->path, options->model, options->config, options->head,
                                   options->list};
    struct stat there;
    if (!strcmp(target, "-") || stat(target, &there) != 0)
        return CLI_DONE;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        int code = check_source(target, &there, sources[i], failure);
        if (code)
            return code;
    }
    return CLI_DONE;
}

/* The path with all links, dots and double slashes resolved, as far as it exists. NULL if there is
 * no memory. */
static char *resolve(const char *path)
{
    char *made = realpath(path, NULL), *joined = NULL;
    if (made)
        return made;
    const char *slash = strrchr(path, '/');
    if (slash == path || !strcmp(path, "."))
        return strdup(path);
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    made = folder ? resolve(folder) : NULL;
    if (!made || asprintf(&joined, "%s/%s", made, slash ? slash + 1 : path) < 0)
        joined = NULL;
    free(folder);
    free(made);
    return joined;
}

/* One file may be spelled in two ways. */
static int check_pair(const char *target, const char *taken, cli_failure *failure)
{
    char *a = resolve(target), *b = resolve(taken);
    int code = a && b ? CLI_DONE : no_memory(failure);
    if (!code && !strcmp(a, b))
        code = cli_fail(failure, CLI_USAGE, "two things would be written to %s", target);
    free(a);
    free(b);
    return code;
}

/* Those of input `k`, against its sources and each other. */
static int check_input(const targets *t, const infer_options *options, const sample_list *list,
                       size_t k, cli_failure *failure)
{
    const sample *input = &list->samples[shard_input(&options->shard, k)];
    for (int kind = 0; kind < TARGET_KINDS; kind++) {
        const char *target = targets_path(t, (target_kind)kind, k);
        int code = target ? check_target(target, options, input, failure) : CLI_DONE;
        for (int other = 0; target && other < kind && !code; other++) {
            const char *taken = targets_path(t, (target_kind)other, k);
            code = taken ? check_pair(target, taken, failure) : CLI_DONE;
        }
        if (code)
            return code;
    }
    return CLI_DONE;
}

/* A file, by whatever name. */
typedef struct file_id {
    dev_t device;
    ino_t inode;
    const char *path;
} file_id;

static bool identify(file_id *id, const char *path)
{
    struct stat st;
    if (!strcmp(path, "-") || stat(path, &st) != 0)
        return false;
    *id = (file_id){st.st_dev, st.st_ino, path};
    return true;
}

static int by_file(const void *a, const void *b)
{
    const file_id *x = a, *y = b;
    return x->device != y->device ? (x->device > y->device) - (x->device < y->device)
                                  : (x->inode > y->inode) - (x->inode < y->inode);
}

/* An output of one input must not lie on another's recording, were it another shard's. */
static int check_others(const targets *t, const sample_list *list, cli_failure *failure)
{
    file_id *inputs = malloc((list->count + 1) * sizeof *inputs), id;
    size_t count = 0;
    if (!inputs)
        return no_memory(failure);
    for (size_t i = 0; i < list->count; i++)
        count += identify(&inputs[count], list->samples[i].path);
    qsort(inputs, count, sizeof *inputs, by_file);
    int code = CLI_DONE;
    for (int kind = 0; kind < TARGET_KINDS; kind++)
        for (size_t k = 0; k < t->count && !code; k++) {
            const char *target = targets_path(t, (target_kind)kind, k);
            const file_id *found = target && identify(&id, target)
                                       ? bsearch(&id, inputs, count, sizeof *inputs, by_file)
                                       : NULL;
            if (found)
                code = cli_fail(failure, CLI_USAGE, "%s would be written over %s, an input", target,
                                found->path);
        }
    free(inputs);
    return code;
}

int targets_plan(targets *t, const infer_options *options, const sample_list *list,
                 cli_failure *failure)
{
    const infer_companion out = {options->out, options->folder,
                                 writer_format_names[options->format]};
    const infer_companion *const given[TARGET_KINDS] = {&out, &options->hypnogram, &options->page};
    *t = (targets){.count = shard_share(&options->shard, list->count)};
    int code = check_twins(options, list, failure);
    for (int kind = 0; kind < TARGET_KINDS && !code; kind++)
        if (given[kind]->path)
            code = plan_set(&t->sets[kind], t, options, list, given[kind], failure);
    for (size_t k = 0; k < t->count && !code; k++)
        code = check_input(t, options, list, k, failure);
    return code || list->count < 2 ? code : check_others(t, list, failure);
}

const char *targets_path(const targets *t, target_kind kind, size_t index)
{
    return t->sets[kind].paths ? t->sets[kind].paths[index] : NULL;
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

static int make_folder(target_set *set, int kind, cli_failure *failure)
{
    set->made = mkdir(set->folder, 0777) == 0;
    if (set->made)
        interrupt_remove_folder(kind, set->folder);
    if (set->made || errno == EEXIST)
        return CLI_DONE;
    return cli_fail(failure, CLI_OUTPUT, "%s: the folder can't be made: %s", set->folder,
                    strerror(errno));
}

int targets_prepare(targets *t, cli_failure *failure)
{
    int code = CLI_DONE;
    for (int kind = 0; kind < TARGET_KINDS && !code; kind++) {
        target_set *set = &t->sets[kind];
        if (set->folder) { /* one may lie in the one before */
            code = check_folder(set->folder, failure);
            if (!code)
                code = make_folder(set, kind, failure);
            if (!code && !set->made)
                staged_file_sweep(set->folder);
        } else if (set->paths && t->count > 0) {
            code = staged_file_check(set->paths[0], failure);
        }
    }
    return code;
}

void targets_free(targets *t)
{
    for (int kind = 0; kind < TARGET_KINDS; kind++) {
        target_set *set = &t->sets[kind];
        interrupt_remove_folder(kind, NULL);
        if (set->made)
            rmdir(set->folder); /* fails, as it should, where an output lies in it */
        for (size_t i = 0; set->paths && i < t->count; i++)
            free(set->paths[i]);
        free(set->paths);
        free(set->folder);
    }
    *t = (targets){0};
}
