/* SPDX-License-Identifier: MIT */
/*
 * Stage by stage, so that a failure of parity names where it begins: the tokens that enter the
 * first block, and what each block leaves, against the float64 truth. The stages of a pass are read
 * from its memory: a last block that drops rows leaves the stream that entered it as it was, so a
 * model of k + 1 blocks, of whose outputs only the smallest is asked for, shows what k blocks made.
 * EEGPT's first and last block have two forms, by what the device gains by: each is looked at.
 */
#include "parity/vector.h"

#include "model/eegpt_model.h"
#include "model/osf_model.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Either model, loaded from a case for a device that spares products or one that doesn't. */
typedef struct stage_model {
    psgvit_device *device;
    pv_osf_model osf;
    pv_eegpt_model eegpt;
} stage_model;

static void model_open(stage_model *m, const vector_case *c, bool spare)
{
    psgvit_error err;
    psgvit_weights *w = NULL;
    psgvit_device_params params = {.struct_size = sizeof params, .backend = PSGVIT_BACKEND_CPU};
    *m = (stage_model){0};
    if (psgvit_device_open(&m->device, &params, &err))
        fail_msg("%s: %s", c->name, err.message);
    m->device->spares = spare ? 1u << PSGVIT_F32 : 0;
    if (psgvit_weights_open_memory(&w, c->image, c->image_size, NULL, &err) ||
        (c->eegpt ? pv_eegpt_load(&m->eegpt, m->device, w, NULL, PSGVIT_F32, &err)
                  : pv_osf_load(&m->osf, m->device, w, NULL, PSGVIT_F32, &err)))
        fail_msg("%s: %s", c->name, err.message);
    psgvit_weights_close(&w);
}

/* Runs the case's input for one output. */
static pv_pass *run(const stage_model *m, const vector_case *c, unsigned output)
{
    psgvit_error err;
    pv_pass *pass = NULL;
    pv_pass_shape shape = {.epochs = c->epochs, .samples = c->samples, .wanted = 1u << output};
    if (c->eegpt ? pv_eegpt_record(&m->eegpt, &shape, &pass, &err)
                 : pv_osf_record(&m->osf, &shape, &pass, &err))
        fail_msg("%s: %s", c->name, err.message);
    memcpy(pass->signal->host, c->input, c->epochs * c->channels * c->samples * sizeof(float));
    assert_int_equal(pv_plan_submit(pass->plan, &err), PSGVIT_OK);
    return pass;
}

static void model_close(stage_model *m, const vector_case *c)
{
    if (c->eegpt)
        pv_eegpt_free(&m->eegpt);
    else
        pv_osf_free(&m->osf);
    psgvit_device_close(&m->device);
}

/* Rows [first, first + count) of every group of `group` rows of the truth, against ours without
 * gaps. Returns the number of failures. */
static int compare(const vector_case *c, const char *stage, const float *found, size_t group,
                   size_t first, size_t count, size_t width)
{
    size_t elements;
    float *truth = vector_tensor(c, stage, &elements);
    cJSON *config = cJSON_Parse(psgvit_weights_metadata(c->file, "config"));
    const cJSON *own = cJSON_GetObjectItem(cJSON_GetObjectItem(config, "pytorch_f32_error"), stage);
    vector_output output = {.torch_max = cJSON_GetObjectItem(own, "max")->valuedouble,
                            .torch_mean = cJSON_GetObjectItem(own, "mean")->valuedouble};
    double worst = 0, sum = 0;
    size_t groups = elements / (group * width);
    for (size_t g = 0; g < groups; g++) {
        double max, mean;
        vector_compare(found + g * count * width, truth + (g * group + first) * width,
                       count * width, &max, &mean);
        worst = fmax(worst, max);
        sum += mean;
    }
    double mean = sum / (double)groups;
    bool kept = vector_promise(&output, worst, mean);
    printf("%-14s %-13s %.2e %.2e   %.2e %.2e %s\n", c->name, stage, worst, mean, output.torch_max,
           output.torch_mean, kept ? "" : "BROKEN");
    cJSON_Delete(config);
    free(truth);
    return !kept;
}

/* The stream that entered the last of `depth` blocks, by the stage's name. */
static int compare_entering(const char *name, size_t depth, const char *stage, bool spare)
{
    vector_case c;
    stage_model m;
    vector_open(&c, TESTS_DIR "/vectors", name, depth);
    model_open(&m, &c, spare);
    pv_pass *pass = run(&m, &c, 0);
    size_t width = c.eegpt ? m.eegpt.config.width : m.osf.config.width;
    int failed = compare(&c, stage, pass->work->host, 1, 0, 1, width);
    pv_pass_destroy(pass);
    model_close(&m, &c);
    vector_close(&c);
    return failed;
}

static void test_osf(void **state)
{
    (void)state;
    int failures = compare_entering("osf_one_head", 1, "stage.tokens", true) +
                   compare_entering("osf_one_head", 2, "stage.block0", true);
    vector_case c;
    stage_model m;
    vector_open(&c, TESTS_DIR "/vectors", "osf_one_head", 0);
    model_open(&m, &c, true);
    pv_pass *pass = run(&m, &c, PV_OSF_PATCHES);
    const float *left = pass->tokens.buffer->host + pass->tokens.offset;
    failures += compare(&c, "stage.block1", left, 1, 0, 1, m.osf.config.width);
    pv_pass_destroy(pass);
    model_close(&m, &c);
    vector_close(&c);
    assert_int_equal(failures, 0);
}

static void test_eegpt(void **state)
{
    const bool spare = *(const bool *)*state;
    int failures = compare_entering("eegpt_names", 1, "stage.tokens", spare) +
                   compare_entering("eegpt_names", 2, "stage.block0", spare);
    vector_case c;
    stage_model m;
    vector_open(&c, TESTS_DIR "/vectors", "eegpt_names", 0);
    model_open(&m, &c, spare);
    assert_int_equal(m.eegpt.heads != NULL, spare);
    assert_int_equal(m.eegpt.blocks->same_qkv.buffer != NULL, spare);
    pv_pass *pass = run(&m, &c, PV_EEGPT_FEATURES);
    const pv_eegpt_config *k = &m.eegpt.config;
    const float *left = pass->tokens.buffer->host + pass->tokens.offset;
    failures +=
        compare(&c, "stage.block1", left, k->tokens + k->summary, k->tokens, k->summary, k->width);
    pv_pass_destroy(pass);
    model_close(&m, &c);
    vector_close(&c);
    assert_int_equal(failures, 0);
}

/* The features of a case, made of `depth` blocks. */
static float *features(const char *name, size_t depth, bool spare, vector_output *output)
{
    vector_case c;
    stage_model m;
    vector_open(&c, TESTS_DIR "/vectors", name, depth);
    model_open(&m, &c, spare);
    pv_pass *pass = run(&m, &c, PV_EEGPT_FEATURES);
    *output = c.outputs[0];
    assert_string_equal(output->name, "features");
    float *found = malloc(output->count * sizeof *found);
    assert_non_null(found);
    memcpy(found, pass->output[PV_EEGPT_FEATURES]->host, output->count * sizeof *found);
    pv_pass_destroy(pass);
    model_close(&m, &c);
    vector_close(&c);
    return found;
}

/* A first block that is the last one, too, and two; no bias of qkv, sizes that fill no vector. */
static void test_both_forms(void **state)
{
    (void)state;
    static const char *const names[] = {"eegpt_odd", "eegpt_4x1000", "eegpt_tails"};
    int failures = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t depth = 1; depth <= 2; depth++) {
            vector_output output;
            double max, mean;
            float *plain = features(names[i], depth, false, &output);
            float *spared = features(names[i], depth, true, &output);
            vector_compare(spared, plain, output.count, &max, &mean);
            bool kept = vector_promise(&output, max, mean);
            printf("%-14s %zu, two forms  %.2e %.2e   %.2e %.2e %s\n", names[i], depth, max, mean,
                   output.torch_max, output.torch_mean, kept ? "" : "BROKEN");
            failures += !kept;
            free(plain);
            free(spared);
        }
    assert_int_equal(failures, 0);
}

int main(void)
{
    static const bool plain = false, spare = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_osf),
        {"eegpt", test_eegpt, NULL, NULL, (void *)(uintptr_t)&plain},
        {"eegpt_spared", test_eegpt, NULL, NULL, (void *)(uintptr_t)&spare},
        cmocka_unit_test(test_both_forms),
    };
    printf("%-14s %-13s %-17s   %s\n", "case", "stage", "ours: max  mean", "PyTorch: max mean");
    return cmocka_run_group_tests_name("stages", tests, NULL, NULL);
}
