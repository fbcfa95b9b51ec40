/* SPDX-License-Identifier: MIT */
/*
 * The EDF reader when memory and reads fail at each call in turn, and when a file becomes shorter
 * while it is read: a status, nothing leaked, and a reader that goes on working.
 */
#define _DEFAULT_SOURCE /* truncate */
#include "fault/inject.h"
#include "unit/edf_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RECORDS = 20 };

/* An EDF+D with a gap behind each record, so that its segments grow twice. */
static void make(edf_file *file)
{
    edf_file_make(file, false, 2, 8, RECORDS);
    edf_file_plus(file, 1, 'D');
    for (size_t r = 0; r < RECORDS; r++)
        snprintf((char *)edf_file_at(file, 1, r), 16, "+%zu\x14\x14", 3 * r);
}

/* Opens it, counts and reads. */
static psgvit_status use(const pv_source *source, psgvit_error *err)
{
    pv_edf *edf = NULL;
    unsigned char bytes[64];
    size_t count;
    psgvit_status status = pv_edf_open(&edf, source, NULL, err);
    if (!status)
        status = pv_edf_count_annotations(edf, &count, err);
    if (!status)
        status = pv_edf_read(edf, 1, 2, bytes, err);
    pv_edf_close(edf);
    return status;
}

static void fail_each(const pv_source *source, unsigned kind, psgvit_status expected)
{
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (long n = 1;; n++) {
            psgvit_error err = {0};
            long live = inject_live();
            inject_arm(kind, n, for_ever != 0);
            psgvit_status status = use(source, &err);
            bool failed = inject_disarm();
            assert_int_equal(inject_live(), live);
            assert_int_equal(status, failed ? expected : PSGVIT_OK);
            assert_int_equal(err.code, status);
            if (!failed) {
                assert_true(n > 5);
                break;
            }
        }
}

static void test_memory(void **state)
{
    (void)state;
    edf_file file;
    make(&file);
    fail_each(&file.source, INJECT_MEMORY, PSGVIT_E_MEMORY);
    /* A continuous file has one segment without growing. */
    edf_file_set(&file, EDF_RESERVED, 0, "");
    fail_each(&file.source, INJECT_MEMORY, PSGVIT_E_MEMORY);
    edf_file_free(&file);
}

/* The same bytes from a file. */
static pv_source open_file(const edf_file *file, char path[128])
{
    inject_folder(path, "night.edf");
    inject_file(path, file->source.memory, (size_t)file->source.size);
    pv_source source = {.name = path, .size = file->source.size};
    source.fd = open(path, O_RDONLY);
    assert_true(source.fd >= 0);
    return source;
}

static void test_reads(void **state)
{
    (void)state;
    edf_file file;
    char path[128];
    make(&file);
    pv_source source = open_file(&file, path);
    fail_each(&source, INJECT_READ, PSGVIT_E_INPUT);
    psgvit_error err;
    inject_reads(3, 2); /* in pieces, and interrupted */
    assert_int_equal(use(&source, &err), PSGVIT_OK);
    inject_reads(0, 0);
    close(source.fd);
    inject_folder_end(path);
    edf_file_free(&file);
}

static void test_shorter(void **state)
{
    (void)state;
    edf_file file;
    char path[128];
    make(&file);
    pv_source source = open_file(&file, path);
    for (long size = (long)file.source.size - 1; size >= 0; size -= 37) {
        psgvit_error err = {0};
        assert_int_equal(truncate(path, size), 0);
        assert_int_equal(use(&source, &err), PSGVIT_E_INPUT);
        assert_non_null(strstr(err.message, "has become shorter"));
    }
    close(source.fd);
    inject_folder_end(path);
    edf_file_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_shorter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
