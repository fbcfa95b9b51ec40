/* SPDX-License-Identifier: MIT */
/*
 * The files of one input while memory runs out at every allocation in turn, and the disk at every
 * write: the exit code says which, and no file is there. What is left behind in memory is the
 * sanitizers' business. The recording's calls are replaced: linked with --wrap.
 */
#define _GNU_SOURCE 1
#include "fault/inject.h"
#include "hypnogram.h"
#include "night_page.h"
#include "unit/night_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAMPLES = 16 };

static long writes, failing; /* pwrite and fsync: calls, and which of them fails; 0: none */

ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
const psgvit_recording_info *__wrap_psgvit_recording_get_info(const psgvit_recording *recording);
double __wrap_psgvit_recording_epoch_start(const psgvit_recording *recording, size_t index);
double __wrap_psgvit_recording_skipped_start(const psgvit_recording *recording, size_t i);

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    errno = ENOSPC;
    return ++writes == failing ? -1 : __real_pwrite(fd, bytes, size, at);
}

int __wrap_fsync(int fd)
{
    errno = EIO;
    return ++writes == failing ? -1 : __real_fsync(fd);
}

const psgvit_recording_info *__wrap_psgvit_recording_get_info(const psgvit_recording *recording)
{
    static psgvit_recording_info info = {.format = PSGVIT_FORMAT_EDF,
                                         .channels = CHANNELS,
                                         .epochs = EPOCHS,
                                         .epoch_seconds = 30,
                                         .stride_seconds = 30,
                                         .skipped = 1};
    (void)recording;
    info.channel = gap_night.channel;
    return &info;
}

double __wrap_psgvit_recording_epoch_start(const psgvit_recording *recording, size_t index)
{
    (void)recording;
    return gap_night.epoch_start_s[index];
}

double __wrap_psgvit_recording_skipped_start(const psgvit_recording *recording, size_t i)
{
    (void)recording;
    return gap_night.skipped_start_s[i];
}

/* What one input has on its way. */
typedef struct outputs {
    night_facts *night;
    linear_head *head;
    head_scores scores;
    writer *writer;
    hypnogram *hypnogram;
    night_page *page;
} outputs;

static int open_all(outputs *o, writer_format format, hypnogram_format stages, const char *head,
                    cli_failure *failure)
{
    int code = head_open(&o->head, head, WIDTH, failure);
    if (!code)
        code = head_scores_make(&o->scores, o->head, EPOCHS, failure);
    if (!code)
        code = night_facts_open(&o->night, "night.edf", NULL, 30, failure);
    writer_content content = only(0);
    content.night = o->night;
    content.head = o->head;
    if (!code)
        code = writer_open(&o->writer, path_of("o"), format, &content, failure);
    if (!code)
        code = hypnogram_open(&o->hypnogram, path_of("h"), stages, o->night, o->head, failure);
    if (!code)
        code = night_page_open(&o->page, path_of("p"), &content, CHANNELS, SAMPLES, WIDTH, failure);
    return code;
}

static int write_all(outputs *o, cli_failure *failure)
{
    static const float signal[EPOCHS * CHANNELS * SAMPLES];
    const float *values[WRITER_TENSORS] = {cls};
    head_apply(o->head, cls, EPOCHS, &o->scores);
    night_page_put(o->page, 0, EPOCHS, signal, cls, &o->scores);
    int code = writer_put(o->writer, 0, EPOCHS, values, &o->scores, failure);
    if (!code)
        code = hypnogram_put(o->hypnogram, 0, EPOCHS, &o->scores, failure);
    if (!code)
        code = writer_finish(o->writer, "f00d", failure);
    if (!code)
        code = hypnogram_finish(o->hypnogram, failure);
    if (!code)
        code = night_page_finish(o->page, "f00d", failure);
    return code;
}

/* All, up to where names are given. */
static int run(writer_format format, hypnogram_format stages, const char *head,
               cli_failure *failure)
{
    outputs o = {0};
    int code = open_all(&o, format, stages, head, failure);
    if (!code)
        code = write_all(&o, failure);
    writer_abort(&o.writer);
    hypnogram_abort(&o.hypnogram);
    night_page_abort(&o.page);
    night_facts_close(&o.night);
    head_scores_free(&o.scores);
    head_close(&o.head);
    return code;
}

static const struct {
    writer_format format;
    hypnogram_format stages;
} cases[] = {{WRITER_SAFETENSORS, HYPNOGRAM_EDF},
             {WRITER_JSON, HYPNOGRAM_ANNOT},
             {WRITER_TSV, HYPNOGRAM_TSV}};

/* A head in a folder of its own, so that the fixture's stays empty. */
static char head_path[128];

static void test_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        bool failed = true;
        long calls = 0;
        for (; failed; calls++) {
            cli_failure failure = {0};
            inject_arm(INJECT_MEMORY, calls + 1, false);
            int code = run(cases[i].format, cases[i].stages, head_path, &failure);
            failed = inject_disarm();
            /* The hash of a head may be unknown; cJSON can't say why it gives up. */
            bool labels = code == CLI_MODEL && strstr(failure.message, "labels");
            if (code != CLI_DONE && code != CLI_MEMORY && !labels)
                fail_msg("allocation %ld: exit code %d, %s", calls + 1, code, failure.message);
            if (code)
                assert_true(failed && failure.message[0]);
            assert_int_equal(files_in_folder(), 0);
        }
        assert_true(calls > 30);
    }
}

static void test_disk(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        writes = failing = 0;
        cli_failure failure = {0};
        assert_int_equal(run(cases[i].format, cases[i].stages, head_path, &failure), CLI_DONE);
        long all = writes;
        assert_true(all > 6);
        for (long n = 1; n <= all; n++) {
            writes = 0;
            failing = n;
            memset(&failure, 0, sizeof failure);
            assert_int_equal(run(cases[i].format, cases[i].stages, head_path, &failure),
                             CLI_OUTPUT);
            assert_non_null(strstr(failure.message, folder));
            assert_int_equal(files_in_folder(), 0);
        }
        failing = 0;
    }
}

static int set_up(void **state)
{
    static const float weight[CLASSES * WIDTH] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, bias[CLASSES];
    if (set_up_folder(state))
        return -1;
    snprintf(head_path, sizeof head_path, "%s.head", folder);
    return rename(
        write_head("F32", 4, CLASSES, WIDTH, weight, bias, "[\\\"W\\\", \\\"N2\\\", \\\"R\\\"]"),
        head_path);
}

static int tear_down(void **state)
{
    unlink(head_path);
    return tear_down_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_disk),
    };
    return cmocka_run_group_tests_name("faults of outputs", tests, set_up, tear_down);
}
