/* SPDX-License-Identifier: MIT */
/* Text as HTML. */
#ifndef TOOLS_HTML_OUT_H
#define TOOLS_HTML_OUT_H

#include <stdio.h>

/* For the inside of elements and of quoted attributes: what has a meaning in HTML is escaped, and
 * control characters and bytes that are no UTF-8 become U+FFFD. NULL becomes nothing. */
void html_put_text(FILE *out, const char *text);

#endif
