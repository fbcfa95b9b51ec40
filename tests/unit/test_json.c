/* SPDX-License-Identifier: MIT */
/* The strict reading of configs: what is no JSON, what is JSON but ambiguous, files, and locales.
 */
#define _POSIX_C_SOURCE 200809L /* setenv, mkdtemp, mkfifo, uselocale */

#include "unit/model_file.h"
#include "weights/config.h"
#include "weights/json.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The sentence of a failure that must come, until the next call. */
static const char *refuse(const char *text)
{
    static psgvit_error err;
    pv_json json;
    memset(&err, 0, sizeof err);
    psgvit_status status = pv_json_open(&json, "a.json", text, &err);
    pv_json_close(&json);
    if (status != PSGVIT_E_MODEL)
        fail_msg("status %d of %.80s", (int)status, text);
    return err.message;
}

static pv_json accept(const char *text)
{
    psgvit_error err;
    pv_json json;
    if (pv_json_open(&json, "a.json", text, &err))
        fail_msg("%s", err.message);
    return json;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "expected a value at byte 0"},
        {"  ", "expected a value at byte 2"},
        {"{", "expected a string at byte 1"},
        {"{\"a\"", "expected ':' at byte 4"},
        {"{\"a\":", "expected a value at byte 5"},
        {"{\"a\":1", "expected ',' or '}' at byte 6"},
        {"{\"a\":1,}", "expected a string at byte 7"},
        {"{a:1}", "expected a string at byte 1"},
        {"{'a':1}", "expected a string at byte 1"},
        {"{\"a\":1}x", "text behind its end at byte 7"},
        {"{}{}", "text behind its end at byte 2"},
        {"\xEF\xBB\xBF{}", "expected a value at byte 0"},
        {"{\"a\":\v1}", "expected a value at byte 5"},
        {"{\"a\":01}", "expected ',' or '}' at byte 6"},
        {"{\"a\":+1}", "expected a value at byte 5"},
        {"{\"a\":-}", "expected a digit at byte 6"},
        {"{\"a\":1.}", "expected a digit at byte 7"},
        {"{\"a\":.5}", "expected a value at byte 5"},
        {"{\"a\":1e}", "expected a digit at byte 7"},
        {"{\"a\":1,5}", "expected a string at byte 7"},
        {"{\"a\":0x10}", "expected ',' or '}' at byte 6"},
        {"{\"a\":NaN}", "expected a value at byte 5"},
        {"{\"a\":Infinity}", "expected a value at byte 5"},
        {"{\"a\":-Infinity}", "expected a digit at byte 6"},
        {"{\"a\":tru}", "expected a value at byte 5"},
        {"{\"a\":True}", "expected a value at byte 5"},
        {"{\"a\":nul", "expected a value at byte 5"},
        {"{\"a\":[1,]}", "expected a value at byte 8"},
        {"{\"a\":[1 2]}", "expected ',' or ']' at byte 8"},
        {"{\"a\":[1", "expected ',' or ']' at byte 7"},
        {"{\"a\":\"x", "string without an end at byte 7"},
        {"{\"a\":\"\n\"}", "control character in a string at byte 6"},
        {"{\"a\":\"\\x\"}", "unknown escape at byte 7"},
        {"{\"a\":\"\\", "unknown escape at byte 7"},
        {"{\"a\\u0000\":1}", "\\u0000 in a string"},
        {"{\"a\":\"\\u12g4\"}", "expected four hexadecimal digits"},
        {"{\"a\":\"\\ud800\"}", "lone surrogate"},
        {"{\"a\":\"\\ud800\\n\"}", "lone surrogate"},
        {"{\"a\":\"\\ud800\\u0041\"}", "lone surrogate"},
        {"{\"a\":\"\\udc00\"}", "lone surrogate"},
        {"{\"a\":1 // one\n}", "expected ',' or '}' at byte 7"},
        {"{\"a\":1000000000000000000000000000000000000000000000000000000000000000}",
         "63 characters"},
        {"[]", "no object"},
        {"1", "no object"},
        {"null", "no object"},
        {"\"{}\"", "no object"},
        {"{\"kwargs\":[]}", "config key 'kwargs' is an array, expected an object"},
        {"{\"kwargs\":3}", "config key 'kwargs' is 3, expected an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *message = refuse(cases[i].text);
        model_expect_text(message, "a.json: config ");
        model_expect_text(message, cases[i].why);
    }
}

static void test_accepted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ } \n",
        "{\"a\":-0.5e+10,\"b\":[0,1E-3,{}],\"c\":{\"d\":null,\"e\":[]},\"f\":true,\"g\":false}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\xC3\xA9\xFF\"}",
        "{\"\":1,\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}],\"A\":3}",
        "{\"kwargs\":null}",
        "{\"kwargs\":{\"x\":1}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pv_json json = accept(texts[i]);
        pv_json_close(&json);
    }
    pv_json none = accept(NULL);
    size_t value = 7;
    assert_int_equal(pv_json_size(&none, "a", 1, &value, NULL), PSGVIT_OK);
    assert_int_equal(value, 7);
    assert_false(pv_json_is_null(&none, "a"));
    pv_json_close(&none);
}

static void test_duplicates(void **state)
{
    (void)state;
    model_expect_text(refuse("{\"a\":1,\"b\":2,\"a\":1}"), "config has the key 'a' twice");
    model_expect_text(refuse("{\"a\":1,\"\\u0061\":1}"), "the key 'a' twice");
    model_expect_text(refuse("{\"x\":[[{\"deep\":1,\"deep\":2}]]}"), "the key 'deep' twice");
    model_expect_text(refuse("{\"depth\":1,\"kwargs\":{\"depth\":1}}"), "the key 'depth' twice");
    model_expect_text(refuse("{\"\xC3\xA9\":1,\"\xC3\xA9\":1}"), "the key '?"
                                                                 "?' twice");
}

/* 1 MiB of text is the most, 64 levels the deepest; 100,000 keys are no burden. */
static void test_limits(void **state)
{
    (void)state;
    char *text = malloc(PV_JSON_MAX + 2);
    assert_non_null(text);
    memset(text, ' ', PV_JSON_MAX + 1);
    text[PV_JSON_MAX + 1] = '\0';
    memcpy(text, "{}", 2);
    model_expect_text(refuse(text), "config has more than 1048576 bytes");
    text[PV_JSON_MAX] = '\0';
    pv_json json = accept(text);
    pv_json_close(&json);
    strcpy(text, "{\"a\":");
    memset(text + 5, '[', PV_JSON_DEPTH - 1);
    memset(text + 5 + PV_JSON_DEPTH - 1, ']', PV_JSON_DEPTH - 1);
    strcpy(text + 5 + 2 * (PV_JSON_DEPTH - 1), "}");
    json = accept(text);
    pv_json_close(&json);
    memset(text + 5, '[', PV_JSON_MAX - 5);
    model_expect_text(refuse(text), "nested too deeply at byte 68");
    size_t used = 1;
    for (int i = 0; i < 80000; i++)
        used += (size_t)sprintf(text + used, "\"k%d\":%d,", i, i % 10);
    strcpy(text + used - 1, "}");
    json = accept(text);
    size_t value = 0;
    assert_int_equal(pv_json_size(&json, "k79999", 1, &value, NULL), PSGVIT_OK);
    assert_int_equal(value, 9);
    pv_json_close(&json);
    free(text);
}

static void test_getters(void **state)
{
    (void)state;
    pv_json json = accept("{\"n\":12,\"N\":13,\"half\":0.5,\"big\":2147483647,\"over\":2147483648,"
                          "\"s\":\"text\",\"yes\":true,\"none\":null,\"huge\":1e999,\"list\":[1],"
                          "\"kwargs\":{\"inner\":3,\"gone\":null},\"inf\":-1e999}");
    psgvit_error err;
    size_t n = 0;
    double d = 0;
    bool b = false;
    const char *s = NULL;
    const cJSON *a;
    assert_int_equal(pv_json_size(&json, "n", 12, &n, &err), PSGVIT_OK);
    assert_int_equal(n, 12);
    assert_int_equal(pv_json_size(&json, "inner", 1, &n, &err), PSGVIT_OK);
    assert_int_equal(n, 3);
    assert_int_equal(pv_json_size(&json, "big", 1, &n, &err), PSGVIT_OK);
    assert_int_equal(n, 2147483647);
    assert_int_equal(pv_json_size(&json, "over", 1, &n, &err), PSGVIT_E_MODEL);
    assert_string_equal(err.message, "a.json: config key 'over' is 2147483648, expected a whole "
                                     "number from 1 to 2147483647");
    assert_int_equal(pv_json_size(&json, "n", 13, &n, &err), PSGVIT_E_MODEL);
    assert_int_equal(pv_json_size(&json, "half", 0, &n, &err), PSGVIT_E_MODEL);
    assert_int_equal(pv_json_size(&json, "huge", 0, &n, &err), PSGVIT_E_MODEL);
    assert_int_equal(n, 2147483647); /* untouched by failures */
    assert_int_equal(pv_json_positive(&json, "half", &d, &err), PSGVIT_OK);
    assert_true(d > 0.4999 && d < 0.5001);
    assert_int_equal(pv_json_positive(&json, "huge", &d, &err), PSGVIT_E_MODEL);
    assert_int_equal(pv_json_positive(&json, "inf", &d, &err), PSGVIT_E_MODEL);
    assert_int_equal(pv_json_bool(&json, "yes", &b, &err), PSGVIT_OK);
    assert_true(b);
    assert_int_equal(pv_json_bool(&json, "n", &b, &err), PSGVIT_E_MODEL);
    assert_int_equal(pv_json_string(&json, "s", &s, &err), PSGVIT_OK);
    assert_string_equal(s, "text");
    assert_int_equal(pv_json_string(&json, "yes", &s, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "config key 'yes' is true, expected a string");
    assert_int_equal(pv_json_array(&json, "list", &a, &err), PSGVIT_OK);
    assert_non_null(a);
    assert_int_equal(pv_json_array(&json, "kwargs", &a, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "config key 'kwargs' is an object, expected an array");
    assert_true(pv_json_is_null(&json, "none"));
    assert_true(pv_json_is_null(&json, "gone"));
    assert_null(pv_json_find(&json, "none"));
    assert_false(pv_json_is_null(&json, "absent"));
    pv_json_close(&json);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/psgvit_json_XXXXXX", path[64];
    psgvit_error err;
    char *text = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c.json", folder);
    assert_int_equal(pv_config_load(&text, path, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "/c.json: can't open the config: No such file");
    assert_int_equal(pv_config_load(&text, folder, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "config is no regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pv_config_load(&text, path, &err), PSGVIT_E_MODEL); /* and does not hang */
    model_expect_text(err.message, "config is no regular file");
    assert_int_equal(remove(path), 0);
    assert_int_equal(pv_config_load(&text, "/dev/zero", &err), PSGVIT_E_MODEL);
    assert_null(text);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("{\"a\":1}\n", f);
    fclose(f);
    assert_int_equal(pv_config_load(&text, path, &err), PSGVIT_OK);
    assert_string_equal(text, "{\"a\":1}\n");
    free(text);
    f = fopen(path, "ab");
    assert_non_null(f);
    fputc('\0', f);
    fclose(f);
    assert_int_equal(pv_config_load(&text, path, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "byte 8 is NUL");
    assert_int_equal(truncate(path, PV_JSON_MAX + 1), 0);
    assert_int_equal(pv_config_load(&text, path, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "config has more than 1048576 bytes");
    remove(path);
    rmdir(folder);
}

/* ---- the locale ------------------------------------------------------------------------------ */

/* A locale whose decimal point is a comma, made by hand: glibc's file of the category LC_NUMERIC is
 * magic, count, offsets, and the six values decimal point, thousands separator, grouping, both
 * signs as wide characters, and the code set. So the test needs no locale to be installed. */
static void write_locale(const char *folder)
{
    static const uint32_t head[8] = {0x20031115u ^ LC_NUMERIC, 6, 32, 34, 36, 40, 44, 48};
    static const char strings[8] = {',', 0, 0, 0, 127, 0, 0, 0};
    static const uint32_t wide[2] = {',', 0};
    char path[96];
    snprintf(path, sizeof path, "%s/xx_XX", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/xx_XX/LC_NUMERIC", folder);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(head, sizeof head, 1, f);
    fwrite(strings, sizeof strings, 1, f);
    fwrite(wide, sizeof wide, 1, f);
    fwrite("UTF-8", 6, 1, f);
    assert_int_equal(fclose(f), 0);
}

static void remove_locale(const char *folder)
{
    char path[96];
    snprintf(path, sizeof path, "%s/xx_XX/LC_NUMERIC", folder);
    remove(path);
    snprintf(path, sizeof path, "%s/xx_XX", folder);
    rmdir(path);
    rmdir(folder);
}

static void test_locale(void **state)
{
    (void)state;
    char folder[] = "/tmp/psgvit_locale_XXXXXX", shown[16];
    assert_non_null(mkdtemp(folder));
    write_locale(folder);
    assert_int_equal(setenv("LOCPATH", folder, 1), 0);
    bool set = setlocale(LC_NUMERIC, "xx_XX") != NULL;
    snprintf(shown, sizeof shown, "%.1f", 0.5);
    locale_t before = uselocale((locale_t)0);
    pv_json json = accept("{\"sfreq\":256.25,\"eps\":1e-05,\"n\":12.0}");
    double rate = 0, eps = 0;
    size_t n = 0;
    psgvit_status status = pv_json_positive(&json, "sfreq", &rate, NULL);
    if (!status)
        status = pv_json_positive(&json, "eps", &eps, NULL);
    if (!status)
        status = pv_json_size(&json, "n", 1, &n, NULL);
    char *text = pv_json_print(json.root);
    locale_t after = uselocale((locale_t)0);
    bool kept = strcmp(localeconv()->decimal_point, ",") == 0;
    setlocale(LC_NUMERIC, "C");
    remove_locale(folder);
    assert_true(set);
    assert_string_equal(shown, "0,5"); /* else nothing was tested */
    assert_int_equal(status, PSGVIT_OK);
    assert_true(rate > 256.2 && rate < 256.3);
    assert_true(eps > 0.99e-5 && eps < 1.01e-5);
    assert_int_equal(n, 12);
    assert_string_equal(text, "{\"sfreq\":256.25,\"eps\":1e-05,\"n\":12}");
    assert_true(kept && before == after);
    cJSON_free(text);
    pv_json_close(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_duplicates), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_getters),    cmocka_unit_test(test_files),
        cmocka_unit_test(test_locale),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
