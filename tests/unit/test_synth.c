/* SPDX-License-Identifier: MIT */
/*
 * The generator of synthetic weights against numbers made in Python from the same formula, whole
 * model files read back by the library's own parser, and the signals of demonstrations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "synth_signal.h"
#include "synth_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *filled(const char *name, const uint64_t *shape, size_t rank, uint64_t seed,
                     bool tails, size_t *count)
{
    *count = 1;
    for (size_t i = 0; i < rank; i++)
        *count *= (size_t)shape[i];
    float *values = malloc(*count * sizeof *values);
    assert_non_null(values);
    synth_weights_fill(name, shape, rank, seed, tails, values);
    return values;
}

static uint64_t hash(const void *data, size_t size)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001B3u;
    return h;
}

/* ---- weights --------------------------------------------------------------------------------- */

static void first_values(void **state)
{
    static const struct {
        const char *name;
        uint64_t shape[3];
        size_t rank;
        size_t at;
        double values[3];
        size_t count;
    } cases[] = {
        {"cls_token", {1, 1, 768}, 3, 0,
         {-0.017475366592407227, -0.012362390756607056, -0.09126180410385132}, 3},
        {"block0.attn.fn.to_qkv.weight", {2304, 768}, 2, 0,
         {0.0014946088194847107, -0.037597283720970154}, 2},
        {"norm.weight", {768}, 1, 0, {0.9124289155006409, 1.0904606580734253}, 2},
        {"norm.bias", {768}, 1, 0, {0.0565890297293663, 0.019602946937084198}, 2},
        {"final_layer.probe1.parametrizations.weight.original", {16, 2048}, 2, 0,
         {0.07119128108024597, -0.12162706255912781}, 2},
        {"final_layer.probe1.parametrizations.weight.original", {16, 2048}, 2, 2048,
         {-0.0005038869567215443, -0.001803325256332755}, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count;
        float *w = filled(cases[i].name, cases[i].shape, cases[i].rank, 1, false, &count);
        for (size_t k = 0; k < cases[i].count; k++)
            assert_true(w[cases[i].at + k] == (float)cases[i].values[k]);
        free(w);
    }
}

/* FNV-1a over the bytes of the whole tensor, as NumPy makes them. */
static void whole_tensors(void **state)
{
    static const struct {
        const char *name;
        uint64_t shape[4];
        size_t rank;
        uint64_t seed;
        bool tails;
        uint64_t hash;
    } cases[] = {
        {"block0.attn.fn.to_qkv.weight", {2304, 768}, 2, 1u, false, 0x42368364CC184436u},
        {"cls_token", {1, 1, 768}, 3, 1u, false, 0xCDEB7410ADB8D95Fu},
        {"block3.attn.norm.weight", {192}, 1, 7u, false, 0xE46CCD509042651Cu},
        {"block3.attn.norm.weight", {192}, 1, 7u, true, 0x293F37F4A2780AA0u},
        {"norm.weight", {64}, 1, 18446744073709551615u, true, 0x8CD23A4C64B05B8Bu},
        {"target_encoder.norm.bias", {64}, 1, 3u, false, 0xA0ACC5A1CCBDC14Du},
        {"target_encoder.chan_embed.weight", {62, 64}, 2, 5u, false, 0x9638CA9BDF6DC171u},
        {"lead_emb.weight", {3, 64}, 2, 5u, false, 0x4791A1DC8BA25DA0u},
        {"block1.ff.fn.net.0.weight", {130, 32}, 2, 9u, true, 0xF33BAB7908A0B43Au},
        {"block1.ff.fn.net.3.weight", {32, 130}, 2, 9u, true, 0xA63B8B9E9D7C15D0u},
        {"target_encoder.blocks.0.mlp.fc1.weight", {130, 32}, 2, 9u, true, 0x73BEF3AD5CFDC676u},
        {"target_encoder.blocks.0.mlp.fc2.weight", {32, 130}, 2, 9u, true, 0xF93F0D75F78A2672u},
        {"target_encoder.blocks.0.mlp.fc2.weight", {32, 130}, 2, 9u, false, 0xAD005C6D898250F2u},
        {"final_layer.probe2.parametrizations.weight.original", {7, 480}, 2, 4u, true,
         0x2B9369A5EACC9D0Eu},
        {"chan_proj.proj.parametrizations.weight.original", {19, 30, 1}, 3, 4u, false,
         0xD2A04C49A215DB83u},
        {"to_patch_embedding.weight", {64, 1, 4, 64}, 4, 11u, false, 0x9560FADFFCD57DBDu},
        {"target_encoder.patch_embed.proj.weight", {33, 1, 1, 3}, 4, 11u, false,
         0xA256AE43EDA89324u},
        {"odd.weight", {17, 4}, 2, 12u, false, 0x677D0333CBB1A45Fu},
        {"block0.ff.fn.net.0.weight", {512, 128}, 2, 2u, false, 0x484DFEE24316E2B4u},
        {"normal.scale", {8, 3}, 2, 1u, false, 0x3D26AA3D67A5AC2Au},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count;
        float *w = filled(cases[i].name, cases[i].shape, cases[i].rank, cases[i].seed,
                          cases[i].tails, &count);
        if (hash(w, count * sizeof *w) != cases[i].hash)
            fail_msg("%s, seed %llu, tails %d: other bits than the formula gives", cases[i].name,
                     (unsigned long long)cases[i].seed, cases[i].tails);
        free(w);
    }
}

/* ---- whole files ----------------------------------------------------------------------------- */

static psgvit_weights *table_of(const char *variant, const char *config)
{
    psgvit_error err;
    psgvit_weights *table = NULL;
    if (psgvit_weights_open_variant(&table, variant, config, &err))
        fail_msg("%s", err.message);
    return table;
}

/* The image parsed again: the parser checks every rule of the format. */
static psgvit_weights *image_of(const psgvit_weights *table, const synth_options *options,
                                unsigned char **bytes, size_t *size)
{
    psgvit_error err;
    psgvit_weights *file = NULL;
    if (synth_model_image(table, options, bytes, size, &err) ||
        psgvit_weights_open_memory(&file, *bytes, *size, NULL, &err))
        fail_msg("%s", err.message);
    return file;
}

static void image_is_the_table(void **state)
{
    unsigned char *bytes;
    size_t size;
    psgvit_error err;
    const char *kind = NULL;
    synth_options options = {.seed = 42};
    psgvit_weights *table = table_of("osf-nano", NULL);
    psgvit_weights *file = image_of(table, &options, &bytes, &size);
    (void)state;
    assert_int_equal(bytes[0] % 8, 0);
    assert_int_equal(psgvit_weights_count(file), psgvit_weights_count(table));
    assert_string_equal(psgvit_weights_metadata(file, "config"),
                        psgvit_weights_metadata(table, "config"));
    assert_string_equal(psgvit_weights_metadata(file, "weights"), "synthetic");
    assert_string_equal(psgvit_weights_metadata(file, "seed"), "42");
    for (size_t i = 0; i < psgvit_weights_count(file); i++) {
        const psgvit_tensor *t = psgvit_weights_at(file, i);
        const psgvit_tensor *wanted = psgvit_weights_find(table, t->name);
        size_t count;
        assert_non_null(wanted);
        assert_int_equal(t->rank, wanted->rank);
        float *expected = filled(t->name, wanted->shape, wanted->rank, 42, false, &count);
        float *found = malloc(count * sizeof *found);
        assert_int_equal(t->elements, count);
        assert_int_equal(psgvit_weights_read(file, t, 0, count, found, &err), PSGVIT_OK);
        assert_memory_equal(found, expected, count * sizeof *found);
        free(found);
        free(expected);
    }
    assert_int_equal(psgvit_weights_verify(file, NULL, &kind, &err), PSGVIT_OK);
    assert_string_equal(kind, "osf");
    psgvit_weights_close(&file);
    psgvit_weights_close(&table);
    free(bytes);
}

static void check_ids(const char *config, const synth_options *options, const int64_t *expected)
{
    unsigned char *bytes;
    size_t size;
    psgvit_error err;
    const char *kind = NULL;
    psgvit_weights *table = table_of("eegpt", config);
    psgvit_weights *file = image_of(table, options, &bytes, &size);
    const psgvit_tensor *ids = psgvit_weights_find(file, "chans_id");
    assert_non_null(ids);
    assert_int_equal(ids->dtype, PSGVIT_DTYPE_I64);
    assert_int_equal(ids->offset, 0); /* the widest elements come first */
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    assert_memory_equal(bytes + 8 + header, expected, 3 * sizeof *expected);
    if (!options->chans_id && psgvit_weights_verify(file, NULL, &kind, &err))
        fail_msg("%s", err.message);
    psgvit_weights_close(&file);
    psgvit_weights_close(&table);
    free(bytes);
}

static void ids_of_channels(void **state)
{
    static const char plain[] = "{\"n_chans\":3,\"n_times\":256,\"n_outputs\":2,\"depth\":1,"
                                "\"embed_dim\":64,\"chan_proj_type\":\"none\"}";
    static const char named[] = "{\"n_chans\":3,\"n_times\":256,\"n_outputs\":2,\"depth\":1,"
                                "\"embed_dim\":64,\"chan_proj_type\":\"none\",\"chs_info\":["
                                "{\"ch_name\":\"Cz\"},{\"ch_name\":\"O2\"},{\"ch_name\":\"FP1\"}]}";
    static const int64_t counted[3] = {0, 1, 2};
    static const int64_t by_name[3] = {29, 61, 0};
    static const int64_t given[3] = {7, 5, 3};
    synth_options options = {.seed = 1};
    (void)state;
    check_ids(plain, &options, counted);
    check_ids(named, &options, by_name);
    options.chans_id = given;
    options.chans_id_count = 3;
    check_ids(named, &options, given);
}

static void ids_that_do_not_fit(void **state)
{
    static const int64_t given[2] = {0, 1};
    unsigned char *bytes;
    size_t size;
    psgvit_error err;
    synth_options options = {.seed = 1, .chans_id = given, .chans_id_count = 2};
    psgvit_weights *table = table_of("eegpt", NULL);
    (void)state;
    assert_int_equal(synth_model_image(table, &options, &bytes, &size, &err), PSGVIT_E_ARGUMENT);
    assert_null(bytes);
    assert_non_null(strstr(err.message, "chans_id"));
    psgvit_weights_close(&table);
}

typedef struct taker {
    const unsigned char *expected;
    size_t taken;
    size_t most; /* what is refused begins here */
} taker;

static bool take(void *user, const void *bytes, size_t size)
{
    taker *t = user;
    if (t->taken + size > t->most)
        return false;
    assert_memory_equal(t->expected + t->taken, bytes, size);
    t->taken += size;
    return true;
}

static void pieces_are_the_image(void **state)
{
    unsigned char *bytes;
    size_t size;
    psgvit_error err;
    synth_options options = {.seed = 3, .tails = true};
    psgvit_weights *table = table_of("osf-nano", NULL);
    (void)state;
    assert_int_equal(synth_model_image(table, &options, &bytes, &size, &err), PSGVIT_OK);
    taker all = {bytes, 0, size};
    assert_int_equal(synth_model_write(table, &options, take, &all, &err), PSGVIT_OK);
    assert_int_equal(all.taken, size);
    taker some = {bytes, 0, size / 2};
    assert_int_equal(synth_model_write(table, &options, take, &some, &err), PSGVIT_E_CANCELLED);
    psgvit_weights_close(&table);
    free(bytes);
}

/* ---- signals --------------------------------------------------------------------------------- */

enum { EPOCH = SYNTH_PSG_CHANNELS * SYNTH_PSG_SAMPLES };

static float *night_of(size_t epochs, uint64_t seed)
{
    float *x = malloc(epochs * EPOCH * sizeof *x);
    synth_night *night = synth_night_open(epochs, seed);
    assert_non_null(x);
    assert_non_null(night);
    for (size_t e = 0; e < epochs; e++)
        synth_night_next(night, x + e * EPOCH);
    synth_night_close(&night);
    assert_null(night);
    return x;
}

static void nights_repeat(void **state)
{
    float *one = night_of(4, 1);
    float *again = night_of(4, 1);
    float *other = night_of(4, 2);
    (void)state;
    assert_memory_equal(one, again, 4 * EPOCH * sizeof *one);
    for (size_t c = 0; c < SYNTH_PSG_CHANNELS; c++)
        assert_memory_not_equal(one + c * SYNTH_PSG_SAMPLES, other + c * SYNTH_PSG_SAMPLES,
                                SYNTH_PSG_SAMPLES * sizeof *one);
    free(one);
    free(again);
    free(other);
}

/* As if z-scored, every channel; and few samples that the model would clamp. */
static void nights_are_normalised(void **state)
{
    enum { EPOCHS = 200 };
    float *x = night_of(EPOCHS, 1);
    size_t clamped = 0;
    (void)state;
    for (size_t c = 0; c < SYNTH_PSG_CHANNELS; c++) {
        double sum = 0.0;
        double squares = 0.0;
        for (size_t e = 0; e < EPOCHS; e++) {
            const float *row = x + e * EPOCH + c * SYNTH_PSG_SAMPLES;
            for (size_t i = 0; i < SYNTH_PSG_SAMPLES; i++) {
                assert_true(isfinite(row[i]));
                sum += (double)row[i];
                squares += (double)row[i] * (double)row[i];
                clamped += fabsf(row[i]) > 6.0f;
            }
        }
        double n = (double)EPOCHS * SYNTH_PSG_SAMPLES;
        double deviation = sqrt(squares / n - sum / n * (sum / n));
        if (fabs(sum / n) > 0.05 || deviation < 0.7 || deviation > 1.3)
            fail_msg("channel %zu: mean %g, deviation %g", c, sum / n, deviation);
    }
    assert_true(clamped * 1000 < (size_t)EPOCHS * EPOCH);
    free(x);
}

/* Two halves are the whole, and the average of all channels is taken off. */
static void eeg_goes_on(void **state)
{
    enum { CHANNELS = 5, SAMPLES = 600 };
    static float whole[CHANNELS * SAMPLES];
    static float halves[2][CHANNELS * SAMPLES / 2];
    synth_eeg *a = synth_eeg_open(CHANNELS, 9);
    synth_eeg *b = synth_eeg_open(CHANNELS, 9);
    (void)state;
    synth_eeg_next(a, SAMPLES, whole);
    synth_eeg_next(b, SAMPLES / 2, halves[0]);
    synth_eeg_next(b, SAMPLES / 2, halves[1]);
    for (size_t i = 0; i < SAMPLES; i++) {
        float sum = 0.0f;
        for (size_t c = 0; c < CHANNELS; c++) {
            float v = whole[c * SAMPLES + i];
            assert_true(v == halves[i / (SAMPLES / 2)][c * (SAMPLES / 2) + i % (SAMPLES / 2)]);
            assert_true(fabsf(v) < 0.5f);
            sum += v;
        }
        assert_true(fabsf(sum) < 1e-6f);
    }
    synth_eeg_close(&a);
    synth_eeg_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_values),        cmocka_unit_test(whole_tensors),
        cmocka_unit_test(image_is_the_table),  cmocka_unit_test(ids_of_channels),
        cmocka_unit_test(ids_that_do_not_fit), cmocka_unit_test(pieces_are_the_image),
        cmocka_unit_test(nights_repeat),       cmocka_unit_test(nights_are_normalised),
        cmocka_unit_test(eeg_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
