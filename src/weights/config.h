/* SPDX-License-Identifier: MIT */
/*
 * What a model is, told by the shapes of its tensors and confirmed or completed by its config.
 * json.c reads the text (cJSON) strictly; osf_config.c and eegpt_config.c know their model: they
 * fill the structs below, contradict a config that contradicts the file, and list the tensors that
 * the model must hold (rows.h). Sources: vit1d_cls.py of OSF, eegpt.py of braindecode 1.8.1.
 */
#ifndef PV_WEIGHTS_CONFIG_H
#define PV_WEIGHTS_CONFIG_H

#include "base/log.h"
#include "weights/safetensors.h"

#include <stdbool.h>

typedef struct pv_osf_config {
    char variant[32]; /* "vit_base" ..., "custom" */
    size_t width;     /* D */
    size_t depth;
    size_t heads;         /* H; the head dimension is 64 in every variant */
    size_t mlp_dim;       /* M */
    size_t leads;         /* 12 */
    size_t lead_wise;     /* 1: 2-D patches, 0: 1-D patches over all leads */
    size_t patch_leads;   /* 4, or `leads` if lead_wise is 0 */
    size_t patch_samples; /* 64 */
    size_t max_patches;   /* N_max: position rows without that of CLS */
    size_t samples;       /* T of a full epoch: max_patches / groups * patch_samples */
    bool has_out;         /* false: H == 1 and D == 64, there is no to_out */
} pv_osf_config;

typedef enum pv_chan_proj {
    PV_CHAN_PROJ_NONE,
    PV_CHAN_PROJ_LINEAR, /* chan_proj.proj.weight [C', C] */
    PV_CHAN_PROJ_CONV1D, /* chan_proj.proj.parametrizations.weight.original [C', C, 1], max-norm */
} pv_chan_proj;

typedef struct pv_eegpt_config {
    char prefix[16]; /* in front of every key: "" or "model." */
    pv_chan_proj chan_proj;
    double chan_max_norm; /* of each row of a CONV1D chan_proj */
    size_t channels;      /* C of the input */
    size_t tokens;        /* C': C, or n_chans_target after a chan_proj */
    size_t samples;       /* T, n_times; 0: unknown */
    double sample_rate;   /* sfreq; 0: unknown */
    size_t width;         /* D */
    size_t depth;
    size_t heads;
    size_t mlp_dim;
    size_t patch_samples;
    size_t patch_stride;
    size_t summary; /* embed_num */
    double eps;     /* of every LayerNorm */
    bool qkv_bias;
    size_t channel_rows;  /* rows of chan_embed */
    int64_t *ids;         /* [tokens] rows of chan_embed; owned, pv_eegpt_config_free */
    char **names;         /* [channels] of the input: the config's, else by ids without a chan_proj;
                             "": unknown; owned, with the text behind the pointers */
    size_t outputs;       /* of the probe; 0: there is none */
    size_t probe_patches; /* P of the probe */
} pv_eegpt_config;

enum { PV_PROBE_HIDDEN = 16 }; /* width of probe1, a constant of the reference */
#define PV_PROBE1_MAX_NORM 1.0 /* of its rows */
#define PV_PROBE2_MAX_NORM 0.25

/* Patches of a window of `samples` samples after padding on the right; 0 if it is too short. */
size_t pv_eegpt_patches(const pv_eegpt_config *config, size_t samples);

/* Reads what the file and the config say (config_json NULL: `config` in the file's metadata, if
 * any) and checks every tensor: missing, misshapen and of a type that is no float is
 * PSGVIT_E_MODEL; extra ones are warnings in the log, but for the known companions of a checkpoint.
 * Values are not read, but for chans_id. */
psgvit_status pv_osf_config_read(pv_osf_config *config, const psgvit_weights *weights,
                                 const char *config_json, const pv_log *log, psgvit_error *err);
psgvit_status pv_eegpt_config_read(pv_eegpt_config *config, const psgvit_weights *weights,
                                   const char *config_json, const pv_log *log, psgvit_error *err);
void pv_eegpt_config_free(pv_eegpt_config *config);

/* Which model is in the file: "osf", "eegpt", or NULL with PSGVIT_E_MODEL. */
const char *pv_model_kind(const psgvit_weights *weights, psgvit_error *err);

/* The text of a config file, at most 1 MiB, NUL-terminated; free with free(). */
psgvit_status pv_config_load(char **json, const char *path, psgvit_error *err);

#endif
