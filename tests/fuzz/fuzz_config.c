/* SPDX-License-Identifier: MIT */
/*
 * Configs from hostile bytes: as the config of a variant, whose table must then agree with it and
 * describe itself, and against models of another size, which must accept it or say why not.
 */
#include "weights/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static psgvit_weights *variant_of(const char *variant, const char *config, psgvit_error *err)
{
    psgvit_weights *table = NULL;
    psgvit_status status = psgvit_weights_open_variant(&table, variant, config, err);
    if (status != PSGVIT_OK && (status != PSGVIT_E_MODEL || !err->message[0] || table))
        abort();
    return table;
}

/* A table that a config made makes itself again. */
static void check_variant(const char *variant, const char *config)
{
    psgvit_error err;
    psgvit_weights *table = variant_of(variant, config, &err);
    if (!table)
        return;
    psgvit_weights *again = variant_of(variant, psgvit_weights_metadata(table, "config"), &err);
    if (!again || psgvit_weights_count(again) != psgvit_weights_count(table))
        abort();
    pv_osf_config osf;
    if (variant[0] == 'o' && pv_osf_config_read(&osf, table, config, NULL, &err))
        abort();
    psgvit_weights_close(&again);
    psgvit_weights_close(&table);
}

static void check_model(const char *variant, const char *config)
{
    psgvit_error err;
    pv_osf_config osf;
    pv_eegpt_config eegpt;
    psgvit_weights *table = variant_of(variant, "{\"depth\":1}", &err);
    if (!table)
        abort();
    if (variant[0] == 'o')
        (void)pv_osf_config_read(&osf, table, config, NULL, &err);
    else if (!pv_eegpt_config_read(&eegpt, table, config, NULL, &err))
        pv_eegpt_config_free(&eegpt);
    psgvit_weights_close(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *config = malloc(size + 1); /* of the exact size, so that one byte too far is seen */
    if (!config)
        return 0;
    memcpy(config, data, size);
    config[size] = '\0';
    check_variant("osf-nano", config);
    check_variant("eegpt", config);
    check_model("osf-nano", config);
    check_model("eegpt", config);
    free(config);
    return 0;
}
