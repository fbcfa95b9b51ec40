/* SPDX-License-Identifier: MIT */
/* Annotation lists, and the onsets of the data records of an EDF+D. */
#include "recording/edf_parse.h"
#include "unit/edf_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
/* A literal may have NULs inside. */
#define LIST(text) (const unsigned char *)(text), sizeof(text) - 1

static void test_onset(void **state)
{
    (void)state;
    double t = 0.0;
    assert_true(pv_edf_onset(LIST("+12.5\x14\x14\0"), &t) && t == 12.5);
    assert_true(pv_edf_onset(LIST("-0.25\x15"
                                  "30\x14"
                                  "a\x14\0"),
                             &t) &&
                t == -0.25);
    assert_true(pv_edf_onset(LIST("+0\x14"), &t) && t == 0.0);
    assert_false(pv_edf_onset(LIST(""), &t));
    assert_false(pv_edf_onset(LIST("\x14\x14"), &t));
    assert_false(pv_edf_onset(LIST("+12.5"), &t)); /* no end */
    assert_false(pv_edf_onset(LIST("12.5\x14\x14"), &t));
    assert_false(pv_edf_onset(LIST("+\x14\x14"), &t));
    assert_false(pv_edf_onset(LIST("+1 \x14\x14"), &t));
    assert_false(pv_edf_onset(LIST("\0\0\0\0"), &t));
}

static void test_texts(void **state)
{
    (void)state;
    assert_int_equal(pv_edf_count_texts(LIST("")), 0);
    assert_int_equal(pv_edf_count_texts(LIST("\0\0\0")), 0);
    assert_int_equal(pv_edf_count_texts(LIST("+0\x14\x14\0")), 0);
    assert_int_equal(pv_edf_count_texts(LIST("+0\x14\x14\0+1\x14"
                                             "a\x14\0\0\0")),
                     1);
    assert_int_equal(pv_edf_count_texts(LIST("+0\x14\x14"
                                             "a\x14"
                                             "b\x14\0")),
                     2);
    assert_int_equal(pv_edf_count_texts(LIST("+0\x15"
                                             "30\x14"
                                             "Sleep stage W\x14\0")),
                     1);
    assert_int_equal(pv_edf_count_texts(LIST("+0\x14"
                                             "a\x14")),
                     1); /* no NUL */
    assert_int_equal(pv_edf_count_texts(LIST("+0\x14"
                                             "a\0+1\x14"
                                             "b\x14\0")),
                     1); /* a: no end */
    assert_int_equal(pv_edf_count_texts(LIST("x\x14"
                                             "a\x14\0+1\x14"
                                             "b\x14\0")),
                     1);
    assert_int_equal(pv_edf_count_texts(LIST("+0\x15"
                                             "30\0")),
                     0); /* no text at all */
    assert_int_equal(pv_edf_count_texts(LIST("+0\x14\0")), 0);
}

/* Three signals, the annotations in the middle, records of one second. */
static void make(edf_file *file, bool bdf, char kind, const char *const *onsets, size_t records)
{
    edf_file_make(file, bdf, 3, 8, records);
    edf_file_plus(file, 1, kind);
    for (size_t r = 0; r < records; r++)
        memcpy(edf_file_at(file, 1, r), onsets[r], strlen(onsets[r]));
}

static void put(edf_file *file, size_t i, size_t r, const unsigned char *list, size_t size)
{
    assert_true(size <= file->per_record * file->sample);
    memcpy(edf_file_at(file, i, r), list, size);
}

static void test_segments(void **state)
{
    (void)state;
    static const char *const onsets[] = {"+0.5\x14\x14", "+1.5\x14\x14",     "+2.5004\x14\x14",
                                         "+10\x14\x14",  "+11.0015\x14\x14", "+12.0015\x14\x14",
                                         "+12.5\x14\x14"};
    static const pv_edf_segment expected[] = {
        {0, 3, 0.0}, {3, 1, 9.5}, {4, 2, 10.5015}, {6, 1, 12.0}};
    for (int bdf = 0; bdf < 2; bdf++) {
        edf_file file;
        psgvit_error err;
        pv_edf *edf = NULL;
        make(&file, bdf != 0, 'D', onsets, COUNT(onsets));
        assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_OK);
        assert_true(edf->discontinuous && edf->signal[1].annotations);
        assert_false(edf->signal[0].annotations);
        assert_int_equal(edf->segments, COUNT(expected));
        for (size_t i = 0; i < COUNT(expected); i++) {
            assert_int_equal(edf->segment[i].first, expected[i].first);
            assert_int_equal(edf->segment[i].count, expected[i].count);
            assert_true(fabs(edf->segment[i].onset - expected[i].onset) < 1e-12);
        }
        assert_non_null(strstr(file.log, "starts 0.5 s after the second in its header"));
        assert_non_null(strstr(file.log, "gaps between its data records: 2"));
        assert_non_null(
            strstr(file.log, "data records that begin before the end of the one before: 1"));
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

static void test_without_gap(void **state)
{
    (void)state;
    static const char *const onsets[] = {"+7\x14\x14", "+8\x14\x14"};
    edf_file file;
    psgvit_error err;
    pv_edf *edf = NULL;
    make(&file, false, 'D', onsets, 2);
    assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_OK);
    assert_int_equal(edf->segments, 1);
    assert_true(edf->segment->onset == 7.0);
    assert_string_equal(file.log, "");
    pv_edf_close(edf);
    edf_file_free(&file);
}

static void refused(const char *const *onsets, size_t records, const char *words)
{
    edf_file file;
    psgvit_error err;
    pv_edf *edf = NULL;
    make(&file, false, 'D', onsets, records);
    assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_E_INPUT);
    assert_null(edf);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say '%s'", err.message, words);
    edf_file_free(&file);
}

static void test_refused(void **state)
{
    (void)state;
    refused((const char *const[]){"+0\x14\x14", "+5\x14\x14", "+4\x14\x14"}, 3,
            "night.edf: onset of data record 2: expected more than 5 s, that of the one before, "
            "found 4 s");
    refused((const char *const[]){"+3\x14\x14", "+3\x14\x14"}, 2, "onset of data record 1");
    refused((const char *const[]){"+3\x14\x14", ""}, 2,
            "onset of data record 1: expected '+' or '-' and seconds");
    refused((const char *const[]){"-40\x14\x14", "-39\x14\x14"}, 2,
            "night.edf: onset of data record 0: expected 0 s or more, since the header tells when "
            "the recording starts, found -40 s");
    refused((const char *const[]){"-0.002\x14\x14"}, 1, "found -0.002");
    refused((const char *const[]){"+1e999\x14"}, 1, "onset of data record 0");
    edf_file file;
    psgvit_error err;
    pv_edf *edf = NULL;
    edf_file_make(&file, false, 2, 8, 2);
    edf_file_set(&file, EDF_RESERVED, 0, "EDF+D");
    assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_E_INPUT);
    assert_non_null(strstr(err.message, "expected a signal 'EDF Annotations'"));
    edf_file_free(&file);
    edf_file_make(&file, true, 2, 8, 2);
    edf_file_set(&file, EDF_RESERVED, 0, "BDF+D");
    assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_E_INPUT);
    assert_non_null(strstr(err.message, "expected a signal 'BDF Annotations'"));
    edf_file_free(&file);
}

static void test_many_segments(void **state)
{
    (void)state;
    enum { RECORDS = 1000 };
    edf_file file;
    psgvit_error err;
    pv_edf *edf = NULL;
    edf_file_make(&file, false, 1, 8, RECORDS);
    edf_file_plus(&file, 0, 'D');
    for (size_t r = 0; r < RECORDS; r++)
        snprintf((char *)edf_file_at(&file, 0, r), 16, "+%zu\x14\x14", 2 * r);
    assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_OK);
    assert_int_equal(edf->segments, RECORDS);
    for (size_t r = 0; r < RECORDS; r++) {
        assert_int_equal(edf->segment[r].first, r);
        assert_true(edf->segment[r].onset == 2.0 * (double)r);
    }
    pv_edf_close(edf);
    edf_file_free(&file);
}

/* A hypnogram's file: annotations alone, records without a duration. */
static void test_annotations_alone(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        bool discontinuous = kind & 1, bdf = kind & 2;
        edf_file file;
        psgvit_error err;
        pv_edf *edf = NULL;
        size_t count = 99;
        edf_file_make(&file, bdf, 2, 12, 2);
        edf_file_plus(&file, 0, discontinuous ? 'D' : 'C');
        edf_file_plus(&file, 1, discontinuous ? 'D' : 'C');
        edf_file_set(&file, EDF_SECONDS, 0, "0");
        put(&file, 0, 0,
            LIST("+0\x14\x14\0+0\x15"
                 "30\x14W\x14\0"));
        put(&file, 0, 1, LIST("+30\x14\x14\0+30\x14N1\x14\0"));
        put(&file, 1, 1, LIST("+31\x14x\x14y\x14\0"));
        assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_OK);
        assert_true(edf->record_seconds == 0.0 && edf->signal[0].rate == 0.0);
        assert_int_equal(edf->segments, discontinuous ? 2 : 1);
        assert_int_equal(pv_edf_count_annotations(edf, &count, &err), PSGVIT_OK);
        assert_int_equal(count, 4);
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

static void test_no_annotations(void **state)
{
    (void)state;
    edf_file file;
    psgvit_error err;
    pv_edf *edf = NULL;
    size_t count = 99;
    edf_file_make(&file, false, 2, 12, 2);
    edf_file_set(&file, EDF_RESERVED, 0, "EDF+C");
    assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_OK);
    assert_int_equal(pv_edf_count_annotations(edf, &count, &err), PSGVIT_OK);
    assert_int_equal(count, 0);
    pv_edf_close(edf);
    edf_file_free(&file);
    /* Without a record there is no onset, either. */
    edf_file_make(&file, false, 2, 12, 0);
    edf_file_set(&file, EDF_RESERVED, 0, "EDF+D");
    assert_int_equal(edf_file_open(&edf, &file, &err), PSGVIT_OK);
    assert_int_equal(edf->segments, 0);
    pv_edf_close(edf);
    edf_file_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onset),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_without_gap),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many_segments),
        cmocka_unit_test(test_annotations_alone),
        cmocka_unit_test(test_no_annotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
