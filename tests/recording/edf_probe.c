/* SPDX-License-Identifier: MIT */
/*
 * Reads EDF files, whose names come line by line on standard input, by our reader and by EDFlib.
 * For each: a line of JSON on standard output with what our reader says and whether EDFlib says the
 * same, then for each signal that is no annotation all samples as float32 and as int32.
 */
#define _POSIX_C_SOURCE 200809L /* getline */
#include "json_out.h"
#include "recording/physical.h"

#include <edflib.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct edf_hdr_struct theirs; /* too large for a stack */
static char log_lines[65536], difference[256];

static void take_line(void *user, psgvit_log_level level, const char *line)
{
    size_t length = strlen(log_lines);
    (void)user, (void)level;
    snprintf(log_lines + length, sizeof log_lines - length, "%s\n", line);
}

static void *memory(size_t bytes)
{
    void *m = malloc(bytes ? bytes : 1);
    if (!m)
        exit(6);
    return m;
}

/* All samples of signal i, [records * per_record], stored and physical. */
static void read_signal(const pv_edf *edf, size_t i, float *physical, int32_t *digital)
{
    psgvit_error err;
    unsigned char *bytes = memory(edf->record_bytes);
    size_t n = edf->signal[i].per_record;
    for (size_t r = 0; r < edf->records; r++) {
        if (pv_edf_read(edf, r, 1, bytes, &err))
            exit(3);
        pv_edf_digital(edf, i, bytes, 1, digital + r * n);
        edf_physical(edf, i, digital + r * n, 1, physical + r * n);
    }
    free(bytes);
}

/* ---- the same as EDFlib? --------------------------------------------------------------------- */

static void differs(const char *what, size_t i)
{
    if (!difference[0])
        snprintf(difference, sizeof difference, "%s of signal %zu", what, i);
}

static bool same_text(const char *ours, const char *padded)
{
    while (*padded == ' ')
        padded++;
    size_t length = strlen(padded);
    while (length && padded[length - 1] == ' ')
        length--;
    return strlen(ours) == length && !memcmp(ours, padded, length);
}

/* EDFlib cuts samples to the digital range of the header; we don't. */
static void compare_samples(const pv_edf *edf, size_t i, int number)
{
    const pv_edf_signal *s = &edf->signal[i];
    size_t count = edf->records * s->per_record;
    float *physical = memory(count * sizeof *physical);
    int32_t *digital = memory(count * sizeof *digital);
    double *want = memory(count * sizeof *want);
    int *stored = memory(count * sizeof *stored);
    read_signal(edf, i, physical, digital);
    if (edfread_physical_samples(theirs.handle, number, (int)count, want) != (int)count ||
        edfseek(theirs.handle, number, 0, EDFSEEK_SET) != 0 ||
        edfread_digital_samples(theirs.handle, number, (int)count, stored) != (int)count)
        differs("number of samples", i);
    for (size_t k = 0; k < count; k++) {
        int cut = digital[k] < s->digital_min   ? s->digital_min
                  : digital[k] > s->digital_max ? s->digital_max
                                                : digital[k];
        if (cut != stored[k])
            differs("stored samples", i);
        if (cut == digital[k] && physical[k] != (float)want[k])
            differs("physical samples", i);
    }
    free(physical);
    free(digital);
    free(want);
    free(stored);
}

static void compare_signals(const pv_edf *edf)
{
    int number = 0;
    for (size_t i = 0; i < edf->signals; i++) {
        const pv_edf_signal *s = &edf->signal[i];
        if (s->annotations)
            continue;
        const struct edf_param_struct *p = &theirs.signalparam[number];
        if (!same_text(s->label, p->label) || !same_text(s->unit, p->physdimension) ||
            !same_text(s->prefilter, p->prefilter) || !same_text(s->transducer, p->transducer))
            differs("text", i);
        if (s->physical_min != p->phys_min || s->physical_max != p->phys_max ||
            s->digital_min != p->dig_min || s->digital_max != p->dig_max)
            differs("range", i);
        if (s->per_record != (size_t)p->smp_in_datarecord || s->defect[0])
            differs("samples in a record, or defect", i);
        compare_samples(edf, i, number++);
    }
    if (number != theirs.edfsignals)
        differs("number of signals, seen at the end", edf->signals);
}

static void compare(const pv_edf *edf, const char *path)
{
    char start[64];
    size_t annotations = 0;
    difference[0] = '\0';
    if (edfopen_file_readonly(path, &theirs, EDFLIB_READ_ALL_ANNOTATIONS)) {
        snprintf(difference, sizeof difference, "refused");
        return;
    }
    snprintf(start, sizeof start, "%04d-%02d-%02dT%02d:%02d:%02d", theirs.startdate_year,
             theirs.startdate_month, theirs.startdate_day, theirs.starttime_hour,
             theirs.starttime_minute, theirs.starttime_second);
    if (strcmp(start, edf->start) != 0)
        differs("start", 0);
    if (theirs.datarecords_in_file != (long long)edf->records)
        differs("records", 0);
    if (fabs((double)theirs.datarecord_duration / 1e7 - edf->record_seconds) > 1e-7)
        differs("duration of a record", 0);
    if (pv_edf_count_annotations(edf, &annotations, NULL) ||
        theirs.annotations_in_file != (long long)annotations)
        differs("annotations", 0);
    compare_signals(edf);
    edfclose_file(theirs.handle);
    if (!difference[0])
        snprintf(difference, sizeof difference, "same");
}

/* ---- what our reader says -------------------------------------------------------------------- */

static void put_number(const char *name, double value)
{
    printf(",\"%s\":", name);
    json_put_double(stdout, value);
}

static void put_signal(const pv_edf_signal *s)
{
    fputs("{\"label\":", stdout);
    json_put_string(stdout, s->label);
    fputs(",\"unit\":", stdout);
    json_put_string(stdout, s->unit);
    fputs(",\"defect\":", stdout);
    json_put_string(stdout, s->defect);
    printf(",\"annotations\":%s,\"per_record\":%zu", s->annotations ? "true" : "false",
           s->per_record);
    put_number("rate", s->rate);
    put_number("physical_min", s->physical_min);
    put_number("physical_max", s->physical_max);
    printf(",\"digital_min\":%d,\"digital_max\":%d}", s->digital_min, s->digital_max);
}

static void put_samples(const pv_edf *edf, size_t i)
{
    size_t count = edf->records * edf->signal[i].per_record;
    float *physical = memory(count * sizeof *physical);
    int32_t *digital = memory(count * sizeof *digital);
    read_signal(edf, i, physical, digital);
    fwrite(physical, sizeof *physical, count, stdout);
    fwrite(digital, sizeof *digital, count, stdout);
    free(physical);
    free(digital);
}

static void put_report(const pv_edf *edf)
{
    size_t annotations = 0;
    printf("{\"bdf\":%d,\"plus\":%d,\"discontinuous\":%d,\"records\":%zu,\"start\":", edf->bdf,
           edf->plus, edf->discontinuous, edf->records);
    json_put_string(stdout, edf->start);
    put_number("record_seconds", edf->record_seconds);
    fputs(",\"segments\":[", stdout);
    for (size_t i = 0; i < edf->segments; i++) {
        printf("%s[%zu,%zu,", i ? "," : "", edf->segment[i].first, edf->segment[i].count);
        json_put_double(stdout, edf->segment[i].onset);
        putchar(']');
    }
    fputs("],\"signals\":[", stdout);
    for (size_t i = 0; i < edf->signals; i++) {
        fputs(i ? "," : "", stdout);
        put_signal(&edf->signal[i]);
    }
    if (pv_edf_count_annotations(edf, &annotations, NULL))
        exit(3);
    printf("],\"annotations\":%zu,\"edflib\":", annotations);
    json_put_string(stdout, difference);
    fputs(",\"log\":", stdout);
    json_put_string(stdout, log_lines);
    fputs("}\n", stdout);
    for (size_t i = 0; i < edf->signals; i++)
        if (!edf->signal[i].annotations)
            put_samples(edf, i);
}

static void probe(char *path)
{
    struct stat st = {0};
    psgvit_error err;
    pv_edf *edf = NULL;
    const pv_log log = {take_line, NULL};
    pv_source source = {.name = path, .fd = open(path, O_RDONLY)};
    log_lines[0] = '\0';
    if (source.fd < 0 || fstat(source.fd, &st) != 0)
        exit(3);
    source.size = (uint64_t)st.st_size;
    if (pv_edf_open(&edf, &source, &log, &err)) {
        fputs("{\"error\":", stdout);
        json_put_string(stdout, err.message);
        fputs("}\n", stdout);
    } else {
        compare(edf, path);
        put_report(edf);
    }
    fflush(stdout);
    pv_edf_close(edf);
    close(source.fd);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;) {
        line[n - 1] = '\0';
        probe(line);
    }
    free(line);
    return ferror(stdout) ? 7 : 0;
}
