/* SPDX-License-Identifier: MIT */
/* Whatever a file or its header holds must neither become markup nor make the page invalid. */
#include "html_out.h"

#include "json_out.h"

static void put_character(FILE *out, const char *s, size_t length)
{
    const unsigned char *u = (const unsigned char *)s;
    if (length == 0 || u[0] < ' ' || u[0] == 0x7F || (length == 2 && u[0] == 0xC2 && u[1] < 0xA0))
        fputs("\xEF\xBF\xBD", out);
    else if (*s == '&')
        fputs("&amp;", out);
    else if (*s == '<')
        fputs("&lt;", out);
    else if (*s == '>')
        fputs("&gt;", out);
    else if (*s == '"')
        fputs("&quot;", out);
    else if (*s == '\'')
        fputs("&#39;", out);
    else
        fwrite(s, 1, length, out);
}

void html_put_text(FILE *out, const char *text)
{
    for (const char *s = text; s && *s;) {
        size_t length = json_utf8_length(s);
        put_character(out, s, length);
        s += length ? length : 1;
    }
}
