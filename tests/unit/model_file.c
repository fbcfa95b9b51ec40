/* SPDX-License-Identifier: MIT */
/* Builds safetensors files in memory from lists of tensors. */
#include "unit/model_file.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *copy(const char *text)
{
    char *to = malloc(strlen(text) + 1);
    assert_non_null(to);
    return strcpy(to, text);
}

static void take_ids(model_file *m)
{
    cJSON *config = cJSON_Parse(m->config);
    const cJSON *id, *ids = cJSON_GetObjectItemCaseSensitive(config, "chans_id");
    size_t count = 0;
    for (size_t i = 0; i < 128; i++)
        m->ids[i] = (int64_t)i;
    cJSON_ArrayForEach(id, ids)
    {
        assert_true(count < 128);
        m->ids[count++] = (int64_t)id->valuedouble;
    }
    cJSON_Delete(config);
}

model_file model_of(const char *variant, const char *config)
{
    psgvit_error err;
    psgvit_weights *table = NULL;
    if (psgvit_weights_open_variant(&table, variant, config, &err))
        fail_msg("%s", err.message);
    model_file m = {.count = psgvit_weights_count(table)};
    m.tensors = calloc(m.count, sizeof *m.tensors);
    assert_non_null(m.tensors);
    for (size_t i = 0; i < m.count; i++) {
        const psgvit_tensor *t = psgvit_weights_at(table, i);
        assert_true(strlen(t->name) < sizeof m.tensors[i].name && t->rank <= 4);
        strcpy(m.tensors[i].name, t->name);
        m.tensors[i].dtype = t->dtype;
        m.tensors[i].rank = t->rank;
        memcpy(m.tensors[i].shape, t->shape, t->rank * sizeof *t->shape);
    }
    m.config = copy(psgvit_weights_metadata(table, "config"));
    take_ids(&m);
    psgvit_weights_close(&table);
    return m;
}

model_tensor *model_find(model_file *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->tensors[i].name, name) == 0)
            return &m->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

model_tensor *model_add(model_file *m, const char *name)
{
    m->tensors = realloc(m->tensors, (m->count + 1) * sizeof *m->tensors);
    assert_non_null(m->tensors);
    model_tensor *t = &m->tensors[m->count++];
    *t = (model_tensor){.dtype = PSGVIT_DTYPE_F32, .rank = 1, .shape = {2}};
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

static size_t bytes_of(const model_tensor *t)
{
    size_t bytes = psgvit_dtype_bits(t->dtype) / 8;
    for (size_t i = 0; i < t->rank; i++)
        bytes *= (size_t)t->shape[i];
    return bytes;
}

static void add_entry(cJSON *header, const model_tensor *t, size_t *end)
{
    cJSON *entry = cJSON_AddObjectToObject(header, t->name);
    cJSON_AddStringToObject(entry, "dtype", psgvit_dtype_name(t->dtype));
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    for (size_t i = 0; i < t->rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[i]));
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*end));
    *end += bytes_of(t);
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*end));
}

static void close_file(model_file *m)
{
    psgvit_weights_close(&m->weights);
    free(m->image);
    m->image = NULL;
}

const psgvit_weights *model_open(model_file *m)
{
    close_file(m);
    size_t data = 0;
    cJSON *header = cJSON_CreateObject();
    if (m->config)
        cJSON_AddStringToObject(cJSON_AddObjectToObject(header, "__metadata__"), "config",
                                m->config);
    for (size_t i = 0; i < m->count; i++)
        if (!m->tensors[i].left_out)
            add_entry(header, &m->tensors[i], &data);
    char *text = cJSON_PrintUnformatted(header);
    size_t length = strlen(text);
    m->size = 8 + length + data;
    m->image = calloc(m->size, 1);
    assert_non_null(m->image);
    for (size_t i = 0; i < 8; i++)
        m->image[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(m->image + 8, text, length);
    cJSON_free(text);
    cJSON_Delete(header);
    psgvit_error err;
    if (psgvit_weights_open_memory(&m->weights, m->image, m->size, NULL, &err))
        fail_msg("%s", err.message);
    const psgvit_tensor *ids = psgvit_weights_find(m->weights, "chans_id");
    if (!ids)
        ids = psgvit_weights_find(m->weights, "model.chans_id");
    if (ids && ids->dtype == PSGVIT_DTYPE_I64 && ids->bytes <= sizeof m->ids)
        memcpy(m->image + 8 + length + ids->offset, m->ids, (size_t)ids->bytes);
    return m->weights;
}

unsigned char *model_data(model_file *m, const char *name)
{
    const psgvit_tensor *t = psgvit_weights_find(m->weights, name);
    assert_non_null(t);
    size_t length = 0;
    for (size_t i = 8; i-- > 0;)
        length = length << 8 | m->image[i];
    return m->image + 8 + length + t->offset;
}

void model_free(model_file *m)
{
    close_file(m);
    free(m->tensors);
    free(m->config);
    *m = (model_file){0};
}

static void remember(void *user, psgvit_log_level level, const char *line)
{
    model_log *log = user;
    log->warnings += level == PSGVIT_LOG_WARNING;
    log->infos += level == PSGVIT_LOG_INFO;
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof log->text - used, "%s\n", line);
}

pv_log model_log_to(model_log *log)
{
    *log = (model_log){0};
    return (pv_log){.fn = remember, .user = log};
}

void model_expect_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected '%s' in: %s", part, text);
}
