/* SPDX-License-Identifier: MIT */
/* Lays out a pipeline: which signals are read, which of them share a filter, and what each lead is
 * the sum of. */
#include "recording/pipeline.h"

#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pv_pipeline_free(pv_pipeline *p)
{
    for (size_t i = 0; i < p->routes; i++)
        pv_route_free(&p->route[i].route);
    free(p->route);
    free(p->lead);
    free(p->used_signal);
    *p = (pv_pipeline){0};
}

static size_t use(pv_pipeline *p, size_t signal)
{
    for (size_t u = 0; u < p->used; u++)
        if (p->used_signal[u] == signal)
            return u;
    p->used_signal[p->used] = signal;
    return p->used++;
}

/* The route of a signal to a lead: one that is there already, or a new one. */
static psgvit_status find_route(pv_pipeline *p, const pv_recipe *recipe, const char *lead,
                                size_t signal, const pv_route **route, char why[PV_WHY],
                                psgvit_error *err)
{
    size_t per_record = p->edf->signal[signal].per_record;
    for (size_t i = 0; i < p->routes; i++)
        if (p->route[i].per_record == per_record &&
            pv_recipe_same_route(recipe, p->route[i].lead, lead)) {
            *route = &p->route[i].route;
            return PSGVIT_OK;
        }
    pv_made_route *made = &p->route[p->routes];
    PV_TRY(pv_route_make(&made->route, recipe, lead, p->edf, signal, why, err));
    if (why[0])
        return PSGVIT_OK;
    made->lead = lead;
    made->per_record = per_record;
    p->routes++;
    *route = &made->route;
    const pv_resampler *r = made->route.resampler;
    size_t needs = r->before + r->after + (made->route.filter ? 2 * made->route.filter->half : 0);
    p->reach = fmax(p->reach, (double)needs / 2.0 / p->edf->signal[signal].rate);
    double seconds = (double)p->edf->records * p->edf->record_seconds;
    if (!((seconds * made->route.grid_rate + 1.0) * (double)r->ratio.den < 9e15))
        return pv_fail(err, PSGVIT_E_INPUT, "%s: %s: %g s at %g Hz can't be brought to %g Hz",
                       p->edf->source->name, lead, seconds, p->edf->signal[signal].rate,
                       made->route.grid_rate);
    return PSGVIT_OK;
}

/* Adds signal times scale, which is to uV, to a lead. */
static psgvit_status add_term(pv_pipeline *p, const pv_recipe *recipe, pv_made_lead *made,
                              const char *lead, size_t signal, double scale, char why[PV_WHY],
                              psgvit_error *err)
{
    const pv_edf_signal *s = &p->edf->signal[signal];
    pv_term term = {.gain = scale * s->gain, .offset = s->offset};
    pv_track *first = &made->track[0];
    bool same = made->tracks && p->edf->signal[first->signal].per_record == s->per_record;
    pv_track *track = same ? first : &made->track[made->tracks];
    if (!same) {
        PV_TRY(find_route(p, recipe, lead, signal, &track->route, why, err));
        if (!why[0] && made->tracks && track->route->grid_rate != first->route->grid_rate)
            snprintf(why, PV_WHY, "%.6g Hz can't be subtracted from %.6g Hz unless resampled",
                     s->rate, p->edf->signal[first->signal].rate);
        if (why[0])
            return PSGVIT_OK;
        made->tracks++;
        track->signal = signal;
    }
    term.used = use(p, signal);
    track->term[track->terms++] = term;
    return PSGVIT_OK;
}

static psgvit_status make_lead(pv_pipeline *p, const pv_recipe *recipe, pv_made_lead *made,
                               const pv_lead *lead, char why[PV_WHY], psgvit_error *err)
{
    double plus = lead->plus_scale, minus = lead->minus_scale;
    why[0] = '\0';
    if (lead->plus < 0)
        return PSGVIT_OK;
    /* Unprepared means the file's own unit; that of two signals is uV if theirs differ. */
    if (recipe->prep == PSGVIT_PREP_NONE && (lead->minus < 0 || fabs(plus) == fabs(minus))) {
        plus = copysign(1.0, plus);
        minus = copysign(1.0, minus);
    }
    size_t used = p->used;
    PV_TRY(add_term(p, recipe, made, lead->report.name, (size_t)lead->plus, plus, why, err));
    if (lead->minus >= 0 && !why[0])
        PV_TRY(add_term(p, recipe, made, lead->report.name, (size_t)lead->minus, -minus, why, err));
    if (why[0]) {
        made->tracks = 0;
        p->used = used;
    }
    return PSGVIT_OK;
}

psgvit_status pv_pipeline_make(pv_pipeline *p, const pv_recipe *recipe, const pv_edf *edf,
                               const pv_montage *montage, char (*why)[PV_WHY], psgvit_error *err)
{
    size_t leads = montage->count;
    *p = (pv_pipeline){.edf = edf, .leads = leads};
    p->lead = calloc(leads, sizeof *p->lead);
    p->used_signal = calloc(leads, 2 * sizeof *p->used_signal);
    p->route = calloc(leads, 2 * sizeof *p->route);
    psgvit_status status = PSGVIT_OK;
    if (!p->lead || !p->used_signal || !p->route)
        status = pv_fail_memory(err, "the preparation of a recording", leads * sizeof *p->lead);
    for (size_t i = 0; !status && i < leads; i++)
        status = make_lead(p, recipe, &p->lead[i], &montage->lead[i], why[i], err);
    if (status)
        pv_pipeline_free(p);
    return status;
}
