/* SPDX-License-Identifier: MIT */
/* A strict reading of configs: a scan of every byte, then cJSON, then getters that check types. */
#define _POSIX_C_SOURCE 200809L /* uselocale */

#include "weights/json.h"

#include "base/status.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the scan: RFC 8259, but no \u0000 and no lone surrogate --------------------------------- */

typedef struct scan {
    const char *at;
    const char *end;
    const char *why; /* what is wrong at `at`; NULL: nothing */
} scan;

static bool wrong(scan *s, const char *why)
{
    s->why = why;
    return false;
}

static bool take(scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static void skip_blanks(scan *s)
{
    while (take(s, ' ') || take(s, '\t') || take(s, '\n') || take(s, '\r'))
        ;
}

/* One or more digits. */
static bool scan_digits(scan *s)
{
    const char *first = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > first || wrong(s, "expected a digit");
}

static bool scan_number(scan *s)
{
    const char *first = s->at;
    take(s, '-');
    if (!take(s, '0') && !scan_digits(s))
        return false;
    if (take(s, '.') && !scan_digits(s))
        return false;
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            take(s, '-');
        if (!scan_digits(s))
            return false;
    }
    return s->at - first < 64 ||
           wrong(s, "a number has more than 63 characters"); /* cJSON's room */
}

/* The four digits of \uXXXX; -1 if they are none. */
static int scan_hex(scan *s)
{
    int value = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        if (s->at == s->end || !*s->at || !strchr("0123456789abcdefABCDEF", *s->at))
            return -1;
        char c = *s->at;
        value = value * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value;
}

static bool scan_escape(scan *s)
{
    if (s->at == s->end || !*s->at || !strchr("\"\\/bfnrtu", *s->at))
        return wrong(s, "unknown escape");
    if (*s->at++ != 'u')
        return true;
    int unit = scan_hex(s);
    if (unit <= 0)
        return wrong(s, unit ? "expected four hexadecimal digits" : "\\u0000 in a string");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return wrong(s, "lone surrogate");
    if (unit < 0xD800 || unit > 0xDBFF)
        return true;
    if (!take(s, '\\') || !take(s, 'u'))
        return wrong(s, "lone surrogate");
    unit = scan_hex(s);
    return (unit >= 0xDC00 && unit <= 0xDFFF) || wrong(s, "lone surrogate");
}

static bool scan_string(scan *s)
{
    if (!take(s, '"'))
        return wrong(s, "expected a string");
    while (s->at < s->end && *s->at != '"') {
        if ((unsigned char)*s->at < 0x20)
            return wrong(s, "control character in a string");
        if (*s->at++ == '\\' && !scan_escape(s))
            return false;
    }
    return take(s, '"') || wrong(s, "string without an end");
}

static bool scan_word(scan *s, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
        return wrong(s, "expected a value");
    s->at += length;
    return true;
}

static bool scan_value(scan *s, int depth);

/* What stands between the brackets `close` ends: values, or keys with values. */
static bool scan_items(scan *s, char close, int depth)
{
    if (depth == PV_JSON_DEPTH)
        return wrong(s, "nested too deeply");
    s->at++;
    skip_blanks(s);
    if (take(s, close))
        return true;
    do {
        skip_blanks(s);
        if (close == '}') {
            if (!scan_string(s))
                return false;
            skip_blanks(s);
            if (!take(s, ':'))
                return wrong(s, "expected ':'");
        }
        if (!scan_value(s, depth + 1))
            return false;
        skip_blanks(s);
    } while (take(s, ','));
    return take(s, close) || wrong(s, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
}

static bool scan_value(scan *s, int depth)
{
    skip_blanks(s);
    switch (s->at < s->end ? *s->at : '\0') {
    case '{': return scan_items(s, '}', depth);
    case '[': return scan_items(s, ']', depth);
    case '"': return scan_string(s);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return scan_number(s);
    default: return wrong(s, "expected a value");
    }
}

/* ---- cJSON behind it ------------------------------------------------------------------------- */

/* cJSON reads and prints numbers with the decimal point of the locale. Only this thread's locale is
 * changed, and only in between. */
typedef struct c_locale {
    locale_t own, callers;
} c_locale;

static bool enter_c_locale(c_locale *l)
{
    l->own = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (l->own)
        l->callers = uselocale(l->own);
    return l->own != (locale_t)0;
}

static void leave_c_locale(c_locale *l)
{
    uselocale(l->callers);
    freelocale(l->own);
}

char *pv_json_print(const cJSON *root)
{
    c_locale l;
    if (!enter_c_locale(&l))
        return NULL;
    char *text = cJSON_PrintUnformatted(root);
    leave_c_locale(&l);
    return text;
}

/* A tree of text that passed the scan, so NULL means that memory ran out. */
static cJSON *parse(const char *text, size_t size)
{
    c_locale l;
    if (!enter_c_locale(&l))
        return NULL;
    cJSON *root = cJSON_ParseWithLength(text, size);
    leave_c_locale(&l);
    return root;
}

/* Up to 60 characters of foreign text that are fit for a message. */
static const char *clean(char out[64], const char *text)
{
    size_t n = 0;
    for (; text[n] && n < 60; n++)
        out[n] = text[n] >= 0x20 && text[n] < 0x7F ? text[n] : '?';
    if (text[n])
        out[n - 1] = out[n - 2] = out[n - 3] = '.';
    out[n] = '\0';
    return out;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No key twice in `object`, whose keys are counted together with those of `more` (NULL: none). */
static psgvit_status check_keys(const pv_json *json, const cJSON *object, const cJSON *more,
                                psgvit_error *err)
{
    size_t count = 0;
    const cJSON *item;
    for (int part = 0; part < 2; part++)
        cJSON_ArrayForEach(item, (part ? more : object)) count++;
    if (count < 2)
        return PSGVIT_OK;
    const char **keys = malloc(count * sizeof *keys);
    if (!keys)
        return pv_fail_memory(err, "the keys of a config", count * sizeof *keys);
    count = 0;
    for (int part = 0; part < 2; part++)
        cJSON_ArrayForEach(item, (part ? more : object)) keys[count++] = item->string;
    qsort(keys, count, sizeof *keys, compare_keys);
    psgvit_status status = PSGVIT_OK;
    char key[64];
    for (size_t i = 1; i < count && status == PSGVIT_OK; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            status = pv_fail(err, PSGVIT_E_MODEL, "%s: config has the key '%s' twice", json->file,
                             clean(key, keys[i]));
    free(keys);
    return status;
}

/* The same for every object below `tree`; the scan has bounded the depth. */
static psgvit_status check_tree(const pv_json *json, const cJSON *tree, const cJSON *kwargs,
                                psgvit_error *err)
{
    if (cJSON_IsObject(tree))
        PV_TRY(check_keys(json, tree, kwargs, err));
    const cJSON *item;
    cJSON_ArrayForEach(item, tree)
    {
        if (item->child)
            PV_TRY(check_tree(json, item, NULL, err));
    }
    return PSGVIT_OK;
}

psgvit_status pv_json_open(pv_json *json, const char *file, const char *text, psgvit_error *err)
{
    *json = (pv_json){.file = file};
    if (!text)
        return PSGVIT_OK;
    size_t size = strnlen(text, PV_JSON_MAX + 1);
    if (size > PV_JSON_MAX)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config has more than %d bytes", file, PV_JSON_MAX);
    scan s = {.at = text, .end = text + size};
    if (scan_value(&s, 0)) {
        skip_blanks(&s);
        if (s.at != s.end)
            wrong(&s, "text behind its end");
    }
    if (s.why)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config is not JSON: %s at byte %zu", file, s.why,
                       (size_t)(s.at - text));
    json->root = parse(text, size);
    if (!json->root)
        return pv_fail_memory(err, "the tree of a config", size);
    if (!cJSON_IsObject(json->root))
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config is JSON, but no object: expected { ... }",
                       file);
    const cJSON *kwargs = cJSON_GetObjectItemCaseSensitive(json->root, "kwargs");
    if (kwargs && !cJSON_IsObject(kwargs) && !cJSON_IsNull(kwargs))
        return pv_json_wrong(json, "kwargs", kwargs, "an object", err);
    return check_tree(json, json->root, kwargs, err);
}

void pv_json_close(pv_json *json)
{
    cJSON_Delete(json->root);
    json->root = NULL;
}

/* ---- getters --------------------------------------------------------------------------------- */

static const cJSON *find_any(const pv_json *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json->root, key);
    if (item || !json->root)
        return item;
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json->root, "kwargs"),
                                            key);
}

const cJSON *pv_json_find(const pv_json *json, const char *key)
{
    const cJSON *item = find_any(json, key);
    return cJSON_IsNull(item) ? NULL : item;
}

bool pv_json_is_null(const pv_json *json, const char *key)
{
    return cJSON_IsNull(find_any(json, key));
}

psgvit_status pv_json_wrong(const pv_json *json, const char *key, const cJSON *found,
                            const char *expected, psgvit_error *err)
{
    char text[64], value[72] = "null";
    if (cJSON_IsString(found))
        snprintf(value, sizeof value, "\"%s\"", clean(text, found->valuestring));
    else if (cJSON_IsNumber(found))
        snprintf(value, sizeof value, "%.17g", found->valuedouble);
    else if (!cJSON_IsNull(found))
        strcpy(value, cJSON_IsArray(found)    ? "an array"
                      : cJSON_IsObject(found) ? "an object"
                      : cJSON_IsTrue(found)   ? "true"
                                              : "false");
    return pv_fail(err, PSGVIT_E_MODEL, "%s: config key '%s' is %s, expected %s", json->file, key,
                   value, expected);
}

psgvit_status pv_json_size(const pv_json *json, const char *key, size_t min, size_t *value,
                           psgvit_error *err)
{
    const cJSON *item = pv_json_find(json, key);
    if (!item)
        return PSGVIT_OK;
    double v = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(v >= (double)min && v <= (double)PV_SIZE_MAX) || v != floor(v)) {
        char expected[64];
        snprintf(expected, sizeof expected, "a whole number from %zu to %u", min, PV_SIZE_MAX);
        return pv_json_wrong(json, key, item, expected, err);
    }
    *value = (size_t)v;
    return PSGVIT_OK;
}

psgvit_status pv_json_positive(const pv_json *json, const char *key, double *value,
                               psgvit_error *err)
{
    const cJSON *item = pv_json_find(json, key);
    if (!item)
        return PSGVIT_OK;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= FLT_MIN && item->valuedouble <= FLT_MAX))
        return pv_json_wrong(json, key, item, "a number above 0 that float32 can hold", err);
    *value = item->valuedouble;
    return PSGVIT_OK;
}

psgvit_status pv_json_bool(const pv_json *json, const char *key, bool *value, psgvit_error *err)
{
    const cJSON *item = pv_json_find(json, key);
    if (!item)
        return PSGVIT_OK;
    if (!cJSON_IsBool(item))
        return pv_json_wrong(json, key, item, "true or false", err);
    *value = cJSON_IsTrue(item);
    return PSGVIT_OK;
}

psgvit_status pv_json_string(const pv_json *json, const char *key, const char **value,
                             psgvit_error *err)
{
    const cJSON *item = pv_json_find(json, key);
    if (!item)
        return PSGVIT_OK;
    if (!cJSON_IsString(item))
        return pv_json_wrong(json, key, item, "a string", err);
    *value = item->valuestring;
    return PSGVIT_OK;
}

psgvit_status pv_json_array(const pv_json *json, const char *key, const cJSON **value,
                            psgvit_error *err)
{
    *value = pv_json_find(json, key);
    if (*value && !cJSON_IsArray(*value))
        return pv_json_wrong(json, key, *value, "an array", err);
    return PSGVIT_OK;
}
