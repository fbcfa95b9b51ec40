/* SPDX-License-Identifier: MIT */
/* A list is read whole and cut in place: its lines become strings by NULs in the text. */
#define _GNU_SOURCE 1
#include "sample_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 28 }; /* more is no list */

static int no_memory(cli_failure *failure)
{
    return cli_fail(failure, CLI_MEMORY, "out of memory: the list of inputs");
}

/* ---- of the command line --------------------------------------------------------------------- */

/* The last part of a path, without slashes at its end and without its suffix. */
static const char *stem_of(const char *path, size_t *length)
{
    if (!strcmp(path, "-"))
        path = "stdin";
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    *length = end - start;
    for (size_t i = end; i-- > start + 1;) /* a dot at the start hides a file, it is no suffix */
        if (path[i] == '.') {
            *length = i - start;
            break;
        }
    return path + start;
}

int sample_list_take(sample_list *list, char *const *inputs, size_t count, cli_failure *failure)
{
    size_t bytes = 1, length;
    for (size_t i = 0; i < count; i++) {
        stem_of(inputs[i], &length);
        bytes += length + 1;
    }
    *list =
        (sample_list){.samples = calloc(count + 1, sizeof *list->samples), .text = malloc(bytes)};
    if (!list->samples || !list->text) {
        sample_list_free(list);
        return no_memory(failure);
    }
    char *at = list->text;
    for (; list->count < count; list->count++) {
        const char *stem = stem_of(inputs[list->count], &length);
        list->samples[list->count] = (sample){.id = at, .path = inputs[list->count]};
        memcpy(at, stem, length);
        at[length] = '\0';
        at += length + 1;
    }
    return CLI_DONE;
}

/* ---- a file ---------------------------------------------------------------------------------- */

static int fail_list(const sample_list *list, cli_failure *failure, const char *what)
{
    return cli_fail(failure, CLI_INPUT, "%s: %s", list->file, what);
}

static int read_text(sample_list *list, FILE *file, size_t *size, cli_failure *failure)
{
    size_t room = 0;
    for (*size = 0;;) {
        if (*size == room) {
            room = room ? 2 * room : 1 << 16;
            char *larger = room <= MOST_BYTES ? realloc(list->text, room + 1) : NULL;
            if (!larger && room <= MOST_BYTES)
                return no_memory(failure);
            if (!larger)
                return fail_list(list, failure, "expected a sample list, found 256 MiB and more");
            list->text = larger;
        }
        size_t n = fread(list->text + *size, 1, room - *size, file);
        *size += n;
        if (n == 0 || ferror(file))
            break;
    }
    if (ferror(file))
        return fail_list(list, failure, strerror(errno ? errno : EIO));
    list->text[*size] = '\0';
    return memchr(list->text, '\0', *size)
               ? fail_list(list, failure, "expected a sample list, found a NUL byte")
               : CLI_DONE;
}

/* An ID becomes the name of a file, and a word in a terminal. */
static bool is_id(const char *id)
{
    if (!id[0] || !strcmp(id, ".") || !strcmp(id, ".."))
        return false;
    for (const char *c = id; *c; c++)
        if (*c == '/' || (unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return true;
}

static int add_line(sample_list *list, char *line, size_t number, cli_failure *failure)
{
    size_t length = strlen(line);
    if (length > 0 && line[length - 1] == '\r') /* lists come from Windows, too */
        line[--length] = '\0';
    if (strspn(line, " \t") == length || line[0] == '#')
        return CLI_DONE;
    char *path = strchr(line, '\t');
    if (!path)
        return cli_fail(failure, CLI_INPUT,
                        "%s: line %zu: expected ID, a tab and a recording, found no tab",
                        list->file, number);
    *path++ = '\0';
    path[strcspn(path, "\t")] = '\0';
    if (!is_id(line))
        return cli_fail(failure, CLI_INPUT,
                        "%s: line %zu: expected an ID that can name a file, found '%s'", list->file,
                        number, line);
    if (!path[0] || !strcmp(path, "-"))
        return cli_fail(failure, CLI_INPUT, "%s: line %zu: expected a recording, found '%s'",
                        list->file, number, path);
    list->samples[list->count++] = (sample){line, path, number};
    return CLI_DONE;
}

static int cut_text(sample_list *list, size_t size, cli_failure *failure)
{
    size_t lines = 1, number = 1;
    for (const char *c = list->text; (c = strchr(c, '\n')); c++)
        lines++;
    list->samples = calloc(lines, sizeof *list->samples);
    if (!list->samples)
        return no_memory(failure);
    char *line = list->text, *end = list->text + size;
    if (!strncmp(line, "\xef\xbb\xbf", 3)) /* a byte order mark, which editors leave */
        line += 3;
    for (; line < end; number++) {
        char *next = strchrnul(line, '\n');
        *next = '\0';
        int code = add_line(list, line, number, failure);
        if (code)
            return code;
        line = next + 1;
    }
    return list->count ? CLI_DONE
                       : fail_list(list, failure,
                                   "expected lines of ID, tab and recording, found "
                                   "none");
}

static int check_ids(const sample_list *list, cli_failure *failure)
{
    const sample *first, *second;
    int code = sample_list_twins(list, &first, &second, failure);
    if (code || !first)
        return code;
    return cli_fail(failure, CLI_USAGE, "%s: the lines %zu and %zu have the same ID, %s",
                    list->file, first->line, second->line, first->id);
}

int sample_list_read(sample_list *list, const char *path, cli_failure *failure)
{
    bool standard = !strcmp(path, "-");
    *list = (sample_list){.file = standard ? "standard input" : path};
    errno = 0;
    FILE *file = standard ? stdin : fopen(path, "rbe");
    size_t size;
    if (!file)
        return cli_fail(failure, CLI_INPUT, "%s: the sample list can't be opened: %s", path,
                        strerror(errno));
    int code = read_text(list, file, &size, failure);
    if (!standard)
        fclose(file);
    if (!code)
        code = cut_text(list, size, failure);
    if (!code)
        code = check_ids(list, failure);
    if (code)
        sample_list_free(list);
    return code;
}

/* ---- both ------------------------------------------------------------------------------------ */

static int by_id(const void *a, const void *b)
{
    const sample *x = *(const sample *const *)a, *y = *(const sample *const *)b;
    int order = strcmp(x->id, y->id);
    return order ? order : (x > y) - (x < y);
}

int sample_list_twins(const sample_list *list, const sample **first, const sample **second,
                      cli_failure *failure)
{
    *first = *second = NULL;
    const sample **sorted = malloc((list->count + 1) * sizeof *sorted);
    if (!sorted)
        return no_memory(failure);
    for (size_t i = 0; i < list->count; i++)
        sorted[i] = &list->samples[i];
    qsort(sorted, list->count, sizeof *sorted, by_id);
    for (size_t i = 1; i < list->count && !*first; i++)
        if (!strcmp(sorted[i - 1]->id, sorted[i]->id)) {
            *first = sorted[i - 1];
            *second = sorted[i];
        }
    free(sorted);
    return CLI_DONE;
}

void sample_list_free(sample_list *list)
{
    free(list->samples);
    free(list->text);
    *list = (sample_list){0};
}
