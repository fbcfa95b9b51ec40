/* SPDX-License-Identifier: MIT */
/* Raw and NPY recordings: every rule of the formats, from files, pipes and files that change. */
#define _GNU_SOURCE 1
#include <psgvit/recording.h>

#include "recording/recording.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *name, const void *head, size_t head_size,
                              const float *values, size_t count)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (head_size)
        assert_int_equal(fwrite(head, 1, head_size, f), head_size);
    if (count)
        assert_int_equal(fwrite(values, sizeof(float), count, f), count);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* A version-1 NPY header around a dictionary, padded to `total` bytes. */
static size_t npy_head(unsigned char *bytes, size_t total, const char *dictionary)
{
    size_t length = total - 10;
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (unsigned char)(length & 255);
    bytes[9] = (unsigned char)(length >> 8);
    memset(bytes + 10, ' ', length);
    memcpy(bytes + 10, dictionary, strlen(dictionary));
    bytes[total - 1] = '\n';
    return total;
}

static const char *write_npy(const char *name, const char *dictionary, size_t count)
{
    unsigned char head[128];
    float *values = calloc(count ? count : 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)i;
    const char *path =
        write_file(name, head, npy_head(head, sizeof head, dictionary), values, count);
    free(values);
    return path;
}

static psgvit_recording_params params_of(size_t channels, size_t samples)
{
    psgvit_recording_params params = {.struct_size = sizeof params};
    params.channels = channels;
    params.samples = samples;
    return params;
}

static psgvit_recording *open_ok(const char *path, const psgvit_recording_params *params)
{
    psgvit_error err;
    psgvit_recording *recording = NULL;
    if (psgvit_recording_open(&recording, path, params, &err))
        fail_msg("%s", err.message);
    assert_int_equal(err.code, PSGVIT_OK);
    return recording;
}

static void open_fails(const char *path, const psgvit_recording_params *params,
                       psgvit_status status, const char *words)
{
    psgvit_error err = {0};
    psgvit_recording *recording = (psgvit_recording *)1;
    assert_int_equal(psgvit_recording_open(&recording, path, params, &err), status);
    assert_int_equal(err.code, status);
    assert_null(recording);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say '%s'", err.message, words);
    if (status == PSGVIT_E_INPUT && !strstr(err.message, path))
        fail_msg("'%s' does not name '%s'", err.message, path);
}

static void ramp(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)i;
}

static void test_raw_epochs(void **state)
{
    (void)state;
    float values[5 * 2 * 3], out[4 * 6];
    ramp(values, 30);
    psgvit_recording_params params = params_of(2, 3);
    psgvit_recording *r = open_ok(write_file("e.bin", NULL, 0, values, 30), &params);
    const psgvit_recording_info *info = psgvit_recording_get_info(r);
    assert_int_equal(info->format, PSGVIT_FORMAT_RAW);
    assert_int_equal(info->layout, PSGVIT_LAYOUT_EPOCHS);
    assert_int_equal(info->channels, 2);
    assert_int_equal(info->samples, 3);
    assert_int_equal(info->epochs, 5);
    assert_int_equal(info->length, 15);
    assert_int_equal(info->dropped, 0);
    size_t n = 99;
    psgvit_error err;
    assert_int_equal(psgvit_recording_read(r, out, 4, &n, &err), PSGVIT_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(out, values, 24 * sizeof(float));
    assert_int_equal(psgvit_recording_read(r, out, 4, &n, &err), PSGVIT_OK);
    assert_int_equal(n, 1);
    assert_memory_equal(out, values + 24, 6 * sizeof(float));
    assert_int_equal(psgvit_recording_read(r, out, 4, &n, &err), PSGVIT_OK);
    assert_int_equal(n, 0);
    psgvit_recording_close(&r);
    assert_null(r);
    psgvit_recording_close(&r);
    psgvit_recording_close(NULL);
}

/* [C, L] with L = 2 epochs and one sample: sample t of epoch e of channel c is at c * L + e * T +
 * t. */
static void check_channels(psgvit_recording *r)
{
    const psgvit_recording_info *info = psgvit_recording_get_info(r);
    assert_int_equal(info->layout, PSGVIT_LAYOUT_CHANNELS);
    assert_int_equal(info->epochs, 2);
    assert_int_equal(info->length, 7);
    assert_int_equal(info->dropped, 1);
    for (size_t e = 0; e < 2; e++) { /* one at a time: the position must move */
        float out[6];
        size_t n;
        assert_int_equal(psgvit_recording_read(r, out, 1, &n, NULL), PSGVIT_OK);
        assert_int_equal(n, 1);
        for (size_t c = 0; c < 2; c++)
            for (size_t t = 0; t < 3; t++)
                assert_true(out[c * 3 + t] == (float)(c * 7 + e * 3 + t));
    }
    psgvit_recording_close(&r);
}

static void test_channel_major(void **state)
{
    (void)state;
    float values[14], out[12];
    ramp(values, 14);
    psgvit_recording_params params = params_of(2, 3);
    params.layout = PSGVIT_LAYOUT_CHANNELS;
    const char *path = write_file("c.bin", NULL, 0, values, 14);
    check_channels(open_ok(path, &params));
    psgvit_recording *r = open_ok(path, &params);
    size_t n;
    assert_int_equal(psgvit_recording_read(r, out, 9, &n, NULL), PSGVIT_OK);
    assert_int_equal(n, 2);
    assert_true(out[3] == 7 && out[6] == 3 && out[9] == 10);
    psgvit_recording_close(&r);
    path = write_npy("c.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 7), }", 14);
    params.layout = PSGVIT_LAYOUT_EPOCHS;
    check_channels(open_ok(path, &params));
    params.samples = 0;
    params.default_samples = 3;
    check_channels(open_ok(path, &params));
}

static void test_raw_counts(void **state)
{
    (void)state;
    float values[32] = {0};
    psgvit_recording_params params = params_of(2, 3);
    open_fails(write_file("m.bin", "x", 1, values, 12), &params, PSGVIT_E_INPUT,
               "expected a multiple of 24 bytes (2 channels x 3 samples x 4), found 49 bytes");
    params.layout = PSGVIT_LAYOUT_CHANNELS;
    open_fails(write_file("m.bin", NULL, 0, values, 13), &params, PSGVIT_E_INPUT,
               "expected a multiple of 8 bytes (2 channels x 4), found 52 bytes");
    params = params_of(0, 0);
    open_fails(write_file("m.bin", "xyz", 3, values, 1), &params, PSGVIT_E_INPUT, "multiple of 4");
    params = params_of(SIZE_MAX / 2, 3);
    open_fails(write_file("m.bin", NULL, 0, values, 6), &params, PSGVIT_E_INPUT, "too large");
    psgvit_recording *r =
        open_ok(write_file("m.bin", NULL, 0, NULL, 0),
                &(psgvit_recording_params){
                    .struct_size = sizeof(psgvit_recording_params), .channels = 2, .samples = 3});
    size_t n = 7;
    float out[6];
    assert_int_equal(psgvit_recording_get_info(r)->epochs, 0);
    assert_int_equal(psgvit_recording_read(r, out, 1, &n, NULL), PSGVIT_OK);
    assert_int_equal(n, 0);
    psgvit_recording_close(&r);
}

/* To look at a file only: what isn't known is 0, and nothing divides by it. */
static void test_unknown_geometry(void **state)
{
    (void)state;
    float values[24] = {0};
    const char *path = write_file("u.bin", NULL, 0, values, 24);
    psgvit_recording *r = open_ok(path, NULL);
    const psgvit_recording_info *info = psgvit_recording_get_info(r);
    assert_int_equal(info->channels, 0);
    assert_int_equal(info->epochs, 0);
    assert_int_equal(info->length, 24);
    size_t n;
    psgvit_error err;
    assert_int_equal(psgvit_recording_read(r, values, 1, &n, &err), PSGVIT_E_ARGUMENT);
    assert_non_null(strstr(err.message, "unknown"));
    psgvit_recording_close(&r);
    psgvit_recording_params params = params_of(2, 0);
    r = open_ok(path, &params);
    assert_int_equal(psgvit_recording_get_info(r)->length, 12);
    psgvit_recording_close(&r);
    static const struct {
        const char *shape;
        size_t count, channels, samples, epochs;
    } looks[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4)}", 24, 3, 4, 2},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 8)}", 24, 3, 0, 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3, 4)}", 0, 3, 4, 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 0, 4)}", 0, 0, 4, 5},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3, 0)}", 0, 3, 0, 5},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 0)}", 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        r = open_ok(write_npy("look.npy", looks[i].shape, looks[i].count), NULL);
        info = psgvit_recording_get_info(r);
        assert_int_equal(info->channels, looks[i].channels);
        assert_int_equal(info->samples, looks[i].samples);
        assert_int_equal(info->epochs, looks[i].epochs);
        psgvit_recording_close(&r);
    }
}

static void test_npy_accepts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 3), }",
        "{\"shape\":(2,2,3,),\"fortran_order\":False,\"descr\":\"<f4\"}",
        "  { 'fortran_order' : False ,\n'shape' : ( 2 , 2 , 3 ) , 'descr' : '<f4' } ",
    };
    psgvit_recording_params params = params_of(2, 3);
    for (size_t i = 0; i < 3; i++) {
        psgvit_recording *r = open_ok(write_npy("g.npy", good[i], 12), &params);
        const psgvit_recording_info *info = psgvit_recording_get_info(r);
        assert_int_equal(info->format, PSGVIT_FORMAT_NPY);
        assert_int_equal(info->layout, PSGVIT_LAYOUT_EPOCHS);
        assert_int_equal(info->epochs, 2);
        float out[12];
        size_t n;
        assert_int_equal(psgvit_recording_read(r, out, 2, &n, NULL), PSGVIT_OK);
        assert_int_equal(n, 2);
        assert_true(out[0] == 0 && out[11] == 11);
        psgvit_recording_close(&r);
    }
    for (unsigned char version = 2; version <= 3; version++) {
        unsigned char head[128];
        const char *text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }\n";
        float values[6] = {0};
        memcpy(head, "\x93NUMPY\x02\x00", 8);
        head[6] = version;
        head[8] = (unsigned char)strlen(text);
        head[9] = head[10] = head[11] = 0;
        memcpy(head + 12, text, strlen(text));
        psgvit_recording *r = open_ok(write_file("v", head, 12 + strlen(text), values, 6), &params);
        assert_int_equal(psgvit_recording_get_info(r)->epochs, 1);
        psgvit_recording_close(&r);
    }
}

static void test_npy_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *dictionary, *words;
    } bad[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2, 3)}", "found '>f4'"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2, 3)}", "found '<f8'"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 3)}", "found '|u1'"},
        {"{'descr': [('a', '<f4', (2,))], 'fortran_order': False, 'shape': (6,)}", "structured"},
        {"{'descr': [('a', '<f4'), 'fortran_order': False, 'shape': (6,)}", "structured dtype"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2, 3)}", "C order"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 2, 3)}", "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", "found 1"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "found 0"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 2, 3)}", "found 4"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", "','"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 6}", "'('"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2, 3)}", "',' or ')'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,, 3)}", "whole number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2, 3)}", "whole number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1L, 2, 3)}", "',' or ')'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (01, 2, 3)}", "whole number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3)", "',' or '}'"},
        {"{'descr': '<f4', 'fortran_order': False}", "the keys"},
        {"{'descr': '<f4', 'shape': (1, 2, 3)}", "the keys"},
        {"{'descr': '<f4', 'descr': '<f4', 'shape': (1, 2, 3)}", "each key once"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), 'x': 1}", "one of the keys"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (1, 2, 3)}", "',' or '}'"},
        {"{'descr' '<f4', 'fortran_order': False, 'shape': (1, 2, 3)}", "':'"},
        {"{descr: '<f4', 'fortran_order': False, 'shape': (1, 2, 3)}", "quoted string"},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (1, 2, 3)}", "',' or '}'"},
        {"{'descr': '<\\x664', 'fortran_order': False, 'shape': (1, 2, 3)}", "plain character"},
        {"{'descr': '<f4', 'fortran_order_of_the_array': False}", "shorter string"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3)} x", "nothing but blanks"},
        {"['descr']", "'{'"},
        {"", "'{'"},
        {"{'descr': '", "string"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616, 2, 3)}", "64"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808, 2, 3)}", "overf"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 3)}", "needs 48 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 2)}", "expected 2 channels"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", "expected 2 channels"},
    };
    psgvit_recording_params params = params_of(2, 3);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        open_fails(write_npy("b.npy", bad[i].dictionary, 6), &params, PSGVIT_E_INPUT, bad[i].words);
    open_fails(
        write_npy("b.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 1)}", 6),
        &params, PSGVIT_E_INPUT, "expected epochs of 3 samples, found 1");
    open_fails(write_npy("b.npy",
                         "{'descr': '<f4', 'fortran_order': False, "
                         "'shape': (9223372036854775808, 0, 3)}",
                         0),
               NULL, PSGVIT_E_INPUT, "overflows");
    params.layout = PSGVIT_LAYOUT_CHANNELS;
    open_fails(
        write_npy("b.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3)}", 6),
        &params, PSGVIT_E_INPUT, "layout");
}

static void test_npy_prefix(void **state)
{
    (void)state;
    psgvit_recording_params params = params_of(2, 3);
    params.format = PSGVIT_FORMAT_NPY;
    unsigned char head[140];
    npy_head(head, 128, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3)}");
    for (size_t size = 0; size < 128; size++)
        open_fails(write_file("t", head, size, NULL, 0), &params, PSGVIT_E_INPUT, "NPY");
    head[6] = 4;
    open_fails(write_file("t", head, 128, NULL, 0), &params, PSGVIT_E_INPUT, "found 4.0");
    head[6] = 0;
    open_fails(write_file("t", head, 128, NULL, 0), &params, PSGVIT_E_INPUT, "found 0.0");
    head[6] = 1, head[7] = 1;
    open_fails(write_file("t", head, 128, NULL, 0), &params, PSGVIT_E_INPUT, "found 1.1");
    head[6] = 2, head[7] = 0, head[8] = 1, head[9] = 0, head[10] = 1, head[11] = 0;
    open_fails(write_file("t", head, 128, NULL, 0), &params, PSGVIT_E_INPUT, "65537 bytes");
    open_fails(write_file("t", head, 11, NULL, 0), &params, PSGVIT_E_INPUT, "ends inside");
    char many[256] = "{'shape': (";
    for (size_t i = 0; i < 33; i++)
        strcat(many, "1,");
    strcat(many, ")}");
    assert_true(strlen(many) < 117);
    open_fails(write_npy("t", many, 0), &params, PSGVIT_E_INPUT, "at most 32");
}

static void test_detection(void **state)
{
    (void)state;
    float values[6] = {0};
    psgvit_recording_params params = params_of(1, 2);
    open_fails(write_file("r.npy", NULL, 0, values, 6), &params, PSGVIT_E_INPUT, "by its name");
    open_fails(write_file("R.NPY", NULL, 0, values, 6), &params, PSGVIT_E_INPUT, "by its name");
    open_fails(write_file("r.edf", NULL, 0, values, 6), &params, PSGVIT_E_INPUT, "by its name");
    open_fails(write_file("r.bdf", NULL, 0, values, 6), &params, PSGVIT_E_INPUT, "by its name");
    open_fails(write_file("e.bin", "0       ", 8, values, 6), &params, PSGVIT_E_INPUT,
               "at least 256 bytes, found 32");
    open_fails(write_file("e.bdf", "\377BIOSEMI", 8, values, 6), &params, PSGVIT_E_INPUT,
               "at least 256 bytes, found 32");
    params.format = PSGVIT_FORMAT_EDF;
    open_fails(write_file("x.bin", NULL, 0, values, 6), &params, PSGVIT_E_INPUT, "EDF header");
    params.format = PSGVIT_FORMAT_RAW; /* overrides name and content */
    psgvit_recording *r = open_ok(write_file("x.npy", "\x93NUMPY..", 8, values, 6), &params);
    assert_int_equal(psgvit_recording_get_info(r)->epochs, 4);
    psgvit_recording_close(&r);
    params.format = PSGVIT_FORMAT_NPY;
    open_fails(write_file("x.bin", NULL, 0, values, 6), &params, PSGVIT_E_INPUT, "is no NPY file");
    params.format = PSGVIT_FORMAT_AUTO; /* by content, whatever the name */
    params = params_of(2, 3);
    r = open_ok(
        write_npy("n.bin", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3)}", 6),
        &params);
    assert_int_equal(psgvit_recording_get_info(r)->format, PSGVIT_FORMAT_NPY);
    psgvit_recording_close(&r);
}

static void test_bad_paths(void **state)
{
    (void)state;
    psgvit_recording_params params = params_of(1, 2);
    open_fails(path_of("missing"), &params, PSGVIT_E_INPUT, "No such file");
    open_fails(folder, &params, PSGVIT_E_INPUT, "found a folder");
    open_fails("/dev/zero", &params, PSGVIT_E_INPUT, "found a device");
    open_fails("/dev/null", &params, PSGVIT_E_INPUT, "found a device");
    open_fails("", &params, PSGVIT_E_INPUT, "No such file");
    open_fails(NULL, &params, PSGVIT_E_ARGUMENT, "path is NULL");
    params.format = (psgvit_format)4;
    open_fails("x", &params, PSGVIT_E_ARGUMENT, "params.format is 4, expected 0 to 3");
    params = params_of(1, 2);
    params.layout = (psgvit_layout)2;
    open_fails("x", &params, PSGVIT_E_ARGUMENT, "params.layout is 2, expected 0 to 1");
    params = params_of(1, 2);
    params.cohort = PSGVIT_COHORTS;
    open_fails("x", &params, PSGVIT_E_ARGUMENT, "params.cohort is 12, expected 0 to 11");
    params = params_of(1, 2);
    params.unit = (psgvit_unit)-1;
    open_fails("x", &params, PSGVIT_E_ARGUMENT, "params.unit is -1, expected 0 to 3");
    params = params_of(1, 2);
    params.threads = -1;
    open_fails("x", &params, PSGVIT_E_ARGUMENT, "params.threads is -1, expected 0 to");
    params.struct_size = 3;
    open_fails("x", &params, PSGVIT_E_ARGUMENT, "struct_size");
    psgvit_error err;
    assert_int_equal(psgvit_recording_open(NULL, "x", NULL, &err), PSGVIT_E_ARGUMENT);
    assert_null(psgvit_recording_get_info(NULL));
    size_t n;
    float f;
    assert_int_equal(psgvit_recording_read(NULL, &f, 1, &n, &err), PSGVIT_E_ARGUMENT);
}

/* 3 MiB through a pipe, which grows the buffer twice, written by a child in odd pieces. */
static void test_pipe(void **state)
{
    (void)state;
    enum { EPOCHS = 1024, EPOCH = 768 };
    float *values = malloc(sizeof(float) * EPOCHS * EPOCH), out[EPOCH];
    assert_non_null(values);
    ramp(values, (size_t)EPOCHS * EPOCH);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        size_t size = sizeof(float) * EPOCHS * EPOCH;
        for (size_t done = 0; done < size;) {
            size_t part = size - done < 54321 ? size - done : 54321;
            ssize_t n = write(ends[1], (char *)values + done, part);
            if (n <= 0)
                _exit(1);
            done += (size_t)n;
        }
        _exit(0);
    }
    close(ends[1]);
    char path[32];
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    psgvit_recording_params params = params_of(2, EPOCH / 2);
    psgvit_recording *r = open_ok(path, &params);
    close(ends[0]);
    assert_int_equal(psgvit_recording_get_info(r)->epochs, EPOCHS);
    for (size_t e = 0; e < EPOCHS; e++) {
        size_t n;
        assert_int_equal(psgvit_recording_read(r, out, 1, &n, NULL), PSGVIT_OK);
        assert_memory_equal(out, values + e * EPOCH, sizeof out);
    }
    psgvit_recording_close(&r);
    free(values);
}

static void test_standard_input(void **state)
{
    (void)state;
    float values[18], out[6];
    ramp(values, 18);
    int saved = dup(STDIN_FILENO);
    assert_true(saved >= 0);
    int fd = open(write_file("in.bin", NULL, 0, values, 18), O_RDONLY);
    assert_true(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    close(fd);
    assert_int_equal(lseek(STDIN_FILENO, 24, SEEK_SET), 24); /* what stands there is what is read */
    psgvit_recording_params params = params_of(2, 3);
    psgvit_recording *r = open_ok("-", &params);
    assert_int_equal(psgvit_recording_get_info(r)->epochs, 2);
    size_t n;
    assert_int_equal(psgvit_recording_read(r, out, 1, &n, NULL), PSGVIT_OK);
    assert_memory_equal(out, values + 6, sizeof out);
    psgvit_recording_close(&r);
    assert_int_equal(fcntl(STDIN_FILENO, F_GETFD) >= 0, 1); /* not ours to close */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], values, 25), 25);
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    psgvit_error err;
    assert_int_equal(psgvit_recording_open(&r, "-", &params, &err), PSGVIT_E_INPUT);
    assert_non_null(strstr(err.message, "standard input: expected a multiple of 24"));
    close(STDIN_FILENO);
    assert_int_equal(psgvit_recording_open(&r, "-", &params, &err), PSGVIT_E_INPUT);
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    close(saved);
}

static void test_shrinks(void **state)
{
    (void)state;
    float values[12] = {0}, out[12];
    psgvit_recording_params params = params_of(2, 3);
    const char *path = write_file("s.bin", NULL, 0, values, 12);
    psgvit_recording *r = open_ok(path, &params);
    assert_int_equal(truncate(path, 30), 0);
    size_t n = 9;
    psgvit_error err;
    assert_int_equal(psgvit_recording_read(r, out, 2, &n, &err), PSGVIT_E_INPUT);
    assert_int_equal(n, 0);
    assert_non_null(strstr(err.message, "has become shorter"));
    assert_int_equal(psgvit_recording_read(r, out, 1, &n, &err), PSGVIT_OK); /* still there */
    assert_int_equal(truncate(path, 10), 0); /* before what is read next */
    assert_int_equal(psgvit_recording_read(r, out, 1, &n, &err), PSGVIT_E_INPUT);
    assert_non_null(strstr(err.message, "expected 48 bytes, found 10"));
    psgvit_recording_close(&r);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/psgvit-recording-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_epochs),     cmocka_unit_test(test_channel_major),
        cmocka_unit_test(test_raw_counts),     cmocka_unit_test(test_unknown_geometry),
        cmocka_unit_test(test_npy_accepts),    cmocka_unit_test(test_npy_refuses),
        cmocka_unit_test(test_npy_prefix),     cmocka_unit_test(test_detection),
        cmocka_unit_test(test_bad_paths),      cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_standard_input), cmocka_unit_test(test_shrinks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
