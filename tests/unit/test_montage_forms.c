/* SPDX-License-Identifier: MIT */
/* Labels and units in the forms that files have them: folding, units and polarity, electrodes for
 * EEGPT, text of no known encoding, and what the log is told. */
#include "montage_case.h"

#include "recording/alias_text.h"

/* ---- folding --------------------------------------------------------------------------------- */

static void test_fold(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"C3-M2", "c3_m2"},
        {"C3:A2", "C3/M2"},
        {"EEG C3-A2", "eegc3m2"},
        {"C3A2", "C3M2"},
        {"LOC A2", "LOCM2"},
        {"A2", "m2"},
        {"A2-C3", "M2-C3"},
        {"Fc5.", "FC5"},
        {"EEG A2-REF", "EEG M2-Ref"},
        {"ECG L-ECG R", "ECGLECGR"},
        {"FZA1", "FZ-M1"},
    };
    static const char *const different[][2] = {
        {"C3", "C4"}, {"A1", "M2"}, {"DATA1", "DATM1"}, {"CA", "CM"},    {"A12", "M12"},
        {"", ""},     {"-", "."},   {"A1X", "M1X"},     {"XA1-", "XM1"}, {"A3", "M3"},
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (!pv_label_same(same[i][0], same[i][1], true))
            fail_msg("'%s' is not '%s'", same[i][0], same[i][1]);
    for (size_t i = 0; i < sizeof different / sizeof different[0]; i++)
        if (pv_label_same(different[i][0], different[i][1], true))
            fail_msg("'%s' is '%s'", different[i][0], different[i][1]);
    assert_false(pv_label_same("A1", "M1", false));
    char label[PV_LABEL + 2], folded[PV_LABEL];
    memset(label, 'a', sizeof label);
    pv_label_fold(folded, label, PV_LABEL - 1, true);
    assert_int_equal(strlen(folded), PV_LABEL - 1);
    pv_label_fold(folded, label, PV_LABEL, true);
    assert_string_equal(folded, "");
}

/* ---- units ----------------------------------------------------------------------------------- */

static void test_units(void **state)
{
    (void)state;
    static const struct {
        const char *unit;
        double scale;
        const char *note; /* "": nothing is said */
    } units[] = {
        {"uV", 1, ""},
        {"UV", 1, ""},
        {"u V", 1, ""},
        {"\xB5V", 1, ""},
        {"\xC2\xB5V", 1, ""},
        {"\xCE\xBCV", 1, ""},
        {"\xE6V", 1, ""},
        {"microV", 1, ""},
        {"uVolt", 1, ""},
        {"microvol", 1, ""},
        {"(uV)", 1, ""},
        {"mkV", 1, ""},
        {"mV", 1e3, "x is in mV"},
        {"MV", 1e3, "x is in mV"},
        {"milliV", 1e3, "x is in mV"},
        {"mVolt", 1e3, "x is in mV"},
        {"V", 1e6, "x is in V"},
        {"Volts", 1e6, "x is in V"},
        {"nV", 1e-3, "x is in nV"},
        {"", 1, "x has no unit, taken as uV"},
        {"-", 1, "x has unit '-', which is no voltage, taken as it is"},
        {"?V", 1, "x has unit '?V', taken as uV"},
        {"%", 1, "x has unit '%', which is no voltage, taken as it is"},
        {"kV", 1, "x has unit 'kV', which is no voltage, taken as it is"},
        {"bpm", 1, "x has unit 'bpm', which is no voltage, taken as it is"},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        montage_case m = {.params.aliases = "ECG=x\nABD=x"};
        case_add(&m, "x", units[i].unit, 128);
        case_make(&m, PSGVIT_OK);
        const pv_lead *lead = case_lead(&m, "ECG");
        char note[128] = "by alias";
        if (units[i].note[0])
            strcat(strcat(note, "; "), units[i].note);
        assert_string_equal(lead->report.note, note);
        assert_float_equal(lead->plus_scale, units[i].scale, 0);
        assert_float_equal(lead->report.rate, 128, 0);
        assert_int_equal(lead->minus, -1);
        lead = case_lead(&m, "ABD"); /* no voltage in the first place, but it may be one */
        assert_float_equal(lead->plus_scale, units[i].scale, 0);
        assert_null(strstr(lead->report.note, "no voltage"));
        assert_null(strstr(lead->report.note, "taken as"));
        case_free(&m);
    }
}

/* What is subtracted was brought to uV before. */
static void test_mixed_units(void **state)
{
    (void)state;
    montage_case m = {.params.cohort = PSGVIT_COHORT_CFS};
    case_add(&m, "C3", "mV", 256);
    case_add(&m, "M2", "uV", 128);
    case_add(&m, "C4", "mV", 256);
    case_add(&m, "M1", "mV", 256);
    case_make(&m, PSGVIT_OK);
    const pv_lead *lead = case_lead(&m, "EEG_C3_A2");
    assert_float_equal(lead->plus_scale, 1000, 0);
    assert_float_equal(lead->minus_scale, 1, 0);
    assert_string_equal(lead->report.unit, "mV");
    assert_float_equal(lead->report.rate, 256, 0);
    assert_string_equal(lead->report.note,
                        "C3 is in mV; converted to uV before subtracting; 256 Hz minus 128 Hz");
    lead = case_lead(&m, "EEG_C4_A1");
    assert_float_equal(lead->minus_scale, 1000, 0);
    assert_string_equal(lead->report.note, "C4 is in mV; M1 is in mV");
    case_free(&m);
}

/* The header's own inversion is undone by its gain: only a label turns the sign. */
static void test_polarity(void **state)
{
    (void)state;
    montage_case m = {.params.aliases = "EEG_C4_A1=-C4"};
    case_add(&m, "A2-C3", "mV", 256);
    case_add(&m, "ECG", "uV", 256);
    case_add(&m, "-C4", "uV", 256);
    m.signal[1].physical_min = 1000;
    m.signal[1].physical_max = -1000;
    case_make(&m, PSGVIT_OK);
    const pv_lead *lead = case_lead(&m, "EEG_C3_A2");
    assert_int_equal(lead->plus, 0);
    assert_int_equal(lead->minus, -1);
    assert_float_equal(lead->plus_scale, -1000, 0);
    assert_string_equal(lead->report.note, "inverted; A2-C3 is in mV");
    lead = case_lead(&m, "ECG");
    assert_float_equal(lead->plus_scale, 1, 0);
    assert_string_equal(lead->report.note, "ECG is inverted by its header, which was undone");
    lead = case_lead(&m, "EEG_C4_A1");
    assert_float_equal(lead->plus_scale, 1, 0);
    assert_string_equal(lead->report.note,
                        "by alias; -C4 begins with '-', its sign is left as it is");
    case_free(&m);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void test_print(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *printed;
    } texts[] = {
        {"ECG", "ECG"},
        {"\xB5V", "\xC2\xB5V"},     /* Latin-1 */
        {"\xC2\xB5V", "\xC2\xB5V"}, /* UTF-8 */
        {"\xE2\x82\xAC\xF0\x9F\x98\x80", "\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"a\x01\x7F", "a??"},
        {"\x80\x9F\xA0\xFF", "??\xC2\xA0\xC3\xBF"},
        {"\xC2", "\xC3\x82"},             /* cut */
        {"\xC0\xAF", "\xC3\x80\xC2\xAF"}, /* too long */
        {"\xE0\x80\x80", "\xC3\xA0??"},
        {"\xED\xA0\x80", "\xC3\xAD\xC2\xA0?"}, /* a surrogate */
        {"\xF0\x80\x80\x80", "\xC3\xB0???"},
        {"\xF4\x90\x80\x80", "\xC3\xB4???"}, /* beyond the last */
        {"\xF5\x80\x80\x80", "\xC3\xB5???"},
        {"a\xE2\x82", "a\xC3\xA2?"},
    };
    char text[PV_LABEL_TEXT];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pv_label_print(text, sizeof text, texts[i].raw);
        assert_string_equal(text, texts[i].printed);
    }
    pv_label_print(text, 3, "abc");
    assert_string_equal(text, "ab");
    pv_label_print(text, 3, "a\xB5");
    assert_string_equal(text, "a");
    montage_case m = {.params.aliases = "ECG=\xE9\xE8"};
    case_add(&m, "\xE9\xE8", "\xB5V", 1);
    case_make(&m, PSGVIT_OK);
    assert_string_equal(case_lead(&m, "ECG")->report.source, "\xC3\xA9\xC3\xA8");
    assert_string_equal(case_lead(&m, "ECG")->report.unit, "\xC2\xB5V");
    case_free(&m);
}

/* ---- electrodes ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *labels, *source, *note;
} positions[] = {
    {"FC5", "Fc5.", "Fc5.", ""},
    {"Cz", "CZ,Cz-Pz", "CZ", ""},
    {"C3", "EEG C3", "EEG C3", ""},
    {"C3", "EEG C3-REF", "EEG C3-REF", ""},
    {"C3", "EEG C3-Ref,EEG C4-Ref", "EEG C3-Ref", ""},
    {"fp1", "EEG FP1-LE", "EEG FP1-LE", ""},
    {"C3", "C3-A1A2", "C3-A1A2", ""},
    {"C3", "C3-M1", "C3-M1", ""},
    {"C3", "C3_A2", "C3_A2", ""},
    {"C3", "EEG C3 - Ref", "EEG C3 - Ref", ""},
    {"C3", "C3:M1+M2", "C3:M1+M2", ""},
    {"C3", "POL  -C3", "POL  -C3", ""},
    {"twenty characters are", "C3", "", "no channel of that name"},
    {"C3", "EEGC3", "EEGC3", ""},
    {"C3", "EEG:c3-avg", "EEG:c3-avg", ""},
    {"T7", "T3", "T3", ""},
    {"T3", "EEG T7-REF", "EEG T7-REF", ""},
    {"P8", "t6..", "t6..", ""},
    {"T5", "T5", "T5", ""},
    {"C3", "C3-M2,C3", "C3", ""}, /* the electrode alone goes first */
    {"C3", "C3,EEG C3-Ref", "C3", ""},
    {"FT9", "EEG FT9-Ref", "EEG FT9-Ref", ""}, /* the model may know more than the 62 */
    {"M1", "A1", "A1", ""},
    {"Fpz-Cz", "EEG Fpz-Cz", "EEG Fpz-Cz", ""},
    {"EEG Fpz-Cz", "Fpz-Cz", "", "no channel of that name"},
    {"Fpz-Cz", "Cz-Fpz", "Cz-Fpz", "inverted"},
    {"Fpz-Cz", "Cz,EEG FPZ-Ref", "EEG FPZ-Ref - Cz", ""},
    {"Fpz-Cz", "Cz", "", "'Cz' is there, 'Fpz' is not"},
    {"C3-M2", "C3,M2", "C3 - M2", ""},
    {"C3-M2", "C3", "C3", ""},
    {"Fpz", "EEG Fpz-Cz", "", "no channel of that name"}, /* bipolar only if asked for so */
    {"C3", "C3-C4,C3-O1", "", "no channel of that name"},
    {"C3", "C33,EEG1,xC3,C3x,EEG", "", "no channel of that name"},
    {"", "C3", "", "the model does not name this input"},
};

static void test_positions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        const char *const names[] = {positions[i].name, "O2"};
        montage_case m = {.names = names, .count = 2};
        case_signals(&m, positions[i].labels);
        case_add(&m, "EEG O2-Ref", "uV", 250);
        case_make(&m, PSGVIT_OK);
        const psgvit_channel *r = &m.montage.lead[0].report;
        assert_string_equal(r->name, positions[i].name);
        if (strcmp(r->source, positions[i].source) != 0 || strcmp(r->note, positions[i].note) != 0)
            fail_msg("%s in '%s': '%s' (%s), expected '%s' (%s)", positions[i].name,
                     positions[i].labels, r->source, r->note, positions[i].source,
                     positions[i].note);
        assert_string_equal(m.montage.lead[1].report.source, "EEG O2-Ref");
        assert_int_equal(m.montage.cohort, PSGVIT_COHORT_GENERIC);
        case_free(&m);
    }
}

static void test_position_errors(void **state)
{
    (void)state;
    const char *const names[] = {"C3", "T7"}, *const unnamed[] = {"", ""};
    montage_case m = {.names = names, .count = 2};
    case_signals(&m, "T3,EEG T7");
    case_make(&m, PSGVIT_E_INPUT);
    case_message(&m, "T7 is ambiguous: it could be 'T3' (signal 1) or 'EEG T7' (signal 2)");
    m.edf.signals = 0;
    case_signals(&m, "EEG C3-M1,EEG C3-M2");
    case_make(&m, PSGVIT_E_INPUT);
    case_message(&m, "C3 is ambiguous");
    m.edf.signals = 0;
    case_signals(&m, "C1,C2");
    case_make(&m, PSGVIT_E_INPUT);
    assert_string_equal(m.err.message,
                        "night.edf: no usable channel: none of the 2 inputs (C3, T7) is among "
                        "'C1', 'C2'; say which is which by aliases (--alias NAME=LABEL)");
    m.params.aliases = "t3=C2-C1"; /* an old name is the name */
    case_make(&m, PSGVIT_OK);
    assert_string_equal(m.montage.lead[1].report.source, "C2 - C1");
    case_free(&m);
    m.params.aliases = "T3=C2\nT7=C1";
    case_make(&m, PSGVIT_E_ARGUMENT);
    case_message(&m, "aliases, line 2: T7 has its aliases in line 1 already");
    m.params.aliases = NULL;
    m.names = unnamed;
    case_make(&m, PSGVIT_E_INPUT);
    case_message(&m, "none of the 2 inputs, which the model does not name, is among 'C1', 'C2'");
}

/* Many inputs: the list of names is cut, the sentence goes on. */
static void test_many_names(void **state)
{
    (void)state;
    char text[300][8];
    const char *names[300];
    for (size_t i = 0; i < 300; i++) {
        memcpy(text[i], "N000", 5);
        text[i][1] = (char)('0' + i / 100);
        text[i][2] = (char)('0' + i / 10 % 10);
        text[i][3] = (char)('0' + i % 10);
        names[i] = text[i];
    }
    montage_case m = {.names = names, .count = 300};
    case_signals(&m, "C1");
    case_make(&m, PSGVIT_E_INPUT);
    case_message(&m, "none of the 300 inputs (N000, N001, ");
    case_message(&m, " ...) is among 'C1'; say");
    m.params.aliases = "x=y";
    case_make(&m, PSGVIT_E_ARGUMENT);
    case_message(&m, "expected one of N000, N001, ");
    case_message(&m, " ...");
    m.params.aliases = "N299=c1";
    case_make(&m, PSGVIT_OK);
    assert_int_equal(m.montage.lead[299].plus, 0);
    assert_int_equal(m.montage.lead[298].plus, -1);
    case_free(&m);
}

/* ---- the log --------------------------------------------------------------------------------- */

static void keep(void *user, psgvit_log_level level, const char *line)
{
    char *log = user;
    assert_int_equal(level, strstr(line, "aliases") ? PSGVIT_LOG_WARNING : PSGVIT_LOG_INFO);
    assert_true(strlen(log) + strlen(line) + 2 < 2000);
    strcat(strcat(log, line), "\n");
}

static void test_log(void **state)
{
    (void)state;
    char log[2000] = "";
    const char *const names[] = {"C3"};
    montage_case m = {
        .names = names, .count = 1, .params = {.log = keep, .log_user = log, .aliases = "C3=x,y"}};
    case_signals(&m, "C3,C4,EEG FT9-Ref,TP10,EEG 21,EEG Fpz-Cz,A1,M2,ECG,SpO2,EDF Annotations,"
                     "CP5h,Pulse,T1,F10,PPO9h,Iz");
    case_make(&m, PSGVIT_OK);
    static const char tail[] = "is no position of the 62 that are known";
    static const char *const unknown[] = {"EEG FT9-Ref", "TP10", "EEG 21", "EEG Fpz-Cz", "CP5h",
                                          "T1",          "F10",  "PPO9h",  "Iz"};
    char expected[2000] = "night.edf: none of the aliases of C3 is among its channels\n";
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        strcat(strcat(expected, "night.edf: channel '"), unknown[i]);
        strcat(strcat(strcat(expected, "' "), tail), "\n");
    }
    assert_string_equal(log, expected);
    case_free(&m);
    log[0] = '\0';
    m.names = NULL;
    m.params.aliases = NULL;
    case_make(&m, PSGVIT_OK);
    assert_string_equal(log, "night.edf: the labels are those of no one cohort: generic\n");
    case_free(&m);
    log[0] = '\0';
    m.edf.signals = 0;
    case_signals(&m, "EEG,ECG,ABDO RES,THOR RES,EOG(L),EOG(R)");
    case_make(&m, PSGVIT_OK);
    assert_string_equal(log, "night.edf: the labels are those of cohort shhs\n");
    case_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_mixed_units),
        cmocka_unit_test(test_polarity),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_position_errors),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests_name("montage forms", tests, NULL, NULL);
}
