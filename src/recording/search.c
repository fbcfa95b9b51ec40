/* SPDX-License-Identifier: MIT */
/* Labels against signals: the label as it stands, its reverse, and the difference of two. */
#include "recording/search.h"

#include <stdio.h>
#include <string.h>

typedef enum match {
    MATCH_FOLDED, /* a table's label, compared with mastoids */
    MATCH_GIVEN,  /* the user's: to the letter if there is such a one, else folded, else LABEL#k */
    MATCH_POSITION, /* an electrode */
} match;

/* A difference is tried last: a channel that the file has is what its recorder meant. */
typedef enum stage { STAGE_LITERAL, STAGE_REVERSED, STAGE_DIFFERENCE, STAGES } stage;

/* Signals that fit a label. */
typedef struct hits {
    int signal[PV_PICKS + 1]; /* one more than can be told apart from "too many" */
    size_t count;             /* of those; usable ones alone */
    size_t seen;              /* usable or not */
} hits;

void pv_index_make(pv_index *index, const pv_edf *edf)
{
    for (size_t i = 0; i < edf->signals; i++) {
        char fold[PV_LABEL];
        const char *label = edf->signal[i].label;
        pv_label_fold(fold, label, strlen(label), true);
        strcpy(index[i].fold, fold); /* a label has 16 characters */
        pv_label_position(&index[i].position, label);
    }
}

void pv_search_begin(pv_search *s)
{
    s->picks = 0;
    s->unusable = -1;
    s->half[0] = '\0';
}

size_t pv_search_ordinal(const pv_edf *edf, size_t i)
{
    size_t before = 0, all = 0;
    for (size_t j = 0; j < edf->signals; j++)
        if (strcmp(edf->signal[j].label, edf->signal[i].label) == 0) {
            before += j < i;
            all++;
        }
    return all > 1 ? before + 1 : 0;
}

/* ---- labels ---------------------------------------------------------------------------------- */

static void hit(pv_search *s, hits *h, size_t i)
{
    const pv_edf_signal *signal = &s->edf->signal[i];
    h->seen++;
    if (signal->annotations || signal->defect[0]) {
        if (s->unusable < 0)
            s->unusable = (int)i;
    } else if (h->count < sizeof h->signal / sizeof h->signal[0]) {
        h->signal[h->count++] = (int)i;
    }
}

static void find_folded(pv_search *s, const char *label, size_t length, hits *h)
{
    char fold[PV_LABEL];
    pv_label_fold(fold, label, length, true);
    for (size_t i = 0; fold[0] && i < s->edf->signals; i++)
        if (strcmp(s->index[i].fold, fold) == 0)
            hit(s, h, i);
}

/* The number behind the last '#', which is cut off with the blanks before it; 0 if there is none.
 */
static size_t cut_ordinal(char *label)
{
    char *mark = strrchr(label, '#');
    size_t number = 0;
    if (!mark || !mark[1])
        return 0;
    for (const char *c = mark + 1; *c; c++) {
        if (*c < '0' || *c > '9' || number > 9999)
            return 0;
        number = number * 10 + (size_t)(*c - '0');
    }
    while (mark > label && mark[-1] == ' ')
        mark--;
    *mark = '\0';
    return number;
}

/* All signals that are called so, to the letter or else when folded, or of them the k-th in the
 * file's order if k is not 0. */
static void find_called(pv_search *s, const char *label, size_t k, hits *h)
{
    char fold[PV_LABEL];
    size_t exact = 0, folded = 0;
    pv_label_fold(fold, label, strlen(label), true);
    for (size_t i = 0; i < s->edf->signals; i++)
        if (strcmp(s->edf->signal[i].label, label) == 0 && (++exact == k || !k))
            hit(s, h, i);
    for (size_t i = 0; fold[0] && !exact && i < s->edf->signals; i++)
        if (strcmp(s->index[i].fold, fold) == 0 && (++folded == k || !k))
            hit(s, h, i);
}

static void find_given(pv_search *s, const char *label, hits *h)
{
    char base[PV_LABEL];
    find_called(s, label, 0, h);
    if (h->seen)
        return;
    strcpy(base, label);
    size_t k = cut_ordinal(base);
    if (k)
        find_called(s, base, k, h);
}

/* The electrode alone goes before the electrode with its reference. */
static void find_position(pv_search *s, const char *label, hits *h)
{
    pv_position wanted;
    pv_label_position(&wanted, label);
    for (int referenced = 0; wanted.name[0] && referenced < 2 && !h->count; referenced++)
        for (size_t i = 0; i < s->edf->signals; i++) {
            const pv_position *p = &s->index[i].position;
            if (p->referenced == referenced && strcmp(p->name, wanted.name) == 0)
                hit(s, h, i);
        }
}

static void find(pv_search *s, const char *label, match how, hits *h)
{
    *h = (hits){.count = 0};
    if (how == MATCH_FOLDED)
        find_folded(s, label, strlen(label), h);
    else if (how == MATCH_GIVEN)
        find_given(s, label, h);
    else
        find_position(s, label, h);
}

/* ---- picks ----------------------------------------------------------------------------------- */

static void add(pv_search *s, pv_pick pick)
{
    size_t known = s->picks < PV_PICKS ? s->picks : PV_PICKS;
    for (size_t i = 0; i < known; i++)
        if (s->pick[i].plus == pick.plus && s->pick[i].minus == pick.minus)
            return;
    if (s->picks < PV_PICKS)
        s->pick[s->picks] = pick;
    s->picks++;
}

static void add_direct(pv_search *s, const hits *h, bool inverted, bool substitute)
{
    for (size_t i = 0; i < h->count; i++)
        add(s, (pv_pick){h->signal[i], -1, inverted, substitute});
}

/* One of the two is there and the other is not. */
static void say_half(pv_search *s, const hits *h, const char *other)
{
    char there[PV_LABEL_TEXT], wanted[64];
    if (s->half[0])
        return;
    pv_label_print(there, sizeof there, s->edf->signal[h->signal[0]].label);
    pv_label_print(wanted, sizeof wanted, other);
    snprintf(s->half, sizeof s->half, "'%s' is there, '%s' is not", there, wanted);
}

static void add_difference(pv_search *s, const char *plus, const char *minus, match how,
                           bool substitute)
{
    hits p, m;
    find(s, plus, how, &p);
    find(s, minus, how, &m);
    if (p.count && !m.seen)
        say_half(s, &p, minus);
    else if (m.count && !p.seen)
        say_half(s, &m, plus);
    for (size_t i = 0; i < p.count; i++)
        for (size_t j = 0; j < m.count; j++)
            if (p.signal[i] != m.signal[j])
                add(s, (pv_pick){p.signal[i], m.signal[j], false, substitute});
}

/* Copies [from, to) without the blanks at its ends. */
static void trim(char text[PV_LABEL], const char *from, const char *to)
{
    while (from < to && *from == ' ')
        from++;
    while (to > from && to[-1] == ' ')
        to--;
    size_t length = (size_t)(to - from) < PV_LABEL ? (size_t)(to - from) : PV_LABEL - 1;
    memcpy(text, from, length);
    text[length] = '\0';
}

/* The '-' of a difference behind `from`: a table sets it off by blanks. */
static const char *next_minus(const char *from, match how)
{
    const char *minus = strstr(from, how == MATCH_FOLDED ? " - " : "-");
    return minus && how == MATCH_FOLDED ? minus + 1 : minus;
}

static void try_split(pv_search *s, const char *source, const char *minus, match how, stage now,
                      bool substitute)
{
    char left[PV_LABEL], right[PV_LABEL], reversed[2 * PV_LABEL];
    trim(left, source, minus);
    trim(right, minus + 1, source + strlen(source));
    if (!left[0] || !right[0])
        return;
    if (now == STAGE_DIFFERENCE) {
        add_difference(s, left, right, how, substitute);
        return;
    }
    hits h = {.count = 0};
    int length = snprintf(reversed, sizeof reversed, "%s-%s", right, left);
    find_folded(s, reversed, (size_t)length, &h);
    add_direct(s, &h, true, substitute);
}

static void try_source(pv_search *s, const char *source, match how, stage now, bool substitute)
{
    hits h;
    if (now == STAGE_LITERAL) {
        find(s, source, how == MATCH_POSITION ? MATCH_FOLDED : how, &h);
        add_direct(s, &h, false, substitute);
        return;
    }
    for (const char *at = next_minus(source, how); at; at = next_minus(at + 1, how))
        try_split(s, source, at, how, now, substitute);
}

bool pv_search_given(pv_search *s, const char *label)
{
    for (int i = 0; i < STAGES && !s->picks; i++)
        try_source(s, label, MATCH_GIVEN, (stage)i, false);
    return s->picks;
}

/* The equals from `at` up to `end`. */
static void try_group(pv_search *s, const char *at, const char *end, stage now)
{
    while (at < end) {
        size_t length = strcspn(at, "|>");
        char source[PV_LABEL];
        trim(source, at, at + length);
        bool substitute = source[0] == '~';
        try_source(s, source + substitute, MATCH_FOLDED, now, substitute);
        at += length + 1;
    }
}

bool pv_search_sources(pv_search *s, const char *sources)
{
    for (const char *at = sources; at && !s->picks;) {
        const char *end = at + strcspn(at, ">");
        for (int i = 0; i < STAGES && !s->picks; i++)
            try_group(s, at, end, (stage)i);
        at = *end ? end + 1 : NULL;
    }
    return s->picks;
}

bool pv_search_position(pv_search *s, const char *name)
{
    pv_position wanted;
    char with_prefix[PV_LABEL];
    pv_label_position(&wanted, name);
    bool bipolar = !wanted.name[0] || wanted.referenced;
    snprintf(with_prefix, sizeof with_prefix, "EEG %s", name);
    for (int i = 0; bipolar && i < STAGES && !s->picks; i++) {
        try_source(s, name, MATCH_POSITION, (stage)i, false);
        if (i == STAGE_LITERAL)
            try_source(s, with_prefix, MATCH_POSITION, STAGE_LITERAL, false);
    }
    if (!s->picks) {
        hits h;
        find(s, name, MATCH_POSITION, &h);
        add_direct(s, &h, false, false);
    }
    return s->picks;
}
