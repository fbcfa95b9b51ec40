/* SPDX-License-Identifier: MIT */
/*
 * One search for each input, in this order: the user's aliases, the table of the cohort, the
 * generic table; or the 10-20 position. Then what was found is judged, scaled and put into words.
 */
#include "recording/montage.h"

#include "base/channels.h"
#include "base/checked.h"
#include "base/leads.h"
#include "base/status.h"
#include "recording/alias_text.h"
#include "recording/aliases.h"
#include "recording/search.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind a lead's report. */
typedef struct strings {
    char source[2 * PV_LABEL_TEXT + 24], unit[PV_LABEL_TEXT], note[384];
} strings;

typedef struct maker {
    pv_montage *montage;
    const psgvit_recording_params *params;
    const char *file;
    pv_log log;
    psgvit_error *err;
    pv_search search;
    strings *strings; /* [count] */
    bool by_alias;    /* what was found for the lead at hand */
} maker;

/* ---- words ----------------------------------------------------------------------------------- */

/* Appends to text of `size` bytes; what has no room is cut. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *format, ...)
{
    size_t n = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, size - n, format, args);
    va_end(args);
}

/* "C3-M2", or "EKG#2" of several that are called EKG. */
static void print_signal(const pv_edf *edf, int i, char text[PV_LABEL_TEXT + 8])
{
    size_t ordinal = pv_search_ordinal(edf, (size_t)i);
    pv_label_print(text, PV_LABEL_TEXT, edf->signal[i].label);
    if (ordinal)
        append(text, PV_LABEL_TEXT + 8, "#%zu", ordinal);
}

static void print_pick(const pv_edf *edf, const pv_pick *pick, char *text, size_t size)
{
    char plus[PV_LABEL_TEXT + 8], minus[PV_LABEL_TEXT + 8];
    print_signal(edf, pick->plus, plus);
    if (pick->minus < 0) {
        snprintf(text, size, "%s", plus);
        return;
    }
    print_signal(edf, pick->minus, minus);
    snprintf(text, size, "%s - %s", plus, minus);
}

/* "'ECG', 'EMG' and 12 more" as far as the text goes. */
static void list_labels(const pv_edf *edf, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < edf->signals; i++) {
        char label[PV_LABEL_TEXT];
        if (strlen(text) + PV_LABEL_TEXT + 24 > size) {
            append(text, size, " and %zu more", edf->signals - i);
            return;
        }
        pv_label_print(label, sizeof label, edf->signal[i].label);
        append(text, size, "%s'%s'", i ? ", " : "", label);
    }
}

/* ---- judging --------------------------------------------------------------------------------- */

static psgvit_status ambiguous(const maker *m, const char *name)
{
    const pv_search *s = &m->search;
    const pv_edf *edf = s->edf;
    char list[640] = "";
    size_t shown = s->picks < PV_PICKS ? s->picks : PV_PICKS;
    for (size_t i = 0; i < shown; i++) {
        const pv_pick *pick = &s->pick[i];
        char source[2 * PV_LABEL_TEXT + 24];
        print_pick(edf, pick, source, sizeof source);
        append(list, sizeof list, "%s'%s' (%s %d", i ? " or " : "", source,
               pick->minus < 0 ? "signal" : "signals", pick->plus + 1);
        if (pick->minus >= 0)
            append(list, sizeof list, " and %d", pick->minus + 1);
        append(list, sizeof list, ")");
    }
    return pv_fail(m->err, PSGVIT_E_INPUT,
                   "%s: %s is ambiguous: it could be %s%s; say which by an alias (--alias "
                   "%s=LABEL, where LABEL#2 is the second of a label)",
                   m->file, name, list, s->picks > shown ? " or another" : "", name);
}

static bool is_lead(const char *name)
{
    for (size_t i = 0; i < PV_OSF_LEADS; i++)
        if (strcmp(name, pv_osf_leads[i]) == 0)
            return true;
    return false;
}

/* Effort, pressure and snore come in any unit, or none. */
static bool is_voltage(const char *name)
{
    static const char *const others[] = {"ABD", "THX", "NP", "SN"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0)
            return false;
    return true;
}

/* Searches the user's aliases of a name. */
static bool find_alias(maker *m, const char *name)
{
    const char *at = pv_alias_find(m->params->aliases, name);
    char label[PV_LABEL];
    if (!at)
        return false;
    while (pv_alias_next(&at, label))
        if (pv_search_given(&m->search, label))
            return true;
    pv_log_line(&m->log, PSGVIT_LOG_WARNING,
                "%s: none of the aliases of %s is among its channels", m->file, name);
    return false;
}

static void find_lead(maker *m, const char *name)
{
    psgvit_cohort cohort = m->montage->cohort;
    pv_search_begin(&m->search);
    m->by_alias = find_alias(m, name);
    if (m->by_alias || !name[0])
        return;
    if (!is_lead(name))
        pv_search_position(&m->search, name);
    else if (!pv_search_sources(&m->search, pv_cohort_sources(cohort, name)) &&
             cohort != PSGVIT_COHORT_GENERIC)
        pv_search_sources(&m->search, pv_cohort_sources(PSGVIT_COHORT_GENERIC, name));
}

/* ---- the report ------------------------------------------------------------------------------ */

/* One more remark, behind "; ". */
__attribute__((format(printf, 2, 3))) static void remark(strings *text, const char *format, ...)
{
    va_list args;
    size_t n = strlen(text->note);
    if (n && n + 3 < sizeof text->note) {
        memcpy(text->note + n, "; ", 3);
        n += 2;
    }
    va_start(args, format);
    vsnprintf(text->note + n, sizeof text->note - n, format, args);
    va_end(args);
}

static void remark_unusable(const maker *m, strings *text)
{
    char label[PV_LABEL_TEXT + 8];
    if (m->search.unusable < 0)
        return;
    const pv_edf_signal *signal = &m->search.edf->signal[m->search.unusable];
    print_signal(m->search.edf, m->search.unusable, label);
    remark(text, "'%s' can't be used: %s", label,
           signal->defect[0] ? signal->defect : "it holds annotations");
}

static void report_missing(const maker *m, pv_lead *lead, strings *text)
{
    remark_unusable(m, text);
    if (!lead->report.name[0])
        remark(text, "the model does not name this input");
    else if (m->search.half[0])
        remark(text, "%s", m->search.half);
    else if (m->search.unusable < 0)
        remark(text, "no channel of that name");
}

/* uV in a unit of signal i, and what there is to say of it. */
static double scale_of(const pv_search *s, int i, bool voltage, strings *text)
{
    const pv_edf_signal *signal = &s->edf->signal[i];
    char label[PV_LABEL_TEXT + 8], unit[PV_LABEL_TEXT];
    pv_unit_kind kind;
    const char *name;
    double scale = pv_unit_scale(signal->unit, &kind, &name);
    print_signal(s->edf, i, label);
    pv_label_print(unit, sizeof unit, signal->unit);
    if (voltage && kind == PV_UNIT_BLANK)
        remark(text, "%s has no unit, taken as uV", label);
    else if (voltage && kind == PV_UNIT_MANGLED)
        remark(text, "%s has unit '%s', taken as uV", label, unit);
    else if (voltage && kind == PV_UNIT_OTHER)
        remark(text, "%s has unit '%s', which is no voltage, taken as it is", label, unit);
    else if (kind == PV_UNIT_VOLTAGE && strcmp(name, "uV") != 0)
        remark(text, "%s is in %s", label, name);
    if (signal->physical_min > signal->physical_max)
        remark(text, "%s is inverted by its header, which was undone", label);
    if (signal->label[0] == '-')
        remark(text, "%s begins with '-', its sign is left as it is", label);
    return scale;
}

static void report_found(const maker *m, pv_lead *lead, strings *text)
{
    const pv_search *s = &m->search;
    const pv_pick *pick = &s->pick[0];
    const pv_edf_signal *plus = &s->edf->signal[pick->plus];
    bool voltage = is_voltage(lead->report.name);
    lead->plus = pick->plus;
    lead->minus = pick->minus;
    lead->report.state = pick->minus < 0 ? PSGVIT_CHANNEL_FOUND : PSGVIT_CHANNEL_DERIVED;
    lead->report.rate = plus->rate;
    print_pick(s->edf, pick, text->source, sizeof text->source);
    pv_label_print(text->unit, sizeof text->unit, plus->unit);
    if (m->by_alias)
        remark(text, "by alias");
    if (pick->inverted)
        remark(text, "inverted");
    if (pick->substitute)
        remark(text, "another reference than the lead's");
    lead->plus_scale = scale_of(s, pick->plus, voltage, text) * (pick->inverted ? -1 : 1);
    if (pick->minus >= 0) {
        const pv_edf_signal *minus = &s->edf->signal[pick->minus];
        lead->minus_scale = scale_of(s, pick->minus, voltage, text);
        if (lead->minus_scale < lead->plus_scale || lead->minus_scale > lead->plus_scale)
            remark(text, "converted to uV before subtracting");
        if (minus->rate < plus->rate || minus->rate > plus->rate)
            remark(text, "%g Hz minus %g Hz", plus->rate, minus->rate);
    }
    remark_unusable(m, text);
}

static psgvit_status make_lead(maker *m, size_t i)
{
    pv_lead *lead = &m->montage->lead[i];
    strings *text = &m->strings[i];
    find_lead(m, lead->report.name);
    if (m->search.picks > 1)
        return ambiguous(m, lead->report.name);
    if (m->search.picks)
        report_found(m, lead, text);
    else
        report_missing(m, lead, text);
    lead->report.source = text->source;
    lead->report.unit = text->unit;
    lead->report.note = text->note;
    return PSGVIT_OK;
}

/* ---- all leads ------------------------------------------------------------------------------- */

static psgvit_status none_found(const maker *m)
{
    const pv_montage *montage = m->montage;
    char labels[500], names[240] = "";
    bool named = false;
    list_labels(m->search.edf, labels, sizeof labels);
    append(names, sizeof names, "none of the %zu inputs", montage->count);
    for (size_t i = 0; i < montage->count; i++) {
        const char *name = montage->lead[i].report.name;
        if (strlen(names) > 200) {
            append(names, sizeof names, " ...");
            break;
        }
        if (name[0])
            append(names, sizeof names, "%s%.24s", named ? ", " : " (", name);
        named |= name[0] != 0;
    }
    return pv_fail(m->err, PSGVIT_E_INPUT,
                   "%s: no usable channel: %s%s is among %s; say which is which by aliases "
                   "(--alias NAME=LABEL)",
                   m->file, names, named ? ")" : ", which the model does not name,",
                   labels[0] ? labels : "no signals at all");
}

/* Electrodes that the model has no name for: silent unless they are told of. */
static void log_unknown(const maker *m)
{
    const pv_edf *edf = m->search.edf;
    for (size_t i = 0; i < edf->signals; i++) {
        const pv_position *p = &m->search.index[i].position;
        char label[PV_LABEL_TEXT];
        pv_label_print(label, sizeof label, edf->signal[i].label);
        if (p->eeg && !p->known && !edf->signal[i].annotations)
            pv_log_line(&m->log, PSGVIT_LOG_INFO,
                        "%s: channel '%s' is no position of the 62 that are known", m->file, label);
    }
}

static psgvit_status make_leads(maker *m)
{
    pv_montage *montage = m->montage;
    size_t found = 0, leads = 0;
    for (size_t i = 0; i < montage->count; i++) {
        PV_TRY(make_lead(m, i));
        found += montage->lead[i].plus >= 0;
        leads += is_lead(montage->lead[i].report.name);
    }
    if (leads < montage->count)
        log_unknown(m);
    return found ? PSGVIT_OK : none_found(m);
}

/* Room for the leads, with their names, and for their strings. */
static psgvit_status allocate(maker *m, const char *const *names, size_t count)
{
    pv_montage *montage = m->montage;
    size_t lead_bytes = 0, text_bytes = 0, name_bytes = 0;
    bool fits = pv_mul(count, sizeof *montage->lead, &lead_bytes) &&
                pv_mul(count, sizeof *m->strings, &text_bytes);
    for (size_t i = 0; i < count; i++)
        fits = fits && pv_add(name_bytes, strlen(names[i]) + 1, &name_bytes);
    if (!fits || !pv_add(text_bytes, name_bytes, &text_bytes))
        return pv_fail_memory(m->err, "the channels of a recording", SIZE_MAX);
    montage->lead = calloc(1, lead_bytes);
    montage->text = calloc(1, text_bytes);
    if (!montage->lead || !montage->text)
        return pv_fail_memory(m->err, "the channels of a recording", lead_bytes + text_bytes);
    m->strings = (strings *)(void *)montage->text; /* of chars alone: aligned anywhere */
    char *name = montage->text + count * sizeof *m->strings;
    for (size_t i = 0; i < count; i++) {
        size_t bytes = strlen(names[i]) + 1;
        memcpy(name, names[i], bytes);
        montage->lead[i] = (pv_lead){.report = {.name = name}, .plus = -1, .minus = -1};
        name += bytes;
    }
    montage->count = count;
    return PSGVIT_OK;
}

/* The cohort counts for OSF's leads alone. */
static void choose_cohort(maker *m, const char *const *names, size_t count)
{
    psgvit_cohort *cohort = &m->montage->cohort;
    size_t leads = 0;
    for (size_t i = 0; i < count; i++)
        leads += is_lead(names[i]);
    *cohort = m->params->cohort;
    if (*cohort != PSGVIT_COHORT_AUTO)
        return;
    *cohort = leads ? pv_cohort_recognise(m->search.edf) : PSGVIT_COHORT_GENERIC;
    if (leads)
        pv_log_line(&m->log, PSGVIT_LOG_INFO, "%s: the labels are those of %s%s", m->file,
                    *cohort == PSGVIT_COHORT_GENERIC ? "no one cohort: " : "cohort ",
                    psgvit_cohort_name(*cohort));
}

static psgvit_status make(maker *m, const char *const *names, size_t count)
{
    const pv_edf *edf = m->search.edf;
    size_t bytes;
    if (!pv_mul(edf->signals, sizeof(pv_index), &bytes))
        return pv_fail_memory(m->err, "the labels of a recording", SIZE_MAX);
    pv_index *index = malloc(bytes ? bytes : 1);
    if (!index)
        return pv_fail_memory(m->err, "the labels of a recording", bytes);
    pv_index_make(index, edf);
    m->search.index = index;
    psgvit_status status = allocate(m, names, count);
    if (!status) {
        choose_cohort(m, names, count);
        status = make_leads(m);
    }
    free(index);
    return status;
}

psgvit_status pv_montage_make(pv_montage *montage, const pv_edf *edf, const char *const *names,
                              size_t count, const psgvit_recording_params *params,
                              psgvit_error *err)
{
    *montage = (pv_montage){.count = 0};
    maker m = {.montage = montage,
               .params = params,
               .file = edf->source->name,
               .log = {params->log, params->log_user},
               .err = err,
               .search = {.edf = edf}};
    if (!count)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "there are no names to look for in %s", m.file);
    PV_TRY(pv_alias_check(params->aliases, names, count, err));
    psgvit_status status = make(&m, names, count);
    if (status)
        pv_montage_free(montage);
    return status;
}

void pv_montage_free(pv_montage *montage)
{
    free(montage->lead);
    free(montage->text);
    *montage = (pv_montage){.count = 0};
}
