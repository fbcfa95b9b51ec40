/* SPDX-License-Identifier: MIT */
/* The verdict on a model file: its kind, its config, its tensors, and every number that is used. */
#include "weights/rows.h"

#include "base/status.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 65536 }; /* elements read at once */

typedef struct verifier {
    const psgvit_weights *weights;
    float *chunk; /* [CHUNK] */
} verifier;

psgvit_status pv_weights_fail_special(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                      uint64_t index, psgvit_error *err)
{
    float value = 0;
    PV_TRY(psgvit_weights_read(weights, tensor, index, 1, &value, err));
    return pv_fail(err, PSGVIT_E_MODEL, "%s: tensor '%s': element %" PRIu64 " is %s",
                   pv_weights_name(weights), tensor->name, index,
                   isnan(value) ? "NaN" : "infinite as float32");
}

static psgvit_status check_chunk(const verifier *v, const psgvit_tensor *t, uint64_t first,
                                 size_t count, psgvit_error *err)
{
    uint64_t bad;
    PV_TRY(pv_weights_read_checked(v->weights, t, first, count, v->chunk, &bad, err));
    return bad == UINT64_MAX ? PSGVIT_OK : pv_weights_fail_special(v->weights, t, bad, err);
}

/* Is called after all names and shapes have been checked. */
static psgvit_status check_finite(void *user, const pv_row *row, psgvit_error *err)
{
    const verifier *v = user;
    const psgvit_tensor *t = psgvit_weights_find(v->weights, row->table.name);
    if (!row->used || !t)
        return PSGVIT_OK;
    for (uint64_t first = 0; first < t->elements; first += CHUNK) {
        uint64_t left = t->elements - first;
        PV_TRY(check_chunk(v, t, first, left < CHUNK ? (size_t)left : CHUNK, err));
    }
    return PSGVIT_OK;
}

static psgvit_status verify_osf(verifier *v, const char *config_json, psgvit_error *err)
{
    pv_osf_config config;
    PV_TRY(pv_osf_config_read(&config, v->weights, config_json, NULL, err));
    return pv_osf_rows(&config, check_finite, v, err);
}

static psgvit_status verify_eegpt(verifier *v, const char *config_json, psgvit_error *err)
{
    pv_eegpt_config config;
    PV_TRY(pv_eegpt_config_read(&config, v->weights, config_json, NULL, err));
    psgvit_status status = pv_eegpt_rows(&config, 1, check_finite, v, err);
    pv_eegpt_config_free(&config);
    return status;
}

psgvit_status psgvit_weights_verify(const psgvit_weights *weights, const char *config_json,
                                    const char **model, psgvit_error *err)
{
    if (model)
        *model = NULL;
    if (!weights)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "weights is NULL");
    const char *kind = pv_model_kind(weights, err);
    if (!kind)
        return PSGVIT_E_MODEL;
    verifier v = {.weights = weights, .chunk = malloc(CHUNK * sizeof(float))};
    if (!v.chunk)
        return pv_fail_memory(err, "verifying", CHUNK * sizeof(float));
    psgvit_status status = strcmp(kind, "osf") == 0 ? verify_osf(&v, config_json, err)
                                                    : verify_eegpt(&v, config_json, err);
    free(v.chunk);
    if (status != PSGVIT_OK)
        return status;
    if (model)
        *model = kind;
    return pv_ok(err);
}
