/* SPDX-License-Identifier: MIT */
/* The drawings of the page, as SVG inside it: they need no script, print, and scale. Colours that
 * depend on light and dark are classes of the page's style. */
#include "night_page_parts.h"

#include "html_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEFT = 76, /* of the time axis; to the left are labels */
    RIGHT = 1000,
    STRIP = 44,
    CONFIDENCE = 26,
    GAP = 8,
    AXIS = 22,
    OUTLINE = 36,
};

static double x_of(const night_page *p, double seconds)
{
    return LEFT + seconds / p->seconds * (RIGHT - LEFT);
}

void page_time(const night_page *p, double seconds, bool clock, char text[32])
{
    unsigned hour, minute, second;
    if (clock &&
        sscanf(p->night->start, "%*4u-%*2u-%*2uT%2u:%2u:%2u", &hour, &minute, &second) == 3)
        seconds = fmod(seconds + hour * 3600.0 + minute * 60.0 + second, 86400);
    unsigned long whole = (unsigned long)(seconds + 1e-6);
    snprintf(text, 32, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
}

/* ---- the time axis --------------------------------------------------------------------------- */

static double tick_step(double seconds)
{
    static const double steps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (seconds / steps[i] <= 12)
            return steps[i];
    return ceil(seconds / 12 / 86400) * 86400;
}

/* Ticks stand at round times of day where the start is known, else at round times from the start.
 */
static void put_axis(FILE *out, const night_page *p, double top, double bottom)
{
    unsigned hour = 0, minute = 0, second = 0;
    double step = tick_step(p->seconds), offset = 0;
    if (sscanf(p->night->start, "%*4u-%*2u-%*2uT%2u:%2u:%2u", &hour, &minute, &second) == 3)
        offset = hour * 3600.0 + minute * 60.0 + second;
    for (double t = ceil(offset / step) * step - offset; t <= p->seconds; t += step) {
        char text[32];
        double x = x_of(p, t);
        page_time(p, t, true, text);
        if (step >= 60)
            *strrchr(text, ':') = '\0';
        fprintf(out, "<path class=\"tick\" d=\"M%.2f %.0fV%.0f\"/>", x, top, bottom);
        fprintf(out, "<text x=\"%.2f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>\n", x,
                bottom + 14, text);
    }
}

/* ---- the hypnogram --------------------------------------------------------------------------- */

/* W, R, N1, N2, N3 from the top, then what else there is in the head's order. */
static size_t stage_rank(const linear_head *h, size_t k)
{
    static const char *const order[] = {"W", "R", "N1", "N2", "N3"};
    for (size_t i = 0; i < 5; i++)
        if (!strncmp(h->stages[k], "Sleep stage ", 12) && !strcmp(h->stages[k] + 12, order[i]))
            return i;
    return 5 + k;
}

/* The row of a class, from the top. */
static size_t stage_row(const linear_head *h, size_t k)
{
    size_t row = 0;
    for (size_t i = 0; i < h->classes; i++) {
        size_t a = stage_rank(h, i), b = stage_rank(h, k);
        row += a < b || (a == b && i < k);
    }
    return row;
}

static double row_height(const linear_head *h)
{
    return h->classes <= 8 ? 16 : 128.0 / (double)h->classes;
}

/* One path: it is broken where there is a gap or no stage. */
static void put_stages(FILE *out, const night_page *p)
{
    double height = row_height(p->head), before = -1, from, to, unused;
    fputs("<path class=\"stages\" d=\"", out);
    for (size_t cell = 0; cell < p->cells; cell++) {
        int stage = page_cell_stage(p, cell, &unused);
        bool apart = page_gap_before(p, cell, &from, &to) || before < 0;
        page_cell_span(p, cell, &from, &to);
        if (stage < 0) {
            before = -1;
            continue;
        }
        double y = ((double)stage_row(p->head, (size_t)stage) + 0.5) * height;
        if (apart)
            fprintf(out, "M%.2f %.1f", x_of(p, from), y);
        else if (y < before || y > before)
            fprintf(out, "V%.1f", y);
        fprintf(out, "H%.2f", x_of(p, to));
        before = y;
    }
    fputs("\"/>\n", out);
}

/* From 0 at the bottom to 1 at the top. */
static void put_confidence(FILE *out, const night_page *p, double top)
{
    fprintf(out, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">confidence</text>", LEFT - 6,
            top + CONFIDENCE / 2.0 + 4);
    fputs("<path class=\"confidence\" d=\"", out);
    for (size_t cell = 0; cell < p->cells; cell++) {
        double from, to, confidence;
        page_cell_span(p, cell, &from, &to);
        if (page_cell_stage(p, cell, &confidence) >= 0)
            fprintf(out, "M%.2f %.0fV%.1fH%.2fV%.0fZ", x_of(p, from), top + CONFIDENCE,
                    top + CONFIDENCE * (1 - confidence), x_of(p, to), top + CONFIDENCE);
    }
    fputs("\"/>\n", out);
}

static double stages_height(const linear_head *h)
{
    return (double)h->classes * row_height(h) + GAP;
}

static void put_hypnogram(FILE *out, const night_page *p)
{
    double height = row_height(p->head);
    for (size_t k = 0; k < p->head->classes; k++) {
        double y = ((double)stage_row(p->head, k) + 0.5) * height;
        fprintf(out, "<path class=\"row\" d=\"M%d %.1fH%d\"/>", LEFT, y, RIGHT);
        if (height < 9)
            continue;
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, y + 4);
        html_put_text(out, p->head->labels[k]);
        fputs("</text>\n", out);
    }
    put_stages(out, p);
    put_confidence(out, p, stages_height(p->head));
}

/* ---- the map --------------------------------------------------------------------------------- */

static void put_cells(FILE *out, const night_page *p, double top)
{
    fputs("<g shape-rendering=\"crispEdges\">\n", out);
    for (size_t cell = 0; cell < p->cells; cell++) {
        const unsigned char *rgb = p->rgb + cell * NIGHT_MAP_AXES;
        double from, to;
        page_cell_span(p, cell, &from, &to);
        fprintf(out, "<rect class=\"cell%s\" x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%d\"",
                p->known[cell] ? "" : " none", x_of(p, from), top, x_of(p, to) - x_of(p, from),
                STRIP);
        if (p->known[cell])
            fprintf(out, " fill=\"#%02x%02x%02x\"", rgb[0], rgb[1], rgb[2]);
        fputs("/>\n", out);
    }
    fputs("</g>\n", out);
}

/* What no epoch covers, through all that is drawn over time. */
static void put_gaps(FILE *out, const night_page *p, double bottom)
{
    for (size_t cell = 0; cell <= p->cells; cell++) {
        double from = 0, to = p->seconds, unused;
        bool gap = cell < p->cells ? page_gap_before(p, cell, &from, &to) : true;
        if (cell == p->cells && p->cells > 0) {
            page_cell_span(p, cell - 1, &unused, &from);
            gap = p->seconds - from > 1e-3;
        }
        if (gap)
            fprintf(out,
                    "<rect class=\"gap\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"%.0f\">"
                    "<title>no epoch</title></rect>\n",
                    x_of(p, from), x_of(p, to) - x_of(p, from), bottom);
    }
}

void page_put_night(FILE *out, const night_page *p)
{
    double top = p->head ? stages_height(p->head) + CONFIDENCE + GAP : 0;
    fprintf(out,
            "<svg id=\"night\" viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"embeddings over "
            "time\">\n"
            "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" "
            "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
            "<path class=\"hatch\" d=\"M0 0V6\"/></pattern></defs>\n",
            RIGHT + 20, top + STRIP + AXIS);
    put_axis(out, p, 0, top + STRIP + 4);
    if (p->head)
        put_hypnogram(out, p);
    fprintf(out, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">map</text>\n", LEFT - 6,
            top + STRIP / 2.0 + 4);
    put_cells(out, p, top);
    put_gaps(out, p, top + STRIP);
    fputs("</svg>\n", out);
}

/* ---- outlines -------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Four times the median of the columns, or their largest: artefacts must not flatten the night. */
static double outline_range(const night_page *p, const float *low, const float *high)
{
    float sizes[PAGE_COLUMNS];
    size_t used = 0;
    for (size_t i = 0; i < p->columns; i++)
        if (low[i] <= high[i] && isfinite(low[i]) && isfinite(high[i]))
            sizes[used++] = fmaxf(fabsf(low[i]), fabsf(high[i]));
    if (!used)
        return 0;
    qsort(sizes, used, sizeof *sizes, by_value);
    double median = (double)sizes[used / 2], largest = (double)sizes[used - 1];
    return median > 0 && largest > 4 * median ? 4 * median : largest;
}

/* 0 at the bottom ... OUTLINE at the top, in whole units. */
static int y_of(double value, double range)
{
    double y = range > 0 ? (1 - value / range) * OUTLINE / 2 : OUTLINE / 2.0;
    return (int)lround(y < 0 ? 0 : y > OUTLINE ? OUTLINE : y);
}

void page_put_outline(FILE *out, const night_page *p, size_t channel)
{
    const float *low = p->low + channel * p->columns, *high = p->high + channel * p->columns;
    double range = outline_range(p, low, high);
    fprintf(out,
            "<svg class=\"outline\" viewBox=\"0 0 %zu %d\" preserveAspectRatio=\"none\" "
            "role=\"img\" aria-label=\"outline of the signal, up to %.3g\"><path d=\"",
            p->columns, OUTLINE, range);
    for (size_t i = 0; i < p->columns; i++)
        if (low[i] <= high[i]) /* a bar a column, at least a unit high */
            fprintf(out, "M%zu %dh1V%dh-1z", i, y_of((double)high[i], range),
                    y_of((double)low[i], range) + 1);
    fprintf(out, "\"/></svg><span class=\"range\">&#177;%.3g</span>", range);
}
