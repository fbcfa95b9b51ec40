/* SPDX-License-Identifier: MIT */
/*
 * Safetensors files on disk, and the functions around them: what is no regular file, reading
 * against mapping, files that change, every prefix and every changed byte of a file, arguments,
 * tables.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, utimensat */
#include "unit/safetensors_cases.h"

#include "weights/table.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/psgvit-test-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Opening must fail so; by both ways of reading. */
static void refuse_path(const char *path, psgvit_status expected, const char *words)
{
    for (unsigned flags = 0; flags <= PSGVIT_READ; flags++) {
        psgvit_error err;
        psgvit_weights *weights = (psgvit_weights *)(uintptr_t)1;
        psgvit_weights_params params = {.struct_size = sizeof params, .flags = flags};
        assert_int_equal(psgvit_weights_open(&weights, path, &params, &err), expected);
        assert_null(weights);
        if (!strstr(err.message, words) || !strstr(err.message, path))
            fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    }
}

static psgvit_weights *open_path(const char *path, unsigned flags)
{
    psgvit_error err;
    psgvit_weights *weights = NULL;
    psgvit_weights_params params = {.struct_size = sizeof params, .flags = flags};
    if (psgvit_weights_open(&weights, path, &params, &err))
        fail_msg("refused: %s", err.message);
    assert_string_equal(pv_weights_name(weights), path);
    return weights;
}

/* ---- rules 36 and 37 ------------------------------------------------------------------------- */

static void test_rule_36_not_a_regular_file(void **state)
{
    (void)state;
    refuse_path(folder, PSGVIT_E_MODEL, "expected a regular file, found a directory");
    refuse_path("/dev/zero", PSGVIT_E_MODEL, "expected a regular file, found a character device");
    refuse_path(path_of("none"), PSGVIT_E_MODEL, "cannot be opened: ");
    refuse_path("", PSGVIT_E_MODEL, "cannot be opened: ");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    refuse_path(path_of("fifo"), PSGVIT_E_MODEL, "expected a regular file, found a FIFO");
    assert_int_equal(unlink(path_of("fifo")), 0);
}

static void test_rule_36_no_permission(void **state)
{
    (void)state;
    write_file("secret", "", 0);
    assert_int_equal(chmod(path_of("secret"), 0), 0);
    /* The superuser may read it all the same, and finds it empty. */
    refuse_path(path_of("secret"), PSGVIT_E_MODEL,
                geteuid() ? "cannot be opened: " : "has 0 bytes, expected at least");
    assert_int_equal(unlink(path_of("secret")), 0);
}

static void test_rule_36_empty(void **state)
{
    (void)state;
    write_file("empty", "", 0);
    refuse_path(path_of("empty"), PSGVIT_E_MODEL, "has 0 bytes, expected at least the 8");
    assert_int_equal(unlink(path_of("empty")), 0);
}

/* A file of every type that converts, and of one that does not: 'a' F32 of 5000, 'b' F16, 'c' BF16,
 * 'd' F64 of 6001 each, 'i' I64 of 3, 'u' U8 of 1. */
static blob big_file(void)
{
    return make_file("{'a':{'dtype':'F32','shape':[50,100],'data_offsets':[0,20000]},"
                     "'b':{'dtype':'F16','shape':[6001],'data_offsets':[20000,32002]},"
                     "'c':{'dtype':'BF16','shape':[6001],'data_offsets':[32002,44004]},"
                     "'d':{'dtype':'F64','shape':[6001],'data_offsets':[44004,92012]},"
                     "'i':{'dtype':'I64','shape':[1,3],'data_offsets':[92012,92036]},"
                     "'u':{'dtype':'U8','shape':[1],'data_offsets':[92036,92037]},"
                     "'__metadata__':{'config':'{}'}}",
                     92037);
}

enum { MOST = 6001 };

static void compare(psgvit_weights *mapped, psgvit_weights *read, const char *name, uint64_t first,
                    size_t count)
{
    static float left[MOST], right[MOST];
    uint64_t bad[2];
    psgvit_error err;
    memset(left, 1, sizeof left);
    memset(right, 1, sizeof right);
    assert_int_equal(pv_weights_read_checked(mapped, psgvit_weights_find(mapped, name), first,
                                             count, left, &bad[0], &err),
                     PSGVIT_OK);
    assert_int_equal(pv_weights_read_checked(read, psgvit_weights_find(read, name), first, count,
                                             right, &bad[1], &err),
                     PSGVIT_OK);
    assert_memory_equal(left, right, sizeof left);
    assert_true(bad[0] == bad[1]);
}

static void test_rule_37_read_as_mapped(void **state)
{
    (void)state;
    blob file = big_file();
    write_file("big", file.bytes, file.size);
    char path[256];
    snprintf(path, sizeof path, "%s", path_of("big"));
    psgvit_weights *mapped = open_path(path, 0), *read = open_path(path, PSGVIT_READ);
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        uint64_t n = psgvit_weights_find(mapped, names[i])->elements;
        compare(mapped, read, names[i], 0, (size_t)n);
        compare(mapped, read, names[i], 1, (size_t)n - 1);
        compare(mapped, read, names[i], n - 1, 1);
        compare(mapped, read, names[i], n, 0);
        pv_weights_release(mapped, psgvit_weights_find(mapped, names[i]));
        pv_weights_release(read, psgvit_weights_find(read, names[i]));
        compare(mapped, read, names[i], 0, (size_t)n);
    }
    pv_weights_release(mapped, psgvit_weights_find(mapped, "u")); /* no whole page: nothing to do */
    psgvit_weights_close(&mapped);
    psgvit_weights_close(&read);
    assert_int_equal(unlink(path), 0);
    free(file.bytes);
}

static void test_read_i64(void **state)
{
    (void)state;
    blob file = big_file();
    write_file("big", file.bytes, file.size);
    for (unsigned flags = 0; flags <= PSGVIT_READ; flags++) {
        psgvit_weights *weights = open_path(path_of("big"), flags);
        int64_t expected[3], values[3] = {0};
        psgvit_error err;
        memcpy(expected, file.bytes + file.size - 25, sizeof expected);
        assert_int_equal(
            pv_weights_read_i64(weights, psgvit_weights_find(weights, "i"), values, &err),
            PSGVIT_OK);
        assert_memory_equal(values, expected, sizeof expected);
        assert_int_equal(
            pv_weights_read_i64(weights, psgvit_weights_find(weights, "a"), values, &err),
            PSGVIT_E_MODEL);
        assert_non_null(strstr(err.message, "tensor 'a' is F32, expected I64"));
        psgvit_weights_close(&weights);
    }
    assert_int_equal(unlink(path_of("big")), 0);
    free(file.bytes);
}

/* ---- files that change ----------------------------------------------------------------------- */

static void test_unchanged(void **state)
{
    (void)state;
    blob file = make_file("{'a':" ONE "}", 4);
    psgvit_error err;
    write_file("file", file.bytes, file.size);
    psgvit_weights *weights = open_path(path_of("file"), PSGVIT_READ);
    assert_int_equal(pv_weights_unchanged(weights, &err), PSGVIT_OK);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000, .tv_nsec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, path_of("file"), times, 0), 0);
    assert_int_equal(pv_weights_unchanged(weights, &err), PSGVIT_E_MODEL);
    assert_non_null(strstr(err.message, "changed while it was read"));
    psgvit_weights_close(&weights);
    weights = open_path(path_of("file"), PSGVIT_READ);
    times[1].tv_nsec = 2; /* the second stays */
    assert_int_equal(utimensat(AT_FDCWD, path_of("file"), times, 0), 0);
    assert_int_equal(pv_weights_unchanged(weights, &err), PSGVIT_E_MODEL);
    psgvit_weights_close(&weights);
    weights = open_path(path_of("file"), 0);
    assert_int_equal(truncate(path_of("file"), (off_t)file.size - 1), 0);
    assert_int_equal(pv_weights_unchanged(weights, &err), PSGVIT_E_MODEL);
    psgvit_weights_close(&weights);
    assert_int_equal(unlink(path_of("file")), 0);
    weights = open_blob(&file);
    assert_int_equal(pv_weights_unchanged(weights, &err), PSGVIT_OK);
    psgvit_weights_close(&weights);
    free(file.bytes);
}

static void test_shortened_while_read(void **state)
{
    (void)state;
    blob file = make_file("{'a':" ONE "}", 4);
    psgvit_error err;
    float value;
    write_file("file", file.bytes, file.size);
    psgvit_weights *weights = open_path(path_of("file"), PSGVIT_READ);
    assert_int_equal(truncate(path_of("file"), (off_t)file.size - 2), 0);
    assert_int_equal(
        psgvit_weights_read(weights, psgvit_weights_at(weights, 0), 0, 1, &value, &err),
        PSGVIT_E_MODEL);
    assert_non_null(strstr(err.message, "it became shorter while it was read"));
    psgvit_weights_close(&weights);
    assert_int_equal(unlink(path_of("file")), 0);
    free(file.bytes);
}

/* What was copied before closing does not care for what becomes of the file; and one that was
 * replaced by renaming is still whole behind its descriptor. */
static void test_replaced(void **state)
{
    (void)state;
    blob file = make_file("{'a':" ONE "}", 4);
    char path[256];
    float before, after;
    psgvit_error err;
    snprintf(path, sizeof path, "%s", path_of("file"));
    for (unsigned flags = 0; flags <= PSGVIT_READ; flags++) {
        write_file("file", file.bytes, file.size);
        psgvit_weights *weights = open_path(path, flags);
        const psgvit_tensor *tensor = psgvit_weights_at(weights, 0);
        assert_int_equal(psgvit_weights_read(weights, tensor, 0, 1, &before, &err), PSGVIT_OK);
        write_file("other", "nonsense", 8);
        assert_int_equal(rename(path_of("other"), path), 0);
        assert_int_equal(psgvit_weights_read(weights, tensor, 0, 1, &after, &err), PSGVIT_OK);
        assert_memory_equal(&before, &after, sizeof before);
        assert_int_equal(pv_weights_unchanged(weights, &err), PSGVIT_OK);
        psgvit_weights_close(&weights);
        assert_int_equal(truncate(path, 0), 0);
        refuse_path(path, PSGVIT_E_MODEL, "has 0 bytes");
    }
    assert_int_equal(unlink(path), 0);
    free(file.bytes);
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

static psgvit_status try_bytes(const unsigned char *bytes, size_t size)
{
    psgvit_error err;
    psgvit_weights *weights = NULL;
    unsigned char *copy = malloc(size ? size : 1); /* so that a sanitizer sees its end */
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    psgvit_status status = psgvit_weights_open_memory(&weights, copy, size, NULL, &err);
    for (size_t i = 0; i < psgvit_weights_count(weights); i++) {
        const psgvit_tensor *tensor = psgvit_weights_at(weights, i);
        float value;
        if (tensor->elements)
            (void)psgvit_weights_read(weights, tensor, tensor->elements - 1, 1, &value, &err);
    }
    psgvit_weights_close(&weights);
    free(copy);
    return status;
}

static void test_every_truncation(void **state)
{
    (void)state;
    blob file = big_file();
    size_t header = file.size - 92037;
    for (size_t size = 0; size < file.size; size++)
        if (size <= header || size >= file.size - 4096)
            assert_int_equal(try_bytes(file.bytes, size), PSGVIT_E_MODEL);
    assert_int_equal(try_bytes(file.bytes, file.size), PSGVIT_OK);
    free(file.bytes);
}

/* Every bit of the length and the header, one at a time, and all eight: a status, whichever. */
static void test_every_flip(void **state)
{
    (void)state;
    blob file = make_file("{'__metadata__':{'a':'\\u00e9'},'w':{'dtype':'F16','shape':[2,3],"
                          "'data_offsets':[0,12]},'n':"
                          "{'dtype':'F32','shape':[1],'data_offsets':[12,16]}}",
                          16);
    size_t refused = 0;
    for (size_t i = 0; i < file.size - 16; i++)
        for (unsigned bit = 0; bit <= 8; bit++) {
            unsigned mask = bit < 8 ? 1u << bit : 0xFF;
            file.bytes[i] = (unsigned char)(file.bytes[i] ^ mask);
            psgvit_status status = try_bytes(file.bytes, file.size);
            assert_true(status == PSGVIT_OK || status == PSGVIT_E_MODEL);
            refused += status != PSGVIT_OK;
            file.bytes[i] = (unsigned char)(file.bytes[i] ^ mask);
        }
    assert_int_equal(try_bytes(file.bytes, file.size), PSGVIT_OK);
    assert_true(refused > 8 * (file.size - 16) / 2); /* most are: only names and texts may change */
    free(file.bytes);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void test_names_in_messages(void **state)
{
    (void)state;
    char name[301] = "", header[512], words[512];
    refuse("{'a\\n\\u007f\x7F':{}}", 0, "tensor 'a\\n\\u007f?' has no dtype");
    refuse("{'a\\n\\u001b':" ONE "}", 3, "expected 3");
    refuse("{'a\\n\\u001b\\u007f':{'dtype':'F32','shape':[1],'data_offsets':[1,5]}}", 5,
           "tensor 'a?\?\?' begins");
    memset(name, 'x', 300);
    snprintf(header, sizeof header, "{'%s':{}}", name);
    name[100] = '\0';
    snprintf(words, sizeof words, "tensor '%s...' has no dtype", name);
    refuse(header, 0, words);
    name[100] = 'x';
    memcpy(name + 98, "\xF0\x9F\x98\x80", 4); /* not cut in the middle of a character */
    snprintf(header, sizeof header, "{'%s':{}}", name);
    name[98] = '\0';
    snprintf(words, sizeof words, "tensor '%s...' has no dtype", name);
    refuse(header, 0, words);
}

/* An error is not wanted: the status says enough. */
static void test_without_error(void **state)
{
    (void)state;
    blob file = make_file("{'a':" ONE "}", 4);
    psgvit_weights *weights = NULL;
    assert_int_equal(psgvit_weights_open_memory(&weights, file.bytes, file.size - 1, NULL, NULL),
                     PSGVIT_E_MODEL);
    assert_int_equal(psgvit_weights_open_memory(&weights, file.bytes, file.size, NULL, NULL),
                     PSGVIT_OK);
    psgvit_weights_close(&weights);
    file.bytes[9] = '!';
    assert_int_equal(psgvit_weights_open_memory(&weights, file.bytes, file.size, NULL, NULL),
                     PSGVIT_E_MODEL);
    free(file.bytes);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static void test_arguments_of_open(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_weights *weights = NULL;
    psgvit_weights_params params = {.struct_size = sizeof params, .flags = 2};
    assert_int_equal(psgvit_weights_open(NULL, "x", NULL, &err), PSGVIT_E_ARGUMENT);
    assert_non_null(strstr(err.message, "weights is NULL"));
    assert_int_equal(psgvit_weights_open(&weights, NULL, NULL, &err), PSGVIT_E_ARGUMENT);
    assert_non_null(strstr(err.message, "path is NULL"));
    assert_int_equal(psgvit_weights_open_memory(NULL, "x", 1, NULL, &err), PSGVIT_E_ARGUMENT);
    assert_int_equal(psgvit_weights_open_memory(&weights, NULL, 0, NULL, &err), PSGVIT_E_ARGUMENT);
    assert_non_null(strstr(err.message, "data is NULL"));
    assert_int_equal(psgvit_weights_open(&weights, "x", &params, &err), PSGVIT_E_ARGUMENT);
    assert_non_null(strstr(err.message, "flags is 0x2"));
    assert_int_equal(psgvit_weights_open_memory(&weights, "x", 1, &params, &err),
                     PSGVIT_E_ARGUMENT);
    params.struct_size = 1;
    assert_int_equal(psgvit_weights_open(&weights, "x", &params, &err), PSGVIT_E_ARGUMENT);
    assert_non_null(strstr(err.message, "struct_size is 1"));
    psgvit_weights_close(NULL);
    psgvit_weights_close(&weights);
}

static void test_arguments_of_questions(void **state)
{
    (void)state;
    blob file = make_file("{'a':" ONE ",'__metadata__':{'k':'v'}}", 4);
    psgvit_weights *weights = open_blob(&file);
    assert_string_equal(pv_weights_name(weights), "memory");
    assert_int_equal(psgvit_weights_count(NULL), 0);
    assert_null(psgvit_weights_at(NULL, 0));
    assert_null(psgvit_weights_at(weights, 1));
    assert_null(psgvit_weights_at(weights, SIZE_MAX));
    assert_null(psgvit_weights_find(NULL, "a"));
    assert_null(psgvit_weights_find(weights, NULL));
    assert_null(psgvit_weights_find(weights, "A"));
    assert_null(psgvit_weights_find(weights, ""));
    assert_null(psgvit_weights_find(weights, "aa"));
    assert_int_equal(psgvit_weights_metadata_count(NULL), 0);
    assert_null(psgvit_weights_metadata_key(NULL, 0));
    assert_null(psgvit_weights_metadata(NULL, "k"));
    assert_null(psgvit_weights_metadata(weights, NULL));
    assert_null(psgvit_weights_metadata(weights, "K"));
    assert_null(psgvit_weights_metadata(weights, "kk"));
    psgvit_weights_close(&weights);
    free(file.bytes);
}

static void refuse_read(const psgvit_weights *weights, const psgvit_tensor *tensor, uint64_t first,
                        size_t count, float *values, const char *words)
{
    psgvit_error err;
    assert_int_equal(psgvit_weights_read(weights, tensor, first, count, values, &err),
                     PSGVIT_E_ARGUMENT);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" lacks \"%s\"", err.message, words);
}

static void test_arguments_of_read(void **state)
{
    (void)state;
    blob file = big_file(), small = make_file("{'a':" ONE "}", 4);
    psgvit_weights *weights = open_blob(&file), *other = open_blob(&small);
    const psgvit_tensor *tensor = psgvit_weights_find(weights, "a");
    psgvit_tensor copy = *tensor;
    float values[4];
    psgvit_error err;
    refuse_read(NULL, tensor, 0, 1, values, "weights is NULL");
    refuse_read(weights, NULL, 0, 1, values, "tensor is NULL");
    refuse_read(weights, tensor, 0, 1, NULL, "values is NULL");
    refuse_read(weights, tensor, 5000, 1, values,
                "has 5000 elements, asked for 1 from number 5000");
    refuse_read(weights, tensor, UINT64_MAX, 1, values, "asked for 1 from number");
    refuse_read(other, tensor, 0, 2, values, "tensor 'a' is not of this file");
    copy.elements = UINT64_MAX;
    refuse_read(weights, &copy, UINT64_MAX - 1, 1, values, "is not of this file");
    copy.offset = UINT64_MAX;
    refuse_read(weights, &copy, 0, 1, values, "is not of this file");
    assert_int_equal(
        psgvit_weights_read(weights, psgvit_weights_find(weights, "u"), 0, 1, values, &err),
        PSGVIT_E_MODEL);
    assert_non_null(strstr(err.message, "tensor 'u' is U8, expected F32, F16, BF16 or F64"));
    copy = *psgvit_weights_find(weights, "i");
    copy.offset = UINT64_MAX;
    assert_int_equal(pv_weights_read_i64(weights, &copy, (int64_t[3]){0}, &err), PSGVIT_E_ARGUMENT);
    psgvit_weights_close(&weights);
    psgvit_weights_close(&other);
    free(file.bytes);
    free(small.bytes);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void test_table(void **state)
{
    (void)state;
    const pv_table_row rows[] = {{"z", PSGVIT_DTYPE_F32, 2, {2, 3, 0, 0}},
                                 {"a", PSGVIT_DTYPE_I64, 1, {4, 0, 0, 0}},
                                 {"m", PSGVIT_DTYPE_F32, 0, {0, 0, 0, 0}}};
    psgvit_error err;
    psgvit_weights *weights = NULL;
    float value;
    assert_int_equal(pv_weights_from_table(&weights, rows, 3, "{}", &err), PSGVIT_OK);
    assert_int_equal(psgvit_weights_count(weights), 3);
    const psgvit_tensor *tensor = psgvit_weights_at(weights, 0);
    assert_string_equal(tensor->name, "z");
    assert_int_equal(tensor->shape[1], 3);
    assert_int_equal(tensor->elements, 6);
    tensor = psgvit_weights_find(weights, "m");
    assert_ptr_equal(tensor, psgvit_weights_at(weights, 2));
    assert_int_equal(tensor->offset, 56);
    assert_int_equal(tensor->bytes, 4);
    assert_string_equal(psgvit_weights_metadata(weights, "config"), "{}");
    refuse_read(weights, tensor, 0, 1, &value, "tensor 'm' is of a table without data");
    assert_int_equal(pv_weights_unchanged(weights, &err), PSGVIT_OK);
    pv_weights_release(weights, tensor);
    psgvit_weights_close(&weights);
    assert_int_equal(pv_weights_from_table(&weights, rows, 0, NULL, &err), PSGVIT_OK);
    assert_int_equal(psgvit_weights_count(weights) + psgvit_weights_metadata_count(weights), 0);
    psgvit_weights_close(&weights);
}

static void test_table_too_large(void **state)
{
    (void)state;
    const pv_table_row shape = {"s", PSGVIT_DTYPE_F32, 2, {UINT64_MAX, 2, 0, 0}};
    const pv_table_row bits = {"b", PSGVIT_DTYPE_F64, 1, {UINT64_MAX / 2, 0, 0, 0}};
    pv_table_row sum[9];
    psgvit_error err;
    psgvit_weights *weights = NULL;
    assert_int_equal(pv_weights_from_table(&weights, &shape, 1, NULL, &err), PSGVIT_E_MODEL);
    assert_non_null(strstr(err.message, "tensor 's'"));
    assert_int_equal(pv_weights_from_table(&weights, &bits, 1, NULL, &err), PSGVIT_E_MODEL);
    for (size_t i = 0; i < 9; i++)
        sum[i] = (pv_table_row){"x", PSGVIT_DTYPE_U8, 1, {UINT64_MAX / 8, 0, 0, 0}};
    assert_int_equal(pv_weights_from_table(&weights, sum, 9, NULL, &err), PSGVIT_E_MODEL);
    assert_null(weights);
    pv_table table = {0};
    const pv_table_size one = {.tensors = SIZE_MAX}, many = {.text = SIZE_MAX, .dims = 1};
    assert_int_equal(pv_table_alloc(&table, &one, &err), PSGVIT_E_MEMORY);
    assert_int_equal(pv_table_alloc(&table, &many, &err), PSGVIT_E_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule_36_not_a_regular_file),
        cmocka_unit_test(test_rule_36_no_permission),
        cmocka_unit_test(test_rule_36_empty),
        cmocka_unit_test(test_rule_37_read_as_mapped),
        cmocka_unit_test(test_read_i64),
        cmocka_unit_test(test_unchanged),
        cmocka_unit_test(test_shortened_while_read),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_names_in_messages),
        cmocka_unit_test(test_without_error),
        cmocka_unit_test(test_arguments_of_open),
        cmocka_unit_test(test_arguments_of_questions),
        cmocka_unit_test(test_arguments_of_read),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_table_too_large),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
