/* SPDX-License-Identifier: MIT */
/*
 * The header of an EDF or BDF: fixed columns of ASCII. What would give wrong numbers is refused,
 * what spoils one signal becomes that signal's defect, and what is merely odd goes to the log.
 */
#include "recording/edf_parse.h"

#include "base/checked.h"
#include "base/status.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a line of the log or an error says of a signal. */
#define SIGNAL "%s: signal %zu ('%s')"

enum {
    FIELD = 81,        /* bytes of the widest field and its NUL */
    LARGEST = 1 << 23, /* of all samples, whatever the digital range says */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Ten to the `power`, multiplied in steps, as EDFlib does it: the same bits. */
static double scale(double value, unsigned power, bool up)
{
    for (unsigned i = 0; i < power; i++)
        value = up ? value * 10.0 : value / 10.0;
    return value;
}

bool pv_edf_number(const char *text, size_t length, double *value)
{
    const char *at = text, *end = text + length;
    bool negative = at < end && *at == '-', up = true;
    double whole = 0.0, part = 0.0, divisor = 1.0;
    size_t digits = 0;
    unsigned power = 0;
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    for (; at < end && is_digit(*at); at++, digits++)
        whole = whole * 10.0 + (*at - '0');
    if (at < end && (*at == '.' || *at == ','))
        for (at++; at < end && is_digit(*at); at++, digits++)
            if (divisor < 1e15) { /* what follows is beyond a double */
                part = part * 10.0 + (*at - '0');
                divisor *= 10.0;
            }
    if (!digits)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        up = ++at == end || *at != '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (at == end)
            return false;
        for (; at < end && is_digit(*at); at++)
            power = power < 1000 ? power * 10 + (unsigned)(*at - '0') : power;
    }
    *value = scale(whole + part / divisor, power, up) * (negative ? -1.0 : 1.0);
    return at == end && isfinite(*value);
}

/* A whole number from `least` to `most`. */
static bool take_whole(const char *text, double least, double most, double *value)
{
    return pv_edf_number(text, strlen(text), value) && *value >= least && *value <= most &&
           floor(*value) == *value;
}

/* The next `width` bytes without the blanks or NULs at both ends. */
static void take_text(const unsigned char **at, size_t width, char *text)
{
    const unsigned char *first = *at, *end = first + width;
    size_t length = 0;
    *at = end;
    while (first < end && (*first == ' ' || *first == '\0'))
        first++;
    while (end > first && (end[-1] == ' ' || end[-1] == '\0'))
        end--;
    for (; first < end; first++)
        text[length++] = *first == '\0' ? ' ' : *first < ' ' || *first == 0x7F ? '?' : (char)*first;
    text[length] = '\0';
}

/* ---- the file -------------------------------------------------------------------------------- */

/* "21.07.03", "1:2:99": three numbers of one or two digits with something between them. */
static bool take_triple(const char *text, unsigned triple[3])
{
    for (size_t i = 0; i < 3; i++) {
        while (*text == ' ')
            text++;
        if (!is_digit(*text))
            return false;
        triple[i] = (unsigned)(*text++ - '0');
        if (is_digit(*text))
            triple[i] = triple[i] * 10 + (unsigned)(*text++ - '0');
        if (i < 2 && (*text == '\0' || !strchr(".:-/", *text++)))
            return false;
    }
    return *text == '\0';
}

/* The date of an EDF+, whose year has four digits: "Startdate 02-MAR-2002 ...". */
static bool take_plus_date(const char *recording, unsigned date[3])
{
    static const char months[] = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
    const char *d = recording + 10;
    if (strlen(recording) < 21 || memcmp(recording, "Startdate ", 10) != 0 || !is_digit(d[0]) ||
        !is_digit(d[1]) || d[2] != '-' || d[6] != '-')
        return false;
    for (date[1] = 0; date[1] < 12 && memcmp(d + 3, months + (size_t)3 * date[1], 3); date[1]++)
        ;
    date[0] = (unsigned)(d[0] - '0') * 10 + (unsigned)(d[1] - '0');
    date[1]++;
    date[2] = 0;
    for (size_t i = 7; i < 11; i++) {
        if (!is_digit(d[i]))
            return false;
        date[2] = date[2] * 10 + (unsigned)(d[i] - '0');
    }
    return true;
}

static bool is_date(const unsigned date[3])
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (date[2] % 4 == 0 && date[2] % 100 != 0) || date[2] % 400 == 0;
    return date[1] >= 1 && date[1] <= 12 && date[0] >= 1 &&
           date[0] <= days[date[1] - 1] + (leap && date[1] == 2 ? 1u : 0u);
}

/* edf->start of the header's date and time, or of an EDF+'s own date. */
static void take_start(pv_edf *edf, const char *date, const char *time, const pv_log *log)
{
    unsigned d[3] = {0}, t[3] = {0};
    bool known = edf->plus && take_plus_date(edf->recording, d) && is_date(d);
    if (!known) {
        known = take_triple(date, d);
        d[2] += d[2] < 85 ? 2000 : 1900; /* the standard's own window */
        known = known && is_date(d);
    }
    known = known && take_triple(time, t) && t[0] < 24 && t[1] < 60 && t[2] < 60;
    if (known)
        snprintf(edf->start, sizeof edf->start, "%04u-%02u-%02uT%02u:%02u:%02u", d[2], d[1], d[0],
                 t[0], t[1], t[2]);
    else
        pv_log_line(log, PSGVIT_LOG_WARNING, "%s: its start can't be read: date '%s', time '%s'",
                    edf->source->name, date, time);
}

/* Seconds of a record from its field. Below a microsecond and above thirty years there is no
 * recording, but there are overflows. */
static psgvit_status take_duration(pv_edf *edf, const char *text, psgvit_error *err)
{
    double s;
    if (!pv_edf_number(text, strlen(text), &s) || (s != 0.0 && (s < 1e-6 || s > 1e9)))
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: duration of a data record: expected seconds, found '%s'",
                       edf->source->name, text);
    edf->record_seconds = s;
    return PSGVIT_OK;
}

psgvit_status pv_edf_parse_file(pv_edf *edf, const unsigned char *bytes, double *records,
                                const pv_log *log, psgvit_error *err)
{
    const char *name = edf->source->name;
    char version[FIELD], date[FIELD], time[FIELD], size[FIELD], reserved[FIELD], field[FIELD];
    double count, header;
    edf->bdf = !memcmp(bytes, "\377BIOSEMI", 8);
    take_text(&bytes, 8, version);
    if (!edf->bdf && strcmp(version, "0") != 0)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected an EDF or BDF file, found neither '0' nor \\xffBIOSEMI at its "
                       "start",
                       name);
    take_text(&bytes, 80, edf->patient);
    take_text(&bytes, 80, edf->recording);
    take_text(&bytes, 8, date);
    take_text(&bytes, 8, time);
    take_text(&bytes, 8, size);
    take_text(&bytes, 44, reserved);
    edf->plus = !strncmp(reserved, edf->bdf ? "BDF+" : "EDF+", 4);
    edf->discontinuous = edf->plus && reserved[4] == 'D';
    take_text(&bytes, 8, field);
    if (!take_whole(field, 0.0, 99999999.0, records))
        *records = -1.0;
    take_text(&bytes, 8, field);
    PV_TRY(take_duration(edf, field, err));
    take_text(&bytes, 4, field);
    if (!take_whole(field, 1.0, PV_EDF_MAX_SIGNALS, &count))
        return pv_fail(err, PSGVIT_E_INPUT, "%s: number of signals: expected 1 to %d, found '%s'",
                       name, PV_EDF_MAX_SIGNALS, field);
    edf->signals = (size_t)count;
    edf->data = PV_EDF_HEADER * ((uint64_t)edf->signals + 1);
    if (!take_whole(size, 0.0, 99999999.0, &header) || (uint64_t)header != edf->data)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: size of the header: expected %llu for %zu signals, found '%s'", name,
                       (unsigned long long)edf->data, edf->signals, size);
    take_start(edf, date, time, log);
    return PSGVIT_OK;
}

/* ---- the signals ----------------------------------------------------------------------------- */

/* The four numbers of a signal's range, as they stand in the header. */
typedef struct range_fields {
    char physical_min[9], physical_max[9], digital_min[9], digital_max[9];
} range_fields;

/* Gain and offset, or the reason why there are none. */
static void take_range(pv_edf_signal *signal, const range_fields *f)
{
    double low, high;
    if (!pv_edf_number(f->physical_min, strlen(f->physical_min), &signal->physical_min) ||
        !pv_edf_number(f->physical_max, strlen(f->physical_max), &signal->physical_max)) {
        signal->physical_min = signal->physical_max = 0.0;
        snprintf(signal->defect, sizeof signal->defect,
                 "its physical range is '%s' to '%s': no numbers", f->physical_min,
                 f->physical_max);
        return;
    }
    if (!take_whole(f->digital_min, INT32_MIN, INT32_MAX, &low) ||
        !take_whole(f->digital_max, INT32_MIN, INT32_MAX, &high)) {
        snprintf(signal->defect, sizeof signal->defect,
                 "its digital range is '%s' to '%s': no whole numbers", f->digital_min,
                 f->digital_max);
        return;
    }
    signal->digital_min = (int32_t)low;
    signal->digital_max = (int32_t)high;
    bool digital = low == high;
    if (digital || signal->physical_min == signal->physical_max) {
        snprintf(signal->defect, sizeof signal->defect, "its %s range is zero: '%s' to '%s'",
                 digital ? "digital" : "physical", digital ? f->digital_min : f->physical_min,
                 digital ? f->digital_max : f->physical_max);
        return;
    }
    double gain = (signal->physical_max - signal->physical_min) / (high - low);
    double offset = signal->physical_max / gain - high;
    if (fabs(gain) * (fabs(offset) + LARGEST) < (double)FLT_MAX) { /* false for a NaN */
        signal->gain = gain;
        signal->offset = offset;
        return;
    }
    snprintf(signal->defect, sizeof signal->defect,
             "its physical range is beyond a float: '%s' to '%s'", f->physical_min,
             f->physical_max);
}

/* What is odd about a range that can be used. */
static void log_range(const pv_edf *edf, size_t i, const range_fields *f, const pv_log *log)
{
    const pv_edf_signal *s = &edf->signal[i];
    int32_t most = edf->bdf ? 8388607 : 32767;
    if (s->digital_min > s->digital_max)
        pv_log_line(log, PSGVIT_LOG_WARNING, SIGNAL ": its digital range is swapped: '%s' to '%s'",
                    edf->source->name, i, s->label, f->digital_min, f->digital_max);
    if (s->digital_min < -most - 1 || s->digital_max > most || s->digital_max < -most - 1 ||
        s->digital_min > most)
        pv_log_line(log, PSGVIT_LOG_WARNING,
                    SIGNAL ": its digital range is wider than %d bits: '%s' to '%s'",
                    edf->source->name, i, s->label, edf->bdf ? 24 : 16, f->digital_min,
                    f->digital_max);
    if (strchr(f->physical_min, ',') || strchr(f->physical_max, ','))
        pv_log_line(log, PSGVIT_LOG_WARNING,
                    SIGNAL ": the comma is taken as the decimal point of its physical range: "
                           "'%s' to '%s'",
                    edf->source->name, i, s->label, f->physical_min, f->physical_max);
}

/* The field of `width` bytes of signal i: all signals' labels come first, then all transducers ...
 * *bytes moves behind the field of the last one. */
static void take_field(const pv_edf *edf, const unsigned char **bytes, size_t width, size_t i,
                       char *text)
{
    const unsigned char *at = *bytes + i * width;
    take_text(&at, width, text);
    *bytes += edf->signals * width;
}

static psgvit_status parse_signal(pv_edf *edf, size_t i, const unsigned char *bytes,
                                  const pv_log *log, psgvit_error *err)
{
    pv_edf_signal *s = &edf->signal[i];
    range_fields range;
    char field[FIELD];
    double count;
    take_field(edf, &bytes, 16, i, s->label);
    take_field(edf, &bytes, 80, i, s->transducer);
    take_field(edf, &bytes, 8, i, s->unit);
    take_field(edf, &bytes, 8, i, range.physical_min);
    take_field(edf, &bytes, 8, i, range.physical_max);
    take_field(edf, &bytes, 8, i, range.digital_min);
    take_field(edf, &bytes, 8, i, range.digital_max);
    take_field(edf, &bytes, 80, i, s->prefilter);
    take_field(edf, &bytes, 8, i, field);
    if (!take_whole(field, 0.0, 99999999.0, &count))
        return pv_fail(err, PSGVIT_E_INPUT,
                       SIGNAL ": samples in a data record: expected a whole number, found '%s'",
                       edf->source->name, i, s->label, field);
    s->per_record = (size_t)count;
    s->annotations = !strcmp(s->label, "EDF Annotations") || !strcmp(s->label, "BDF Annotations");
    if (s->annotations)
        return PSGVIT_OK;
    if (edf->record_seconds == 0.0)
        return pv_fail(err, PSGVIT_E_INPUT,
                       SIGNAL ": expected annotations alone, since data records last 0 seconds, "
                              "found a signal without a rate",
                       edf->source->name, i, s->label);
    take_range(s, &range);
    if (!s->per_record)
        snprintf(s->defect, sizeof s->defect, "it has no samples");
    if (s->defect[0])
        pv_log_line(log, PSGVIT_LOG_WARNING, SIGNAL " can't be used: %s", edf->source->name, i,
                    s->label, s->defect);
    else
        log_range(edf, i, &range, log);
    return PSGVIT_OK;
}

/* One line however many there are: whoever asks for such a label hears the rest. */
static void log_twins(const pv_edf *edf, const pv_log *log)
{
    const pv_edf_signal *s = edf->signal;
    for (size_t i = 1; i < edf->signals; i++)
        for (size_t j = 0; j < i; j++)
            if (!s[i].annotations && !strcmp(s[i].label, s[j].label)) {
                pv_log_line(log, PSGVIT_LOG_WARNING,
                            SIGNAL " has the same label as signal %zu; there may be more such",
                            edf->source->name, i, s[i].label, j);
                return;
            }
}

psgvit_status pv_edf_parse_signals(pv_edf *edf, const unsigned char *bytes, const pv_log *log,
                                   psgvit_error *err)
{
    size_t sample = edf->bdf ? 3 : 2, size;
    for (size_t i = 0; i < edf->signals; i++) {
        pv_edf_signal *s = &edf->signal[i];
        PV_TRY(parse_signal(edf, i, bytes, log, err));
        if (edf->record_seconds > 0.0)
            s->rate = (double)s->per_record / edf->record_seconds;
        s->at = edf->record_bytes;
        bool fits = pv_mul(s->per_record, sample, &size);
        fits &= pv_add(edf->record_bytes, size, &edf->record_bytes);
        fits &= edf->record_bytes <= PV_EDF_MAX_RECORD;
        if (!fits)
            return pv_fail(err, PSGVIT_E_INPUT,
                           "%s: expected data records of at most %d bytes, found more",
                           edf->source->name, PV_EDF_MAX_RECORD);
    }
    if (!edf->record_bytes)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: expected data records, found no samples in them",
                       edf->source->name);
    log_twins(edf, log);
    return PSGVIT_OK;
}
