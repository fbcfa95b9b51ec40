/* SPDX-License-Identifier: MIT */
/* Labels and units as text: folding, positions, scales. */
#include "recording/labels.h"

#include "base/channels.h"

#include <string.h>

/* The locale has no say: only a to z have an upper case here. */
static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool separates(char c)
{
    return c == ' ' || c == '-' || c == '_' || c == ':' || c == '/' || c == '.';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- folding --------------------------------------------------------------------------------- */

/* A1 or A2 stands at `at`, behind `before` characters of the label. */
static bool mastoid(const char *label, size_t length, size_t at, char last)
{
    if (at + 1 >= length || upper(label[at]) != 'A' ||
        (label[at + 1] != '1' && label[at + 1] != '2'))
        return false;
    bool starts = at == 0 || separates(label[at - 1]);
    bool ends = at + 2 == length || separates(label[at + 2]);
    return ends && (starts || digit(last) || last == 'Z' || last == 'C');
}

void pv_label_fold(char folded[PV_LABEL], const char *label, size_t length, bool mastoids)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        if (separates(label[i]))
            continue;
        if (n + 1 >= PV_LABEL) {
            n = 0;
            break;
        }
        char last = n ? folded[n - 1] : '\0';
        folded[n++] = mastoids && mastoid(label, length, i, last) ? 'M' : upper(label[i]);
    }
    folded[n] = '\0';
}

bool pv_label_same(const char *a, const char *b, bool mastoids)
{
    char fa[PV_LABEL], fb[PV_LABEL];
    pv_label_fold(fa, a, strlen(a), mastoids);
    pv_label_fold(fb, b, strlen(b), mastoids);
    return fa[0] && strcmp(fa, fb) == 0;
}

/* ---- positions ------------------------------------------------------------------------------- */

/* What may stand behind a position as its reference, folded. */
static bool is_reference(const char *text)
{
    static const char *const references[] = {
        "REF", "REF1", "LE", "LER", "LINKED", "LINKEDEARS", "AR",     "AVG",   "AVE",      "AV",
        "CAR", "A1",   "A2", "M1",  "M2",     "A1A2",       "M1M2",   "A1+A2", "AA",       "NE",
        "G2",  "GND",  "MM", "CLE", "RLE",    "ORG",        "COMMON", "M1+M2", "(A1+A2)2",
    };
    char folded[PV_LABEL];
    pv_label_fold(folded, text, strlen(text), false);
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++)
        if (strcmp(folded, references[i]) == 0)
            return true;
    return false;
}

/* Words that some recorders put in front of every electrode. */
static const char *without_prefix(const char *label, bool *eeg)
{
    static const char *const prefixes[] = {"EEG", "POL"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = 0;
        while (prefixes[i][n] && upper(label[n]) == prefixes[i][n])
            n++;
        bool whole = !prefixes[i][n] && label[n];
        if (!whole || !(separates(label[n]) || pv_channel_row(label + n, NULL) >= 0))
            continue;
        *eeg |= i == 0;
        label += n;
        while (separates(*label))
            label++;
        return label;
    }
    return label;
}

/* Letters, then z or a number: "FC5", "IZ", "TP10", not "SAO2" or "ECG1". */
static bool has_form(const char *name)
{
    static const char *const stems[] = {"FP", "AF", "F",   "FT", "FC", "AFF", "FFC", "FFT", "FCC",
                                        "C",  "CP", "CCP", "T",  "TP", "TTP", "P",   "PO",  "PPO",
                                        "O",  "I",  "N",   "A",  "M",  "CPP", "TPP", "POO", "FTT"};
    size_t stem = 0, end;
    while (name[stem] >= 'A' && name[stem] <= 'Y')
        stem++;
    end = stem;
    if (name[end] == 'Z')
        end++;
    else
        while (digit(name[end]) && end < stem + 2)
            end++;
    bool fits = end > stem && (!name[end] || (name[end] == 'H' && !name[end + 1]));
    for (size_t i = 0; fits && i < sizeof stems / sizeof stems[0]; i++)
        if (strlen(stems[i]) == stem && strncmp(stems[i], name, stem) == 0)
            return true;
    return false;
}

void pv_label_position(pv_position *position, const char *label)
{
    *position = (pv_position){.name = ""};
    label = without_prefix(label, &position->eeg);
    while (separates(*label))
        label++;
    size_t head = 0;
    while (label[head] && !separates(label[head]))
        head++;
    const char *tail = label + head;
    while (separates(*tail))
        tail++;
    if (*tail && !is_reference(tail))
        return;
    position->referenced = *tail;
    char name[PV_LABEL];
    pv_label_fold(name, label, head, true);
    if (strlen(name) >= sizeof position->name)
        return;
    strcpy(position->name, name);
    int row = pv_channel_row(position->name, NULL);
    if (row >= 0)
        strcpy(position->name, pv_channel_name((size_t)row));
    position->eeg |= row >= 0 || has_form(position->name);
    position->known =
        row >= 0 || strcmp(position->name, "M1") == 0 || strcmp(position->name, "M2") == 0;
}

/* ---- units ----------------------------------------------------------------------------------- */

/* Lower case, a mu as u, without blanks, dots and brackets. */
static void fold_unit(char folded[16], const char *unit)
{
    size_t n = 0;
    for (const unsigned char *c = (const unsigned char *)unit; *c && n + 1 < 16; c++) {
        if ((c[0] == 0xC2 && c[1] == 0xB5) || (c[0] == 0xCE && c[1] == 0xBC)) { /* UTF-8 */
            folded[n++] = 'u';
            c++;
        } else if (*c == 0xB5 || *c == 0xE6) { /* Latin-1; the code page of DOS */
            folded[n++] = 'u';
        } else if (!strchr(" .()[]", *c)) {
            folded[n++] = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : (char)*c;
        }
    }
    folded[n] = '\0';
}

double pv_unit_scale(const char *unit, pv_unit_kind *kind, const char **name)
{
    /* Nobody records megavolts: "MV" is a mV in capitals. A field has 8 characters. */
    static const struct {
        const char *spelling, *name;
        double scale;
    } units[] = {
        {"uv", "uV", 1},          {"microv", "uV", 1},      {"microvol", "uV", 1},
        {"microvolt", "uV", 1},   {"uvolt", "uV", 1},       {"uvolts", "uV", 1},
        {"mcv", "uV", 1},         {"mkv", "uV", 1},         {"microvolts", "uV", 1},
        {"mv", "mV", 1e3},        {"milliv", "mV", 1e3},    {"millivol", "mV", 1e3},
        {"millivolt", "mV", 1e3}, {"mvolt", "mV", 1e3},     {"mvolts", "mV", 1e3},
        {"v", "V", 1e6},          {"volt", "V", 1e6},       {"volts", "V", 1e6},
        {"nv", "nV", 1e-3},       {"nanovolt", "nV", 1e-3}, {"millivolts", "mV", 1e3},
    };
    char folded[16];
    fold_unit(folded, unit);
    *name = "uV";
    *kind = PV_UNIT_VOLTAGE;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(folded, units[i].spelling) == 0) {
            *name = units[i].name;
            return units[i].scale;
        }
    *kind = !folded[0]                  ? PV_UNIT_BLANK
            : strcmp(folded, "?v") == 0 ? PV_UNIT_MANGLED
                                        : PV_UNIT_OTHER;
    return 1;
}

/* ---- printing -------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at c; 0 if it is none. */
static size_t utf8_length(const unsigned char *c)
{
    size_t length = c[0] < 0x80                   ? 1
                    : c[0] >= 0xC2 && c[0] < 0xE0 ? 2
                    : c[0] >= 0xE0 && c[0] < 0xF0 ? 3
                    : c[0] >= 0xF0 && c[0] < 0xF5 ? 4
                                                  : 0;
    for (size_t i = 1; i < length; i++)
        if ((c[i] & 0xC0) != 0x80)
            return 0;
    bool too_long = (c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xF0 && c[1] < 0x90);
    bool too_large = (c[0] == 0xED && c[1] >= 0xA0) || (c[0] == 0xF4 && c[1] >= 0x90);
    return too_long || too_large ? 0 : length;
}

static bool is_utf8(const unsigned char *c)
{
    while (*c) {
        size_t length = utf8_length(c);
        if (!length)
            return false;
        c += length;
    }
    return true;
}

void pv_label_print(char *text, size_t size, const char *label)
{
    const unsigned char *c = (const unsigned char *)label;
    bool utf8 = is_utf8(c);
    size_t n = 0;
    while (*c) {
        size_t length = utf8 ? utf8_length(c) : 1, room = utf8 || *c < 0xA0 ? length : 2;
        if (n + room >= size)
            break;
        if (*c < 0x20 || *c == 0x7F || (!utf8 && *c >= 0x80 && *c < 0xA0)) {
            text[n] = '?';
        } else if (!utf8 && *c >= 0xA0) {
            text[n] = (char)(0xC0 | *c >> 6);
            text[n + 1] = (char)(0x80 | (*c & 0x3F));
        } else {
            memcpy(text + n, c, length);
        }
        n += room;
        c += length;
    }
    text[n] = '\0';
}
