/* SPDX-License-Identifier: MIT */
/*
 * Plausible signals for demonstrations and benchmarks: a night of polysomnography as OSF takes it,
 * and EEG as EEGPT takes it. They look right to the eye and to an amplifier (rates, amplitudes,
 * rhythms, stages), and mean nothing to a clinician. The same seed gives the same signal, epoch
 * after epoch, without a gap between them.
 */
#ifndef TOOLS_SYNTH_SIGNAL_H
#define TOOLS_SYNTH_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

enum {
    SYNTH_PSG_CHANNELS = 12,
    SYNTH_PSG_SAMPLES = 1920, /* 30 s at 64 Hz */
    SYNTH_EEG_RATE = 256,     /* Hz */
};

/* A night of `epochs` epochs: ECG, EMG (chin, left leg, right leg), abdomen, thorax, nasal
 * pressure, snoring, EOG (E1-A2, E2-A1), EEG (C3-A2, C4-A1). Every channel has about mean 0 and
 * deviation 1 over the night; few samples leave [-6, 6]. Sleep stages follow a hypnogram of
 * 90-minute cycles, which a short night passes through faster. */
typedef struct synth_night synth_night;

/* NULL if there is no memory. */
synth_night *synth_night_open(size_t epochs, uint64_t seed);
/* The next epoch [12, 1920]; past the end the last stage goes on. */
void synth_night_next(synth_night *night, float *epoch);
void synth_night_close(synth_night **night);

/* EEG of `channels` channels in millivolts (about 0.02 of deviation), referenced to their average,
 * as EEGPT's pre-training had it: background rhythms shared between channels, blinks in front. */
typedef struct synth_eeg synth_eeg;

/* NULL if there is no memory. */
synth_eeg *synth_eeg_open(size_t channels, uint64_t seed);
/* The next `samples` samples [channels, samples] at 256 Hz. */
void synth_eeg_next(synth_eeg *eeg, size_t samples, float *window);
void synth_eeg_close(synth_eeg **eeg);

#endif
