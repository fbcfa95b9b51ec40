/* SPDX-License-Identifier: MIT */
/*
 * A strict cursor over JSON text (RFC 8259) that is known to be UTF-8. It owns nothing, allocates
 * nothing and needs no NUL at the end. The first error sticks: from then on every function returns
 * false and the cursor stays where the fault is, so that a caller may look once, at the end.
 */
#ifndef PV_WEIGHTS_CURSOR_H
#define PV_WEIGHTS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PV_CURSOR_DEPTH = 16 }; /* levels of nesting; the format needs 3 */

typedef struct pv_cursor {
    const char *at, *end;
    const char *expected; /* NULL while all is well, else what should have been at `at` */
    unsigned depth;
    bool fresh; /* just behind an opening bracket: no comma is due */
} pv_cursor;

void pv_cursor_start(pv_cursor *json, const char *text, size_t size);
/* Notes what was expected here, unless there is an error already. Returns false. */
bool pv_cursor_fail(pv_cursor *json, const char *expected);

/* Moves over blanks; the byte behind them, 0 at the end or after an error. */
char pv_cursor_peek(pv_cursor *json);
/* Consumes an opening bracket, '{' or '['. */
bool pv_cursor_open(pv_cursor *json, char bracket, const char *expected);
/* True if another member follows, past its comma; false once the closing bracket is consumed. */
bool pv_cursor_more(pv_cursor *json, char bracket);
/* Consumes the colon between key and value. */
bool pv_cursor_colon(pv_cursor *json);
/* A string, its escapes resolved, no NUL added. *length is its whole length in bytes, of which the
 * first `capacity` are written. */
bool pv_cursor_string(pv_cursor *json, char *out, size_t capacity, size_t *length);
/* An integer from 0 to 2^64-1, written as one: no sign, point or exponent. */
bool pv_cursor_u64(pv_cursor *json, uint64_t *value);
/* The word null, true or false. */
bool pv_cursor_word(pv_cursor *json, const char *word);
/* Any value, which is checked but not kept. */
bool pv_cursor_skip(pv_cursor *json);
/* True if nothing but blanks is left and there was no error. */
bool pv_cursor_finish(pv_cursor *json);

#endif
