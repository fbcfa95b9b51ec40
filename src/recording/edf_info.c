/* SPDX-License-Identifier: MIT */
/* What an EDF itself says, for the public. */
#include "base/status.h"
#include "recording/edf_parse.h"

#include <stdlib.h>

static psgvit_edf_signal signal_of(const pv_edf_signal *s)
{
    return (psgvit_edf_signal){
        .label = s->label,
        .transducer = s->transducer,
        .unit = s->unit,
        .prefilter = s->prefilter,
        .physical_min = s->physical_min,
        .physical_max = s->physical_max,
        .digital_min = s->digital_min,
        .digital_max = s->digital_max,
        .per_record = s->per_record,
        .rate = s->rate,
        .annotations = s->annotations,
        .defect = s->defect,
    };
}

psgvit_status pv_edf_fill_info(pv_edf *edf, psgvit_error *err)
{
    psgvit_edf_signal *signal = calloc(edf->signals, sizeof *signal);
    psgvit_edf_segment *segment = calloc(edf->segments + 1, sizeof *segment); /* 0 may be NULL */
    edf->info = (psgvit_edf_info){
        .bdf = edf->bdf,
        .plus = edf->plus,
        .discontinuous = edf->discontinuous,
        .patient = edf->patient,
        .recording = edf->recording,
        .start = edf->start,
        .records = edf->records,
        .record_seconds = edf->record_seconds,
        .signals = edf->signals,
        .signal = signal,
        .segments = edf->segments,
        .segment = segment,
    };
    if (!signal || !segment)
        return pv_fail(err, PSGVIT_E_MEMORY, "%s: out of memory for %zu signals and %zu segments",
                       edf->source->name, edf->signals, edf->segments);
    for (size_t i = 0; i < edf->signals; i++)
        signal[i] = signal_of(&edf->signal[i]);
    for (size_t i = 0; i < edf->segments; i++)
        segment[i] = (psgvit_edf_segment){
            .onset = edf->segment[i].onset,
            .seconds = (double)edf->segment[i].count * edf->record_seconds,
        };
    return PSGVIT_OK;
}

const psgvit_edf_info *psgvit_recording_get_edf(const psgvit_recording *recording)
{
    return recording && recording->edf ? &recording->edf->info : NULL;
}

psgvit_status psgvit_recording_count_annotations(const psgvit_recording *recording, size_t *count,
                                                 psgvit_error *err)
{
    if (!recording || !count)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL", recording ? "count" : "recording");
    *count = 0;
    if (recording->edf)
        PV_TRY(pv_edf_count_annotations(recording->edf, count, err));
    return pv_ok(err);
}
