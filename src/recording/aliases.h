/* SPDX-License-Identifier: MIT */
/*
 * Whose channels are called what: for each cohort the sources of OSF's leads, and by which labels a
 * file is known to be of a cohort. The same label means another thing elsewhere ("EMG" is the chin
 * in SHHS and unknown in a stranger's file), so each table speaks for its own cohort alone.
 */
#ifndef PV_RECORDING_ALIASES_H
#define PV_RECORDING_ALIASES_H

#include "recording/edf.h"

/* The sources of an input in a cohort's table, NULL if it has none: groups in the order in which
 * they are tried, with '>' between them; in a group equals with '|' between them, of which a file
 * may hold one; "A - B" is the signal of that name or else A minus B. A '~' before a source: not
 * the reference that the lead's name says. Labels are meant as pv_label_fold compares them. */
const char *pv_cohort_sources(psgvit_cohort cohort, const char *lead);

/* The cohort that the labels tell. A cohort has signs, labels that few others use; it is recognised
 * by four of them or more, and only if no other cohort is, too; else the file is generic. STAGES
 * has no labels of its own but at one of its sites: most of its files are generic to us. */
psgvit_cohort pv_cohort_recognise(const pv_edf *edf);

#endif
