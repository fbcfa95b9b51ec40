/* SPDX-License-Identifier: MIT */
/* The tables of variants: what a model of a given size must hold, without data. */
#include "weights/eegpt_fields.h"

#include "base/checked.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

/* Rows whose names are copied. */
typedef struct list {
    pv_table_row *rows;
    size_t count, capacity;
} list;

static psgvit_status grow(list *l, psgvit_error *err)
{
    size_t capacity = l->capacity ? l->capacity * 2 : 64, bytes;
    pv_table_row *rows = NULL;
    if (pv_mul(capacity, sizeof *rows, &bytes))
        rows = realloc(l->rows, bytes);
    if (!rows)
        return pv_fail_memory(err, "the table of a variant", capacity * sizeof *rows);
    l->rows = rows;
    l->capacity = capacity;
    return PSGVIT_OK;
}

static psgvit_status append(void *user, const pv_row *row, psgvit_error *err)
{
    list *l = user;
    if (l->count == l->capacity)
        PV_TRY(grow(l, err));
    size_t bytes = strlen(row->table.name) + 1;
    char *name = malloc(bytes);
    if (!name)
        return pv_fail_memory(err, "the name of a tensor", bytes);
    memcpy(name, row->table.name, bytes);
    l->rows[l->count] = row->table;
    l->rows[l->count++].name = name;
    return PSGVIT_OK;
}

static void free_list(list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free((void *)(uintptr_t)l->rows[i].name);
    free(l->rows);
}

static psgvit_status osf_list(list *l, const char *variant, const char *text, char **json,
                              psgvit_error *err)
{
    pv_osf_config config;
    PV_TRY(pv_osf_variant(&config, variant, text, json, err));
    return pv_osf_rows(&config, append, l, err);
}

static psgvit_status eegpt_list(list *l, const char *text, char **json, psgvit_error *err)
{
    pv_eegpt_config config;
    size_t id_rank = 1;
    psgvit_status status = pv_eegpt_variant(&config, text, &id_rank, json, err);
    if (status == PSGVIT_OK)
        status = pv_eegpt_rows(&config, id_rank, append, l, err);
    pv_eegpt_config_free(&config);
    return status;
}

psgvit_status psgvit_weights_open_variant(psgvit_weights **weights, const char *variant,
                                          const char *config_json, psgvit_error *err)
{
    if (weights)
        *weights = NULL;
    if (!weights || !variant)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL",
                       weights ? "variant" : "weights");
    list l = {0};
    char *json = NULL;
    psgvit_status status;
    if (strncmp(variant, "osf-", 4) == 0)
        status = osf_list(&l, variant + 4, config_json, &json, err);
    else if (strcmp(variant, "eegpt") == 0)
        status = eegpt_list(&l, config_json, &json, err);
    else
        status =
            pv_fail(err, PSGVIT_E_ARGUMENT,
                    "unknown variant '%.60s', expected osf-nano ... osf-xl, or eegpt", variant);
    if (status == PSGVIT_OK)
        status = pv_weights_from_table(weights, l.rows, l.count, json, err);
    free_list(&l);
    cJSON_free(json);
    return status;
}
