/* SPDX-License-Identifier: MIT */
/*
 * A reader sees the whole file or none, also when the disk, the system or the process fails in the
 * middle. System calls fail here on demand: the program is linked with --wrap for each in `calls`.
 */
#define _GNU_SOURCE 1
#include <psgvit/recording.h>

#include "staged_file.h"
#include "writer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- system calls that fail on demand -------------------------------------------------------- */

static struct {
    int tmpfile, pwrite, fsync, renameat, linkat, fallocate; /* errno, or 0: works */
} calls;

int __real_openat(int dir, const char *path, int flags, mode_t mode);
int __wrap_openat(int dir, const char *path, int flags, mode_t mode);
ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new);
int __real_linkat(int from, const char *old, int to, const char *new, int flags);
int __wrap_linkat(int from, const char *old, int to, const char *new, int flags);
int __real_fallocate(int fd, int mode, off_t at, off_t size);
int __wrap_fallocate(int fd, int mode, off_t at, off_t size);

int __wrap_openat(int dir, const char *path, int flags, mode_t mode)
{
    errno = calls.tmpfile;
    return calls.tmpfile && (flags & O_TMPFILE) == O_TMPFILE
               ? -1
               : __real_openat(dir, path, flags, mode);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    errno = calls.pwrite;
    return calls.pwrite ? -1 : __real_pwrite(fd, bytes, size > 7000 ? 7000 : size, at);
}

int __wrap_fsync(int fd)
{
    errno = calls.fsync;
    return calls.fsync ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int from, const char *old, int to, const char *new)
{
    errno = calls.renameat;
    return calls.renameat ? -1 : __real_renameat(from, old, to, new);
}

int __wrap_linkat(int from, const char *old, int to, const char *new, int flags)
{
    errno = calls.linkat;
    return calls.linkat ? -1 : __real_linkat(from, old, to, new, flags);
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t size)
{
    errno = calls.fallocate;
    return calls.fallocate ? -1 : __real_fallocate(fd, mode, at, size);
}

/* ---- whole or not at all --------------------------------------------------------------------- */

static void test_nothing_before_commit(void **state)
{
    (void)state;
    cli_failure failure;
    writer *w = NULL;
    assert_int_equal(writer_open(&w, path_of("x.npy"), WRITER_SAFETENSORS, &both, &failure), 0);
    assert_int_equal(put_all(w, cls, patches, &failure), CLI_DONE);
    assert_int_equal(files_in_folder(), 0);
    writer_abort(&w);
    assert_null(w);
    writer_abort(&w);
    writer_abort(NULL);
    assert_int_equal(files_in_folder(), 0);
}

static void put_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_replaces(void **state)
{
    (void)state;
    cli_failure failure;
    char *path = strdup(path_of("old.csv")), *link = strdup(path_of("link.csv"));
    size_t size;
    put_text(path, "old");
    writer *w = NULL;
    writer_content content = only(0);
    assert_int_equal(writer_open(&w, path, WRITER_CSV, &content, &failure), CLI_DONE);
    assert_int_equal(put_all(w, cls, NULL, &failure), CLI_DONE);
    writer_abort(&w);
    char *text = read_file(path, &size);
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(symlink("old.csv", link), 0); /* what it points to is replaced, not the link */
    write_cls(link, WRITER_CSV);
    struct stat st;
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    text = read_file(path, &size);
    assert_non_null(strstr(text, "epoch,cls_0"));
    free(text);
    assert_int_equal(files_in_folder(), 2);
    unlink(link);
    unlink(path);
    free(link);
    free(path);
}

static void test_killed(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        cli_failure failure;
        writer *w = NULL;
        if (writer_open(&w, path_of("k.safetensors"), WRITER_SAFETENSORS, &both, &failure) ||
            put_all(w, cls, patches, &failure) || write(ends[1], "x", 1) != 1)
            _exit(1);
        pause();
    }
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(files_in_folder(), 0);
}

/* Each call of the system fails in turn: exit code 7, the file named, nothing left. */
static void test_failures(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++)
        for (int i = 0; i < 4; i++) {
            memset(&calls, 0, sizeof calls);
            calls.tmpfile = named ? EOPNOTSUPP : 0;
            int *call[] = {&calls.pwrite, &calls.fsync, &calls.fallocate,
                           named ? &calls.renameat : &calls.linkat};
            *call[i] = ENOSPC;
            cli_failure failure = {0};
            const char *path = path_of("f.safetensors");
            assert_int_equal(write_both(path, WRITER_SAFETENSORS, "unknown", &failure), CLI_OUTPUT);
            assert_non_null(strstr(failure.message, path));
            assert_non_null(strstr(failure.message, "No space left"));
            assert_int_equal(files_in_folder(), 0);
        }
    memset(&calls, 0, sizeof calls);
    put_text(path_of("r.npy"), "old"); /* one that exists is replaced from a second name */
    calls.renameat = EIO;
    cli_failure failure = {0};
    assert_int_equal(write_both(path_of("r.npy"), WRITER_SAFETENSORS, "", &failure), CLI_OUTPUT);
    assert_int_equal(files_in_folder(), 1);
    memset(&calls, 0, sizeof calls);
    unlink(path_of("r.npy"));
}

/* A file system without nameless files or without fallocate. */
static void test_fallbacks(void **state)
{
    (void)state;
    cli_failure failure;
    writer *w = NULL;
    writer_content content = only(0);
    calls.tmpfile = calls.fallocate = EOPNOTSUPP;
    assert_int_equal(writer_open(&w, path_of("n.npy"), WRITER_NPY, &content, &failure), CLI_DONE);
    assert_int_equal(files_in_folder(), 1); /* the temporary name */
    assert_int_not_equal(access(path_of("n.npy"), F_OK), 0);
    writer_abort(&w);
    assert_int_equal(files_in_folder(), 0);
    assert_int_equal(writer_open(&w, path_of("n.npy"), WRITER_NPY, &content, &failure), CLI_DONE);
    staged_file_unlink_now(); /* as a signal handler would */
    assert_int_equal(files_in_folder(), 0);
    writer_abort(&w);
    write_cls(path_of("n.npy"), WRITER_NPY);
    assert_int_equal(files_in_folder(), 1);
    psgvit_recording *r = NULL;
    assert_int_equal(psgvit_recording_open(&r, path_of("n.npy"), NULL, NULL), PSGVIT_OK);
    psgvit_recording_close(&r);
    unlink(path_of("n.npy"));
    memset(&calls, 0, sizeof calls);
}

/* Makes the file in the folder look as if it had been written an hour ago. */
static void make_old(const char *path)
{
    struct timespec hour_ago[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    assert_int_equal(utimensat(AT_FDCWD, path, hour_ago, 0), 0);
}

/* What a writer leaves that is killed where there are no nameless files goes when it is old, what a
 * live one has at hand stays, and so does what is not a writer's. */
static void test_sweep(void **state)
{
    (void)state;
    cli_failure failure;
    staged_file live;
    calls.tmpfile = EOPNOTSUPP;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        staged_file left;
        staged_file_open(&left, path_of("left.npy"), 0, &failure);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(files_in_folder(), 1);
    staged_file_sweep(folder);
    assert_int_equal(files_in_folder(), 1); /* too young to tell */
    char name[64] = "";
    for (int i = 0; i < 100 && (!name[0] || access(path_of(name), F_OK)); i++)
        snprintf(name, sizeof name, ".psgvit-%ld-%d.tmp", (long)child, i);
    make_old(path_of(name));
    assert_int_equal(staged_file_open(&live, path_of("live.npy"), 0, &failure), CLI_DONE);
    make_old(path_of(live.temporary));
    assert_int_equal(mkdir(path_of(".psgvit-folder.tmp"), 0700), 0);
    assert_int_equal(symlink("nowhere", path_of(".psgvit-link.tmp")), 0);
    staged_file_sweep(folder);
    assert_int_equal(files_in_folder(), 3);
    assert_int_equal(access(path_of(live.temporary), F_OK), 0);
    assert_int_equal(staged_file_commit(&live, &failure), CLI_DONE);
    rmdir(path_of(".psgvit-folder.tmp"));
    unlink(path_of(".psgvit-link.tmp"));
    unlink(path_of("live.npy"));
    staged_file_sweep(path_of("no such folder"));
    memset(&calls, 0, sizeof calls);
}

static void open_fails(const char *path, const char *words)
{
    cli_failure failure = {0};
    writer *w = (writer *)1;
    assert_int_equal(writer_open(&w, path, WRITER_SAFETENSORS, &both, &failure), CLI_OUTPUT);
    assert_null(w);
    if (!strstr(failure.message, words) || !strstr(failure.message, path))
        fail_msg("'%s' does not say '%s' of '%s'", failure.message, words, path);
    assert_int_equal(staged_file_check(path, &failure), CLI_OUTPUT);
}

static void test_bad_targets(void **state)
{
    (void)state;
    cli_failure failure;
    open_fails(folder, "directory");
    open_fails(path_of("missing/x.npy"), "No such file");
    open_fails("/dev/null", "/dev/null: expected a regular file or a new one");
    char longest[300];
    memset(longest, 'x', 299);
    longest[299] = '\0';
    open_fails(path_of(longest), "too long");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    open_fails(path_of("fifo"), "expected a regular file");
    unlink(path_of("fifo"));
    int ends[2]; /* leads to no path, as /dev/stdout does in a pipeline */
    char end[32];
    assert_int_equal(pipe(ends), 0);
    snprintf(end, sizeof end, "/proc/self/fd/%d", ends[1]);
    open_fails(end, "expected a regular file");
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(symlink("nowhere", path_of("dangling")), 0);
    open_fails(path_of("dangling"), "No such file");
    unlink(path_of("dangling"));
    assert_int_equal(staged_file_check(path_of("fine.npy"), &failure), CLI_DONE);
    assert_int_equal(files_in_folder(), 0);
    writer *w;
    writer_content huge = only(1);
    huge.tensors[0].shape[0] = huge.tensors[0].shape[1] = SIZE_MAX / 2;
    assert_int_equal(writer_open(&w, path_of("h.npy"), WRITER_NPY, &huge, &failure), CLI_OUTPUT);
    assert_non_null(strstr(failure.message, "too large"));
}

static void test_limit(void **state)
{
    (void)state;
    struct rlimit before, small = {100, 100};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    cli_failure failure = {0};
    writer *w = NULL;
    int at_open = writer_open(&w, path_of("l.npy"), WRITER_SAFETENSORS, &both, &failure);
    int at_put = write_both(path_of("l.json"), WRITER_JSON, "", &failure);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(at_open, CLI_OUTPUT); /* before anything is computed */
    assert_int_equal(at_put, CLI_OUTPUT);
    assert_int_equal(files_in_folder(), 0);
}

/* Standard output in a child: all bytes or an error, never a signal. */
static int write_to(int fd)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        cli_failure failure;
        signal(SIGPIPE, SIG_IGN);
        if (fd < 0 ? close(STDOUT_FILENO) : dup2(fd, STDOUT_FILENO) < 0)
            _exit(99);
        _exit(write_both("-", WRITER_SAFETENSORS, "unknown", &failure));
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_standard_output(void **state)
{
    (void)state;
    char *path = strdup(path_of("out"));
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(write_to(fd), CLI_DONE);
    close(fd);
    psgvit_weights *weights = NULL;
    assert_int_equal(psgvit_weights_open(&weights, path, NULL, NULL), PSGVIT_OK);
    check_tensor(weights, "cls", cls, EPOCHS * WIDTH);
    psgvit_weights_close(&weights);
    unlink(path);
    free(path);
    fd = open("/dev/full", O_WRONLY);
    assert_int_equal(write_to(fd), CLI_OUTPUT);
    close(fd);
    fd = open("/dev/null", O_RDONLY);
    assert_int_equal(write_to(fd), CLI_OUTPUT);
    close(fd);
    assert_int_equal(write_to(-1), CLI_OUTPUT); /* closed */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write_to(ends[1]), CLI_OUTPUT);
    close(ends[1]);
    assert_int_equal(files_in_folder(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_before_commit),
        cmocka_unit_test(test_replaces),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_fallbacks),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_bad_targets),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_standard_output),
    };
    return cmocka_run_group_tests(tests, set_up_folder, tear_down_folder);
}
