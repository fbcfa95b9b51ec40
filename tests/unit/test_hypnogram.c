/* SPDX-License-Identifier: MIT */
/* The three forms of a hypnogram; the EDF+ file is read back by EDFlib. */
#define _GNU_SOURCE 1
#include "hypnogram.h"
#include "night_fixture.h"

#include <edflib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Writes the file, in parts of at most `part` epochs whose scores repeat the fixture's. */
static void write_hypnogram(const char *path, hypnogram_format format, const night_facts *n)
{
    cli_failure failure = {0};
    linear_head *h = open_head();
    hypnogram *g = NULL;
    assert_int_equal(hypnogram_open(&g, path, format, n, h, &failure), CLI_DONE);
    for (size_t e = 0; e < n->epochs; e += EPOCHS)
        assert_int_equal(
            hypnogram_put(g, e, n->epochs - e < EPOCHS ? n->epochs - e : EPOCHS, &scores, &failure),
            CLI_DONE);
    assert_int_equal(hypnogram_finish(g, &failure), CLI_DONE);
    assert_int_equal(files_in_folder(), 0);
    assert_int_equal(hypnogram_commit(&g, &failure), CLI_DONE);
    assert_null(g);
    head_close(&h);
}

static void check_text(hypnogram_format format, const char *expected)
{
    const char *path = path_of("h.txt");
    write_hypnogram(path, format, &gap_night);
    size_t size;
    char *text = read_file(path, &size);
    assert_string_equal(text, expected);
    free(text);
    unlink(path);
}

static void test_tsv(void **state)
{
    (void)state;
    check_text(HYPNOGRAM_TSV, "onset\tduration\tstage\tconfidence\tp_W\tp_N2\tp_a,\"b|c\n"
                              "0\t30\tW\t0.5\t0.5\t0.25\t0.25\n"
                              "30\t30\tN2\t0.75\t0.125\t0.75\t0.125\n"
                              "90.5\t30\ta,\"b|c\t0.699999988\t0.100000001\t0.200000003\t"
                              "0.699999988\n"
                              "120.5\t30\tn/a\tn/a\tn/a\tn/a\tn/a\n"
                              "150.5\t30\tN2\t1\t0\t1\t0\n");
}

static void test_annot(void **state)
{
    (void)state;
    static const char numbers[] = "confidence[num] p_W[num] p_N2[num] p_a__b_c[num]";
    char expected[1024];
    snprintf(expected, sizeof expected,
             "# W | stage | %s\n# N2 | stage | %s\n# a,_b_c | stage | %s\n"
             "class\tinstance\tchannel\tstart\tstop\tmeta\n"
             "W\t.\t.\t0\t30\tconfidence=0.5;p_W=0.5;p_N2=0.25;p_a__b_c=0.25\n"
             "N2\t.\t.\t30\t60\tconfidence=0.75;p_W=0.125;p_N2=0.75;p_a__b_c=0.125\n"
             "a,_b_c\t.\t.\t90.5\t120.5\tconfidence=0.699999988;p_W=0.100000001;"
             "p_N2=0.200000003;p_a__b_c=0.699999988\n"
             "?\t.\t.\t120.5\t150.5\t.\n"
             "N2\t.\t.\t150.5\t180.5\tconfidence=1;p_W=0;p_N2=1;p_a__b_c=0\n",
             numbers, numbers, numbers);
    check_text(HYPNOGRAM_ANNOT, expected);
}

/* Opens it by EDFlib; the header is large. */
static struct edf_hdr_struct *open_edf(const char *path)
{
    struct edf_hdr_struct *header = calloc(1, sizeof *header);
    assert_non_null(header);
    if (edfopen_file_readonly(path, header, EDFLIB_READ_ALL_ANNOTATIONS))
        fail_msg("EDFlib: %d", header->filetype);
    assert_int_equal(header->filetype, EDFLIB_FILETYPE_EDFPLUS);
    assert_int_equal(header->edfsignals, 0);
    return header;
}

static void check_annotation(int handle, int index, double onset, const char *words)
{
    struct edf_annotation_struct a;
    assert_int_equal(edf_get_annotation(handle, index, &a), 0);
    assert_true(a.onset == (long long)(onset * EDFLIB_TIME_DIMENSION));
    assert_string_equal(a.duration, "30");
    assert_string_equal(a.annotation, words);
}

static const char *const words[EPOCHS] = {"Sleep stage W", "Sleep stage N2", "a,\"b|c",
                                          "Sleep stage ?", "Sleep stage N2"};

static void test_edf(void **state)
{
    (void)state;
    const char *path = path_of("h.edf");
    write_hypnogram(path, HYPNOGRAM_EDF, &gap_night);
    struct edf_hdr_struct *header = open_edf(path);
    assert_int_equal(header->startdate_year, 2001);
    assert_int_equal(header->startdate_month, 2);
    assert_int_equal(header->startdate_day, 3);
    assert_int_equal(header->starttime_hour, 22);
    assert_int_equal(header->starttime_minute, 30);
    assert_int_equal(header->annotations_in_file, EPOCHS);
    for (int e = 0; e < EPOCHS; e++)
        check_annotation(header->handle, e, gap_night.epoch_start_s[e], words[e]);
    edfclose_file(header->handle);
    free(header);
    unlink(path);
}

/* More than a record holds, no clock, and no known start. */
static void test_long_edf(void **state)
{
    (void)state;
    enum { MANY = 9000 };
    night_facts n = {.source = "x.bin", .start = "", .epoch_seconds = 30, .epochs = MANY};
    const char *path = path_of("h.edf");
    write_hypnogram(path, HYPNOGRAM_EDF, &n);
    struct edf_hdr_struct *header = open_edf(path);
    assert_int_equal(header->startdate_year, 1985);
    assert_true(header->datarecords_in_file > 3);
    assert_int_equal(header->annotations_in_file, MANY);
    for (int e = 0; e < MANY; e++)
        check_annotation(header->handle, e, e * 30.0, words[e % EPOCHS]);
    edfclose_file(header->handle);
    free(header);
    unlink(path);
}

static void test_starts(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"1999-12-31T00:00:59", "31.12.9900.00.59", "Startdate 31-DEC-1999 X X psgvit "},
        {"2084-01-01T23:59:59", "01.01.8423.59.59", "Startdate 01-JAN-2084 X X psgvit "},
        {"2085-01-01T23:59:59", "01.01.yy23.59.59", "Startdate 01-JAN-2085 X X psgvit "},
        {"", "01.01.8500.00.00", "Startdate X X X psgvit "},
        {"2001-13-01T23:59:59", "01.01.8500.00.00", "Startdate X X X psgvit "},
        {"yesterday", "01.01.8500.00.00", "Startdate X X X psgvit "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        night_facts n = gap_night;
        n.start = cases[i][0];
        const char *path = path_of("h.edf");
        write_hypnogram(path, HYPNOGRAM_EDF, &n);
        size_t size;
        char *text = read_file(path, &size);
        assert_memory_equal(text + 88, cases[i][2], strlen(cases[i][2]));
        assert_memory_equal(text + 168, cases[i][1], 16);
        assert_int_equal(size, 512 + 2 * atoi(text + 472)); /* one record, as short as can be */
        free(text);
        unlink(path);
    }
}

static void test_failures(void **state)
{
    (void)state;
    cli_failure failure = {0};
    hypnogram *g = NULL;
    linear_head *h = open_head();
    assert_int_equal(
        hypnogram_open(&g, path_of("no/h.tsv"), HYPNOGRAM_TSV, &gap_night, h, &failure),
        CLI_OUTPUT);
    assert_null(g);
    assert_non_null(strstr(failure.message, "no/h.tsv"));
    assert_int_equal(hypnogram_open(&g, path_of("h.edf"), HYPNOGRAM_EDF, &gap_night, h, &failure),
                     CLI_DONE);
    assert_int_equal(hypnogram_put(g, 0, EPOCHS, &scores, &failure), CLI_DONE);
    hypnogram_abort(&g);
    hypnogram_abort(&g);
    hypnogram_abort(NULL);
    assert_int_equal(files_in_folder(), 0);
    head_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tsv),    cmocka_unit_test(test_annot),
        cmocka_unit_test(test_edf),    cmocka_unit_test(test_long_edf),
        cmocka_unit_test(test_starts), cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, set_up_folder, tear_down_folder);
}
