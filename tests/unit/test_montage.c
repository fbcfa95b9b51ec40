/* SPDX-License-Identifier: MIT */
/* Which signals become OSF's leads: the label lists of every cohort, what goes before what, and
 * what is refused. Files are headers made by hand; test_montage_forms.c has units and positions. */
#include "montage_case.h"

/* ---- the cohorts ----------------------------------------------------------------------------- */

typedef struct cohort_case {
    psgvit_cohort cohort;
    bool recognised; /* by its labels alone */
    const char *labels;
    const char *sources[PV_OSF_LEADS]; /* "": missing */
} cohort_case;

/* Label lists as the cohorts' files have them, with what must not be taken among them. */
static const cohort_case cohorts[] = {
    {PSGVIT_COHORT_SHHS,
     true,
     "SaO2,H.R.,EEG(sec),ECG,EMG,EOG(L),EOG(R),EEG,SOUND,AIRFLOW,THOR RES,ABDO RES,POSITION,LIGHT,"
     "NEW AIR,OX stat",
     {"ECG", "EMG", "", "", "ABDO RES", "THOR RES", "", "", "", "", "EEG(sec)", "EEG"}},
    {PSGVIT_COHORT_SHHS,
     true,
     "SaO2,PR,EEG(SEC),ECG,EMG,EOG(L),EOG(R),EEG,NASAL,AIRFLOW,THOR RES,ABDO RES,LEG(L),LEG(R)",
     {"ECG", "EMG", "", "", "ABDO RES", "THOR RES", "", "", "", "", "EEG(SEC)", "EEG"}},
    {PSGVIT_COHORT_SHHS,
     true,
     "EEG sec,ECG,EMG,EOG(L),EOG(R),EEG,THOR RES,ABDO RES",
     {"ECG", "EMG", "", "", "ABDO RES", "THOR RES", "", "", "", "", "EEG sec", "EEG"}},
    {PSGVIT_COHORT_SHHS,
     true,
     "EEG 2,ECG,EMG,EOG(L),EOG(R),EEG,THOR RES,ABDO RES",
     {"ECG", "EMG", "", "", "ABDO RES", "THOR RES", "", "", "", "", "EEG 2", "EEG"}},
    {PSGVIT_COHORT_MESA,
     true,
     "EKG,EOG-L,EOG-R,EMG,EEG1,EEG2,EEG3,Pres,Flow,Snore,Thor,Abdo,Leg,Therm,Pos,EKG_Off,EOG-L_Off,"
     "EOG-R_Off,EMG_Off,EEG1_Off,EEG2_Off,EEG3_Off,Pleth,OxStatus,SpO2,HR,DHR,Aux_AC",
     {"EKG", "EMG", "", "", "Abdo", "Thor", "Flow", "Snore", "", "", "", "EEG3"}},
    {PSGVIT_COHORT_MROS,
     true,
     "C3,C4,A1,A2,LOC,ROC,ECG L,ECG R,L Chin,R Chin,Leg L,Leg R,Thoracic,Abdominal,Airflow,"
     "Cannula Flow,SaO2,HR,STAT,Position,SUM,DHR",
     {"ECG L - ECG R", "", "Leg L", "Leg R", "Abdominal", "Thoracic", "Cannula Flow", "",
      "LOC - A2", "ROC - A1", "C3 - A2", "C4 - A1"}},
    {PSGVIT_COHORT_MROS, /* visit 2 */
     true,
     "C3,C4,M1,M2,E1,E2,ECGL,ECGR,LChin,RChin,LegL,LegR,Chest,ABD,Airflow,CannulaFlow,SpO2,HR,STAT",
     {"ECGL - ECGR", "", "LegL", "LegR", "ABD", "Chest", "CannulaFlow", "", "E1 - M2", "E2 - M1",
      "C3 - M2", "C4 - M1"}},
    {PSGVIT_COHORT_MROS, /* a few are bipolar */
     true,
     "C3-A2,C4-A1,LOC,ROC,ECG L-ECG R,L Chin-R Chin,Leg L,Leg R,Thoracic,Abdominal,Airflow,"
     "Cannula Flow,STAT,A1",
     {"ECG L-ECG R", "", "Leg L", "Leg R", "Abdominal", "Thoracic", "Cannula Flow", "", "",
      "ROC - A1", "C3-A2", "C4-A1"}},
    {PSGVIT_COHORT_CFS,
     true,
     "C3,C4,M1,M2,LOC,ROC,ECG2,ECG1,EMG1,EMG2,EMG3,L Leg,R Leg,AIRFLOW,THOR EFFORT,ABDO EFFORT,"
     "SNORE,SUM,POSITION,OX STATUS,PULSE,SpO2,NASAL PRES,PlethWV,Light,HRate",
     {"ECG2 - ECG1", "EMG2 - EMG1", "L Leg", "R Leg", "ABDO EFFORT", "THOR EFFORT", "NASAL PRES",
      "SNORE", "LOC - M2", "ROC - M1", "C3 - M2", "C4 - M1"}},
    {PSGVIT_COHORT_CCSHS,
     true,
     "C3,C4,A1,A2,LOC,ROC,ECG2,ECG1,LEFT LEG1,LEFT LEG2,RIGHT LEG1,RIGHT LEG2,EMG1,EMG2,EMG3,"
     "AIRFLOW,THOR EFFORT,ABDO EFFORT,SNORE,SUM,position,OX STATUS,PULSE,SpO2,NASAL PRES,PlethWV",
     {"ECG2 - ECG1", "EMG2 - EMG1", "LEFT LEG1 - LEFT LEG2", "RIGHT LEG1 - RIGHT LEG2",
      "ABDO EFFORT", "THOR EFFORT", "NASAL PRES", "SNORE", "LOC - A2", "ROC - A1", "C3 - A2",
      "C4 - A1"}},
    {PSGVIT_COHORT_CHAT,
     true,
     "E1,E2,F3,F4,C3,C4,T3,T4,O1,O2,M1,M2,Cchin,Lchin,Rchin,ECG1,ECG2,ECG3,Lleg1,Lleg2,Rleg1,Rleg2,"
     "Airflow,CannulaFlow,Snore,Chest,ABD,SUM,CAP,EtCO2,SaO2,Position,DHR,Pulse",
     {"ECG3 - ECG1", "Lchin - Cchin", "Lleg1 - Lleg2", "Rleg1 - Rleg2", "ABD", "Chest",
      "CannulaFlow", "Snore", "E1 - M2", "E2 - M1", "C3 - M2", "C4 - M1"}},
    {PSGVIT_COHORT_CHAT,
     true,
     "E1,E2,C3,C4,M1,m2,CCHIN,RChin,LChin,ECG1,ECg2,LLeg1,lleg2,RLEG1,RLeg2,CannnulaFlow,Snore,"
     "CHEST,ABD,Snore 2",
     {"ECg2 - ECG1", "LChin - CCHIN", "LLeg1 - lleg2", "RLEG1 - RLeg2", "ABD", "CHEST",
      "CannnulaFlow", "Snore", "E1 - m2", "E2 - M1", "C3 - m2", "C4 - M1"}},
    {PSGVIT_COHORT_SOF,
     true,
     "C3,C4,A1,A2,O1,O2,LOC,ROC,ECG1,ECG2,L Chin,R Chin,Leg/L,Leg/R,Thoracic,Abdominal,Airflow,"
     "Nasal Pressure,SAO2,HR,STAT,Position",
     {"ECG2 - ECG1", "", "Leg/L", "Leg/R", "Abdominal", "Thoracic", "Nasal Pressure", "",
      "LOC - A2", "ROC - A1", "C3 - A2", "C4 - A1"}},
    {PSGVIT_COHORT_WSC,
     true,
     "E1,E2,C3_M2,O1_M2,F3_M2,chin,cchin_l,ECG,lleg_r,thorax,abdomen,sum,nas_pres,nasalflow,"
     "oralflow,snore,spo2,position",
     {"ECG", "chin", "", "", "abdomen", "thorax", "nas_pres", "snore", "E1", "E2", "C3_M2", ""}},
    {PSGVIT_COHORT_NCHSDB,
     true,
     "EEG F3-M2,EEG F4-M1,EEG C3-M2,EEG C4-M1,EEG O1-M2,EEG O2-M1,EEG CZ-O1,EOG LOC-M2,EOG ROC-M1,"
     "EMG Chin1-Chin2,EMG LLeg-RLeg,ECG EKG2-EKG,Snore,Resp PTAF,Resp Airflow,Resp Thoracic,"
     "Resp Abdominal,SpO2,Rate,EtCO2,Capno,Resp Rate,C-flow,Tidal Vol,Pressure,EDF Annotations",
     {"ECG EKG2-EKG", "EMG Chin1-Chin2", "", "", "Resp Abdominal", "Resp Thoracic", "C-flow",
      "Snore", "EOG LOC-M2", "EOG ROC-M1", "EEG C3-M2", "EEG C4-M1"}},
    {PSGVIT_COHORT_NCHSDB, /* the second montage */
     true,
     "EEG C3-M2,EEG C4-M1,EEG Cz-O1,EOG LOC-M2,EOG ROC-M1,EMG CHIN1-CHIN2,EMG LLEG+-LLEG-,"
     "EMG RLEG+-RLEG-,ECG LA-RA,Snore,Snore_DR,Resp Flow,Flow_DR,XFlow,Resp Chest,Resp Abdomen,"
     "OSAT,EtCO2,Capno,Resp Rate,C-Flow,C-Pressure",
     {"ECG LA-RA", "EMG CHIN1-CHIN2", "EMG LLEG+-LLEG-", "EMG RLEG+-RLEG-", "Resp Abdomen",
      "Resp Chest", "C-Flow", "Snore", "EOG LOC-M2", "EOG ROC-M1", "EEG C3-M2", "EEG C4-M1"}},
    {PSGVIT_COHORT_NCHSDB, /* single electrodes */
     false,
     "EEG C3,EEG C4,EEG M1,EEG M2,EEG E1,EEG E2,EEG Chin1,EEG Chin2,EEG Chin3,EEG EKG1,EEG EKG2,"
     "EEG RLeg1,EEG RLeg2,EEG LLeg1,EEG LLeg2,EEG Snore,EEG Abd,EEG Chest,EEG 21",
     {"EEG EKG2 - EEG EKG1", "EEG Chin1 - EEG Chin3", "EEG LLeg1 - EEG LLeg2",
      "EEG RLeg1 - EEG RLeg2", "EEG Abd", "EEG Chest", "", "EEG Snore", "EEG E1 - EEG M2",
      "EEG E2 - EEG M1", "EEG C3 - EEG M2", "EEG C4 - EEG M1"}},
    {PSGVIT_COHORT_STAGES,
     false,
     "F3-M2,F4-M1,C3-M2,C4-M1,O1-M2,O2-M1,E1,E2,A1,A2,CHIN1,CHIN2,CHIN3,EKG,LLEG,RLEG,SNORE,"
     "NASAL_PRESSURE,AIRFLOW,CHEST,ABDOMEN,SAO2,CFLO",
     {"EKG", "CHIN1 - CHIN3", "LLEG", "RLEG", "ABDOMEN", "CHEST", "NASAL_PRESSURE", "SNORE",
      "E1 - A2", "E2 - A1", "C3-M2", "C4-M1"}},
    {PSGVIT_COHORT_STAGES,
     false,
     "C3M2,C4M1,E1M2,E2M2,ECG_I2,ECG_II2,L-LEG1,L-LEG2,R-LEG1,R-LEG2,P-Snore,CFLO,THOR,ABDM,EMG",
     {"ECG_II2 - ECG_I2", "", "L-LEG1", "R-LEG1", "ABDM", "THOR", "CFLO", "P-Snore", "E1M2", "E2M2",
      "C3M2", "C4M1"}},
    {PSGVIT_COHORT_STAGES,
     true,
     "EEG_C3-A22,EEG_C4-A12,EEG_O1-A22,EOG_LOC-A22,EOG_ROC-A22,ECG_II2,ECG_I2,Leg_12,Leg_22,Snore",
     {"ECG_II2 - ECG_I2", "", "Leg_12", "Leg_22", "", "", "", "Snore", "EOG_LOC-A22", "EOG_ROC-A22",
      "EEG_C3-A22", "EEG_C4-A12"}},
    {PSGVIT_COHORT_GENERIC,
     true,
     "E1-M2,E2-M2,C3-M2,C4-M1,O1-M2,Chin1-Chin2,L Leg,R Leg,EKG,Snore,Airflow,PTAF,Thorax,Abdomen,"
     "SpO2,Flow,C-Flow",
     {"EKG", "Chin1-Chin2", "L Leg", "R Leg", "Abdomen", "Thorax", "PTAF", "Snore", "E1-M2",
      "E2-M2", "C3-M2", "C4-M1"}},
    {PSGVIT_COHORT_GENERIC, /* nothing here says what it is */
     true,
     "Snore,EMG,CHIN,Flow,Leg,EEG,EEG1,EEG2,EEG3,E1,E2,EOG1,C3,C4,Pressure,LEG(L),MIC",
     {"", "", "", "", "", "", "", "Snore", "", "", "", ""}},
    {PSGVIT_COHORT_GENERIC, /* the signs of two cohorts */
     true,
     "ABDO RES,THOR RES,EOG(L),EOG(R),EEG,EEG_C3-A22,EEG_C4-A12,EOG_LOC-A22,EOG_ROC-A22",
     {"", "", "", "", "ABDO RES", "THOR RES", "", "", "", "", "", ""}},
    {PSGVIT_COHORT_GENERIC, /* electrodes against one that all share */
     true,
     "EEG C3-REF,EEG C4-REF,EEG A1-REF,EEG A2-REF,LOC,ROC,M1,M2,Left Leg1,Left Leg2,RAT1,RAT2,"
     "ECGLA,ECGRA,Chin2,Chin3",
     {"ECGLA - ECGRA", "Chin2 - Chin3", "Left Leg1 - Left Leg2", "RAT1 - RAT2", "", "", "", "",
      "LOC - M2", "ROC - M1", "EEG C3-REF - EEG A2-REF", "EEG C4-REF - EEG A1-REF"}},
};

static void check_leads(const pv_montage *montage, const cohort_case *c)
{
    for (size_t i = 0; i < PV_OSF_LEADS; i++) {
        const pv_lead *lead = &montage->lead[i];
        assert_string_equal(lead->report.name, pv_osf_leads[i]);
        if (strcmp(lead->report.source, c->sources[i]) != 0)
            fail_msg("%s, '%.20s ...': %s is '%s' (%s), expected '%s'",
                     psgvit_cohort_name(c->cohort), c->labels, pv_osf_leads[i], lead->report.source,
                     lead->report.note, c->sources[i]);
        bool derived = lead->minus >= 0;
        assert_int_equal(lead->report.state, !c->sources[i][0] ? PSGVIT_CHANNEL_MISSING
                                             : derived         ? PSGVIT_CHANNEL_DERIVED
                                                               : PSGVIT_CHANNEL_FOUND);
        assert_int_equal(lead->plus < 0, !c->sources[i][0]);
        if (!c->sources[i][0])
            assert_true(lead->report.note[0]);
    }
}

/* By its name every file is read as its table says, and by its labels if those suffice. */
static void test_cohorts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cohorts / sizeof cohorts[0]; i++) {
        const cohort_case *c = &cohorts[i];
        for (int by_name = 0; by_name < 2; by_name++) {
            montage_case m = {.params.cohort = by_name ? c->cohort : PSGVIT_COHORT_AUTO};
            case_signals(&m, c->labels);
            case_make(&m, PSGVIT_OK);
            psgvit_cohort expected = by_name || c->recognised ? c->cohort : PSGVIT_COHORT_GENERIC;
            if (m.montage.cohort != expected)
                fail_msg("'%.40s ...' is taken for %s", c->labels,
                         psgvit_cohort_name(m.montage.cohort));
            if (by_name || c->recognised)
                check_leads(&m.montage, c);
            case_free(&m);
        }
    }
}

/* Whichever label of a cohort's file is taken away, no other cohort's signs are enough. */
static void test_no_other_cohort(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cohorts / sizeof cohorts[0]; i++) {
        montage_case m = {.params.log = NULL};
        if (cohorts[i].cohort == PSGVIT_COHORT_GENERIC)
            continue;
        case_signals(&m, cohorts[i].labels);
        for (size_t left_out = 0; left_out < m.edf.signals; left_out++) {
            char label[17];
            strcpy(label, m.signal[left_out].label);
            strcpy(m.signal[left_out].label, "x");
            if (!pv_montage_make(&m.montage, &m.edf, pv_osf_leads, PV_OSF_LEADS, &m.params, NULL)) {
                psgvit_cohort found = m.montage.cohort;
                assert_true(found == cohorts[i].cohort || found == PSGVIT_COHORT_GENERIC);
                pv_montage_free(&m.montage);
            }
            strcpy(m.signal[left_out].label, label);
        }
    }
}

static void test_cohort_names(void **state)
{
    (void)state;
    static const char *const names[] = {"auto",  "generic", "shhs", "mesa", "mros",   "cfs",
                                        "ccshs", "chat",    "sof",  "wsc",  "nchsdb", "stages"};
    for (int i = 0; i < PSGVIT_COHORTS; i++)
        assert_string_equal(psgvit_cohort_name((psgvit_cohort)i), names[i]);
    assert_string_equal(psgvit_cohort_name(PSGVIT_COHORTS), "?");
    assert_string_equal(psgvit_cohort_name((psgvit_cohort)-1), "?");
}

/* ---- what goes before what ------------------------------------------------------------------- */

/* Each: labels, aliases, lead, its source, its note. */
static const struct {
    psgvit_cohort cohort;
    const char *labels, *aliases, *lead, *source, *note;
} choices[] = {
    /* A direct channel before a derived one, whatever their order in the file. */
    {PSGVIT_COHORT_GENERIC, "C3,M2,C3-M2", NULL, "EEG_C3_A2", "C3-M2", ""},
    {PSGVIT_COHORT_CFS, "LOC,A2,LOC-A2", NULL, "EOG_E1_A2", "LOC-A2", ""},
    {PSGVIT_COHORT_CHAT, "ECG1,ECG2,ECG3", NULL, "ECG", "ECG3 - ECG1", ""},
    /* The cohort's table before the generic one, which stands in for it. */
    {PSGVIT_COHORT_SHHS, "EMG,EMG Chin", NULL, "EMG_Chin", "EMG", ""},
    {PSGVIT_COHORT_SHHS, "EMG Chin", NULL, "EMG_Chin", "EMG Chin", ""},
    {PSGVIT_COHORT_WSC, "E1,M2", NULL, "EOG_E1_A2", "E1", ""},
    {PSGVIT_COHORT_GENERIC, "E1,M2", NULL, "EOG_E1_A2", "E1 - M2", ""},
    /* EMG is never an ECG, and Flow a pressure in MESA alone. */
    {PSGVIT_COHORT_STAGES, "EMG,Snore", NULL, "ECG", "", "no channel of that name"},
    {PSGVIT_COHORT_MESA, "Flow", NULL, "NP", "Flow", ""},
    {PSGVIT_COHORT_SHHS, "Flow,ECG", NULL, "NP", "", "no channel of that name"},
    /* One half of a difference is said. */
    {PSGVIT_COHORT_GENERIC, "C3,Snore", NULL, "EEG_C3_A2", "", "'C3' is there, 'M2' is not"},
    {PSGVIT_COHORT_MROS, "L Chin,R Chin,ABD", NULL, "EMG_Chin", "",
     "'L Chin' is there, 'C Chin' is not"},
    /* Reversed, and against another mastoid. */
    {PSGVIT_COHORT_GENERIC, "A2-C3", NULL, "EEG_C3_A2", "A2-C3", "inverted"},
    {PSGVIT_COHORT_GENERIC, "ECG1-ECG2", NULL, "ECG", "ECG1-ECG2", "inverted"},
    {PSGVIT_COHORT_GENERIC, "E2,M2", NULL, "EOG_E2_A1", "E2 - M2",
     "another reference than the lead's"},
    {PSGVIT_COHORT_GENERIC, "E2,M1,M2,E2-M2", NULL, "EOG_E2_A1", "E2 - M1", ""},
    /* Aliases go first, in their order, by letter, folded, numbered, as a difference. */
    {PSGVIT_COHORT_GENERIC, "ECG,EKG x", "ECG=EKG x", "ECG", "EKG x", "by alias"},
    {PSGVIT_COHORT_GENERIC, "ECG,V5", "ECG=V1,V5,ECG", "ECG", "V5", "by alias"},
    {PSGVIT_COHORT_GENERIC, "ECG,V5", "ECG=V1,V2", "ECG", "ECG", ""},
    {PSGVIT_COHORT_GENERIC, "C3-M2,C3 M2", "EEG_C3_A2=C3 M2", "EEG_C3_A2", "C3 M2", "by alias"},
    {PSGVIT_COHORT_GENERIC, "x/y", "EEG_C3_A2=X Y", "EEG_C3_A2", "x/y", "by alias"},
    {PSGVIT_COHORT_GENERIC, "EKG,EKG,EKG", "ECG=EKG#2", "ECG", "EKG#2", "by alias"},
    {PSGVIT_COHORT_GENERIC, "EKG,ekg,EKG", "ECG=EKG #2", "ECG", "EKG#2", "by alias"},
    {PSGVIT_COHORT_GENERIC, "ekg,EKG ,Ekg", "ECG=e-k-g#3", "ECG", "Ekg", "by alias"},
    {PSGVIT_COHORT_GENERIC, "ECG #1,ECG #2,ECG", "ECG=ECG #2", "ECG", "ECG #2", "by alias"},
    {PSGVIT_COHORT_GENERIC, "a,b,a-b", "ECG=a-b", "ECG", "a-b", "by alias"},
    {PSGVIT_COHORT_GENERIC, "a,b,b-a", "ECG=a-b", "ECG", "b-a", "by alias; inverted"},
    {PSGVIT_COHORT_GENERIC, "a,b", "ECG= b - a", "ECG", "b - a", "by alias"},
    {PSGVIT_COHORT_GENERIC, "EKG,EKG", "ECG=EKG#2-EKG#1", "ECG", "EKG#2 - EKG#1", "by alias"},
    {PSGVIT_COHORT_GENERIC, "a-b,c-d", "ECG=a-b-c-d", "ECG", "a-b - c-d", "by alias"},
    {PSGVIT_COHORT_GENERIC, "EKG", "ECG=EKG-EKG", "ECG", "EKG", ""},
    {PSGVIT_COHORT_GENERIC, "a=1,v5", "ecg=a=1", "ECG", "a=1", "by alias"},
};

static void test_choices(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        montage_case m = {.params = {.cohort = choices[i].cohort, .aliases = choices[i].aliases}};
        case_signals(&m, choices[i].labels);
        case_add(&m, "Snoring Sensor", "", 10); /* something is found in any case */
        if (strstr(choices[i].labels, "Snore"))
            m.edf.signals--;
        case_make(&m, PSGVIT_OK);
        const psgvit_channel *r = &case_lead(&m, choices[i].lead)->report;
        if (strcmp(r->source, choices[i].source) != 0 || strcmp(r->note, choices[i].note) != 0)
            fail_msg("case %zu, '%s': '%s' (%s), expected '%s' (%s)", i, choices[i].labels,
                     r->source, r->note, choices[i].source, choices[i].note);
        case_free(&m);
    }
}

/* ---- what can't be used ---------------------------------------------------------------------- */

static void test_defects(void **state)
{
    (void)state;
    montage_case m = {.params.cohort = PSGVIT_COHORT_CHAT};
    case_signals(&m, "ECG1,ECG2,ECG3,Snore,Snore,C3,M2,ABD,EDF Annotations");
    strcpy(m.signal[2].defect, "its physical range is 0");
    strcpy(m.signal[3].defect, "its digital range is 0");
    strcpy(m.signal[6].defect, "its physical range is 0");
    m.params.aliases = "THX=EDF Annotations";
    case_make(&m, PSGVIT_OK);
    const pv_lead *lead = case_lead(&m, "ECG"); /* the next best stands in */
    assert_string_equal(lead->report.source, "ECG2 - ECG1");
    assert_string_equal(lead->report.note, "'ECG3' can't be used: its physical range is 0");
    lead = case_lead(&m, "SN"); /* of two of that name one is whole */
    assert_string_equal(lead->report.source, "Snore#2");
    assert_int_equal(lead->plus, 4);
    assert_string_equal(lead->report.note, "'Snore#1' can't be used: its digital range is 0");
    lead = case_lead(&m, "EEG_C3_A2");
    assert_int_equal(lead->report.state, PSGVIT_CHANNEL_MISSING);
    assert_string_equal(lead->report.note, "'M2' can't be used: its physical range is 0");
    lead = case_lead(&m, "THX");
    assert_int_equal(lead->plus, -1);
    assert_string_equal(lead->report.note, "'EDF Annotations' can't be used: it holds annotations");
    case_free(&m);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static const struct {
    const char *labels, *aliases, *message;
} ambiguities[] = {
    {"EKG,Snore,EKG", NULL,
     "night.edf: ECG is ambiguous: it could be 'EKG#1' (signal 1) or 'EKG#2' (signal 3); say which "
     "by an alias (--alias ECG=LABEL, where LABEL#2 is the second of a label)"},
    {"C3-M2,C3:A2", NULL, "it could be 'C3-M2' (signal 1) or 'C3:A2' (signal 2); say"},
    {"ECG,EKG", NULL, "it could be 'ECG' (signal 1) or 'EKG' (signal 2); say"},
    {"C3,M2,A2", NULL,
     "EEG_C3_A2 is ambiguous: it could be 'C3 - M2' (signals 1 and 2) or 'C3 - "
     "A2' (signals 1 and 3); say"},
    {"ABD,Abdomen,Abdo,Abdominal,ABDM,ABDOM,Resp Abd", NULL,
     "'ABDM' (signal 5) or 'ABDOM' (signal 6) or another; say"},
    {"EKG,ekg", "ECG=Ekg", "ECG is ambiguous: it could be 'EKG' (signal 1) or 'ekg' (signal 2)"},
    {"EKG,EKG,x", "ECG=x-EKG", "'x - EKG#1' (signals 3 and 1) or 'x - EKG#2' (signals 3 and 2)"},
    {"a,b-c,a-b,c", "ECG=a-b-c", "'a - b-c' (signals 1 and 2) or 'a-b - c' (signals 3 and 4)"},
    {"A2-C3,M2:C3", NULL, "'A2-C3' (signal 1) or 'M2:C3' (signal 2)"},
};

static void test_ambiguity(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ambiguities / sizeof ambiguities[0]; i++) {
        montage_case m = {.params.aliases = ambiguities[i].aliases};
        case_signals(&m, ambiguities[i].labels);
        case_make(&m, PSGVIT_E_INPUT);
        case_message(&m, ambiguities[i].message);
        assert_null(m.montage.lead);
    }
    montage_case m = {.params.aliases = "ECG=EKG#2"};
    case_signals(&m, "EKG,Snore,EKG");
    case_make(&m, PSGVIT_OK); /* what the sentence advises helps */
    assert_int_equal(case_lead(&m, "ECG")->plus, 2);
    case_free(&m);
}

static void test_nothing_usable(void **state)
{
    (void)state;
    montage_case m = {.params.cohort = PSGVIT_COHORT_AUTO};
    case_signals(&m, "SpO2,Flow,Pleth,EDF Annotations");
    case_make(&m, PSGVIT_E_INPUT);
    assert_string_equal(
        m.err.message,
        "night.edf: no usable channel: none of the 12 inputs (ECG, EMG_Chin, EMG_LLeg, EMG_RLeg, "
        "ABD, THX, NP, SN, EOG_E1_A2, EOG_E2_A1, EEG_C3_A2, EEG_C4_A1) is among 'SpO2', 'Flow', "
        "'Pleth', 'EDF Annotations'; say which is which by aliases (--alias NAME=LABEL)");
    m.edf.signals = 0;
    case_make(&m, PSGVIT_E_INPUT);
    case_message(&m, "is among no signals at all; say");
    case_many(&m, PV_EDF_MAX_SIGNALS);
    case_make(&m, PSGVIT_E_INPUT);
    case_message(&m, "'a 0', 'a 1', ");
    case_message(&m, " more; say which is which by aliases (--alias NAME=LABEL)");
    free(m.edf.signal);
}

static void test_arguments(void **state)
{
    (void)state;
    montage_case m = {.params.cohort = PSGVIT_COHORT_GENERIC};
    case_signals(&m, "ECG");
    assert_int_equal(pv_montage_make(&m.montage, &m.edf, pv_osf_leads, 0, &m.params, &m.err),
                     PSGVIT_E_ARGUMENT);
    assert_string_equal(m.err.message, "there are no names to look for in night.edf");
}

static const struct {
    const char *aliases, *message;
} unreadable[] = {
    {"ECG=a\n\n#x=y\nEKG=b",
     "aliases, line 4: 'EKG' is no input of the model, expected one of ECG, EMG_Chin, EMG_LLeg, "
     "EMG_RLeg, ABD, THX, NP, SN, EOG_E1_A2, EOG_E2_A1, EEG_C3_A2, EEG_C4_A1"},
    {"=b", "aliases, line 1: '' is no input of the model"},
    {"ECG=a\n ecg = b", "aliases, line 2: ECG has its aliases in line 1 already"},
    {"ECG\n", "aliases, line 1: there is no '=', expected NAME=LABEL,LABEL,..."},
    {"ECG=", "aliases, line 1: label 1 of ECG is empty"},
    {"ECG=a, ,b", "aliases, line 1: label 2 of ECG is empty"},
    {"ECG=a,", "aliases, line 1: label 2 of ECG is empty"},
    {"ECG=\"\"", "aliases, line 1: label 1 of ECG is empty"},
    {"ECG=\"a", "aliases, line 1: label 1 of ECG has a quote that is not closed"},
    {"ECG=\"a\"\"", "aliases, line 1: label 1 of ECG has a quote that is not closed"},
    {"ECG=\"", "aliases, line 1: label 1 of ECG has a quote that is not closed"},
    {"ECG=b,\"a\nABD=b\"", "aliases, line 1: label 2 of ECG has a quote that is not closed"},
    {"ECG=\"a\"b", "aliases, line 1: label 1 of ECG has text behind its closing quote"},
};

static void test_unreadable_aliases(void **state)
{
    (void)state;
    char text[200] = "ECG=";
    for (size_t i = 0; i < sizeof unreadable / sizeof unreadable[0]; i++) {
        montage_case m = {.params.aliases = unreadable[i].aliases};
        case_signals(&m, "ECG");
        case_make(&m, PSGVIT_E_ARGUMENT);
        case_message(&m, unreadable[i].message);
    }
    memset(text + 4, 'x', 128);
    montage_case m = {.params.aliases = text};
    case_signals(&m, "ECG");
    case_make(&m, PSGVIT_E_ARGUMENT);
    assert_string_equal(m.err.message, "aliases, line 1: label 1 of ECG is longer than 127 bytes");
    text[4 + 127] = '\0';
    case_make(&m, PSGVIT_OK);
    case_free(&m);
    memset(text, 'y', 150);
    strcpy(text + 150, "=a");
    case_make(&m, PSGVIT_E_ARGUMENT);
    case_message(&m, "'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy' is no");
}

static void test_readable_aliases(void **state)
{
    (void)state;
    montage_case m = {.params.aliases = "\xEF\xBB\xBF\r\n  # a comment, =\n\tECG = \"a,b\" \r\n"
                                        "THX=\"say \"\"x\"\"\"\n\n ABD=\" \",nothing , it#,#\n"
                                        "eeg-c3-a2=x#99999,x#2x,x\t\n#"};
    case_signals(&m, "x,nothing,it#");
    case_add(&m, "a,b", "uV", 100);
    case_add(&m, "say \"x\"", "", 100);
    case_make(&m, PSGVIT_OK);
    assert_string_equal(case_lead(&m, "ECG")->report.source, "a,b");
    assert_string_equal(case_lead(&m, "THX")->report.source, "say \"x\"");
    assert_string_equal(case_lead(&m, "ABD")->report.source, "nothing");
    assert_string_equal(case_lead(&m, "EEG_C3_A2")->report.source, "x");
    case_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cohorts),
        cmocka_unit_test(test_no_other_cohort),
        cmocka_unit_test(test_cohort_names),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_defects),
        cmocka_unit_test(test_ambiguity),
        cmocka_unit_test(test_nothing_usable),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_unreadable_aliases),
        cmocka_unit_test(test_readable_aliases),
    };
    return cmocka_run_group_tests_name("montage", tests, NULL, NULL);
}
