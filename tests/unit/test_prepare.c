/* SPDX-License-Identifier: MIT */
/*
 * What an EDF is prepared of, apart from the numbers, which test_prepare.py compares: pieces of a
 * scan, the grid of epochs, presets by name, threads, a file that changes, memory that runs out.
 */
#define _GNU_SOURCE 1
#include "fault/inject.h"
#include "recording/prepare.h"
#include "recording/scan.h"
#include "recording/windows.h"
#include "unit/edf_file.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const leads[] = {"ECG", "EMG_Chin", "ABD"};

/* ---- scans ----------------------------------------------------------------------------------- */

static double flat_share(const int32_t *values, size_t count, size_t run)
{
    size_t flat = 0;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && values[end] == values[i];)
            end++;
        flat += end - i >= run ? end - i : 0;
    }
    return count ? (double)flat / (double)count : 0.0;
}

/* Pieces of all lengths, of values with long and short runs, join to the whole. */
static void test_scan(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    int32_t values[COUNT];
    for (uint32_t seed = 1; seed < 400; seed++) {
        uint32_t random = seed;
        size_t clipped = 0, run = 2 + seed % 9;
        for (size_t i = 0; i < COUNT; i++) {
            random = random * 1664525u + 1013904223u;
            bool stay = i && random >> 24 < 100 + seed % 150;
            values[i] = stay ? values[i - 1] : (int32_t)(random >> 20 & 15) - 8;
            clipped += values[i] == -8 || values[i] >= 7;
        }
        pv_scan scan = {0};
        for (size_t at = 0; at < COUNT;) {
            random = random * 1664525u + 1013904223u;
            size_t part = (random >> 16) % (seed % 2 ? 5 : 90); /* now and then none at all */
            part = part < COUNT - at ? part : COUNT - at;
            pv_scan piece = pv_scan_piece(values + at, part, -8, 7, run);
            pv_scan_join(&scan, &piece, run);
            at += part;
        }
        assert_int_equal(scan.samples, COUNT);
        assert_true(pv_scan_clipped(&scan) == (double)clipped / COUNT);
        assert_true(pv_scan_flat(&scan, run) == flat_share(values, COUNT, run));
    }
    assert_true(pv_scan_flat(&(pv_scan){0}, 2) == 0.0);
    assert_true(pv_scan_clipped(&(pv_scan){0}) == 0.0);
}

/* ---- the grid of epochs ---------------------------------------------------------------------- */

static pv_windows windows_of(pv_edf_segment *segment, size_t segments, double record, double length,
                             double stride)
{
    static pv_source source = {.name = (char *)(uintptr_t) "w.edf"};
    pv_edf edf = {
        .source = &source, .segment = segment, .segments = segments, .record_seconds = record};
    pv_windows w;
    psgvit_error err;
    if (pv_windows_make(&w, &edf, length, stride, &err))
        fail_msg("%s", err.message);
    return w;
}

static void test_windows(void **state)
{
    (void)state;
    pv_edf_segment one[] = {{0, 95, 0.0}};
    pv_windows w = windows_of(one, 1, 1.0, 30.0, 30.0);
    assert_int_equal(w.count, 3);
    assert_int_equal(w.skipped, 0);
    assert_true(pv_windows_start(&w, 2) == 60.0 && pv_windows_start(&w, 3) == 0.0);
    assert_true(pv_windows_skipped(&w, 0) == 0.0);
    pv_windows_free(&w);
    w = windows_of(one, 1, 0.1, 4.0, 0.5); /* 9.5 s */
    assert_int_equal(w.count, 12);
    assert_true(pv_windows_start(&w, 11) == 5.5);
    pv_windows_free(&w);
    /* Gaps, a segment too short for an epoch, one that overlaps the one before, a long pause. */
    pv_edf_segment many[] = {
        {0, 40, 0.0}, {40, 10, 45.0}, {50, 100, 59.9}, {150, 30, 150.0}, {180, 31, 299.5}};
    w = windows_of(many, 5, 1.0, 30.0, 30.0);
    static const double kept[] = {0, 60, 90, 120, 150, 300};
    static const double left_out[] = {30, 180, 210, 240, 270};
    assert_int_equal(w.count, 6);
    assert_int_equal(w.skipped, 5);
    for (size_t i = 0; i < 6; i++)
        assert_true(pv_windows_start(&w, i) == kept[i]);
    for (size_t i = 0; i < 5; i++)
        assert_true(pv_windows_skipped(&w, i) == left_out[i]);
    assert_int_equal(pv_windows_find(&w, 4)->segment, 3);
    pv_windows_free(&w);
}

static void test_no_windows(void **state)
{
    (void)state;
    pv_source source = {.name = (char *)(uintptr_t) "w.edf"};
    pv_edf_segment segment[] = {{0, 20, 0.0}, {20, 20, 25.0}};
    pv_edf edf = {.source = &source, .segment = segment, .segments = 2, .record_seconds = 1.0};
    static const struct {
        size_t segments;
        double record, length, stride;
        const char *words;
    } cases[] = {
        {1, 1.0, 30.0, 30.0, "w.edf: expected at least one epoch of 30 s, found 20 s"},
        {0, 1.0, 30.0, 30.0, "found 0 s"},
        {2, 1.0, 30.0, 10.0, "a gap in each of 2"},
        {1, 1e9, 30.0, 30.0, "can't be cut"},
        {1, 1.0, 0.0, 30.0, "can't be cut"},
        {1, 1.0, 30.0, 0.0, "can't be cut"},
        {1, 1.0, 30.0, 1e-20, "can't be cut"},
        {1, 1.0, NAN, 1.0, "can't be cut"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pv_windows w;
        psgvit_error err = {0};
        edf.segments = cases[i].segments;
        edf.record_seconds = cases[i].record;
        assert_int_equal(pv_windows_make(&w, &edf, cases[i].length, cases[i].stride, &err),
                         PSGVIT_E_INPUT);
        if (!strstr(err.message, cases[i].words))
            fail_msg("'%s' does not say '%s'", err.message, cases[i].words);
    }
}

/* ---- presets --------------------------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"default",     "none",           "osf-train",
                                        "osf-clean",   "eegpt-pretrain", "eegpt-p300",
                                        "eegpt-sleep", "eegpt-tueg"};
    for (int i = 0; i < PSGVIT_PREPS; i++) {
        assert_string_equal(psgvit_prep_name((psgvit_prep)i), names[i]);
        assert_int_equal(psgvit_prep_version((psgvit_prep)i), i > 0);
    }
    assert_string_equal(psgvit_prep_name(PSGVIT_PREPS), "?");
    assert_string_equal(psgvit_prep_name((psgvit_prep)-1), "?");
    assert_int_equal(psgvit_prep_version(PSGVIT_PREPS), 0);
}

/* ---- recordings ------------------------------------------------------------------------------ */

static char path[128];

/* Three leads at `rate` Hz for `seconds`, in a file. */
static void write_night(size_t rate, size_t seconds)
{
    edf_file file;
    edf_file_make(&file, false, 3, rate, seconds);
    for (size_t i = 0; i < 3; i++)
        edf_file_set(&file, EDF_LABEL, i, leads[i]);
    inject_file(path, file.source.memory, (size_t)file.source.size);
    edf_file_free(&file);
}

static psgvit_recording_params params_of(psgvit_prep prep)
{
    psgvit_recording_params params = {.struct_size = sizeof params};
    params.channels = 3;
    params.names = leads;
    params.samples = 640;
    params.prep = prep;
    params.aliases = "ECG=ECG\nEMG_Chin=EMG_Chin\nABD=ABD";
    return params;
}

/* All epochs, [epochs, 3, 640]; at most `most` of them. */
static size_t read_all(const psgvit_recording_params *params, float *signal, size_t most)
{
    psgvit_error err;
    psgvit_recording *recording = NULL;
    size_t epochs = 0, count = 1;
    if (psgvit_recording_open(&recording, path, params, &err))
        fail_msg("%s", err.message);
    while (count) {
        if (psgvit_recording_read(recording, signal + epochs * 1920, most - epochs, &count, &err))
            fail_msg("%s", err.message);
        epochs += count;
    }
    psgvit_recording_close(&recording);
    return epochs;
}

/* Inside a parallel region of the caller's as outside, with any number of threads. */
static void test_threads(void **state)
{
    (void)state;
    enum { EPOCHS = 40, TEAM = 3 };
    size_t bytes = EPOCHS * 1920 * sizeof(float), counts[TEAM];
    float *signal[TEAM + 1];
    write_night(256, 10 * EPOCHS);
    for (size_t i = 0; i <= TEAM; i++)
        signal[i] = test_malloc(bytes);
    int before = omp_get_max_threads();
    psgvit_recording_params params = params_of(PSGVIT_PREP_OSF_TRAIN);
    assert_int_equal(read_all(&params, signal[TEAM], EPOCHS), EPOCHS);
    for (int threads = 1; threads < 8; threads += 3) {
        params.threads = threads;
        assert_int_equal(read_all(&params, signal[0], EPOCHS), EPOCHS);
        assert_memory_equal(signal[0], signal[TEAM], bytes);
    }
#pragma omp parallel for num_threads(TEAM)
    for (size_t i = 0; i < TEAM; i++)
        counts[i] = read_all(&params, signal[i], EPOCHS);
    for (size_t i = 0; i < TEAM; i++) {
        assert_int_equal(counts[i], EPOCHS);
        assert_memory_equal(signal[i], signal[TEAM], bytes);
    }
    assert_int_equal(omp_get_max_threads(), before);
    for (size_t i = 0; i <= TEAM; i++)
        test_free(signal[i]);
}

static void test_information(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_recording *recording = NULL;
    psgvit_recording_params params = params_of(PSGVIT_PREP_DEFAULT);
    write_night(100, 34);
    params.stride_seconds = 5;
    assert_int_equal(psgvit_recording_open(&recording, path, &params, &err), PSGVIT_OK);
    const psgvit_recording_info *info = psgvit_recording_get_info(recording);
    assert_int_equal(info->format, PSGVIT_FORMAT_EDF);
    assert_int_equal(info->layout, PSGVIT_LAYOUT_CHANNELS);
    assert_int_equal(info->prep, PSGVIT_PREP_OSF_TRAIN);
    assert_int_equal(info->epochs, 5);
    assert_int_equal(info->length, 34 * 64);
    assert_int_equal(info->dropped, 4 * 64);
    assert_true(info->rate == 64.0 && info->epoch_seconds == 10.0 && info->stride_seconds == 5.0);
    assert_string_equal(info->start, "2001-02-03T22:30:59");
    assert_string_equal(info->channel[1].name, "EMG_Chin");
    assert_true(psgvit_recording_epoch_start(recording, 4) == 20.0);
    assert_true(psgvit_recording_epoch_start(recording, 5) == 0.0);
    assert_true(psgvit_recording_skipped_start(recording, 0) == 0.0);
    assert_true(psgvit_recording_epoch_start(NULL, 1) == 0.0);
    assert_true(psgvit_recording_skipped_start(NULL, 1) == 0.0);
    psgvit_recording_close(&recording);
    params.samples = 10; /* epochs that are no whole second */
    params.stride_seconds = 0.125;
    assert_int_equal(psgvit_recording_open(&recording, path, &params, &err), PSGVIT_OK);
    assert_int_equal(psgvit_recording_get_info(recording)->epochs, 271);
    psgvit_recording_close(&recording);
}

/* A file that is cut after it was opened is an error; what was read stays. */
static void test_shrinks(void **state)
{
    (void)state;
    enum { SECONDS = 3000 };
    psgvit_error err = {0};
    psgvit_recording *recording = NULL;
    psgvit_recording_params params = params_of(PSGVIT_PREP_OSF_TRAIN);
    params.threads = 1;
    write_night(512, SECONDS);
    assert_int_equal(psgvit_recording_open(&recording, path, &params, &err), PSGVIT_OK);
    float *signal = test_malloc(1920 * sizeof *signal);
    size_t count, epochs = 0;
    assert_int_equal(psgvit_recording_read(recording, signal, 1, &count, &err), PSGVIT_OK);
    assert_int_equal(truncate(path, 1024 + 3 * 512 * 2 * (SECONDS - 10)), 0);
    psgvit_status status = PSGVIT_OK;
    for (count = 1; !status && count; epochs += count)
        status = psgvit_recording_read(recording, signal, 1, &count, &err);
    assert_int_equal(status, PSGVIT_E_INPUT);
    assert_non_null(strstr(err.message, "has become shorter"));
    assert_in_range(epochs, 10, 298);
    test_free(signal);
    psgvit_recording_close(&recording);
}

/* Memory runs out at every allocation in turn: a sentence, and nothing leaked. */
static void test_memory(void **state)
{
    (void)state;
    static const psgvit_prep preps[] = {PSGVIT_PREP_OSF_TRAIN, PSGVIT_PREP_OSF_CLEAN,
                                        PSGVIT_PREP_EEGPT_TUEG, PSGVIT_PREP_EEGPT_P300};
    write_night(100, 40);
    float *signal = test_malloc(4 * 1920 * sizeof *signal);
    for (size_t i = 0; i < 4; i++) {
        psgvit_recording_params params = params_of(preps[i]);
        params.threads = 2;
        long calls = 0, live = inject_live();
        for (bool failed = true; failed; calls++) {
            psgvit_error err = {0};
            psgvit_recording *recording = NULL;
            size_t count;
            inject_arm(INJECT_MEMORY, calls + 1, calls % 2);
            psgvit_status status = psgvit_recording_open(&recording, path, &params, &err);
            if (!status)
                status = psgvit_recording_read(recording, signal, 4, &count, &err);
            failed = inject_disarm();
            assert_int_equal(status, failed ? PSGVIT_E_MEMORY : PSGVIT_OK);
            if (failed)
                if (!strstr(err.message, "out of memory"))
                    fail_msg("%ld: %s", calls, err.message);
            psgvit_recording_close(&recording);
            assert_int_equal(inject_live(), live);
        }
        assert_true(calls > 30);
    }
    test_free(signal);
}

static void test_reads(void **state)
{
    (void)state;
    write_night(100, 40);
    float *signal = test_malloc(4 * 1920 * sizeof *signal);
    psgvit_recording_params params = params_of(PSGVIT_PREP_OSF_TRAIN);
    params.threads = 2;
    long calls = 0;
    for (bool failed = true; failed; calls++) {
        psgvit_error err = {0};
        psgvit_recording *recording = NULL;
        size_t count;
        inject_arm(INJECT_READ, calls + 1, false);
        psgvit_status status = psgvit_recording_open(&recording, path, &params, &err);
        if (!status)
            status = psgvit_recording_read(recording, signal, 4, &count, &err);
        failed = inject_disarm();
        assert_int_equal(status, failed ? PSGVIT_E_INPUT : PSGVIT_OK);
        if (failed)
            assert_non_null(strstr(err.message, "cannot be read"));
        psgvit_recording_close(&recording);
    }
    assert_true(calls > 4);
    test_free(signal);
}

static int setup(void **state)
{
    (void)state;
    inject_folder(path, "night.edf");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    inject_folder_end(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan),        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_no_windows),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_information), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_shrinks),     cmocka_unit_test(test_memory),
        cmocka_unit_test(test_reads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
