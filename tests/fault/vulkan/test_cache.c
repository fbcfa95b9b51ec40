/* SPDX-License-Identifier: MIT */
/*
 * The file of compiled shaders where it must not reach a driver: of another device or driver, cut
 * off, with a byte that has changed anywhere, or not to be read. Each time a line in the log, a
 * device that works, and a file that is right afterwards.
 */
#define _DEFAULT_SOURCE /* mkdtemp, truncate */
#include "fault/vulkan/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Eight bytes of magic, 32 of who made it, the number of bytes, their sum. */
enum { HEADER_BYTES = 56 };

static char folder[] = "/tmp/psgvit-shaders-XXXXXX", path[64];

/* Opens and closes the device; the log has what was said. */
static void round_trip(const char *cache, stage_log *log)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_VULKAN,
                                   .device = "llvmpipe",
                                   .log = stage_note,
                                   .log_user = log,
                                   .shader_cache = cache};
    log->text[0] = '\0';
    if (psgvit_device_open(&device, &params, &err))
        fail_msg("%s", err.message);
    psgvit_device_close(&device);
}

static long size_of(const char *name)
{
    struct stat st;
    return stat(name, &st) ? -1 : (long)st.st_size;
}

/* The file is not given to the driver, for this reason, and a whole one takes its place. */
static void expect_replaced(const char *reason, long size)
{
    stage_log log;
    size_t before = stage_mock()->cache_bytes();
    round_trip(path, &log);
    if (!strstr(log.text, reason))
        fail_msg("expected '%s' in: %s", reason, log.text);
    assert_int_equal(stage_mock()->cache_bytes(), before);
    assert_int_equal(size_of(path), size);
    round_trip(path, &log);
    assert_string_equal(log.text, "");
    assert_int_equal(stage_mock()->cache_bytes(), before + (size_t)size - HEADER_BYTES);
}

static void flip(long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 0x40, file);
    fclose(file);
}

/* A number of bytes beyond 256 MiB is nobody's. */
static const char *reason_of(long at)
{
    if (at < 8 || (at > 42 && at < 48))
        return "is no cache of shaders, and will be replaced";
    return at < 40 ? "is of another device or driver, and will be replaced"
                   : "is damaged, and will be replaced";
}

static void test_flipped(void **state)
{
    (void)state;
    long size = size_of(path);
    assert_true(size > HEADER_BYTES);
    for (long at = 0; at < size; at += 3) {
        flip(at);
        expect_replaced(reason_of(at), size);
    }
}

static void test_cut(void **state)
{
    (void)state;
    long size = size_of(path);
    for (long left = 0; left < size; left += 7) {
        assert_int_equal(truncate(path, left), 0);
        expect_replaced(left < HEADER_BYTES ? "is no cache of shaders, and will be replaced"
                                            : "is damaged, and will be replaced",
                        size);
    }
}

/* What can't be opened, or is no file. */
static void test_unreadable(void **state)
{
    (void)state;
    char name[96];
    stage_log log;
    snprintf(name, sizeof name, "%s/below", path);
    round_trip(name, &log);
    if (!strstr(log.text, "below: the cache of shaders can't be read: Not a directory (errno "))
        fail_msg("%s", log.text);
    snprintf(name, sizeof name, "%s/missing/shaders", folder);
    round_trip(name, &log);
    if (!strstr(log.text, "the cache of shaders can't be written: No such file or directory"))
        fail_msg("%s", log.text);
    assert_null(strstr(log.text, "read")); /* there is none yet: no word about it */
    round_trip(folder, &log);
    if (!strstr(log.text, "is no cache of shaders") || !strstr(log.text, "can't be written"))
        fail_msg("%s", log.text);
    snprintf(name, sizeof name, "%s/fifo", folder);
    assert_int_equal(mkfifo(name, 0600), 0); /* nobody writes to it: it isn't waited for */
    round_trip(name, &log);
    assert_non_null(strstr(log.text, "is no cache of shaders, and will be replaced"));
    assert_int_equal(unlink(name), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_unreadable),
    };
    stage_log log;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/shaders", folder);
    stage_mock()->keep(true);
    round_trip(path, &log);
    int failures = cmocka_run_group_tests_name("shader cache", tests, NULL, NULL);
    stage_mock()->keep(false);
    unlink(path);
    failures += rmdir(folder) != 0; /* nothing else was left there */
    return failures;
}
