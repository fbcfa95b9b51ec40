/* SPDX-License-Identifier: MIT */
/* Where a batch's time goes: the steps that the library reports, gathered by op, shape and kernel,
 * as a table or as JSON, the longest first. */
#include "bench.h"

#include "cli.h"
#include "json_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All steps of one op, shape and kernel. */
typedef struct profile_row {
    char op[32], shape[64], kernel[96];
    size_t count; /* in all runs, here and below */
    double flops, bytes, seconds;
} profile_row;

struct bench_profile {
    profile_row *rows;
    size_t count, room;
    bool full; /* memory ran out: rows are missing */
};

bench_profile *bench_profile_open(void)
{
    return calloc(1, sizeof(bench_profile));
}

void bench_profile_close(bench_profile **profile)
{
    if (!*profile)
        return;
    free((*profile)->rows);
    free(*profile);
    *profile = NULL;
}

static profile_row *append(bench_profile *p)
{
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 32;
        profile_row *rows = realloc(p->rows, room * sizeof *rows);
        if (!rows)
            return NULL;
        p->rows = rows;
        p->room = room;
    }
    p->rows[p->count] = (profile_row){0};
    return &p->rows[p->count++];
}

static profile_row *row_of(bench_profile *p, const psgvit_op_time *t)
{
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->rows[i].op, t->op) && !strcmp(p->rows[i].shape, t->shape) &&
            !strcmp(p->rows[i].kernel, t->kernel))
            return &p->rows[i];
    profile_row *row = append(p);
    if (row) {
        snprintf(row->op, sizeof row->op, "%s", t->op);
        snprintf(row->shape, sizeof row->shape, "%s", t->shape);
        snprintf(row->kernel, sizeof row->kernel, "%s", t->kernel);
    }
    return row;
}

void bench_profile_take(void *user, const psgvit_op_time *t)
{
    bench_profile *p = user;
    profile_row *row = row_of(p, t);
    p->full = p->full || !row;
    if (!row)
        return;
    row->count++;
    row->flops += t->flops;
    row->bytes += t->bytes;
    row->seconds += t->seconds;
}

static int longest_first(const void *a, const void *b)
{
    double x = ((const profile_row *)a)->seconds;
    double y = ((const profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

bool bench_profile_sort(bench_profile *p)
{
    if (p->count)
        qsort(p->rows, p->count, sizeof *p->rows, longest_first);
    return !p->full;
}

/* ---- what a row says ------------------------------------------------------------------------- */

/* The time that the peaks allow, by the time that it took. */
static double share_of_floor(const profile_row *r, const bench_peak *peak)
{
    double compute = r->flops / (peak->gflops * 1e9);
    double move = r->bytes / (peak->gbs * 1e9);
    return (compute > move ? compute : move) / r->seconds;
}

static profile_row sum_of(const bench_profile *p)
{
    profile_row sum = {.op = "all"};
    for (size_t i = 0; i < p->count; i++) {
        sum.count += p->rows[i].count;
        sum.flops += p->rows[i].flops;
        sum.bytes += p->rows[i].bytes;
        sum.seconds += p->rows[i].seconds;
    }
    return sum;
}

static void print_row(const profile_row *r, double all, size_t runs, const bench_peak *peak)
{
    printf("  %-12s %-24s %5zu %9.2f %9.3f %5.1f", r->op, r->shape, r->count / runs,
           r->seconds * 1e6 / (double)r->count, r->seconds * 1e3 / (double)runs,
           100.0 * r->seconds / all);
    printf(" %9.1f %8.2f", r->flops / r->seconds * 1e-9, r->bytes / r->seconds * 1e-9);
    if (peak->gflops > 0.0)
        printf(" %6.1f", 100.0 * share_of_floor(r, peak));
    printf("%s%s\n", *r->kernel ? "  " : "", r->kernel);
}

void bench_profile_print(const bench_profile *p, size_t runs, const bench_peak *peak)
{
    profile_row sum = sum_of(p);
    if (!(sum.seconds > 0.0)) {
        fputs("  no times: the device has no clock\n", stdout);
        return;
    }
    printf("  %-12s %-24s %5s %9s %9s %5s %9s %8s%s  %s\n", "op", "shape", "count", "us each",
           "ms", "%", "GFLOP/s", "GB/s", peak->gflops > 0.0 ? " floor%" : "", "kernel");
    for (size_t i = 0; i < p->count; i++)
        print_row(&p->rows[i], sum.seconds, runs, peak);
    print_row(&sum, sum.seconds, runs, peak);
}

static void put_row(const profile_row *r, double all, size_t runs, const bench_peak *peak)
{
    printf("{\"op\":\"%s\",\"shape\":\"%s\",\"kernel\":", r->op, r->shape);
    json_put_string(stdout, r->kernel);
    printf(",\"count\":%zu,\"us_each\":%.3f,\"ms\":%.6f,\"percent\":%.3f", r->count / runs,
           r->seconds * 1e6 / (double)r->count, r->seconds * 1e3 / (double)runs,
           all > 0.0 ? 100.0 * r->seconds / all : 0.0);
    printf(",\"flops\":%.0f,\"bytes\":%.0f", r->flops / (double)r->count,
           r->bytes / (double)r->count);
    if (r->seconds > 0.0) {
        printf(",\"gflops\":%.3f,\"gbs\":%.3f", r->flops / r->seconds * 1e-9,
               r->bytes / r->seconds * 1e-9);
        if (peak->gflops > 0.0)
            printf(",\"floor_percent\":%.3f", 100.0 * share_of_floor(r, peak));
    }
    putchar('}');
}

void bench_profile_put(const bench_profile *p, size_t runs, const bench_peak *peak)
{
    double all = sum_of(p).seconds;
    fputs(",\"profile\":[", stdout);
    for (size_t i = 0; i < p->count; i++) {
        fputs(i ? ",\n " : "\n ", stdout);
        put_row(&p->rows[i], all, runs, peak);
    }
    putchar(']');
}
