/* SPDX-License-Identifier: MIT */
/*
 * The arguments of the public interface, of both models: sizes of structs, NULL, enums, capacities,
 * lengths, what a model or a device lacks, and what a failure leaves behind.
 */
#include "base/utf8.h"
#include "unit/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An encoder of each model, and one of EEGPT without a probe. */
typedef struct fixture {
    psgvit_device *device;
    vector_case osf, eegpt, bare;
    vector_encoder osf_e, eegpt_e, bare_e;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->device = job_device(2, PSGVIT_ISA_AUTO);
    vector_open(&f->osf, TESTS_DIR "/vectors", job_cases[0], 0);
    vector_open(&f->eegpt, TESTS_DIR "/vectors", job_cases[1], 0);
    vector_open(&f->bare, TESTS_DIR "/vectors", "eegpt_encoder", 0);
    vector_encoder_open(&f->osf_e, &f->osf, f->device);
    vector_encoder_open(&f->eegpt_e, &f->eegpt, f->device);
    vector_encoder_open(&f->bare_e, &f->bare, f->device);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    vector_encoder_close(&f->osf_e);
    vector_encoder_close(&f->eegpt_e);
    vector_encoder_close(&f->bare_e);
    vector_close(&f->osf);
    vector_close(&f->eegpt);
    vector_close(&f->bare);
    psgvit_device_close(&f->device);
    free(f);
    return 0;
}

/* ---- struct_size ---- */

/* A params struct with room behind it, as a newer caller has it. */
typedef struct long_params {
    union {
        size_t struct_size;
        osf_encoder_params osf;
        eegpt_encoder_params eegpt;
        psgvit_device_params device;
    } p;
    unsigned char tail[32];
} long_params;

static psgvit_status open_with(const fixture *f, int which, const long_params *p, psgvit_error *err)
{
    psgvit_status status;
    if (which == 0) {
        osf_encoder *e = NULL;
        status =
            osf_encoder_open_memory(&e, f->device, f->osf.image, f->osf.image_size, &p->p.osf, err);
        assert_int_equal(e == NULL, status != PSGVIT_OK);
        osf_encoder_close(&e);
    } else if (which == 1) {
        eegpt_encoder *e = NULL;
        status = eegpt_encoder_open_memory(&e, f->device, f->eegpt.image, f->eegpt.image_size,
                                           &p->p.eegpt, err);
        assert_int_equal(e == NULL, status != PSGVIT_OK);
        eegpt_encoder_close(&e);
    } else {
        psgvit_device *d = NULL;
        status = psgvit_device_open(&d, &p->p.device, err);
        assert_int_equal(d == NULL, status != PSGVIT_OK);
        psgvit_device_close(&d);
    }
    return status;
}

static void test_params_size(void **state)
{
    const fixture *f = *state;
    static const size_t own[3] = {sizeof(osf_encoder_params), sizeof(eegpt_encoder_params),
                                  sizeof(psgvit_device_params)};
    psgvit_error err;
    for (int which = 0; which < 3; which++) {
        long_params p = {0};
        for (size_t size = 0; size < sizeof(size_t); size++) {
            p.p.struct_size = size;
            assert_int_equal(open_with(f, which, &p, &err), PSGVIT_E_ARGUMENT);
            job_assert_says(&err, PSGVIT_E_ARGUMENT, "struct_size");
        }
        p.p.struct_size = sizeof(size_t);
        assert_int_equal(open_with(f, which, &p, &err), PSGVIT_OK);
        /* What lies behind the size that the caller says is not looked at. */
        memset((unsigned char *)&p + sizeof(size_t), 0xA5, sizeof p - sizeof(size_t));
        assert_int_equal(open_with(f, which, &p, &err), PSGVIT_OK);
        memset(&p, 0, sizeof p);
        p.p.struct_size = own[which] + 24;
        assert_int_equal(open_with(f, which, &p, &err), PSGVIT_OK);
        ((unsigned char *)&p)[own[which] + 23] = 1;
        assert_int_equal(open_with(f, which, &p, &err), PSGVIT_E_ARGUMENT);
        job_assert_says(&err, PSGVIT_E_ARGUMENT, "is set");
    }
}

static void test_job_size(void **state)
{
    const fixture *f = *state;
    psgvit_error err;
    float cls[2 * 64];
    struct {
        osf_job job;
        unsigned char tail[16];
    } j = {.job = {.struct_size = sizeof(osf_job),
                   .signal = f->osf.input,
                   .epochs = 1,
                   .cls = cls,
                   .cls_capacity = 128}};
    assert_int_equal(osf_encode(f->osf_e.osf, &j.job, &err), PSGVIT_OK);
    j.job.struct_size = sizeof j;
    assert_int_equal(osf_encode(f->osf_e.osf, &j.job, &err), PSGVIT_OK);
    j.tail[3] = 1;
    assert_int_equal(osf_encode(f->osf_e.osf, &j.job, &err), PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "job has");
    j.job.nan = (psgvit_nan_policy)77; /* behind the end */
    j.job.struct_size = offsetof(osf_job, nan);
    assert_int_equal(osf_encode(f->osf_e.osf, &j.job, &err), PSGVIT_OK);
    j.job.struct_size = 0;
    assert_int_equal(osf_encode(f->osf_e.osf, &j.job, &err), PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "job.struct_size is 0");
    eegpt_job e = {.struct_size = 3};
    assert_int_equal(eegpt_encode(f->eegpt_e.eegpt, &e, &err), PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "job.struct_size is 3");
}

/* ---- NULL ---- */

#define A_HANDLE(type) ((type *)(uintptr_t)0x10)

static void test_null_open(void **state)
{
    const fixture *f = *state;
    const void *image = f->osf.image;
    size_t size = f->osf.image_size;
    osf_encoder *o = A_HANDLE(osf_encoder);
    eegpt_encoder *e = A_HANDLE(eegpt_encoder);
    psgvit_error err;
    struct {
        psgvit_status found;
        const char *part;
    } calls[] = {
        {osf_encoder_open(NULL, f->device, "x", NULL, NULL), "encoder"},
        {osf_encoder_open_memory(NULL, f->device, image, size, NULL, NULL), "encoder"},
        {eegpt_encoder_open(NULL, f->device, "x", NULL, NULL), "encoder"},
        {eegpt_encoder_open_memory(NULL, f->device, image, size, NULL, NULL), "encoder"},
        {psgvit_device_open(NULL, NULL, NULL), "device"},
        {psgvit_device_list_open(NULL, NULL), "list"},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        assert_int_equal(calls[i].found, PSGVIT_E_ARGUMENT);
    assert_int_equal(osf_encoder_open(&o, NULL, "x", NULL, &err), PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "device is NULL");
    assert_null(o);
    o = A_HANDLE(osf_encoder);
    assert_int_equal(osf_encoder_open(&o, f->device, NULL, NULL, &err), PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "path is NULL");
    assert_null(o);
    o = A_HANDLE(osf_encoder);
    assert_int_equal(osf_encoder_open_memory(&o, f->device, NULL, 9, NULL, &err),
                     PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "data is NULL");
    assert_null(o);
    assert_int_equal(eegpt_encoder_open(&e, NULL, "x", NULL, &err), PSGVIT_E_ARGUMENT);
    assert_null(e);
    e = A_HANDLE(eegpt_encoder);
    assert_int_equal(eegpt_encoder_open_memory(&e, f->device, NULL, 9, NULL, &err),
                     PSGVIT_E_ARGUMENT);
    assert_null(e);
}

/* Handles are NULL after every kind of failure, params and model included. */
static void test_failure_leaves_null(void **state)
{
    const fixture *f = *state;
    psgvit_error err;
    osf_encoder *o = A_HANDLE(osf_encoder);
    assert_int_equal(osf_encoder_open(&o, f->device, "/nonexistent/m", NULL, &err), PSGVIT_E_MODEL);
    job_assert_says(&err, PSGVIT_E_MODEL, "/nonexistent/m");
    assert_null(o);
    o = A_HANDLE(osf_encoder);
    assert_int_equal(
        osf_encoder_open_memory(&o, f->device, f->eegpt.image, f->eegpt.image_size, NULL, &err),
        PSGVIT_E_MODEL);
    assert_null(o);
    eegpt_encoder *e = A_HANDLE(eegpt_encoder);
    assert_int_equal(
        eegpt_encoder_open_memory(&e, f->device, f->osf.image, f->osf.image_size, NULL, &err),
        PSGVIT_E_MODEL);
    assert_null(e);
    psgvit_device *d = A_HANDLE(psgvit_device);
    psgvit_device_params p = {.struct_size = sizeof p, .backend = (psgvit_backend)9};
    assert_int_equal(psgvit_device_open(&d, &p, NULL), PSGVIT_E_ARGUMENT);
    assert_null(d);
    psgvit_weights *w = A_HANDLE(psgvit_weights);
    assert_int_equal(psgvit_weights_open(&w, NULL, NULL, NULL), PSGVIT_E_ARGUMENT);
    assert_null(w);
    w = A_HANDLE(psgvit_weights);
    assert_int_equal(psgvit_weights_open_memory(&w, NULL, 1, NULL, NULL), PSGVIT_E_ARGUMENT);
    assert_null(w);
    w = A_HANDLE(psgvit_weights);
    assert_int_equal(psgvit_weights_open_variant(&w, NULL, NULL, NULL), PSGVIT_E_ARGUMENT);
    assert_null(w);
}

static void test_null_elsewhere(void **state)
{
    fixture *f = *state;
    psgvit_error err;
    osf_job job = {.struct_size = sizeof job, .epochs = 1};
    eegpt_job ejob = {.struct_size = sizeof ejob, .epochs = 1};
    assert_int_equal(osf_encode(NULL, &job, &err), PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "encoder is NULL");
    assert_int_equal(osf_encode(f->osf_e.osf, NULL, &err), PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "job is NULL");
    assert_int_equal(eegpt_encode(NULL, &ejob, &err), PSGVIT_E_ARGUMENT);
    assert_int_equal(eegpt_encode(f->eegpt_e.eegpt, NULL, &err), PSGVIT_E_ARGUMENT);
    assert_int_equal(osf_encode(f->osf_e.osf, &job, &err), PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "job.signal is NULL");
    assert_int_equal(eegpt_encode(f->eegpt_e.eegpt, &ejob, NULL), PSGVIT_E_ARGUMENT);
    assert_null(osf_encoder_info(NULL));
    assert_null(eegpt_encoder_info(NULL));
    assert_null(psgvit_device_get_info(NULL));
    assert_int_equal(osf_patch_count(NULL, 64), 0);
    assert_int_equal(eegpt_patch_count(NULL, 64), 0);
    assert_int_equal(psgvit_device_list_count(NULL), 0);
    assert_null(psgvit_device_list_at(NULL, 0));
    osf_encoder_close(NULL);
    eegpt_encoder_close(NULL);
    psgvit_device_close(NULL);
    psgvit_device_list_close(NULL);
    osf_encoder *o = NULL;
    eegpt_encoder *e = NULL;
    psgvit_device *d = NULL;
    psgvit_device_list *l = NULL;
    osf_encoder_close(&o);
    eegpt_encoder_close(&e);
    psgvit_device_close(&d);
    psgvit_device_list_close(&l);
}

static void test_close_sets_null(void **state)
{
    const fixture *f = *state;
    psgvit_device *d = job_device(1, PSGVIT_ISA_AUTO);
    vector_encoder o, e;
    vector_encoder_open(&o, &f->osf, d);
    vector_encoder_open(&e, &f->eegpt, d);
    osf_encoder_close(&o.osf);
    eegpt_encoder_close(&e.eegpt);
    psgvit_device_close(&d);
    assert_null(o.osf);
    assert_null(e.eegpt);
    assert_null(d);
}

/* ---- enums and flags ---- */

static void test_bad_values(void **state)
{
    const fixture *f = *state;
    psgvit_error err;
    osf_encoder *o = NULL;
    osf_encoder_params p = {.struct_size = sizeof p, .precision = (psgvit_precision)3};
    const void *image = f->osf.image;
    size_t size = f->osf.image_size;
    assert_int_equal(osf_encoder_open_memory(&o, f->device, image, size, &p, &err),
                     PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "precision is 3");
    p.precision = (psgvit_precision)-1;
    assert_int_equal(osf_encoder_open_memory(&o, f->device, image, size, &p, &err),
                     PSGVIT_E_ARGUMENT);
    p = (osf_encoder_params){.struct_size = sizeof p, .flags = 2};
    assert_int_equal(osf_encoder_open_memory(&o, f->device, image, size, &p, &err),
                     PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "flags");
    p = (osf_encoder_params){.struct_size = sizeof p, .config_path = "x", .config_json = "{}"};
    assert_int_equal(osf_encoder_open_memory(&o, f->device, image, size, &p, &err),
                     PSGVIT_E_ARGUMENT);
    job_assert_says(&err, PSGVIT_E_ARGUMENT, "config_path and config_json");
    const vector_encoder *encoders[2] = {&f->osf_e, &f->eegpt_e};
    const vector_case *cases[2] = {&f->osf, &f->eegpt};
    for (int m = 0; m < 2; m++) {
        test_job job = job_make(cases[m], 1);
        job.nan = (psgvit_nan_policy)3;
        assert_int_equal(job_encode(encoders[m], &job, &err), PSGVIT_E_ARGUMENT);
        job_assert_says(&err, PSGVIT_E_ARGUMENT, "job.nan is 3");
        job.nan = (psgvit_nan_policy)-1;
        assert_int_equal(job_encode(encoders[m], &job, NULL), PSGVIT_E_ARGUMENT);
        job_free(&job);
    }
    assert_string_equal(psgvit_status_name((psgvit_status)99), "unknown status");
    assert_string_equal(psgvit_precision_name((psgvit_precision)99), "?");
    assert_string_equal(psgvit_backend_name((psgvit_backend)99), "?");
    assert_string_equal(psgvit_isa_name((psgvit_isa)99), "");
}

static void test_precision_lacking(void **state)
{
    const fixture *f = *state;
    static const psgvit_precision asked[2] = {PSGVIT_F16, PSGVIT_BF16};
    for (int i = 0; i < 2; i++) {
        psgvit_error err;
        if (psgvit_device_get_info(f->device)->precisions & (1u << asked[i]))
            continue; /* what it has is for the parity tests */
        osf_encoder *o = A_HANDLE(osf_encoder);
        osf_encoder_params p = {.struct_size = sizeof p, .precision = asked[i]};
        assert_int_equal(
            osf_encoder_open_memory(&o, f->device, f->osf.image, f->osf.image_size, &p, &err),
            PSGVIT_E_DEVICE);
        job_assert_says(&err, PSGVIT_E_DEVICE, psgvit_precision_name(asked[i]));
        job_assert_says(&err, PSGVIT_E_DEVICE, "f32 is");
        assert_null(o);
        eegpt_encoder *e = A_HANDLE(eegpt_encoder);
        eegpt_encoder_params q = {.struct_size = sizeof q, .precision = asked[i]};
        assert_int_equal(
            eegpt_encoder_open_memory(&e, f->device, f->eegpt.image, f->eegpt.image_size, &q, &err),
            PSGVIT_E_DEVICE);
        assert_null(e);
    }
}

/* ---- outputs and lengths ---- */

static void test_capacity(void **state)
{
    const fixture *f = *state;
    const vector_encoder *encoders[2] = {&f->osf_e, &f->eegpt_e};
    const vector_case *cases[2] = {&f->osf, &f->eegpt};
    for (int m = 0; m < 2; m++) {
        const vector_case *c = cases[m];
        test_job job = job_make(c, 2);
        for (size_t i = 0; i < c->output_count; i++) {
            psgvit_error err;
            char part[128];
            size_t room = job.room[i];
            job.room[i] = room - 1;
            assert_int_equal(job_encode(encoders[m], &job, &err), PSGVIT_E_ARGUMENT);
            snprintf(part, sizeof part, "job.%s has room for %zu floats, expected %zu",
                     c->outputs[i].name, room - 1, room);
            job_assert_says(&err, PSGVIT_E_ARGUMENT, part);
            job.room[i] = 0;
            assert_int_equal(job_encode(encoders[m], &job, &err), PSGVIT_E_ARGUMENT);
            job.room[i] = SIZE_MAX;
            assert_int_equal(job_encode(encoders[m], &job, &err), PSGVIT_OK);
            job.room[i] = room;
            /* So many epochs that the product overflows: nothing is touched. */
            size_t epochs = job.epochs;
            job.epochs = SIZE_MAX / 2;
            assert_int_equal(job_encode(encoders[m], &job, &err), PSGVIT_E_ARGUMENT);
            job.epochs = epochs;
        }
        job_free(&job);
    }
}

static void test_no_output(void **state)
{
    const fixture *f = *state;
    const vector_encoder *encoders[2] = {&f->osf_e, &f->eegpt_e};
    const vector_case *cases[2] = {&f->osf, &f->eegpt};
    for (int m = 0; m < 2; m++) {
        psgvit_error err;
        test_job job = job_make(cases[m], 1), none = job;
        memset(none.out, 0, sizeof none.out);
        assert_int_equal(job_encode(encoders[m], &none, &err), PSGVIT_E_ARGUMENT);
        job_assert_says(&err, PSGVIT_E_ARGUMENT, "no output");
        job_free(&job);
    }
}

static void test_osf_lengths(void **state)
{
    const fixture *f = *state;
    psgvit_error err;
    static const size_t wrong[] = {1, 63, 65, 1919, 1984, 3840, SIZE_MAX, SIZE_MAX / 64 * 64};
    test_job job = job_make(&f->osf, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char part[64];
        job.samples = wrong[i];
        assert_int_equal(osf_patch_count(f->osf_e.osf, wrong[i]), 0);
        assert_int_equal(job_encode(&f->osf_e, &job, &err), PSGVIT_E_INPUT);
        snprintf(part, sizeof part, "%zu samples", wrong[i]);
        job_assert_says(&err, PSGVIT_E_INPUT, part);
        job_assert_says(&err, PSGVIT_E_INPUT, "64");
    }
    assert_int_equal(osf_patch_count(f->osf_e.osf, 0), 0);
    assert_int_equal(osf_patch_count(f->osf_e.osf, 64), 3);
    assert_int_equal(osf_patch_count(f->osf_e.osf, 1920), 90);
    job.samples = 0; /* the model's own */
    job_run(&f->osf_e, &job);
    for (size_t i = 0; i < 3; i++)
        job_assert_true(&f->osf, &job, i, 0);
    job.samples = 64;
    job_run(&f->osf_e, &job);
    job_free(&job);
}

static void test_eegpt_lengths(void **state)
{
    const fixture *f = *state;
    const eegpt_info *info = eegpt_encoder_info(f->eegpt_e.eegpt);
    psgvit_error err;
    test_job job = job_make(&f->eegpt, 1);
    job.samples = 0; /* the config's */
    job_run(&f->eegpt_e, &job);
    job_assert_true(&f->eegpt, &job, 0, 0);
    job_assert_true(&f->eegpt, &job, 1, 0);
    assert_int_equal(eegpt_patch_count(f->eegpt_e.eegpt, 0), 0);
    assert_int_equal(eegpt_patch_count(f->eegpt_e.eegpt, info->patch_samples - 1), 0);
    assert_int_equal(eegpt_patch_count(f->eegpt_e.eegpt, info->patch_samples), 1);
    job.samples = info->patch_samples - 1;
    assert_int_equal(job_encode(&f->eegpt_e, &job, &err), PSGVIT_E_INPUT);
    job_assert_says(&err, PSGVIT_E_INPUT, "expected at least");
    /* Another P: features are fine, the probe is not. */
    job.samples = info->samples - info->patch_stride;
    assert_int_equal(job_encode(&f->eegpt_e, &job, &err), PSGVIT_E_INPUT);
    job_assert_says(&err, PSGVIT_E_INPUT, "probe expects 20");
    test_job features = job;
    features.out[1] = NULL;
    job_run(&f->eegpt_e, &features);
    /* Lengths that overflow whatever is computed from them. */
    static const size_t huge[] = {SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 62, (size_t)1 << 40};
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        features.samples = huge[i];
        psgvit_status status = job_encode(&f->eegpt_e, &features, &err);
        assert_true(status == PSGVIT_E_ARGUMENT || status == PSGVIT_E_MEMORY);
        features.room[0] = SIZE_MAX;
        status = job_encode(&f->eegpt_e, &features, &err);
        assert_true(status == PSGVIT_E_ARGUMENT || status == PSGVIT_E_MEMORY);
        features.room[0] = job.room[0];
    }
    job_free(&job);
}

static void test_logits_without_probe(void **state)
{
    const fixture *f = *state;
    psgvit_error err;
    float logits[64];
    test_job job = job_make(&f->bare, 1);
    job_run(&f->bare_e, &job);
    job_assert_true(&f->bare, &job, 0, 0);
    assert_int_equal(eegpt_encoder_info(f->bare_e.eegpt)->outputs, 0);
    job.out[1] = logits;
    job.room[1] = 64;
    assert_int_equal(job_encode(&f->bare_e, &job, &err), PSGVIT_E_MODEL);
    job_assert_says(&err, PSGVIT_E_MODEL, "no probe");
    job.out[1] = NULL;
    job_free(&job);
}

/* ---- information ---- */

static void test_info(void **state)
{
    const fixture *f = *state;
    const osf_info *o = osf_encoder_info(f->osf_e.osf);
    assert_int_equal(o->width, 64);
    assert_int_equal(o->depth, 2);
    assert_int_equal(o->heads, 1);
    assert_int_equal(o->mlp_dim, 128);
    assert_int_equal(o->leads, 12);
    assert_int_equal(o->lead_wise, 1);
    assert_int_equal(o->samples, 1920);
    assert_int_equal(o->patches, 90);
    assert_int_equal(o->parameters, 81216 - 3 * 64); /* lead_emb is not used */
    assert_string_equal(o->variant, "custom");
    const eegpt_info *e = eegpt_encoder_info(f->eegpt_e.eegpt);
    assert_int_equal(e->channels, 3);
    assert_int_equal(e->tokens, 3);
    assert_int_equal(e->samples, 333);
    assert_int_equal(e->width, 96);
    assert_int_equal(e->depth, 3);
    assert_int_equal(e->heads, 3);
    assert_int_equal(e->summary_tokens, 2);
    assert_int_equal(e->outputs, 7);
    assert_int_equal(e->probe_patches, 20);
    assert_int_equal(e->parameters, 238327);
    assert_int_equal(eegpt_patch_count(f->eegpt_e.eegpt, 333), 20);
}

/* The config's own, else those of the ids, but behind a chan_proj nobody knows. */
static void test_channel_names(void **state)
{
    const fixture *f = *state;
    static const struct {
        const char *name;
        size_t count;
        const char *channels[5];
    } cases[] = {
        {"eegpt_names", 5, {"Cz", "O2", "FP1", "T7", "PO4"}},
        {"eegpt_encoder", 4, {"FP1", "FPZ", "FP2", "AF7", ""}},
        {"eegpt_conv_proj", 30, {"", "", "", "", ""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vector_case c;
        vector_encoder e;
        vector_open(&c, TESTS_DIR "/vectors", cases[i].name, 0);
        vector_encoder_open(&e, &c, f->device);
        assert_int_equal(eegpt_encoder_info(e.eegpt)->channels, cases[i].count);
        for (size_t j = 0; j < 5; j++)
            assert_string_equal(eegpt_channel_name(e.eegpt, j), cases[i].channels[j]);
        assert_string_equal(eegpt_channel_name(e.eegpt, cases[i].count), "");
        assert_string_equal(eegpt_channel_name(e.eegpt, SIZE_MAX), "");
        vector_encoder_close(&e);
        vector_close(&c);
    }
    assert_string_equal(eegpt_channel_name(NULL, 0), "");
}

/* Whatever bytes a path has, and wherever it is cut: not where the reason stands. */
static void test_messages_are_utf8(void **state)
{
    fixture *f = *state;
    osf_encoder *e;
    psgvit_error err;
    char path[2 * sizeof err.message + 2] = "x";
    osf_encoder_open(&e, f->device, "/\xff/\xc3\xa4\xed\xa0\x80", NULL, &err);
    const char *expected = "/?/\xc3\xa4???: cannot be opened: ";
    assert_memory_equal(err.message, expected, strlen(expected));
    for (size_t start = 0; start < 2; start++) { /* one of both is cut inside a character */
        for (size_t i = start; i + 2 < sizeof path; i += 2)
            memcpy(path + i, "\xc3\xa4", 3);
        osf_encoder_open(&e, f->device, path, NULL, &err);
        assert_int_equal(strlen(err.message), sizeof err.message - 1);
        assert_int_equal(pv_utf8_check(err.message, strlen(err.message)), strlen(err.message));
        assert_memory_equal(err.message + start, path + start, 400);
        assert_non_null(strstr(err.message, ": cannot be opened: File name too long (errno "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params_size),
        cmocka_unit_test(test_job_size),
        cmocka_unit_test(test_null_open),
        cmocka_unit_test(test_failure_leaves_null),
        cmocka_unit_test(test_null_elsewhere),
        cmocka_unit_test(test_close_sets_null),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_precision_lacking),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_no_output),
        cmocka_unit_test(test_osf_lengths),
        cmocka_unit_test(test_eegpt_lengths),
        cmocka_unit_test(test_logits_without_probe),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_channel_names),
        cmocka_unit_test(test_messages_are_utf8),
    };
    return cmocka_run_group_tests_name("api", tests, setup, teardown);
}
