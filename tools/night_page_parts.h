/* SPDX-License-Identifier: MIT */
/* Between the files of the page: what is gathered while the epochs come, and drawn in the end. */
#ifndef TOOLS_NIGHT_PAGE_PARTS_H
#define TOOLS_NIGHT_PAGE_PARTS_H

#include "night_map.h"
#include "night_page.h"
#include "staged_stream.h"

#include <stdio.h>

enum { PAGE_CELLS = 10000, PAGE_COLUMNS = 480, PAGE_WIDTH = 4096 };

struct night_page {
    staged_file file;
    staged_stream text;
    writer_content content;
    const night_facts *night;
    const linear_head *head;         /* NULL: none */
    size_t channels, samples, width; /* C, T, D */
    double seconds;                  /* from the file's start to the end of its last epoch */
    size_t per_cell, cells;          /* epochs of a cell of the map, but for the last */
    float *embedding;                /* [cells,D]: sums, then what is left of them by the map */
    float *probabilities;            /* [cells,K]: means; NULL without a head */
    size_t columns;                  /* of the outline of a signal */
    float *low, *high;               /* [C,columns]; low > high where there is no sample */
    size_t *column_of;               /* [T]: of the samples of one epoch */
    unsigned char *rgb;              /* [cells,3] */
    bool *known;                     /* [cells]: the embedding is finite */
    double share[NIGHT_MAP_AXES];
};

/* Epochs [first, end) of a cell. */
size_t page_cell_first(const night_page *p, size_t cell);
size_t page_cell_end(const night_page *p, size_t cell);
/* The seconds that a cell covers. */
void page_cell_span(const night_page *p, size_t cell, double *from, double *to);
/* The class of a cell, -1 without one, and its probability. */
int page_cell_stage(const night_page *p, size_t cell, double *confidence);
/* Are the seconds between this cell and the one before left out? */
bool page_gap_before(const night_page *p, size_t cell, double *from, double *to);
/* "0:30:00", or with `clock` the time of day where the start is known. */
void page_time(const night_page *p, double seconds, bool clock, char text[32]);

/* The map over time, with the hypnogram above it where there is a head. */
void page_put_night(FILE *out, const night_page *p);
/* The outline of one channel, and the number at its upper edge. */
void page_put_outline(FILE *out, const night_page *p, size_t channel);
/* The whole page. */
void page_put(FILE *out, const night_page *p, const char *late);

#endif
