/* SPDX-License-Identifier: MIT */
/*
 * The tables. Facts from the channel lists of the cohorts at sleepdata.org and from ALT_COLUMNS of
 * Zongzhe-Xu/mar_biogen, after which OSF's training data was made; the scopes are ours, and so is
 * the rule that a direct channel goes before a derived one (the original overwrites direct E1_A2
 * and E2_A1 by derived ones). There, aliases are global, and EMG is one of ECG.
 */
#include "recording/aliases.h"

#include "recording/labels.h"

#include <string.h>

typedef struct row {
    const char *lead, *sources;
} row;

enum { ROWS = 13, SIGNS = 9 };

/* ---- what every cohort may fall back on ------------------------------------------------------ */

/* Not here, because it means different things in different places: EMG, CHIN, Leg, Leg1, EOG1,
 * Flow, C-Flow, Pressure, EEG, EEG1 to EEG3, and E1, E2, LOC, ROC, C3, C4 without a mastoid. */
static const row generic[ROWS] = {
    {"ECG", "ECG|EKG > ECG II|EKG II"
            " > ECG L - ECG R|EKG L - EKG R|ECG LA - ECG RA|EKG LA - EKG RA|ECG LA-RA|EKG LA-RA"
            " > ECG2 - ECG1|EKG2 - EKG1 > ECG I|EKG I"},
    {"EMG_Chin", "EMG Chin|Chin EMG|EMG Submental|Submental EMG"
                 " > Chin1 - Chin2|EMG Chin1-Chin2 > Chin1 - Chin3|EMG Chin1-Chin3"
                 " > Chin2 - Chin3|EMG Chin2-Chin3"
                 " > L Chin - C Chin|Chin L - Chin C|Chin L - Chin Ctr"
                 " > R Chin - C Chin|Chin R - Chin C|Chin R - Chin Ctr"},
    {"EMG_LLeg", "L Leg|Leg L|Left Leg|EMG L Leg|EMG Leg L|EMG Left Leg|LAT|EMG LAT"
                 " > L Leg1 - L Leg2|Left Leg1 - Left Leg2|LAT1 - LAT2"},
    {"EMG_RLeg", "R Leg|Leg R|Right Leg|EMG R Leg|EMG Leg R|EMG Right Leg|RAT|EMG RAT"
                 " > R Leg1 - R Leg2|Right Leg1 - Right Leg2|RAT1 - RAT2"},
    {"ABD", "ABD|Abdo|Abdomen|Abdominal|ABDM|ABDOM|ABDO RES|ABDO EFFORT|ABD EFFORT|Abdomen Effort"
            "|Abdominal Effort|Effort ABD|Effort Abdomen|Resp Abd|Resp Abdo|Resp Abdomen"
            "|Resp Abdominal|RIP Abd|RIP Abdo|RIP Abdom|RIP Abdomen|RIP Abdominal"},
    {"THX", "THX|THO|Thor|Thorax|Thoracic|Chest|THOR RES|THOR EFFORT|Thorax Effort|Thoracic Effort"
            "|Chest Effort|Effort THO|Effort Thor|Effort Thorax|Effort Chest|Resp Thor|Resp Thorax"
            "|Resp Thoracic|Resp Chest|RIP Tho|RIP Thor|RIP Thora|RIP Thorax|RIP Thoracic"
            "|RIP Chest"},
    {"NP", "Nasal Pressure|Nasal Pres|Nasal Press|Nas Pres|NasalP|N Press|N Pres"
           " > Cannula Flow|Nasal Cannula|Cannula > PTAF|Resp PTAF"},
    {"SN", "Snore|Snoring|Snoring Sensor|Snore Sensor > P-Snore|Pressure Snore|Nasal Snore"},
    {"EOG_E1_A2", "E1 - M2|EOG E1-M2|LOC - M2|EOG LOC-M2|LEOG - M2|L EOG - M2|EOG L - M2"
                  "|EOG(L) - M2|EOG Left - M2|Left EOG - M2"},
    {"EOG_E2_A1", "E2 - M1|EOG E2-M1|ROC - M1|EOG ROC-M1|REOG - M1|R EOG - M1|EOG R - M1"
                  "|EOG(R) - M1|EOG Right - M1|Right EOG - M1"
                  " > ~E2 - M2|~EOG E2-M2|~ROC - M2|~EOG ROC-M2|~REOG - M2|~R EOG - M2"
                  "|~EOG R - M2|~EOG Right - M2|~Right EOG - M2"},
    {"EEG_C3_A2", "C3 - M2|EEG C3-M2 > EEG C3 - EEG M2 > C3-Ref - M2-Ref|C3-Cz - M2-Cz"
                  "|EEG C3-Ref - EEG M2-Ref|EEG C3-Ref - EEG A2-Ref"},
    {"EEG_C4_A1", "C4 - M1|EEG C4-M1 > EEG C4 - EEG M1 > C4-Ref - M1-Ref|C4-Cz - M1-Cz"
                  "|EEG C4-Ref - EEG M1-Ref|EEG C4-Ref - EEG A1-Ref"},
};

/* ---- the cohorts ----------------------------------------------------------------------------- */

/* EOG(L) and EOG(R) are against the nasion, SOUND is no snore sensor: unused, as in training. */
static const row shhs[ROWS] = {
    {"ECG", "ECG"},
    {"EMG_Chin", "EMG"},
    {"ABD", "ABDO RES"},
    {"THX", "THOR RES"},
    {"EEG_C3_A2", "EEG(sec)|EEG sec|EEG2"},
    {"EEG_C4_A1", "EEG"},
};

/* EEG1 is Fz-Cz, EEG2 is Cz-Oz, the EOGs are against Fpz, Leg is left against right: unused. */
static const row mesa[ROWS] = {
    {"ECG", "EKG"}, {"EMG_Chin", "EMG"}, {"ABD", "Abdo"},       {"THX", "Thor"},
    {"NP", "Flow"}, {"SN", "Snore"},     {"EEG_C4_A1", "EEG3"},
};

/* Visit 1 has LOC, A2, Thoracic, visit 2 E1, M2, Chest. There is no centre of the chin. */
static const row mros[ROWS] = {
    {"ECG", "ECG L - ECG R"},
    {"EMG_Chin", "L Chin - C Chin > R Chin - C Chin"},
    {"EMG_LLeg", "Leg L"},
    {"EMG_RLeg", "Leg R"},
    {"ABD", "Abdominal|ABD"},
    {"THX", "Thoracic|Chest"},
    {"NP", "Cannula Flow"},
    {"EOG_E1_A2", "LOC - A2|E1 - A2|EOG L - A2"},
    {"EOG_E2_A1", "ROC - A1|E2 - A1|EOG R - A1"},
    {"EEG_C3_A2", "C3 - A2"},
    {"EEG_C4_A1", "C4 - A1"},
};

/* EMG1 is the centre of the chin, EMG2 its left, EMG3 its right. */
static const row cfs[ROWS] = {
    {"ECG", "ECG2 - ECG1"},    {"EMG_Chin", "EMG2 - EMG1 > EMG3 - EMG1"},
    {"EMG_LLeg", "L Leg"},     {"EMG_RLeg", "R Leg"},
    {"ABD", "ABDO EFFORT"},    {"THX", "THOR EFFORT"},
    {"NP", "NASAL PRES"},      {"SN", "SNORE"},
    {"EOG_E1_A2", "LOC - A2"}, {"EOG_E2_A1", "ROC - A1"},
    {"EEG_C3_A2", "C3 - M2"},  {"EEG_C4_A1", "C4 - M1"},
};

static const row ccshs[ROWS] = {
    {"ECG", "ECG2 - ECG1"},
    {"EMG_Chin", "EMG2 - EMG1 > EMG3 - EMG1"},
    {"EMG_LLeg", "LEFT LEG1 - LEFT LEG2"},
    {"EMG_RLeg", "RIGHT LEG1 - RIGHT LEG2"},
    {"ABD", "ABDO EFFORT"},
    {"THX", "THOR EFFORT"},
    {"NP", "NASAL PRES"},
    {"SN", "SNORE"},
    {"EOG_E1_A2", "LOC - A2"},
    {"EOG_E2_A1", "ROC - A1"},
    {"EEG_C3_A2", "C3 - A2"},
    {"EEG_C4_A1", "C4 - A1"},
};

/* Typed by hand at several sites: CannnulaFlow and CannulaFow are theirs. */
static const row chat[ROWS] = {
    {"ECG", "ECG3 - ECG1 > ECG2 - ECG1"},
    {"EMG_Chin", "Lchin - Cchin > Rchin - Cchin|Rchiin - Cchin"},
    {"EMG_LLeg", "Lleg1 - Lleg2"},
    {"EMG_RLeg", "Rleg1 - Rleg2"},
    {"ABD", "ABD"},
    {"THX", "Chest"},
    {"NP", "CannulaFlow|CannnulaFlow|CannulaFow"},
    {"SN", "Snore"},
    {"EOG_E1_A2", "E1 - M2"},
    {"EOG_E2_A1", "E2 - M1"},
    {"EEG_C3_A2", "C3 - M2"},
    {"EEG_C4_A1", "C4 - M1"},
};

static const row sof[ROWS] = {
    {"ECG", "ECG2 - ECG1"},
    {"EMG_Chin", "L Chin - C Chin > R Chin - C Chin"},
    {"EMG_LLeg", "Leg/L"},
    {"EMG_RLeg", "Leg/R"},
    {"ABD", "Abdominal"},
    {"THX", "Thoracic"},
    {"NP", "Nasal Pressure > Cannula Flow"},
    {"EOG_E1_A2", "LOC - A2"},
    {"EOG_E2_A1", "ROC - A1"},
    {"EEG_C3_A2", "C3 - A2"},
    {"EEG_C4_A1", "C4 - A1"},
};

/* E1 and E2 are against mastoids already. cchin_l is centre against left; lleg1_2 one leg, lleg_r
 * both. `chin` is not in the original's table. */
static const row wsc[ROWS] = {
    {"ECG", "ECG"},          {"EMG_Chin", "chin > cchin_l > cchin_r > rchin_l"},
    {"EMG_LLeg", "lleg1_2"}, {"EMG_RLeg", "rleg1_2"},
    {"ABD", "abdomen"},      {"THX", "thorax"},
    {"NP", "nas_pres"},      {"SN", "snore"},
    {"EOG_E1_A2", "E1"},     {"EOG_E2_A1", "E2"},
    {"EEG_C3_A2", "C3_M2"},  {"EEG_C4_A1", "C4_M1"},
};

/* Three montages: bipolar of two kinds, and single electrodes that are all called EEG. EMG
 * LLeg-RLeg is left against right: unused. */
static const row nchsdb[ROWS] = {
    {"ECG", "ECG EKG2-EKG|EEG EKG2-EKG > ECG LA-RA > ECG ECGL-ECGR > EKG > EEG EKG2 - EEG EKG1"},
    {"EMG_Chin", "Chin1 - Chin3|EMG Chin1-Chin3|EEG Chin1-Chin3|EEG Chin1 - EEG Chin3"
                 " > EMG Chin1-Chin2|EEG Chin1-Chin2|EMG Chin2-Chin1"
                 " > EMG Chin3-Chin2|EEG Chin3-Chin2"},
    {"EMG_LLeg", "EMG LLEG+-LLEG-|EMG LLEG-LLEG2 > EMG LAT1-LAT2 > LLeg > EEG LLeg1 - EEG LLeg2"},
    {"EMG_RLeg", "EMG RLEG+-RLEG-|EMG RLEG-RLEG2 > EMG RAT1-RAT2 > RLeg > EEG RLeg1 - EEG RLeg2"},
    {"ABD", "Resp Abdominal|Resp Abdomen > Abdominal > EEG Abd"},
    {"THX", "Resp Thoracic|Resp Chest > Thoracic > EEG Chest"},
    {"NP", "C-Flow > Resp PTAF|PTAF > C-Pressure"},
    {"SN", "Snore > Snore_DR > EEG Snore"},
    {"EOG_E1_A2", "EOG LOC-M2 > EEG LOC-M2 > EEG E1 - EEG M2 > LOC - M2"},
    {"EOG_E2_A1", "EOG ROC-M1 > EEG ROC-M1 > EEG E2 - EEG M1 > ROC - M1 > ~EEG ROC-M2"},
    {"EEG_C3_A2", "EEG C3-M2 > EEG C3 - EEG M2 > C3 - M2"},
    {"EEG_C4_A1", "EEG C4-M1 > EEG C4 - EEG M1 > C4 - M1 > ~EEG C4-M2"},
};

/* Many sites, each with its own names; "_" stands for a blank, and one site doubles the last 2. */
static const row stages[ROWS] = {
    {"ECG", "EKG|ECG > ECG_II > ECG_II2 - ECG_I2 > EKG2 - EKG1|EKG_#2 - EKG_#1|ECG2 - ECG1"},
    {"EMG_Chin", "CHIN1 - CHIN3 > CHIN2 - CHIN3 > CHIN1 - CHIN > CHIN1 - CHIN2"},
    {"EMG_LLeg", "LLEG > LAT > L-LEG1 > Leg_12"},
    {"EMG_RLeg", "RLEG > RAT > R-LEG1 > Leg_22"},
    {"ABD", "ABDOMEN|ABD|ABDM|AbdDC|Effort_ABD"},
    {"THX", "CHEST|THOR|ChestDC|Effort_THO"},
    {"NP", "NASAL_PRESSURE > CFLO|C-FLOW > PTAF > Cannula > NasalDC"},
    {"SN", "SNORE|SNOR > P-Snore|Pressure_Snore"},
    {"EOG_E1_A2", "E1 - A2|EOG_LOC-A2 > EOG_LOC-A22 > E1_(LEOG) - A2 > L-EOG - A2 > LOC - A2"},
    {"EOG_E2_A1", "E2 - A1|EOG_ROC-A1 > EOG_ROC-A12 > E2_(REOG) - A1 > R-EOG - A1 > ROC - A1"
                  " > ~E2 - A2|~EOG_ROC-A2 > ~EOG_ROC-A22"},
    {"EEG_C3_A2", "C3 - M2|EEG_C3-A2 > EEG_C3-A22 > ~EEG_C3-A1"},
    {"EEG_C4_A1", "C4 - M1|EEG_C4-A1 > EEG_C4-A12 > ~EEG_C4-A2"},
};

/* A sign is present if the file has one of its labels, behind '=' to the letter, else when folded;
 * here A1 is not M1, which is what tells CCSHS from CFS. */
static const struct {
    const char *name;
    const row *rows;
    const char *signs[SIGNS];
    size_t enough;
} cohorts[PSGVIT_COHORTS] = {
    [PSGVIT_COHORT_AUTO] = {.name = "auto"},
    [PSGVIT_COHORT_GENERIC] = {.name = "generic", .rows = generic},
    [PSGVIT_COHORT_SHHS] = {"shhs",
                            shhs,
                            {"ABDO RES", "THOR RES", "EOG(L)", "EOG(R)", "EEG(sec)|EEG sec|EEG2",
                             "H.R.|PR", "OX stat"},
                            4},
    [PSGVIT_COHORT_MESA] = {"mesa",
                            mesa,
                            {"EEG1", "EEG2", "EEG3", "EOG-L", "EOG-R", "Thor", "Abdo", "OxStatus",
                             "EEG1_Off"},
                            6},
    [PSGVIT_COHORT_MROS] = {"mros",
                            mros,
                            {"ECG L|ECG L-ECG R", "ECG R|ECG L-ECG R", "Leg L", "Leg R",
                             "L Chin|L Chin-R Chin", "STAT", "Cannula Flow"},
                            6},
    [PSGVIT_COHORT_CFS] = {"cfs",
                           cfs,
                           {"ABDO EFFORT", "THOR EFFORT", "EMG1", "ECG1", "M1", "M2", "L Leg",
                            "R Leg"},
                           6},
    [PSGVIT_COHORT_CCSHS] = {"ccshs",
                             ccshs,
                             {"ABDO EFFORT", "THOR EFFORT", "EMG1", "ECG1", "A1", "A2", "LEFT LEG1",
                              "RIGHT LEG1"},
                             6},
    [PSGVIT_COHORT_CHAT] = {"chat",
                            chat,
                            {"Cchin", "Lchin", "ECG1|ECG3", "Lleg1", "Rleg1",
                             "CannulaFlow|CannnulaFlow|CannulaFow", "Chest"},
                            5},
    [PSGVIT_COHORT_SOF] = {"sof",
                           sof,
                           {"ECG1", "ECG2", "Leg/L", "Leg/R", "L Chin|EMG/L", "Thoracic",
                            "Abdominal"},
                           6},
    [PSGVIT_COHORT_WSC] = {"wsc",
                           wsc,
                           {"=thorax", "=abdomen", "=nas_pres", "=C3_M2|=C3_AVG",
                            "=lleg_r|=lleg1_2", "=chin|=cchin_l", "=snore", "=spo2"},
                           5},
    [PSGVIT_COHORT_NCHSDB] = {"nchsdb",
                              nchsdb,
                              {"EEG C3-M2", "EEG C4-M1", "EOG LOC-M2", "EOG ROC-M1",
                               "Resp Thoracic|Resp Chest", "Resp Rate", "EtCO2", "Capno"},
                              5},
    [PSGVIT_COHORT_STAGES] = {"stages",
                              stages,
                              {"EEG_C3-A22", "EEG_C4-A12", "EOG_LOC-A22", "EOG_ROC-A22|EOG_ROC-A12",
                               "ECG_II2", "Leg_12", "Leg_22"},
                              4},
};

const char *psgvit_cohort_name(psgvit_cohort cohort)
{
    return (size_t)cohort < PSGVIT_COHORTS ? cohorts[cohort].name : "?";
}

const char *pv_cohort_sources(psgvit_cohort cohort, const char *lead)
{
    const row *rows = cohorts[cohort].rows;
    for (size_t i = 0; rows && i < ROWS && rows[i].lead; i++)
        if (strcmp(rows[i].lead, lead) == 0)
            return rows[i].sources;
    return NULL;
}

/* One of the labels, with '|' between them, is one of the file's. */
static bool present(const pv_edf *edf, const char *labels)
{
    for (const char *at = labels, *end; at; at = *end ? end + 1 : NULL) {
        char sign[PV_LABEL], label[PV_LABEL];
        end = at + strcspn(at, "|");
        size_t length = (size_t)(end - at);
        pv_label_fold(sign, at, length, false);
        for (size_t i = 0; i < edf->signals; i++) {
            const char *text = edf->signal[i].label;
            pv_label_fold(label, text, strlen(text), false);
            bool same = *at == '=' ? strlen(text) + 1 == length && !memcmp(at + 1, text, length - 1)
                                   : !strcmp(sign, label);
            if (same)
                return true;
        }
    }
    return false;
}

psgvit_cohort pv_cohort_recognise(const pv_edf *edf)
{
    psgvit_cohort known = PSGVIT_COHORT_GENERIC;
    for (psgvit_cohort c = PSGVIT_COHORT_SHHS; c < PSGVIT_COHORTS; c++) {
        size_t signs = 0;
        for (size_t i = 0; i < SIGNS && cohorts[c].signs[i]; i++)
            signs += present(edf, cohorts[c].signs[i]);
        if (signs < cohorts[c].enough)
            continue;
        if (known != PSGVIT_COHORT_GENERIC)
            return PSGVIT_COHORT_GENERIC;
        known = c;
    }
    return known;
}
