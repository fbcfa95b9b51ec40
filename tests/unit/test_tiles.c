/* SPDX-License-Identifier: MIT */
/*
 * Linux gives a process AMX's registers only if it asks, and never takes them back: the library
 * asks when weights are prepared for AMX and no sooner. A program of its own, since asking is for
 * good.
 */
#define _DEFAULT_SOURCE /* syscall */
#include "unit/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>

/* Whether this process may use the tiles. */
static int granted(void)
{
    enum { GET_XCOMP_PERM = 0x1022, TILE_DATA = 18 };
    uint64_t states = 0;
    if (syscall(SYS_arch_prctl, GET_XCOMP_PERM, &states))
        return 0;
    return (int)(states >> TILE_DATA & 1);
}
#else
static int granted(void)
{
    return 0;
}
#endif

static void use(psgvit_isa isa)
{
    vector_case c;
    vector_encoder e;
    psgvit_device *device = job_device(1, isa);
    int before = granted();
    vector_open(&c, TESTS_DIR "/vectors", job_cases[0], 0);
    assert_int_equal(granted(), before); /* opening a device asks for nothing */
    vector_encoder_open(&e, &c, device);
    test_job job = job_make(&c, 1);
    job_run(&e, &job);
    job_free(&job);
    vector_encoder_close(&e);
    vector_close(&c);
    psgvit_device_close(&device);
}

static void test_asked_if_used(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_device_list *list = NULL;
    psgvit_isa best = job_best_isa();
    assert_false(granted());
    assert_int_equal(psgvit_device_list_open(&list, &err), PSGVIT_OK);
    psgvit_device_list_close(&list);
    assert_false(granted());
    for (psgvit_isa isa = PSGVIT_ISA_C; isa <= best; isa++) {
        use(isa);
        assert_int_equal(granted(), isa == PSGVIT_ISA_AMX);
    }
    if (best < PSGVIT_ISA_AMX)
        printf("not tested: that AMX's registers are asked for, which this machine lacks\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_asked_if_used)};
    return cmocka_run_group_tests_name("tiles", tests, NULL, NULL);
}
