/* SPDX-License-Identifier: MIT */
/* Which device an index, a UUID or a part of a name means. */
#ifndef PV_API_CHOOSE_H
#define PV_API_CHOOSE_H

#include "base/status.h"

/* Sets *index to the one of `infos` (NULL: can't be chosen) that answers to `wanted`, tried in this
 * order: a UUID of 32 hex digits, with or without dashes; an index, which is digits alone ("1" must
 * not find an "Epyc 7313"); a whole name, if only one has it; a part of a name. Case does not
 * matter. PSGVIT_E_DEVICE if none answers, with all that there are, or more than one does, with
 * those. */
psgvit_status pv_choose(const psgvit_device_info *const *infos, size_t count, const char *wanted,
                        size_t *index, psgvit_error *err);

#endif
