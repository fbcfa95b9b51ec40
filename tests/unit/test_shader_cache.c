/* SPDX-License-Identifier: MIT */
/* The file of compiled shaders: written, read again, and left alone where it can't be used. */
#define _POSIX_C_SOURCE 200809L
#include <psgvit/psgvit.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { SKIPPED = 77 };

static char folder[] = "/tmp/psgvit-cache-XXXXXX", path[64], heard[1024];

static void on_log(void *user, psgvit_log_level level, const char *line)
{
    (void)user;
    if (level <= PSGVIT_LOG_INFO && strstr(line, folder))
        snprintf(heard, sizeof heard, "%s", line);
}

/* Opens and closes the device, whose self-test compiles shaders. */
static psgvit_status round_trip(const char *cache)
{
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_VULKAN,
                                   .log = on_log,
                                   .shader_cache = cache};
    psgvit_device *device;
    psgvit_error err;
    heard[0] = '\0';
    psgvit_status status = psgvit_device_open(&device, &params, &err);
    if (status)
        printf("not tested: %s\n", err.message);
    psgvit_device_close(&device);
    return status;
}

static long size_of(const char *name)
{
    struct stat st;
    return stat(name, &st) ? -1 : (long)st.st_size;
}

static void test_written_and_read(void **state)
{
    (void)state;
    assert_int_equal(round_trip(path), PSGVIT_OK);
    long size = size_of(path);
    assert_true(size > 24);
    assert_string_equal(heard, "");
    assert_int_equal(round_trip(path), PSGVIT_OK);
    assert_string_equal(heard, "");
    assert_int_equal(size_of(path), size);
}

/* The cache is not used, for this reason, and replaced by one that is. */
static void expect_replaced(const char *reason)
{
    assert_int_equal(round_trip(path), PSGVIT_OK);
    if (!strstr(heard, reason))
        fail_msg("expected '%s' in: %s", reason, heard);
    assert_int_equal(round_trip(path), PSGVIT_OK);
    assert_string_equal(heard, "");
}

static void flip(long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
}

/* fault/vulkan/test_cache.c has every kind of damage. */
static void test_damaged(void **state)
{
    (void)state;
    flip(size_of(path) - 1);
    expect_replaced("is damaged");
}

static void test_nowhere(void **state)
{
    (void)state;
    char name[96];
    snprintf(name, sizeof name, "%s/missing/cache", folder);
    assert_int_equal(round_trip(name), PSGVIT_OK);
    assert_non_null(strstr(heard, "can't be written: No such file or directory (errno "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_written_and_read),
                                       cmocka_unit_test(test_damaged),
                                       cmocka_unit_test(test_nowhere)};
    if (round_trip(NULL))
        return SKIPPED;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/shaders", folder);
    int failures = cmocka_run_group_tests_name("shader cache", tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failures;
}
