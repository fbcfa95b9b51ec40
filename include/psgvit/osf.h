/* SPDX-License-Identifier: MIT */
/*
 * OSF, a vision transformer over 12-channel polysomnography, one 30 s epoch at a time.
 * Reference: osf/backbone/vit1d_cls.py of yang-ai-lab/OSF-Open-Sleep-FM. A complete program:
 *
 *     #include <psgvit/osf.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         psgvit_error err;
 *         psgvit_device *dev = NULL;
 *         osf_encoder *enc = NULL;
 *         static float signal[1 * 12 * 1920]; // one silent epoch: channels x samples at 64 Hz
 *         float cls[1536];                    // room for the widest variant
 *         osf_job job = {.struct_size = sizeof(job)};
 *         job.signal = signal;
 *         job.epochs = 1;
 *         job.cls = cls;
 *         job.cls_capacity = 1536;
 *         if (psgvit_device_open(&dev, NULL, &err) ||
 *             osf_encoder_open(&enc, dev, argc > 1 ? argv[1] : "osf.safetensors", NULL, &err) ||
 *             osf_encode(enc, &job, &err))
 *             fprintf(stderr, "%s\n", err.message);
 *         else
 *             printf("%s: cls[0] = %g\n", osf_encoder_info(enc)->variant, (double)cls[0]);
 *         osf_encoder_close(&enc);
 *         psgvit_device_close(&dev);
 *         return err.code != PSGVIT_OK;
 *     }
 */
#ifndef PSGVIT_OSF_H
#define PSGVIT_OSF_H

#include <psgvit/psgvit.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Weights, prepared on a device. Immutable. Thread-safety: safe; any number of threads may encode
 * with one encoder at once, each borrows scratch memory from its pool. */
typedef struct osf_encoder osf_encoder;

/* A config only confirms what the shapes tell: a contradiction is PSGVIT_E_MODEL. */
typedef psgvit_encoder_params osf_encoder_params;

/* Inferred from the shapes of the tensors, but for the precision. */
typedef struct osf_info {
    const char *variant; /* "vit_base" ..., or "custom" for a size without a name */
    size_t width;        /* D */
    size_t depth;        /* blocks */
    size_t heads;        /* H, each of dimension 64 */
    size_t mlp_dim;      /* hidden width of the MLP */
    size_t leads;        /* channels of an epoch: 12 */
    size_t lead_wise;    /* 1: patches of patch_leads x patch_samples, 0: of all leads */
    size_t patch_leads;
    size_t patch_samples;
    size_t samples;      /* T of a full epoch: 1920 */
    size_t patches;      /* tokens without CLS of a full epoch: 90, or 30 if lead_wise is 0 */
    uint64_t parameters; /* numbers in the tensors that are used */
    psgvit_precision precision;
} osf_info;

/* Reads a safetensors file. Once it has returned, the file may change or vanish. PSGVIT_E_MODEL
 * names the tensor, the expected shape and the found one. The device must outlive the encoder. */
PSGVIT_API psgvit_status osf_encoder_open(osf_encoder **encoder, psgvit_device *device,
                                          const char *path, const osf_encoder_params *params,
                                          psgvit_error *err);
/* The same from `size` bytes at `data`, any alignment, needed until the call returns. */
PSGVIT_API psgvit_status osf_encoder_open_memory(osf_encoder **encoder, psgvit_device *device,
                                                 const void *data, size_t size,
                                                 const osf_encoder_params *params,
                                                 psgvit_error *err);
/* Belongs to the encoder. */
PSGVIT_API const osf_info *osf_encoder_info(const osf_encoder *encoder);
/* Patches N of an epoch of `samples` samples; 0 if the model can't take that length: it must be a
 * multiple of patch_samples, at least one patch and at most the model's own length. */
PSGVIT_API size_t osf_patch_count(const osf_encoder *encoder, size_t samples);
/* Frees the encoder and sets it to NULL; no call may be running. NULL is allowed. */
PSGVIT_API void osf_encoder_close(osf_encoder **encoder);

/* E epochs to embed. An output that is NULL is not wanted and not computed; one must be. */
typedef struct osf_job {
    size_t struct_size;
    const float *signal;      /* [E, leads, samples], 64 Hz, z-scored; a missing lead is zeros */
    size_t epochs;            /* E, any number: the library forms batches; 0 does nothing, and
                                 `signal` may be NULL then */
    size_t samples;           /* T of an epoch; 0: the model's own */
    float *cls;               /* [E, D] */
    size_t cls_capacity;      /* in floats, here and below */
    float *patches;           /* [E, N, D], lead group major, time minor */
    size_t patches_capacity;
    float *mean;              /* [E, D], mean of the patches */
    size_t mean_capacity;
    size_t batch;             /* most epochs at once; 0: what suits the device. A CPU takes fewer
                                 where so many would be slower; on a GPU two batches are under way
                                 where memory has room for both */
    int no_clamp;             /* 0: samples are clamped to [-6, 6] as by the reference's loader */
    psgvit_nan_policy nan;
    size_t first_epoch;       /* what errors call the first epoch, for callers that go in parts */
    psgvit_progress_fn progress;
    psgvit_cancel_fn cancel;
    void *user;               /* for all callbacks */
    double *device_ms;        /* becomes the time by the device's own clock, a discrete GPU's copies
                                 from and to the host left out; 0: it has none, as the CPU; NULL:
                                 not wanted */
    psgvit_profile_fn profile; /* takes the time of every step; NULL: not measured */
} osf_job;

/* Blocks until the outputs are written. On failure their content is unspecified. Allocates nothing
 * once the encoder has seen a job of this shape (epochs, samples, outputs, batch) by as many
 * threads at once, and jobs of no more than one other shape since. */
PSGVIT_API psgvit_status osf_encode(osf_encoder *encoder, const osf_job *job, psgvit_error *err);

#ifdef __cplusplus
}
#endif
#endif
