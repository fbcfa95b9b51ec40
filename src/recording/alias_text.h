/* SPDX-License-Identifier: MIT */
/*
 * The aliases that a user gives: a text of lines NAME=LABEL,LABEL,... NAME is an input of the
 * model, the labels are tried in their order. Blank lines and lines that begin with '#' say
 * nothing; blanks around a name or a label don't count. A label in double quotes may hold commas
 * and blanks at its ends, and "" for a quote. The text is read where it lies, nothing is owned.
 */
#ifndef PV_RECORDING_ALIAS_TEXT_H
#define PV_RECORDING_ALIAS_TEXT_H

#include "recording/labels.h"

#include <psgvit/psgvit.h>

/* PSGVIT_E_ARGUMENT names the line that can't be read, or names none of the inputs `names`
 * [count], or one for the second time. */
psgvit_status pv_alias_check(const char *text, const char *const *names, size_t count,
                             psgvit_error *err);

/* Where the labels of the input `name` begin in a text that has been checked; NULL: it has none,
 * or text is NULL. */
const char *pv_alias_find(const char *text, const char *name);

/* The next label at *at, which moves on; false at the end of the line. */
bool pv_alias_next(const char **at, char label[PV_LABEL]);

#endif
