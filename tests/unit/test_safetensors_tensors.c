/* SPDX-License-Identifier: MIT */
/* The rules of the format on dtypes, shapes and layout, and our own stricter ones: 15 to 34. */
#include "unit/safetensors_cases.h"

#include <stdio.h>
#include <time.h>

/* ---- dtypes and shapes ----------------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned bits;
} dtypes[] = {{"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6},
              {"U8", 8},      {"I8", 8},          {"F8_E5M2", 8},     {"F8_E4M3", 8},
              {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
              {"U16", 16},    {"F16", 16},        {"BF16", 16},       {"I32", 32},
              {"U32", 32},    {"F32", 32},        {"C64", 64},        {"F64", 64},
              {"I64", 64},    {"U64", 64}};

static blob tensor_file(const char *dtype, const char *shape, const char *offsets, size_t data)
{
    char header[1024];
    snprintf(header, sizeof header, "{'a':{'dtype':'%s','shape':%s,'data_offsets':%s}}", dtype,
             shape, offsets);
    return make_file(header, data);
}

static void test_rule_15_dtypes(void **state)
{
    (void)state;
    assert_int_equal(sizeof dtypes / sizeof *dtypes, 22);
    for (size_t i = 0; i < 22; i++) {
        char offsets[32];
        snprintf(offsets, sizeof offsets, "[0,%u]", dtypes[i].bits / 2);
        blob file = tensor_file(dtypes[i].name, "[4]", offsets, dtypes[i].bits / 2);
        psgvit_weights *weights = open_blob(&file);
        const psgvit_tensor *tensor = psgvit_weights_at(weights, 0);
        assert_int_equal(tensor->dtype, i);
        assert_int_equal(tensor->elements, 4);
        assert_int_equal(tensor->bytes, dtypes[i].bits / 2);
        psgvit_weights_close(&weights);
        free(file.bytes);
    }
    static const char *const unknown[] = {
        "f32", "F128",         "",        "F32 ",
        "F3",  "F8_E4M3FNUZ_", "\\u0000", "F8_E4M3FNUZF8_E4M3FNUZF8_E4M3FNUZ"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        refuse_blob(tensor_file(unknown[i], "[1]", "[0,4]", 4), "tensor 'a' has the dtype \"");
    refuse("{'a':{'dtype':17,'shape':[1],'data_offsets':[0,4]}}", 4,
           "expected a string, found '1'");
}

static void test_rule_16_unknown_dtype_hides_nothing(void **state)
{
    (void)state;
    refuse_blob(tensor_file("F128", "[1]", "[0,1099511627776]", 4), "has the dtype \"F128\"");
    refuse("{'a':" ONE ",'b':{'dtype':'Q4','shape':[4],'data_offsets':[4,18446744073709551615]}}",
           4, "tensor 'b' has the dtype \"Q4\", expected one of the 22 from BOOL to U64");
}

static void test_rule_17_one_table_of_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 22; i++) {
        assert_string_equal(psgvit_dtype_name((psgvit_dtype)i), dtypes[i].name);
        assert_int_equal(psgvit_dtype_bits((psgvit_dtype)i), dtypes[i].bits);
        /* Twice the size, as by a table that takes every integer for 32 bits: refused. */
        char offsets[32];
        snprintf(offsets, sizeof offsets, "[0,%u]", dtypes[i].bits);
        refuse_blob(tensor_file(dtypes[i].name, "[4]", offsets, dtypes[i].bits), "expected");
    }
    assert_string_equal(psgvit_dtype_name((psgvit_dtype)22), "?");
    assert_string_equal(psgvit_dtype_name((psgvit_dtype)-1), "?");
    assert_int_equal(psgvit_dtype_bits((psgvit_dtype)22), 0);
}

static void test_rule_18_shape(void **state)
{
    (void)state;
    static const struct {
        const char *shape, *words;
    } bad[] = {{"[-1]", "expected an unsigned integer, found '-'"},
               {"[-0]", "expected an unsigned integer, found '-'"},
               {"[1.0]", "expected the end of an unsigned integer, found '.'"},
               {"[1e2]", "expected the end of an unsigned integer, found 'e'"},
               {"[1E2]", "expected the end of an unsigned integer, found 'E'"},
               {"[01]", "expected the end of an unsigned integer, found '1'"},
               {"['2']", "expected an unsigned integer, found '\"'"},
               {"[null]", "expected an unsigned integer, found 'n'"},
               {"[true]", "expected an unsigned integer, found 't'"},
               {"[[1]]", "expected an unsigned integer, found '['"},
               {"[1,]", "expected an unsigned integer, found ']'"},
               {"[18446744073709551616]", "expected an integer below 2^64"},
               {"[99999999999999999999]", "expected an integer below 2^64"},
               {"[1}", "expected ',' or ']'"},
               {"1", "expected '[', a shape, found '1'"},
               {"{}", "expected '[', a shape, found '{'"},
               {"null", "expected '[', a shape, found 'n'"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse_blob(tensor_file("F32", bad[i].shape, "[0,4]", 4), bad[i].words);
    accept_blob(tensor_file("F32", "[ 1 , 1 ]", "[0,4]", 4), 1);
    accept_blob(tensor_file("F32", "[18446744073709551615,0]", "[0,0]", 0), 1);
    accept_blob(tensor_file("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]", 4), 1);
}

static void test_rule_19_data_offsets(void **state)
{
    (void)state;
    static const struct {
        const char *offsets, *words;
    } bad[] = {{"[]", "tensor 'a' has 0 data_offsets, expected 2"},
               {"[0]", "tensor 'a' has 1 data_offsets, expected 2"},
               {"[0,4,0]", "tensor 'a' has more than 2 data_offsets"},
               {"[0,4,]", "has more than 2 data_offsets"},
               {"[0 4]", "expected ',' or ']'"},
               {"[-1,4]", "expected an unsigned integer, found '-'"},
               {"[0,4.0]", "expected the end of an unsigned integer"},
               {"[0,'4']", "expected an unsigned integer"},
               {"[0,18446744073709551616]", "expected an integer below 2^64"},
               {"null", "expected '[', two data_offsets"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse_blob(tensor_file("F32", "[1]", bad[i].offsets, 4), bad[i].words);
}

static void test_rule_20_product_of_shape(void **state)
{
    (void)state;
    static const char words[] =
        "tensor 'a' has a shape whose product exceeds 64 bits at dimension 1";
    refuse_blob(tensor_file("U8", "[2,18446744073709551614]", "[0,0]", 0), words);
    refuse_blob(tensor_file("U8", "[4294967296,4294967296]", "[0,0]", 0), words);
    refuse_blob(tensor_file("U8", "[9223372036854775808,2,0]", "[0,0]", 0), words);
    accept_blob(tensor_file("U8", "[0,9223372036854775808,2]", "[0,0]", 0), 1);
}

static void test_rule_21_product_of_bits(void **state)
{
    (void)state;
    refuse_blob(tensor_file("I32", "[2,9223372036854775807]", "[0,0]", 0),
                "has 18446744073709551614 elements of I32, whose bits exceed 64 bits");
    refuse_blob(tensor_file("F32", "[576460752303423488]", "[0,0]", 0), "bits exceed 64 bits");
    refuse_blob(tensor_file("F32", "[576460752303423487]", "[0,0]", 0),
                "has 0 bytes, expected 2305843009213693948");
}

static void test_rule_22_whole_bytes(void **state)
{
    (void)state;
    refuse_blob(tensor_file("F4", "[3]", "[0,1]", 1), "has 3 elements of F4, expected whole bytes");
    refuse_blob(tensor_file("F6_E2M3", "[2]", "[0,1]", 1), "expected whole bytes");
    accept_blob(tensor_file("F4", "[2]", "[0,1]", 1), 1);
    accept_blob(tensor_file("F6_E3M2", "[4]", "[0,3]", 3), 1);
}

/* ---- layout ---------------------------------------------------------------------------------- */

static void test_rule_23_end_behind_begin(void **state)
{
    (void)state;
    refuse("{'a':{'dtype':'F32','shape':[4],'data_offsets':[0,16]},"
           "'b':{'dtype':'F32','shape':[4],'data_offsets':[16,0]}}",
           16, "tensor 'b' ends at byte 0 of the data, expected at least 16, where it begins");
    refuse_blob(tensor_file("F32", "[4]", "[16,0]", 16), "tensor 'a'");
}

static void two(const char *first, const char *second, size_t data, const char *words)
{
    char header[256];
    snprintf(header, sizeof header,
             "{'a':{'dtype':'U8','shape':[4],'data_offsets':%s},"
             "'b':{'dtype':'U8','shape':[4],'data_offsets':%s}}",
             first, second);
    if (words)
        refuse(header, data, words);
    else
        accept(header, data, 2);
}

static void test_rule_24_no_hole(void **state)
{
    (void)state;
    refuse_blob(
        tensor_file("F32", "[4]", "[4,20]", 20),
        "tensor 'a' begins at byte 4 of the data, expected 0, where the one before it ends: "
        "there is a hole");
    two("[0,4]", "[5,9]", 9, "tensor 'b' begins at byte 5 of the data, expected 4");
    two("[4,8]", "[0,4]", 8, NULL);
    two("[0,4]", "[18446744073709551611,18446744073709551615]", 8, "there is a hole");
}

static void test_rule_25_no_overlap(void **state)
{
    (void)state;
    two("[0,4]", "[3,7]", 7,
        "tensor 'b' begins at byte 3 of the data, expected 4, where the one "
        "before it ends: there is an overlap");
    two("[0,4]", "[0,4]", 4, "there is an overlap"); /* the reference's test_json_attack */
    two("[0,4]", "[0,8]", 8, "there is an overlap");
}

/* 10,000 tensors on the same bytes: the reference's abuse_attempt_2. */
static void test_rule_25_many_on_the_same_bytes(void **state)
{
    (void)state;
    enum { COUNT = 10000, ROOM = 80 };
    char *header = malloc(COUNT * ROOM);
    assert_non_null(header);
    size_t at = 0;
    for (int i = 0; i < COUNT; i++)
        at += (size_t)snprintf(header + at, ROOM,
                               "%c'%d':{'dtype':'I32','shape':[2,2],'data_offsets':[0,16]}",
                               i ? ',' : '{', i);
    strcpy(header + at, "}");
    refuse(header, 16, "there is an overlap");
    free(header);
}

static void test_rule_26_bytes_of_shape(void **state)
{
    (void)state;
    refuse_blob(tensor_file("I32", "[2,2]", "[0,4]", 4),
                "tensor 'a' has 4 bytes, expected 16 for 4 elements of I32");
    refuse_blob(tensor_file("I32", "[2,2]", "[0,17]", 17), "has 17 bytes, expected 16");
    refuse_blob(tensor_file("F32", "[0]", "[0,4]", 4), "has 4 bytes, expected 0");
    refuse_blob(tensor_file("F32", "[]", "[0,0]", 0), "has 0 bytes, expected 4");
}

static void test_rule_27_end_of_file(void **state)
{
    (void)state;
    static const size_t data[] = {0, 2, 3, 5, 4096};
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        refuse("{'a':" ONE "}", data[i], "the tensors end at byte 4 of the data, expected");
    refuse("{}", 1, "the tensors end at byte 0 of the data, expected 1, the end of the file");
    refuse("{'a':" ONE "}", 3, "expected 3, the end of the file");
}

static void test_rule_28_empty_and_scalar(void **state)
{
    (void)state;
    accept("{}", 0, 0);
    accept_blob(tensor_file("F32", "[0,7]", "[0,0]", 0), 1);
    blob file = tensor_file("F32", "[]", "[0,4]", 4);
    psgvit_weights *weights = open_blob(&file);
    assert_int_equal(psgvit_weights_at(weights, 0)->rank, 0);
    assert_int_equal(psgvit_weights_at(weights, 0)->elements, 1);
    psgvit_weights_close(&weights);
    free(file.bytes);
    accept("{'z':{'dtype':'F32','shape':[0],'data_offsets':[0,0]},'a':" ONE
           ",'c':{'dtype':'F32','shape':[0],'data_offsets':[4,4]},"
           "'b':{'dtype':'F32','shape':[0],'data_offsets':[4,4]}}",
           4, 4);
}

/* ---- our own rules --------------------------------------------------------------------------- */

static void test_rule_29_names_once(void **state)
{
    (void)state;
    static const char four[] = "{'dtype':'U8','shape':[4],'data_offsets':[4,8]}";
    char header[256];
    refuse("{'a':" ONE ",'a':" ONE "}", 4, "tensor 'a' occurs twice, expected each name once");
    refuse("{'a':" ONE ",'\\u0061':" ONE "}", 4, "tensor 'a' occurs twice");
    snprintf(header, sizeof header, "{'a':" ONE ",'a':%s}", four);
    refuse(header, 8, "tensor 'a' occurs twice");
    snprintf(header, sizeof header, "{'a':%s,'b':" ONE ",'a':" ONE "}", four);
    refuse(header, 8, "tensor 'a' occurs twice");
}

static void test_rule_30_names(void **state)
{
    (void)state;
    refuse("{'a\\u0000b':" ONE "}", 4, "tensor 'a\\u0000b' has a NUL in its name");
    refuse("{'\\u0000':" ONE "}", 4, "has a NUL in its name");
    refuse("{ '':" ONE "}", 4, "tensor '' at header byte 3 has an empty name");
    accept("{'a\\\\u0000b':" ONE "}", 4, 1);
}

static void test_rule_31_any_alignment(void **state)
{
    (void)state;
    static const float expected[3] = {1.5f, -2.25f, 1e-30f};
    for (size_t n = 59; n <= 66; n++) {
        char header[80];
        memset(header, ' ', sizeof header);
        int used = snprintf(header, sizeof header,
                            "{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,12]}}");
        header[used] = ' ';
        header[n] = '\0';
        blob file = make_file(header, 12);
        assert_int_equal(file.size, 8 + n + 12);
        memcpy(file.bytes + 8 + n, expected, 12);
        psgvit_weights *weights = open_blob(&file);
        float values[3];
        psgvit_error err;
        assert_int_equal(
            psgvit_weights_read(weights, psgvit_weights_at(weights, 0), 0, 3, values, &err), 0);
        assert_memory_equal(values, expected, sizeof expected);
        psgvit_weights_close(&weights);
        free(file.bytes);
    }
}

static void test_rule_32_values_unchecked(void **state)
{
    (void)state;
    static const uint32_t bits[4] = {0x3F800000, 0x7F800000, 0x7FC00001, 0xFF800000};
    blob file = tensor_file("F32", "[4]", "[0,16]", 16);
    memcpy(file.bytes + file.size - 16, bits, 16);
    psgvit_weights *weights = open_blob(&file);
    uint32_t values[4];
    uint64_t bad;
    psgvit_error err;
    const psgvit_tensor *tensor = psgvit_weights_find(weights, "a");
    assert_int_equal(psgvit_weights_read(weights, tensor, 0, 4, (float *)(void *)values, &err), 0);
    assert_memory_equal(values, bits, 16);
    assert_int_equal(
        pv_weights_read_checked(weights, tensor, 0, 4, (float *)(void *)values, &bad, &err), 0);
    assert_int_equal(bad, 1);
    assert_int_equal(
        pv_weights_read_checked(weights, tensor, 2, 2, (float *)(void *)values, &bad, &err), 0);
    assert_int_equal(bad, 2); /* counted from the tensor's first element */
    assert_int_equal(
        pv_weights_read_checked(weights, tensor, 0, 1, (float *)(void *)values, &bad, &err), 0);
    assert_true(bad == UINT64_MAX);
    psgvit_weights_close(&weights);
    free(file.bytes);
}

/* The limits are those of release builds; others, and sanitizers, have ten times as long. */
#ifdef NDEBUG
static const double patience = 1;
#else
static const double patience = 10;
#endif

/* Of processor time: other programs do not count. */
static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void test_rule_33_own_cap(void **state)
{
    (void)state;
    enum { SIZE = 17 << 20 };
    char *header = malloc(SIZE);
    assert_non_null(header);
    memset(header, ' ', SIZE);
    memcpy(header, "{}", 2);
    blob file = raw_file(header, SIZE, 0);
    psgvit_error err;
    psgvit_weights *weights = NULL;
    double begin = seconds();
    assert_int_equal(psgvit_weights_open_memory(&weights, file.bytes, file.size, NULL, &err),
                     PSGVIT_E_MODEL);
    assert_true(seconds() - begin < 0.05 * patience);
    assert_non_null(strstr(err.message, "17825792 bytes, expected at most 16777216 (max_header)"));
    psgvit_weights_params params = {.struct_size = sizeof params, .max_header = SIZE};
    assert_int_equal(psgvit_weights_open_memory(&weights, file.bytes, file.size, &params, &err), 0);
    psgvit_weights_close(&weights);
    params.max_header = SIZE - 1;
    assert_int_equal(psgvit_weights_open_memory(&weights, file.bytes, file.size, &params, &err),
                     PSGVIT_E_MODEL);
    free(file.bytes);
    free(header);
}

/* 100,000 tensors, against the order of their names and of their data, within a second. */
static void test_rule_34_many_names(void **state)
{
    (void)state;
    enum { COUNT = 100000, ROOM = 90 };
    char *header = malloc(COUNT * ROOM), name[32];
    assert_non_null(header);
    size_t at = 0;
    for (int i = COUNT; i-- > 0;)
        at += (size_t)snprintf(header + at, ROOM,
                               "%c'tensor.%d':{'dtype':'U8','shape':[1],'data_offsets':[%d,%d]}",
                               at ? ',' : '{', i * 7 % COUNT, i, i + 1);
    strcpy(header + at, "}");
    blob file = make_file(header, COUNT);
    double begin = seconds();
    psgvit_weights *weights = open_blob(&file);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "tensor.%d", i * 7 % COUNT);
        assert_ptr_equal(psgvit_weights_find(weights, name), psgvit_weights_at(weights, (size_t)i));
    }
    assert_true(seconds() - begin < 1.0 * patience);
    assert_null(psgvit_weights_find(weights, "tensor.100000"));
    psgvit_weights_close(&weights);
    free(file.bytes);
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule_15_dtypes),
        cmocka_unit_test(test_rule_16_unknown_dtype_hides_nothing),
        cmocka_unit_test(test_rule_17_one_table_of_sizes),
        cmocka_unit_test(test_rule_18_shape),
        cmocka_unit_test(test_rule_19_data_offsets),
        cmocka_unit_test(test_rule_20_product_of_shape),
        cmocka_unit_test(test_rule_21_product_of_bits),
        cmocka_unit_test(test_rule_22_whole_bytes),
        cmocka_unit_test(test_rule_23_end_behind_begin),
        cmocka_unit_test(test_rule_24_no_hole),
        cmocka_unit_test(test_rule_25_no_overlap),
        cmocka_unit_test(test_rule_25_many_on_the_same_bytes),
        cmocka_unit_test(test_rule_26_bytes_of_shape),
        cmocka_unit_test(test_rule_27_end_of_file),
        cmocka_unit_test(test_rule_28_empty_and_scalar),
        cmocka_unit_test(test_rule_29_names_once),
        cmocka_unit_test(test_rule_30_names),
        cmocka_unit_test(test_rule_31_any_alignment),
        cmocka_unit_test(test_rule_32_values_unchecked),
        cmocka_unit_test(test_rule_33_own_cap),
        cmocka_unit_test(test_rule_34_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
