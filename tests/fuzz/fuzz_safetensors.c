/* SPDX-License-Identifier: MIT */
/* Safetensors files from hostile bytes: opened, walked, looked up, read at both ends, closed. */
#include "weights/safetensors.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 }; /* elements read at each end of a tensor */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What cannot be: ends the run with a report. */
static void require(int truth)
{
    if (!truth)
        __builtin_trap();
}

static void read_ends(const psgvit_weights *weights, const psgvit_tensor *tensor)
{
    float values[MOST];
    int64_t integers[MOST];
    psgvit_error err;
    uint64_t bad, count = tensor->elements < MOST ? tensor->elements : MOST;
    psgvit_status expected = pv_is_float(tensor->dtype) ? PSGVIT_OK : PSGVIT_E_MODEL;
    require(psgvit_weights_read(weights, tensor, 0, (size_t)count, values, &err) == expected);
    require(pv_weights_read_checked(weights, tensor, tensor->elements - count, (size_t)count,
                                    values, &bad, &err) == expected);
    require(psgvit_weights_read(weights, tensor, tensor->elements, 1, values, &err) != PSGVIT_OK);
    if (tensor->dtype == PSGVIT_DTYPE_I64 && tensor->elements <= MOST)
        require(pv_weights_read_i64(weights, tensor, integers, &err) == PSGVIT_OK);
    pv_weights_release(weights, tensor);
}

static void walk(const psgvit_weights *weights)
{
    uint64_t end = 0, shape = 0;
    size_t length = 0;
    for (size_t i = 0; i < psgvit_weights_count(weights); i++) {
        const psgvit_tensor *tensor = psgvit_weights_at(weights, i);
        require(tensor->name[0] != '\0' && psgvit_weights_find(weights, tensor->name) == tensor);
        require(tensor->offset == end);
        end += tensor->bytes;
        for (size_t k = 0; k < tensor->rank; k++)
            shape += tensor->shape[k];
        read_ends(weights, tensor);
    }
    for (size_t i = 0; i < psgvit_weights_metadata_count(weights); i++)
        length += strlen(psgvit_weights_metadata_key(weights, i)) +
                  strlen(psgvit_weights_metadata_value(weights, i));
    require(length < SIZE_MAX || shape > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    psgvit_weights *weights = NULL;
    psgvit_weights_params params = {.struct_size = sizeof params};
    psgvit_error err;
    /* A copy of the exact size, so that one byte too far is seen. */
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    psgvit_status status = psgvit_weights_open_memory(&weights, copy, size, &params, &err);
    require((status == PSGVIT_OK) == (weights != NULL));
    require((status == PSGVIT_OK) == (err.message[0] == '\0'));
    if (weights)
        walk(weights);
    psgvit_weights_close(&weights);
    free(copy);
    return 0;
}
