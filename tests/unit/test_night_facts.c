/* SPDX-License-Identifier: MIT */
/* What is copied of a recording. The recording's own calls are replaced: linked with --wrap. */
#include "night_facts.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static psgvit_recording_info info;

const psgvit_recording_info *__wrap_psgvit_recording_get_info(const psgvit_recording *recording);
double __wrap_psgvit_recording_epoch_start(const psgvit_recording *recording, size_t index);
double __wrap_psgvit_recording_skipped_start(const psgvit_recording *recording, size_t i);
const char *__wrap_psgvit_cohort_name(psgvit_cohort cohort);
const char *__wrap_psgvit_prep_name(psgvit_prep prep);
int __wrap_psgvit_prep_version(psgvit_prep prep);

const psgvit_recording_info *__wrap_psgvit_recording_get_info(const psgvit_recording *recording)
{
    (void)recording;
    return &info;
}

double __wrap_psgvit_recording_epoch_start(const psgvit_recording *recording, size_t index)
{
    (void)recording;
    return (double)index * info.stride_seconds + (index > 1 ? 7.25 : 0);
}

double __wrap_psgvit_recording_skipped_start(const psgvit_recording *recording, size_t i)
{
    (void)recording;
    return 20.1 + (double)i;
}

const char *__wrap_psgvit_cohort_name(psgvit_cohort cohort)
{
    return cohort == PSGVIT_COHORT_MROS ? "mros" : "?";
}

const char *__wrap_psgvit_prep_name(psgvit_prep prep)
{
    return prep == PSGVIT_PREP_OSF_CLEAN ? "osf-clean" : "?";
}

int __wrap_psgvit_prep_version(psgvit_prep prep)
{
    return prep == PSGVIT_PREP_OSF_CLEAN ? 3 : 0;
}

static const char *value_of(const night_facts *n, const char *key)
{
    for (size_t i = 0; i < n->entry_count; i++)
        if (!strcmp(n->entries[i].key, key))
            return n->entries[i].value;
    fail_msg("no entry '%s'", key);
    return NULL;
}

/* A copy: what it was made from is overwritten before it is looked at. */
static void test_clock(void **state)
{
    (void)state;
    char name[] = "ECG", label[] = "E\"K\\G", unit[] = "mV", note[] = "", start[] = "2001-02-03";
    psgvit_channel channels[] = {
        {name, PSGVIT_CHANNEL_DERIVED, label, unit, 256, 0.125, 0.5, note},
        {"SN", PSGVIT_CHANNEL_MISSING, "", NULL, 0, 0, 0, "none"},
    };
    info = (psgvit_recording_info){.format = PSGVIT_FORMAT_EDF,
                                   .channels = 2,
                                   .epochs = 3,
                                   .epoch_seconds = 4,
                                   .stride_seconds = 2.5,
                                   .start = start,
                                   .cohort = PSGVIT_COHORT_MROS,
                                   .prep = PSGVIT_PREP_OSF_CLEAN,
                                   .channel = channels,
                                   .skipped = 2};
    cli_failure failure;
    night_facts *n = NULL;
    char source[] = "a/b.edf";
    assert_int_equal(night_facts_open(&n, source, NULL, 30, &failure), CLI_DONE);
    memset(name, 'x', 3);
    memset(label, 'x', 3);
    memset(unit, 'x', 2);
    memset(start, 'x', 3);
    memset(source, 'x', 3);
    memset(channels, 0, sizeof channels);
    assert_true(n->clock);
    assert_string_equal(n->source, "a/b.edf");
    assert_string_equal(n->start, "2001-02-03");
    assert_string_equal(value_of(n, "source"), "a/b.edf");
    assert_string_equal(value_of(n, "start"), "2001-02-03");
    assert_string_equal(value_of(n, "epoch_seconds"), "4");
    assert_string_equal(value_of(n, "stride_seconds"), "2.5");
    assert_string_equal(value_of(n, "cohort"), "mros");
    assert_string_equal(value_of(n, "prep"), "osf-clean");
    assert_string_equal(value_of(n, "prep_version"), "3");
    assert_string_equal(value_of(n, "skipped"), "[20.1, 21.1]");
    cJSON *json = cJSON_Parse(value_of(n, "channels"));
    assert_int_equal(cJSON_GetArraySize(json), 2);
    const cJSON *first = cJSON_GetArrayItem(json, 0), *second = cJSON_GetArrayItem(json, 1);
    assert_string_equal(cJSON_GetObjectItem(first, "name")->valuestring, "ECG");
    assert_string_equal(cJSON_GetObjectItem(first, "state")->valuestring, "derived");
    assert_string_equal(cJSON_GetObjectItem(first, "source")->valuestring, "E\"K\\G");
    assert_string_equal(cJSON_GetObjectItem(first, "unit")->valuestring, "mV");
    assert_true(cJSON_GetObjectItem(first, "rate")->valuedouble == 256);
    assert_true(cJSON_GetObjectItem(first, "flat")->valuedouble == 0.125);
    assert_true(cJSON_GetObjectItem(first, "clipped")->valuedouble == 0.5);
    assert_string_equal(cJSON_GetObjectItem(second, "state")->valuestring, "missing");
    assert_string_equal(cJSON_GetObjectItem(second, "unit")->valuestring, "");
    assert_string_equal(cJSON_GetObjectItem(second, "note")->valuestring, "none");
    cJSON_Delete(json);
    assert_true(n->epoch_seconds == 4);
    assert_true(night_epoch_start(n, 2) == 12.25);
    assert_true(night_visible_seconds(n, 0) == 2.5); /* up to the next */
    assert_true(night_visible_seconds(n, 1) == 4);   /* a gap is behind it */
    assert_true(night_visible_seconds(n, 2) == 4);   /* the last */
    night_facts_close(&n);
    assert_null(n);
    night_facts_close(&n);
    night_facts_close(NULL);
}

static void test_no_clock(void **state)
{
    (void)state;
    info = (psgvit_recording_info){.format = PSGVIT_FORMAT_NPY, .channels = 12, .epochs = 5};
    cli_failure failure;
    night_facts *n = NULL;
    assert_int_equal(night_facts_open(&n, "x.npy", NULL, 30, &failure), CLI_DONE);
    assert_false(n->clock);
    assert_null(n->epoch_start_s);
    assert_null(n->channel);
    assert_int_equal(n->entry_count, 0);
    assert_int_equal(n->channels, 12);
    assert_string_equal(n->start, "");
    assert_true(night_epoch_start(n, 3) == 90);
    assert_true(night_visible_seconds(n, 3) == 30);
    night_facts_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_no_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
