/* SPDX-License-Identifier: MIT */
/* EEGPT: its weights on a device, and its forward pass. Source: braindecode/models/eegpt.py of
 * braindecode 1.8.1. */
#ifndef PV_MODEL_EEGPT_MODEL_H
#define PV_MODEL_EEGPT_MODEL_H

#include "model/pass.h"
#include "model/vit_block.h"
#include "weights/config.h"

enum pv_eegpt_output { PV_EEGPT_FEATURES, PV_EEGPT_LOGITS };

typedef struct pv_eegpt_model {
    pv_eegpt_config config;
    pv_store *store;
    pv_tensor chan_proj, chan_bias; /* [C', C], [1, C'], max-norm baked in; none without one */
    pv_linear_weight patch;         /* [D, patch_samples] */
    pv_tensor table;                /* [C' + summary, D]: channel embeddings, summary tokens */
    pv_vit_block *blocks;           /* [depth] */
    pv_linear_weight *heads;        /* [2 * H], or NULL: the last block's k_heads, then v_heads */
    pv_norm_weight norm;
    pv_linear_weight probe1;        /* [16, summary * D], max-norm baked in */
    pv_linear_weight probe2;        /* [outputs, P * 16], likewise */
    uint64_t parameters;
} pv_eegpt_model;

psgvit_status pv_eegpt_load(pv_eegpt_model *model, psgvit_device *device,
                            const psgvit_weights *weights, const char *config_json,
                            psgvit_precision precision, psgvit_error *err);
void pv_eegpt_free(pv_eegpt_model *model);

/* Records the pass for a window of at least one patch; logits only if the probe fits it. */
psgvit_status pv_eegpt_record(const pv_eegpt_model *model, const pv_pass_shape *shape,
                              pv_pass **pass, psgvit_error *err);

#endif
