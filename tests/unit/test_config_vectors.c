/* SPDX-License-Identifier: MIT */
/*
 * The configs of tests/vectors, which the reference's own code wrote: the tables made of them are
 * its state_dict name by name, and a file with those tensors is read as what the config says.
 */
#include "unit/model_file.h"
#include "weights/config.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VECTORS = 20 }; /* of the folder; all are looked at */

/* The number of a key, at the top or in kwargs. */
static double number(const cJSON *config, const char *key, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    if (!item)
        item = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(config, "kwargs"),
                                                key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : item ? item->valuedouble : otherwise;
}

static void expect_number(size_t value, const cJSON *config, const char *key, double otherwise)
{
    if ((double)value != number(config, key, otherwise))
        fail_msg("%s is %zu, the config says %g", key, value, number(config, key, otherwise));
}

/* The table, tensor by tensor in its order, against the state_dict. */
static void compare_tables(const model_file *m, const cJSON *tensors)
{
    const cJSON *shape = tensors->child;
    for (size_t i = 0; i < m->count; i++, shape = shape->next) {
        assert_non_null(shape);
        assert_string_equal(m->tensors[i].name, shape->string);
        assert_int_equal(m->tensors[i].rank, cJSON_GetArraySize(shape));
        for (size_t k = 0; k < m->tensors[i].rank; k++)
            assert_int_equal(m->tensors[i].shape[k], cJSON_GetArrayItem(shape, (int)k)->valueint);
        assert_int_equal(m->tensors[i].dtype, strcmp(shape->string, "chans_id") == 0
                                                  ? PSGVIT_DTYPE_I64
                                                  : PSGVIT_DTYPE_F32);
    }
    assert_null(shape);
}

static void check_osf(const psgvit_weights *w, const char *text, const cJSON *config)
{
    model_log log;
    pv_log to = model_log_to(&log);
    psgvit_error err;
    pv_osf_config c;
    if (pv_osf_config_read(&c, w, text, &to, &err))
        fail_msg("%s", err.message);
    assert_string_equal(log.text, "");
    const char *name =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "encoder_name"));
    assert_string_equal(c.variant, strcmp(name, "vit_one_head") == 0 ? "custom" : name);
    expect_number(c.width, config, "width", 0);
    expect_number(c.depth, config, "depth", 0);
    expect_number(c.heads, config, "heads", 0);
    expect_number(c.mlp_dim, config, "mlp_dim", 0);
    expect_number(c.leads, config, "num_leads", 0);
    expect_number(c.lead_wise, config, "lead_wise", 0);
    expect_number(c.patch_leads, config, "patch_size_ch", 0);
    expect_number(c.patch_samples, config, "patch_size_time", 0);
    expect_number(c.samples, config, "seq_len", 0);
    assert_int_equal(c.max_patches, c.lead_wise ? 90 : 30);
    assert_int_equal(c.has_out, c.heads > 1);
}

static void check_eegpt(const psgvit_weights *w, const char *text, const cJSON *config)
{
    model_log log;
    pv_log to = model_log_to(&log);
    psgvit_error err;
    pv_eegpt_config c;
    if (pv_eegpt_config_read(&c, w, text, &to, &err))
        fail_msg("%s", err.message);
    assert_string_equal(log.text, "");
    expect_number(c.channels, config, "n_chans", 0);
    expect_number(c.samples, config, "n_times", 0);
    expect_number(c.width, config, "embed_dim", 0);
    expect_number(c.depth, config, "depth", 0);
    expect_number(c.heads, config, "num_heads", 0);
    expect_number(c.patch_samples, config, "patch_size", 64);
    expect_number(c.patch_stride, config, "patch_stride", 32);
    expect_number(c.summary, config, "embed_num", 4);
    expect_number(c.qkv_bias, config, "qkv_bias", 1);
    assert_int_equal(c.mlp_dim, (size_t)((double)c.width * number(config, "mlp_ratio", 4)));
    double eps = number(config, "layer_norm_eps", 1e-6);
    assert_true(c.eps >= eps && c.eps <= eps);
    if (number(config, "return_encoder_output", 0) > 0)
        assert_int_equal(c.outputs, 0);
    else
        expect_number(c.outputs, config, "n_outputs", 0);
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(config, "chans_id");
    assert_int_equal(c.tokens, cJSON_GetArraySize(ids));
    for (size_t i = 0; i < c.tokens; i++)
        assert_int_equal(c.ids[i], cJSON_GetArrayItem(ids, (int)i)->valueint);
    pv_eegpt_config_free(&c);
}

/* Without its chans_id, in the file and in the config, a model gets the same ids of the names. */
static void check_names(const cJSON *config, model_file *m)
{
    cJSON *without = cJSON_Duplicate(config, 1);
    cJSON_DeleteItemFromObjectCaseSensitive(without, "chans_id");
    char *text = cJSON_PrintUnformatted(without);
    model_find(m, "chans_id")->left_out = true;
    check_eegpt(model_open(m), text, config);
    cJSON_free(text);
    cJSON_Delete(without);
}

static void check_vector(const char *name)
{
    char path[512];
    psgvit_error err;
    psgvit_weights *vector;
    snprintf(path, sizeof path, "%s/vectors/%s", TESTS_DIR, name);
    if (psgvit_weights_open(&vector, path, NULL, &err))
        fail_msg("%s", err.message);
    const char *text = psgvit_weights_metadata(vector, "config");
    cJSON *config = cJSON_Parse(text);
    assert_non_null(config);
    bool osf = strncmp(name, "osf_", 4) == 0;
    model_file m = model_of(osf ? "osf-nano" : "eegpt", text);
    compare_tables(&m, cJSON_GetObjectItemCaseSensitive(config, "tensors"));
    if (osf) { /* the shapes are all: a table will do */
        psgvit_weights *table;
        assert_int_equal(psgvit_weights_open_variant(&table, "osf-nano", text, &err), PSGVIT_OK);
        check_osf(table, text, config);
        check_osf(table, "{}", config);
        psgvit_weights_close(&table);
    } else {
        check_eegpt(model_open(&m), text, config);
        check_eegpt(model_open(&m), NULL, config);
        check_names(config, &m);
    }
    model_free(&m);
    cJSON_Delete(config);
    psgvit_weights_close(&vector);
}

static void test_vectors(void **state)
{
    (void)state;
    DIR *folder = opendir(TESTS_DIR "/vectors");
    assert_non_null(folder);
    size_t seen = 0;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (!strstr(entry->d_name, ".safetensors"))
            continue;
        check_vector(entry->d_name);
        seen++;
    }
    closedir(folder);
    assert_int_equal(seen, VECTORS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests_name("config_vectors", tests, NULL, NULL);
}
