/* SPDX-License-Identifier: MIT */
/* Reports of EDF and BDF files: what the header says, what of it had to be tolerated, where the
 * gaps are, how many annotations there are. Samples are not looked at. */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include "cli.h"
#include "inspect.h"
#include "json_out.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SEGMENTS = 20, LABEL = 16 }; /* lines in the text; columns */

void inspect_take_note(void *notes, psgvit_log_level level, const char *line)
{
    inspect_notes *n = notes;
    char *own = strdup(line);
    char **lines = own ? realloc(n->lines, (n->count + 1) * sizeof *lines) : NULL;
    (void)level;
    if (!lines) { /* a report that lacks a note must not pass for a whole one */
        free(own);
        n->lost = true;
        return;
    }
    n->lines = lines;
    n->lines[n->count++] = own;
}

void inspect_notes_free(inspect_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++)
        free(notes->lines[i]);
    free(notes->lines);
}

static const char *variant(const psgvit_edf_info *edf)
{
    static const char *const names[2][3] = {{"EDF", "EDF+C", "EDF+D"}, {"BDF", "BDF+C", "BDF+D"}};
    return names[!!edf->bdf][edf->discontinuous ? 2 : !!edf->plus];
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_named(const char *name, const char *text)
{
    if (!text[0])
        return;
    printf("%s: ", name);
    json_put_plain(stdout, text, SIZE_MAX);
    putchar('\n');
}

static void put_column(const char *text, int width)
{
    int length = (int)strlen(text); /* of a field: at most 80 */
    json_put_plain(stdout, text, SIZE_MAX);
    printf("%*s", length < width ? width - length : 0, "");
}

static void put_signal(size_t i, const psgvit_edf_signal *s)
{
    printf("%6zu  ", i);
    put_column(s->label, LABEL);
    if (s->annotations) {
        puts("  annotations");
        return;
    }
    printf("  %9.6g Hz  ", s->rate);
    put_column(s->unit, 8);
    printf("  %10.8g .. %-10.8g  %8d .. %d", s->physical_min, s->physical_max, s->digital_min,
           s->digital_max);
    printf("%s%s\n", s->defect[0] ? "  can't be used: " : "", s->defect);
}

static void put_segments(const psgvit_edf_info *edf)
{
    if (!edf->discontinuous)
        return;
    printf("%zu segments\n%13s %13s\n", edf->segments, "onset s", "length s");
    for (size_t i = 0; i < edf->segments && i < MOST_SEGMENTS; i++)
        printf("%13.10g %13.10g\n", edf->segment[i].onset, edf->segment[i].seconds);
    if (edf->segments > MOST_SEGMENTS)
        printf("%13s %zu more\n", "...", edf->segments - MOST_SEGMENTS);
}

static void put_text(const inspect_arguments *args, const psgvit_edf_info *edf,
                     const inspect_notes *notes, size_t annotations)
{
    json_put_plain(stdout, args->path, SIZE_MAX);
    printf(": recording, %s, %zu signals, %zu data records of %g s: %g s\n", variant(edf),
           edf->signals, edf->records, edf->record_seconds,
           (double)edf->records * edf->record_seconds);
    put_named("start", edf->start);
    put_named("patient", edf->patient);
    put_named("recording", edf->recording);
    printf("%6s  %-*s  %12s  %-8s  %24s  %20s\n", "signal", LABEL, "label", "rate", "unit",
           "physical range", "digital range");
    for (size_t i = 0; i < edf->signals; i++)
        put_signal(i, &edf->signal[i]);
    put_segments(edf);
    printf("%zu annotations\n", annotations);
    for (size_t i = 0; i < notes->count; i++)
        put_named("note", notes->lines[i]);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_json_text(const char *name, const char *text)
{
    printf(",\"%s\":", name);
    json_put_string(stdout, text);
}

static void put_json_number(const char *name, double value)
{
    printf(",\"%s\":", name);
    json_put_double(stdout, value);
}

static void put_json_signal(const psgvit_edf_signal *s)
{
    fputs("{\"label\":", stdout);
    json_put_string(stdout, s->label);
    put_json_text("unit", s->unit);
    put_json_text("transducer", s->transducer);
    put_json_text("prefilter", s->prefilter);
    put_json_number("rate", s->rate);
    printf(",\"per_record\":%zu", s->per_record);
    put_json_number("physical_min", s->physical_min);
    put_json_number("physical_max", s->physical_max);
    printf(",\"digital_min\":%d,\"digital_max\":%d,\"annotations\":%s", s->digital_min,
           s->digital_max, s->annotations ? "true" : "false");
    put_json_text("defect", s->defect);
    putchar('}');
}

static void put_json(const inspect_arguments *args, const psgvit_edf_info *edf,
                     const inspect_notes *notes, size_t annotations)
{
    fputs("{\"file\":", stdout);
    json_put_string(stdout, args->path);
    printf(",\"kind\":\"recording\",\"ok\":true,\"format\":\"edf\",\"variant\":\"%s\"",
           variant(edf));
    put_json_text("start", edf->start);
    put_json_text("patient", edf->patient);
    put_json_text("recording", edf->recording);
    printf(",\"records\":%zu", edf->records);
    put_json_number("record_seconds", edf->record_seconds);
    printf(",\"annotations\":%zu,\"signals\":[", annotations);
    for (size_t i = 0; i < edf->signals; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        put_json_signal(&edf->signal[i]);
    }
    fputs("],\"segments\":[", stdout);
    for (size_t i = 0; i < edf->segments; i++) {
        fputs(i ? ",{\"onset\":" : "{\"onset\":", stdout);
        json_put_double(stdout, edf->segment[i].onset);
        put_json_number("seconds", edf->segment[i].seconds);
        putchar('}');
    }
    fputs("],\"notes\":[", stdout);
    for (size_t i = 0; i < notes->count; i++) {
        fputs(i ? "," : "", stdout);
        json_put_string(stdout, notes->lines[i]);
    }
    fputs("]}\n", stdout);
}

psgvit_status inspect_edf(const inspect_arguments *args, const psgvit_recording *recording,
                          const inspect_notes *notes, psgvit_error *err)
{
    size_t annotations = 0;
    psgvit_status status = psgvit_recording_count_annotations(recording, &annotations, err);
    if (status)
        return status;
    if (notes->lost)
        return PSGVIT_E_MEMORY;
    (args->json ? put_json : put_text)(args, psgvit_recording_get_edf(recording), notes,
                                       annotations);
    return PSGVIT_OK;
}
