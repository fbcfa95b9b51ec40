/* SPDX-License-Identifier: MIT */
/* The two passes over a recording: statistics when it is opened, epochs as they are read. */
#include "recording/prepare.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/team.h"
#include "recording/cut.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NOTE = 224,               /* a montage's note and ours */
    PIECE_BYTES = 6 << 20,    /* of what one thread works in: less would read too much twice for */
    MOST_PIECE_SECONDS = 600, /*   the filters' sake, more would not be faster */
    PIECE_READY = 2 << 20,    /* of epochs that are made of a piece */
    MOST_READY = 32 << 20,    /* of epochs that are made at once */
    WORKER_BYTES = 96 << 20,  /* of what all threads work in */
    MOST_WORKERS = 16,
};

/* Epochs [first, first + count), of one run, that are made of one piece. */
typedef struct task {
    size_t first, count;
    psgvit_status status;
    psgvit_error err;
} task;

struct pv_prepare {
    const pv_edf *edf;
    pv_recipe recipe;
    pv_pipeline pipeline;
    pv_windows windows;
    pv_cutter cutter;
    psgvit_channel *channel; /* [leads] */
    char (*why)[PV_WHY];     /* [leads] */
    char (*note)[NOTE];      /* [leads] behind the channels' notes */
    double piece_seconds;
    int threads; /* that were asked for; 0: OpenMP's choice */
    pv_worker *worker;
    size_t workers;
    pv_range *range;            /* [workers, leads] */
    task *task;                 /* [tasks] */
    size_t tasks, piece_epochs; /* at once, and epochs of one */
    float *ready; /* [tasks * piece_epochs, C, T] epochs that are made and not yet read: */
    size_t ready_first, ready_count;
    size_t next; /* epoch that is read next */
};

/* Threads of a team now. */
static size_t team_size(const pv_prepare *p)
{
    size_t team = (size_t)pv_team_size(p->threads), most = p->workers ? p->workers : MOST_WORKERS;
    return team < most ? team : most;
}

/* Bytes that a second of the recording takes in a worker. */
static double bytes_of_second(const pv_prepare *p)
{
    const pv_edf *edf = p->edf;
    double samples = 0.0, points = 0.0, most = 0.0;
    for (size_t u = 0; u < p->pipeline.used; u++) {
        samples += edf->signal[p->pipeline.used_signal[u]].rate;
        most = fmax(most, edf->signal[p->pipeline.used_signal[u]].rate);
    }
    for (size_t i = 0; i < p->pipeline.leads; i++)
        for (size_t t = 0; t < p->pipeline.lead[i].tracks; t++)
            points += p->pipeline.lead[i].track[t].route->grid_rate;
    return (double)edf->record_bytes / edf->record_seconds + 4.0 * (samples + points + 2.0 * most);
}

/* Long enough for the filters' sake, short enough for memory's; the same for any number of threads,
 * because the last bit of an epoch depends on where its piece begins. */
static void choose_pieces(pv_prepare *p)
{
    double record = p->edf->record_seconds, second = bytes_of_second(p), fixed = 0.0;
    double seconds = fmin(PIECE_BYTES / second, MOST_PIECE_SECONDS);
    seconds = fmax(fmax(seconds, 8.0 * p->pipeline.reach), fmax(record, p->windows.length));
    p->piece_seconds = seconds;
    size_t epoch = p->pipeline.leads * p->cutter.samples * sizeof(float);
    double epochs = floor((seconds - p->windows.length) / p->windows.stride) + 1.0;
    epochs = fmin(epochs, floor((double)PIECE_READY / (double)epoch));
    p->piece_epochs = epochs > 1.0 ? (size_t)epochs : 1;
    for (size_t i = 0; i < p->pipeline.routes; i++)
        if (p->pipeline.route[i].route.filter)
            fixed = fmax(fixed, 16.0 * (double)p->pipeline.route[i].route.filter->size);
    double bytes = second * (seconds + 2.0 * (p->pipeline.reach + record)) + fixed;
    double pieces = ceil((double)p->edf->records * record / seconds) + 1.0;
    double workers = fmin(fmin((double)team_size(p), floor(WORKER_BYTES / bytes)), pieces);
    p->workers = workers > 1.0 ? (size_t)workers : 1;
    size_t most = MOST_READY / (p->piece_epochs * epoch);
    p->tasks = PV_PIECES_A_THREAD * p->workers;
    if (p->tasks > most)
        p->tasks = most > p->workers ? most : p->workers;
}

static psgvit_status make_workers(pv_prepare *p, psgvit_error *err)
{
    size_t leads = p->pipeline.leads, bytes;
    if (!pv_mul(p->tasks * p->piece_epochs, leads * p->cutter.samples * sizeof(float), &bytes))
        bytes = SIZE_MAX;
    p->worker = calloc(p->workers, sizeof *p->worker);
    p->range = calloc(p->workers * leads, sizeof *p->range);
    p->task = calloc(p->tasks, sizeof *p->task);
    p->ready = bytes < SIZE_MAX ? pv_alloc(bytes) : NULL;
    if (!p->worker || !p->range || !p->task || !p->ready)
        return pv_fail_memory(err, "epochs of a recording", bytes);
    for (size_t i = 0; i < p->workers; i++)
        PV_TRY(pv_worker_make(&p->worker[i], &p->pipeline, err));
    return PSGVIT_OK;
}

/* Appends to a channel's note. */
static void add_note(pv_prepare *p, size_t lead, const char *text)
{
    char *note = p->note[lead];
    size_t length = strlen(note);
    snprintf(note + length, NOTE - length, "%s%s", length ? "; " : "", text);
}

static void describe_channels(pv_prepare *p, const pv_montage *montage)
{
    for (size_t i = 0; i < montage->count; i++) {
        p->channel[i] = montage->lead[i].report;
        add_note(p, i, montage->lead[i].report.note ? montage->lead[i].report.note : "");
        p->channel[i].note = p->note[i];
        if (montage->lead[i].plus >= 0 && !p->pipeline.lead[i].tracks) {
            p->channel[i].state = PSGVIT_CHANNEL_MISSING;
            add_note(p, i, p->why[i]);
        }
    }
}

/* Something must be left to prepare. */
static psgvit_status check_leads(const pv_prepare *p, psgvit_error *err)
{
    const char *name = "?", *why = "missing";
    for (size_t i = 0; i < p->pipeline.leads; i++) {
        if (p->pipeline.lead[i].tracks)
            return PSGVIT_OK;
        if (p->why[i][0])
            name = p->channel[i].name, why = p->why[i];
    }
    return pv_fail(err, PSGVIT_E_INPUT, "%s: no channel can be prepared: %s: %s",
                   p->edf->source->name, name, why);
}

/* What the first pass has found, into the channels and the cutter. */
static void take_night(pv_prepare *p, const pv_night *night)
{
    const pv_pipeline *pipe = &p->pipeline;
    for (size_t i = 0; i < pipe->leads; i++) {
        const pv_moments *m = &night->lead[i];
        const pv_made_lead *lead = &pipe->lead[i];
        for (size_t t = 0; t < lead->tracks; t++)
            for (size_t k = 0; k < lead->track[t].terms; k++) {
                size_t used = lead->track[t].term[k].used;
                size_t run = pv_night_flat_run(p->edf, pipe->used_signal[used]);
                const pv_scan *scan = &night->scan[used];
                p->channel[i].flat = fmax(p->channel[i].flat, pv_scan_flat(scan, run));
                p->channel[i].clipped = fmax(p->channel[i].clipped, pv_scan_clipped(scan));
            }
        p->cutter.factor[i] = p->recipe.scale;
        if (p->recipe.scaling != PV_SCALING_NIGHT || !lead->tracks)
            continue;
        double deviation = m->count > 1.0 ? sqrt(m->squares / (m->count - 1.0)) : 0.0;
        bool usable = deviation > 0.0 && isfinite(1.0 / deviation) && isfinite(m->mean);
        p->cutter.mean[i] = m->mean;
        p->cutter.factor[i] = usable ? 1.0 / deviation : 0.0;
        if (!usable)
            add_note(p, i, deviation == 0.0 ? "flat: zeros" : "beyond all range: zeros");
    }
}

static psgvit_status make_tables(pv_prepare *p, size_t leads, psgvit_error *err)
{
    p->channel = calloc(leads, sizeof *p->channel);
    p->why = calloc(leads, sizeof *p->why);
    p->note = calloc(leads, sizeof *p->note);
    p->cutter.mean = calloc(leads, sizeof *p->cutter.mean);
    p->cutter.factor = calloc(leads, sizeof *p->cutter.factor);
    if (!p->channel || !p->why || !p->note || !p->cutter.mean || !p->cutter.factor)
        return pv_fail_memory(err, "the channels of a recording", leads * sizeof *p->channel);
    return PSGVIT_OK;
}

static psgvit_status make_recipe(pv_prepare *p, const pv_montage *montage,
                                 const psgvit_recording_params *params, psgvit_error *err)
{
    const char **names = calloc(montage->count, sizeof *names);
    if (!names)
        return pv_fail_memory(err, "names of channels", montage->count * sizeof *names);
    for (size_t i = 0; i < montage->count; i++)
        names[i] = montage->lead[i].report.name;
    psgvit_status status = pv_recipe_make(&p->recipe, params, names, montage->count, err);
    free(names);
    PV_TRY(status);
    double quantum = p->recipe.stride_quantum, stride = params->stride_seconds;
    if (!(stride >= 0.0 && isfinite(stride)) || (quantum > 0.0 && fmod(stride, quantum) != 0.0))
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "params.stride_seconds is %g, expected a positive number%s", stride,
                       quantum > 0.0 ? ", a multiple of 0.125" : "");
    return PSGVIT_OK;
}

/* Sizes that the file and the caller have given must be such that indices can be counted. */
static psgvit_status check_sizes(const pv_prepare *p, psgvit_error *err)
{
    uint64_t points;
    size_t bytes;
    for (size_t i = 0; i < p->pipeline.routes; i++)
        if (!pv_mul_u64(p->cutter.samples, p->pipeline.route[i].route.pick.num, &points))
            return pv_fail(err, PSGVIT_E_INPUT,
                           "%s: %s: epochs of %zu samples can't be made of %zu in %g s",
                           p->edf->source->name, p->pipeline.route[i].lead, p->cutter.samples,
                           p->pipeline.route[i].per_record, p->edf->record_seconds);
    if (!pv_mul(p->pipeline.leads, p->cutter.samples, &bytes) ||
        !pv_mul(bytes, sizeof(float), &bytes))
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%zu channels of %zu samples are too many",
                       p->pipeline.leads, p->cutter.samples);
    return PSGVIT_OK;
}

static psgvit_status make(pv_prepare *p, pv_montage *montage, const psgvit_recording_params *params,
                          psgvit_error *err)
{
    PV_TRY(make_recipe(p, montage, params, err));
    PV_TRY(make_tables(p, montage->count, err));
    double length = (double)p->cutter.samples / p->recipe.rate;
    double stride = params->stride_seconds > 0.0 ? params->stride_seconds : length;
    PV_TRY(pv_windows_make(&p->windows, p->edf, length, stride, err));
    PV_TRY(pv_pipeline_make(&p->pipeline, &p->recipe, p->edf, montage, p->why, err));
    describe_channels(p, montage);
    PV_TRY(check_leads(p, err));
    PV_TRY(check_sizes(p, err));
    choose_pieces(p);
    PV_TRY(make_workers(p, err));
    pv_night night;
    PV_TRY(pv_night_make(&night, &p->pipeline, &p->recipe, p->piece_seconds, p->worker, p->workers,
                         err));
    take_night(p, &night);
    pv_night_free(&night);
    return PSGVIT_OK;
}

static void fill_info(const pv_prepare *p, const pv_montage *montage, psgvit_recording_info *info)
{
    const pv_windows *w = &p->windows;
    const pv_edf *edf = p->edf;
    double end = 0.0;
    for (size_t i = 0; i < edf->segments; i++)
        end =
            fmax(end, edf->segment[i].onset + (double)edf->segment[i].count * edf->record_seconds);
    double last = (double)(w->count + w->skipped - 1) * w->stride + w->length;
    info->layout = PSGVIT_LAYOUT_CHANNELS;
    info->channels = p->pipeline.leads;
    info->samples = p->cutter.samples;
    info->epochs = w->count;
    info->length = (size_t)(end * p->recipe.rate + 1e-6);
    info->dropped = (size_t)(fmax(0.0, end - last) * p->recipe.rate + 1e-6);
    info->rate = p->recipe.rate;
    info->epoch_seconds = w->length;
    info->stride_seconds = w->stride;
    info->start = edf->start;
    info->cohort = montage->cohort;
    info->prep = p->recipe.prep;
    info->channel = p->channel;
    info->skipped = w->skipped;
}

psgvit_status pv_prepare_open(pv_prepare **prepare, const pv_edf *edf, pv_montage *montage,
                              const psgvit_recording_params *params, psgvit_recording_info *info,
                              psgvit_error *err)
{
    pv_prepare *p = calloc(1, sizeof *p);
    *prepare = NULL;
    if (!p)
        return pv_fail_memory(err, "the preparation of a recording", sizeof *p);
    p->edf = edf;
    p->threads = params->threads;
    p->cutter = (pv_cutter){.pipeline = &p->pipeline,
                            .recipe = &p->recipe,
                            .samples = params->samples ? params->samples : params->default_samples};
    psgvit_status status = make(p, montage, params, err);
    if (status) {
        pv_prepare_close(p);
        return status;
    }
    fill_info(p, montage, info);
    *prepare = p;
    return PSGVIT_OK;
}

/* One of the workers makes the epochs of a task. */
static psgvit_status run_task(const pv_prepare *p, size_t which, task *t)
{
    size_t leads = p->pipeline.leads, epoch = leads * p->cutter.samples;
    pv_worker *worker = &p->worker[which];
    pv_range *range = p->range + which * leads;
    float *x = p->ready + (t->first - p->ready_first) * epoch;
    size_t segment = pv_windows_find(&p->windows, t->first)->segment;
    double onset = p->edf->segment[segment].onset;
    double from = pv_windows_start(&p->windows, t->first);
    double to = pv_windows_start(&p->windows, t->first + t->count - 1);
    for (size_t i = 0; i < leads; i++)
        range[i] = pv_cut_range(&p->cutter, i, onset, from, to);
    PV_TRY(pv_pipeline_run(&p->pipeline, worker, segment, range, 0, 0, &t->err));
    for (size_t e = 0; e < t->count; e++)
        pv_cut(&p->cutter, worker, range, onset, pv_windows_start(&p->windows, t->first + e),
               x + e * epoch);
    return PSGVIT_OK;
}

/* Makes the next epochs. */
static psgvit_status make_ready(pv_prepare *p, psgvit_error *err)
{
    size_t at = p->ready_first + p->ready_count, team = team_size(p), tasks = 0;
    p->ready_first = at;
    p->ready_count = 0;
    for (; tasks < p->tasks && at < p->windows.count; at += p->task[tasks++].count) {
        const pv_window_run *run = pv_windows_find(&p->windows, at);
        size_t left = run->index + run->count - at;
        p->task[tasks].first = at;
        p->task[tasks].count = left < p->piece_epochs ? left : p->piece_epochs;
    }
    team = tasks < team ? tasks : team;
#pragma omp parallel for num_threads((int)team) schedule(dynamic)
    for (size_t i = 0; i < tasks; i++)
        p->task[i].status = run_task(p, (size_t)omp_get_thread_num(), &p->task[i]);
    for (size_t i = 0; i < tasks; i++) {
        if (p->task[i].status) {
            if (err)
                *err = p->task[i].err;
            return p->task[i].status;
        }
    }
    p->ready_count = at - p->ready_first;
    return PSGVIT_OK;
}

psgvit_status pv_prepare_read(pv_prepare *p, float *signal, size_t capacity, size_t *epochs,
                              psgvit_error *err)
{
    size_t epoch = p->pipeline.leads * p->cutter.samples;
    *epochs = 0;
    while (*epochs < capacity && p->next < p->windows.count) {
        if (p->next == p->ready_first + p->ready_count)
            PV_TRY(make_ready(p, err));
        size_t left = p->ready_first + p->ready_count - p->next, free_room = capacity - *epochs;
        size_t count = left < free_room ? left : free_room;
        memcpy(signal + *epochs * epoch, p->ready + (p->next - p->ready_first) * epoch,
               count * epoch * sizeof *signal);
        p->next += count;
        *epochs += count;
    }
    return PSGVIT_OK;
}

double pv_prepare_start(const pv_prepare *p, size_t index)
{
    return pv_windows_start(&p->windows, index);
}

double pv_prepare_skipped(const pv_prepare *p, size_t i)
{
    return pv_windows_skipped(&p->windows, i);
}

void pv_prepare_close(pv_prepare *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->worker && i < p->workers; i++)
        pv_worker_free(&p->worker[i], &p->pipeline);
    pv_pipeline_free(&p->pipeline);
    pv_windows_free(&p->windows);
    pv_free(p->ready);
    free(p->worker);
    free(p->range);
    free(p->task);
    free(p->channel);
    free(p->why);
    free(p->note);
    free(p->cutter.mean);
    free(p->cutter.factor);
    free(p);
}
