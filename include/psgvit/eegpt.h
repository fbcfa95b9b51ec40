/* SPDX-License-Identifier: MIT */
/*
 * EEGPT, a transformer over the EEG channels of each time patch.
 * Reference: braindecode/models/eegpt.py of braindecode 1.8.1, a port of BINE022/EEGPT. A complete
 * program, which prints the features of a silent second of signal:
 *
 *     #include <psgvit/eegpt.h>
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         psgvit_error err;
 *         psgvit_device *dev = NULL;
 *         eegpt_encoder *enc = NULL;
 *         const char *path = argc > 1 ? argv[1] : "model.safetensors";
 *         if (psgvit_device_open(&dev, NULL, &err) ||
 *             eegpt_encoder_open(&enc, dev, path, NULL, &err)) {
 *             fprintf(stderr, "%s\n", err.message);
 *             psgvit_device_close(&dev);
 *             return 1;
 *         }
 *         const eegpt_info *info = eegpt_encoder_info(enc);
 *         eegpt_job job = {.struct_size = sizeof(job)};
 *         job.epochs = 1;
 *         job.samples = info->samples;
 *         job.features_capacity =
 *             eegpt_patch_count(enc, job.samples) * info->summary_tokens * info->width;
 *         float *signal = (float *)calloc(info->channels * job.samples, sizeof(float));
 *         job.features = (float *)calloc(job.features_capacity, sizeof(float));
 *         job.signal = signal;
 *         if (eegpt_encode(enc, &job, &err))
 *             fprintf(stderr, "%s\n", err.message);
 *         else
 *             printf("features[0] = %g\n", (double)job.features[0]);
 *         free(job.features);
 *         free(signal);
 *         eegpt_encoder_close(&enc);
 *         psgvit_device_close(&dev);
 *         return err.code != PSGVIT_OK;
 *     }
 */
#ifndef PSGVIT_EEGPT_H
#define PSGVIT_EEGPT_H

#include <psgvit/psgvit.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Weights, prepared on a device. Immutable. Thread-safety: safe; any number of threads may encode
 * with one encoder at once, each borrows scratch memory from its pool. */
typedef struct eegpt_encoder eegpt_encoder;

/* The config is braindecode's: without one heads are 8 and the stride is 32. */
typedef psgvit_encoder_params eegpt_encoder_params;

typedef struct eegpt_info {
    size_t channels;       /* C of the input */
    size_t tokens;         /* C' that the encoder sees: C, or n_chans_target after a chan_proj */
    size_t samples;        /* T of the config (n_times); 0 if there is none */
    double sample_rate;    /* Hz, of the config (sfreq); 0 if there is none */
    size_t width;          /* D */
    size_t depth;          /* blocks */
    size_t heads;
    size_t mlp_dim;        /* hidden width of the MLP */
    size_t patch_samples;
    size_t patch_stride;
    size_t summary_tokens; /* embed_num: tokens kept of each patch, 4 */
    size_t outputs;        /* n_outputs of the probe; 0: the model has none */
    size_t probe_patches;  /* P that the probe was made for; 0: the model has none */
    uint64_t parameters;   /* numbers in the tensors that are used */
    psgvit_precision precision;
} eegpt_info;

/* Reads a safetensors file. Once it has returned, the file may change or vanish. PSGVIT_E_MODEL
 * names the tensor, the expected shape and the found one. The device must outlive the encoder. */
PSGVIT_API psgvit_status eegpt_encoder_open(eegpt_encoder **encoder, psgvit_device *device,
                                            const char *path, const eegpt_encoder_params *params,
                                            psgvit_error *err);
/* The same from `size` bytes at `data`, any alignment, needed until the call returns. */
PSGVIT_API psgvit_status eegpt_encoder_open_memory(eegpt_encoder **encoder, psgvit_device *device,
                                                   const void *data, size_t size,
                                                   const eegpt_encoder_params *params,
                                                   psgvit_error *err);
/* Belongs to the encoder. */
PSGVIT_API const eegpt_info *eegpt_encoder_info(const eegpt_encoder *encoder);
/* Name of input channel i: of the config (chs_info, ch_names) as it stands there; without names and
 * without a chan_proj the 10-20 position of the embedding that the channel gets (chans_id), such as
 * "FPZ". "" if neither tells it, or i is not below info's channels. Belongs to the encoder. */
PSGVIT_API const char *eegpt_channel_name(const eegpt_encoder *encoder, size_t i);
/* Patches P of a window of `samples` samples, the last one padded with zeros; 0 if it is shorter
 * than one patch. */
PSGVIT_API size_t eegpt_patch_count(const eegpt_encoder *encoder, size_t samples);
/* Frees the encoder and sets it to NULL; no call may be running. NULL is allowed. */
PSGVIT_API void eegpt_encoder_close(eegpt_encoder **encoder);

/* B windows to embed. An output that is NULL is not wanted and not computed; one must be. */
typedef struct eegpt_job {
    size_t struct_size;
    const float *signal;      /* [B, C, T] at the model's rate, in the unit of its training data */
    size_t epochs;            /* B, any number: the library forms batches; 0 does nothing, and
                                 `signal` may be NULL then */
    size_t samples;           /* T of a window; 0: the config's n_times */
    float *features;          /* [B, P, summary_tokens, D] */
    size_t features_capacity; /* in floats, here and below */
    float *logits;            /* [B, outputs]; PSGVIT_E_MODEL if the model has no probe */
    size_t logits_capacity;
    size_t batch;             /* most windows at once; 0: what suits the device. A CPU takes fewer
                                 where so many would be slower; on a GPU two batches are under way
                                 where memory has room for both */
    psgvit_nan_policy nan;
    size_t first_epoch;       /* what errors call the first window, for callers that go in parts */
    psgvit_progress_fn progress;
    psgvit_cancel_fn cancel;
    void *user;               /* for all callbacks */
    double *device_ms;        /* becomes the time by the device's own clock, a discrete GPU's copies
                                 from and to the host left out; 0: it has none, as the CPU; NULL:
                                 not wanted */
    psgvit_profile_fn profile; /* takes the time of every step; NULL: not measured */
} eegpt_job;

/* Blocks until the outputs are written. On failure their content is unspecified. Allocates nothing
 * once the encoder has seen a job of this shape (epochs, samples, outputs, batch) by as many
 * threads at once, and jobs of no more than one other shape since. */
PSGVIT_API psgvit_status eegpt_encode(eegpt_encoder *encoder, const eegpt_job *job,
                                      psgvit_error *err);

#ifdef __cplusplus
}
#endif
#endif
