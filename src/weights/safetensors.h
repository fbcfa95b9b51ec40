/* SPDX-License-Identifier: MIT */
/*
 * A safetensors file inside the library: what psgvit/weights.h offers, and the few things more that
 * the loader of a model needs. Rules of the format: README and safetensors/src/tensor.rs of
 * huggingface/safetensors. cursor.c is a strict JSON reader, header.c checks the header, table.c
 * keeps what it says, file.c maps or reads, convert.c turns elements into float32.
 */
#ifndef PV_WEIGHTS_SAFETENSORS_H
#define PV_WEIGHTS_SAFETENSORS_H

#include <psgvit/weights.h>

/* `count` elements at `bytes` (little-endian, any alignment) of dtype F32, F16, BF16 or F64 as
 * float32, rounded to nearest even. Returns the index of the first one that is not finite as
 * float32, or `count`. */
size_t pv_convert(psgvit_dtype dtype, const void *bytes, size_t count, float *values);

/* True for F32, F16, BF16, F64. */
int pv_is_float(psgvit_dtype dtype);

/* Like psgvit_weights_read, and sets *bad to the index (from the tensor's first element) of the
 * first non-finite value, or to UINT64_MAX. Safe from many threads at once. */
psgvit_status pv_weights_read_checked(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                      uint64_t first, size_t count, float *values, uint64_t *bad,
                                      psgvit_error *err);

/* PSGVIT_E_MODEL: "FILE: tensor 'NAME': element 17 is NaN", or what reading it again gives. */
psgvit_status pv_weights_fail_special(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                      uint64_t index, psgvit_error *err);

/* All elements of an I64 tensor. */
psgvit_status pv_weights_read_i64(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                  int64_t *values, psgvit_error *err);

/* The pages of this tensor are not needed again: lets go of them, so that resident memory does not
 * hold the file beside the prepared weights. */
void pv_weights_release(const psgvit_weights *weights, const psgvit_tensor *tensor);

/* Has the file changed (size, time) since it was opened? PSGVIT_E_MODEL if so. Called when all is
 * read, so that a file replaced in between is never half believed. */
psgvit_status pv_weights_unchanged(const psgvit_weights *weights, psgvit_error *err);

/* What messages call the file: its path, or "memory". */
const char *pv_weights_name(const psgvit_weights *weights);

/* One tensor of a table without data; see pv_weights_from_table. */
typedef struct pv_table_row {
    const char *name;
    psgvit_dtype dtype;
    size_t rank;
    uint64_t shape[4];
} pv_table_row;

/* A handle without data, in the given order, with `config` as its only metadata (NULL: none). All
 * is copied. */
psgvit_status pv_weights_from_table(psgvit_weights **weights, const pv_table_row *rows,
                                    size_t count, const char *config, psgvit_error *err);

#endif
