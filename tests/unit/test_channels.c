/* SPDX-License-Identifier: MIT */
/* The names of EEG channels: their rows, their spelling, and the old names. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "base/channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The order of the reference, written down a second time, in one string. */
static const char order[] =
    "FP1 FPZ FP2 AF7 AF3 AF4 AF8 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 T7 "
    "C5 C3 C1 CZ C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 "
    "PO5 "
    "PO3 POZ PO4 PO6 PO8 O1 OZ O2";

static void test_order(void **state)
{
    (void)state;
    char text[sizeof order], *rest = NULL;
    int row = 0;
    strcpy(text, order);
    for (char *name = strtok_r(text, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        assert_int_equal(pv_channel_row(name, NULL), row++);
    assert_int_equal(row, PV_CHANNEL_NAMES);
}

static void test_spelling(void **state)
{
    (void)state;
    const char *alias = "x";
    assert_int_equal(pv_channel_row("Cz", &alias), 29);
    assert_null(alias);
    assert_int_equal(pv_channel_row("..fp1.", NULL), 0);
    assert_int_equal(pv_channel_row("Fc5.", NULL), 17);
    assert_int_equal(pv_channel_row("o2", NULL), 61);
    static const char *const unknown[] = {"",    ".",   "...",    "FP", "FP11",
                                          "C.z", " CZ", "EEG CZ", "A1"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(pv_channel_row(unknown[i], NULL), -1);
}

static void test_aliases(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"T3", "T7"}, {"t4.", "T8"}, {"T5", "P7"}, {"T6", "P8"}};
    for (size_t i = 0; i < 4; i++) {
        const char *alias = NULL;
        int row = pv_channel_row(pairs[i][0], &alias);
        assert_string_equal(alias, pairs[i][1]);
        assert_int_equal(pv_channel_row(pairs[i][1], NULL), row);
        assert_int_equal(pv_channel_row(pairs[i][0], NULL), row);
    }
}

/* The rows that the reference's own checkpoint with a chan_proj holds. */
static void test_chan_proj(void **state)
{
    (void)state;
    static const int rows[PV_CHAN_PROJ_TARGETS] = {0,  2,  7,  9,  11, 13, 15, 25, 27, 29,
                                                   31, 33, 43, 45, 47, 49, 51, 59, 61};
    for (size_t i = 0; i < PV_CHAN_PROJ_TARGETS; i++)
        assert_int_equal(pv_channel_row(pv_chan_proj_names[i], NULL), rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_spelling),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_chan_proj),
    };
    return cmocka_run_group_tests_name("channels", tests, NULL, NULL);
}
