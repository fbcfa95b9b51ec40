/* SPDX-License-Identifier: MIT */
/* Annotation lists and numbers from hostile bytes. */
#include "recording/edf_parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double onset = 0.0, number = 0.0;
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    bool found = pv_edf_onset(copy, size, &onset);
    bool number_found = pv_edf_number((const char *)copy, size, &number);
    if ((found && !isfinite(onset)) || (number_found && !isfinite(number)) ||
        pv_edf_count_texts(copy, size) > size)
        __builtin_trap();
    free(copy);
    return 0;
}
