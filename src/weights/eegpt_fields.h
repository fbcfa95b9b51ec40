/* SPDX-License-Identifier: MIT */
/*
 * What a config of EEGPT says: the arguments of braindecode's constructor, each of which may be
 * absent, and what follows from them for the rows of the channel embedding.
 */
#ifndef PV_WEIGHTS_EEGPT_FIELDS_H
#define PV_WEIGHTS_EEGPT_FIELDS_H

#include "weights/rows.h"

enum { PV_CHAN_PROJ_ABSENT = -1 };

typedef struct pv_eegpt_fields {
    size_t n_chans, n_times, n_outputs, n_chans_target; /* 0: absent, here and below */
    size_t patch_size, patch_stride, embed_num, embed_dim, depth, num_heads;
    bool stride_is_patch; /* patch_stride is null */
    double sfreq, mlp_ratio, layer_norm_eps, chan_conv_max_norm;
    bool has_qkv_bias, qkv_bias; /* false, false: absent */
    bool has_return, return_encoder_output;
    int chan_proj;         /* a pv_chan_proj, or PV_CHAN_PROJ_ABSENT */
    const cJSON *names;    /* first of the strings, or of the objects with a ch_name */
    const char *names_key; /* "chs_info" or "ch_names" */
    size_t name_count;
    const cJSON *ids; /* first of the numbers of chans_id */
    size_t id_count;
} pv_eegpt_fields;

/* What is read belongs to the config. */
psgvit_status pv_eegpt_fields_read(pv_eegpt_fields *fields, const pv_json *json, psgvit_error *err);

/* "none", "linear", "conv1d_constraint". */
const char *pv_chan_proj_name(pv_chan_proj chan_proj);

/* Name of a channel; `item` goes from fields->names along ->next. */
const char *pv_eegpt_name(const cJSON *item);

/* What no shape tells: heads, stride, lengths, epsilon, of the config or the reference's defaults,
 * all checked against width and patch_samples, which are set already. */
psgvit_status pv_eegpt_take_fields(pv_eegpt_config *config, const pv_eegpt_fields *fields,
                                   const char *file, psgvit_error *err);

/* The reference's int(embed_dim * mlp_ratio); 0 if it is beyond PV_SIZE_MAX. */
size_t pv_eegpt_hidden(size_t width, double ratio);

/* Most channels of a table without data, whose ids must be counted out. */
enum { PV_VARIANT_CHANNELS_MAX = 65536 };

/* Sets config->ids, one of config->channel_rows rows for each of config->tokens channels: from the
 * tensor chans_id (`weights` and `tensor` may be NULL), else from the config's chans_id, else of
 * the names, else counted. What the tensor and the config disagree on is a warning. */
psgvit_status pv_eegpt_ids(pv_eegpt_config *config, const pv_eegpt_fields *fields, const char *file,
                           const psgvit_weights *weights, const psgvit_tensor *tensor,
                           const pv_log *log, psgvit_error *err);

/* Sets config->names from the fields' names, else from config->ids. */
psgvit_status pv_eegpt_channel_names(pv_eegpt_config *config, const pv_eegpt_fields *fields,
                                     psgvit_error *err);

#endif
