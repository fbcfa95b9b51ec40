/* SPDX-License-Identifier: MIT */
/*
 * Synthetic weights: the same bits in every language, so that parity data and demonstrations need
 * no stored weights. Element i (row-major) of tensor NAME under SEED is u =
 * (splitmix64((fnv1a64(NAME) ^ SEED) + i * 0x9E3779B97F4A7C15) >> 40) * 2^-23 - 1 scaled by the
 * first rule that fits the name:
 *   1. NAME ends in ".weight", the component before it contains "norm":  1 + u/8
 *   2. NAME ends in ".bias":                                             u/16
 *   3. NAME contains cls_token, pos_embedding, lead_emb, summary_token or chan_embed:  u/4
 *   4. otherwise u * s, s the largest power of two <= sqrt(3 / (product of shape[1:])); if NAME
 * ends in ".original", even rows times 4 and odd rows times 1/16: above and below a max-norm limit.
 * Each is exact in float32, but for the sum of rule 1, which is rounded once.
 */
#ifndef TOOLS_SYNTH_WEIGHTS_H
#define TOOLS_SYNTH_WEIGHTS_H

#include <psgvit/weights.h>

#include <stdbool.h>

/* Outliers, as trained models have them (`tails`): norm weights at i % 53 == 5 are 4 times as
 * large; in the MLP's first layer rows r % 61 == 7 are 2^16 times as large, in its second the same
 * columns 2^-16 times: hidden values beyond float16's range in a well-conditioned model. */
typedef struct synth_options {
    uint64_t seed;
    bool tails;
    const int64_t *chans_id; /* of an EEGPT model; NULL: those of its config, else 0, 1, 2 ... */
    size_t chans_id_count;
} synth_options;

/* The whole tensor NAME of that shape, row-major, into `out`. rank 0 is one element. */
void synth_weights_fill(const char *name, const uint64_t *shape, size_t rank, uint64_t seed,
                        bool tails, float *out);

/* Takes the next bytes of a file; false ends the writing. */
typedef bool (*synth_sink_fn)(void *user, const void *bytes, size_t size);

/* A whole safetensors file of the tensors in `table` (psgvit_weights_open_variant makes one), with
 * its metadata and the entries `weights` = "synthetic" and `seed`, in pieces of at most one tensor.
 * F32 tensors are synthetic, I64 ones are channel ids; other types are PSGVIT_E_ARGUMENT. A sink
 * that says no is PSGVIT_E_CANCELLED. */
psgvit_status synth_model_write(const psgvit_weights *table, const synth_options *options,
                                synth_sink_fn sink, void *user, psgvit_error *err);
/* The same into memory, freed by free(). */
psgvit_status synth_model_image(const psgvit_weights *table, const synth_options *options,
                                unsigned char **bytes, size_t *size, psgvit_error *err);

#endif
