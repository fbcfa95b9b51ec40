/* SPDX-License-Identifier: MIT */
/* The verdict on model files: each used tensor in turn holds one number that is none. */
#include "unit/model_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OSF "{\"width\":32,\"depth\":2,\"heads\":2,\"mlp_dim\":48}"
#define EEGPT                                                                                      \
    "{\"n_times\":200,\"embed_dim\":32,\"depth\":2,\"n_chans\":5,"                                 \
    "\"chan_proj_type\":\"conv1d_constraint\"}"

static void put(model_file *m, const char *name, uint64_t index, float value)
{
    memcpy(model_data(m, name) + index * sizeof value, &value, sizeof value);
}

/* Verifies the open file and expects this sentence. */
static void expect_sentence(const model_file *m, const char *sentence)
{
    psgvit_error err;
    const char *model = "x";
    assert_int_equal(psgvit_weights_verify(m->weights, NULL, &model, &err), PSGVIT_E_MODEL);
    assert_null(model);
    assert_string_equal(err.message, sentence);
}

static void expect_sound(const model_file *m, const char *kind)
{
    psgvit_error err;
    const char *model = NULL;
    if (psgvit_weights_verify(m->weights, NULL, &model, &err))
        fail_msg("%s", err.message);
    assert_string_equal(model, kind);
    assert_int_equal(err.code, PSGVIT_OK);
    assert_int_equal(psgvit_weights_verify(m->weights, NULL, NULL, NULL), PSGVIT_OK);
}

/* NaN as the last element of each tensor, infinity as the first. */
static void spoil_each(const char *variant, const char *kind, const char *config)
{
    model_file m = model_of(variant, config);
    model_open(&m);
    expect_sound(&m, kind);
    for (size_t i = 0; i < m.count; i++) {
        const char *name = m.tensors[i].name;
        const psgvit_tensor *t = psgvit_weights_find(m.weights, name);
        if (t->dtype != PSGVIT_DTYPE_F32)
            continue;
        char sentence[256];
        bool used = strcmp(name, "lead_emb.weight") != 0;
        put(&m, name, t->elements - 1, NAN);
        snprintf(sentence, sizeof sentence, "memory: tensor '%s': element %llu is NaN", name,
                 (unsigned long long)(t->elements - 1));
        if (used)
            expect_sentence(&m, sentence);
        put(&m, name, 0, -INFINITY);
        snprintf(sentence, sizeof sentence, "memory: tensor '%s': element 0 is infinite as float32",
                 name);
        if (used)
            expect_sentence(&m, sentence);
        put(&m, name, 0, 0);
        if (!used)
            expect_sound(&m, kind);
        put(&m, name, t->elements - 1, 0);
    }
    expect_sound(&m, kind);
    model_free(&m);
}

static void test_each_tensor(void **state)
{
    (void)state;
    spoil_each("osf-nano", "osf", OSF);
    spoil_each("eegpt", "eegpt", EEGPT);
}

/* The index counts from the tensor's first element, however it is read. */
static void test_large(void **state)
{
    (void)state;
    model_file m = model_of("osf-nano", "{\"width\":512,\"depth\":1}");
    model_open(&m);
    put(&m, "block0.ff.fn.net.0.weight", 200017, NAN);
    put(&m, "block0.ff.fn.net.0.weight", 200018, INFINITY);
    expect_sentence(&m, "memory: tensor 'block0.ff.fn.net.0.weight': element 200017 is NaN");
    model_free(&m);
}

static void test_dtypes(void **state)
{
    (void)state;
    model_file m = model_of("osf-nano", OSF);
    model_find(&m, "norm.weight")->dtype = PSGVIT_DTYPE_F64;
    model_find(&m, "norm.bias")->dtype = PSGVIT_DTYPE_F16;
    model_open(&m);
    expect_sound(&m, "osf");
    const double large = 1e300;
    memcpy(model_data(&m, "norm.weight") + 17 * sizeof large, &large, sizeof large);
    expect_sentence(&m, "memory: tensor 'norm.weight': element 17 is infinite as float32");
    memset(model_data(&m, "norm.weight"), 0, 32 * sizeof large);
    model_data(&m, "norm.bias")[7] = 0x7C; /* infinity of F16 */
    expect_sentence(&m, "memory: tensor 'norm.bias': element 3 is infinite as float32");
    model_free(&m);
}

static void test_other_faults(void **state)
{
    (void)state;
    psgvit_error err;
    const char *model = "x";
    assert_int_equal(psgvit_weights_verify(NULL, NULL, &model, &err), PSGVIT_E_ARGUMENT);
    assert_null(model);
    model_file m = model_of("eegpt", EEGPT);
    m.ids[18] = 62;
    model_open(&m);
    expect_sentence(&m,
                    "memory: tensor 'chans_id': element 18 is 62, expected a row from 0 to 61 of "
                    "'target_encoder.chan_embed.weight'");
    m.ids[18] = 61;
    model_open(&m);
    expect_sound(&m, "eegpt");
    assert_int_equal(psgvit_weights_verify(m.weights, "{\"depth\":3}", NULL, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "config says depth = 3");
    model_find(&m, "target_encoder.norm.bias")->left_out = true;
    model_open(&m);
    expect_sentence(&m, "memory: tensor 'target_encoder.norm.bias' is missing, expected with shape "
                        "[32]");
    model_free(&m);
    psgvit_weights *table;
    assert_int_equal(psgvit_weights_open_variant(&table, "osf-nano", OSF, &err), PSGVIT_OK);
    assert_int_equal(psgvit_weights_verify(table, NULL, &model, &err), PSGVIT_E_ARGUMENT);
    psgvit_weights_close(&table);
    static const char empty[] = {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    assert_int_equal(psgvit_weights_open_memory(&table, empty, sizeof empty, NULL, &err),
                     PSGVIT_OK);
    assert_int_equal(psgvit_weights_verify(table, NULL, &model, &err), PSGVIT_E_MODEL);
    model_expect_text(err.message, "memory: no model: expected tensors of OSF");
    psgvit_weights_close(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_tensor),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_other_faults),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
