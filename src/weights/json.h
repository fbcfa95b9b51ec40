/* SPDX-License-Identifier: MIT */
/*
 * The text of a config, read strictly: at most 1 MiB of JSON, an object, no key twice, nothing
 * behind it. cJSON makes the tree; what it lets pass (blanks of every kind, numbers such as 01,
 * \u0000, keys in another case, the locale's decimal point) is refused or kept out here. A key
 * whose value is null counts as absent. The keys of an object `kwargs` count as keys of the config
 * itself.
 */
#ifndef PV_WEIGHTS_JSON_H
#define PV_WEIGHTS_JSON_H

#include <psgvit/psgvit.h>

#include <cjson/cJSON.h>
#include <stdbool.h>

enum {
    PV_JSON_MAX = 1 << 20, /* bytes of text */
    PV_JSON_DEPTH = 64,    /* of nesting */
};

/* Largest size that a config or a tensor of a model may name: products of two fit a uint64_t. */
#define PV_SIZE_MAX 2147483647u

typedef struct pv_json {
    cJSON *root;      /* an object; NULL: there is no config, every key is absent */
    const char *file; /* what errors call it: the model's file; belongs to the caller */
} pv_json;

/* `text` NULL: no config. Free with pv_json_close, also after a failure. */
psgvit_status pv_json_open(pv_json *json, const char *file, const char *text, psgvit_error *err);
void pv_json_close(pv_json *json);

/* The value of a key, NULL if it is absent or null. */
const cJSON *pv_json_find(const pv_json *json, const char *key);
/* True if the key is there and null. */
bool pv_json_is_null(const pv_json *json, const char *key);

/* Each leaves *value alone if the key is absent, and fails with PSGVIT_E_MODEL, which names key,
 * expected and found, if its value is of another kind. */
/* A whole number from `min` to PV_SIZE_MAX. */
psgvit_status pv_json_size(const pv_json *json, const char *key, size_t min, size_t *value,
                           psgvit_error *err);
/* A finite number above 0. */
psgvit_status pv_json_positive(const pv_json *json, const char *key, double *value,
                               psgvit_error *err);
psgvit_status pv_json_bool(const pv_json *json, const char *key, bool *value, psgvit_error *err);
/* The string belongs to the config. */
psgvit_status pv_json_string(const pv_json *json, const char *key, const char **value,
                             psgvit_error *err);
/* An array, NULL if absent. */
psgvit_status pv_json_array(const pv_json *json, const char *key, const cJSON **value,
                            psgvit_error *err);

/* "config key 'width' is "768", expected a whole number from 1". */
psgvit_status pv_json_wrong(const pv_json *json, const char *key, const cJSON *found,
                            const char *expected, psgvit_error *err);

/* The tree as text without blanks, whatever the locale; free with cJSON_free. NULL: no memory. */
char *pv_json_print(const cJSON *root);

#endif
