/* SPDX-License-Identifier: MIT */
/* Gathers what the page shows, in memory that the number of epochs doesn't change beyond 10,000. */
#include "night_page.h"

#include "night_page_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(const char *path, cli_failure *failure)
{
    return cli_fail(failure, CLI_MEMORY, "%s: out of memory: the page", path);
}

/* ---- time ------------------------------------------------------------------------------------ */

size_t page_cell_first(const night_page *p, size_t cell)
{
    return cell * p->per_cell;
}

size_t page_cell_end(const night_page *p, size_t cell)
{
    size_t end = (cell + 1) * p->per_cell;
    return end < p->night->epochs ? end : p->night->epochs;
}

void page_cell_span(const night_page *p, size_t cell, double *from, double *to)
{
    size_t last = page_cell_end(p, cell) - 1;
    *from = night_epoch_start(p->night, page_cell_first(p, cell));
    *to = night_epoch_start(p->night, last) + night_visible_seconds(p->night, last);
}

bool page_gap_before(const night_page *p, size_t cell, double *from, double *to)
{
    double start = 0;
    *from = 0;
    page_cell_span(p, cell, to, &start);
    if (cell > 0)
        page_cell_span(p, cell - 1, &start, from);
    return *to - *from > 1e-3;
}

/* The end of all, with what was left out. */
static double measure_seconds(const night_facts *n)
{
    double end = n->epochs ? night_epoch_start(n, n->epochs - 1) + n->epoch_seconds : 0;
    for (size_t i = 0; i < n->skipped; i++) {
        double other = n->skipped_start_s[i] + n->epoch_seconds;
        end = other > end ? other : end;
    }
    return end > 0 ? end : 1;
}

/* ---- epochs ---------------------------------------------------------------------------------- */

static void add_signal(night_page *p, size_t epoch, const float *signal)
{
    double start = night_epoch_start(p->night, epoch), scale = (double)p->columns / p->seconds;
    double step = p->night->epoch_seconds / (double)p->samples;
    for (size_t t = 0; t < p->samples; t++) {
        double column = (start + (double)t * step) * scale;
        p->column_of[t] = column < (double)p->columns ? (size_t)column : p->columns - 1;
    }
    for (size_t c = 0; c < p->channels; c++) {
        float *low = p->low + c * p->columns, *high = p->high + c * p->columns;
        for (size_t t = 0; t < p->samples; t++) {
            float x = signal[c * p->samples + t];
            size_t column = p->column_of[t];
            low[column] = x < low[column] ? x : low[column]; /* a NaN is never less nor more */
            high[column] = x > high[column] ? x : high[column];
        }
    }
}

void night_page_put(night_page *p, size_t first, size_t rows, const float *signal,
                    const float *embedding, const head_scores *scores)
{
    for (size_t r = 0; r < rows; r++) {
        size_t cell = (first + r) / p->per_cell;
        float *sum = p->embedding + cell * p->width;
        for (size_t d = 0; d < p->width; d++)
            sum[d] += embedding[r * p->width + d];
        if (p->head && scores) {
            size_t classes = p->head->classes,
                   members = page_cell_end(p, cell) - page_cell_first(p, cell);
            for (size_t k = 0; k < classes; k++)
                p->probabilities[cell * classes + k] +=
                    scores->probabilities[r * classes + k] / (float)members;
        }
        add_signal(p, first + r, signal + r * p->channels * p->samples);
    }
}

int page_cell_stage(const night_page *p, size_t cell, double *confidence)
{
    const float *probability = p->probabilities + cell * p->head->classes;
    int best = 0;
    *confidence = 0;
    for (size_t k = 0; k < p->head->classes; k++) {
        if (!isfinite(probability[k]))
            return -1;
        best = probability[k] > probability[best] ? (int)k : best;
    }
    *confidence = (double)probability[best];
    return best;
}

/* ---- the page -------------------------------------------------------------------------------- */

static bool make_room(night_page *p)
{
    size_t outline = p->channels * p->columns;
    p->embedding = calloc(p->cells * p->width + 1, sizeof *p->embedding);
    p->probabilities =
        calloc(p->cells * (p->head ? p->head->classes : 0) + 1, sizeof *p->probabilities);
    p->low = malloc((outline + 1) * sizeof *p->low);
    p->high = malloc((outline + 1) * sizeof *p->high);
    p->column_of = calloc(p->samples + 1, sizeof *p->column_of);
    p->rgb = calloc(p->cells + 1, NIGHT_MAP_AXES);
    p->known = calloc(p->cells + 1, sizeof *p->known);
    if (!p->embedding || !p->probabilities || !p->low || !p->high || !p->column_of || !p->rgb ||
        !p->known)
        return false;
    for (size_t i = 0; i < outline; i++) {
        p->low[i] = INFINITY;
        p->high[i] = -INFINITY;
    }
    return true;
}

int night_page_open(night_page **made, const char *path, const writer_content *content,
                    size_t channels, size_t samples, size_t width, cli_failure *failure)
{
    *made = NULL;
    night_page *p = calloc(1, sizeof *p);
    if (!p)
        return no_memory(path, failure);
    p->file.fd = p->file.folder = -1;
    p->content = *content;
    p->night = content->night;
    p->head = content->head;
    p->channels = channels;
    p->samples = samples;
    p->width = width;
    p->seconds = measure_seconds(p->night);
    p->per_cell = (p->night->epochs + PAGE_CELLS - 1) / PAGE_CELLS;
    p->per_cell = p->per_cell ? p->per_cell : 1;
    p->cells = (p->night->epochs + p->per_cell - 1) / p->per_cell;
    size_t most = p->night->epochs < PAGE_COLUMNS ? p->night->epochs * samples / 2 : PAGE_COLUMNS;
    p->columns = most > PAGE_COLUMNS ? PAGE_COLUMNS : most ? most : 1;
    int code = width > PAGE_WIDTH || !make_room(p) ? no_memory(path, failure)
                                                   : staged_file_open(&p->file, path, 0, failure);
    if (code)
        night_page_abort(&p);
    *made = p;
    return code;
}

/* The colours of the cells; uses up the embeddings. */
static bool make_map(night_page *p)
{
    float *scores = calloc(p->cells + 1, NIGHT_MAP_AXES * sizeof *scores);
    bool done = scores && night_map_make(p->embedding, p->cells, p->width, scores, p->share) &&
                night_map_colours(scores, p->cells, p->rgb);
    for (size_t cell = 0; done && cell < p->cells; cell++)
        p->known[cell] = isfinite(scores[cell * NIGHT_MAP_AXES]);
    free(scores);
    return done;
}

int night_page_finish(night_page *p, const char *late, cli_failure *failure)
{
    for (size_t cell = 0; cell < p->cells; cell++) {
        size_t members = page_cell_end(p, cell) - page_cell_first(p, cell);
        for (size_t d = 0; d < p->width; d++)
            p->embedding[cell * p->width + d] /= (float)members;
    }
    if (!make_map(p))
        return no_memory(p->file.target, failure);
    int code = staged_stream_open(&p->text, &p->file, 0, failure);
    if (code)
        return code;
    page_put(p->text.out, p, late);
    code = staged_stream_finish(&p->text, failure);
    return code ? code : staged_file_sync(&p->file, failure);
}

int night_page_commit(night_page **p, cli_failure *failure)
{
    int code = staged_file_commit(&(*p)->file, failure);
    night_page_abort(p);
    return code;
}

void night_page_abort(night_page **p)
{
    if (!p || !*p)
        return;
    staged_stream_abort(&(*p)->text);
    staged_file_abort(&(*p)->file);
    free((*p)->embedding);
    free((*p)->probabilities);
    free((*p)->low);
    free((*p)->high);
    free((*p)->column_of);
    free((*p)->rgb);
    free((*p)->known);
    free(*p);
    *p = NULL;
}
