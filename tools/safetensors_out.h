/* SPDX-License-Identifier: MIT */
/*
 * The header of a safetensors file that is about to be written: tensors in the order of falling
 * element size (so that each begins aligned), names in the order they came, padded with spaces to a
 * multiple of 8 bytes. Format: README of huggingface/safetensors.
 */
#ifndef TOOLS_SAFETENSORS_OUT_H
#define TOOLS_SAFETENSORS_OUT_H

#include <psgvit/weights.h>

typedef struct safetensors_pair {
    const char *key;
    const char *value;
} safetensors_pair;

typedef struct safetensors_out {
    const psgvit_tensor **order; /* [count], as their data must follow the header */
    size_t count;
    char *header; /* with the 8 bytes of its length in front */
    size_t header_size;
    uint64_t data_size; /* bytes of all tensors */
} safetensors_out;

/* Of the tensors in `table` (which must outlive `out`), its metadata and `pairs` [pair_count].
 * PSGVIT_E_MEMORY, or PSGVIT_E_ARGUMENT if the sizes do not fit 64 bits. */
psgvit_status safetensors_out_open(safetensors_out *out, const psgvit_weights *table,
                                   const safetensors_pair *pairs, size_t pair_count,
                                   psgvit_error *err);
void safetensors_out_close(safetensors_out *out);

#endif
