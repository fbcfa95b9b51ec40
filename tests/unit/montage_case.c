/* SPDX-License-Identifier: MIT */
/* Headers of EDFs made by hand. */
#include "montage_case.h"

#include <stdio.h>

static pv_source source = {.name = (char[]){"night.edf"}, .fd = -1};

static pv_edf_signal a_signal(const char *label, const char *unit, double rate)
{
    pv_edf_signal s = {.physical_min = -1000,
                       .physical_max = 1000,
                       .digital_min = -32768,
                       .digital_max = 32767,
                       .rate = rate,
                       .annotations = strcmp(label, "EDF Annotations") == 0};
    assert_true(strlen(label) < sizeof s.label && strlen(unit) < sizeof s.unit);
    strcpy(s.label, label);
    strcpy(s.unit, unit);
    return s;
}

void case_add(montage_case *m, const char *label, const char *unit, double rate)
{
    assert_true(m->edf.signals < CASE_SIGNALS);
    m->edf.source = &source;
    m->edf.signal = m->signal;
    m->signal[m->edf.signals++] = a_signal(label, unit, rate);
}

void case_signals(montage_case *m, const char *labels)
{
    for (const char *at = labels, *end; at; at = *end ? end + 1 : NULL) {
        char label[64] = "";
        end = at + strcspn(at, ",");
        assert_true((size_t)(end - at) < sizeof label);
        memcpy(label, at, (size_t)(end - at));
        case_add(m, label, "uV", 256);
    }
}

void case_many(montage_case *m, size_t count)
{
    m->edf.source = &source;
    m->edf.signal = calloc(count, sizeof *m->edf.signal);
    m->edf.signals = count;
    assert_non_null(m->edf.signal);
    for (size_t i = 0; i < count; i++) {
        char label[24];
        snprintf(label, sizeof label, "a %zu", i);
        m->edf.signal[i] = a_signal(label, "uV", 256);
    }
}

void case_make(montage_case *m, psgvit_status expected)
{
    const char *const *names = m->names ? m->names : pv_osf_leads;
    size_t count = m->names ? m->count : PV_OSF_LEADS;
    psgvit_status status = pv_montage_make(&m->montage, &m->edf, names, count, &m->params, &m->err);
    if (status != expected)
        fail_msg("status is %d (%s), expected %d", (int)status, status ? m->err.message : "",
                 (int)expected);
    if (!status) {
        assert_int_equal(m->montage.count, count);
        return;
    }
    assert_int_equal(m->err.code, status);
    assert_null(m->montage.lead);
    assert_null(m->montage.text);
}

void case_message(const montage_case *m, const char *text)
{
    if (!strstr(m->err.message, text))
        fail_msg("'%s' does not hold '%s'", m->err.message, text);
}

const pv_lead *case_lead(const montage_case *m, const char *name)
{
    for (size_t i = 0; i < m->montage.count; i++)
        if (strcmp(m->montage.lead[i].report.name, name) == 0)
            return &m->montage.lead[i];
    fail_msg("there is no input %s", name);
    return NULL;
}

void case_free(montage_case *m)
{
    pv_montage_free(&m->montage);
    assert_null(m->montage.lead);
    assert_int_equal(m->montage.count, 0);
}
