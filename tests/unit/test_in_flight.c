/* SPDX-License-Identifier: MIT */
/*
 * The loop over batches against a backend that only notes: what starts before what is waited for,
 * with one batch under way and with two, and what becomes of the one that is under way when the
 * other fails, is cancelled, finds no memory or has to be computed again.
 */
#include "api/encode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EPOCHS = 7, BATCH = 2, CHANNELS = 2, SAMPLES = 3, EACH = CHANNELS * SAMPLES };

/* ---- a device that notes ---- */

typedef struct fake_device {
    psgvit_device base;
    char events[256];     /* "S0 S2 W0": started and waited for, by the first epoch; 'x': exact */
    long starts, waits;   /* calls */
    long no_memory_at;    /* the start, from 1, that finds no memory; 0: none */
    long lost_at;         /* the wait that fails */
    long stale_at;        /* the wait that ends without results, unless exact */
    size_t floats, room;  /* that are alive, and may be */
    long made;            /* buffers and plans of all time */
    long alive, under_way;
    char log[512];
} fake_device;

typedef struct fake_plan {
    pv_plan base;
    pv_pass *pass;
    float *seen; /* the signal when it started; NULL: not under way */
} fake_plan;

static void note(fake_device *d, char what, const float *signal, bool exact)
{
    size_t used = strlen(d->events);
    snprintf(d->events + used, sizeof d->events - used, "%s%c%d%s", used ? " " : "", what,
             (int)signal[0], exact ? "x" : "");
}

static psgvit_status buffer_create(psgvit_device *device, size_t floats, int kind,
                                   pv_buffer **buffer, psgvit_error *err)
{
    fake_device *d = (fake_device *)device;
    (void)kind;
    if (floats > d->room - d->floats)
        return pv_fail(err, PSGVIT_E_MEMORY, "no room for %zu floats", floats);
    *buffer = malloc(sizeof **buffer);
    assert_non_null(*buffer);
    **buffer = (pv_buffer){floats, calloc(floats, sizeof(float))};
    assert_non_null((*buffer)->host);
    d->floats += floats;
    d->made++;
    d->alive++;
    return PSGVIT_OK;
}

static void buffer_destroy(psgvit_device *device, pv_buffer *buffer)
{
    fake_device *d = (fake_device *)device;
    d->floats -= buffer->floats;
    d->alive--;
    free(buffer->host);
    free(buffer);
}

static psgvit_status plan_begin(psgvit_device *device, pv_plan **plan, psgvit_error *err)
{
    fake_device *d = (fake_device *)device;
    fake_plan *p = calloc(1, sizeof *p);
    (void)err;
    assert_non_null(p);
    p->base.device = device;
    d->made++;
    d->alive++;
    *plan = &p->base;
    return PSGVIT_OK;
}

static psgvit_status plan_finish(pv_plan *plan, psgvit_error *err)
{
    (void)plan;
    (void)err;
    return PSGVIT_OK;
}

static psgvit_status plan_start(pv_plan *plan, psgvit_error *err)
{
    fake_plan *p = (fake_plan *)plan;
    fake_device *d = (fake_device *)plan->device;
    const pv_buffer *signal = p->pass->signal;
    assert_null(p->seen);
    if (++d->starts == d->no_memory_at)
        return pv_fail(err, PSGVIT_E_MEMORY, "no memory to start");
    note(d, 'S', signal->host, plan->exact);
    p->seen = malloc(signal->floats * sizeof(float));
    assert_non_null(p->seen);
    memcpy(p->seen, signal->host, signal->floats * sizeof(float));
    memset(p->pass->output[0]->host, 0, p->pass->output[0]->floats * sizeof(float));
    d->under_way++;
    return PSGVIT_OK;
}

/* Each output is the first sample of its epoch. */
static psgvit_status plan_wait(pv_plan *plan, psgvit_error *err)
{
    fake_plan *p = (fake_plan *)plan;
    fake_device *d = (fake_device *)plan->device;
    const pv_buffer *signal = p->pass->signal;
    assert_non_null(p->seen);
    assert_memory_equal(p->seen, signal->host, signal->floats * sizeof(float));
    note(d, 'W', signal->host, plan->exact);
    free(p->seen);
    p->seen = NULL;
    d->under_way--;
    plan->device_ms = 1.0;
    if (++d->waits == d->lost_at)
        return pv_fail(err, PSGVIT_E_DEVICE, "lost");
    plan->stale = d->waits == d->stale_at && !plan->exact;
    for (size_t i = 0; !plan->stale && i < p->pass->shape.epochs; i++)
        p->pass->output[0]->host[i] = signal->host[i * EACH];
    return PSGVIT_OK;
}

static void plan_destroy(pv_plan *plan)
{
    assert_null(((fake_plan *)plan)->seen); /* nothing goes while it is under way */
    ((fake_device *)plan->device)->alive--;
    free(plan);
}

static const pv_backend backend = {.buffer_create = buffer_create,
                                   .buffer_destroy = buffer_destroy,
                                   .plan_begin = plan_begin,
                                   .plan_finish = plan_finish,
                                   .plan_start = plan_start,
                                   .plan_wait = plan_wait,
                                   .plan_destroy = plan_destroy};

static psgvit_status record(const void *model, const pv_pass_shape *shape, pv_pass **pass,
                            psgvit_error *err)
{
    const size_t each[PV_OUTPUTS] = {1};
    psgvit_device *device = (psgvit_device *)(uintptr_t)model;
    psgvit_status status = pv_pass_create(pass, device, shape, EACH, shape->epochs, each, err);
    if (status)
        return status;
    ((fake_plan *)(*pass)->plan)->pass = *pass;
    return pv_pass_finish(pass, err);
}

static void take_log(void *user, psgvit_log_level level, const char *line)
{
    fake_device *d = user;
    size_t used = strlen(d->log);
    snprintf(d->log + used, sizeof d->log - used, "%d %s\n", (int)level, line);
}

/* ---- a job ---- */

typedef struct scene {
    fake_device device;
    pv_pool pool;
    pv_job job;
    float signal[EPOCHS * EACH], output[EPOCHS];
    double device_ms;
    size_t cancels, cancel_at; /* the call that says yes; 0: none */
    size_t done[EPOCHS], progresses;
    long under_way; /* when progress was told last but one */
} scene;

static int count_cancel(void *user)
{
    scene *s = user;
    return ++s->cancels == s->cancel_at;
}

static void count_progress(void *user, size_t done, size_t total)
{
    scene *s = user;
    assert_int_equal(total, EPOCHS);
    s->under_way = done < EPOCHS ? s->device.under_way : s->under_way;
    s->done[s->progresses++] = done;
}

static void scene_open(scene *s, size_t in_flight)
{
    *s = (scene){.device = {.base = {.backend = &backend, .in_flight = in_flight},
                            .room = SIZE_MAX}};
    s->device.base.log = (pv_log){take_log, &s->device};
    assert_int_equal(pv_pool_create(&s->pool, &s->device.base, record, &s->device, NULL),
                     PSGVIT_OK);
    for (size_t i = 0; i < EPOCHS * EACH; i++)
        s->signal[i] = (float)(i / EACH);
    s->job = (pv_job){.signal = {.samples = s->signal,
                                 .epochs = EPOCHS,
                                 .channels = CHANNELS,
                                 .length = SAMPLES},
                      .output = {s->output},
                      .batch = BATCH,
                      .device_ms = &s->device_ms,
                      .progress = count_progress,
                      .cancel = count_cancel,
                      .user = s};
}

static void scene_close(scene *s)
{
    assert_int_equal(s->device.under_way, 0);
    pv_pool_destroy(&s->pool);
    assert_int_equal(s->device.alive, 0);
}

static psgvit_status run(scene *s, psgvit_error *err)
{
    s->device.events[0] = s->device.log[0] = '\0';
    s->device.starts = s->device.waits = 0;
    s->cancels = s->progresses = 0;
    for (size_t i = 0; i < EPOCHS; i++)
        s->output[i] = NAN;
    psgvit_status status = pv_encode(&s->pool, &s->job, err);
    assert_int_equal(s->device.under_way, 0);
    return status;
}

static void assert_done(const scene *s, const char *events)
{
    assert_string_equal(s->device.events, events);
    for (size_t i = 0; i < EPOCHS; i++)
        assert_true(s->output[i] == (float)i);
    assert_int_equal(s->done[s->progresses - 1], EPOCHS);
}

static void run_well(scene *s, const char *events)
{
    psgvit_error err;
    if (run(s, &err))
        fail_msg("%s", err.message);
    assert_done(s, events);
}

/* ---- tests ---- */

static void test_one(void **state)
{
    (void)state;
    scene s;
    scene_open(&s, 1);
    run_well(&s, "S0 W0 S2 W2 S4 W4 S6 W6");
    assert_int_equal(s.under_way, 0);
    scene_close(&s);
}

/* While one computes, the next is started already. */
static void test_two(void **state)
{
    (void)state;
    scene s;
    const size_t done[] = {2, 4, 6, 7};
    scene_open(&s, 2);
    for (int i = 0; i < 3; i++) {
        run_well(&s, "S0 S2 W0 S4 W2 S6 W4 W6");
        assert_int_equal(s.under_way, 1);
        assert_int_equal(s.progresses, 4);
        assert_int_equal(s.cancels, 4);
        assert_memory_equal(s.done, done, sizeof done);
        assert_true(s.device_ms == 4.0);
        assert_int_equal(s.device.made, 3 * 4); /* two full passes and the rest, once for all */
    }
    s.job.batch = 100;
    run_well(&s, "S0 W0");
    scene_close(&s);
}

static void test_cancel(void **state)
{
    (void)state;
    static const size_t done[] = {0, 0, 2, 4};
    scene s;
    scene_open(&s, 2);
    for (size_t at = 1; at <= 4; at++) {
        psgvit_error err;
        char sentence[64];
        s.cancel_at = at;
        assert_int_equal(run(&s, &err), PSGVIT_E_CANCELLED);
        snprintf(sentence, sizeof sentence, "cancelled after %zu of %d epochs", done[at - 1],
                 EPOCHS);
        assert_string_equal(err.message, sentence);
        assert_int_equal(s.progresses, done[at - 1] / BATCH);
        assert_int_equal(s.cancels, at);
    }
    scene_close(&s);
}

/* The first error is told, and what was under way is waited for. */
static void test_failures(void **state)
{
    (void)state;
    psgvit_error err;
    scene s;
    scene_open(&s, 2);
    s.device.lost_at = 2;
    assert_int_equal(run(&s, &err), PSGVIT_E_DEVICE);
    assert_string_equal(err.message, "lost");
    assert_string_equal(s.device.events, "S0 S2 W0 S4 W2 W4");
    s.device.lost_at = 0;
    s.signal[5 * EACH] = NAN;
    assert_int_equal(run(&s, &err), PSGVIT_E_INPUT);
    assert_non_null(strstr(err.message, "epoch 5, channel 0, sample 0 is NaN"));
    assert_string_equal(s.device.events, "S0 S2 W0 W2");
    s.signal[5 * EACH] = 5.0f;
    run_well(&s, "S0 S2 W0 S4 W2 S6 W4 W6");
    scene_close(&s);
}

/* Only the batch whose numbers were too large is computed exactly; what was behind it starts
 * again. */
static void test_stale(void **state)
{
    (void)state;
    scene s;
    scene_open(&s, 2);
    s.device.stale_at = 2;
    run_well(&s, "S0 S2 W0 S4 W2 W4 S2x S4 W2x S6 W4 W6");
    assert_true(s.device_ms == 6.0);
    s.device.stale_at = 4; /* the last one */
    run_well(&s, "S0 S2 W0 S4 W2 S6 W4 W6 S6x W6x");
    scene_close(&s);
    scene_open(&s, 1);
    s.device.stale_at = 1;
    run_well(&s, "S0 W0 S0x W0x S2 W2 S4 W4 S6 W6");
    scene_close(&s);
}

/* Memory for one batch and a half: they go one by one, in this job and the next. */
static void test_room_for_one(void **state)
{
    (void)state;
    scene s;
    scene_open(&s, 2);
    s.device.room = BATCH * (EACH + 2) * 3 / 2;
    run_well(&s, "S0 W0 S2 W2 S4 W4 S6 W6");
    assert_string_equal(s.device.log, "2 memory has no room for two batches of 2 epochs: going on "
                                      "with one at a time\n");
    run_well(&s, "S0 W0 S2 W2 S4 W4 S6 W6");
    assert_string_equal(s.device.log, "");
    s.job.batch = 1; /* of which two have room */
    run_well(&s, "S0 S1 W0 S2 W1 S3 W2 S4 W3 S5 W4 S6 W5 W6");
    scene_close(&s);
}

/* Memory for half of a batch: of such halves one at a time, too. */
static void test_room_for_half(void **state)
{
    (void)state;
    scene s;
    scene_open(&s, 2);
    s.job.batch = 4;
    s.device.room = 2 * (EACH + 2);
    run_well(&s, "S0 W0 S2 W2 S4 W4 S6 W6");
    assert_non_null(strstr(s.device.log, "no room for a batch of 4 epochs: going on with 2\n"));
    s.device.room = 0;
    assert_true(pv_pool_drop_idle(&s.pool));
    psgvit_error err;
    assert_int_equal(run(&s, &err), PSGVIT_E_MEMORY);
    assert_string_equal(err.message, "no room for 6 floats");
    scene_close(&s);
}

/* A start that finds no memory: nobody's passes go first, then the batch that is under way is
 * waited for, then halves do. */
static void test_start_without_memory(void **state)
{
    (void)state;
    scene s;
    scene_open(&s, 2);
    s.device.no_memory_at = 2;
    run_well(&s, "S0 W0 S2 W2 S4 W4 S6 W6");
    assert_non_null(strstr(s.device.log, "no room for two batches of 2 epochs"));
    scene_close(&s);
    scene_open(&s, 2);
    s.device.no_memory_at = 1;
    run_well(&s, "S0 S1 W0 S2 W1 S3 W2 S4 W3 S5 W4 S6 W5 W6");
    assert_non_null(strstr(s.device.log, "no room for a batch of 2 epochs: going on with 1"));
    psgvit_error err;
    assert_true(pv_pool_drop_idle(&s.pool));
    assert_int_equal(run(&s, &err), PSGVIT_E_MEMORY); /* one epoch has no half */
    assert_string_equal(err.message, "no memory to start");
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_room_for_one),
        cmocka_unit_test(test_room_for_half),
        cmocka_unit_test(test_start_without_memory),
    };
    return cmocka_run_group_tests_name("batches in flight", tests, NULL, NULL);
}
