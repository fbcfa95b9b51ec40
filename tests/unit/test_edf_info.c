/* SPDX-License-Identifier: MIT */
/* What the public is told of an EDF, through psgvit_recording_open. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "fault/inject.h"
#include "unit/edf_file.h"

#include <psgvit/recording.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static psgvit_recording *open_bytes(const char *path, const void *bytes, size_t size)
{
    psgvit_error err;
    psgvit_recording *recording = NULL;
    inject_file(path, bytes, size);
    if (psgvit_recording_open(&recording, path, NULL, &err))
        fail_msg("%s", err.message);
    return recording;
}

static void test_info(void **state)
{
    (void)state;
    edf_file file;
    char path[128];
    edf_file_make(&file, true, 3, 8, 3);
    edf_file_plus(&file, 1, 'D');
    memcpy(edf_file_at(&file, 1, 0), "+0.5\x14\x14", 6);
    memcpy(edf_file_at(&file, 1, 1), "+1.5\x14\x14\0+2\x14zz\x14", 14);
    memcpy(edf_file_at(&file, 1, 2), "+9\x14\x14", 4);
    edf_file_set(&file, EDF_PHYSICAL_MAX, 2, "-1000");
    inject_folder(path, "night.bdf");
    psgvit_recording *r = open_bytes(path, file.source.memory, (size_t)file.source.size);
    assert_int_equal(psgvit_recording_get_info(r)->format, PSGVIT_FORMAT_EDF);
    const psgvit_edf_info *edf = psgvit_recording_get_edf(r);
    assert_non_null(edf);
    assert_true(edf->bdf && edf->plus && edf->discontinuous);
    assert_string_equal(edf->patient, "X F X X");
    assert_string_equal(edf->recording, "a night");
    assert_string_equal(edf->start, "2001-02-03T22:30:59");
    assert_int_equal(edf->records, 3);
    assert_true(edf->record_seconds == 1.0);
    assert_int_equal(edf->signals, 3);
    assert_string_equal(edf->signal[0].label, "S0");
    assert_string_equal(edf->signal[0].transducer, "AgAgCl");
    assert_string_equal(edf->signal[0].unit, "uV");
    assert_string_equal(edf->signal[0].prefilter, "HP:0.1Hz");
    assert_true(edf->signal[0].physical_min == -1000.0 && edf->signal[0].physical_max == 1000.0);
    assert_int_equal(edf->signal[0].digital_min, -8388608);
    assert_int_equal(edf->signal[0].digital_max, 8388607);
    assert_int_equal(edf->signal[0].per_record, 8);
    assert_true(edf->signal[0].rate == 8.0);
    assert_false(edf->signal[0].annotations);
    assert_true(edf->signal[1].annotations);
    assert_string_equal(edf->signal[0].defect, "");
    assert_non_null(strstr(edf->signal[2].defect, "range is zero"));
    assert_int_equal(edf->segments, 2);
    assert_true(edf->segment[0].onset == 0.0 && edf->segment[0].seconds == 2.0);
    assert_true(edf->segment[1].onset == 8.5 && edf->segment[1].seconds == 1.0);
    psgvit_error err = {.code = PSGVIT_E_MODEL};
    size_t count = 99;
    assert_int_equal(psgvit_recording_count_annotations(r, &count, &err), PSGVIT_OK);
    assert_int_equal(err.code, PSGVIT_OK);
    assert_int_equal(count, 1);
    inject_file(path, file.source.memory, 1100); /* shorter, under the reader's eyes */
    assert_int_equal(psgvit_recording_count_annotations(r, &count, &err), PSGVIT_E_INPUT);
    psgvit_recording_close(&r);
    inject_folder_end(path);
    edf_file_free(&file);
}

static void test_other_formats(void **state)
{
    (void)state;
    char path[128];
    psgvit_error err;
    size_t count = 99;
    inject_folder(path, "night.bin");
    psgvit_recording *r = open_bytes(path, "12345678", 8);
    assert_null(psgvit_recording_get_edf(r));
    assert_null(psgvit_recording_get_edf(NULL));
    assert_int_equal(psgvit_recording_count_annotations(r, &count, &err), PSGVIT_OK);
    assert_int_equal(count, 0);
    assert_int_equal(psgvit_recording_count_annotations(r, NULL, &err), PSGVIT_E_ARGUMENT);
    assert_int_equal(psgvit_recording_count_annotations(NULL, &count, &err), PSGVIT_E_ARGUMENT);
    psgvit_recording_close(&r);
    inject_folder_end(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_other_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
