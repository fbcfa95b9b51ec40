/* SPDX-License-Identifier: MIT */
/* Names come from the library where it has them, so that a new preset needs no line here. */
#define _GNU_SOURCE 1
#include "infer_edf_options.h"

#include "text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SECONDS = 86400 };

static bool parse_cohort(const char *text, psgvit_cohort *cohort)
{
    const char *names[PSGVIT_COHORTS];
    size_t index = 0;
    for (int i = 0; i < PSGVIT_COHORTS; i++)
        names[i] = psgvit_cohort_name((psgvit_cohort)i);
    bool ok = cli_parse_choice("--cohort", text, names, PSGVIT_COHORTS, &index);
    *cohort = (psgvit_cohort)index;
    return ok;
}

/* "none", and the presets whose name begins with the model's. */
static bool parse_prep(int tool, const char *text, psgvit_prep *prep)
{
    const char *model = tool == INFER_OSF ? "osf-" : "eegpt-", *names[PSGVIT_PREPS];
    psgvit_prep preps[PSGVIT_PREPS];
    size_t count = 0, index = 0;
    for (int i = PSGVIT_PREP_NONE; i < PSGVIT_PREPS; i++) {
        const char *name = psgvit_prep_name((psgvit_prep)i);
        if (i != PSGVIT_PREP_NONE && strncmp(name, model, strlen(model)) != 0)
            continue;
        preps[count] = (psgvit_prep)i;
        names[count++] = name;
    }
    bool ok = cli_parse_choice("--prep", text, names, count, &index);
    *prep = preps[index];
    return ok;
}

/* Digits with a point at most: no sign, no exponent, no blank. */
static bool parse_seconds(const char *option, const char *text, double *value)
{
    char *end = NULL;
    size_t length = strlen(text);
    bool plain = length > 0 && strspn(text, "0123456789.") == length && text[0] != '.';
    *value = plain ? strtod(text, &end) : 0;
    if (plain && !*end && *value > 0 && *value <= MOST_SECONDS)
        return true;
    cli_error(CLI_USAGE, "%s: expected seconds above 0, at most %d, found '%s'", option,
              MOST_SECONDS, text);
    return false;
}

static int add_aliases(infer_edf_options *o, const char *lines)
{
    char *all = NULL;
    if (asprintf(&all, "%s%s\n", o->aliases ? o->aliases : "", lines) < 0)
        return cli_error(CLI_MEMORY, "out of memory: the aliases");
    free(o->aliases);
    o->aliases = all;
    return CLI_DONE;
}

/* A line, or a file of them. */
static int parse_alias(infer_edf_options *o, const char *text)
{
    if (!text[0] || text[0] == '=')
        return cli_error(CLI_USAGE,
                         "--alias: expected NAME=LABEL,... or a file of such lines, "
                         "found '%s'",
                         text);
    if (strchr(text, '='))
        return add_aliases(o, text);
    char *lines;
    int code = text_file_read_as(&lines, text, "aliases", CLI_INPUT);
    if (!code)
        code = add_aliases(o, lines);
    free(lines);
    return code;
}

int infer_edf_option(infer_edf_options *o, int tool, int option, const char *value)
{
    static const char *const units[] = {"V", "mV", "uV"}, *const rerefs[] = {"none", "average"},
                             *const resamples[] = {"nearest", "polyphase"};
    size_t index = 0;
    bool ok = false;
    switch (option) {
    case OPT_ALIAS: return parse_alias(o, value);
    case OPT_COHORT: ok = parse_cohort(value, &o->cohort); break;
    case OPT_PREP: ok = parse_prep(tool, value, &o->prep); break;
    case OPT_UNIT:
        ok = cli_parse_choice("--unit", value, units, 3, &index);
        o->unit = (psgvit_unit)(PSGVIT_UNIT_V + (int)index);
        break;
    case OPT_REREF:
        ok = cli_parse_choice("--reref", value, rerefs, 2, &index);
        o->reref = (psgvit_reref)(PSGVIT_REREF_NONE + (int)index);
        break;
    case OPT_RESAMPLE:
        ok = cli_parse_choice("--resample", value, resamples, 2, &index);
        o->resample = (psgvit_resample)(PSGVIT_RESAMPLE_NEAREST + (int)index);
        break;
    case OPT_WINDOW: ok = parse_seconds("--window", value, &o->window_seconds); break;
    case OPT_STRIDE: ok = parse_seconds("--stride", value, &o->stride_seconds); break;
    }
    return ok ? CLI_DONE : CLI_USAGE;
}

const char *infer_edf_only(const infer_edf_options *o)
{
    if (o->prep != PSGVIT_PREP_DEFAULT && o->prep != PSGVIT_PREP_NONE)
        return "--prep";
    return o->unit                 ? "--unit"
           : o->reref              ? "--reref"
           : o->resample           ? "--resample"
           : o->stride_seconds > 0 ? "--stride"
                                   : NULL;
}

void infer_edf_options_free(infer_edf_options *o)
{
    free(o->aliases);
    o->aliases = NULL;
}
