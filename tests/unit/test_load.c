/* SPDX-License-Identifier: MIT */
/*
 * Weights on their way into a model: each type of numbers that a file may have gives near results,
 * and a number that is not finite is named, tensor and element, in every kind of tensor and type.
 * And which layers are float32 in any precision.
 */
#include "ops/ops.h"
#include "unit/model_file.h"

#include "synth_weights.h"

#include <psgvit/eegpt.h>
#include <psgvit/osf.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- models whose every float tensor is of one type ---- */

/* By truncation: near enough for a weight. */
static uint16_t to_f16(float value)
{
    int exponent;
    float mantissa = frexpf(fabsf(value), &exponent); /* [0.5, 1) */
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    if (value == 0 || exponent < -13)
        return sign;
    return (uint16_t)(sign | ((unsigned)(exponent + 14) << 10) |
                      ((unsigned)(mantissa * 2048) & 0x3FF));
}

/* Writes one element; `bits` replaces the value if it is not 0. */
static void put(unsigned char *to, psgvit_dtype dtype, float value, double special)
{
    double as_double = special != 0 ? special : (double)value;
    float as_float = (float)as_double;
    uint32_t word;
    uint16_t half;
    memcpy(&word, &as_float, sizeof word);
    switch (dtype) {
    case PSGVIT_DTYPE_F64: memcpy(to, &as_double, 8); break;
    case PSGVIT_DTYPE_F32: memcpy(to, &as_float, 4); break;
    case PSGVIT_DTYPE_BF16:
        half = (uint16_t)(word >> 16);
        memcpy(to, &half, 2);
        break;
    default:
        half = isnan(as_float)   ? 0x7E00
               : isinf(as_float) ? (as_float < 0 ? 0xFC00 : 0x7C00)
                                 : to_f16(as_float);
        memcpy(to, &half, 2);
    }
}

/* Synthetic weights, all of them of `dtype`. */
static model_file make(const char *variant, const char *config, psgvit_dtype dtype)
{
    model_file m = model_of(variant, config);
    for (size_t i = 0; i < m.count; i++)
        if (m.tensors[i].dtype == PSGVIT_DTYPE_F32)
            m.tensors[i].dtype = dtype;
    (void)model_open(&m);
    for (size_t i = 0; i < m.count; i++) {
        const model_tensor *t = &m.tensors[i];
        size_t count = 1, bytes = psgvit_dtype_bits(dtype) / 8;
        for (size_t k = 0; k < t->rank; k++)
            count *= (size_t)t->shape[k];
        if (t->dtype != dtype)
            continue;
        float *values = malloc(count * sizeof *values);
        assert_non_null(values);
        synth_weights_fill(t->name, t->shape, t->rank, 7, false, values);
        unsigned char *data = model_data(&m, t->name);
        for (size_t k = 0; k < count; k++)
            put(data + k * bytes, dtype, values[k], 0);
        free(values);
    }
    return m;
}

static const char osf_config[] = "{\"width\":64,\"depth\":2,\"heads\":1,\"mlp_dim\":128}";
static const char eegpt_config[] =
    "{\"n_chans\":5,\"n_times\":256,\"embed_dim\":64,\"depth\":2,\"num_heads\":4,"
    "\"chan_proj_type\":\"conv1d_constraint\"}";

static psgvit_device *device_of(int threads)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    psgvit_device_params p = {.struct_size = sizeof p, .threads = threads};
    if (psgvit_device_open(&device, &p, &err))
        fail_msg("%s", err.message);
    return device;
}

/* ---- types ---- */

enum { DTYPES = 4 };
static const psgvit_dtype dtypes[DTYPES] = {PSGVIT_DTYPE_F32, PSGVIT_DTYPE_F64, PSGVIT_DTYPE_F16,
                                            PSGVIT_DTYPE_BF16};

static void embed(const model_file *m, bool eegpt, float *out, size_t room)
{
    static float signal[12 * 1920];
    psgvit_error err;
    psgvit_device *device = device_of(2);
    psgvit_status status;
    for (size_t i = 0; i < sizeof signal / sizeof signal[0]; i++)
        signal[i] = sinf(0.01f * (float)(i * i % 7919));
    if (eegpt) {
        eegpt_encoder *e = NULL;
        eegpt_job job = {.struct_size = sizeof job, .signal = signal, .epochs = 1};
        job.logits = out;
        job.logits_capacity = room;
        status = eegpt_encoder_open_memory(&e, device, m->image, m->size, NULL, &err);
        if (!status)
            status = eegpt_encode(e, &job, &err);
        eegpt_encoder_close(&e);
    } else {
        osf_encoder *e = NULL;
        osf_job job = {.struct_size = sizeof job, .signal = signal, .epochs = 1};
        job.cls = out;
        job.cls_capacity = room;
        status = osf_encoder_open_memory(&e, device, m->image, m->size, NULL, &err);
        if (!status)
            status = osf_encode(e, &job, &err);
        osf_encoder_close(&e);
    }
    if (status)
        fail_msg("%s", err.message);
    psgvit_device_close(&device);
}

/* F64 holds the same numbers, F16 eleven bits of them, BF16 eight. */
static void test_types(void **state)
{
    (void)state;
    static const double near[DTYPES] = {0, 0, 0.02, 0.2};
    for (int eegpt = 0; eegpt < 2; eegpt++) {
        float first[64] = {0}, found[64] = {0};
        size_t count = eegpt ? 4 : 64;
        for (int d = 0; d < DTYPES; d++) {
            double sum = 0, size = 0;
            model_file m =
                make(eegpt ? "eegpt" : "osf-nano", eegpt ? eegpt_config : osf_config, dtypes[d]);
            embed(&m, eegpt, d ? found : first, count);
            for (size_t i = 0; d && i < count; i++) {
                sum += pow((double)found[i] - (double)first[i], 2);
                size += pow((double)first[i], 2);
            }
            if (d && sqrt(sum) > near[d] * sqrt(size))
                fail_msg("%s: %g of %g", psgvit_dtype_name(dtypes[d]), sqrt(sum), sqrt(size));
            model_free(&m);
        }
    }
}

/* ---- numbers that are not finite ---- */

static psgvit_status open_either(const model_file *m, bool eegpt, psgvit_device *device,
                                 psgvit_error *err)
{
    psgvit_status status;
    osf_encoder *o = NULL;
    eegpt_encoder *e = NULL;
    status = eegpt ? eegpt_encoder_open_memory(&e, device, m->image, m->size, NULL, err)
                   : osf_encoder_open_memory(&o, device, m->image, m->size, NULL, err);
    assert_int_equal(!o && !e, status != PSGVIT_OK);
    osf_encoder_close(&o);
    eegpt_encoder_close(&e);
    return status;
}

static void spoil(model_file *m, const model_tensor *t, size_t index, double value, bool eegpt,
                  psgvit_device *device)
{
    psgvit_error err;
    char element[64];
    size_t bytes = psgvit_dtype_bits(t->dtype) / 8;
    unsigned char *at = model_data(m, t->name) + index * bytes, saved[8];
    memcpy(saved, at, bytes);
    put(at, t->dtype, 0, value);
    psgvit_status status = open_either(m, eegpt, device, &err);
    if (status != PSGVIT_E_MODEL)
        fail_msg("%s, element %zu: %s", t->name, index, psgvit_status_name(status));
    snprintf(element, sizeof element, "element %zu is", index);
    model_expect_text(err.message, t->name);
    model_expect_text(err.message, element);
    memcpy(at, saved, bytes);
}

/* What a checkpoint holds, but no forward pass reads. */
static bool is_unused(const char *name)
{
    return strstr(name, "lead_emb") != NULL;
}

static void each_tensor(psgvit_dtype dtype, bool eegpt, int threads)
{
    static const double values[] = {NAN, INFINITY, -INFINITY};
    psgvit_device *device = device_of(threads);
    model_file m = make(eegpt ? "eegpt" : "osf-nano", eegpt ? eegpt_config : osf_config, dtype);
    for (size_t i = 0; i < m.count; i++) {
        const model_tensor *t = &m.tensors[i];
        size_t count = 1;
        for (size_t k = 0; k < t->rank; k++)
            count *= (size_t)t->shape[k];
        if (t->dtype != dtype || is_unused(t->name))
            continue;
        const size_t places[] = {0, count / 2, count - 1};
        for (size_t p = 0; p < 3; p++)
            spoil(&m, t, places[p], values[(i + p) % 3], eegpt, device);
    }
    psgvit_error err;
    if (open_either(&m, eegpt, device, &err))
        fail_msg("%s", err.message);
    model_free(&m);
    psgvit_device_close(&device);
}

static void test_not_finite(void **state)
{
    (void)state;
    for (int d = 0; d < DTYPES; d++)
        for (int eegpt = 0; eegpt < 2; eegpt++)
            each_tensor(dtypes[d], eegpt, 1 + d % 2);
}

/* A float64 beyond the range of float32 is infinite as a weight. */
static void test_beyond_float(void **state)
{
    (void)state;
    psgvit_device *device = device_of(1);
    model_file m = make("osf-nano", osf_config, PSGVIT_DTYPE_F64);
    spoil(&m, model_find(&m, "norm.bias"), 3, 1e39, false, device);
    spoil(&m, model_find(&m, "block1.ff.fn.net.0.weight"), 100, -1e300, false, device);
    model_free(&m);
    psgvit_device_close(&device);
}

/* Of several bad elements the first is named, whichever thread has found it. */
static void test_first(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_device *device = device_of(2);
    model_file m = make("osf-nano", osf_config, PSGVIT_DTYPE_F32);
    unsigned char *data = model_data(&m, "block0.ff.fn.net.3.weight");
    static const size_t bad[] = {8191, 5000, 4321, 7000};
    for (size_t i = 0; i < 4; i++)
        put(data + 4 * bad[i], PSGVIT_DTYPE_F32, 0, NAN);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(open_either(&m, false, device, &err), PSGVIT_E_MODEL);
        model_expect_text(err.message, "block0.ff.fn.net.3.weight");
        model_expect_text(err.message, "element 4321 is");
    }
    model_free(&m);
    psgvit_device_close(&device);
}

/* ---- layers in float32 ---- */

static const pv_backend *cpu;
static size_t exact_count, other_count, exact_rows[2];

static psgvit_status note_matrix(pv_store *store, const pv_rows *source, const pv_matrix **matrix,
                                 psgvit_error *err)
{
    if (source->exact && exact_count < 2)
        exact_rows[exact_count] = source->rows;
    exact_count += source->exact;
    other_count += !source->exact;
    return cpu->store_matrix(store, source, matrix, err);
}

/* EEGPT's probe is, the heads of its last block, also from memory, are not; of OSF nothing is. */
static void test_exact(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_device *device = device_of(1);
    cpu = device->backend;
    pv_backend noting = *cpu;
    noting.store_matrix = note_matrix;
    device->backend = &noting;
    for (int eegpt = 0; eegpt < 2; eegpt++) {
        model_file m = make(eegpt ? "eegpt" : "osf-nano", eegpt ? eegpt_config : osf_config,
                            PSGVIT_DTYPE_F32);
        exact_count = other_count = 0;
        if (open_either(&m, eegpt, device, &err))
            fail_msg("%s", err.message);
        assert_int_equal(exact_count, eegpt ? 2 : 0);
        assert_true(other_count >= (eegpt ? 1 + 4 + 4 + 2 * 4 : 1 + 2 * 4)); /* patch, blocks */
        model_free(&m);
    }
    assert_int_equal(exact_rows[0], 16);
    assert_int_equal(exact_rows[1], 4);
    device->backend = cpu;
    psgvit_device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_beyond_float),
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_exact),
    };
    return cmocka_run_group_tests_name("loading weights", tests, NULL, NULL);
}
