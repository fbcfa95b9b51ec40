/* SPDX-License-Identifier: MIT */
/* EEGPT's configuration: shapes against braindecode's config.json; every tensor and key spoilt. */
#include "unit/model_file.h"
#include "weights/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZES  "\"n_times\":500,\"embed_dim\":32,\"depth\":3,\"num_heads\":4,\"mlp_ratio\":1.5"
#define SMALL  "{" SIZES ",\"n_chans\":3}"
#define CONV   "{" SIZES ",\"n_chans\":5,\"chan_proj_type\":\"conv1d_constraint\"}"
#define LINEAR "{" SIZES ",\"n_chans\":5,\"chan_proj_type\":\"linear\"}"
#define PROBE2 "final_layer.probe2.parametrizations.weight.original"

static model_log said;

static psgvit_status try_read(model_file *m, const char *config, pv_eegpt_config *c,
                              psgvit_error *err)
{
    pv_log log = model_log_to(&said);
    return pv_eegpt_config_read(c, model_open(m), config, &log, err);
}

/* To be freed. */
static pv_eegpt_config expect_ok(model_file *m, const char *config)
{
    psgvit_error err;
    pv_eegpt_config c;
    if (try_read(m, config, &c, &err))
        fail_msg("%s", err.message);
    return c;
}

/* Of a config that need not be freed. */
static pv_eegpt_config expect_sizes(model_file *m, const char *config)
{
    pv_eegpt_config c = expect_ok(m, config);
    pv_eegpt_config_free(&c);
    return c;
}

/* The sentence of a failure that must come, until the next call. */
static const char *expect_error(model_file *m, const char *config)
{
    static psgvit_error err;
    pv_eegpt_config c;
    memset(&err, 0, sizeof err);
    psgvit_status status = try_read(m, config, &c, &err);
    if (status != PSGVIT_E_MODEL)
        fail_msg("status %d with config %s", (int)status, config ? config : "of the metadata");
    assert_null(c.ids);
    return err.message;
}

/* ---- what is right --------------------------------------------------------------------------- */

static void test_default(void **state)
{
    (void)state;
    model_file m = model_of("eegpt", NULL);
    assert_int_equal(m.count, 3 + 1 + 1 + 8 * 12 + 2 + 4);
    pv_eegpt_config c = expect_ok(&m, NULL);
    assert_string_equal(said.text, "");
    assert_int_equal(c.chan_proj, PV_CHAN_PROJ_NONE);
    assert_int_equal(c.channels, 22);
    assert_int_equal(c.tokens, 22);
    assert_int_equal(c.samples, 1000);
    assert_true(c.sample_rate > 255.9 && c.sample_rate < 256.1);
    assert_int_equal(c.width, 512);
    assert_int_equal(c.depth, 8);
    assert_int_equal(c.heads, 8);
    assert_int_equal(c.mlp_dim, 2048);
    assert_int_equal(c.patch_samples, 64);
    assert_int_equal(c.patch_stride, 32);
    assert_int_equal(c.summary, 4);
    assert_true(c.eps > 0.9999e-6 && c.eps < 1.0001e-6);
    assert_true(c.qkv_bias);
    assert_int_equal(c.channel_rows, 62);
    assert_int_equal(c.ids[21], 21);
    assert_int_equal(c.outputs, 4);
    assert_int_equal(c.probe_patches, 31);
    pv_eegpt_config_free(&c);
    c = expect_sizes(&m, "{}"); /* nothing but the shapes */
    assert_int_equal(c.samples, 0);
    assert_int_equal(c.heads, 8);
    assert_int_equal(c.patch_stride, 32);
    assert_int_equal(c.probe_patches, 31);
    model_free(&m);
}

static void test_other_sizes(void **state)
{
    (void)state;
    model_file m = model_of("eegpt", "{\"embed_dim\":96,\"depth\":1,\"n_chans\":70,\"kwargs\":{"
                                     "\"patch_size\":48,\"patch_stride\":null,\"embed_num\":2,"
                                     "\"mlp_ratio\":0.34,\"qkv_bias\":false,\"num_heads\":3,"
                                     "\"layer_norm_eps\":1e-05,\"n_outputs\":7}}");
    pv_eegpt_config c = expect_sizes(&m, NULL);
    assert_int_equal(c.patch_samples, 48);
    assert_int_equal(c.patch_stride, 48);
    assert_int_equal(c.summary, 2);
    assert_int_equal(c.mlp_dim, 32); /* int(32.64) */
    assert_int_equal(c.heads, 3);
    assert_false(c.qkv_bias);
    assert_true(c.eps > 0.9999e-5 && c.eps < 1.0001e-5);
    assert_int_equal(c.channel_rows, 70);
    assert_int_equal(c.outputs, 7);
    assert_int_equal(c.probe_patches, 21); /* 1000 samples, the last patch padded */
    c = expect_sizes(&m, "{\"patch_stride\":null,\"num_heads\":8,\"n_times\":1008}");
    assert_int_equal(c.patch_stride, 48);
    assert_int_equal(c.samples, 1008);
    model_free(&m);
}

static void test_patches(void **state)
{
    (void)state;
    pv_eegpt_config c = {.patch_samples = 64, .patch_stride = 32};
    assert_int_equal(pv_eegpt_patches(&c, 0), 0);
    assert_int_equal(pv_eegpt_patches(&c, 63), 0);
    assert_int_equal(pv_eegpt_patches(&c, 64), 1);
    assert_int_equal(pv_eegpt_patches(&c, 65), 2);
    assert_int_equal(pv_eegpt_patches(&c, 96), 2);
    assert_int_equal(pv_eegpt_patches(&c, 97), 3);
    assert_int_equal(pv_eegpt_patches(&c, 1000), 31);
    assert_int_equal(pv_eegpt_patches(&c, 1024), 31);
    assert_true(pv_eegpt_patches(&c, SIZE_MAX) > SIZE_MAX / 33);
    c.patch_stride = 100;
    assert_int_equal(pv_eegpt_patches(&c, 164), 2);
    assert_int_equal(pv_eegpt_patches(&c, 165), 3);
}

static void test_projections(void **state)
{
    (void)state;
    model_file m = model_of("eegpt", CONV);
    pv_eegpt_config c = expect_ok(&m, NULL);
    assert_int_equal(c.chan_proj, PV_CHAN_PROJ_CONV1D);
    assert_int_equal(c.channels, 5);
    assert_int_equal(c.tokens, 19);
    assert_true(c.chan_max_norm > 0.999 && c.chan_max_norm < 1.001);
    assert_int_equal(c.ids[2], 7);
    assert_int_equal(model_find(&m, "chans_id")->rank, 2);
    pv_eegpt_config_free(&c);
    c = expect_sizes(&m, "{\"chan_conv_max_norm\":0.5,\"num_heads\":4}");
    assert_true(c.chan_max_norm > 0.499 && c.chan_max_norm < 0.501);
    model_find(&m, "chans_id")->left_out = true;
    c = expect_ok(&m, "{\"n_chans\":5}");
    assert_int_equal(c.ids[18], 61);
    pv_eegpt_config_free(&c);
    model_free(&m);
    m = model_of("eegpt", LINEAR);
    c = expect_sizes(&m, NULL);
    assert_int_equal(c.chan_proj, PV_CHAN_PROJ_LINEAR);
    assert_int_equal(c.tokens, 19);
    model_expect_text(expect_error(&m, "{\"chan_proj_type\":\"none\"}"),
                      "chan_proj_type = none, but the tensors say linear: 'chan_proj.proj.weight'");
    model_expect_text(expect_error(&m, "{\"chan_proj_type\":\"conv1d_constraint\"}"),
                      "parametrizations.weight.original' is missing");
    model_free(&m);
    m = model_of("eegpt", SMALL);
    model_expect_text(expect_error(&m, "{\"chan_proj_type\":\"linear\"}"),
                      "the tensors say none: 'chan_proj.proj.weight' is missing");
    model_expect_text(expect_error(&m, "{\"chan_proj_type\":\"conv\"}"),
                      "config key 'chan_proj_type' is \"conv\", expected \"none\"");
    model_free(&m);
}

/* ---- the probe ------------------------------------------------------------------------------- */

static void test_no_probe(void **state)
{
    (void)state;
    model_file m = model_of("eegpt", "{" SIZES ",\"n_chans\":3,\"return_encoder_output\":true}");
    assert_int_equal(expect_sizes(&m, NULL).outputs, 0);
    assert_string_equal(said.text, "");
    assert_int_equal(expect_sizes(&m, "{\"num_heads\":4}").outputs, 0);
    assert_int_equal(said.warnings, 0);
    model_expect_text(said.text, "the model gives features, no logits");
    assert_int_equal(expect_sizes(&m, "{\"return_encoder_output\":false}").outputs, 0);
    assert_int_equal(said.warnings, 1);
    model_free(&m);
    m = model_of("eegpt", SMALL);
    assert_int_equal(expect_sizes(&m, "{\"return_encoder_output\":true}").outputs, 0);
    assert_int_equal(said.warnings, 4); /* the probe is too much then */
    model_expect_text(said.text, "'" PROBE2 "' is not used");
    model_free(&m);
}

static void test_probe_length(void **state)
{
    (void)state;
    model_file m = model_of("eegpt", SMALL); /* 500 samples are 15 patches, to 512 */
    assert_int_equal(expect_sizes(&m, "{\"n_times\":512}").probe_patches, 15);
    assert_string_equal(expect_error(&m, "{\"n_times\":513}"),
                        "memory: config says n_times = 513, that is 16 patches of 64 every 32 "
                        "samples, but tensor '" PROBE2 "' was made for 15");
    model_expect_text(expect_error(&m, "{\"n_times\":480}"), "n_times = 480, that is 14 patches");
    model_expect_text(expect_error(&m, "{\"n_times\":500,\"patch_stride\":16}"), "29 patches");
    model_expect_text(expect_error(&m, "{\"n_times\":63}"), "expected at least patch_size = 64");
    model_find(&m, PROBE2)->shape[1] = 15 * 16 + 1;
    model_expect_text(expect_error(&m, "{}"),
                      "has shape [4, 241], expected [n_outputs, 16 * patches]");
    model_free(&m);
}

/* ---- every tensor spoilt --------------------------------------------------------------------- */

enum { MISSING, LONGER, RANK, EMPTY, DTYPE, SPOILS };

static void spoil(model_tensor *t, int how)
{
    switch (how) {
    case MISSING: t->left_out = true; break;
    case LONGER: t->shape[t->rank - 1]++; break;
    case RANK: t->shape[t->rank++] = 1; break;
    case EMPTY: t->shape[t->rank - 1] = 0; break;
    default: t->dtype = PSGVIT_DTYPE_I32;
    }
}

static void spoil_each(const char *config)
{
    model_file m = model_of("eegpt", config);
    for (size_t i = 0; i < m.count; i++) {
        for (int how = 0; how < SPOILS; how++) {
            model_tensor right = m.tensors[i];
            if (how == MISSING && strcmp(right.name, "chans_id") == 0)
                continue;
            spoil(&m.tensors[i], how);
            char quoted[160];
            snprintf(quoted, sizeof quoted, "'%s'", right.name);
            const char *message = expect_error(&m, NULL);
            model_expect_text(message, quoted);
            if (how == DTYPE)
                model_expect_text(message, "has dtype I32, expected ");
            m.tensors[i] = right;
        }
    }
    expect_sizes(&m, NULL);
    model_free(&m);
}

static void test_each_tensor(void **state)
{
    (void)state;
    spoil_each(SMALL);
    spoil_each(CONV);
    spoil_each(LINEAR);
}

/* One bias of many missing is a fault, not a model without biases. */
static void test_sentences(void **state)
{
    (void)state;
    model_file m = model_of("eegpt", SMALL);
    model_find(&m, "target_encoder.blocks.0.attn.qkv.bias")->left_out = true;
    assert_string_equal(
        expect_error(&m, "{}"),
        "memory: tensor 'target_encoder.blocks.0.attn.qkv.bias' is missing, expected "
        "with shape [96]");
    model_find(&m, "target_encoder.blocks.0.attn.qkv.bias")->left_out = false;
    model_find(&m, "target_encoder.summary_token")->shape[2] = 33;
    assert_string_equal(
        expect_error(&m, NULL),
        "memory: tensor 'target_encoder.summary_token' has shape [1, 4, 33], expected "
        "[1, 4, 32]");
    model_find(&m, "target_encoder.summary_token")->shape[2] = 32;
    model_find(&m, "target_encoder.chan_embed.weight")->shape[0] = 61;
    model_expect_text(expect_error(&m, NULL), "has shape [61, 32], expected [62, 32]");
    model_free(&m);
    m = model_of("eegpt", SMALL);
    model_add(&m, "target_encoder.blocks.1000000.norm1.weight");
    model_expect_text(expect_error(&m, NULL), "none of 'target_encoder.blocks.3.'");
    model_free(&m);
}

/* ---- every key contradicted ------------------------------------------------------------------ */

static void test_each_key(void **state)
{
    (void)state;
    static const struct {
        const char *config, *tensor, *found;
    } cases[] = {
        {"{\"n_chans\":4}", "'chans_id' says 3", "n_chans = 4"},
        {"{\"n_outputs\":5}", PROBE2, "n_outputs = 5"},
        {"{\"embed_dim\":64}", "summary_token", "embed_dim = 64"},
        {"{\"embed_num\":2}", "summary_token", "embed_num = 2"},
        {"{\"depth\":2}", "target_encoder.blocks.2.", "depth = 2"},
        {"{\"patch_size\":32}", "patch_embed.proj.weight", "patch_size = 32"},
        {"{\"mlp_ratio\":4.0}", "mlp.fc1.weight", "mlp_ratio = 4, of embed_dim = 32 that is 128"},
        {"{\"mlp_ratio\":1e38}", "mlp.fc1.weight", "mlp_ratio = 1e+38"},
        {"{\"qkv_bias\":false}", "blocks.0.attn.qkv.bias' is there", "qkv_bias = false"},
        {"{\"num_heads\":5}", "does not divide embed_dim = 32", "num_heads = 5 of the config"},
        {"{\"num_heads\":64}", "does not divide embed_dim = 32", "num_heads = 64"},
        {"{\"chs_info\":[{\"ch_name\":\"CZ\"}]}", "'chans_id' says 3", "'chs_info' has 1 names"},
        {"{\"ch_names\":[\"A\",\"B\",\"C\",\"D\"]}", "'chans_id' says 3", "'ch_names' has 4 names"},
        {"{\"chans_id\":[1,2]}", "has 3 channels", "'chans_id' has 2 elements"},
        {"{\"kwargs\":{\"depth\":4}}", "blocks.2.", "depth = 4"},
    };
    model_file m = model_of("eegpt", SMALL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *message = expect_error(&m, cases[i].config);
        model_expect_text(message, cases[i].tensor);
        model_expect_text(message, cases[i].found);
    }
    model_free(&m);
    m = model_of("eegpt", "{" SIZES ",\"qkv_bias\":false}");
    model_expect_text(expect_error(&m, "{\"qkv_bias\":true}"), "attn.qkv.bias' is missing");
    model_free(&m);
    m = model_of("eegpt", CONV);
    model_expect_text(expect_error(&m, "{\"n_chans\":19}"), "n_chans = 19, but 'chan_proj.proj");
    model_expect_text(expect_error(&m, "{\"n_chans_target\":20}"), "n_chans_target = 20, but");
    model_free(&m);
    m = model_of("eegpt", "{\"embed_dim\":36,\"num_heads\":4,\"depth\":1}");
    model_expect_text(expect_error(&m, "{}"), "num_heads = 8, the default, does not divide");
    model_free(&m);
}

static void test_each_type(void **state)
{
    (void)state;
    static const char *const sizes[] = {"n_chans",    "n_times",      "n_outputs", "n_chans_target",
                                        "patch_size", "patch_stride", "embed_num", "embed_dim",
                                        "depth",      "num_heads"};
    static const char *const numbers[] = {"sfreq", "mlp_ratio", "layer_norm_eps",
                                          "chan_conv_max_norm"};
    static const char *const others[] = {
        "qkv_bias", "return_encoder_output", "chan_proj_type", "chs_info",   "ch_names", "chans_id",
        "kwargs",   "patch_module",          "norm_layer",     "final_layer"};
    model_file m = model_of("eegpt", SMALL);
    char config[96], key[64];
    for (size_t i = 0; i < 24; i++) {
        const char *name = i < 10 ? sizes[i] : i < 14 ? numbers[i - 10] : others[i - 14];
        snprintf(config, sizeof config, "{\"%s\":%s}", name, i < 14 ? "0" : "0.5");
        snprintf(key, sizeof key, "config key '%s' is %s, expected ", name, i < 14 ? "0" : "0.5");
        model_expect_text(expect_error(&m, config), key);
        if (i >= 10 && i < 14) {
            snprintf(config, sizeof config, "{\"%s\":1e300}", name);
            model_expect_text(expect_error(&m, config), "a number above 0 that float32 can hold");
            snprintf(config, sizeof config, "{\"%s\":1e-60}", name);
            model_expect_text(expect_error(&m, config), "a number above 0 that float32 can hold");
        }
        snprintf(config, sizeof config, "{\"%s\":\"x\"}", name);
        snprintf(key, sizeof key, "config key '%s' is \"x\", expected ", name);
        model_expect_text(expect_error(&m, config), key);
        snprintf(config, sizeof config, "{\"%s\":null}", name);
        assert_true(i == 5 || expect_sizes(&m, config).heads == 8); /* a null stride is another P */
    }
    model_expect_text(expect_error(&m, "{\"chs_info\":[{\"ch_name\":\"A\"},{\"name\":\"B\"}]}"),
                      "config key 'chs_info': element 1 has no name");
    model_expect_text(expect_error(&m, "{\"chs_info\":[]}"), "expected at least one channel");
    model_expect_text(expect_error(&m, "{\"chans_id\":[0,1,2.5]}"), "element 2 is no whole number");
    model_expect_text(expect_error(&m, "{\"chans_id\":[0,-1,2]}"), "element 1 is no whole number");
    model_expect_text(expect_error(&m, "{\"norm_layer\":\"torch.nn.RMSNorm\"}"), "norm_layer");
    model_free(&m);
}

/* ---- ids ------------------------------------------------------------------------------------- */

static void test_ids_of_tensor(void **state)
{
    (void)state;
    model_file m = model_of("eegpt", SMALL);
    m.ids[0] = 61;
    m.ids[1] = 0;
    m.ids[2] = 29;
    pv_eegpt_config c = expect_ok(&m, "{\"ch_names\":[\"o2\",\"Fp1.\",\"CZ\"]}");
    assert_string_equal(said.text, ""); /* in a [C'] tensor or a [1, C'] one */
    assert_int_equal(c.ids[2], 29);
    assert_string_equal(c.names[1], "Fp1."); /* as it stands */
    pv_eegpt_config_free(&c);
    c = expect_ok(
        &m, "{\"chs_info\":[{\"ch_name\":\"O2\"},{\"ch_name\":\"FZ\"},{\"ch_name\":\"CZ\"}]}");
    assert_int_equal(said.warnings, 1); /* the tensor is the truth */
    model_expect_text(said.text, "channel 1 is row 0 by the tensor, which is taken, and 11 by");
    assert_int_equal(c.ids[1], 0);
    assert_string_equal(c.names[1], "FZ");
    pv_eegpt_config_free(&c);
    c = expect_ok(&m, "{}");
    assert_string_equal(c.names[0], "O2");
    assert_string_equal(c.names[2], "CZ");
    pv_eegpt_config_free(&c);
    expect_sizes(&m, "{\"chans_id\":[61,0,28]}");
    model_expect_text(said.text, "channel 2 is row 29 by the tensor, which is taken, and 28 by");
    m.ids[1] = 62;
    assert_string_equal(
        expect_error(&m, "{}"),
        "memory: tensor 'chans_id': element 1 is 62, expected a row from 0 to 61 of "
        "'target_encoder.chan_embed.weight'");
    m.ids[1] = -1;
    model_expect_text(expect_error(&m, "{}"), "element 1 is -1, expected a row from 0 to 61");
    model_find(&m, "chans_id")->dtype = PSGVIT_DTYPE_F32;
    model_expect_text(expect_error(&m, "{}"), "'chans_id' has dtype F32, expected I64");
    model_free(&m);
}

static void test_ids_without_tensor(void **state)
{
    (void)state;
    model_file m = model_of("eegpt", SMALL);
    model_find(&m, "chans_id")->left_out = true;
    pv_eegpt_config c = expect_ok(&m, "{\"ch_names\":[\"T3\",\"nose\",\"cz..\"]}");
    assert_int_equal(c.ids[0], 25);
    assert_int_equal(c.ids[1], 1); /* its own index */
    assert_int_equal(c.ids[2], 29);
    assert_int_equal(said.warnings, 1);
    model_expect_text(said.text, "channel 1, 'nose', is none of EEGPT's 62 names");
    model_expect_text(said.text, "channel 0, 'T3', is taken as T7");
    pv_eegpt_config_free(&c);
    c = expect_ok(&m, "{\"chans_id\":[5,6],\"chs_info\":null}");
    assert_int_equal(c.channels, 2);
    assert_int_equal(c.ids[1], 6);
    pv_eegpt_config_free(&c);
    c = expect_ok(&m, "{\"n_chans\":4}");
    assert_int_equal(c.tokens, 4);
    assert_int_equal(c.ids[3], 3);
    pv_eegpt_config_free(&c);
    assert_string_equal(expect_error(&m, "{}"),
                        "memory: the channels are unknown: tensor 'chans_id' is missing, and no "
                        "config has chans_id, chs_info, ch_names or n_chans");
    model_expect_text(expect_error(&m, "{\"chans_id\":[5,62,1]}"),
                      "element 1 is 62, expected a row");
    model_expect_text(expect_error(&m, "{\"n_chans\":63}"), "expected [63, 32]");
    model_free(&m);
    m = model_of("eegpt", "{\"chan_proj_type\":\"linear\",\"n_chans_target\":2,\"depth\":1,"
                          "\"chans_id\":[3,4]}");
    model_find(&m, "chans_id")->left_out = true;
    model_expect_text(expect_error(&m, "{}"),
                      "tensor 'chans_id' is missing, expected with shape [2]");
    assert_int_equal(expect_sizes(&m, NULL).tokens, 2);
    model_free(&m);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static void rename_all(model_file *m, const char *prefix)
{
    for (size_t i = 0; i < m->count; i++) {
        char name[128];
        strcpy(name, m->tensors[i].name);
        snprintf(m->tensors[i].name, sizeof m->tensors[i].name, "%.12s%.100s", prefix, name);
    }
}

static void test_checkpoints(void **state)
{
    (void)state;
    static const char *const beside[] = {"encoder.norm.weight", "predictor.mask_token",
                                         "reconstructor.time_embed", "model.encoder.x"};
    model_file m = model_of("eegpt", SMALL);
    for (size_t i = 0; i < 4; i++)
        model_add(&m, beside[i]);
    expect_sizes(&m, NULL);
    assert_string_equal(said.text, "");
    model_add(&m, "final_layer.weight");
    expect_sizes(&m, NULL);
    model_expect_text(said.text, "tensor 'final_layer.weight' is not used");
    model_free(&m);
    m = model_of("eegpt", SMALL);
    rename_all(&m, "model.");
    model_add(&m, "model.predictor.x");
    model_add(&m, "encoder.x");
    pv_eegpt_config c = expect_sizes(&m, NULL);
    assert_string_equal(said.text, "");
    assert_string_equal(c.prefix, "model.");
    assert_int_equal(c.outputs, 4);
    m.ids[0] = 99;
    model_expect_text(expect_error(&m, NULL), "element 0 is 99");
    strcpy(model_find(&m, "model.chans_id")->name, "chans_id");
    model_expect_text(expect_error(&m, NULL), "element 0 is 99");
    m.ids[0] = 0;
    model_add(&m, "model.y");
    expect_sizes(&m, NULL);
    model_expect_text(said.text, "tensor 'model.y' is not used");
    model_find(&m, "model.target_encoder.norm.bias")->left_out = true;
    model_expect_text(expect_error(&m, NULL), "'model.target_encoder.norm.bias' is missing");
    model_free(&m);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void test_bad_variants(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{\"num_heads\":7}",
        "{\"n_times\":63}",
        "{\"patch_size\":1001}",
        "{\"depth\":1000000}",
        "{\"mlp_ratio\":1e-9}",
        "{\"mlp_ratio\":1e20}",
        "{\"n_chans\":2147483647}",
        "{\"n_chans\":3,\"ch_names\":[\"CZ\"]}",
        "{\"n_chans\":2,\"chans_id\":[0]}",
        "{\"chans_id\":[0,62]}",
        "{\"chan_proj_type\":\"linear\",\"n_chans_target\":20}",
        "{\"embed_dim\":2147483647,\"num_heads\":1,\"mlp_ratio\":1}",
        "{\"patch_module\":\"x\"}",
        "{\"model\":\"osf\"}",
        "{\"depth\":8",
    };
    psgvit_error err;
    psgvit_weights *w = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (psgvit_weights_open_variant(&w, "eegpt", wrong[i], &err) != PSGVIT_E_MODEL)
            fail_msg("%s", wrong[i]);
        assert_null(w);
        assert_true(strlen(err.message) > 20);
    }
}

/* The config of a table makes the same table again, names included. */
static void test_describes_itself(void **state)
{
    (void)state;
    static const char *const configs[] = {
        SMALL,
        CONV,
        "{\"ch_names\":[\"Cz\",\"a\\\"b\\\\c\\u00e9\",\"T3\"],\"patch_stride\":null,\"sfreq\":200."
        "5,"
        "\"layer_norm_eps\":1e-12,\"mlp_ratio\":3.3,\"return_encoder_output\":true}",
    };
    for (size_t i = 0; i < 3; i++) {
        model_file a = model_of("eegpt", configs[i]);
        model_file b = model_of("eegpt", a.config);
        assert_string_equal(a.config, b.config);
        assert_int_equal(a.count, b.count);
        for (size_t k = 0; k < a.count; k++)
            assert_memory_equal(&a.tensors[k], &b.tensors[k], sizeof a.tensors[k]);
        expect_sizes(&a, NULL);
        model_free(&a);
        model_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),          cmocka_unit_test(test_other_sizes),
        cmocka_unit_test(test_patches),          cmocka_unit_test(test_projections),
        cmocka_unit_test(test_no_probe),         cmocka_unit_test(test_probe_length),
        cmocka_unit_test(test_each_tensor),      cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_each_key),         cmocka_unit_test(test_each_type),
        cmocka_unit_test(test_ids_of_tensor),    cmocka_unit_test(test_ids_without_tensor),
        cmocka_unit_test(test_checkpoints),      cmocka_unit_test(test_bad_variants),
        cmocka_unit_test(test_describes_itself),
    };
    return cmocka_run_group_tests_name("config_eegpt", tests, NULL, NULL);
}
