/* SPDX-License-Identifier: MIT */
/* The page around the drawings. Its own policy forbids it to load anything. */
#include "night_page_parts.h"

#include "html_out.h"

#include <math.h>
#include <string.h>

static const char *const style[] = {
    ":root{color-scheme:light dark;--ink:#1b2430;--dim:#586272;--paper:#fff;--line:#d9dee5;"
    "--mark:#b3261e;--signal:#2f5f9e;--fill:#e7edf5}\n",
    "@media screen and (prefers-color-scheme:dark){:root{--ink:#e3e7ec;--dim:#9aa5b4;"
    "--paper:#14181d;--line:#343c46;--mark:#ff8a80;--signal:#86b4ee;--fill:#26303c}}\n",
    "body{margin:1.5rem auto;padding:0 1rem;max-width:72rem;background:var(--paper);"
    "color:var(--ink);font:15px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:1.4rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:1.6rem 0 "
    ".5rem}"
    "p{margin:.3rem 0}.dim{color:var(--dim)}.mark{color:var(--mark);font-weight:600}\n",
    "table{border-collapse:collapse;font-size:.88rem}th,td{text-align:left;padding:.2rem .6rem "
    ".2rem 0;border-bottom:1px solid var(--line);vertical-align:middle;unicode-bidi:isolate}"
    "th{color:var(--dim);font-weight:600}.number{text-align:right;font-variant-numeric:"
    "tabular-nums;white-space:nowrap}.wide{overflow-x:auto}\n",
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;font-size:.88rem;"
    "margin:0}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere;unicode-bidi:isolate}\n",
    "svg{display:block}#night{width:100%;height:auto}svg text{font-size:11px;fill:var(--dim)}"
    ".tick,.row{stroke:var(--line);fill:none}.stages{stroke:var(--ink);stroke-width:1.4;fill:none}"
    ".confidence{fill:var(--signal);opacity:.6}.hatch{stroke:var(--mark);stroke-width:2;fill:none}"
    ".gap,.none{fill:url(#hatch)}\n",
    ".outline{width:15rem;height:2.2rem;background:var(--fill)}.outline path{fill:var(--signal)}"
    ".signal{display:flex;align-items:center;gap:.4rem}.range{font-size:.75rem;color:var(--dim)}\n"
    "@media print{body{margin:0;max-width:none}section,tr{break-inside:avoid}"
    ".outline{border:1px solid var(--line)}}\n",
    NULL,
};

/* ---- the top --------------------------------------------------------------------------------- */

/* The last part of a path. */
static const char *leaf(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void put_head(FILE *out, const night_page *p)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          out);
    html_put_text(out, leaf(p->night->source));
    fputs("</title>\n<style>\n", out);
    for (size_t i = 0; style[i]; i++)
        fputs(style[i], out);
    fputs("</style>\n</head>\n<body>\n<header>\n<h1>", out);
    html_put_text(out, leaf(p->night->source));
    fputs("</h1>\n", out);
}

static size_t count_channels(const night_facts *n, psgvit_channel_state state)
{
    size_t count = 0;
    for (size_t c = 0; n->channel && c < n->channels; c++)
        count += n->channel[c].state == state;
    return count;
}

static void put_summary(FILE *out, const night_page *p)
{
    const night_facts *n = p->night;
    char length[32];
    page_time(p, p->seconds, false, length);
    fprintf(out, "<p><span id=\"epochs\">%zu</span> epochs of %.9g s in %s", n->epochs,
            n->epoch_seconds, length);
    if (n->start[0]) {
        fputs(", from ", out);
        html_put_text(out, n->start);
    }
    if (n->channel)
        fprintf(out, " &#183; %zu channels found, %zu derived",
                count_channels(n, PSGVIT_CHANNEL_FOUND), count_channels(n, PSGVIT_CHANNEL_DERIVED));
    fputs("</p>\n", out);
    size_t missing = count_channels(n, PSGVIT_CHANNEL_MISSING);
    if (missing)
        fprintf(out, "<p class=\"mark\">%zu channel%s missing: zeros stand in</p>\n", missing,
                missing == 1 ? " is" : "s are");
    if (n->skipped)
        fprintf(out,
                "<p class=\"mark\">%zu epoch%s left out, because of gaps in the recording"
                "</p>\n",
                n->skipped, n->skipped == 1 ? " is" : "s are");
    fputs("</header>\n", out);
}

/* ---- the night ------------------------------------------------------------------------------- */

static void put_skipped(FILE *out, const night_page *p)
{
    enum { SHOWN = 40 };
    const night_facts *n = p->night;
    if (!n->skipped)
        return;
    fputs("<p class=\"dim\">Left out, by their start:", out);
    for (size_t i = 0; i < n->skipped && i < SHOWN; i++) {
        char text[32];
        page_time(p, n->skipped_start_s[i], true, text);
        fprintf(out, "%s %s", i ? "," : "", text);
    }
    if (n->skipped > SHOWN)
        fprintf(out, " and %zu more", n->skipped - SHOWN);
    fputs("</p>\n", out);
}

static void put_night(FILE *out, const night_page *p)
{
    const night_facts *n = p->night;
    size_t unknown = 0;
    for (size_t cell = 0; cell < p->cells; cell++)
        unknown += !p->known[cell];
    fputs("<section>\n<h2>Night</h2>\n", out);
    page_put_night(out, p);
    fprintf(out,
            "<p class=\"dim\">Colours: the first three principal components of the embeddings as "
            "red, green and blue (%.1f, %.1f and %.1f %% of the variance); like colours are like "
            "epochs.",
            p->share[0] * 100, p->share[1] * 100, p->share[2] * 100);
    if (p->per_cell > 1)
        fprintf(out, " A cell is the mean of %zu epochs.", p->per_cell);
    if (unknown)
        fprintf(out, " Hatched: %zu without a finite embedding.", unknown);
    if (n->skipped)
        fputs(" Hatched stretches are left out.", out);
    fputs("</p>\n", out);
    put_skipped(out, p);
    fputs("</section>\n", out);
}

static void put_stage_row(FILE *out, const night_page *p, size_t k)
{
    size_t count = 0, all = 0;
    double seconds = 0, sum = 0;
    for (size_t cell = 0; cell < p->cells; cell++) {
        double confidence, from, to;
        int stage = page_cell_stage(p, cell, &confidence);
        all += stage >= 0;
        if (stage != (int)k)
            continue;
        page_cell_span(p, cell, &from, &to);
        count++;
        seconds += to - from;
        sum += confidence;
    }
    char length[32];
    page_time(p, seconds, false, length);
    fputs("<tr><td>", out);
    html_put_text(out, p->head->labels[k]);
    fprintf(out,
            "</td><td class=\"number\">%zu</td><td class=\"number\">%s</td>"
            "<td class=\"number\">%.1f %%</td>",
            count, length, all ? 100.0 * (double)count / (double)all : 0);
    if (count)
        fprintf(out, "<td class=\"number\">%.3f</td></tr>\n", sum / (double)count);
    else
        fputs("<td class=\"number\">-</td></tr>\n", out);
}

static void put_stages(FILE *out, const night_page *p)
{
    fprintf(
        out,
        "<section>\n<h2>Stages</h2>\n<div class=\"wide\"><table id=\"stages\">\n<thead><tr>"
        "<th>Stage</th><th class=\"number\">%s</th><th class=\"number\">Time</th>"
        "<th class=\"number\">Share</th><th class=\"number\">Mean confidence</th></tr></thead>\n"
        "<tbody>\n",
        p->per_cell > 1 ? "Cells" : "Epochs");
    for (size_t k = 0; k < p->head->classes; k++)
        put_stage_row(out, p, k);
    fputs("</tbody></table></div>\n</section>\n", out);
}

/* ---- channels -------------------------------------------------------------------------------- */

static void put_cell(FILE *out, const char *text)
{
    fputs("<td>", out);
    html_put_text(out, text);
    fputs("</td>", out);
}

static void put_numbers(FILE *out, const psgvit_channel *c)
{
    if (!c || c->state == PSGVIT_CHANNEL_MISSING)
        fputs("<td></td><td></td><td></td>", out);
    else
        fprintf(out,
                "<td class=\"number\">%.6g Hz</td><td class=\"number\">%.2f %%</td>"
                "<td class=\"number\">%.2f %%</td>",
                c->rate, c->flat * 100, c->clipped * 100);
}

static void put_channel(FILE *out, const night_page *p, size_t index)
{
    static const char *const states[] = {"missing: zeros", "found", "derived"};
    const psgvit_channel *c = p->night->channel ? &p->night->channel[index] : NULL;
    char number[40];
    snprintf(number, sizeof number, "channel %zu", index + 1);
    bool missing = c && c->state == PSGVIT_CHANNEL_MISSING;
    fprintf(out, "<tr class=\"channel%s\">", missing ? " missing" : "");
    put_cell(out, c ? c->name : p->night->names ? p->night->names[index] : number);
    fprintf(out, "<td%s>%s</td>", missing ? " class=\"mark\"" : "",
            c ? states[c->state] : "as given");
    put_cell(out, c ? c->source : "");
    put_cell(out, c ? c->unit : "");
    put_numbers(out, c);
    fputs("<td>", out);
    if (!missing) {
        fputs("<div class=\"signal\">", out);
        page_put_outline(out, p, index);
        fputs("</div>", out);
    }
    fputs("</td>", out);
    put_cell(out, c ? c->note : "");
    fputs("</tr>\n", out);
}

static void put_channels(FILE *out, const night_page *p)
{
    fputs("<section>\n<h2>Channels</h2>\n<div class=\"wide\"><table id=\"channels\">\n<thead><tr>"
          "<th>Channel</th><th>State</th><th>Source</th><th>Unit</th><th class=\"number\">Rate</th>"
          "<th class=\"number\">Flat</th><th class=\"number\">Clipped</th><th>As the model gets it"
          "</th><th>Note</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t c = 0; c < p->channels; c++)
        put_channel(out, p, c);
    fputs("</tbody></table></div>\n</section>\n", out);
}

/* ---- facts ----------------------------------------------------------------------------------- */

/* What is shown elsewhere, or is JSON, is not shown again. */
static void put_entries(FILE *out, const night_entry *entries, size_t count, const char *late)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(entries[i].key, "channels") || !strcmp(entries[i].key, "skipped"))
            continue;
        fputs("<dt>", out);
        html_put_text(out, entries[i].key);
        fputs("</dt><dd>", out);
        html_put_text(out, entries[i].value ? entries[i].value : late);
        fputs("</dd>\n", out);
    }
}

static void put_facts(FILE *out, const night_page *p, const char *late)
{
    fputs("<section>\n<h2>File and model</h2>\n<dl id=\"facts\">\n", out);
    if (!p->night->clock)
        put_entries(out, &(night_entry){"source", p->night->source}, 1, "");
    put_entries(out, p->content.entries, p->content.entry_count, late);
    put_entries(out, p->night->entries, p->night->entry_count, "");
    if (p->head)
        put_entries(out, p->head->entries, p->head->entry_count, "");
    fputs("</dl>\n</section>\n", out);
}

void page_put(FILE *out, const night_page *p, const char *late)
{
    put_head(out, p);
    put_summary(out, p);
    put_night(out, p);
    if (p->head)
        put_stages(out, p);
    put_channels(out, p);
    put_facts(out, p, late);
    fputs("</body>\n</html>\n", out);
}
