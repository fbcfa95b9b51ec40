/* SPDX-License-Identifier: MIT */
/* The SHA-256 of a model is that of what was loaded, or it is unknown. */
#define _GNU_SOURCE 1
#include "model_hash.h"

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

static char folder[64], model[128], other[128];

static void put_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static model_hash *start(void)
{
    cli_failure failure;
    model_hash *hash = NULL;
    put_text(model, "abc");
    assert_int_equal(model_hash_start(&hash, model, &failure), CLI_DONE);
    return hash;
}

static void finish(model_hash *hash, bool known)
{
    char text[MODEL_HASH_TEXT];
    const char *reason;
    assert_int_equal(model_hash_finish(hash, text, &reason), known);
    assert_string_equal(text,
                        known ? "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
                              : "unknown");
    if (known)
        assert_null(reason);
    else
        assert_non_null(strstr(reason, "changed"));
    model_hash_close(&hash);
    assert_null(hash);
    model_hash_close(&hash);
    model_hash_close(NULL);
}

static void test_known(void **state)
{
    (void)state;
    model_hash *hash = start();
    model_hash_loaded(hash);
    finish(hash, true);
}

static void test_replaced_before_load(void **state)
{
    (void)state;
    model_hash *hash = start();
    put_text(other, "abc"); /* the same bytes, but who is to know */
    assert_int_equal(rename(other, model), 0);
    model_hash_loaded(hash);
    finish(hash, false);
}

static void test_replaced_after_load(void **state)
{
    (void)state;
    model_hash *hash = start();
    model_hash_loaded(hash);
    put_text(other, "xyz");
    assert_int_equal(rename(other, model), 0); /* what was loaded is what is hashed */
    finish(hash, true);
}

static void test_written_to(void **state)
{
    (void)state;
    model_hash *hash = start();
    model_hash_loaded(hash);
    put_text(model, "abcd");
    finish(hash, false);
    hash = start();
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, model, times, 0), 0); /* the size is the same */
    model_hash_loaded(hash);
    finish(hash, false);
}

static void test_gone(void **state)
{
    (void)state;
    model_hash *hash = start();
    unlink(model);
    model_hash_loaded(hash);
    finish(hash, false);
}

static void start_fails(const char *path, const char *words)
{
    cli_failure failure = {0};
    model_hash *hash = (model_hash *)1;
    assert_int_equal(model_hash_start(&hash, path, &failure), CLI_MODEL);
    assert_null(hash);
    assert_non_null(strstr(failure.message, path));
    assert_non_null(strstr(failure.message, words));
}

static void test_no_model(void **state)
{
    (void)state;
    start_fails("/nonexistent", "No such file");
    start_fails(folder, "folder");
    start_fails("/dev/null", "device");
    assert_int_equal(mkfifo(other, 0600), 0);
    start_fails(other, "pipe"); /* without waiting for a writer */
    unlink(other);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/psgvit-hash-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(model, sizeof model, "%s/model", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(model);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_replaced_before_load),
        cmocka_unit_test(test_replaced_after_load),
        cmocka_unit_test(test_written_to),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_no_model),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
