/* SPDX-License-Identifier: MIT */
/*
 * The tools' writer: what each format holds, and that a reader sees the whole file or none, also when
 * the disk, the system or the process fails in the middle. System calls fail here on demand: the
 * program is linked with --wrap for each name in `calls`.
 */
#define _GNU_SOURCE 1
#include <psgvit/recording.h>
#include <psgvit/weights.h>

#include "staged_file.h"
#include "writer.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
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
#include <unistd.h>

#include <cmocka.h>

/* ---- system calls that fail on demand -------------------------------------------------------- */

static struct {
    int tmpfile, pwrite, fsync, renameat, linkat, fallocate; /* errno, or 0: works */
} calls;

int __real_openat(int folder, const char *path, int flags, mode_t mode);
int __wrap_openat(int folder, const char *path, int flags, mode_t mode);
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

int __wrap_openat(int folder, const char *path, int flags, mode_t mode)
{
    errno = calls.tmpfile;
    return calls.tmpfile && (flags & O_TMPFILE) == O_TMPFILE
               ? -1
               : __real_openat(folder, path, flags, mode);
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

/* ---- a folder, and something to write -------------------------------------------------------- */

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static size_t files_in_folder(void)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(dir);
    return count;
}

static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    *size = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    return text;
}

enum { EPOCHS = 5, WIDTH = 3, PATCHES = 2 };

static const float cls[EPOCHS * WIDTH] = {
    0.1f, -1.5f,  3.4028234e38f, 1.1754944e-38f, 1e-45f,  -0.0f, 16777216.0f, 0.33333334f,
    1e9f, 2e-5f,  7,             8,              1.0f / 7, 5,     6,
};
static float patches[EPOCHS * PATCHES * WIDTH];

static const writer_content both = {
    .tensors = {{.name = "cls", .rank = 2, .shape = {EPOCHS, WIDTH}},
                {.name = "patches", .rank = 3, .shape = {EPOCHS, PATCHES, WIDTH}}},
    .tensor_count = 2,
    .entries = {{"model", "a \"b\"\\\n.st"}, {"model_sha256", NULL}, {"inputs", "[\"\xff\"]"}},
    .entry_count = 3,
};

static writer_content only(size_t tensor)
{
    writer_content content = both;
    content.tensors[0] = both.tensors[tensor];
    content.tensor_count = 1;
    return content;
}

/* All epochs in parts of two. */
static int put_all(writer *w, const float *first, const float *second, cli_failure *failure)
{
    int code = CLI_DONE;
    for (size_t e = 0; e < EPOCHS && !code; e += 2) {
        const float *parts[WRITER_TENSORS] = {first + e * WIDTH};
        if (second)
            parts[1] = second + e * PATCHES * WIDTH;
        code = writer_put(w, e, EPOCHS - e < 2 ? 1 : 2, parts, failure);
    }
    return code;
}

static int write_both(const char *path, writer_format format, const char *late,
                      cli_failure *failure)
{
    writer *w = NULL;
    int code = writer_open(&w, path, format, &both, failure);
    if (!code)
        code = put_all(w, cls, patches, failure);
    if (!code)
        code = writer_commit(&w, late, failure);
    writer_abort(&w);
    return code;
}

static void write_cls(const char *path, writer_format format)
{
    cli_failure failure;
    writer *w = NULL;
    writer_content content = only(0);
    assert_int_equal(writer_open(&w, path, format, &content, &failure), CLI_DONE);
    assert_int_equal(put_all(w, cls, NULL, &failure), CLI_DONE);
    assert_int_equal(writer_commit(&w, "", &failure), CLI_DONE);
    assert_null(w);
}

/* ---- formats --------------------------------------------------------------------------------- */

static void check_tensor(psgvit_weights *weights, const char *name, const float *expected,
                         size_t count)
{
    float values[EPOCHS * PATCHES * WIDTH];
    const psgvit_tensor *t = psgvit_weights_find(weights, name);
    assert_non_null(t);
    assert_int_equal(t->elements, count);
    assert_int_equal(psgvit_weights_read(weights, t, 0, count, values, NULL), PSGVIT_OK);
    assert_memory_equal(values, expected, count * sizeof(float));
}

static void test_safetensors(void **state)
{
    (void)state;
    static const char *const lates[] = {
        "unknown", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < 2; i++) {
        cli_failure failure;
        const char *path = path_of("both.safetensors");
        assert_int_equal(write_both(path, WRITER_SAFETENSORS, lates[i], &failure), CLI_DONE);
        psgvit_weights *weights = NULL;
        psgvit_error err;
        if (psgvit_weights_open(&weights, path, NULL, &err))
            fail_msg("%s", err.message);
        assert_int_equal(psgvit_weights_count(weights), 2);
        check_tensor(weights, "cls", cls, EPOCHS * WIDTH);
        check_tensor(weights, "patches", patches, EPOCHS * PATCHES * WIDTH);
        assert_string_equal(psgvit_weights_metadata(weights, "model"), "a \"b\"\\\n.st");
        assert_string_equal(psgvit_weights_metadata(weights, "model_sha256"), lates[i]);
        assert_string_equal(psgvit_weights_metadata(weights, "inputs"), "[\"\xef\xbf\xbd\"]");
        psgvit_weights_close(&weights);
        size_t size;
        char *text = read_file(path, &size);
        assert_int_equal(text[0] % 8, 0); /* the header's length; data is aligned behind it */
        free(text);
        assert_int_equal(files_in_folder(), 1);
    }
    unlink(path_of("both.safetensors"));
}

static void test_npy(void **state)
{
    (void)state;
    cli_failure failure;
    writer *w = NULL;
    writer_content content = only(1);
    const char *path = path_of("p.npy");
    assert_int_equal(writer_open(&w, path, WRITER_NPY, &content, &failure), CLI_DONE);
    const float *values[WRITER_TENSORS] = {patches};
    assert_int_equal(writer_put(w, 0, EPOCHS, values, &failure), CLI_DONE);
    assert_int_equal(writer_commit(&w, "", &failure), CLI_DONE);
    psgvit_recording *r = NULL;
    psgvit_error err;
    if (psgvit_recording_open(&r, path, NULL, &err))
        fail_msg("%s", err.message);
    const psgvit_recording_info *info = psgvit_recording_get_info(r);
    assert_int_equal(info->epochs, EPOCHS);
    assert_int_equal(info->channels, PATCHES);
    assert_int_equal(info->samples, WIDTH);
    float back[EPOCHS * PATCHES * WIDTH];
    size_t n;
    assert_int_equal(psgvit_recording_read(r, back, EPOCHS, &n, NULL), PSGVIT_OK);
    assert_memory_equal(back, patches, sizeof back);
    psgvit_recording_close(&r);
    size_t size;
    char *text = read_file(path, &size);
    assert_int_equal((size - sizeof patches) % 64, 0);
    assert_int_equal(text[size - sizeof patches - 1], '\n');
    free(text);
    unlink(path);
}

static void test_csv(void **state)
{
    (void)state;
    const char *path = path_of("c.csv");
    write_cls(path, WRITER_CSV);
    size_t size, epoch = 0;
    char *text = read_file(path, &size), *rest = NULL;
    char *line = strtok_r(text, "\n", &rest);
    assert_string_equal(line, "epoch,cls_0,cls_1,cls_2");
    for (; (line = strtok_r(NULL, "\n", &rest)); epoch++) {
        char *at;
        assert_int_equal(strtoul(line, &at, 10), epoch);
        for (size_t i = 0; i < WIDTH; i++) {
            assert_int_equal(*at, ',');
            float value = strtof(at + 1, &at);
            assert_memory_equal(&value, &cls[epoch * WIDTH + i], sizeof value);
        }
        assert_int_equal(*at, '\0');
    }
    assert_int_equal(epoch, EPOCHS);
    free(text);
    unlink(path);
}

static void test_json(void **state)
{
    (void)state;
    cli_failure failure;
    const char *path = path_of("j.json");
    assert_int_equal(write_both(path, WRITER_JSON, "unknown", &failure), CLI_DONE);
    size_t size;
    char *text = read_file(path, &size);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    const cJSON *metadata = cJSON_GetObjectItem(json, "metadata");
    assert_string_equal(cJSON_GetObjectItem(metadata, "model_sha256")->valuestring, "unknown");
    const cJSON *epochs = cJSON_GetObjectItem(json, "epochs");
    assert_int_equal(cJSON_GetArraySize(epochs), EPOCHS);
    for (int e = 0; e < EPOCHS; e++) {
        const cJSON *record = cJSON_GetArrayItem(epochs, e);
        assert_true(cJSON_GetObjectItem(record, "epoch")->valuedouble == e);
        for (int i = 0; i < WIDTH; i++)
            assert_true((float)cJSON_GetArrayItem(cJSON_GetObjectItem(record, "cls"), i)
                            ->valuedouble == cls[e * WIDTH + i]);
        const cJSON *rows = cJSON_GetObjectItem(record, "patches");
        assert_int_equal(cJSON_GetArraySize(rows), PATCHES);
        const cJSON *last = cJSON_GetArrayItem(cJSON_GetArrayItem(rows, 1), 2);
        assert_true((float)last->valuedouble == patches[(e + 1) * PATCHES * WIDTH - 1]);
    }
    cJSON_Delete(json);
    free(text);
    unlink(path);
}

static void test_not_finite(void **state)
{
    (void)state;
    static const struct { writer_format format; const char *text; } cases[] = {
        {WRITER_CSV, "0,nan,inf,-inf\n"}, {WRITER_JSON, "\"cls\": [null, null, null]"}};
    const float bad[WIDTH] = {-NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 2; i++) {
        cli_failure failure;
        writer *w = NULL;
        writer_content content = only(0);
        content.tensors[0].shape[0] = 1;
        const char *path = path_of("bad");
        assert_int_equal(writer_open(&w, path, cases[i].format, &content, &failure), CLI_DONE);
        const float *values[WRITER_TENSORS] = {bad};
        assert_int_equal(writer_put(w, 0, 1, values, &failure), CLI_DONE);
        assert_int_equal(writer_commit(&w, "", &failure), CLI_DONE);
        size_t size;
        char *text = read_file(path, &size);
        assert_non_null(strstr(text, cases[i].text));
        free(text);
        unlink(path);
    }
}

/* More text than the buffer holds, in one row. */
static void test_wide(void **state)
{
    (void)state;
    enum { WIDE = 20000 };
    static float row[WIDE];
    for (size_t i = 0; i < WIDE; i++)
        row[i] = (float)i + 0.1f;
    cli_failure failure;
    writer *w = NULL;
    writer_content content = only(0);
    content.tensors[0].shape[0] = 1;
    content.tensors[0].shape[1] = WIDE;
    const char *path = path_of("wide.csv");
    assert_int_equal(writer_open(&w, path, WRITER_CSV, &content, &failure), CLI_DONE);
    const float *values[WRITER_TENSORS] = {row};
    assert_int_equal(writer_put(w, 0, 1, values, &failure), CLI_DONE);
    assert_int_equal(writer_commit(&w, "", &failure), CLI_DONE);
    size_t size;
    char *text = read_file(path, &size), *at = strchr(text, '\n') + 2;
    for (size_t i = 0; i < WIDE; i++)
        assert_true(strtof(at + 1, &at) == row[i]);
    assert_string_equal(at, "\n");
    free(text);
    unlink(path);
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
    open_fails("/dev/null", "no regular file");
    char longest[300];
    memset(longest, 'x', 299);
    longest[299] = '\0';
    open_fails(path_of(longest), "too long");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    open_fails(path_of("fifo"), "no regular file");
    unlink(path_of("fifo"));
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

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < EPOCHS * PATCHES * WIDTH; i++)
        patches[i] = (float)i / 3.0f;
    strcpy(folder, "/tmp/psgvit-writer-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if anything is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors),  cmocka_unit_test(test_npy),
        cmocka_unit_test(test_csv),          cmocka_unit_test(test_json),
        cmocka_unit_test(test_not_finite),   cmocka_unit_test(test_wide),
        cmocka_unit_test(test_replaces),     cmocka_unit_test(test_nothing_before_commit),
        cmocka_unit_test(test_killed),       cmocka_unit_test(test_failures),
        cmocka_unit_test(test_fallbacks),    cmocka_unit_test(test_bad_targets),
        cmocka_unit_test(test_limit),        cmocka_unit_test(test_standard_output),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
