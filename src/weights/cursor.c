/* SPDX-License-Identifier: MIT */
/* The strict JSON cursor. Stateless: all it knows is in the cursor. */
#include "weights/cursor.h"

#include "base/checked.h"

#include <string.h>

/* ---- cursor ---------------------------------------------------------------------------------- */

void pv_cursor_start(pv_cursor *json, const char *text, size_t size)
{
    *json = (pv_cursor){.at = text, .end = text + size};
}

bool pv_cursor_fail(pv_cursor *json, const char *expected)
{
    if (!json->expected)
        json->expected = expected;
    return false;
}

/* The byte at the cursor, blanks included; 0 at the end, which no caller can take for a NUL, as a
 * NUL is legal nowhere. */
static char byte_at(const pv_cursor *json)
{
    return json->at < json->end ? *json->at : '\0';
}

/* Consumes `byte` if it is the very next one. */
static bool take(pv_cursor *json, char byte)
{
    if (byte_at(json) != byte)
        return false;
    json->at++;
    return true;
}

char pv_cursor_peek(pv_cursor *json)
{
    if (json->expected)
        return '\0';
    while (take(json, ' ') || take(json, '\n') || take(json, '\r') || take(json, '\t'))
        continue;
    return byte_at(json);
}

bool pv_cursor_open(pv_cursor *json, char bracket, const char *expected)
{
    if (pv_cursor_peek(json) != bracket)
        return pv_cursor_fail(json, expected);
    if (json->depth == PV_CURSOR_DEPTH)
        return pv_cursor_fail(json, "at most 16 levels of nesting");
    json->at++;
    json->depth++;
    json->fresh = true;
    return true;
}

bool pv_cursor_more(pv_cursor *json, char bracket)
{
    char next = pv_cursor_peek(json);
    bool fresh = json->fresh;
    json->fresh = false;
    if (next == bracket) {
        json->at++;
        json->depth--;
        return false;
    }
    if (json->expected || fresh)
        return !json->expected;
    if (next != ',')
        return pv_cursor_fail(json, bracket == '}' ? "',' or '}'" : "',' or ']'");
    json->at++;
    return true;
}

bool pv_cursor_colon(pv_cursor *json)
{
    if (pv_cursor_peek(json) != ':')
        return pv_cursor_fail(json, "':'");
    json->at++;
    return true;
}

bool pv_cursor_finish(pv_cursor *json)
{
    (void)pv_cursor_peek(json);
    if (json->at < json->end)
        return pv_cursor_fail(json, "nothing but blanks behind the object");
    return !json->expected;
}

/* ---- strings --------------------------------------------------------------------------------- */

typedef struct sink {
    char *out;
    size_t capacity;
    size_t length;
} sink;

static void put(sink *to, unsigned byte)
{
    if (to->length < to->capacity)
        to->out[to->length] = (char)(unsigned char)byte;
    to->length++;
}

/* A code point as UTF-8. */
static void put_code(sink *to, unsigned code)
{
    if (code < 0x80) {
        put(to, code);
        return;
    }
    if (code < 0x800) {
        put(to, 0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            put(to, 0xE0 | code >> 12);
        } else {
            put(to, 0xF0 | code >> 18);
            put(to, 0x80 | (code >> 12 & 0x3F));
        }
        put(to, 0x80 | (code >> 6 & 0x3F));
    }
    put(to, 0x80 | (code & 0x3F));
}

static bool hex4(pv_cursor *json, unsigned *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++) {
        char c = byte_at(json);
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            return pv_cursor_fail(json, "four hex digits after \\u");
        *value = *value << 4 | digit;
        json->at++;
    }
    return true;
}

/* Behind "\u": four hex digits, and for a high surrogate the low one that must follow. */
static bool unicode_escape(pv_cursor *json, sink *to)
{
    unsigned code, low;
    if (!hex4(json, &code))
        return false;
    if (code >> 10 == 0xDC00 >> 10)
        return pv_cursor_fail(json, "a high surrogate before a low one");
    if (code >> 10 == 0xD800 >> 10) {
        if (!take(json, '\\') || !take(json, 'u'))
            return pv_cursor_fail(json, "a low surrogate after a high one");
        if (!hex4(json, &low))
            return false;
        if (low >> 10 != 0xDC00 >> 10)
            return pv_cursor_fail(json, "a low surrogate after a high one");
        code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF);
    }
    put_code(to, code);
    return true;
}

/* Behind a backslash. */
static bool escape(pv_cursor *json, sink *to)
{
    static const char names[8] = {'"', '\\', '/', 'b', 'f', 'n', 'r', 't'};
    static const char bytes[8] = {'"', '\\', '/', '\b', '\f', '\n', '\r', '\t'};
    if (take(json, 'u'))
        return unicode_escape(json, to);
    for (size_t i = 0; i < sizeof names; i++)
        if (take(json, names[i])) {
            put(to, (unsigned char)bytes[i]);
            return true;
        }
    return pv_cursor_fail(json, "one of \"\\/bfnrtu after a backslash");
}

bool pv_cursor_string(pv_cursor *json, char *out, size_t capacity, size_t *length)
{
    sink to = {out, capacity, 0};
    *length = 0;
    if (pv_cursor_peek(json) != '"')
        return pv_cursor_fail(json, "a string");
    json->at++;
    while (!take(json, '"')) {
        if (json->at == json->end)
            return pv_cursor_fail(json, "'\"' at the end of a string");
        if ((unsigned char)*json->at < 0x20)
            return pv_cursor_fail(json, "control characters to be escaped");
        if (!take(json, '\\'))
            put(&to, (unsigned char)*json->at++);
        else if (!escape(json, &to))
            return false;
    }
    *length = to.length;
    return true;
}

/* ---- numbers and other values ---------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool pv_cursor_u64(pv_cursor *json, uint64_t *value)
{
    *value = 0;
    if (!is_digit(pv_cursor_peek(json)))
        return pv_cursor_fail(json, "an unsigned integer");
    bool zero = *json->at == '0'; /* stands alone: 01 is no number */
    do {
        uint64_t digit = (uint64_t)(*json->at - '0');
        if (!pv_mul_u64(*value, 10, value) || !pv_add_u64(*value, digit, value))
            return pv_cursor_fail(json, "an integer below 2^64");
        json->at++;
    } while (!zero && is_digit(byte_at(json)));
    char next = byte_at(json);
    if (is_digit(next) || next == '.' || next == 'e' || next == 'E')
        return pv_cursor_fail(json, "the end of an unsigned integer");
    return true;
}

/* One digit or more. */
static bool digits(pv_cursor *json)
{
    if (!is_digit(byte_at(json)))
        return pv_cursor_fail(json, "a digit");
    while (is_digit(byte_at(json)))
        json->at++;
    return true;
}

/* A number by its grammar alone: it is ignored, so its size does not matter. */
static bool skip_number(pv_cursor *json)
{
    (void)take(json, '-');
    if (!take(json, '0') && !digits(json))
        return false;
    if (take(json, '.') && !digits(json))
        return false;
    if (!take(json, 'e') && !take(json, 'E'))
        return true;
    if (!take(json, '+'))
        (void)take(json, '-');
    return digits(json);
}

bool pv_cursor_word(pv_cursor *json, const char *word)
{
    size_t length = strlen(word);
    if (pv_cursor_peek(json) != *word || (size_t)(json->end - json->at) < length ||
        memcmp(json->at, word, length) != 0)
        return pv_cursor_fail(json, word);
    json->at += length;
    return true;
}

static bool skip_object(pv_cursor *json)
{
    size_t length;
    if (!pv_cursor_open(json, '{', "'{'"))
        return false;
    while (pv_cursor_more(json, '}'))
        if (!pv_cursor_string(json, NULL, 0, &length) || !pv_cursor_colon(json) ||
            !pv_cursor_skip(json))
            return false;
    return !json->expected;
}

static bool skip_array(pv_cursor *json)
{
    if (!pv_cursor_open(json, '[', "'['"))
        return false;
    while (pv_cursor_more(json, ']'))
        if (!pv_cursor_skip(json))
            return false;
    return !json->expected;
}

/* The recursion through arrays and objects ends at PV_CURSOR_DEPTH. */
bool pv_cursor_skip(pv_cursor *json)
{
    size_t length;
    char next = pv_cursor_peek(json);
    switch (next) {
    case '{': return skip_object(json);
    case '[': return skip_array(json);
    case '"': return pv_cursor_string(json, NULL, 0, &length);
    case 'n': return pv_cursor_word(json, "null");
    case 't': return pv_cursor_word(json, "true");
    case 'f': return pv_cursor_word(json, "false");
    default: break;
    }
    return next == '-' || is_digit(next) ? skip_number(json) : pv_cursor_fail(json, "a JSON value");
}
