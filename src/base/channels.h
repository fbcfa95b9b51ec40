/* SPDX-License-Identifier: MIT */
/* Names of EEG channels, as EEGPT's channel embedding orders them. */
#ifndef PV_BASE_CHANNELS_H
#define PV_BASE_CHANNELS_H

#include <stddef.h>

enum { PV_CHANNEL_NAMES = 62, PV_CHAN_PROJ_TARGETS = 19 };

/* Row of the 62 of a 10-20 name: upper or lower case, leading and trailing dots ignored. Old names
 * (T3 T4 T5 T6) are those of T7 T8 P7 P8: *alias (may be NULL) is then the modern name, else NULL.
 * -1 if the name is unknown. */
int pv_channel_row(const char *name, const char **alias);

/* Name of a row, such as "FPZ"; NULL from PV_CHANNEL_NAMES on. */
const char *pv_channel_name(size_t row);

/* The 19 names that a chan_proj of braindecode maps to, in its order. */
extern const char *const pv_chan_proj_names[PV_CHAN_PROJ_TARGETS];

#endif
