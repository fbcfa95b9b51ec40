/* SPDX-License-Identifier: MIT */
/*
 * Model files: what is in a safetensors file, and what a model of a given size must hold.
 * The format: the README and safetensors/src/tensor.rs of huggingface/safetensors. A complete
 * program, which lists the tensors of a file:
 *
 *     #include <psgvit/weights.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         psgvit_error err;
 *         psgvit_weights *w = NULL;
 *         if (psgvit_weights_open(&w, argc > 1 ? argv[1] : "osf.safetensors", NULL, &err)) {
 *             fprintf(stderr, "%s\n", err.message);
 *             return 1;
 *         }
 *         for (size_t i = 0; i < psgvit_weights_count(w); i++)
 *             printf("%s\n", psgvit_weights_at(w, i)->name);
 *         psgvit_weights_close(&w);
 *         return 0;
 *     }
 */
#ifndef PSGVIT_WEIGHTS_H
#define PSGVIT_WEIGHTS_H

#include <psgvit/psgvit.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The 22 types of the format. */
typedef enum psgvit_dtype {
    PSGVIT_DTYPE_BOOL,
    PSGVIT_DTYPE_F4,
    PSGVIT_DTYPE_F6_E2M3,
    PSGVIT_DTYPE_F6_E3M2,
    PSGVIT_DTYPE_U8,
    PSGVIT_DTYPE_I8,
    PSGVIT_DTYPE_F8_E5M2,
    PSGVIT_DTYPE_F8_E4M3,
    PSGVIT_DTYPE_F8_E8M0,
    PSGVIT_DTYPE_F8_E4M3FNUZ,
    PSGVIT_DTYPE_F8_E5M2FNUZ,
    PSGVIT_DTYPE_I16,
    PSGVIT_DTYPE_U16,
    PSGVIT_DTYPE_F16,
    PSGVIT_DTYPE_BF16,
    PSGVIT_DTYPE_I32,
    PSGVIT_DTYPE_U32,
    PSGVIT_DTYPE_F32,
    PSGVIT_DTYPE_C64,
    PSGVIT_DTYPE_F64,
    PSGVIT_DTYPE_I64,
    PSGVIT_DTYPE_U64,
} psgvit_dtype;

/* "F32" and so on, as in the file; "?" for no dtype. */
PSGVIT_API const char *psgvit_dtype_name(psgvit_dtype dtype);
/* Bits of one element: 4, 6, 8, 16, 32 or 64; 0 for no dtype. */
PSGVIT_API unsigned psgvit_dtype_bits(psgvit_dtype dtype);

/* One tensor. Belongs to the psgvit_weights it came from. */
typedef struct psgvit_tensor {
    const char *name;      /* UTF-8, not empty */
    psgvit_dtype dtype;
    size_t rank;           /* 0: a scalar */
    const uint64_t *shape; /* [rank] */
    uint64_t elements;     /* product of the shape */
    uint64_t bytes;
    uint64_t offset;       /* of its first byte in the file's data part */
} psgvit_tensor;

/* A parsed file, or the table of a variant (tensors without data). Read-only.
 * Thread-safety: safe, but for closing. */
typedef struct psgvit_weights psgvit_weights;

typedef struct psgvit_weights_params {
    size_t struct_size;
    unsigned flags;    /* PSGVIT_READ */
    size_t max_header; /* largest header in bytes; 0: 16 MiB; at most 100,000,000 */
} psgvit_weights_params;

/* Opens and checks a file: every rule of the format, and some more (no duplicate name, no empty one
 * or one with a NUL, no nesting over 16 levels). PSGVIT_E_MODEL says which rule is broken, where.
 * The file must be a regular one. While the handle is open, a file that was mapped must not shrink:
 * use PSGVIT_READ where that may happen. */
PSGVIT_API psgvit_status psgvit_weights_open(psgvit_weights **weights, const char *path,
                                             const psgvit_weights_params *params,
                                             psgvit_error *err);
/* The same from memory, which must live as long as the handle. Any alignment. */
PSGVIT_API psgvit_status psgvit_weights_open_memory(psgvit_weights **weights, const void *data,
                                                    size_t size,
                                                    const psgvit_weights_params *params,
                                                    psgvit_error *err);
/* The tensors that a model must hold, without data: variant "osf-nano" ... "osf-xl" or "eegpt".
 * `config_json` is a config as in the model's params, NULL for the variant's own; for an osf
 * variant it may set leads, lead_wise, patch and sequence sizes, width, depth, heads and mlp_dim.
 * What it does not say is the variant's own: for eegpt 22 channels, n_times 1000, sfreq 256, depth
 * 8, 4 outputs, no chan_proj. The metadata entry `config` is the whole as JSON, so a file written
 * with it describes itself; for eegpt its `chans_id` holds the values of the I64 tensor of that
 * name. PSGVIT_E_ARGUMENT for an unknown variant, PSGVIT_E_MODEL for a config that contradicts
 * itself. */
PSGVIT_API psgvit_status psgvit_weights_open_variant(psgvit_weights **weights, const char *variant,
                                                     const char *config_json, psgvit_error *err);
/* Number of tensors. */
PSGVIT_API size_t psgvit_weights_count(const psgvit_weights *weights);
/* In the order of their data; NULL if the index is too large. */
PSGVIT_API const psgvit_tensor *psgvit_weights_at(const psgvit_weights *weights, size_t index);
/* By name, NULL if there is none. */
PSGVIT_API const psgvit_tensor *psgvit_weights_find(const psgvit_weights *weights,
                                                    const char *name);
/* Number of entries of `__metadata__`. */
PSGVIT_API size_t psgvit_weights_metadata_count(const psgvit_weights *weights);
/* Entry `index` in the order of its key; the strings belong to the handle. NULL where there is
 * none. Text after an escaped NUL is legal in the file, but not seen here. */
PSGVIT_API const char *psgvit_weights_metadata_key(const psgvit_weights *weights, size_t index);
PSGVIT_API const char *psgvit_weights_metadata_value(const psgvit_weights *weights, size_t index);
/* The value of a key, NULL if there is none. */
PSGVIT_API const char *psgvit_weights_metadata(const psgvit_weights *weights, const char *key);
/* Elements [first, first + count) as float32. For F32, F16, BF16 and F64; others are
 * PSGVIT_E_MODEL. NaN and infinity pass. A table of a variant has no data: PSGVIT_E_ARGUMENT. */
PSGVIT_API psgvit_status psgvit_weights_read(const psgvit_weights *weights,
                                             const psgvit_tensor *tensor, uint64_t first,
                                             size_t count, float *values, psgvit_error *err);
/* The verdict: is this a sound OSF or EEGPT model? Checks names, shapes, dtypes, the config (NULL:
 * the one in the metadata, if any) and that every weight that is used is finite. `model` becomes
 * "osf" or "eegpt" (may be NULL). Needs no device. */
PSGVIT_API psgvit_status psgvit_weights_verify(const psgvit_weights *weights,
                                               const char *config_json, const char **model,
                                               psgvit_error *err);
/* Frees the handle and sets it to NULL. NULL is allowed. */
PSGVIT_API void psgvit_weights_close(psgvit_weights **weights);

#ifdef __cplusplus
}
#endif
#endif
