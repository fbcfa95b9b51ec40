/* SPDX-License-Identifier: MIT */
/* Raw recordings: little-endian float32 without a header, so that only the byte count can be
 * checked. */
#include "recording/recording.h"

#include "base/checked.h"
#include "base/status.h"

psgvit_status pv_bin_describe(psgvit_recording *recording, const psgvit_recording_params *params,
                              psgvit_error *err)
{
    psgvit_recording_info *info = &recording->info;
    const char *name = recording->source.name;
    uint64_t size = recording->source.size;
    size_t samples = params->samples ? params->samples : params->default_samples;
    size_t run = params->layout == PSGVIT_LAYOUT_EPOCHS && samples ? samples : 1;
    size_t unit; /* bytes of which the file must hold a whole number */
    if (!pv_mul(params->channels ? params->channels : 1, run, &unit) ||
        !pv_mul(unit, sizeof(float), &unit))
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: an epoch of %zu channels x %zu samples is too large to address", name,
                       params->channels, samples);
    if (size % unit) {
        if (run > 1)
            return pv_fail(err, PSGVIT_E_INPUT,
                           "%s: expected a multiple of %zu bytes (%zu channels x %zu samples x 4), "
                           "found %llu bytes, %llu too many",
                           name, unit, params->channels ? params->channels : 1, samples,
                           (unsigned long long)size, (unsigned long long)(size % unit));
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected a multiple of %zu bytes (%zu channels x 4), found %llu bytes, "
                       "%llu too many",
                       name, unit, params->channels ? params->channels : 1,
                       (unsigned long long)size, (unsigned long long)(size % unit));
    }
    info->format = PSGVIT_FORMAT_RAW;
    info->layout = params->layout;
    info->channels = params->channels;
    info->samples = samples;
    pv_recording_cut(info,
                     (size_t)(size / sizeof(float)) / (params->channels ? params->channels : 1));
    return PSGVIT_OK;
}
