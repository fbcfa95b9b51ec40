/* SPDX-License-Identifier: MIT */
/*
 * How many threads a call really uses, told by the threads of the process and by its CPU time,
 * never by how fast it was: a loaded machine must not fail it. Each test is a process of its own,
 * so that teams of one are not seen by another.
 */
#define _DEFAULT_SOURCE /* fork */
#include "unit/job.h"

#include <omp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Threads of this process now. */
static int threads_now(void)
{
    char line[256];
    int threads = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Threads: %d", &threads) == 1)
            break;
    if (f)
        fclose(f);
    return threads;
}

static double wall_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cpu_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Runs `body` in a child: 0 is a pass, anything else the CHECK that failed. */
static void in_one_child(int (*body)(psgvit_isa), psgvit_isa isa)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body(isa));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fail_msg("child: status %#x, see CHECK %d", (unsigned)status, WEXITSTATUS(status));
}

/* OpenBLAS at the level of C, our own kernels at the best one. */
static void in_child(int (*body)(psgvit_isa))
{
    in_one_child(body, PSGVIT_ISA_C);
    in_one_child(body, PSGVIT_ISA_AUTO);
}

#define CHECK(number, holds)                                                                       \
    do {                                                                                           \
        if (!(holds))                                                                              \
            return number;                                                                         \
    } while (0)

/* An encoder of osf-nano and a job of 2 epochs. */
typedef struct bench {
    psgvit_device *device;
    vector_case c;
    vector_encoder e;
    test_job job;
} bench;

static void bench_open(bench *b, int threads, psgvit_isa isa)
{
    b->device = job_device(threads, isa);
    vector_open(&b->c, TESTS_DIR "/vectors", "osf_nano", 0);
    vector_encoder_open(&b->e, &b->c, b->device);
    b->job = job_make(&b->c, 2);
}

static void bench_close(bench *b)
{
    job_free(&b->job);
    vector_encoder_close(&b->e);
    vector_close(&b->c);
    psgvit_device_close(&b->device);
}

/* ---- one thread asked for is one thread, though OpenMP would use four ---- */

static int one_thread(psgvit_isa isa)
{
    bench b;
    omp_set_num_threads(4);
    bench_open(&b, 1, isa);
    job_run(&b.e, &b.job);
    double wall = wall_time(), cpu = cpu_time();
    while (wall_time() - wall < 1.0)
        job_run(&b.e, &b.job);
    wall = wall_time() - wall;
    cpu = cpu_time() - cpu;
    CHECK(1, threads_now() == 1);
    CHECK(2, cpu <= 1.2 * wall);
    CHECK(3, omp_get_max_threads() == 4);
    bench_close(&b);
    return 0;
}

static void test_one_thread(void **state)
{
    (void)state;
    in_child(one_thread);
}

/* Two threads asked for are two, and the two are there: so that the test above can fail. */
static int two_threads(psgvit_isa isa)
{
    bench b;
    omp_set_num_threads(4);
    bench_open(&b, 2, isa);
    job_run(&b.e, &b.job);
    CHECK(1, threads_now() == 2);
    CHECK(2, omp_get_max_threads() == 4);
    bench_close(&b);
    return 0;
}

static void test_two_threads(void **state)
{
    (void)state;
    in_child(two_threads);
}

/* ---- eight callers of one thread each ---- */

enum { CALLERS = 8, CALLS = 8 };

typedef struct caller {
    pthread_t thread;
    const vector_encoder *e;
    test_job job;
} caller;

static void *call_often(void *user)
{
    caller *c = user;
    for (int i = 0; i < CALLS; i++)
        job_run(c->e, &c->job);
    return NULL;
}

static int eight_callers(psgvit_isa isa)
{
    bench b;
    caller callers[CALLERS];
    bench_open(&b, 1, isa);
    for (int i = 0; i < CALLERS; i++)
        callers[i] = (caller){.e = &b.e, .job = job_make(&b.c, 2)};
    double least = 1e9; /* of three: what else the machine does only ever adds */
    for (int attempt = 0; attempt < 3 && least > 1.3; attempt++) {
        double serial = cpu_time();
        for (int i = 0; i < CALLERS; i++)
            call_often(&callers[i]);
        serial = cpu_time() - serial;
        double together = cpu_time();
        for (int i = 0; i < CALLERS; i++)
            CHECK(1, !pthread_create(&callers[i].thread, NULL, call_often, &callers[i]));
        CHECK(2, threads_now() <= CALLERS + 1);
        for (int i = 0; i < CALLERS; i++)
            pthread_join(callers[i].thread, NULL);
        together = cpu_time() - together;
        least = together / serial < least ? together / serial : least;
    }
    printf("CPU time of 8 callers at once: %.2f of that of one after another\n", least);
    fflush(stdout);
    for (int i = 0; i < CALLERS; i++)
        job_free(&callers[i].job);
    bench_close(&b);
    CHECK(3, least <= 1.3);
    return 0;
}

static void test_eight_callers(void **state)
{
    (void)state;
    in_child(eight_callers);
}

/* ---- inside a parallel region of the caller ---- */

static int watch_threads(void *user)
{
    int now = threads_now(), *most = user;
    *most = now > *most ? now : *most;
    return 0;
}

static int in_parallel(psgvit_isa isa)
{
    bench b;
    int most = 0, wrong = 0;
    omp_set_max_active_levels(3); /* else OpenMP itself would say no to a second team */
    bench_open(&b, 3, isa);
#pragma omp parallel num_threads(2) reduction(max : most) reduction(+ : wrong)
    {
        int levels = omp_get_max_active_levels();
        test_job job = job_make(&b.c, 3);
        most = 0;
        job.batch = 1;
        job.cancel = watch_threads;
        job.user = &most;
        for (int i = 0; i < 3; i++)
            job_run(&b.e, &job);
        wrong += omp_get_num_threads() != 2 || omp_get_max_active_levels() != levels;
        job_free(&job);
    }
    CHECK(1, wrong == 0);
    /* bench_open packed with three; the region has two of those. */
    CHECK(2, most <= 3);
    bench_close(&b);
    return 0;
}

static void test_in_parallel(void **state)
{
    (void)state;
    in_child(in_parallel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_eight_callers),
        cmocka_unit_test(test_in_parallel),
    };
    return cmocka_run_group_tests_name("threads of a call", tests, NULL, NULL);
}
