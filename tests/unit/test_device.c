/* SPDX-License-Identifier: MIT */
/*
 * Devices: the list, names, instruction sets, threads, and that the library leaves the process as
 * it was: nothing printed, no mode, handler, locale, environment or thread setting changed.
 */
#define _DEFAULT_SOURCE /* sigaction, dup2 */
#include "ops/ops.h"
#include "unit/job.h"

#include <psgvit/recording.h>

#include <locale.h>
#include <omp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include <cmocka.h>

extern char **environ;

static psgvit_status device_open(psgvit_device_params p, psgvit_device **d, psgvit_error *err)
{
    p.struct_size = sizeof p;
    psgvit_status status = psgvit_device_open(d, &p, err);
    assert_int_equal(status, err->code);
    assert_int_equal(*d == NULL, status != PSGVIT_OK);
    return status;
}

static void expect(psgvit_device_params p, psgvit_status status, const char *part)
{
    psgvit_error err = {PSGVIT_E_INPUT, "stale"};
    psgvit_device *d = NULL;
    device_open(p, &d, &err);
    job_assert_says(&err, status, part);
    psgvit_device_close(&d);
}

/* ---- the list and names ---- */

static void test_list(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_device_list *list = NULL;
    assert_int_equal(psgvit_device_list_open(&list, &err), PSGVIT_OK);
    assert_string_equal(err.message, "");
    size_t count = psgvit_device_list_count(list);
    assert_int_equal(count, 1 + HAVE_VULKAN);
    assert_null(psgvit_device_list_at(list, count));
    assert_null(psgvit_device_list_at(list, SIZE_MAX));
    const psgvit_device_info *cpu = psgvit_device_list_at(list, 0);
    assert_int_equal(cpu->backend, PSGVIT_BACKEND_CPU);
    assert_int_equal(cpu->type, PSGVIT_DEVICE_CPU);
    assert_true(strlen(cpu->name) > 0 && strlen(cpu->driver) > 0);
    assert_string_equal(cpu->uuid, "");
    assert_string_equal(cpu->reason, "");
    assert_true(cpu->usable && cpu->memory_bytes > 1 << 20 && cpu->threads >= 1);
    assert_true(cpu->isa >= PSGVIT_ISA_C && cpu->isa <= PSGVIT_ISA_AMX);
    assert_true(cpu->precisions & (1u << PSGVIT_F32));
    for (size_t i = 1; i < count; i++) { /* lavapipe, where the tests run */
        const psgvit_device_info *gpu = psgvit_device_list_at(list, i);
        assert_int_equal(gpu->backend, PSGVIT_BACKEND_VULKAN);
        assert_int_equal(gpu->type, PSGVIT_DEVICE_SOFTWARE);
        assert_non_null(strstr(gpu->name, "llvmpipe"));
        assert_non_null(strstr(gpu->driver, "Mesa"));
        assert_int_equal(strlen(gpu->uuid), 32);
        assert_true(gpu->usable && gpu->memory_bytes > 1 << 20 && !gpu->threads && !gpu->isa);
        assert_int_equal(gpu->precisions, 1u << PSGVIT_F32);
    }
    psgvit_device_list_close(&list);
    assert_null(list);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const isas[] = {"", "c", "avx2", "avx512", "amx"};
    for (int i = 0; i < 5; i++)
        assert_string_equal(psgvit_isa_name((psgvit_isa)i), isas[i]);
    assert_string_equal(psgvit_precision_name(PSGVIT_F32), "f32");
    assert_string_equal(psgvit_precision_name(PSGVIT_F16), "f16");
    assert_string_equal(psgvit_precision_name(PSGVIT_BF16), "bf16");
    assert_string_equal(psgvit_backend_name(PSGVIT_BACKEND_AUTO), "auto");
    assert_string_equal(psgvit_backend_name(PSGVIT_BACKEND_CPU), "cpu");
    assert_string_equal(psgvit_backend_name(PSGVIT_BACKEND_VULKAN), "vulkan");
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", PSGVIT_VERSION_MAJOR, PSGVIT_VERSION_MINOR,
             PSGVIT_VERSION_PATCH);
    assert_string_equal(psgvit_version(), version);
    for (int i = PSGVIT_OK; i <= PSGVIT_E_CANCELLED; i++)
        assert_string_not_equal(psgvit_status_name((psgvit_status)i), "unknown status");
}

/* ---- what a device is asked for ---- */

static void test_by_name(void **state)
{
    (void)state;
    psgvit_device_params p = {.backend = PSGVIT_BACKEND_CPU};
    psgvit_device *d = job_device(1, PSGVIT_ISA_AUTO);
    char name[128], part[16];
    snprintf(name, sizeof name, "%s", psgvit_device_get_info(d)->name);
    psgvit_device_close(&d);
    expect((p.device = "0", p), PSGVIT_OK, "");
    expect((p.device = name, p), PSGVIT_OK, "");
    for (size_t i = 0; name[i]; i++) /* case does not matter */
        if (name[i] >= 'a' && name[i] <= 'z')
            name[i] = (char)(name[i] - 'a' + 'A');
    expect((p.device = name, p), PSGVIT_OK, "");
    memcpy(part, name + 1, 3); /* its name is longer than that */
    part[3] = 0;
    expect((p.device = part, p), PSGVIT_OK, "");
    static const char *const unknown[] = {
        "1", "7", "99999999999999999999", "no such device", "", "0123456789abcdef0123456789abcdef"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        snprintf(name, sizeof name, "device '%s'", unknown[i]);
        expect((p.device = unknown[i], p), PSGVIT_E_DEVICE, name);
    }
    p.backend = PSGVIT_BACKEND_AUTO;
    expect((p.device = "no such device", p), PSGVIT_E_DEVICE, "no such device");
}

static void test_backends(void **state)
{
    (void)state;
    psgvit_error err;
    psgvit_device *d = NULL;
    expect((psgvit_device_params){.backend = PSGVIT_BACKEND_VULKAN},
           HAVE_VULKAN ? PSGVIT_OK : PSGVIT_E_DEVICE,
           HAVE_VULKAN ? "" : "has no Vulkan support");
    expect((psgvit_device_params){.backend = (psgvit_backend)3}, PSGVIT_E_ARGUMENT,
           "params.backend is 3");
    expect((psgvit_device_params){.backend = (psgvit_backend)-1}, PSGVIT_E_ARGUMENT,
           "params.backend is -1");
    assert_int_equal(psgvit_device_open(&d, NULL, &err), PSGVIT_OK);
    assert_int_equal(psgvit_device_get_info(d)->backend, PSGVIT_BACKEND_CPU);
    psgvit_device_close(&d);
}

/* A ceiling that the machine reaches is in force; one above it is an error that says what it has.
 */
static void test_isa(void **state)
{
    (void)state;
    psgvit_isa best = job_best_isa();
    for (psgvit_isa isa = PSGVIT_ISA_C; isa <= PSGVIT_ISA_AMX; isa++) {
        if (isa > best) {
            char part[64];
            snprintf(part, sizeof part, "has %s at most", psgvit_isa_name(best));
            expect((psgvit_device_params){.isa = isa}, PSGVIT_E_DEVICE, part);
            expect((psgvit_device_params){.isa = isa}, PSGVIT_E_DEVICE, psgvit_isa_name(isa));
            continue;
        }
        psgvit_device *d = job_device(1, isa);
        assert_int_equal(psgvit_device_get_info(d)->isa, isa);
        psgvit_device_close(&d);
    }
    expect((psgvit_device_params){.isa = (psgvit_isa)5}, PSGVIT_E_ARGUMENT, "params.isa is 5");
    expect((psgvit_device_params){.isa = (psgvit_isa)-1}, PSGVIT_E_ARGUMENT, "params.isa is -1");
}

static void test_threads(void **state)
{
    (void)state;
    expect((psgvit_device_params){.threads = -1}, PSGVIT_E_ARGUMENT, "params.threads is -1");
    expect((psgvit_device_params){.threads = 1025}, PSGVIT_E_ARGUMENT, "params.threads is 1025");
    expect((psgvit_device_params){.threads = 2147483647}, PSGVIT_E_ARGUMENT, "params.threads");
    static const int good[] = {1, 2, 3, 7, 1024};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        psgvit_device *d = job_device(good[i], PSGVIT_ISA_AUTO);
        assert_int_equal(psgvit_device_get_info(d)->threads, good[i]);
        psgvit_device_close(&d);
    }
    int before = omp_get_max_threads();
    omp_set_num_threads(3);
    psgvit_device *d = job_device(0, PSGVIT_ISA_AUTO);
    assert_int_equal(psgvit_device_get_info(d)->threads, 3);
    psgvit_device_close(&d);
    omp_set_num_threads(before);
}

static void note_team(const void *source, size_t first, size_t count, float *values)
{
    (void)first, (void)count;
    atomic_store((atomic_int *)(uintptr_t)source, omp_get_num_threads());
    values[0] = 1.0f;
}

/* Weights are packed by as many threads as the device was opened with, on a GPU too. */
static void test_threads_that_pack(void **state)
{
    (void)state;
    int before = omp_get_max_threads();
    omp_set_num_threads(2);
    for (int gpu = 0; gpu <= HAVE_VULKAN; gpu++)
        for (int threads = 0; threads <= 3; threads++) {
            psgvit_device_params p = {
                .backend = gpu ? PSGVIT_BACKEND_VULKAN : PSGVIT_BACKEND_CPU, .threads = threads};
            psgvit_error err;
            psgvit_device *d = NULL;
            pv_store *store;
            const pv_matrix *matrix;
            atomic_int team = 0;
            const pv_rows rows = {1, 1, note_team, &team, false};
            assert_int_equal(device_open(p, &d, &err), PSGVIT_OK);
            assert_int_equal(pv_store_create(d, PSGVIT_F32, &store, &err), PSGVIT_OK);
            assert_int_equal(pv_store_matrix(store, &rows, &matrix, &err), PSGVIT_OK);
            assert_int_equal(team, threads ? threads : 2);
            pv_store_destroy(store);
            psgvit_device_close(&d);
        }
    omp_set_num_threads(before);
}

/* More threads than cores or rows, and a default that has changed since the device was opened. */
static void test_odd_teams(void **state)
{
    (void)state;
    vector_case c;
    int before = omp_get_max_threads();
    vector_open(&c, TESTS_DIR "/vectors", job_cases[0], 0);
    for (int later = 1; later <= 6; later += 5) {
        vector_encoder e;
        omp_set_num_threads(3);
        psgvit_device *d = job_device(0, PSGVIT_ISA_AUTO);
        vector_encoder_open(&e, &c, d);
        omp_set_num_threads(later);
        test_job job = job_make(&c, 1);
        job_run(&e, &job);
        job_assert_true(&c, &job, 1, 0);
        job_free(&job);
        vector_encoder_close(&e);
        psgvit_device_close(&d);
    }
    omp_set_num_threads(before);
    psgvit_device *d = job_device(17, PSGVIT_ISA_AUTO);
    vector_encoder e;
    vector_encoder_open(&e, &c, d);
    test_job job = job_make(&c, 1);
    job_run(&e, &job);
    for (size_t i = 0; i < c.output_count; i++)
        job_assert_true(&c, &job, i, 0);
    job_free(&job);
    vector_encoder_close(&e);
    psgvit_device_close(&d);
    vector_close(&c);
}

/* ---- the process stays as it was ---- */

static void count_line(void *user, psgvit_log_level level, const char *line)
{
    (void)level;
    assert_true(strlen(line) > 0 && !strchr(line, '\n'));
    *(int *)user += 1;
}

/* Everything that talks on a device: both models, warnings, and failures of every kind. */
static void use_device(psgvit_device *d)
{
    psgvit_error err;
    for (int m = 0; m < 2; m++) {
        vector_case c;
        vector_encoder e;
        vector_open(&c, TESTS_DIR "/vectors", job_cases[m], 0);
        vector_encoder_open(&e, &c, d);
        test_job job = job_make(&c, 2);
        job_run(&e, &job);
        *(float *)(uintptr_t)job.signal = (float)strtod("nan", NULL);
        assert_int_equal(job_encode(&e, &job, &err), PSGVIT_E_INPUT);
        job.room[0] = 0;
        assert_int_equal(job_encode(&e, &job, NULL), PSGVIT_E_ARGUMENT);
        job_free(&job);
        vector_encoder_close(&e);
        size_t size;
        unsigned char *image = job_with_stranger(&c, &size);
        osf_encoder *o = NULL;
        psgvit_status status = osf_encoder_open_memory(&o, d, image, size, NULL, &err);
        assert_int_equal(status, m ? PSGVIT_E_MODEL : PSGVIT_OK);
        osf_encoder_close(&o);
        assert_int_equal(osf_encoder_open_memory(&o, d, image, size - 1, NULL, &err),
                         PSGVIT_E_MODEL);
        free(image);
        vector_close(&c);
    }
}

static void use_all(psgvit_log_fn log, void *user)
{
    psgvit_error err;
    psgvit_device *d = NULL;
    psgvit_device_params p = {.struct_size = sizeof p, .threads = 2, .log = log, .log_user = user};
    assert_int_equal(psgvit_device_open(&d, &p, &err), PSGVIT_OK);
    use_device(d);
    psgvit_device_close(&d);
    p.backend = PSGVIT_BACKEND_VULKAN;
    assert_int_equal(psgvit_device_open(&d, &p, &err), HAVE_VULKAN ? PSGVIT_OK : PSGVIT_E_DEVICE);
    if (d)
        use_device(d);
    psgvit_device_close(&d);
    p.device = "no such device";
    assert_int_equal(psgvit_device_open(&d, &p, &err), PSGVIT_E_DEVICE);
    psgvit_recording *r = NULL;
    assert_int_equal(psgvit_recording_open(&r, "/nonexistent", NULL, &err), PSGVIT_E_INPUT);
    psgvit_weights *w = NULL;
    assert_int_equal(psgvit_weights_open(&w, "/nonexistent", NULL, &err), PSGVIT_E_MODEL);
}

static void test_nothing_printed(void **state)
{
    (void)state;
    int lines = 0, saved[3] = {-1, dup(1), dup(2)};
    FILE *caught = tmpfile();
    assert_non_null(caught);
    fflush(NULL);
    dup2(fileno(caught), 1);
    dup2(fileno(caught), 2);
    use_all(count_line, &lines);
    use_all(NULL, NULL);
    fflush(NULL);
    dup2(saved[1], 1);
    dup2(saved[2], 2);
    struct stat st;
    assert_int_equal(fstat(fileno(caught), &st), 0);
    assert_int_equal(st.st_size, 0);
    assert_true(lines >= 1);
    close(saved[1]);
    close(saved[2]);
    fclose(caught);
}

typedef struct snapshot {
    struct sigaction handlers[65];
    sigset_t blocked;
    char locale[512], environment[65536];
    int omp_threads, omp_dynamic, omp_levels;
    unsigned mxcsr;
} snapshot;

/* The control bits of MXCSR: the lowest six are flags that any arithmetic may raise. */
static unsigned control_bits(void)
{
#ifdef __SSE__
    return _mm_getcsr() & ~0x3Fu;
#else
    return 0;
#endif
}

static void take_snapshot(snapshot *s)
{
    memset(s, 0, sizeof *s);
    for (int i = 1; i < 65; i++)
        sigaction(i, NULL, &s->handlers[i]);
    sigprocmask(SIG_BLOCK, NULL, &s->blocked);
    snprintf(s->locale, sizeof s->locale, "%s", setlocale(LC_ALL, NULL));
    size_t used = 0;
    for (char **v = environ; *v && used < sizeof s->environment; v++)
        used += (size_t)snprintf(s->environment + used, sizeof s->environment - used, "%s\n", *v);
    s->omp_threads = omp_get_max_threads();
    s->omp_dynamic = omp_get_dynamic();
    s->omp_levels = omp_get_max_active_levels();
    s->mxcsr = control_bits();
}

static void test_state_unchanged(void **state)
{
    (void)state;
    static snapshot before, after;
    take_snapshot(&before);
    use_all(NULL, NULL);
    take_snapshot(&after);
    for (int i = 1; i < 65; i++)
        assert_true(before.handlers[i].sa_handler == after.handlers[i].sa_handler);
    assert_memory_equal(&before.blocked, &after.blocked, sizeof before.blocked);
    assert_string_equal(before.locale, after.locale);
    assert_string_equal(before.environment, after.environment);
    assert_int_equal(before.omp_threads, after.omp_threads);
    assert_int_equal(before.omp_dynamic, after.omp_dynamic);
    assert_int_equal(before.omp_levels, after.omp_levels);
    assert_int_equal(before.mxcsr, after.mxcsr);
}

#ifdef __SSE__
/* A caller that has set flush-to-zero and denormals-are-zero, before its first team. */
static void test_flush_to_zero(void **state)
{
    (void)state;
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u);
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < 4; i++) {
            vector_case c;
            vector_encoder e;
            psgvit_device *d = job_device(1 + i % 2, i < 2 ? PSGVIT_ISA_AUTO : PSGVIT_ISA_C);
            vector_open(&c, TESTS_DIR "/vectors", job_cases[m], 0);
            vector_encoder_open(&e, &c, d);
            test_job job = job_make(&c, 3);
            job_run(&e, &job);
            assert_int_equal(_mm_getcsr() & 0x8040u, 0x8040u);
            for (size_t o = 0; o < c.output_count; o++)
                for (size_t k = 0; k < 3; k++)
                    job_assert_true(&c, &job, o, k);
            job_free(&job);
            vector_encoder_close(&e);
            vector_close(&c);
            psgvit_device_close(&d);
        }
    _mm_setcsr(before);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef __SSE__
        cmocka_unit_test(test_flush_to_zero),
#endif
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_backends),
        cmocka_unit_test(test_isa),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_threads_that_pack),
        cmocka_unit_test(test_odd_teams),
        cmocka_unit_test(test_nothing_printed),
        cmocka_unit_test(test_state_unchanged),
    };
    return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
