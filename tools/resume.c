/* SPDX-License-Identifier: MIT */
/* The metadata of safetensors by the library, of JSON from the head of the file by cJSON. */
#define _GNU_SOURCE 1
#include "resume.h"

#include <psgvit/weights.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 1 << 20 }; /* of a JSON file: far more than metadata and shapes have */

bool resume_can_read(writer_format format)
{
    return format == WRITER_SAFETENSORS || format == WRITER_JSON;
}

bool resume_is_newer(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec != b->st_mtim.tv_sec ? a->st_mtim.tv_sec > b->st_mtim.tv_sec
                                                  : a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

/* `find` gives the value of a key, NULL if there is none. */
static bool has_entries(const resume_wanted *wanted,
                        const char *(*find)(const void *metadata, const char *key),
                        const void *metadata)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const char *found = find(metadata, wanted->entries[i].key);
        const char *value = wanted->entries[i].value;
        if (!found != !value || (found && strcmp(found, value) != 0))
            return false;
    }
    for (size_t i = 0; i < wanted->count_if_there; i++) {
        const char *found = find(metadata, wanted->entries_if_there[i].key);
        if (found && strcmp(found, wanted->entries_if_there[i].value) != 0)
            return false;
    }
    return true;
}

static const char *find_in_safetensors(const void *file, const char *key)
{
    return psgvit_weights_metadata(file, key);
}

static const char *find_in_json(const void *metadata, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, key));
}

static bool check_safetensors(const char *path, const resume_wanted *wanted, size_t *epochs)
{
    psgvit_weights *file = NULL;
    psgvit_weights_params params = {.struct_size = sizeof params, .flags = PSGVIT_READ};
    if (psgvit_weights_open(&file, path, &params, NULL))
        return false;
    const psgvit_tensor *tensor = psgvit_weights_find(file, wanted->tensor);
    bool same = tensor && tensor->rank > 0 && has_entries(wanted, find_in_safetensors, file);
    if (same)
        *epochs = (size_t)tensor->shape[0];
    psgvit_weights_close(&file);
    return same;
}

/* The object behind `"key": ` in front of which `at` stands; sets `at` behind it. */
static cJSON *take_object(const char **at, const char *key)
{
    size_t length = strlen(key);
    if (strncmp(*at, key, length) != 0)
        return NULL;
    return cJSON_ParseWithOpts(*at + length, at, false);
}

static bool compare(const char *at, const resume_wanted *wanted, size_t *epochs)
{
    cJSON *metadata = take_object(&at, "{\"metadata\": ");
    cJSON *shapes = metadata ? take_object(&at, ", \"shapes\": ") : NULL;
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(shapes, wanted->tensor);
    const cJSON *rows = cJSON_GetArrayItem(shape, 0);
    bool same = cJSON_IsNumber(rows) && rows->valuedouble >= 0 &&
                has_entries(wanted, find_in_json, metadata);
    if (same)
        *epochs = (size_t)rows->valuedouble;
    cJSON_Delete(metadata);
    cJSON_Delete(shapes);
    return same;
}

/* Is `line` that of an epoch, from its number to the comma or the end of the list? */
static bool is_epoch(const char *line, size_t length, size_t epoch, bool last)
{
    const char *end = last ? "}\n" : "},\n";
    char begin[40];
    size_t tail = strlen(end);
    int n = snprintf(begin, sizeof begin, "{\"epoch\": %zu, ", epoch);
    return length > (size_t)n + tail && !memcmp(line, begin, (size_t)n) &&
           !memcmp(line + length - tail, end, tail);
}

/* The first line is the head, then each epoch has one, then the list ends, and the file. */
static bool has_epochs(FILE *file, size_t epochs)
{
    char *line = NULL;
    size_t room = 0;
    rewind(file);
    bool whole = getline(&line, &room, file) > 0;
    for (size_t e = 0; whole && e < epochs; e++) {
        ssize_t length = getline(&line, &room, file);
        whole = length > 0 && is_epoch(line, (size_t)length, e, e + 1 == epochs);
    }
    whole = whole && getline(&line, &room, file) > 0 && !strcmp(line, "]}\n") &&
            getline(&line, &room, file) < 0;
    free(line);
    return whole;
}

static bool check_json(const char *path, const resume_wanted *wanted, size_t *epochs)
{
    FILE *file = fopen(path, "rbe");
    char *head = file ? malloc(HEAD_BYTES + 1) : NULL;
    bool same = false;
    if (head) {
        head[fread(head, 1, HEAD_BYTES, file)] = '\0';
        same = compare(head, wanted, epochs) && has_epochs(file, *epochs);
    }
    free(head);
    if (file)
        fclose(file);
    return same;
}

bool resume_is_complete(const char *output, writer_format format, const char *input,
                        const resume_wanted *wanted, size_t *epochs)
{
    struct stat made, source;
    if (stat(output, &made) != 0 || !S_ISREG(made.st_mode) || stat(input, &source) != 0 ||
        !S_ISREG(source.st_mode) || resume_is_newer(&source, &made))
        return false;
    return format == WRITER_SAFETENSORS ? check_safetensors(output, wanted, epochs)
                                        : check_json(output, wanted, epochs);
}
