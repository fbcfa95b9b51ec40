/* SPDX-License-Identifier: MIT */
/* Text and numbers as JSON, for headers and reports. */
#ifndef TOOLS_JSON_OUT_H
#define TOOLS_JSON_OUT_H

#include <stddef.h>
#include <stdio.h>

/* `text` as a JSON string with its quotes; NULL becomes null. Control characters are escaped, so
 * the line is safe on a terminal too; bytes that are no UTF-8 become U+FFFD. */
void json_put_string(FILE *out, const char *text);
/* The same for people, without quotes and with those inside as they are: at most `most` characters,
 * then "...". */
void json_put_plain(FILE *out, const char *text, size_t most);
/* Bytes of the well-formed UTF-8 character that `text` begins with, 0 if there is none. */
size_t json_utf8_length(const char *text);
/* A number that reads back the same; NaN and infinity, which JSON lacks, become null. */
void json_put_double(FILE *out, double value);
/* The shortest decimal without exponent that reads back the same, at most `most` digits behind the
 * point: "0.1", "30". For a finite number below 1e15, such as a time. */
enum { JSON_DECIMAL = 64 };
void json_decimal(char text[JSON_DECIMAL], double value, int most);
void json_put_decimal(FILE *out, double value, int most);

#endif
