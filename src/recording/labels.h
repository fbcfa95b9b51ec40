/* SPDX-License-Identifier: MIT */
/*
 * Labels and units of an EDF's signals: how two labels are compared, which 10-20 position one
 * names, what a unit is worth in uV, and how any of them is printed. Files come from everywhere:
 * "EEG C3-A2", "C3:M2" and "c3_m2" are one channel, and a mu has four encodings.
 */
#ifndef PV_RECORDING_LABELS_H
#define PV_RECORDING_LABELS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    PV_LABEL = 128,     /* room of a label, folded or not, or of an expression of two */
    PV_LABEL_TEXT = 36, /* room of an EDF's label or unit as UTF-8 */
};

/* Writes `length` characters without blanks and - _ : / . in upper case. With `mastoids`, A1 and A2
 * become M1 and M2 where they are words of their own or stand at the end behind an electrode
 * ("C3A2"). What has no room gives "", as does a label of nothing else: it equals no other. */
void pv_label_fold(char folded[PV_LABEL], const char *label, size_t length, bool mastoids);

/* The same when folded, and not "". */
bool pv_label_same(const char *a, const char *b, bool mastoids);

typedef struct pv_position {
    char name[20];   /* upper case, of today: "T7" for "EEG t3-Ref"; "" if there is none */
    bool referenced; /* the label names a common or mastoid reference: "-Ref", "-A1A2" */
    bool eeg;        /* the label says "EEG", or has the form of a position */
    bool known;      /* one of the 62 that EEGPT knows, or a mastoid */
} pv_position;

/* The electrode that a label names, its reference left aside. A bipolar label ("Fpz-Cz") has none.
 */
void pv_label_position(pv_position *position, const char *label);

typedef enum pv_unit_kind {
    PV_UNIT_VOLTAGE,
    PV_UNIT_BLANK,
    PV_UNIT_MANGLED, /* "?V": a mu that somebody's conversion to ASCII has lost */
    PV_UNIT_OTHER,   /* no voltage */
} pv_unit_kind;

/* uV in one of `unit`; 1 for whatever is no voltage. *name becomes the plain name, "mV", of a
 * voltage. */
double pv_unit_scale(const char *unit, pv_unit_kind *kind, const char **name);

/* Writes text of a file as UTF-8 without control characters: as it is if it is UTF-8, else as
 * Latin-1. Cut to `size` bytes with the 0. */
void pv_label_print(char *text, size_t size, const char *label);

#endif
