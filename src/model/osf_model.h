/* SPDX-License-Identifier: MIT */
/* OSF: its weights on a device, and its forward pass. Source: osf/backbone/vit1d_cls.py of
 * yang-ai-lab/OSF-Open-Sleep-FM. */
#ifndef PV_MODEL_OSF_MODEL_H
#define PV_MODEL_OSF_MODEL_H

#include "model/pass.h"
#include "model/vit_block.h"
#include "weights/config.h"

enum pv_osf_output { PV_OSF_CLS, PV_OSF_PATCHES, PV_OSF_MEAN };

typedef struct pv_osf_model {
    pv_osf_config config;
    pv_store *store;
    pv_linear_weight patch; /* [D, patch_leads * patch_samples], no bias */
    pv_tensor table;        /* [N_max + 1, D]: positions, CLS added to the first */
    pv_vit_block *blocks;   /* [depth] */
    pv_norm_weight norm;
    uint64_t parameters;
} pv_osf_model;

psgvit_status pv_osf_load(pv_osf_model *model, psgvit_device *device,
                          const psgvit_weights *weights, const char *config_json,
                          psgvit_precision precision, psgvit_error *err);
void pv_osf_free(pv_osf_model *model);

/* Patches of an epoch of `samples` samples; 0 if the model can't take that length. */
size_t pv_osf_patches(const pv_osf_config *config, size_t samples);

/* Records the pass for a shape that pv_osf_patches has found sound. */
psgvit_status pv_osf_record(const pv_osf_model *model, const pv_pass_shape *shape, pv_pass **pass,
                            psgvit_error *err);

#endif
