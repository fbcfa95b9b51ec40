/* SPDX-License-Identifier: MIT */
/*
 * Hostile EDF files through every preset. The first bytes choose the preset and the epochs, the
 * rest is the file, whose signals A, B and C are asked for. Whatever is in it, epochs are finite,
 * as many as promised, and later and later.
 */
#include "recording/prepare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hz: more is only slower. The long filter of eegpt-tueg goes through the transform from 61 Hz on.
 */
enum { OPTIONS = 4, MOST_EPOCHS = 400, MOST_RATE = 256, MOST_LONG_RATE = 70 };

static void promise(bool kept)
{
    if (!kept)
        __builtin_trap();
}

/* Not finite samples are a gain's doing alone: 1e38 uV times 1000 is beyond float32. */
static bool tame(const pv_edf *edf, psgvit_prep prep)
{
    double most = prep == PSGVIT_PREP_EEGPT_TUEG ? MOST_LONG_RATE : MOST_RATE;
    for (size_t i = 0; i < edf->signals; i++)
        if (edf->signal[i].rate > most || fabs(edf->signal[i].physical_min) > 1e20 ||
            fabs(edf->signal[i].physical_max) > 1e20)
            return false;
    return edf->record_seconds < 1000.0;
}

static psgvit_recording_params choose(const uint8_t *options)
{
    static const char *const leads[] = {"ECG", "EMG_Chin", "ABD"};
    static const char *const positions[] = {"FZ", "CZ", "PZ"};
    psgvit_recording_params params = {.struct_size = sizeof params, .channels = 3, .threads = 1};
    params.prep = (psgvit_prep)(options[0] % PSGVIT_PREPS);
    bool eeg = params.prep >= PSGVIT_PREP_EEGPT_PRETRAIN;
    params.names = eeg ? positions : leads;
    params.aliases = eeg ? "FZ=A,A-B\nCZ=B\nPZ=C" : "ECG=A\nEMG_Chin=B-C,B\nABD=C,A-C";
    params.samples = 1 + options[1] % 130u;
    params.stride_seconds = options[2] % 9 / 8.0;
    params.resample = eeg ? (psgvit_resample)(options[3] % 3) : PSGVIT_RESAMPLE_DEFAULT;
    params.reref = eeg ? (psgvit_reref)(options[3] / 3 % 3) : PSGVIT_REREF_DEFAULT;
    return params;
}

static void use(const pv_edf *edf, pv_montage *montage, const psgvit_recording_params *params)
{
    psgvit_error err;
    psgvit_recording_info info = {0};
    pv_prepare *prepare;
    psgvit_status status = pv_prepare_open(&prepare, edf, montage, params, &info, &err);
    promise(status == PSGVIT_OK || status == PSGVIT_E_INPUT || status == PSGVIT_E_ARGUMENT);
    if (status)
        return;
    float signal[3 * 130];
    size_t count = 1, epochs = 0;
    double before = -1.0;
    for (; count && epochs < MOST_EPOCHS; epochs += count) {
        promise(pv_prepare_read(prepare, signal, 1, &count, &err) == PSGVIT_OK);
        for (size_t i = 0; count && i < 3 * params->samples; i++)
            promise(isfinite(signal[i]));
        promise(!count || pv_prepare_start(prepare, epochs) > before);
        before = pv_prepare_start(prepare, epochs);
    }
    promise(epochs == info.epochs || epochs == MOST_EPOCHS);
    for (size_t i = 0; i < info.skipped && i < 100; i++)
        promise(pv_prepare_skipped(prepare, i) >= 0.0);
    for (size_t i = 0; i < info.channels; i++)
        promise(info.channel[i].flat >= 0.0 && info.channel[i].flat <= 1.0 &&
                info.channel[i].clipped >= 0.0 && info.channel[i].clipped <= 1.0);
    pv_prepare_close(prepare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[] = "fuzz";
    psgvit_error err;
    if (size < OPTIONS)
        return 0;
    psgvit_recording_params params = choose(data);
    size -= OPTIONS;
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data + OPTIONS, size);
    pv_source source = {.name = name, .fd = -1, .memory = copy, .size = size};
    pv_edf *edf;
    const pv_log log = {NULL, NULL};
    pv_montage montage;
    if (!pv_edf_open(&edf, &source, &log, &err) && tame(edf, params.prep) &&
        !pv_montage_make(&montage, edf, params.names, params.channels, &params, &err)) {
        use(edf, &montage, &params);
        pv_montage_free(&montage);
    }
    pv_edf_close(edf);
    free(copy);
    return 0;
}
