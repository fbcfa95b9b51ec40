/* SPDX-License-Identifier: MIT */
/* Physical values of an EDF, as its header defines them: what the oracles give. */
#ifndef TESTS_RECORDING_PHYSICAL_H
#define TESTS_RECORDING_PHYSICAL_H

#include "recording/edf.h"

/* Signal i of `count` records: values[k] from digital[k], which pv_edf_digital gave. */
static inline void edf_physical(const pv_edf *edf, size_t i, const int32_t *digital, size_t count,
                                float *values)
{
    const pv_edf_signal *s = &edf->signal[i];
    for (size_t k = 0; k < count * s->per_record; k++)
        values[k] = (float)(s->gain * (s->offset + digital[k]));
}

#endif
