/* SPDX-License-Identifier: MIT */
/*
 * Files that misbehave: a model that changes while it is read, or is replaced, emptied or deleted
 * right after it was opened; a file system that can't map, reads that come in pieces, are
 * interrupted or fail.
 */
#define _DEFAULT_SOURCE /* truncate, utimensat */
#include "fault/inject.h"
#include "unit/job.h"

#include <psgvit/recording.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const cases[] = {"osf_one_head", "eegpt_conv_proj"};
static const unsigned flags[] = {0, PSGVIT_READ};

static psgvit_status open_path(const vector_case *c, psgvit_device *device, const char *path,
                               unsigned how, vector_encoder *e, psgvit_error *err)
{
    *e = (vector_encoder){0};
    eegpt_encoder_params ep = {.struct_size = sizeof ep, .flags = how};
    osf_encoder_params op = {.struct_size = sizeof op, .flags = how};
    return c->eegpt ? eegpt_encoder_open(&e->eegpt, device, path, &ep, err)
                    : osf_encoder_open(&e->osf, device, path, &op, err);
}

/* ---- after opening ---- */

static void replaced(const vector_case *c, const char *path)
{
    char other[160];
    snprintf(other, sizeof other, "%s.new", path);
    unsigned char *bytes = calloc(1, c->image_size);
    assert_non_null(bytes);
    inject_file(other, bytes, c->image_size);
    free(bytes);
    assert_int_equal(rename(other, path), 0);
}

static void overwritten(const vector_case *c, const char *path)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (size_t i = 0; i < c->image_size; i++)
        fputc(0xFF, f);
    fclose(f);
}

static void emptied(const vector_case *c, const char *path)
{
    (void)c;
    assert_int_equal(truncate(path, 0), 0);
}

static void deleted(const vector_case *c, const char *path)
{
    (void)c;
    assert_int_equal(unlink(path), 0);
}

static void same_results(const vector_case *c, const vector_encoder *e, const test_job *expected)
{
    test_job job = job_make(c, expected->epochs);
    job_run(e, &job);
    for (size_t i = 0; i < c->output_count; i++)
        assert_memory_equal(job.out[i], expected->out[i], job.room[i] * sizeof(float));
    job_free(&job);
}

/* Runs `body` for each model and each way of reading, with the results to be found. */
static void for_each(void (*body)(const vector_case *c, psgvit_device *device, unsigned how,
                                  const test_job *expected))
{
    for (size_t m = 0; m < 2; m++)
        for (size_t h = 0; h < 2; h++) {
            vector_case c;
            vector_encoder e;
            psgvit_device *device = job_device(2, PSGVIT_ISA_AUTO);
            vector_open(&c, TESTS_DIR "/vectors", cases[m], 0);
            vector_encoder_open(&e, &c, device);
            test_job expected = job_make(&c, 2);
            job_run(&e, &expected);
            vector_encoder_close(&e);
            body(&c, device, flags[h], &expected);
            job_free(&expected);
            vector_close(&c);
            psgvit_device_close(&device);
        }
}

static void changed_after(const vector_case *c, psgvit_device *device, unsigned how,
                          const test_job *expected)
{
    static void (*const harms[])(const vector_case *, const char *) = {replaced, overwritten,
                                                                       emptied, deleted};
    for (size_t i = 0; i < sizeof harms / sizeof harms[0]; i++) {
        char path[128];
        psgvit_error err;
        vector_encoder e;
        inject_folder(path, "model.safetensors");
        inject_file(path, c->image, c->image_size);
        assert_int_equal(open_path(c, device, path, how, &e, &err), PSGVIT_OK);
        harms[i](c, path);
        same_results(c, &e, expected);
        vector_encoder_close(&e);
        inject_folder_end(path);
    }
}

static void test_changed_after(void **state)
{
    (void)state;
    for_each(changed_after);
}

/* ---- while opening ---- */

/* The log speaks of a tensor that nobody asked for after the header was read and before the weights
 * are: the moment to change the file. */
typedef struct meddler {
    char path[128];
    int how, calls;
} meddler;

static void meddle(void *user, psgvit_log_level level, const char *line)
{
    meddler *m = user;
    struct stat st;
    (void)line;
    if (level != PSGVIT_LOG_WARNING || m->calls++)
        return;
    if (m->how == 0) { /* the same bytes again, a little later */
        struct timespec times[2] = {{0, UTIME_NOW}, {12345, 678}};
        assert_int_equal(utimensat(AT_FDCWD, m->path, times, 0), 0);
        return;
    }
    assert_int_equal(stat(m->path, &st), 0);
    assert_int_equal(truncate(m->path, st.st_size + 4096), 0);
}

static void changed_meanwhile(const vector_case *c, psgvit_device *ignored, unsigned how,
                              const test_job *expected)
{
    size_t size;
    unsigned char *image = job_with_stranger(c, &size);
    (void)ignored;
    for (int harm = -1; harm < 2; harm++) {
        psgvit_error err;
        vector_encoder e;
        meddler m = {.how = harm, .calls = harm < 0};
        psgvit_device *device = NULL;
        psgvit_device_params p = {
            .struct_size = sizeof p, .threads = 2, .log = meddle, .log_user = &m};
        assert_int_equal(psgvit_device_open(&device, &p, &err), PSGVIT_OK);
        inject_folder(m.path, "model.safetensors");
        inject_file(m.path, image, size);
        psgvit_status status = open_path(c, device, m.path, how, &e, &err);
        assert_true(m.calls > (harm < 0)); /* the log did speak */
        if (harm < 0) {
            assert_int_equal(status, PSGVIT_OK);
            same_results(c, &e, expected);
        } else {
            assert_int_equal(status, PSGVIT_E_MODEL);
            job_assert_says(&err, PSGVIT_E_MODEL, m.path);
            job_assert_says(&err, PSGVIT_E_MODEL, "changed while it was read");
            assert_true(!e.osf && !e.eegpt);
        }
        vector_encoder_close(&e);
        psgvit_device_close(&device);
        inject_folder_end(m.path);
    }
    free(image);
}

static void test_changed_meanwhile(void **state)
{
    (void)state;
    for_each(changed_meanwhile);
}

/* ---- mapping and reading ---- */

static void no_mapping(const vector_case *c, psgvit_device *device, unsigned how,
                       const test_job *expected)
{
    char path[128];
    psgvit_error err;
    vector_encoder e;
    inject_folder(path, "model.safetensors");
    inject_file(path, c->image, c->image_size);
    inject_arm(INJECT_MMAP, 1, true);
    assert_int_equal(open_path(c, device, path, how, &e, &err), PSGVIT_OK);
    assert_int_equal(inject_disarm(), how == 0); /* PSGVIT_READ does not even try */
    same_results(c, &e, expected);
    vector_encoder_close(&e);
    inject_folder_end(path);
}

static void test_no_mapping(void **state)
{
    (void)state;
    for_each(no_mapping);
}

static void pieces(const vector_case *c, psgvit_device *device, unsigned how,
                   const test_job *expected)
{
    static const size_t sizes[] = {1, 7, 4096, 0};
    char path[128];
    inject_folder(path, "model.safetensors");
    inject_file(path, c->image, c->image_size);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        psgvit_error err;
        vector_encoder e;
        if (sizes[i] == 1 && how) /* a system call for every byte of the weights */
            continue;
        inject_reads(sizes[i], 3);
        assert_int_equal(open_path(c, device, path, how, &e, &err), PSGVIT_OK);
        inject_reads(0, 0);
        same_results(c, &e, expected);
        vector_encoder_close(&e);
    }
    inject_folder_end(path);
}

static void test_pieces(void **state)
{
    (void)state;
    for_each(pieces);
}

/* Each read in turn gives EIO; a mapped file has only those of its header. */
static void broken_disk(const vector_case *c, psgvit_device *device, unsigned how,
                        const test_job *expected)
{
    char path[128];
    inject_folder(path, "model.safetensors");
    inject_file(path, c->image, c->image_size);
    for (long n = 1;; n++) {
        psgvit_error err;
        vector_encoder e;
        inject_arm(INJECT_READ, n, n % 2);
        psgvit_status status = open_path(c, device, path, how, &e, &err);
        if (!inject_disarm()) {
            assert_int_equal(status, PSGVIT_OK);
            same_results(c, &e, expected);
            vector_encoder_close(&e);
            assert_true(n > (how ? 20 : 2));
            break;
        }
        assert_int_equal(status, PSGVIT_E_MODEL);
        job_assert_says(&err, PSGVIT_E_MODEL, path);
        assert_true(!e.osf && !e.eegpt);
    }
    inject_folder_end(path);
}

static void test_broken_disk(void **state)
{
    (void)state;
    for_each(broken_disk);
}

/* ---- recordings ---- */

enum { NIGHT = 7 * 2 * 10 };

static psgvit_status read_night(const char *path, float *signal, psgvit_error *err)
{
    psgvit_recording *r = NULL;
    psgvit_recording_params p = {.struct_size = sizeof p, .channels = 2, .samples = 10};
    size_t got = 1, all = 0;
    psgvit_status status = psgvit_recording_open(&r, path, &p, err);
    while (!status && got && all < 7) {
        size_t most = 7 - all < 3 ? 7 - all : 3;
        status = psgvit_recording_read(r, signal + all * 20, most, &got, err);
        all += got;
    }
    psgvit_recording_close(&r);
    assert_true(status || all == 7);
    return status;
}

static void test_recording(void **state)
{
    (void)state;
    char path[128];
    float night[NIGHT], found[NIGHT];
    psgvit_error err;
    for (size_t i = 0; i < NIGHT; i++)
        night[i] = (float)i;
    inject_folder(path, "night.bin");
    inject_file(path, night, sizeof night);
    for (size_t most = 1; most < 100; most += 3) {
        memset(found, 0, sizeof found);
        inject_reads(most, 2);
        psgvit_status status = read_night(path, found, &err);
        inject_reads(0, 0);
        assert_int_equal(status, PSGVIT_OK);
        assert_memory_equal(found, night, sizeof night);
    }
    for (long n = 1;; n++) {
        inject_arm(INJECT_READ, n, false);
        psgvit_status status = read_night(path, found, &err);
        if (!inject_disarm()) {
            assert_int_equal(status, PSGVIT_OK);
            assert_true(n > 1);
            break;
        }
        job_assert_says(&err, PSGVIT_E_INPUT, path);
    }
    inject_folder_end(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changed_after), cmocka_unit_test(test_changed_meanwhile),
        cmocka_unit_test(test_no_mapping),    cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_broken_disk),   cmocka_unit_test(test_recording),
    };
    return cmocka_run_group_tests_name("files that misbehave", tests, NULL, NULL);
}
