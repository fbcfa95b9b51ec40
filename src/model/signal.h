/* SPDX-License-Identifier: MIT */
/* What is done to a signal before the first layer. */
#ifndef PV_MODEL_SIGNAL_H
#define PV_MODEL_SIGNAL_H

#include "base/status.h"

typedef struct pv_signal {
    const float *samples; /* [epochs, channels, length] */
    size_t epochs, channels, length;
    size_t first_epoch; /* what messages call the first one */
    psgvit_nan_policy nan;
    int clamp;                /* to [-6, 6]; NaN stays NaN */
    const char *const *names; /* of the channels, for messages; NULL: numbers only */
} pv_signal;

/* Copies the signal to `to` by a team of so many threads, at least 1, by the policy for non-finite
 * samples, clamped. Refusing names epoch, channel and sample of the first one, each counted from 0;
 * `to` then holds anything. */
psgvit_status pv_signal_take(const pv_signal *signal, float *to, int threads, psgvit_error *err);

#endif
