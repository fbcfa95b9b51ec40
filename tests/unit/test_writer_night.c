/* SPDX-License-Identifier: MIT */
/* What the writer adds of a recording with a clock and of a head, format by format. */
#define _GNU_SOURCE 1
#include "night_fixture.h"

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

/* Writes cls with what is asked for, and gives back the file as text; it is removed. */
static char *written(writer_format format, const night_facts *n, const linear_head *h, size_t *size)
{
    cli_failure failure = {0};
    writer *w = NULL;
    writer_content content = only(0);
    content.night = n;
    content.head = h;
    const char *path = path_of("out");
    assert_int_equal(writer_open(&w, path, format, &content, &failure), CLI_DONE);
    for (size_t e = 0; e < EPOCHS; e += 2) { /* in parts of two */
        const float *parts[WRITER_TENSORS] = {cls + e * WIDTH};
        head_scores s = {scores.probabilities + e * CLASSES, scores.stage + e,
                         scores.confidence + e};
        size_t rows = EPOCHS - e < 2 ? 1 : 2;
        assert_int_equal(writer_put(w, e, rows, parts, h ? &s : NULL, &failure), CLI_DONE);
    }
    assert_int_equal(files_in_folder(), 0);
    assert_int_equal(writer_finish(w, "f00d", &failure), CLI_DONE);
    assert_int_equal(files_in_folder(), 0); /* complete, and not to be seen */
    assert_int_equal(writer_commit(&w, &failure), CLI_DONE);
    char *text = read_file(path, size);
    unlink(path);
    return text;
}

static const psgvit_tensor *check_shape(const psgvit_weights *w, const char *name,
                                        psgvit_dtype dtype, size_t rank, uint64_t rows,
                                        uint64_t columns)
{
    const psgvit_tensor *t = psgvit_weights_find(w, name);
    assert_non_null(t);
    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->rank, rank);
    assert_int_equal(t->shape[0], rows);
    assert_int_equal(t->elements, rows * columns);
    return t;
}

static void test_safetensors(void **state)
{
    (void)state;
    linear_head *h = open_head();
    size_t size;
    char *text = written(WRITER_SAFETENSORS, &gap_night, h, &size);
    psgvit_weights *w = NULL;
    psgvit_error err;
    if (psgvit_weights_open_memory(&w, text, size, NULL, &err))
        fail_msg("%s", err.message);
    assert_int_equal(psgvit_weights_count(w), 5);
    check_tensor(w, "cls", cls, EPOCHS * WIDTH);
    const char *data = text + size;
    for (size_t i = psgvit_weights_count(w); i-- > 0;)
        data -= psgvit_weights_at(w, i)->bytes;
    const psgvit_tensor *t = check_shape(w, "epoch_start_s", PSGVIT_DTYPE_F64, 1, EPOCHS, 1);
    assert_memory_equal(data + t->offset, gap_night.epoch_start_s, sizeof(double) * EPOCHS);
    t = check_shape(w, "channel_mask", PSGVIT_DTYPE_U8, 1, CHANNELS, 1);
    assert_memory_equal(data + t->offset, "\1\0\1\1", CHANNELS);
    t = check_shape(w, "probabilities", PSGVIT_DTYPE_F32, 2, EPOCHS, CLASSES);
    assert_memory_equal(data + t->offset, scores.probabilities, sizeof(float) * EPOCHS * CLASSES);
    t = check_shape(w, "stage", PSGVIT_DTYPE_I32, 1, EPOCHS, 1);
    assert_memory_equal(data + t->offset, scores.stage, sizeof(int32_t) * EPOCHS);
    for (size_t i = 0; i < psgvit_weights_count(w); i++) /* aligned, from a multiple of 8 on */
        assert_int_equal(psgvit_weights_at(w, i)->offset %
                             (psgvit_dtype_bits(psgvit_weights_at(w, i)->dtype) / 8),
                         0);
    assert_int_equal((data - text) % 8, 0);
    assert_string_equal(psgvit_weights_metadata(w, "source"), gap_night.source);
    assert_string_equal(psgvit_weights_metadata(w, "model_sha256"), "f00d");
    assert_string_equal(psgvit_weights_metadata(w, "labels"), "[\"W\", \"N2\", \"a,\\\"b|c\"]");
    psgvit_weights_close(&w);
    free(text);
    head_close(&h);
}

/* A clock without a head, a head without a clock, and neither: then all is as it always was. */
static void test_what_is_there(void **state)
{
    (void)state;
    linear_head *h = open_head();
    night_facts still = gap_night;
    still.clock = false;
    still.epoch_start_s = NULL;
    still.entry_count = 0;
    static const size_t counts[4] = {1, 3, 3, 1};
    char *texts[4];
    size_t sizes[4];
    for (int i = 0; i < 4; i++) {
        const night_facts *night = i == 0 ? NULL : i == 1 ? &gap_night : &still;
        texts[i] = written(WRITER_SAFETENSORS, night, i == 2 ? h : NULL, &sizes[i]);
        psgvit_weights *w = NULL;
        assert_int_equal(psgvit_weights_open_memory(&w, texts[i], sizes[i], NULL, NULL), PSGVIT_OK);
        assert_int_equal(psgvit_weights_count(w), counts[i]);
        psgvit_weights_close(&w);
    }
    assert_int_equal(sizes[0], sizes[3]);
    assert_memory_equal(texts[0], texts[3], sizes[0]);
    for (int i = 0; i < 4; i++)
        free(texts[i]);
    size_t plain, full; /* NPY holds one tensor, whatever there is */
    char *a = written(WRITER_NPY, NULL, NULL, &plain),
         *b = written(WRITER_NPY, &gap_night, h, &full);
    assert_int_equal(plain, full);
    assert_memory_equal(a, b, plain);
    free(a);
    free(b);
    head_close(&h);
}

/* Line `number` of the text, in one buffer. */
static const char *line_of(const char *text, size_t number)
{
    static char line[512];
    for (; number > 0; number--)
        text = strchr(text, '\n') + 1;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
    return line;
}

static void test_tables(void **state)
{
    (void)state;
    linear_head *h = open_head();
    size_t size;
    char *text = written(WRITER_CSV, &gap_night, h, &size);
    assert_string_equal(line_of(text, 0), "onset,duration,epoch,stage,confidence,p_W,p_N2,"
                                          "\"p_a,\"\"b|c\",cls_0,cls_1,cls_2");
    assert_string_equal(line_of(text, 1),
                        "0,30,0,W,0.5,0.5,0.25,0.25,0.100000001,-1.5,3.40282347e+38");
    assert_string_equal(line_of(text, 3), "90.5,30,2,\"a,\"\"b|c\",0.699999988,0.100000001,"
                                          "0.200000003,0.699999988,16777216,0.333333343,1e+09");
    assert_string_equal(line_of(text, 4), "120.5,30,3,,nan,nan,nan,nan,1.99999995e-05,7,8");
    free(text);
    text = written(WRITER_TSV, &gap_night, h, &size);
    assert_string_equal(line_of(text, 0), "onset\tduration\tepoch\tstage\tconfidence\tp_W\tp_N2\t"
                                          "p_a,\"b|c\tcls_0\tcls_1\tcls_2");
    assert_string_equal(line_of(text, 4),
                        "120.5\t30\t3\tn/a\tn/a\tn/a\tn/a\tn/a\t1.99999995e-05\t7\t8");
    free(text);
    text = written(WRITER_TSV, NULL, NULL, &size);
    assert_string_equal(line_of(text, 0), "epoch\tcls_0\tcls_1\tcls_2");
    assert_string_equal(line_of(text, 5), "4\t0.142857149\t5\t6");
    free(text);
    head_close(&h);
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void test_json(void **state)
{
    (void)state;
    linear_head *h = open_head();
    size_t size;
    char *text = written(WRITER_JSON, &gap_night, h, &size);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    const cJSON *mask = cJSON_GetObjectItem(json, "channel_mask");
    assert_int_equal(cJSON_GetArraySize(mask), CHANNELS);
    assert_int_equal(cJSON_GetArrayItem(mask, 1)->valueint, 0);
    assert_int_equal(cJSON_GetArrayItem(mask, 2)->valueint, 1);
    assert_non_null(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "metadata"), "labels"));
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "shapes"), "stage")), 1);
    const cJSON *epochs = cJSON_GetObjectItem(json, "epochs");
    const cJSON *third = cJSON_GetArrayItem(epochs, 2);
    assert_true(number_of(third, "epoch_start_s") == 90.5);
    assert_true(number_of(third, "stage") == 2);
    assert_true((float)number_of(third, "confidence") == 0.7f);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(third, "probabilities")), CLASSES);
    const cJSON *none = cJSON_GetArrayItem(epochs, 3);
    assert_true(number_of(none, "stage") == -1);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(none, "confidence")));
    cJSON_Delete(json);
    free(text);
    head_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors),
        cmocka_unit_test(test_what_is_there),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, set_up_folder, tear_down_folder);
}
