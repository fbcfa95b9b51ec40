/* SPDX-License-Identifier: MIT */
/* Lists of tensors against files: what shapes tell, what is missing, misshapen, or too much. */
#include "weights/rows.h"

#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128, EXTRAS_LOGGED = 16 };

/* ---- rows ------------------------------------------------------------------------------------ */

void pv_row_add(pv_row_list *rows, const uint64_t shape[4], const char *format, ...)
{
    if (rows->status != PSGVIT_OK)
        return;
    char name[NAME_MAX_BYTES];
    size_t used = (size_t)snprintf(name, sizeof name, "%s", rows->prefix);
    va_list args;
    va_start(args, format);
    vsnprintf(name + used, sizeof name - used, format, args);
    va_end(args);
    pv_row row = {.table = {.name = name, .dtype = rows->dtype}, .used = !rows->unused};
    for (; row.table.rank < 4 && shape[row.table.rank]; row.table.rank++)
        row.table.shape[row.table.rank] = shape[row.table.rank];
    rows->status = rows->fn(rows->user, &row, rows->err);
}

const char *pv_shape_text(char *text, const uint64_t *shape, size_t rank)
{
    size_t used = (size_t)snprintf(text, PV_SHAPE_TEXT, "[");
    for (size_t i = 0; i < rank; i++) {
        if (i == 8) {
            used += (size_t)snprintf(text + used, PV_SHAPE_TEXT - used, ", ...");
            break;
        }
        used += (size_t)snprintf(text + used, PV_SHAPE_TEXT - used, "%s%llu", i ? ", " : "",
                                 (unsigned long long)shape[i]);
    }
    snprintf(text + used, PV_SHAPE_TEXT - used, "]");
    return text;
}

/* ---- what shapes tell ------------------------------------------------------------------------ */

static psgvit_status missing(const psgvit_weights *weights, const char *name, const char *expected,
                             psgvit_error *err)
{
    return pv_fail(err, PSGVIT_E_MODEL, "%s: tensor '%s' is missing, expected with shape %s",
                   pv_weights_name(weights), name, expected);
}

psgvit_status pv_tensor_wrong_shape(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                    const char *expected, psgvit_error *err)
{
    char found[PV_SHAPE_TEXT];
    return pv_fail(err, PSGVIT_E_MODEL, "%s: tensor '%s' has shape %s, expected %s",
                   pv_weights_name(weights), tensor->name,
                   pv_shape_text(found, tensor->shape, tensor->rank), expected);
}

static bool plausible(uint64_t size)
{
    return size >= 1 && size <= PV_SIZE_MAX;
}

psgvit_status pv_tensor_need(const psgvit_weights *weights, const char *name, size_t rank,
                             const char *expected, const psgvit_tensor **tensor, psgvit_error *err)
{
    *tensor = psgvit_weights_find(weights, name);
    if (!*tensor)
        return missing(weights, name, expected, err);
    bool right = (*tensor)->rank == rank;
    for (size_t i = 0; right && i < rank; i++)
        right = plausible((*tensor)->shape[i]);
    return right ? PSGVIT_OK : pv_tensor_wrong_shape(weights, *tensor, expected, err);
}

void pv_vote_add(pv_vote *vote, const psgvit_weights *weights, size_t rank, size_t dim,
                 uint64_t unit, const char *name)
{
    const psgvit_tensor *t = psgvit_weights_find(weights, name);
    if (!t || t->rank != rank || t->shape[dim] % unit || !plausible(t->shape[dim]))
        return;
    if (vote->count < sizeof vote->values / sizeof vote->values[0])
        vote->values[vote->count++] = t->shape[dim] / unit;
}

psgvit_status pv_vote_result(const pv_vote *vote, const psgvit_weights *weights, const char *name,
                             const char *expected, size_t *value, psgvit_error *err)
{
    size_t most = 0;
    for (size_t i = 0; i < vote->count; i++) {
        size_t votes = 0;
        for (size_t k = 0; k < vote->count; k++)
            votes += vote->values[k] == vote->values[i];
        if (votes > most)
            *value = (size_t)vote->values[i];
        most = votes > most ? votes : most;
    }
    if (most)
        return PSGVIT_OK;
    const psgvit_tensor *t = psgvit_weights_find(weights, name);
    return t ? pv_tensor_wrong_shape(weights, t, expected, err)
             : missing(weights, name, expected, err);
}

/* The index in "<stem><index>.": digits without a leading zero. Indices from PV_DEPTH_MAX on are
 * all PV_DEPTH_MAX. False: the name is of another form. */
static bool block_index(const char *name, const char *stem, size_t *index)
{
    size_t length = strlen(stem);
    if (strncmp(name, stem, length) != 0)
        return false;
    const char *first = name + length, *at = first;
    size_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value < PV_DEPTH_MAX ? value * 10 + (size_t)(*at - '0') : PV_DEPTH_MAX;
    *index = value < PV_DEPTH_MAX ? value : PV_DEPTH_MAX;
    return at > first && *at == '.' && (*first != '0' || at == first + 1);
}

psgvit_status pv_count_blocks(const psgvit_weights *weights, const char *stem, size_t *depth,
                              psgvit_error *err)
{
    bool seen[PV_DEPTH_MAX + 1] = {false};
    const char *last_name = NULL;
    size_t last = 0, index = 0;
    for (size_t i = 0; i < psgvit_weights_count(weights); i++) {
        const char *name = psgvit_weights_at(weights, i)->name;
        if (!block_index(name, stem, &index))
            continue;
        seen[index] = true;
        if (!last_name || index > last) {
            last = index;
            last_name = name;
        }
    }
    *depth = 0;
    while (*depth < PV_DEPTH_MAX && seen[*depth])
        ++*depth;
    if (!last_name || last < *depth)
        return PSGVIT_OK;
    if (*depth == PV_DEPTH_MAX)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: tensor '%.120s' is one of more than %d blocks",
                       pv_weights_name(weights), last_name, PV_DEPTH_MAX);
    return pv_fail(err, PSGVIT_E_MODEL, "%s: tensor '%.120s' is there, but none of '%s%zu.'",
                   pv_weights_name(weights), last_name, stem, *depth);
}

/* ---- a list against a file ------------------------------------------------------------------- */

psgvit_status pv_check_begin(pv_check *check, const psgvit_weights *weights, psgvit_error *err)
{
    *check = (pv_check){.weights = weights, .capacity = psgvit_weights_count(weights)};
    size_t bytes = check->capacity * sizeof(const psgvit_tensor *);
    check->found = malloc(bytes ? bytes : 1);
    return check->found ? PSGVIT_OK : pv_fail_memory(err, "the list of tensors", bytes);
}

static psgvit_status check_dtype(const psgvit_weights *weights, const psgvit_tensor *t,
                                 psgvit_dtype expected, psgvit_error *err)
{
    if (expected == PSGVIT_DTYPE_F32 ? pv_is_float(t->dtype) : t->dtype == expected)
        return PSGVIT_OK;
    return pv_fail(err, PSGVIT_E_MODEL, "%s: tensor '%s' has dtype %s, expected %s",
                   pv_weights_name(weights), t->name, psgvit_dtype_name(t->dtype),
                   expected == PSGVIT_DTYPE_F32 ? "F32, F16, BF16 or F64"
                                                : psgvit_dtype_name(expected));
}

psgvit_status pv_check_row(void *user, const pv_row *row, psgvit_error *err)
{
    pv_check *check = user;
    const pv_table_row *want = &row->table;
    const psgvit_tensor *t = psgvit_weights_find(check->weights, want->name);
    char expected[PV_SHAPE_TEXT];
    pv_shape_text(expected, want->shape, want->rank);
    if (!t)
        return row->used ? missing(check->weights, want->name, expected, err) : PSGVIT_OK;
    if (t->rank != want->rank || memcmp(t->shape, want->shape, t->rank * sizeof *t->shape) != 0)
        return pv_tensor_wrong_shape(check->weights, t, expected, err);
    PV_TRY(check_dtype(check->weights, t, want->dtype, err));
    if (check->count < check->capacity)
        check->found[check->count++] = t;
    return PSGVIT_OK;
}

static int compare_pointers(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const psgvit_tensor *const *)a;
    uintptr_t y = (uintptr_t) * (const psgvit_tensor *const *)b;
    return (x > y) - (x < y);
}

/* A companion of a checkpoint that no model here computes with. An entry of `known` that ends in a
 * dot stands for all names that begin with it. */
static bool is_known(const char *name, const char *prefix, const char *const *known)
{
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) == 0)
        name += length;
    for (; *known; known++) {
        size_t n = strlen(*known);
        if (strncmp(name, *known, n) == 0 && ((*known)[n - 1] == '.' || name[n] == '\0'))
            return true;
    }
    return false;
}

void pv_check_end(pv_check *check, const char *prefix, const char *const *known, const pv_log *log)
{
    size_t extras = 0;
    if (log && check->found && check->count < psgvit_weights_count(check->weights)) {
        qsort(check->found, check->count, sizeof *check->found, compare_pointers);
        for (size_t i = 0; i < psgvit_weights_count(check->weights); i++) {
            const psgvit_tensor *t = psgvit_weights_at(check->weights, i);
            if (bsearch(&t, check->found, check->count, sizeof t, compare_pointers) ||
                is_known(t->name, prefix, known))
                continue;
            if (extras++ < EXTRAS_LOGGED)
                pv_log_line(log, PSGVIT_LOG_WARNING, "%s: tensor '%.200s' is not used",
                            pv_weights_name(check->weights), t->name);
        }
    }
    if (extras > EXTRAS_LOGGED)
        pv_log_line(log, PSGVIT_LOG_WARNING, "%s: %zu more tensors are not used",
                    pv_weights_name(check->weights), extras - EXTRAS_LOGGED);
    free(check->found);
    *check = (pv_check){0};
}

/* ---- the config against a file --------------------------------------------------------------- */

psgvit_status pv_contradiction(const pv_json *json, const char *key, size_t said, size_t value,
                               const psgvit_weights *weights, const char *tensor, psgvit_error *err)
{
    const psgvit_tensor *t = psgvit_weights_find(weights, tensor);
    char shape[PV_SHAPE_TEXT];
    if (!t)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: config says %s = %zu, but tensor '%s' is missing, and others say %zu",
                       json->file, key, said, tensor, value);
    return pv_fail(err, PSGVIT_E_MODEL,
                   "%s: config says %s = %zu, but tensor '%s' of shape %s says %zu", json->file,
                   key, said, tensor, pv_shape_text(shape, t->shape, t->rank), value);
}

psgvit_status pv_confirm(const pv_json *json, const char *key, size_t value,
                         const psgvit_weights *weights, const char *tensor, psgvit_error *err)
{
    size_t said = value;
    PV_TRY(pv_json_size(json, key, 0, &said, err));
    return said == value ? PSGVIT_OK
                         : pv_contradiction(json, key, said, value, weights, tensor, err);
}

psgvit_status pv_confirm_kind(const pv_json *json, const char *kind, psgvit_error *err)
{
    const bool osf = strcmp(kind, "osf") == 0;
    const cJSON *said = pv_json_find(json, "model");
    const char *name = cJSON_GetStringValue(said);
    return name && strcmp(name, osf ? "eegpt" : "osf") == 0
               ? pv_json_wrong(json, "model", said, osf ? "\"osf\"" : "\"eegpt\"", err)
               : PSGVIT_OK;
}

psgvit_status pv_config_open(pv_json *json, const psgvit_weights *weights, const char *kind,
                             const char *text, psgvit_error *err)
{
    PV_TRY(pv_json_open(json, pv_weights_name(weights),
                        text ? text : psgvit_weights_metadata(weights, "config"), err));
    return pv_confirm_kind(json, kind, err);
}
