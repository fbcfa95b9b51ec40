/* SPDX-License-Identifier: MIT */
/* NPY recordings from hostile bytes: the header's parser, the checks against the data, reading. */
#include "recording/recording.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    psgvit_recording recording = {0};
    psgvit_recording_params params = {.struct_size = sizeof params};
    psgvit_error err = {PSGVIT_OK, ""};
    /* A copy of the exact size, so that one byte too far is seen. */
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    recording.source.name = "fuzz";
    recording.source.fd = -1;
    recording.source.memory = copy;
    recording.source.size = size;
    params.default_samples = size ? data[size - 1] : 0;
    if (!pv_npy_describe(&recording, &params, &err)) {
        float signal[256];
        size_t epochs = 1;
        const psgvit_recording_info *info = &recording.info;
        if (info->channels && info->channels <= 16 && info->samples && info->samples <= 16)
            while (epochs && !psgvit_recording_read(&recording, signal, 1, &epochs, &err))
                ;
    }
    free(copy);
    return 0;
}
