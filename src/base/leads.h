/* SPDX-License-Identifier: MIT */
/* Names of the 12 leads of OSF: what messages call its inputs, and what a recording is searched for
 * by. */
#ifndef PV_BASE_LEADS_H
#define PV_BASE_LEADS_H

enum { PV_OSF_LEADS = 12 };

/* In the order that the released model was trained with. */
extern const char *const pv_osf_leads[PV_OSF_LEADS];

#endif
