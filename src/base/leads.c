/* SPDX-License-Identifier: MIT */
/* The 12 leads of OSF. Source: config.py of yang-ai-lab/OSF-Open-Sleep-FM. */
#include "base/leads.h"

const char *const pv_osf_leads[PV_OSF_LEADS] = {
    "ECG", "EMG_Chin", "EMG_LLeg",  "EMG_RLeg",  "ABD",       "THX",
    "NP",  "SN",       "EOG_E1_A2", "EOG_E2_A1", "EEG_C3_A2", "EEG_C4_A1",
};
