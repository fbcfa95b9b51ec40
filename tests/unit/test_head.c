/* SPDX-License-Identifier: MIT */
/* The linear head: its numbers against the formula, and every way in which its file can be wrong.
 */
#define _GNU_SOURCE 1
#include "night_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const float weight[CLASSES * WIDTH] = {0.5f, -1, 2, 1.5f, 0.25f, -0.5f, 0, 1, 1};
static const float bias[CLASSES] = {0.125f, -2, 0};

static void test_softmax(void **state)
{
    (void)state;
    cli_failure failure;
    linear_head *h = NULL;
    const char *path = write_head("F32", 4, CLASSES, WIDTH, weight, bias, NULL);
    assert_int_equal(head_open(&h, path, WIDTH, &failure), CLI_DONE);
    head_scores s;
    assert_int_equal(head_scores_make(&s, h, 4, &failure), CLI_DONE);
    const float x[4 * WIDTH] = {1, 2, 3, -80, 400, 7, NAN, 0, 0, 0, INFINITY, 0};
    head_apply(h, x, 4, &s);
    for (int e = 0; e < 2; e++) {
        double z[CLASSES], sum = 0;
        int best = 0;
        for (int k = 0; k < CLASSES; k++) {
            z[k] = bias[k];
            for (int d = 0; d < WIDTH; d++)
                z[k] += (double)weight[k * WIDTH + d] * (double)x[e * WIDTH + d];
            best = z[k] > z[best] ? k : best;
        }
        for (int k = 0; k < CLASSES; k++)
            sum += exp(z[k] - z[best]);
        for (int k = 0; k < CLASSES; k++)
            assert_true(fabs((double)s.probabilities[e * CLASSES + k] - exp(z[k] - z[best]) / sum) <
                        1e-7);
        assert_int_equal(s.stage[e], best);
        assert_true(s.confidence[e] == s.probabilities[e * CLASSES + best]);
    }
    for (int e = 2; e < 4; e++) { /* not finite: no stage, and the neighbours are untouched */
        assert_int_equal(s.stage[e], -1);
        assert_true(isnan(s.confidence[e]) && isnan(s.probabilities[e * CLASSES]));
    }
    head_scores_free(&s);
    head_close(&h);
    assert_null(h);
    head_close(&h);
    head_close(NULL);
    unlink(path);
}

static void test_ties_and_labels(void **state)
{
    (void)state;
    cli_failure failure;
    linear_head *h = open_head();
    head_scores s;
    assert_int_equal(head_scores_make(&s, h, 1, &failure), CLI_DONE);
    head_apply(h, (const float[WIDTH]){0, 1, 1}, 1, &s);
    assert_int_equal(s.stage[0], 1); /* the first of equals */
    head_scores_free(&s);
    for (size_t k = 0; k < CLASSES; k++)
        assert_string_equal(h->labels[k], stage_labels[k]);
    assert_string_equal(h->stages[1], "Sleep stage N2");
    assert_string_equal(h->stages[2], stage_labels[2]);
    assert_int_equal(h->entry_count, HEAD_ENTRIES);
    assert_string_equal(h->entries[0].key, "head");
    assert_int_equal(strlen(h->entries[1].value), 64);
    assert_string_equal(h->entries[2].value, "[\"W\", \"N2\", \"a,\\\"b|c\"]");
    head_close(&h);

    const char *path = write_head("F32", 4, CLASSES, WIDTH, weight, bias, NULL);
    assert_int_equal(head_open(&h, path, WIDTH, &failure), CLI_DONE);
    assert_string_equal(h->labels[2], "2");
    assert_string_equal(h->entries[2].value, "[\"0\", \"1\", \"2\"]");
    head_close(&h);
    unlink(path);
}

/* The same numbers in other types: all of them are exact in each. */
static void test_dtypes(void **state)
{
    (void)state;
    double wide[CLASSES * WIDTH], wide_bias[CLASSES];
    uint16_t brain[CLASSES * WIDTH], brain_bias[CLASSES];
    for (int i = 0; i < CLASSES * WIDTH; i++) {
        uint32_t bits;
        memcpy(&bits, &weight[i], 4);
        brain[i] = (uint16_t)(bits >> 16);
        wide[i] = (double)weight[i];
    }
    for (int i = 0; i < CLASSES; i++) {
        uint32_t bits;
        memcpy(&bits, &bias[i], 4);
        brain_bias[i] = (uint16_t)(bits >> 16);
        wide_bias[i] = (double)bias[i];
    }
    const uint16_t half[] = {0x3800, 0xBC00, 0x4000, 0x3E00, 0x3400, 0xB800, 0, 0x3C00, 0x3C00};
    const uint16_t half_bias[] = {0x3000, 0xC000, 0};
    const struct {
        const char *dtype;
        size_t element;
        const void *weight, *bias;
    } cases[] = {{"F32", 4, weight, bias},
                 {"F64", 8, wide, wide_bias},
                 {"F16", 2, half, half_bias},
                 {"BF16", 2, brain, brain_bias}};
    float first[CLASSES];
    for (size_t i = 0; i < 4; i++) {
        cli_failure failure = {0};
        linear_head *h = NULL;
        const char *path = write_head(cases[i].dtype, cases[i].element, CLASSES, WIDTH,
                                      cases[i].weight, cases[i].bias, NULL);
        if (head_open(&h, path, WIDTH, &failure))
            fail_msg("%s", failure.message);
        head_scores s;
        assert_int_equal(head_scores_make(&s, h, 1, &failure), CLI_DONE);
        head_apply(h, (const float[WIDTH]){1, 2, 3}, 1, &s);
        if (i == 0)
            memcpy(first, s.probabilities, sizeof first);
        assert_memory_equal(s.probabilities, first, sizeof first);
        head_scores_free(&s);
        head_close(&h);
        unlink(path);
    }
}

static void refused(const char *path, const char *words)
{
    cli_failure failure = {0};
    linear_head *h = (linear_head *)1;
    assert_int_equal(head_open(&h, path, WIDTH, &failure), CLI_MODEL);
    assert_null(h);
    if (!strstr(failure.message, words) || !strstr(failure.message, path))
        fail_msg("'%s' does not say '%s' of '%s'", failure.message, words, path);
    unlink(path);
}

static void test_bad_shapes(void **state)
{
    (void)state;
    static float zeros[HEAD_CLASSES * WIDTH + WIDTH];
    refused(write_head("F32", 4, CLASSES, WIDTH + 1, zeros, zeros, NULL),
            "head.weight: expected shape [K, 3] for the model's embeddings");
    refused(write_head("F32", 4, 1, WIDTH, zeros, zeros, NULL), "expected 2 to 256 classes");
    refused(write_head("F32", 4, HEAD_CLASSES + 1, WIDTH, zeros, zeros, NULL), "found 257");
    refused(write_head("I32", 4, CLASSES, WIDTH, zeros, zeros, NULL), "I32");
    const float nan_bias[CLASSES] = {0, NAN, 0};
    refused(write_head("F32", 4, CLASSES, WIDTH, zeros, nan_bias, NULL),
            "head.bias: expected finite numbers, found nan at 1");
    refused(path_of("missing.st"), "No such file");
    FILE *f = fopen(path_of("text.st"), "w");
    fputs("no safetensors", f);
    fclose(f);
    refused(path_of("text.st"), "header");
}

/* Files that write_head can't make. */
static void test_bad_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *header, *words;
    } cases[] = {
        {"{\"head.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
         "expected a tensor head.bias [K], found none"},
        {"{\"head.bias\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]}}",
         "expected a tensor head.weight [K,D], found none"},
        {"{\"head.weight\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
         "\"head.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[12,24]}}",
         "found rank 1"},
        {"{\"head.weight\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
         "\"head.bias\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[4,24]}}",
         "found rank 0"},
        {"{\"head.weight\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[0,0]},"
         "\"head.bias\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]}}",
         "expected 2 to 256 classes, found 0"},
        {"{\"head.weight\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
         "\"head.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[12,24]}}",
         "head.bias: expected shape [2] by head.weight"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char zeros[24];
        FILE *f = fopen(path_of("bad.st"), "wb");
        uint64_t length = strlen(cases[i].header);
        fwrite(&length, 8, 1, f);
        fputs(cases[i].header, f);
        fwrite(zeros, 1, sizeof zeros, f);
        fclose(f);
        refused(path_of("bad.st"), cases[i].words);
    }
}

static void test_bad_labels(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"no JSON", "expected a JSON array of 3 strings in the metadata, found 'no JSON'"},
        {"{}", "expected a JSON array of 3 strings"},
        {"[\\\"a\\\", \\\"b\\\"]", "expected a JSON array of 3 strings"},
        {"[\\\"a\\\", \\\"b\\\", \\\"c\\\"] x", "expected a JSON array of 3 strings"},
        {"[\\\"a\\\", \\\"b\\\", 3]", "for class 2"},
        {"[\\\"a\\\", \\\"\\\", \\\"c\\\"]", "for class 1"},
        {"[\\\"a\\\\tb\\\", \\\"b\\\", \\\"c\\\"]", "for class 0"},
        {"[\\\"a\\\", \\\"b\\\\u0085\\\", \\\"c\\\"]", "for class 1"},
        {"[\\\"a\\\", \\\"b\\\", \\\"a\\\"]", "classes 0 and 2 are both 'a'"},
        {"[\\\"a\\\", \\\"b\\\", "
         "\\\"0123456789012345678901234567890123456789012345678901234567890123x\\\"]",
         "for class 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(write_head("F32", 4, CLASSES, WIDTH, weight, bias, cases[i][0]), cases[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax),     cmocka_unit_test(test_ties_and_labels),
        cmocka_unit_test(test_dtypes),      cmocka_unit_test(test_bad_shapes),
        cmocka_unit_test(test_bad_tensors), cmocka_unit_test(test_bad_labels),
    };
    return cmocka_run_group_tests(tests, set_up_folder, tear_down_folder);
}
