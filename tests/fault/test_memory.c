/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at every allocation in turn, once and for ever after, from opening a device to
 * closing it, of both models, and while a model file is looked at or a recording read: a sentence
 * each time, nothing leaked, the encoder usable afterwards. Locks that can't be made are the same.
 */
#define _DEFAULT_SOURCE /* pipe, dup2 */
#include "fault/inject.h"
#include "unit/job.h"

#include <psgvit/recording.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What every scenario works on; made while nothing fails. */
typedef struct stage {
    vector_case c;
    char path[128];
    test_job expected, job;
    unsigned kinds;
    int threads;
    unsigned flags;
} stage;

static void stage_open(stage *s, const char *name, unsigned kinds, int threads)
{
    vector_encoder e;
    *s = (stage){.kinds = kinds, .threads = threads};
    vector_open(&s->c, TESTS_DIR "/vectors", name, 0);
    inject_folder(s->path, "model.safetensors");
    inject_file(s->path, s->c.image, s->c.image_size);
    psgvit_device *device = job_device(threads, PSGVIT_ISA_AUTO);
    vector_encoder_open(&e, &s->c, device);
    s->expected = job_make(&s->c, 3);
    s->job = job_make(&s->c, 3);
    s->expected.batch = s->job.batch = 2;
    job_run(&e, &s->expected);
    vector_encoder_close(&e);
    psgvit_device_close(&device);
}

static void stage_close(stage *s)
{
    job_free(&s->expected);
    job_free(&s->job);
    vector_close(&s->c);
    inject_folder_end(s->path);
}

static void assert_result(const stage *s)
{
    for (size_t i = 0; i < s->c.output_count; i++)
        assert_memory_equal(s->job.out[i], s->expected.out[i], s->expected.room[i] * sizeof(float));
}

static psgvit_status encoder_open(const stage *s, psgvit_device *device, vector_encoder *e,
                                  psgvit_error *err)
{
    *e = (vector_encoder){0};
    eegpt_encoder_params ep = {.struct_size = sizeof ep, .flags = s->flags};
    osf_encoder_params op = {.struct_size = sizeof op, .flags = s->flags};
    return s->c.eegpt ? eegpt_encoder_open(&e->eegpt, device, s->path, &ep, err)
                      : osf_encoder_open(&e->osf, device, s->path, &op, err);
}

/* Opens, encodes and closes while the n-th call fails. True if nothing has failed any more. */
static bool attempt(stage *s, long n, bool for_ever)
{
    psgvit_error err = {PSGVIT_OK, ""};
    psgvit_device *device = NULL;
    vector_encoder e = {0};
    psgvit_device_params p = {.struct_size = sizeof p, .threads = s->threads};
    long live = inject_live();
    bool opened = false;
    inject_arm(s->kinds, n, for_ever);
    psgvit_status status = psgvit_device_open(&device, &p, &err);
    if (!status)
        status = encoder_open(s, device, &e, &err);
    if (!status) {
        opened = true;
        status = job_encode(&e, &s->job, &err);
    }
    bool fired = inject_disarm();
    assert_int_equal(err.code, status);
    assert_int_equal(strlen(err.message) > 0, status != PSGVIT_OK);
    assert_true(fired || status == PSGVIT_OK);
    if (status) {
        if (status != PSGVIT_E_MEMORY)
            fail_msg("call %ld: %s: %s", n, psgvit_status_name(status), err.message);
        assert_true(opened || (!e.osf && !e.eegpt));
    }
    if (opened) { /* whatever has happened: it works now */
        if (status)
            job_run(&e, &s->job);
        assert_result(s);
    }
    vector_encoder_close(&e);
    psgvit_device_close(&device);
    if (inject_live() != live)
        fail_msg("call %ld%s: %ld blocks leaked", n, for_ever ? " and later" : "",
                 inject_live() - live);
    return !fired;
}

static void every_call(const char *name, unsigned kinds, int threads, unsigned flags)
{
    stage s;
    stage_open(&s, name, kinds, threads);
    s.flags = flags;
    long n[2] = {1, 1};
    for (int for_ever = 0; for_ever < 2; for_ever++)
        while (!attempt(&s, n[for_ever], for_ever))
            n[for_ever]++;
    assert_true(n[0] > (kinds == INJECT_MEMORY ? 60 : 1));
    assert_true(n[1] > 1);
    stage_close(&s);
}

static void test_osf(void **state)
{
    (void)state;
    every_call("osf_one_head", INJECT_MEMORY, 1, 0);
    every_call("osf_one_head", INJECT_MEMORY, 1, PSGVIT_READ);
}

static void test_eegpt(void **state)
{
    (void)state;
    every_call("eegpt_odd", INJECT_MEMORY, 1, 0);
    every_call("eegpt_conv_proj", INJECT_MEMORY, 1, 0);
    every_call("eegpt_names", INJECT_MEMORY, 1, 0);
}

static void test_two_threads(void **state)
{
    (void)state;
    every_call("osf_one_head", INJECT_MEMORY, 2, 0);
}

static void test_mutexes(void **state)
{
    (void)state;
    every_call("osf_one_head", INJECT_MUTEX, 1, 0);
    every_call("eegpt_odd", INJECT_MUTEX, 2, 0);
}

/* ---- what needs no device ---- */

typedef psgvit_status (*scenario)(void *user, psgvit_error *err);

/* The scenario with its n-th allocation failing, for every n. */
static void each_allocation(scenario run, void *user)
{
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (long n = 1;; n++) {
            psgvit_error err = {PSGVIT_OK, ""};
            long live = inject_live();
            inject_arm(INJECT_MEMORY, n, for_ever);
            psgvit_status status = run(user, &err);
            bool fired = inject_disarm();
            if (status && status != PSGVIT_E_MEMORY)
                fail_msg("allocation %ld: %s: %s", n, psgvit_status_name(status), err.message);
            assert_int_equal(inject_live(), live);
            if (!fired) {
                assert_int_equal(status, PSGVIT_OK);
                assert_true(n > 1);
                break;
            }
        }
}

static psgvit_status list_devices(void *user, psgvit_error *err)
{
    (void)user;
    psgvit_device_list *list = NULL;
    psgvit_status status = psgvit_device_list_open(&list, err);
    assert_int_equal(list == NULL, status != PSGVIT_OK);
    psgvit_device_list_close(&list);
    return status;
}

static psgvit_status look_at_model(void *path, psgvit_error *err)
{
    psgvit_weights *w = NULL;
    psgvit_status status = psgvit_weights_open(&w, path, NULL, err);
    if (!status)
        status = psgvit_weights_verify(w, NULL, NULL, err);
    psgvit_weights_close(&w);
    return status;
}

static psgvit_status table_of_variant(void *variant, psgvit_error *err)
{
    psgvit_weights *w = NULL;
    psgvit_status status = psgvit_weights_open_variant(&w, variant, NULL, err);
    psgvit_weights_close(&w);
    return status;
}

static psgvit_status read_recording(void *path, psgvit_error *err)
{
    psgvit_recording *r = NULL;
    psgvit_recording_params p = {.struct_size = sizeof p, .channels = 2, .samples = 10};
    float signal[3 * 20];
    size_t epochs = 1, all = 0;
    psgvit_status status = psgvit_recording_open(&r, path, &p, err);
    while (!status && epochs) {
        status = psgvit_recording_read(r, signal, 3, &epochs, err);
        all += epochs;
    }
    psgvit_recording_close(&r);
    assert_true(status || all == 7);
    return status;
}

/* Standard input that can't be sought in: a pipe that holds the whole recording. */
typedef struct piped {
    const void *bytes;
    size_t size;
} piped;

static psgvit_status read_pipe(void *user, psgvit_error *err)
{
    const piped *p = user;
    int ends[2], saved = dup(0);
    if (pipe(ends) || write(ends[1], p->bytes, p->size) != (ssize_t)p->size)
        fail_msg("no pipe");
    close(ends[1]);
    dup2(ends[0], 0);
    close(ends[0]);
    psgvit_status status = read_recording((char[]){"-"}, err);
    dup2(saved, 0);
    close(saved);
    return status;
}

static void test_others(void **state)
{
    (void)state;
    stage s;
    char path[128];
    static const float values[7 * 20] = {1};
    stage_open(&s, "eegpt_conv_proj", INJECT_MEMORY, 1);
    each_allocation(list_devices, NULL);
    each_allocation(look_at_model, s.path);
    each_allocation(table_of_variant, (char[]){"osf-nano"});
    each_allocation(table_of_variant, (char[]){"eegpt"});
    stage_close(&s);
    inject_folder(path, "night.bin");
    inject_file(path, values, sizeof values);
    each_allocation(read_recording, path);
    inject_folder_end(path);
    each_allocation(read_pipe, &(piped){values, sizeof values});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_osf),         cmocka_unit_test(test_eegpt),
        cmocka_unit_test(test_two_threads), cmocka_unit_test(test_mutexes),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests_name("out of memory", tests, NULL, NULL);
}
