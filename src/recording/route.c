/* SPDX-License-Identifier: MIT */
/*
 * The filters and grids of the presets. Where a recipe is another's, the numbers are those of its
 * published code: OSF's of the sleep-unimodal preprocessing, EEGPT's of datasets/ and
 * downstream_tueg/ in BINE022/EEGPT, and MNE's defaults where that says no more.
 */
#include "recording/recipe.h"

#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Taps from which on a transform is cheaper than multiplying, even if only one output in a few is
 * kept. */
enum { LONG_FILTER = 2000 };

/* What OSF's training did to a lead. */
typedef struct osf_lead {
    const char *name;
    double rate; /* Hz of its grid */
    bool muscle; /* high-pass at 10 Hz */
} osf_lead;

static const osf_lead osf_leads[] = {
    {"ECG", 128.0, false},      {"EMG_Chin", 64.0, true},   {"EMG_LLeg", 64.0, true},
    {"EMG_RLeg", 64.0, true},   {"ABD", 8.0, false},        {"THX", 8.0, false},
    {"NP", 8.0, false},         {"SN", 32.0, false},        {"EOG_E1_A2", 64.0, false},
    {"EOG_E2_A1", 64.0, false}, {"EEG_C3_A2", 64.0, false}, {"EEG_C4_A1", 64.0, false},
};

static const double muscle_pass = 10.0, muscle_stop = 7.5; /* Hz; MNE's band for 10 */

static const osf_lead *find_lead(const char *name)
{
    for (size_t i = 0; i < sizeof osf_leads / sizeof *osf_leads; i++)
        if (!strcmp(osf_leads[i].name, name))
            return &osf_leads[i];
    return &osf_leads[0];
}

bool pv_recipe_same_route(const pv_recipe *recipe, const char *a, const char *b)
{
    if (recipe->scaling != PV_SCALING_NIGHT)
        return true;
    const osf_lead *x = find_lead(a), *y = find_lead(b);
    return x->rate == y->rate && x->muscle == y->muscle;
}

void pv_route_free(pv_route *route)
{
    pv_convolver_free(route->filter);
    pv_resampler_free(route->resampler);
    *route = (pv_route){0};
}

static psgvit_status resample(pv_route *route, const pv_edf *edf, size_t signal, pv_between between,
                              const pv_fir *fir, const pv_band *band, psgvit_error *err)
{
    pv_ratio ratio = {1, 1};
    if (between)
        PV_TRY(pv_ratio_make(&ratio, edf->signal[signal].per_record, edf->record_seconds,
                             route->grid_rate, err));
    if (ratio.num == ratio.den && band->high_pass <= 0.0 && band->low_stop <= 0.0)
        between = PV_BETWEEN_NONE;
    return pv_resampler_make(&route->resampler, ratio, between, fir, band, err);
}

/* Steps 3 to 5 of OSF's recipe. The reference takes a rate for the whole number of samples in its
 * first second; beyond that, rates that are no whole numbers are as they are. Its grid begins one
 * step after the start, where the first sample of an epoch then comes from, too (`late`). In its
 * 2025 code the first segment of a night could lose all leads but the ECG: that is left out. */
static psgvit_status make_train(pv_route *route, const osf_lead *lead, const pv_edf *edf,
                                size_t signal, char why[PV_WHY], psgvit_error *err)
{
    double rate = edf->signal[signal].rate;
    if (lead->muscle && rate * 0.5 <= muscle_pass - 0.5 * (muscle_pass - muscle_stop)) {
        snprintf(why, PV_WHY, "%.6g Hz is too low for the high-pass at 10 Hz", rate);
        return PSGVIT_OK;
    }
    route->grid_rate = lead->rate;
    route->late = true;
    route->level = !lead->muscle;
    route->blend = lead->rate < 64.0;
    route->pick = lead->rate >= 64.0 ? (pv_ratio){(uint64_t)(lead->rate / 64.0), 1}
                                     : (pv_ratio){1, (uint64_t)(64.0 / lead->rate)};
    double low_pass = floor(rate + 1e-9) > lead->rate ? lead->rate / 2.0 : 0.0;
    pv_fir fir, twice = {0};
    psgvit_status status = pv_fir_mne(&fir, rate, lead->muscle ? muscle_pass : 0.0, low_pass, err);
    /* phase='zero-double' is the filter, and then once more. MNE pads what it filters by odd
     * reflection, which is what the filtered signal then has by itself: there is nothing to pad in
     * between. */
    if (!status)
        status = pv_fir_join(&twice, &fir, err);
    if (!status)
        status = pv_fir_join(&twice, &fir, err);
    if (!status)
        status = resample(route, edf, signal, PV_BETWEEN_PANDAS, &twice, &(pv_band){0}, err);
    pv_fir_free(&fir);
    pv_fir_free(&twice);
    return status;
}

/* A low-pass for a grid of `grid` Hz that keeps up to `keep` Hz where it may: free of aliases and
 * of images. Cycles a sample. */
static void limit_band(pv_band *band, double rate, double grid, double keep)
{
    double stop, pass;
    if (rate <= grid && rate / 2.0 <= keep) { /* only what the samples themselves repeat goes */
        stop = 1.125 * rate / 2.0;
        pass = 0.875 * rate / 2.0;
    } else {
        stop = fmin(fmin(keep + fmax(0.25 * keep, 2.0), rate / 2.0), grid / 2.0);
        pass = fmin(keep, 0.875 * stop);
    }
    band->low_stop = stop / rate;
    band->low_pass = pass / rate;
}

/* The bands of osf-train, straight to the model's grid. */
static psgvit_status make_clean(pv_route *route, const pv_recipe *recipe, const osf_lead *lead,
                                const pv_edf *edf, size_t signal, char why[PV_WHY],
                                psgvit_error *err)
{
    double rate = edf->signal[signal].rate, keep = fmin(lead->rate, recipe->rate) / 2.0;
    if (lead->muscle && rate / 2.0 <= muscle_pass) {
        snprintf(why, PV_WHY, "%.6g Hz is too low for the high-pass at 10 Hz", rate);
        return PSGVIT_OK;
    }
    route->grid_rate = recipe->rate;
    route->pick = (pv_ratio){1, 1};
    route->level = !lead->muscle;
    pv_band band = {0};
    if (rate != recipe->rate || rate / 2.0 > keep)
        limit_band(&band, rate, recipe->rate, keep);
    if (lead->muscle) {
        band.high_pass = muscle_pass / rate;
        band.high_stop = muscle_stop / rate;
    }
    return resample(route, edf, signal, PV_BETWEEN_SINC, &(pv_fir){0}, &band, err);
}

/* Hz, where the source has them; 0 where it has not. */
static double within(double frequency, double rate)
{
    return frequency < rate / 2.0 ? frequency : 0.0;
}

/* The filters of EEGPT's presets; two at most. */
static psgvit_status make_filters(pv_fir fir[2], psgvit_prep prep, double rate, psgvit_error *err)
{
    if (prep == PSGVIT_PREP_EEGPT_P300 && within(120.0, rate) > 0.0)
        return pv_fir_butterworth(&fir[0], rate, 120.0, err);
    if (prep == PSGVIT_PREP_EEGPT_SLEEP)
        return pv_fir_mne(&fir[0], rate, 0.0, within(30.0, rate), err);
    if (prep != PSGVIT_PREP_EEGPT_TUEG)
        return PSGVIT_OK;
    PV_TRY(pv_fir_mne(&fir[0], rate, 0.1, within(75.0, rate), err));
    return within(51.0, rate) > 0.0 ? pv_fir_notch(&fir[1], rate, 50.0, err) : PSGVIT_OK;
}

static psgvit_status make_eegpt(pv_route *route, const pv_recipe *recipe, const pv_edf *edf,
                                size_t signal, psgvit_error *err)
{
    double rate = edf->signal[signal].rate;
    route->level = recipe->prep != PSGVIT_PREP_EEGPT_TUEG;
    route->grid_rate = recipe->polyphase ? recipe->rate : rate;
    route->pick = (pv_ratio){1, 1};
    if (!recipe->polyphase)
        PV_TRY(pv_ratio_make(&route->pick, edf->signal[signal].per_record, edf->record_seconds,
                             recipe->rate, err));
    pv_fir fir[2] = {{0}}, none = {0};
    pv_band band = {0};
    if (rate != route->grid_rate)
        limit_band(&band, rate, route->grid_rate, fmin(rate, route->grid_rate) / 2.0);
    psgvit_status status = make_filters(fir, recipe->prep, rate, err);
    bool apart = 2 * (fir[0].half + fir[1].half) >= LONG_FILTER;
    if (!status && apart)
        status = pv_convolver_make(&route->filter, fir, 2, err);
    else if (!status)
        status = pv_fir_join(&fir[0], &fir[1], err);
    if (!status)
        status = resample(route, edf, signal,
                          rate != route->grid_rate ? PV_BETWEEN_SINC : PV_BETWEEN_NONE,
                          apart ? &none : &fir[0], &band, err);
    pv_fir_free(&fir[0]);
    pv_fir_free(&fir[1]);
    return status;
}

static psgvit_status make_none(pv_route *route, const pv_recipe *recipe, const char *lead,
                               const pv_edf *edf, size_t signal, psgvit_error *err)
{
    const pv_edf_signal *s = &edf->signal[signal];
    pv_ratio ratio;
    PV_TRY(pv_ratio_make(&ratio, s->per_record, edf->record_seconds, recipe->rate, err));
    if (ratio.num != ratio.den)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: %s, signal '%s', has %.9g Hz, expected %.9g: the preset none resamples "
                       "nothing",
                       edf->source->name, lead, s->label, s->rate, recipe->rate);
    route->grid_rate = recipe->rate;
    route->pick = (pv_ratio){1, 1};
    route->level = true;
    return resample(route, edf, signal, PV_BETWEEN_NONE, &(pv_fir){0}, &(pv_band){0}, err);
}

psgvit_status pv_route_make(pv_route *route, const pv_recipe *recipe, const char *lead,
                            const pv_edf *edf, size_t signal, char why[PV_WHY], psgvit_error *err)
{
    double rate = edf->signal[signal].rate;
    psgvit_status status = PSGVIT_OK;
    *route = (pv_route){0};
    why[0] = '\0';
    if (recipe->prep == PSGVIT_PREP_NONE)
        status = make_none(route, recipe, lead, edf, signal, err);
    else if (rate < 1.0 || rate > PV_MOST_RATE)
        snprintf(why, PV_WHY, "%.6g Hz is too %s", rate, rate < 1.0 ? "low" : "high");
    else if (recipe->prep == PSGVIT_PREP_OSF_TRAIN)
        status = make_train(route, find_lead(lead), edf, signal, why, err);
    else if (recipe->prep == PSGVIT_PREP_OSF_CLEAN)
        status = make_clean(route, recipe, find_lead(lead), edf, signal, why, err);
    else
        status = make_eegpt(route, recipe, edf, signal, err);
    if (status)
        pv_route_free(route);
    return status;
}
