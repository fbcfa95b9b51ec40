/* SPDX-License-Identifier: MIT */
/*
 * The 62 channel names of EEGPT in the order of its channel embedding: MNE's montage standard_1020
 * without the rows that EEGPT does not know (CHANNEL_DICT of BINE022/EEGPT, EEGPT_CHANNELS of
 * braindecode). The four aliases are ours: the reference does not know T3.
 */
#include "base/channels.h"

#include <stdbool.h>
#include <string.h>

static const char *const names[PV_CHANNEL_NAMES] = {
    "FP1", "FPZ", "FP2", "AF7", "AF3", "AF4", "AF8", "F7",  "F5",  "F3",  "F1",  "FZ",  "F2",
    "F4",  "F6",  "F8",  "FT7", "FC5", "FC3", "FC1", "FCZ", "FC2", "FC4", "FC6", "FT8", "T7",
    "C5",  "C3",  "C1",  "CZ",  "C2",  "C4",  "C6",  "T8",  "TP7", "CP5", "CP3", "CP1", "CPZ",
    "CP2", "CP4", "CP6", "TP8", "P7",  "P5",  "P3",  "P1",  "PZ",  "P2",  "P4",  "P6",  "P8",
    "PO7", "PO5", "PO3", "POZ", "PO4", "PO6", "PO8", "O1",  "OZ",  "O2",
};

static const struct {
    const char *old, *modern;
} aliases[] = {{"T3", "T7"}, {"T4", "T8"}, {"T5", "P7"}, {"T6", "P8"}};

const char *const pv_chan_proj_names[PV_CHAN_PROJ_TARGETS] = {
    "FP1", "FP2", "F7", "F3", "FZ", "F4", "F8", "T7", "C3", "CZ",
    "C4",  "T8",  "P7", "P3", "PZ", "P4", "P8", "O1", "O2",
};

/* The locale has no say: only a to z have an upper case here. */
static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* `name`, of `length` characters, is `known` but for its case. */
static bool same(const char *name, size_t length, const char *known)
{
    if (strlen(known) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (upper(name[i]) != known[i])
            return false;
    return true;
}

static int row_of(const char *name, size_t length)
{
    for (int row = 0; row < PV_CHANNEL_NAMES; row++)
        if (same(name, length, names[row]))
            return row;
    return -1;
}

int pv_channel_row(const char *name, const char **alias)
{
    if (alias)
        *alias = NULL;
    while (*name == '.')
        name++;
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == '.')
        length--;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (!same(name, length, aliases[i].old))
            continue;
        if (alias)
            *alias = aliases[i].modern;
        return row_of(aliases[i].modern, strlen(aliases[i].modern));
    }
    return row_of(name, length);
}

const char *pv_channel_name(size_t row)
{
    return row < PV_CHANNEL_NAMES ? names[row] : NULL;
}
