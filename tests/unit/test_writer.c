/* SPDX-License-Identifier: MIT */
/* The tools' writer: each format is read back by another reader, bit by bit. */
#define _GNU_SOURCE 1
#include <psgvit/recording.h>

#include "writer_fixture.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_safetensors(void **state)
{
    (void)state;
    static const char *const lates[] = {
        "unknown", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < 2; i++) {
        cli_failure failure;
        const char *path = path_of("both.safetensors");
        assert_int_equal(write_both(path, WRITER_SAFETENSORS, lates[i], &failure), CLI_DONE);
        psgvit_weights *weights = NULL;
        psgvit_error err;
        if (psgvit_weights_open(&weights, path, NULL, &err))
            fail_msg("%s", err.message);
        assert_int_equal(psgvit_weights_count(weights), 2);
        check_tensor(weights, "cls", cls, EPOCHS * WIDTH);
        check_tensor(weights, "patches", patches, EPOCHS * PATCHES * WIDTH);
        assert_string_equal(psgvit_weights_metadata(weights, "model"), "a \"b\"\\\n.st");
        assert_string_equal(psgvit_weights_metadata(weights, "model_sha256"), lates[i]);
        assert_string_equal(psgvit_weights_metadata(weights, "inputs"), "[\"\xef\xbf\xbd\"]");
        psgvit_weights_close(&weights);
        size_t size;
        char *text = read_file(path, &size);
        assert_int_equal(text[0] % 8, 0); /* the header's length; data is aligned behind it */
        free(text);
        assert_int_equal(files_in_folder(), 1);
    }
    unlink(path_of("both.safetensors"));
}

static void test_npy(void **state)
{
    (void)state;
    cli_failure failure;
    writer *w = NULL;
    writer_content content = only(1);
    const char *path = path_of("p.npy");
    assert_int_equal(writer_open(&w, path, WRITER_NPY, &content, &failure), CLI_DONE);
    const float *values[WRITER_TENSORS] = {patches};
    assert_int_equal(writer_put(w, 0, EPOCHS, values, NULL, &failure), CLI_DONE);
    assert_int_equal(finish(&w, "", &failure), CLI_DONE);
    psgvit_recording *r = NULL;
    psgvit_error err;
    if (psgvit_recording_open(&r, path, NULL, &err))
        fail_msg("%s", err.message);
    const psgvit_recording_info *info = psgvit_recording_get_info(r);
    assert_int_equal(info->epochs, EPOCHS);
    assert_int_equal(info->channels, PATCHES);
    assert_int_equal(info->samples, WIDTH);
    float back[EPOCHS * PATCHES * WIDTH];
    size_t n;
    assert_int_equal(psgvit_recording_read(r, back, EPOCHS, &n, NULL), PSGVIT_OK);
    assert_memory_equal(back, patches, sizeof back);
    psgvit_recording_close(&r);
    size_t size;
    char *text = read_file(path, &size);
    assert_int_equal((size - sizeof patches) % 64, 0);
    assert_int_equal(text[size - sizeof patches - 1], '\n');
    free(text);
    unlink(path);
}

static void test_csv(void **state)
{
    (void)state;
    const char *path = path_of("c.csv");
    write_cls(path, WRITER_CSV);
    size_t size, epoch = 0;
    char *text = read_file(path, &size), *rest = NULL;
    char *line = strtok_r(text, "\n", &rest);
    assert_string_equal(line, "epoch,cls_0,cls_1,cls_2");
    for (; (line = strtok_r(NULL, "\n", &rest)); epoch++) {
        char *at;
        assert_int_equal(strtoul(line, &at, 10), epoch);
        for (size_t i = 0; i < WIDTH; i++) {
            assert_int_equal(*at, ',');
            float value = strtof(at + 1, &at);
            assert_memory_equal(&value, &cls[epoch * WIDTH + i], sizeof value);
        }
        assert_int_equal(*at, '\0');
    }
    assert_int_equal(epoch, EPOCHS);
    free(text);
    unlink(path);
}

static void test_json(void **state)
{
    (void)state;
    cli_failure failure;
    const char *path = path_of("j.json");
    assert_int_equal(write_both(path, WRITER_JSON, "unknown", &failure), CLI_DONE);
    size_t size;
    char *text = read_file(path, &size);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    const cJSON *metadata = cJSON_GetObjectItem(json, "metadata");
    assert_string_equal(cJSON_GetObjectItem(metadata, "model_sha256")->valuestring, "unknown");
    const cJSON *epochs = cJSON_GetObjectItem(json, "epochs");
    assert_int_equal(cJSON_GetArraySize(epochs), EPOCHS);
    for (int e = 0; e < EPOCHS; e++) {
        const cJSON *record = cJSON_GetArrayItem(epochs, e);
        assert_true(cJSON_GetObjectItem(record, "epoch")->valuedouble == e);
        for (int i = 0; i < WIDTH; i++)
            assert_true(
                (float)cJSON_GetArrayItem(cJSON_GetObjectItem(record, "cls"), i)->valuedouble ==
                cls[e * WIDTH + i]);
        const cJSON *rows = cJSON_GetObjectItem(record, "patches");
        assert_int_equal(cJSON_GetArraySize(rows), PATCHES);
        const cJSON *last = cJSON_GetArrayItem(cJSON_GetArrayItem(rows, 1), 2);
        assert_true((float)last->valuedouble == patches[(e + 1) * PATCHES * WIDTH - 1]);
    }
    cJSON_Delete(json);
    free(text);
    unlink(path);
}

static void test_not_finite(void **state)
{
    (void)state;
    static const struct {
        writer_format format;
        const char *text;
    } cases[] = {{WRITER_CSV, "0,nan,inf,-inf\n"}, {WRITER_JSON, "\"cls\": [null, null, null]"}};
    const float bad[WIDTH] = {-NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 2; i++) {
        cli_failure failure;
        writer *w = NULL;
        writer_content content = only(0);
        content.tensors[0].shape[0] = 1;
        const char *path = path_of("bad");
        assert_int_equal(writer_open(&w, path, cases[i].format, &content, &failure), CLI_DONE);
        const float *values[WRITER_TENSORS] = {bad};
        assert_int_equal(writer_put(w, 0, 1, values, NULL, &failure), CLI_DONE);
        assert_int_equal(finish(&w, "", &failure), CLI_DONE);
        size_t size;
        char *text = read_file(path, &size);
        assert_non_null(strstr(text, cases[i].text));
        free(text);
        unlink(path);
    }
}

/* More text than the buffer holds, in one row. */
static void test_wide(void **state)
{
    (void)state;
    enum { WIDE = 20000 };
    static float row[WIDE];
    for (size_t i = 0; i < WIDE; i++)
        row[i] = (float)i + 0.1f;
    cli_failure failure;
    writer *w = NULL;
    writer_content content = only(0);
    content.tensors[0].shape[0] = 1;
    content.tensors[0].shape[1] = WIDE;
    const char *path = path_of("wide.csv");
    assert_int_equal(writer_open(&w, path, WRITER_CSV, &content, &failure), CLI_DONE);
    const float *values[WRITER_TENSORS] = {row};
    assert_int_equal(writer_put(w, 0, 1, values, NULL, &failure), CLI_DONE);
    assert_int_equal(finish(&w, "", &failure), CLI_DONE);
    size_t size;
    char *text = read_file(path, &size), *at = strchr(text, '\n') + 2;
    for (size_t i = 0; i < WIDE; i++)
        assert_true(strtof(at + 1, &at) == row[i]);
    assert_string_equal(at, "\n");
    free(text);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors), cmocka_unit_test(test_npy),
        cmocka_unit_test(test_csv),         cmocka_unit_test(test_json),
        cmocka_unit_test(test_not_finite),  cmocka_unit_test(test_wide),
    };
    return cmocka_run_group_tests(tests, set_up_folder, tear_down_folder);
}
