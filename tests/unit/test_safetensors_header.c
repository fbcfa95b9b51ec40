/* SPDX-License-Identifier: MIT */
/*
 * The rules of the format, one test each, in the order of the reference's code: lengths, text,
 * JSON, entries, sizes, layout, and our own stricter ones. Rules of files are in
 * test_safetensors_file.c.
 */
#include "unit/safetensors_cases.h"

#include "weights/cursor.h"

#include <stdio.h>

/* ---- lengths --------------------------------------------------------------------------------- */

static void test_rule_01_eight_bytes(void **state)
{
    (void)state;
    for (size_t size = 0; size < 8; size++) {
        blob file = make_file("{}", 0);
        file.size = size;
        refuse_blob(file, "expected at least the 8 of a header's length");
    }
}

static void refuse_length(uint64_t length, const char *words)
{
    blob file = make_file("{'a':" ONE "}", 4);
    put_length(file.bytes, length);
    refuse_blob(file, words);
}

static void test_rule_02_length_fits(void **state)
{
    (void)state;
    refuse_length(UINT64_MAX, "18446744073709551615 bytes, the format allows 100000000");
    refuse_length(UINT64_MAX - 7, "the format allows");
    refuse_length(1ull << 63, "the format allows");
    refuse_length(1ull << 32, "the format allows");
}

static void test_rule_03_longest_header(void **state)
{
    (void)state;
    enum { LONGEST = 100000000 };
    psgvit_error err;
    psgvit_weights *weights = NULL;
    psgvit_weights_params params = {.struct_size = sizeof params, .max_header = LONGEST};
    refuse_length(LONGEST + 1, "the format allows");
    refuse_length(LONGEST, "only"); /* one rule further */
    blob file = {malloc(8 + LONGEST), 8 + LONGEST};
    assert_non_null(file.bytes);
    memset(file.bytes, ' ', file.size);
    memcpy(file.bytes + 8, "{}", 2);
    put_length(file.bytes, LONGEST);
    assert_int_equal(psgvit_weights_open_memory(&weights, file.bytes, file.size, &params, &err),
                     PSGVIT_OK);
    psgvit_weights_close(&weights);
    params.max_header++;
    assert_int_equal(psgvit_weights_open_memory(&weights, file.bytes, file.size, &params, &err),
                     PSGVIT_E_ARGUMENT);
    assert_non_null(strstr(err.message, "max_header is 100000001"));
    free(file.bytes);
}

static void test_rule_04_header_inside_file(void **state)
{
    (void)state;
    blob file = make_file("{'a':" ONE "}", 4);
    uint64_t size = file.size;
    free(file.bytes);
    refuse_length(size - 7, "its header has");
    refuse_length(1000, "its header has 1000 bytes, but only");
    blob empty = raw_file("", 0, 0);
    refuse_blob(empty, "header byte 0: expected '{', found the end");
    blob attempt = raw_file("{}", 2, 0); /* the reference's abuse_attempt_1 */
    put_length(attempt.bytes, 1000);
    refuse_blob(attempt, "but only 2 follow");
}

/* ---- text and JSON --------------------------------------------------------------------------- */

/* Bytes inside of a name and inside of the metadata. */
static void try_bytes(const char *bytes, const char *words)
{
    char header[256];
    snprintf(header, sizeof header, "{'__metadata__':{'k':'%s'},'%s':" ONE "}", bytes, bytes);
    if (words)
        refuse(header, 4, words);
    else
        accept(header, 4, 1);
}

static void test_rule_05_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"\xC2\x80",         "\xC3\xA9",         "\xDF\xBF",
                                       "\xE0\xA0\x80",     "\xE2\x82\xAC",     "\xED\x9F\xBF",
                                       "\xEE\x80\x80",     "\xEF\xBF\xBF",     "\xF0\x90\x80\x80",
                                       "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF", "\x7F"};
    static const char *const bad[] = {"\xFF",
                                      "\xFE",
                                      "\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC3",
                                      "\xC3'",
                                      "\xE0\x80\x80",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xE2\x82",
                                      "\xE2\x28\xA1",
                                      "\xE2\x82\x28",
                                      "\xF0\x80\x80\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF0\x9F\x98\x28",
                                      "\xF0\x9F\x28\x80",
                                      "\xF0\x28\x8C\xBC",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        try_bytes(good[i], NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        try_bytes(bad[i], "expected UTF-8, found byte 0x");
    refuse("{}\xE2\x82", 0, "header byte 2: expected UTF-8"); /* cut by the end */
    refuse("{}\xC3", 0, "header byte 2: expected UTF-8");
}

/* A sound tensor with one more field, whose value is ignored. */
static void try_value(const char *value, const char *words)
{
    char header[4096];
    snprintf(header, sizeof header, "{'a':{'dtype':'F32','x':%s,'shape':[1],'data_offsets':[0,4]}}",
             value);
    if (words)
        refuse(header, 4, words);
    else
        accept(header, 4, 1);
}

static void test_rule_06_json(void **state)
{
    (void)state;
    refuse("{", 0, "header byte 1: expected a string, found the end");
    refuse("{,}", 0, "expected a string, found ','");
    refuse("{'a'}", 0, "expected ':', found '}'");
    refuse("{'a':}", 0, "expected '{', a tensor, found '}'");
    refuse("{'a':" ONE ",}", 4, "expected a string, found '}'");
    refuse("{'a':" ONE " 'b':" ONE "}", 4, "expected ',' or '}'");
    refuse("{'a':" ONE "]", 4, "expected ',' or '}', found ']'");
    refuse("{a:1}", 0, "expected a string, found 'a'");
    refuse("/**/{}", 0, "expected '{', found '/'");
    refuse("{//\n}", 0, "found '/'");
    refuse_blob(raw_file("{'a':1}", 7, 0), "expected a string, found '''");
    refuse_blob(raw_file("{\"a", 3, 0), "expected '\"' at the end of a string, found the end");
    refuse_blob(raw_file("{\"__metadata__\":{\"a\0b\":\"\"}}", 27, 0),
                "control characters to be escaped, found byte 0x00");
    try_bytes("\x1F", "control characters to be escaped, found byte 0x1F");
    try_bytes("\n", "found byte 0x0A");
}

static void test_rule_06_escapes(void **state)
{
    (void)state;
    static const char header[] =
        "{'__metadata__':{'k':'\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\uD83D\\uDe00'}}";
    blob file = make_file(header, 0);
    psgvit_weights *weights = open_blob(&file);
    assert_string_equal(psgvit_weights_metadata(weights, "k"),
                        "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    psgvit_weights_close(&weights);
    free(file.bytes);
    try_bytes("\\x41", "expected one of \"\\/bfnrtu after a backslash, found 'x'");
    try_bytes("\\u12g4", "expected four hex digits after \\u, found 'g'");
    try_bytes("\\u12/4", "four hex digits");
    try_bytes("\\u12:4", "four hex digits");
    try_bytes("\\u12@4", "four hex digits");
    try_bytes("\\u12G4", "four hex digits");
    try_bytes("\\u12`4", "four hex digits");
    try_bytes("\\u123", "four hex digits");
    try_bytes("\\ud800", "expected a low surrogate after a high one");
    try_bytes("\\ud800x", "expected a low surrogate after a high one, found 'x'");
    try_bytes("\\ud800\\n", "expected a low surrogate after a high one, found 'n'");
    try_bytes("\\ud800\\u12", "four hex digits");
    try_bytes("\\ud800\\u0041", "expected a low surrogate after a high one");
    try_bytes("\\ud800\\ue000", "expected a low surrogate after a high one");
    try_bytes("\\udbff\\udfff", NULL);
    try_bytes("\\udc00", "expected a high surrogate before a low one");
    refuse_blob(raw_file("{\"\\", 3, 0), "after a backslash, found the end");
    refuse_blob(raw_file("{\"\\u00", 6, 0), "four hex digits after \\u, found the end");
}

static void test_rule_06_values(void **state)
{
    (void)state;
    static const char *const good[] = {"0",
                                       "-0",
                                       "12",
                                       "-1.5",
                                       "1e2",
                                       "1E+2",
                                       "0.25e-12",
                                       "true",
                                       "false",
                                       "null",
                                       "'\\n'",
                                       "[]",
                                       "[1,[2],{}]",
                                       "{}",
                                       "{'b':[{}],'b':1}",
                                       " [ 1 , 2 ] ",
                                       "123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        try_value(good[i], NULL);
    try_value("", "expected a JSON value, found ','");
    try_value("01", "expected ',' or '}', found '1'");
    try_value("+1", "expected a JSON value, found '+'");
    try_value("-", "expected a digit, found ','");
    try_value("1.", "expected a digit");
    try_value(".5", "expected a JSON value, found '.'");
    try_value("1e", "expected a digit");
    try_value("1e+", "expected a digit");
    try_value("1.e5", "expected a digit, found 'e'");
    try_value("NaN", "expected a JSON value, found 'N'");
    try_value("Infinity", "expected a JSON value, found 'I'");
    try_value("nul", "expected null");
    try_value("truE", "expected true");
    try_value("fals", "expected false");
    try_value("[1,]", "expected a JSON value, found ']'");
    try_value("[1 2]", "expected ',' or ']', found '2'");
    try_value("[}", "expected a JSON value, found '}'");
    try_value("{1:2}", "expected a string, found '1'");
    try_value("{'b'}", "expected ':'");
    try_value("{'b':tru}", "expected true");
    try_value("{'b':1,}", "expected a string");
    try_value("{'b':1]", "expected ',' or '}', found ']'");
    refuse("{'a':{'x':nu", 0, "expected null");
    refuse("{'a':{'x'", 0, "expected ':', found the end");
}

static void test_rule_07_object(void **state)
{
    (void)state;
    static const char *const headers[] = {"[]", "1", "null", "'a'", "true", " [] ", "}"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        refuse(headers[i], 0, "expected '{', found");
}

static void test_rule_08_leading_blanks(void **state)
{
    (void)state;
    accept("\t\n\r {}", 0, 0);
    accept(" { 'a' : " ONE " } ", 4, 1);
    refuse("\f{}", 0, "expected '{', found byte 0x0C");
    refuse("   ", 0, "expected '{', found the end");
}

static void test_rule_09_trailing_blanks(void **state)
{
    (void)state;
    accept("{} \n\r\t", 0, 0);
    refuse_blob(raw_file("{}\0\0", 4, 0),
                "expected nothing but blanks behind the object, found byte 0x00");
    refuse("{}x", 0, "expected nothing but blanks behind the object, found 'x'");
    refuse("{}{}", 0, "expected nothing but blanks");
    refuse("{}\v", 0, "expected nothing but blanks");
}

static void test_rule_10_byte_order_mark(void **state)
{
    (void)state;
    refuse("\xEF\xBB\xBF{}", 0, "header byte 0: expected '{', found byte 0xEF");
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void test_rule_11_metadata(void **state)
{
    (void)state;
    refuse("{'__metadata__':{'a':1}}", 0, "'__metadata__': expected a string, found '1'");
    refuse("{'__metadata__':{'a':null}}", 0, "expected a string, found 'n'");
    refuse("{'__metadata__':{'a':{}}}", 0, "expected a string, found '{'");
    refuse("{'__metadata__':{'a':['b']}}", 0, "expected a string, found '['");
    refuse("{'__metadata__':{'a'}}", 0, "expected ':'");
    refuse("{'__metadata__':{1:'a'}}", 0, "expected a string, found '1'");
    refuse("{'__metadata__':[]}", 0, "expected '{', the metadata, found '['");
    refuse("{'__metadata__':nul}", 0, "expected null");
    accept("{'__metadata__':{}}", 0, 0);
    accept("{'__metadata__':null}", 0, 0);
    accept("{'\\u005f_metadata__':{}}", 0, 0);
    refuse("{'__metadata_':{}}", 0, "tensor '__metadata_' has no dtype");
    refuse("{'__metadata__x':{}}", 0, "tensor '__metadata__x' has no dtype");
}

static void test_rule_11_metadata_kept(void **state)
{
    (void)state;
    blob file =
        make_file("{'__metadata__':{'b':'2','a':'1','b':'3','a\\u0000z':'4','':'5','b':'6'}}", 0);
    static const char *const keys[] = {"", "a", "a", "b"}, *const values[] = {"5", "1", "4", "6"};
    psgvit_weights *w = open_blob(&file);
    assert_int_equal(psgvit_weights_metadata_count(w), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(psgvit_weights_metadata_key(w, i), keys[i]);
        assert_string_equal(psgvit_weights_metadata_value(w, i), values[i]);
    }
    assert_null(psgvit_weights_metadata_key(w, 4));
    assert_null(psgvit_weights_metadata_value(w, SIZE_MAX));
    assert_string_equal(psgvit_weights_metadata(w, "a"), "1");
    assert_string_equal(psgvit_weights_metadata(w, "b"), "6"); /* the last of three, as elsewhere */
    assert_null(psgvit_weights_metadata(w, "c"));
    psgvit_weights_close(&w);
    free(file.bytes);
}

static void test_rule_12_metadata_once(void **state)
{
    (void)state;
    refuse("{'__metadata__':{},'__metadata__':{}}", 0, "the header has __metadata__ twice");
    refuse("{'__metadata__':null,'\\u005F_metadata__':null}", 0, "has __metadata__ twice");
}

/* ---- entries --------------------------------------------------------------------------------- */

static void test_rule_13_fields(void **state)
{
    (void)state;
    static const char *const fields[] = {"'dtype':'F32'", "'shape':[1]", "'data_offsets':[0,4]"};
    static const char *const names[] = {"dtype", "shape", "data_offsets"};
    char header[256], words[64];
    for (int i = 0; i < 3; i++) {
        const char *b = fields[(i + 1) % 3], *c = fields[(i + 2) % 3];
        snprintf(header, sizeof header, "{'a':{%s,%s}}", b, c);
        snprintf(words, sizeof words, "tensor 'a' has no %s", names[i]);
        refuse(header, 4, words);
        snprintf(header, sizeof header, "{'a':{%s,%s,%s,%s}}", fields[i], b, c, fields[i]);
        snprintf(words, sizeof words, "tensor 'a' has %s twice", names[i]);
        refuse(header, 4, words);
        snprintf(header, sizeof header, "{'a':{%s,%s,%s}}", b, c, fields[i]);
        accept(header, 4, 1);
    }
    refuse("{'a':{'Dtype':'F32','shape':[1],'data_offsets':[0,4]}}", 4, "has no dtype");
    accept("{'a':{'d\\u0074ype':'\\u004632','sh\\u0061pe':[1],'data_offsets':[0,4]}}", 4, 1);
    refuse("{'a':1}", 0, "'a': expected '{', a tensor, found '1'");
    refuse("{'a':null}", 0, "expected '{', a tensor, found 'n'");
    refuse("{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]]}", 4, "expected ',' or '}'");
}

static void test_rule_13_odd_forms(void **state)
{
    (void)state;
    refuse("{'a':['F32',[1],[0,4]]}", 4, "'a': expected '{', a tensor, found '['");
    refuse("{'a':{'dtype':{'F32':null},'shape':[1],'data_offsets':[0,4]}}", 4,
           "expected a string, found '{'");
}

/* `levels` of brackets; the tensor is at level 2 already. */
static void try_nesting(size_t levels, bool objects, const char *words)
{
    char value[512] = "";
    for (size_t i = 0; i < levels; i++)
        strcat(value, objects ? "{'b':" : "[");
    strcat(value, "1");
    for (size_t i = 0; i < levels; i++)
        strcat(value, objects ? "}" : "]");
    try_value(value, words);
}

static void test_rule_14_other_fields(void **state)
{
    (void)state;
    try_value("{'dtype':'F16','shape':[7]}", NULL);
    try_value("1e999", NULL);
    for (int objects = 0; objects < 2; objects++) {
        try_nesting(PV_CURSOR_DEPTH - 2, objects, NULL);
        try_nesting(PV_CURSOR_DEPTH - 1, objects, "expected at most 16 levels of nesting");
        try_nesting(60, objects, "expected at most 16 levels of nesting");
    }
    /* Keys longer than those that are known. */
    accept("{'a':{'dtypedtypedtypedtype':1,'dtype':'F32','shape':[1],'data_offsets':[0,4]}}", 4, 1);
}

/* The first error sticks, and the cursor stays where it is. */
static void test_cursor_stops(void **state)
{
    (void)state;
    static const char text[] = "null:{\"a\"1";
    pv_cursor json;
    size_t length;
    uint64_t value;
    for (size_t at = 0; at < sizeof text; at++) {
        pv_cursor_start(&json, text + at, sizeof text - 1 - at);
        assert_false(pv_cursor_fail(&json, "better"));
        assert_false(pv_cursor_fail(&json, "worse"));
        assert_int_equal(pv_cursor_peek(&json), 0);
        assert_false(pv_cursor_open(&json, '{', "{"));
        assert_false(pv_cursor_more(&json, '}'));
        assert_false(pv_cursor_colon(&json));
        assert_false(pv_cursor_string(&json, NULL, 0, &length));
        assert_false(pv_cursor_u64(&json, &value));
        assert_false(pv_cursor_word(&json, "null"));
        assert_false(pv_cursor_skip(&json));
        assert_false(pv_cursor_finish(&json));
        assert_string_equal(json.expected, "better");
        assert_ptr_equal(json.at, text + at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule_01_eight_bytes),
        cmocka_unit_test(test_rule_02_length_fits),
        cmocka_unit_test(test_rule_03_longest_header),
        cmocka_unit_test(test_rule_04_header_inside_file),
        cmocka_unit_test(test_rule_05_utf8),
        cmocka_unit_test(test_rule_06_json),
        cmocka_unit_test(test_rule_06_escapes),
        cmocka_unit_test(test_rule_06_values),
        cmocka_unit_test(test_rule_07_object),
        cmocka_unit_test(test_rule_08_leading_blanks),
        cmocka_unit_test(test_rule_09_trailing_blanks),
        cmocka_unit_test(test_rule_10_byte_order_mark),
        cmocka_unit_test(test_rule_11_metadata),
        cmocka_unit_test(test_rule_11_metadata_kept),
        cmocka_unit_test(test_rule_12_metadata_once),
        cmocka_unit_test(test_rule_13_fields),
        cmocka_unit_test(test_rule_13_odd_forms),
        cmocka_unit_test(test_rule_14_other_fields),
        cmocka_unit_test(test_cursor_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
