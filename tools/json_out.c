/* SPDX-License-Identifier: MIT */
/* JSON strings are checked for UTF-8 here, since names of files and tensors may hold anything. */
#include "json_out.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Table 3-7 of the Unicode standard: no overlong form, no surrogate, nothing past U+10FFFF. */
size_t json_utf8_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return 1;
    size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[0] < 0xC2 || s[0] > 0xF4 || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

static void put_character(FILE *out, const unsigned char *s, size_t length, bool quoted)
{
    if (*s == '\\' || (quoted && *s == '"'))
        fprintf(out, "\\%c", *s);
    else if (length == 1 && *s == '\n')
        fputs("\\n", out);
    else if (length == 1 && (*s < ' ' || *s == 0x7F))
        fprintf(out, "\\u%04x", *s);
    else if (length == 2 && s[0] == 0xC2 && s[1] < 0xA0) /* C1 controls: a terminal obeys them */
        fprintf(out, "\\u%04x", s[1]);
    else
        fwrite(s, 1, length, out);
}

/* Returns where it stopped: the end, or after `most` characters. */
static const char *put_escaped(FILE *out, const char *text, size_t most, bool quoted)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; *s && i < most; i++) {
        size_t length = json_utf8_length((const char *)s);
        if (length == 0)
            fputs("\\ufffd", out);
        else
            put_character(out, s, length, quoted);
        s += length ? length : 1;
    }
    return (const char *)s;
}

void json_put_string(FILE *out, const char *text)
{
    if (!text) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    put_escaped(out, text, SIZE_MAX, true);
    fputc('"', out);
}

void json_put_plain(FILE *out, const char *text, size_t most)
{
    if (*put_escaped(out, text, most, false))
        fputs("...", out);
}

void json_put_double(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "%.17g", value);
    else
        fputs("null", out);
}

void json_decimal(char text[JSON_DECIMAL], double value, int most)
{
    for (int digits = 0; digits <= most; digits++) {
        snprintf(text, JSON_DECIMAL, "%.*f", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

void json_put_decimal(FILE *out, double value, int most)
{
    char text[JSON_DECIMAL];
    json_decimal(text, value, most);
    fputs(text, out);
}
