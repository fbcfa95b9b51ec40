/* SPDX-License-Identifier: MIT */
/* Lines and labels of the user's aliases. */
#include "recording/alias_text.h"

#include "base/channels.h"
#include "base/status.h"

#include <string.h>

typedef struct line {
    size_t number;
    const char *name, *labels; /* labels: behind the '='; NULL: there is none */
    size_t name_length;
} line;

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip_blanks(const char *at)
{
    while (blank(*at))
        at++;
    return at;
}

/* The next line that says something; *at and line->number move on. */
static bool next_line(const char **at, line *l)
{
    while (**at) {
        bool mark = strncmp(*at, "\xEF\xBB\xBF", 3) == 0; /* of UTF-8, at a file's beginning */
        const char *start = skip_blanks(*at + (mark ? 3 : 0)), *end = start + strcspn(start, "\n");
        *at = *end ? end + 1 : end;
        l->number++;
        if (start == end || *start == '#')
            continue;
        const char *stop = start + strcspn(start, "=\n");
        l->labels = *stop == '=' ? stop + 1 : NULL;
        l->name = start;
        while (stop > start && blank(stop[-1]))
            stop--;
        l->name_length = (size_t)(stop - start);
        return true;
    }
    return false;
}

/* Spelled alike but for what folding ignores, or one position: T3 and T7. */
static bool same_input(const line *l, const char *name)
{
    char given[PV_LABEL];
    if (l->name_length >= PV_LABEL)
        return false;
    memcpy(given, l->name, l->name_length);
    given[l->name_length] = '\0';
    int row = pv_channel_row(given, NULL);
    return pv_label_same(given, name, false) || (row >= 0 && row == pv_channel_row(name, NULL));
}

/* Reads the label at *at up to the comma or the line's end; *more: a comma follows. NULL, or what
 * is wrong with it. */
static const char *read_label(const char **at, char label[PV_LABEL], bool *more)
{
    const char *c = skip_blanks(*at);
    size_t n = 0, end = 0; /* end: without the blanks behind */
    bool quoted = *c == '"', closed = !quoted;
    for (c += quoted; *c && *c != '\n' && (quoted || *c != ','); c++) {
        closed = !quoted || (*c == '"' && *++c != '"');
        if (quoted && closed)
            break;
        if (n + 1 >= PV_LABEL)
            return "is longer than 127 bytes";
        label[n++] = *c;
        if (quoted || !blank(*c))
            end = n;
    }
    if (!closed)
        return "has a quote that is not closed";
    label[end] = '\0';
    c = skip_blanks(c);
    if (*c && *c != ',' && *c != '\n')
        return "has text behind its closing quote";
    *more = *c == ',';
    *at = *more ? c + 1 : c;
    return end ? NULL : "is empty";
}

static psgvit_status check_labels(const line *l, const char *name, psgvit_error *err)
{
    const char *at = l->labels;
    bool more = true;
    for (size_t i = 1; more; i++) {
        char label[PV_LABEL];
        const char *wrong = read_label(&at, label, &more);
        if (wrong)
            return pv_fail(err, PSGVIT_E_ARGUMENT, "aliases, line %zu: label %zu of %s %s",
                           l->number, i, name, wrong);
    }
    return PSGVIT_OK;
}

/* The names as a list, as far as they go. */
static void list_names(char *text, size_t size, const char *const *names, size_t count)
{
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (n + length + 8 > size) {
            strcpy(text + n, " ...");
            return;
        }
        if (n) {
            memcpy(text + n, ", ", 2);
            n += 2;
        }
        memcpy(text + n, names[i], length + 1);
        n += length;
    }
}

static psgvit_status unknown_name(const line *l, const char *const *names, size_t count,
                                  psgvit_error *err)
{
    char list[512], cut[PV_LABEL], name[PV_LABEL];
    size_t length = l->name_length < 64 ? l->name_length : 64;
    memcpy(cut, l->name, length);
    cut[length] = '\0';
    pv_label_print(name, sizeof name, cut);
    list_names(list, sizeof list, names, count);
    return pv_fail(err, PSGVIT_E_ARGUMENT,
                   "aliases, line %zu: '%s' is no input of the model, expected one of %s",
                   l->number, name, list);
}

/* The line before `l` that names the same input; 0: none does. */
static size_t earlier(const char *text, const line *l, const char *name)
{
    line other = {0};
    while (next_line(&text, &other) && other.number < l->number)
        if (same_input(&other, name))
            return other.number;
    return 0;
}

psgvit_status pv_alias_check(const char *text, const char *const *names, size_t count,
                             psgvit_error *err)
{
    line l = {0};
    for (const char *at = text; at && next_line(&at, &l);) {
        if (!l.labels)
            return pv_fail(err, PSGVIT_E_ARGUMENT,
                           "aliases, line %zu: there is no '=', expected NAME=LABEL,LABEL,...",
                           l.number);
        size_t i = 0;
        while (i < count && !same_input(&l, names[i]))
            i++;
        if (i == count)
            return unknown_name(&l, names, count, err);
        size_t before = earlier(text, &l, names[i]);
        if (before)
            return pv_fail(err, PSGVIT_E_ARGUMENT,
                           "aliases, line %zu: %s has its aliases in line %zu already", l.number,
                           names[i], before);
        PV_TRY(check_labels(&l, names[i], err));
    }
    return PSGVIT_OK;
}

const char *pv_alias_find(const char *text, const char *name)
{
    line l = {0};
    while (text && next_line(&text, &l))
        if (same_input(&l, name))
            return l.labels;
    return NULL;
}

bool pv_alias_next(const char **at, char label[PV_LABEL])
{
    bool more = true;
    if (!*at || read_label(at, label, &more))
        return false;
    if (!more)
        *at = NULL;
    return true;
}
