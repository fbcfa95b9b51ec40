/* SPDX-License-Identifier: MIT */
/* OSF's configuration: told by the shapes, confirmed by a config; every tensor and key spoilt. */
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

/* Small, and of a depth at which no block is the only one. */
#define SMALL "{\"width\":32,\"depth\":3,\"heads\":2,\"mlp_dim\":48}"

static void expect_ok(model_file *m, const char *config, pv_osf_config *c)
{
    psgvit_error err;
    if (pv_osf_config_read(c, model_open(m), config, NULL, &err))
        fail_msg("%s", err.message);
}

/* The sentence of a failure that must come, until the next call. */
static const char *expect_error(model_file *m, const char *config)
{
    static psgvit_error err;
    pv_osf_config c;
    memset(&err, 0, sizeof err);
    psgvit_status status = pv_osf_config_read(&c, model_open(m), config, NULL, &err);
    if (status != PSGVIT_E_MODEL)
        fail_msg("status %d with config %s", (int)status, config ? config : "of the metadata");
    assert_int_equal(err.code, PSGVIT_E_MODEL);
    return err.message;
}

/* ---- what is right --------------------------------------------------------------------------- */

static const struct {
    const char *variant, *name;
    size_t width, depth, heads, mlp;
} sizes[] = {
    {"osf-nano", "vit_nano", 128, 6, 4, 512},     {"osf-tiny", "vit_tiny", 192, 12, 3, 768},
    {"osf-small", "vit_small", 384, 12, 6, 1536}, {"osf-middle", "vit_middle", 512, 12, 8, 2048},
    {"osf-base", "vit_base", 768, 12, 12, 3072},  {"osf-large", "vit_large", 1024, 24, 16, 4096},
    {"osf-xl", "vit_xl", 1536, 24, 24, 6144},
};

/* A table needs no data: the shapes are all. "{}" keeps the metadata's config out. */
static void test_variants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        psgvit_weights *w;
        pv_osf_config c;
        assert_int_equal(psgvit_weights_open_variant(&w, sizes[i].variant, NULL, NULL), PSGVIT_OK);
        assert_int_equal(pv_osf_config_read(&c, w, "{}", NULL, NULL), PSGVIT_OK);
        assert_string_equal(c.variant, sizes[i].name);
        assert_int_equal(c.width, sizes[i].width);
        assert_int_equal(c.depth, sizes[i].depth);
        assert_int_equal(c.heads, sizes[i].heads);
        assert_int_equal(c.mlp_dim, sizes[i].mlp);
        assert_int_equal(c.leads, 12);
        assert_int_equal(c.lead_wise, 1);
        assert_int_equal(c.patch_leads, 4);
        assert_int_equal(c.patch_samples, 64);
        assert_int_equal(c.max_patches, 90);
        assert_int_equal(c.samples, 1920);
        assert_true(c.has_out);
        psgvit_weights_close(&w);
    }
}

static void test_other_shapes(void **state)
{
    (void)state;
    pv_osf_config c;
    model_file m = model_of("osf-nano", "{\"lead_wise\":0,\"seq_len\":640}");
    expect_ok(&m, NULL, &c);
    expect_ok(&m, "{\"patch_size_ch\":4,\"lead_wise\":false}", &c); /* ignored by the reference */
    assert_int_equal(c.lead_wise, 0);
    assert_int_equal(c.patch_leads, 12);
    assert_int_equal(c.max_patches, 10);
    assert_int_equal(c.samples, 640);
    assert_string_equal(c.variant, "vit_nano");
    model_free(&m);
    m = model_of("osf-nano", "{\"width\":64,\"heads\":1,\"depth\":2,\"encoder_name\":\"mine\"}");
    expect_ok(&m, NULL, &c);
    assert_false(c.has_out);
    assert_string_equal(c.variant, "custom");
    assert_int_equal(m.count, 4 + 2 * 10 + 2);
    model_free(&m);
    m = model_of("osf-nano", "{\"width\":64,\"heads\":2,\"depth\":1}");
    expect_ok(&m, "{}", &c);
    assert_true(c.has_out);
    assert_int_equal(c.heads, 2);
    model_free(&m);
}

/* Any float type will do; an unused tensor may be missing. */
static void test_tolerated(void **state)
{
    (void)state;
    static const psgvit_dtype floats[] = {PSGVIT_DTYPE_F16, PSGVIT_DTYPE_BF16, PSGVIT_DTYPE_F64};
    pv_osf_config c;
    model_file m = model_of("osf-nano", SMALL);
    for (size_t i = 0; i < m.count; i++)
        m.tensors[i].dtype = floats[i % 3];
    expect_ok(&m, NULL, &c);
    model_find(&m, "lead_emb.weight")->left_out = true;
    expect_ok(&m, NULL, &c);
    assert_int_equal(c.leads, 12);
    free(m.config);
    m.config = NULL;
    expect_ok(&m, NULL, &c);
    assert_int_equal(c.leads, 12);
    assert_int_equal(c.samples, 1920);
    model_free(&m);
}

/* Without lead_emb the config says how many leads there are, if they fit. */
static void test_leads_of_config(void **state)
{
    (void)state;
    pv_osf_config c;
    model_file m = model_of("osf-nano", "{\"num_leads\":20,\"depth\":1}"); /* 5 groups x 30 */
    model_find(&m, "lead_emb.weight")->left_out = true;
    expect_ok(&m, NULL, &c);
    assert_int_equal(c.leads, 20);
    assert_int_equal(c.samples, 1920);
    model_expect_text(expect_error(&m, "{\"num_leads\":16}"), "lead_emb.weight");
    model_free(&m);
    m = model_of("osf-nano", "{\"num_leads\":10,\"patch_size_ch\":5,\"depth\":1}");
    model_find(&m, "lead_emb.weight")->left_out = true;
    model_expect_text(expect_error(&m, "{}"), "expected num_leads in a config");
    model_free(&m);
}

/* ---- every tensor spoilt --------------------------------------------------------------------- */

enum { MISSING, LONGER, SHORTER, RANK, EMPTY, DTYPE, SPOILS };

static void spoil(model_tensor *t, int how)
{
    switch (how) {
    case MISSING: t->left_out = true; break;
    case LONGER: t->shape[t->rank - 1]++; break;
    case SHORTER: t->shape[0]--; break;
    case RANK: t->shape[t->rank++] = 1; break;
    case EMPTY: t->shape[t->rank - 1] = 0; break;
    default: t->dtype = PSGVIT_DTYPE_I32;
    }
}

/* With the config of the metadata, and for what no config knows without one. */
static void test_each_tensor(void **state)
{
    (void)state;
    model_file m = model_of("osf-nano", SMALL);
    for (size_t i = 0; i < m.count; i++) {
        for (int how = 0; how < SPOILS; how++) {
            model_tensor right = m.tensors[i];
            if (how == MISSING && strcmp(right.name, "lead_emb.weight") == 0)
                continue;
            spoil(&m.tensors[i], how);
            char quoted[160];
            snprintf(quoted, sizeof quoted, "'%s'", right.name);
            const char *message = expect_error(&m, NULL);
            model_expect_text(message, quoted);
            model_expect_text(message, "memory: ");
            if (how == MISSING)
                model_expect_text(message, "is missing, expected with shape [");
            if (how == DTYPE)
                model_expect_text(message, "has dtype I32, expected F32, F16, BF16 or F64");
            if (how == RANK || how == EMPTY)
                model_expect_text(message, "has shape [");
            m.tensors[i] = right;
        }
    }
    pv_osf_config c;
    expect_ok(&m, NULL, &c);
    model_free(&m);
}

/* The whole sentence once, and the odd one out blamed without any config. */
static void test_sentences(void **state)
{
    (void)state;
    model_file m = model_of("osf-base", NULL);
    model_tensor *t = model_find(&m, "block3.ff.fn.net.0.weight");
    t->shape[1] = 767;
    assert_string_equal(
        expect_error(&m, "{}"),
        "memory: tensor 'block3.ff.fn.net.0.weight' has shape [3072, 767], expected "
        "[3072, 768]");
    t->shape[1] = 768;
    model_find(&m, "cls_token")->shape[2] = 769;
    assert_string_equal(expect_error(&m, "{}"),
                        "memory: tensor 'cls_token' has shape [1, 1, 769], expected [1, 1, 768]");
    model_find(&m, "cls_token")->shape[2] = 768;
    model_find(&m, "block0.attn.fn.to_qkv.weight")->shape[0] = 2304 + 192;
    assert_string_equal(expect_error(&m, "{}"),
                        "memory: tensor 'block0.attn.fn.to_qkv.weight' has shape [2496, 768], "
                        "expected [2304, 768]");
    model_find(&m, "block0.attn.fn.to_qkv.weight")->left_out = true;
    assert_string_equal(expect_error(&m, "{}"),
                        "memory: tensor 'block0.attn.fn.to_qkv.weight' is missing, expected with "
                        "shape [2304, 768]");
    model_free(&m);
}

static void test_absurd(void **state)
{
    (void)state;
    model_file m = model_of("osf-nano", SMALL);
    model_add(&m, "block1000000.attn.norm.weight");
    model_expect_text(expect_error(&m, NULL),
                      "'block1000000.attn.norm.weight' is there, but none of "
                      "'block3.'");
    strcpy(m.tensors[m.count - 1].name, "block99999999999999999999999.x");
    model_expect_text(expect_error(&m, NULL), "none of 'block3.'");
    strcpy(m.tensors[m.count - 1].name, "block4.x");
    model_expect_text(expect_error(&m, NULL), "none of 'block3.'");
    m.count--;
    pv_osf_config c;
    static const char *const no_blocks[] = {"block.x", "block03.x", "block3", "block3x.y",
                                            "block-1.x"};
    for (size_t i = 0; i < 5; i++) {
        model_add(&m, no_blocks[i]);
        expect_ok(&m, NULL, &c);
        m.count--;
    }
    for (size_t i = 0; i < m.count; i++) /* no block at all */
        m.tensors[i].left_out = strncmp(m.tensors[i].name, "block", 5) == 0;
    model_expect_text(expect_error(&m, "{}"), "'block0.attn.fn.to_qkv.weight' is missing");
    model_free(&m);
    m = model_of("osf-nano", "{\"width\":64,\"heads\":1,\"depth\":1,\"mlp_dim\":1}");
    model_find(&m, "block0.attn.fn.to_qkv.weight")->shape[0] = 191;
    model_expect_text(expect_error(&m, "{}"), "has shape [191, 64], expected [192 * heads, D]");
    model_find(&m, "block0.attn.fn.to_qkv.weight")->shape[0] = 0;
    model_expect_text(expect_error(&m, "{}"), "has shape [0, 64], expected [192 * heads, D]");
    model_free(&m);
}

/* More blocks than any model has, each with a tensor: refused, and not slowly. */
static void test_many_blocks(void **state)
{
    (void)state;
    model_file m = model_of("osf-nano", "{\"width\":1,\"depth\":1024,\"heads\":1,\"mlp_dim\":1}");
    for (size_t i = 0; i < m.count; i++)
        if (strstr(m.tensors[i].name, "attn.norm.bias"))
            m.tensors[i].left_out = true;
    model_expect_text(expect_error(&m, NULL), "'block0.attn.norm.bias' is missing");
    model_add(&m, "block1024.x");
    model_expect_text(expect_error(&m, NULL), "more than 1024 blocks");
    model_free(&m);
}

/* ---- every key contradicted ------------------------------------------------------------------ */

static void test_each_key(void **state)
{
    (void)state;
    static const struct {
        const char *config, *tensor, *found;
    } cases[] = {
        {"{\"width\":127}", "cls_token", "width = 127"},
        {"{\"depth\":5}", "block5.", "depth = 5"},
        {"{\"heads\":2}", "to_qkv.weight", "heads = 2"},
        {"{\"dim_head\":32}", "to_qkv.weight", "dim_head = 32"},
        {"{\"mlp_dim\":768}", "net.0.weight", "mlp_dim = 768"},
        {"{\"num_leads\":16}", "lead_emb.weight", "num_leads = 16"},
        {"{\"patch_size_time\":32}", "to_patch_embedding.weight", "patch_size_time = 32"},
        {"{\"patch_size_ch\":6}", "to_patch_embedding.weight", "patch_size_ch = 6"},
        {"{\"lead_wise\":0}", "to_patch_embedding.weight", "lead_wise = 0"},
        {"{\"lead_wise\":false}", "to_patch_embedding.weight", "lead_wise = 0"},
        {"{\"seq_len\":960}", "pos_embedding", "seq_len = 960"},
        {"{\"sample_rate\":128}", "pos_embedding", "sample_rate = 128"},
        {"{\"window_size_sec\":10}", "pos_embedding", "window_size_sec = 10"},
        {"{\"sample_rate\":64,\"window_size_sec\":15.0}", "pos_embedding", "says 1920"},
        {"{\"encoder_name\":\"vit_base\"}", "cls_token", "encoder_name = vit_base (width 768"},
    };
    pv_osf_config c;
    model_file m = model_of("osf-nano", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *message = expect_error(&m, cases[i].config);
        model_expect_text(message, cases[i].tensor);
        model_expect_text(message, cases[i].found);
    }
    model_expect_text(
        expect_error(&m, "{\"width\":127}"),
        "memory: config says width = 127, but tensor 'cls_token' of shape [1, 1, 128] "
        "says 128");
    model_find(&m, "cls_token")->left_out = true;
    model_expect_text(expect_error(&m, "{\"width\":127}"),
                      "config says width = 127, but tensor 'cls_token' is missing, and others say");
    model_find(&m, "cls_token")->left_out = false;
    expect_ok(&m, "{\"encoder_name\":\"osf\",\"width\":128.0,\"depth\":null,\"Depth\":7}", &c);
    expect_ok(&m, "{\"sample_rate\":128,\"window_size_sec\":15,\"lead_wise\":true}", &c);
    model_free(&m);
}

static void test_each_type(void **state)
{
    (void)state;
    static const char *const whole[] = {"width",     "depth",           "heads",
                                        "dim_head",  "mlp_dim",         "num_leads",
                                        "seq_len",   "patch_size_time", "patch_size_ch",
                                        "lead_wise", "sample_rate",     "window_size_sec"};
    static const char *const bad[] = {"\"64\"", "-1", "[64]", "{}", "1e300"};
    model_file m = model_of("osf-nano", NULL);
    char config[128], key[64];
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
            if (k == 4 && i >= 10) /* a number like any other there, if too large a one */
                continue;
            snprintf(config, sizeof config, "{\"%s\":%s}", whole[i], bad[k]);
            snprintf(key, sizeof key, "config key '%s' is ", whole[i]);
            const char *message = expect_error(&m, config);
            model_expect_text(message, key);
            model_expect_text(message, ", expected a");
        }
    }
    model_expect_text(expect_error(&m, "{\"width\":128.5}"), "'width' is 128.5, expected a whole");
    model_expect_text(expect_error(&m, "{\"width\":2147483648}"), "to 2147483647");
    model_expect_text(expect_error(&m, "{\"lead_wise\":2}"), "'lead_wise' is 2, expected 0 or 1");
    model_expect_text(expect_error(&m, "{\"encoder_name\":3}"), "is 3, expected a string");
    model_expect_text(expect_error(&m, "{\"window_size_sec\":0}"), "is 0, expected a number above");
    model_free(&m);
}

/* ---- what is too much, and other files ------------------------------------------------------- */

static void test_extra(void **state)
{
    (void)state;
    model_file m = model_of("osf-nano", SMALL);
    static const char *const silent[] = {"head.weight", "head.bias", "predictor.mask_token",
                                         "reconstructor.x", "encoder.norm.weight"};
    for (size_t i = 0; i < 5; i++)
        model_add(&m, silent[i]);
    model_log log;
    pv_log to = model_log_to(&log);
    pv_osf_config c;
    assert_int_equal(pv_osf_config_read(&c, model_open(&m), NULL, &to, NULL), PSGVIT_OK);
    assert_string_equal(log.text, "");
    model_add(&m, "header.weight");
    model_add(&m, "block0.attn.fn.to_out.1.weight");
    assert_int_equal(pv_osf_config_read(&c, model_open(&m), NULL, &to, NULL), PSGVIT_OK);
    assert_int_equal(log.warnings, 2);
    model_expect_text(log.text, "memory: tensor 'header.weight' is not used\n");
    model_expect_text(log.text, "memory: tensor 'block0.attn.fn.to_out.1.weight' is not used\n");
    model_free(&m);
    m = model_of("osf-nano", "{\"lead_wise\":0}");
    model_add(&m, "lead_emb.weight");
    to = model_log_to(&log);
    assert_int_equal(pv_osf_config_read(&c, model_open(&m), NULL, &to, NULL), PSGVIT_OK);
    assert_string_equal(log.text, "");
    for (int i = 0; i < 100; i++)
        snprintf(model_add(&m, "")->name, 32, "extra%d", i);
    assert_int_equal(pv_osf_config_read(&c, model_open(&m), NULL, &to, NULL), PSGVIT_OK);
    model_expect_text(log.text, "84 more tensors are not used\n");
    model_free(&m);
}

static void test_kinds(void **state)
{
    (void)state;
    psgvit_error err;
    model_file m = model_of("osf-nano", SMALL), e = model_of("eegpt", NULL);
    assert_string_equal(pv_model_kind(model_open(&m), &err), "osf");
    assert_string_equal(pv_model_kind(model_open(&e), &err), "eegpt");
    model_expect_text(expect_error(&e, NULL), "expected a model of OSF, found one of EEGPT");
    pv_eegpt_config c;
    assert_int_equal(pv_eegpt_config_read(&c, m.weights, NULL, NULL, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "expected a model of EEGPT, found one of OSF");
    assert_int_equal(pv_eegpt_config_read(&c, e.weights, "{\"model\":\"osf\"}", NULL, &err),
                     PSGVIT_E_MODEL);
    assert_string_equal(err.message,
                        "memory: config key 'model' is \"osf\", expected \"eegpt\"");
    assert_string_equal(expect_error(&m, "{\"model\":\"eegpt\"}"),
                        "memory: config key 'model' is \"eegpt\", expected \"osf\"");
    for (size_t i = 0; i < m.count; i++)
        snprintf(m.tensors[i].name, sizeof m.tensors[i].name, "x%zu", i);
    assert_null(pv_model_kind(model_open(&m), &err));
    model_expect_text(err.message, "memory: no model: expected tensors of OSF");
    model_expect_text(expect_error(&m, NULL), "'cls_token' is missing");
    model_free(&m);
    model_free(&e);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void test_bad_variants(void **state)
{
    (void)state;
    static const char *const unknown[] = {"osf", "osf-", "osf-huge", "vit_base", "", "eegpt2"};
    psgvit_error err;
    psgvit_weights *w = NULL;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(psgvit_weights_open_variant(&w, unknown[i], NULL, &err),
                         PSGVIT_E_ARGUMENT);
        assert_null(w);
        model_expect_text(err.message, "unknown variant");
    }
    static const char *const wrong[] = {
        "{\"num_leads\":13}",
        "{\"model\":\"eegpt\"}",
        "{\"seq_len\":100}",
        "{\"depth\":1025}",
        "{\"dim_head\":32}",
        "{\"lead_wise\":3}",
        "{\"encoder_name\":\"vit_tiny\"}",
        "{\"sample_rate\":1e9,\"window_size_sec\":1e9}",
        "{\"depth\":0}",
        "{\"seq_len\":640,\"sample_rate\":64,\"window_size_sec\":30}",
        "{\"width\":2147483647,\"heads\":2147483647,\"mlp_dim\":2147483647}",
        "{\"num_leads\":2147483647,\"patch_size_ch\":1,\"patch_size_time\":1}",
        "nonsense",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (psgvit_weights_open_variant(&w, "osf-nano", wrong[i], &err) != PSGVIT_E_MODEL)
            fail_msg("%s", wrong[i]);
        assert_null(w);
        assert_true(strlen(err.message) > 20);
    }
    assert_int_equal(psgvit_weights_open_variant(NULL, "eegpt", NULL, &err), PSGVIT_E_ARGUMENT);
    assert_int_equal(psgvit_weights_open_variant(&w, NULL, NULL, &err), PSGVIT_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),     cmocka_unit_test(test_other_shapes),
        cmocka_unit_test(test_tolerated),    cmocka_unit_test(test_leads_of_config),
        cmocka_unit_test(test_each_tensor),  cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_absurd),       cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_each_key),     cmocka_unit_test(test_each_type),
        cmocka_unit_test(test_extra),        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_bad_variants),
    };
    return cmocka_run_group_tests_name("config_osf", tests, NULL, NULL);
}
