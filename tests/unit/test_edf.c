/* SPDX-License-Identifier: MIT */
/*
 * The EDF reader, field by field: what is read, what is refused with which words, and what is
 * tolerated with which line in the log. Against other readers: tests/recording.
 */
#define _POSIX_C_SOURCE 200809L /* fileno */
#include "recording/edf_parse.h"
#include "recording/physical.h"
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

static pv_edf *open_ok(edf_file *file)
{
    psgvit_error err = {0};
    pv_edf *edf = NULL;
    if (edf_file_open(&edf, file, &err))
        fail_msg("%s", err.message);
    assert_non_null(edf);
    return edf;
}

static void open_fails(edf_file *file, const char *words)
{
    psgvit_error err = {0};
    pv_edf *edf = (pv_edf *)1;
    assert_int_equal(edf_file_open(&edf, file, &err), PSGVIT_E_INPUT);
    assert_null(edf);
    if (!strstr(err.message, words) || strncmp(err.message, "night.edf: ", 11) != 0)
        fail_msg("'%s' does not say '%s'", err.message, words);
}

static void has_line(const edf_file *file, const char *words)
{
    if (!strstr(file->log, words))
        fail_msg("the log does not say '%s': %s", words, file->log);
}

/* ---- what is read ---- */

static void test_header(void **state)
{
    (void)state;
    edf_file file;
    edf_file_make(&file, false, 3, 10, 4);
    edf_file_set(&file, EDF_SECONDS, 0, "0.5");
    edf_file_set(&file, EDF_LABEL, 1, " EEG C3-A2");
    edf_file_set(&file, EDF_UNIT, 1, "\265V"); /* Latin-1, as real files have it */
    edf_file_set(&file, EDF_LABEL, 2, "a\tb\177");
    edf_file_set(&file, EDF_PREFILTER, 2, "");
    pv_edf *edf = open_ok(&file);
    assert_string_equal(file.log, "");
    assert_ptr_equal(edf->source, &file.source);
    assert_string_equal(edf->patient, "X F X X");
    assert_string_equal(edf->recording, "a night");
    assert_string_equal(edf->start, "2001-02-03T22:30:59");
    assert_false(edf->bdf || edf->plus || edf->discontinuous);
    assert_int_equal(edf->signals, 3);
    assert_int_equal(edf->records, 4);
    assert_true(edf->record_seconds == 0.5);
    assert_int_equal(edf->record_bytes, 60);
    assert_int_equal(edf->data, 1024);
    const pv_edf_signal *s = edf->signal;
    assert_string_equal(s[0].transducer, "AgAgCl");
    assert_string_equal(s[0].prefilter, "HP:0.1Hz");
    assert_string_equal(s[2].prefilter, "");
    assert_string_equal(s[1].label, "EEG C3-A2");
    assert_string_equal(s[1].unit, "\265V");
    assert_string_equal(s[2].label, "a?b?");
    assert_true(s[0].physical_min == -1000.0 && s[0].physical_max == 1000.0);
    assert_true(s[0].digital_min == -32768 && s[0].digital_max == 32767);
    assert_true(s[0].gain == 2000.0 / 65535.0);
    assert_true(s[0].offset == 1000.0 / (2000.0 / 65535.0) - 32767.0);
    assert_int_equal(s[2].per_record, 10);
    assert_int_equal(s[2].at, 40);
    assert_true(s[2].rate == 20.0);
    assert_false(s[2].annotations);
    assert_string_equal(s[2].defect, "");
    assert_int_equal(edf->segments, 1);
    assert_int_equal(edf->segment->first, 0);
    assert_int_equal(edf->segment->count, 4);
    assert_true(edf->segment->onset == 0.0);
    pv_edf_close(edf);
    pv_edf_close(NULL);
    edf_file_free(&file);
}

static void check_samples(bool bdf)
{
    edf_file file;
    edf_file_make(&file, bdf, 3, 50, 6);
    pv_edf *edf = open_ok(&file);
    psgvit_error err = {0};
    unsigned char *bytes = malloc(3 * edf->record_bytes);
    float *physical = malloc(sizeof(float) * 150);
    int32_t *digital = malloc(sizeof(int32_t) * 150);
    assert_true(bytes && physical && digital);
    assert_int_equal(edf->bdf, bdf);
    assert_int_equal(pv_edf_read(edf, 2, 3, bytes, &err), PSGVIT_OK);
    for (size_t i = 0; i < 3; i++) {
        const pv_edf_signal *s = &edf->signal[i];
        pv_edf_digital(edf, i, bytes, 3, digital);
        edf_physical(edf, i, digital, 3, physical);
        for (size_t k = 0; k < 150; k++) {
            int32_t expected = edf_sample(&file, i, 2 + k / 50, k % 50);
            assert_int_equal(digital[k], expected);
            assert_true(physical[k] == (float)(s->gain * (s->offset + (double)expected)));
        }
    }
    assert_int_equal(pv_edf_read(edf, 6, 0, bytes, &err), PSGVIT_OK);
    assert_int_equal(pv_edf_read(edf, 6, 1, bytes, &err), PSGVIT_E_ARGUMENT);
    assert_int_equal(pv_edf_read(edf, 7, 0, bytes, &err), PSGVIT_E_ARGUMENT);
    assert_int_equal(pv_edf_read(edf, 1, SIZE_MAX, bytes, &err), PSGVIT_E_ARGUMENT);
    free(bytes);
    free(physical);
    free(digital);
    pv_edf_close(edf);
    edf_file_free(&file);
}

static void test_samples(void **state)
{
    (void)state;
    check_samples(false);
    check_samples(true);
}

/* The ends of the stored range, and what lies beyond the header's. */
static void test_extremes(void **state)
{
    (void)state;
    static const unsigned char ends[2][9] = {{0xFF, 0x7F, 0x00, 0x80, 0xFF, 0xFF},
                                             {0xFF, 0xFF, 0x7F, 0, 0, 0x80, 0xFF, 0xFF, 0xFF}};
    for (int bdf = 0; bdf < 2; bdf++) {
        edf_file file;
        edf_file_make(&file, bdf != 0, 1, 3, 1);
        edf_file_set(&file, EDF_DIGITAL_MIN, 0, "-100");
        edf_file_set(&file, EDF_DIGITAL_MAX, 0, "100");
        memcpy(edf_file_at(&file, 0, 0), ends[bdf], 3 * file.sample);
        pv_edf *edf = open_ok(&file);
        int32_t digital[3], most = bdf ? 8388607 : 32767;
        float physical[3];
        pv_edf_digital(edf, 0, edf_file_at(&file, 0, 0), 1, digital);
        edf_physical(edf, 0, digital, 1, physical);
        assert_int_equal(digital[0], most);
        assert_int_equal(digital[1], -most - 1);
        assert_int_equal(digital[2], -1);
        assert_true(physical[0] == (float)(10.0 * most) && physical[2] == -10.0f);
        assert_string_equal(file.log, "");
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0.0},         {"-0", 0.0},      {"+12", 12.0},         {"-1.5", -1.5},
                {"1,5", 1.5},       {".5", 0.5},      {"7.", 7.0},           {"1e3", 1000.0},
                {"2.5E-2", 0.025},  {"1e+2", 100.0},  {"0e9999999", 0.0},    {"1e-9999", 0.0},
                {"-32768", -32768}, {"0.001", 0.001}, {"99999999", 99999999}};
    static const char *const bad[] = {"",    "+",   "-",   ".",     ",",    "e5",     "1e",
                                      "1e-", "abc", "1 2", "1.2.3", "0x10", "1e9999", "1e5x",
                                      "--1", "nan", "inf", " 1",    "1e1.5"};
    double value;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(pv_edf_number(good[i].text, strlen(good[i].text), &value));
        if (value != good[i].value)
            fail_msg("'%s' became %.17g", good[i].text, value);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (pv_edf_number(bad[i], strlen(bad[i]), &value))
            fail_msg("'%s' was taken for a number", bad[i]);
    assert_true(pv_edf_number("1.00000000000000000000000000000000001", 37, &value));
    assert_true(value == 1.0);
    assert_true(pv_edf_number("12345", 2, &value) && value == 12.0);
}

static void test_start(void **state)
{
    (void)state;
    static const struct {
        const char *recording, *date, *time, *start;
    } cases[] = {
        {"", "01.01.85", "00.00.00", "1985-01-01T00:00:00"},
        {"", "31.12.84", "23.59.59", "2084-12-31T23:59:59"},
        {"", "29.02.00", "22.30.59", "2000-02-29T22:30:59"},
        {"", "1:2/9", "1-2-3", "2009-02-01T01:02:03"},
        {"", "01. 2.09", " 1. 2. 3", "2009-02-01T01:02:03"},
        {"", "29.02.01", "22.30.59", ""},
        {"", "31.04.01", "22.30.59", ""},
        {"", "00.01.01", "22.30.59", ""},
        {"", "01.00.01", "22.30.59", ""},
        {"", "01.13.01", "22.30.59", ""},
        {"", "01.01.yy", "22.30.59", ""},
        {"", "010101", "22.30.59", ""},
        {"", "01.01", "22.30.59", ""},
        {"", "01x01x01", "22.30.59", ""},
        {"", "01.01.01", "24.00.00", ""},
        {"", "01.01.01", "22.60.00", ""},
        {"", "01.01.01", "22.30.60", ""},
        {"", "01.01.01", "22.30.1x", ""},
        {"", "01.01.01", "", ""},
        /* An EDF+ has a year of four digits. */
        {"Startdate 02-MAR-1972 X X X", "01.01.yy", "22.30.59", "1972-03-02T22:30:59"},
        {"Startdate 31-DEC-2101", "01.01.01", "22.30.59", "2101-12-31T22:30:59"},
        {"Startdate 29-FEB-1900 X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
        {"Startdate 02-XXX-1972 X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
        {"Startdate x2-MAR-1972 X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
        {"Startdate 0x-MAR-1972 X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
        {"Startdate 02.MAR-1972 X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
        {"Startdate 02-MAR.1972 X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
        {"Startdate 02-MAR-19x2 X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
        {"Begindate 02-MAR-1972 X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
        {"Startdate X X X X", "01.01.01", "22.30.59", "2001-01-01T22:30:59"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        edf_file file;
        edf_file_make(&file, false, 2, 40, 1);
        edf_file_set(&file, EDF_RESERVED, 0, "EDF+C");
        edf_file_set(&file, EDF_RECORDING, 0, cases[i].recording);
        edf_file_set(&file, EDF_DATE, 0, cases[i].date);
        edf_file_set(&file, EDF_TIME, 0, cases[i].time);
        pv_edf *edf = open_ok(&file);
        assert_string_equal(edf->start, cases[i].start);
        if (!cases[i].start[0])
            has_line(&file, "its start can't be read");
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        bool bdf;
        const char *reserved;
        bool plus;
    } cases[] = {{false, "EDF+C", true}, {true, "BDF+C", true}, {false, "BDF+C", false},
                 {true, "EDF+D", false}, {false, "EDF+", true}, {false, "EDF", false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        edf_file file;
        edf_file_make(&file, cases[i].bdf, 1, 4, 1);
        edf_file_set(&file, EDF_RESERVED, 0, cases[i].reserved);
        pv_edf *edf = open_ok(&file);
        assert_int_equal(edf->plus, cases[i].plus);
        assert_false(edf->discontinuous);
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        enum edf_field field;
        const char *text, *words;
    } cases[] = {
        {EDF_VERSION, "1", "neither '0' nor \\xffBIOSEMI"},
        {EDF_VERSION, "\377BIOSEMA", "neither '0' nor \\xffBIOSEMI"},
        {EDF_SIGNALS, "0", "number of signals: expected 1 to 4096, found '0'"},
        {EDF_SIGNALS, "4097", "found '4097'"},
        {EDF_SIGNALS, "-1", "found '-1'"},
        {EDF_SIGNALS, "2.5", "found '2.5'"},
        {EDF_SIGNALS, "", "found ''"},
        {EDF_SIGNALS, "two", "found 'two'"},
        {EDF_SIGNALS, "3", "size of the header: expected 1024 for 3 signals, found '768'"},
        {EDF_HEADER_BYTES, "512", "expected 768 for 2 signals, found '512'"},
        {EDF_HEADER_BYTES, "", "expected 768 for 2 signals, found ''"},
        {EDF_HEADER_BYTES, "768x", "found '768x'"},
        {EDF_SECONDS, "x", "duration of a data record: expected seconds, found 'x'"},
        {EDF_SECONDS, "-1", "found '-1'"},
        {EDF_SECONDS, "", "found ''"},
        {EDF_SECONDS, "1e-7", "found '1e-7'"},
        {EDF_SECONDS, "2e9", "found '2e9'"},
        {EDF_SECONDS, "0", "signal 0 ('S0'): expected annotations alone"},
        {EDF_PER_RECORD, "x",
         "signal 1 ('S1'): samples in a data record: expected a whole number, "
         "found 'x'"},
        {EDF_PER_RECORD, "", "found ''"},
        {EDF_PER_RECORD, "-1", "found '-1'"},
        {EDF_PER_RECORD, "1.5", "found '1.5'"},
        {EDF_PER_RECORD, "9e9", "found '9e9'"},
        {EDF_PER_RECORD, "1e99", "found '1e99'"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        edf_file file;
        edf_file_make(&file, false, 2, 4, 2);
        edf_file_set(&file, cases[i].field, 1, cases[i].text);
        open_fails(&file, cases[i].words);
        edf_file_free(&file);
    }
}

static void test_large_records(void **state)
{
    (void)state;
    edf_file file;
    edf_file_make(&file, false, 12, 4, 2);
    for (size_t i = 0; i < 12; i++)
        edf_file_set(&file, EDF_PER_RECORD, i, "99999999");
    open_fails(&file, "expected data records of at most 1073741824 bytes, found more");
    edf_file_free(&file);
}

static void test_empty_records(void **state)
{
    (void)state;
    edf_file file;
    edf_file_make(&file, false, 2, 4, 2);
    edf_file_set(&file, EDF_PER_RECORD, 0, "0");
    edf_file_set(&file, EDF_PER_RECORD, 1, "0");
    open_fails(&file, "found no samples");
    edf_file_free(&file);
}

/* Every byte of the header, and every edge of a record. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t size = 0; size < 768; size++) {
        edf_file file;
        edf_file_make(&file, false, 2, 4, 3);
        edf_file_resize(&file, size);
        open_fails(&file, "expected");
        edf_file_free(&file);
    }
    for (size_t size = 768; size <= 768 + 3 * 16; size++) {
        edf_file file;
        edf_file_make(&file, false, 2, 4, 3);
        edf_file_resize(&file, size);
        pv_edf *edf = open_ok(&file);
        size_t records = (size - 768) / 16;
        assert_int_equal(edf->records, records);
        assert_int_equal(edf->segments, records > 0);
        if (records < 3)
            has_line(&file, "tells of 3 data records");
        if (size % 16)
            has_line(&file, "behind the last whole data record");
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

/* ---- what is tolerated ---- */

static void test_record_counts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {{"-1", "does not tell the number of data records: the file has 3"},
                 {"", "does not tell"},
                 {"?", "does not tell"},
                 {"2", "its header tells of 2 data records: the file has 3 whole ones"},
                 {"99999999", "tells of 99999999 data records"},
                 {"0", "tells of 0"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        edf_file file;
        edf_file_make(&file, false, 2, 4, 3);
        edf_file_set(&file, EDF_RECORDS, 0, cases[i].text);
        pv_edf *edf = open_ok(&file);
        assert_int_equal(edf->records, 3);
        has_line(&file, cases[i].words);
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

/* A sparse file: nothing of its data is read. */
static void test_most_records(void **state)
{
    (void)state;
    edf_file file;
    FILE *f = tmpfile();
    edf_file_make(&file, false, 1, 1, 1);
    assert_non_null(f);
    assert_int_equal(fwrite(file.source.memory, 1, 512, f), 512);
    assert_int_equal(fflush(f), 0);
    file.source.fd = fileno(f);
    file.source.size = 512 + 2 * 99999999ull;
    pv_edf *edf = open_ok(&file);
    assert_int_equal(edf->records, 99999999);
    pv_edf_close(edf);
    file.source.size += 2;
    open_fails(&file, "expected at most 99999999 data records, found 100000000");
    fclose(f);
    edf_file_free(&file);
}

static void test_trailing_bytes(void **state)
{
    (void)state;
    edf_file file;
    edf_file_make(&file, true, 2, 4, 3);
    edf_file_resize(&file, (size_t)file.source.size + 23);
    pv_edf *edf = open_ok(&file);
    assert_int_equal(edf->records, 3);
    has_line(&file, "23 bytes behind the last whole data record are left out");
    pv_edf_close(edf);
    edf_file_free(&file);
}

/* One signal's range is broken: it gets a defect and zeros, the others are read. */
static void test_defects(void **state)
{
    (void)state;
    static const struct {
        enum edf_field field;
        const char *text, *words;
    } cases[] = {
        {EDF_PHYSICAL_MIN, "1000", "its physical range is zero: '1000' to '1000'"},
        {EDF_PHYSICAL_MIN, "?", "its physical range is '?' to '1000': no numbers"},
        {EDF_PHYSICAL_MAX, "", "its physical range is '-1000' to '': no numbers"},
        {EDF_PHYSICAL_MAX, "9e40", "its physical range is beyond a float: '-1000' to '9e40'"},
        {EDF_PHYSICAL_MAX, "1e308", "beyond a float"},
        {EDF_DIGITAL_MAX, "-32768", "its digital range is zero: '-32768' to '-32768'"},
        {EDF_DIGITAL_MIN, "1.5", "its digital range is '1.5' to '32767': no whole numbers"},
        {EDF_DIGITAL_MAX, "9e9", "no whole numbers"},
        {EDF_DIGITAL_MAX, "-9e9", "no whole numbers"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        edf_file file;
        psgvit_error err;
        unsigned char bytes[24];
        int32_t digital[4];
        float zeros[4], values[4];
        edf_file_make(&file, false, 3, 4, 2);
        edf_file_set(&file, cases[i].field, 1, cases[i].text);
        pv_edf *edf = open_ok(&file);
        if (!strstr(edf->signal[1].defect, cases[i].words))
            fail_msg("'%s' does not say '%s'", edf->signal[1].defect, cases[i].words);
        has_line(&file, "signal 1 ('S1') can't be used: its ");
        assert_string_equal(edf->signal[0].defect, "");
        assert_string_equal(edf->signal[2].defect, "");
        assert_int_equal(pv_edf_read(edf, 1, 1, bytes, &err), PSGVIT_OK);
        pv_edf_digital(edf, 1, bytes, 1, digital);
        edf_physical(edf, 1, digital, 1, zeros);
        pv_edf_digital(edf, 2, bytes, 1, digital);
        edf_physical(edf, 2, digital, 1, values);
        for (size_t k = 0; k < 4; k++) {
            const pv_edf_signal *s = &edf->signal[2];
            assert_true(zeros[k] == 0.0f);
            assert_true(values[k] == (float)(s->gain * (s->offset + edf_sample(&file, 2, 1, k))));
        }
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

/* Two ends so far apart that their distance is no double. */
static void test_infinite_range(void **state)
{
    (void)state;
    edf_file file;
    edf_file_make(&file, false, 2, 4, 2);
    edf_file_set(&file, EDF_PHYSICAL_MIN, 0, "-1e308");
    edf_file_set(&file, EDF_PHYSICAL_MAX, 0, "1e308");
    pv_edf *edf = open_ok(&file);
    has_line(&file, "beyond a float: '-1e308' to '1e308'");
    pv_edf_close(edf);
    edf_file_free(&file);
}

static void test_signal_without_samples(void **state)
{
    (void)state;
    edf_file file;
    edf_file_make(&file, false, 2, 4, 2);
    edf_file_set(&file, EDF_PER_RECORD, 0, "0");
    pv_edf *edf = open_ok(&file);
    assert_string_equal(edf->signal[0].defect, "it has no samples");
    assert_int_equal(edf->signal[1].at, 0);
    assert_int_equal(edf->records, 4);
    pv_edf_close(edf);
    edf_file_free(&file);
}

/* Odd ranges that can be used. */
static void test_odd_ranges(void **state)
{
    (void)state;
    static const struct {
        bool bdf;
        enum edf_field field;
        const char *text, *words;
    } cases[] = {
        {false, EDF_PHYSICAL_MIN, "-0,5", "signal 1 ('S1'): the comma is taken as the decimal"},
        {false, EDF_PHYSICAL_MAX, "0,5", "'-1000' to '0,5'"},
        {false, EDF_DIGITAL_MAX, "-32769", "its digital range is swapped: '-32768' to '-32769'"},
        {false, EDF_DIGITAL_MAX, "32768", "is wider than 16 bits: '-32768' to '32768'"},
        {false, EDF_DIGITAL_MIN, "-32769", "is wider than 16 bits"},
        {false, EDF_DIGITAL_MIN, "32768", "is wider than 16 bits"},
        {false, EDF_DIGITAL_MAX, "-32769", "is wider than 16 bits"},
        {true, EDF_DIGITAL_MAX, "8388608", "is wider than 24 bits"},
        {true, EDF_DIGITAL_MAX, "32768.0", ""},
        {false, EDF_PHYSICAL_MIN, "2000", ""}, /* inverted, which the format allows */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        edf_file file;
        edf_file_make(&file, cases[i].bdf, 2, 4, 2);
        edf_file_set(&file, cases[i].field, 1, cases[i].text);
        pv_edf *edf = open_ok(&file);
        const pv_edf_signal *s = &edf->signal[1];
        assert_string_equal(s->defect, "");
        has_line(&file, cases[i].words);
        assert_true(!file.log[0] == !cases[i].words[0]);
        /* Each end of the digital range is the same end of the physical one. */
        assert_true(fabs(s->gain * (s->offset + s->digital_min) - s->physical_min) < 1e-6);
        assert_true(fabs(s->gain * (s->offset + s->digital_max) - s->physical_max) < 1e-6);
        pv_edf_close(edf);
        edf_file_free(&file);
    }
}

static void test_twins_and_nuls(void **state)
{
    (void)state;
    edf_file file;
    edf_file_make(&file, false, 4, 4, 2);
    edf_file_set(&file, EDF_LABEL, 2, "S0");
    memcpy(file.source.memory + 236, "2\0\0\0\0\0\0\0", 8); /* number of records */
    memcpy(file.source.memory + 256, "\0S\0x\0\0\0\0", 8);  /* label of signal 0 */
    pv_edf *edf = open_ok(&file);
    assert_string_equal(edf->signal[0].label, "S x");
    assert_int_equal(edf->records, 2);
    assert_string_equal(file.log, "");
    pv_edf_close(edf);
    edf_file_set(&file, EDF_LABEL, 0, "  S0");
    edf = open_ok(&file);
    has_line(&file, "signal 2 ('S0') has the same label as signal 0");
    pv_edf_close(edf);
    edf_file_free(&file);
}

static void test_most_signals(void **state)
{
    (void)state;
    edf_file file;
    edf_file_make(&file, false, PV_EDF_MAX_SIGNALS, 1, 2);
    pv_edf *edf = open_ok(&file);
    assert_int_equal(edf->signals, 4096);
    assert_int_equal(edf->signal[4095].at, 8190);
    int32_t value;
    pv_edf_digital(edf, 4095, edf_file_at(&file, 0, 1), 1, &value);
    assert_int_equal(value, edf_sample(&file, 4095, 1, 0));
    pv_edf_close(edf);
    edf_file_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),         cmocka_unit_test(test_samples),
        cmocka_unit_test(test_extremes),       cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_start),          cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_large_records),
        cmocka_unit_test(test_empty_records),  cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_record_counts),  cmocka_unit_test(test_most_records),
        cmocka_unit_test(test_trailing_bytes), cmocka_unit_test(test_defects),
        cmocka_unit_test(test_infinite_range), cmocka_unit_test(test_signal_without_samples),
        cmocka_unit_test(test_odd_ranges),     cmocka_unit_test(test_twins_and_nuls),
        cmocka_unit_test(test_most_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
