/* SPDX-License-Identifier: MIT */
/* The presets by name, and what a caller's wishes make of them. Their filters are in route.c. */
#include "recording/recipe.h"

#include "base/leads.h"
#include "base/status.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    int version;
} presets[PSGVIT_PREPS] = {
    [PSGVIT_PREP_DEFAULT] = {"default", 0},
    [PSGVIT_PREP_NONE] = {"none", 1},
    [PSGVIT_PREP_OSF_TRAIN] = {"osf-train", 1},
    [PSGVIT_PREP_OSF_CLEAN] = {"osf-clean", 1},
    [PSGVIT_PREP_EEGPT_PRETRAIN] = {"eegpt-pretrain", 1},
    [PSGVIT_PREP_EEGPT_P300] = {"eegpt-p300", 1},
    [PSGVIT_PREP_EEGPT_SLEEP] = {"eegpt-sleep", 1},
    [PSGVIT_PREP_EEGPT_TUEG] = {"eegpt-tueg", 1},
};

const char *psgvit_prep_name(psgvit_prep prep)
{
    return (unsigned)prep < PSGVIT_PREPS ? presets[prep].name : "?";
}

int psgvit_prep_version(psgvit_prep prep)
{
    return (unsigned)prep < PSGVIT_PREPS ? presets[prep].version : 0;
}

bool pv_recipe_is_osf(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t lead = 0;
        while (lead < PV_OSF_LEADS && strcmp(names[i], pv_osf_leads[lead]))
            lead++;
        if (lead == PV_OSF_LEADS)
            return false;
    }
    return count > 0;
}

/* The presets of OSF know what to do to its leads, and nothing else of the caller's. */
static psgvit_status make_osf(pv_recipe *recipe, const psgvit_recording_params *params, bool leads,
                              psgvit_error *err)
{
    const char *name = psgvit_prep_name(recipe->prep);
    if (!leads)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "the preset %s prepares OSF's leads, and these are other channels", name);
    if (params->unit || params->reref || params->resample)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "the preset %s has no choice of unit, reference or resampling", name);
    if (recipe->prep == PSGVIT_PREP_OSF_TRAIN && recipe->rate != 64.0)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "the preset %s makes 64 Hz, %g were asked for", name,
                       recipe->rate);
    recipe->scaling = PV_SCALING_NIGHT;
    recipe->scale = 1.0;
    if (recipe->prep == PSGVIT_PREP_OSF_TRAIN) {
        recipe->night_seconds = 12.0 * 3600.0;
        recipe->stride_quantum = 0.125; /* of the slowest leads' grid */
    }
    return PSGVIT_OK;
}

static void make_eegpt(pv_recipe *recipe, const psgvit_recording_params *params)
{
    static const double units[] = {
        [PSGVIT_UNIT_V] = 1e-6, [PSGVIT_UNIT_MV] = 1e-3, [PSGVIT_UNIT_UV] = 1.0};
    bool tueg = recipe->prep == PSGVIT_PREP_EEGPT_TUEG;
    bool sleep = recipe->prep == PSGVIT_PREP_EEGPT_SLEEP;
    recipe->scaling = sleep ? PV_SCALING_WINDOW : PV_SCALING_UNIT;
    recipe->scale = tueg ? 0.01 : sleep ? 1.0 : 1e-3;
    if (params->unit)
        recipe->scale = units[params->unit];
    recipe->average = params->reref ? params->reref == PSGVIT_REREF_AVERAGE : !tueg;
    recipe->polyphase = params->resample ? params->resample == PSGVIT_RESAMPLE_POLYPHASE
                                         : tueg || recipe->prep == PSGVIT_PREP_EEGPT_P300;
}

psgvit_status pv_recipe_make(pv_recipe *recipe, const psgvit_recording_params *params,
                             const char *const *names, size_t count, psgvit_error *err)
{
    if (!(params->rate >= 0.0 && params->rate <= PV_MOST_RATE))
        return pv_fail(err, PSGVIT_E_ARGUMENT, "params.rate is %g, expected 0 to %d Hz",
                       params->rate, PV_MOST_RATE);
    bool leads = pv_recipe_is_osf(names, count);
    *recipe = (pv_recipe){.prep = params->prep, .scale = 1.0, .night_seconds = INFINITY};
    recipe->rate = params->rate > 0.0 ? params->rate : leads ? 64.0 : 256.0;
    if (!recipe->prep)
        recipe->prep = leads ? PSGVIT_PREP_OSF_TRAIN : PSGVIT_PREP_EEGPT_PRETRAIN;
    if (recipe->prep == PSGVIT_PREP_OSF_TRAIN || recipe->prep == PSGVIT_PREP_OSF_CLEAN)
        return make_osf(recipe, params, leads, err);
    if (recipe->prep != PSGVIT_PREP_NONE)
        make_eegpt(recipe, params);
    else if (params->unit || params->reref || params->resample)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "the preset none has no choice of unit, reference or resampling");
    return PSGVIT_OK;
}
