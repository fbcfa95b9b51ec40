/* SPDX-License-Identifier: MIT */
/* Linux: O_TMPFILE and linkat for files without a name, fallocate to reserve room. */
#define _GNU_SOURCE 1
#include "staged_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const size_t MOST_AT_ONCE = (size_t)1 << 30; /* Linux writes at most 2 GiB a call */
static const char STANDARD_OUTPUT[] = "standard output";

/* The files whose temporary names a signal handler has to remove; NULL where there is none. Files
 * beyond that many still work, but an interruption may leave their temporary names behind. */
static _Atomic(const staged_file *) named[64];

enum {
    NAMED = sizeof named / sizeof *named,
    SWEEP_AGE = 60, /* seconds: from its creation to its lock, a file is nobody's */
};

void staged_file_unlink_now(void)
{
    for (int i = 0; i < NAMED; i++) {
        const staged_file *file = atomic_load(&named[i]);
        if (file)
            unlinkat(file->folder, file->temporary, 0);
    }
}

/* Puts `to` in the first place that holds `from`. */
static void exchange_named(const staged_file *from, const staged_file *to)
{
    for (int i = 0; i < NAMED; i++) {
        const staged_file *held = from;
        if (atomic_compare_exchange_strong(&named[i], &held, to))
            return;
    }
}

static int fail(staged_file *file, cli_failure *failure, const char *what, int error)
{
    cli_fail(failure, error == ENOMEM ? CLI_MEMORY : CLI_OUTPUT, "%s: %s: %s",
             file->target ? file->target : "the output", what, strerror(error));
    staged_file_abort(file);
    return failure->code;
}

void staged_file_abort(staged_file *file)
{
    if (file->temporary[0])
        unlinkat(file->folder, file->temporary, 0);
    exchange_named(file, NULL);
    if (file->fd >= 0)
        close(file->fd);
    if (file->folder >= 0)
        close(file->folder);
    free(file->target);
    *file = (staged_file){.fd = -1, .folder = -1};
}

/* Runs `make` under a fresh temporary name, until one is free, and tells the signal handler of it
 * with no signal in between. Returns 0 or the errno. */
static int with_name(staged_file *file, int (*make)(staged_file *file))
{
    static atomic_uint counter;
    sigset_t all, before;
    sigfillset(&all);
    int error = EEXIST;
    for (int i = 0; i < 100 && error == EEXIST; i++) {
        snprintf(file->temporary, sizeof file->temporary, ".psgvit-%ld-%u.tmp", (long)getpid(),
                 atomic_fetch_add(&counter, 1));
        pthread_sigmask(SIG_BLOCK, &all, &before);
        error = make(file) == 0 ? 0 : errno;
        if (!error)
            exchange_named(NULL, file);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (error)
        file->temporary[0] = '\0'; /* not ours to remove */
    return error;
}

static int link_nameless(staged_file *file, const char *name)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    return linkat(AT_FDCWD, self, file->folder, name, AT_SYMLINK_FOLLOW);
}

static int link_temporary(staged_file *file)
{
    return link_nameless(file, file->temporary);
}

static int create_temporary(staged_file *file)
{
    file->fd = openat(file->folder, file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return file->fd >= 0 ? 0 : -1;
}

/* The mode is what the umask leaves of 0666, as of any file that is simply created. */
static int open_file(staged_file *file)
{
    char self[40];
    file->fd = openat(file->folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    file->nameless = file->fd >= 0 && access(self, F_OK) == 0; /* without /proc it stays nameless */
    if (file->nameless)
        return 0;
    if (file->fd >= 0)
        close(file->fd);
    return with_name(file, create_temporary);
}

/* The lock tells staged_file_sweep that somebody is at work here; where there are none, nothing is
 * swept. */
static int make_file(staged_file *file)
{
    int error = open_file(file);
    if (!error)
        (void)flock(file->fd, LOCK_EX | LOCK_NB);
    return error;
}

static bool is_left_behind(int fd, time_t now)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_mtime < now - SWEEP_AGE &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
}

void staged_file_sweep(const char *folder)
{
    DIR *all = opendir(folder);
    time_t now = time(NULL);
    for (struct dirent *entry; all && (entry = readdir(all));) {
        size_t length = strlen(entry->d_name);
        if (strncmp(entry->d_name, ".psgvit-", 8) != 0 || length < 12 ||
            strcmp(entry->d_name + length - 4, ".tmp") != 0)
            continue;
        int fd = openat(dirfd(all), entry->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && is_left_behind(fd, now))
            unlinkat(dirfd(all), entry->d_name, 0);
        if (fd >= 0)
            close(fd);
    }
    if (all)
        closedir(all);
}

/* Splits the target into folder and leaf. What stands there may only be a file, to be replaced. */
static int find_target(staged_file *file, const char *path)
{
    struct stat st;
    char *resolved = NULL;
    bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    bool there = stat(path, &st) == 0, regular = there && S_ISREG(st.st_mode);
    if (!there && errno != ENOENT)
        return errno;
    if (link && (regular || !there) && !(resolved = realpath(path, NULL)))
        return errno; /* a pipe's, such as /dev/stdout, leads to no path */
    file->target = resolved ? resolved : strdup(path);
    if (!file->target)
        return ENOMEM;
    if (there && !regular)
        return S_ISDIR(st.st_mode) ? EISDIR : ENOTSUP;
    if (there && access(file->target, W_OK) != 0) /* protected on purpose: a rename would not ask */
        return errno;
    char *slash = strrchr(file->target, '/');
    file->leaf = slash ? slash + 1 : file->target;
    size_t length = slash ? (size_t)(slash - file->target) + 1 : 0;
    char *folder = length ? strndup(file->target, length) : strdup(".");
    if (!folder)
        return ENOMEM;
    file->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = file->folder >= 0 ? 0 : errno;
    free(folder);
    return error;
}

/* For standard output: a nameless file where the system keeps temporary ones. */
static int make_spool(staged_file *file)
{
    const char *folder = getenv("TMPDIR");
    folder = folder && folder[0] ? folder : "/tmp";
    file->target = strdup(STANDARD_OUTPUT);
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (!file->target)
        return ENOMEM;
    if (flags < 0)
        return errno;
    if ((flags & O_ACCMODE) == O_RDONLY)
        return EBADF;
    file->fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return 0;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/psgvit-XXXXXX", folder);
    if (length < 0 || (size_t)length >= sizeof path)
        return ENAMETOOLONG;
    file->fd = mkstemp(path);
    if (file->fd < 0)
        return errno;
    unlink(path);
    return 0;
}

static int reserve(int fd, uint64_t size)
{
    if (size > INT64_MAX)
        return EFBIG;
    if (size == 0 || fallocate(fd, 0, 0, (off_t)size) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return errno;
    return ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
}

int staged_file_open(staged_file *file, const char *path, uint64_t size, cli_failure *failure)
{
    *file = (staged_file){.fd = -1, .folder = -1};
    int error;
    if (!strcmp(path, "-")) {
        error = make_spool(file);
        return error ? fail(file, failure, "can't be written", error) : CLI_DONE;
    }
    error = find_target(file, path);
    if (!file->target)
        return cli_fail(failure, CLI_OUTPUT, "%s: can't be written: %s", path, strerror(error));
    if (!error)
        error = make_file(file);
    if (error == ENOTSUP) {
        cli_fail(failure, CLI_OUTPUT,
                 "%s: expected a regular file or a new one, found another kind; standard output "
                 "is -",
                 path);
        staged_file_abort(file);
        return CLI_OUTPUT;
    }
    if (error)
        return fail(file, failure, "can't be made", error);
    error = reserve(file->fd, size);
    return error ? fail(file, failure, "has no room on the disk", error) : CLI_DONE;
}

int staged_file_check(const char *path, cli_failure *failure)
{
    staged_file file;
    int code = staged_file_open(&file, path, 0, failure);
    if (!code)
        staged_file_abort(&file);
    return code;
}

int staged_file_write(staged_file *file, uint64_t offset, const void *bytes, size_t size,
                      cli_failure *failure)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = pwrite(file->fd, at, size < MOST_AT_ONCE ? size : MOST_AT_ONCE, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(file, failure, "can't be written", errno);
        at += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return CLI_DONE;
}

/* All of it, though standard output may be one that does not block, or a signal come (which ends
 * the process by an alarm, if it has to). Returns 0 or the errno. */
static int put_out(const char *bytes, size_t size)
{
    struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, size);
        if (n < 0 && errno == EAGAIN)
            n = poll(&ready, 1, -1) < 0 ? -1 : 0;
        if (n < 0 && errno != EINTR)
            return errno;
        bytes += n < 0 ? 0 : n;
        size -= n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

/* Returns 0 or the errno. */
static int copy_out(int from)
{
    enum { PIECE = 1 << 18 };
    char *piece = malloc(PIECE);
    int error = piece ? 0 : ENOMEM;
    for (off_t at = 0; !error;) {
        ssize_t n = pread(from, piece, PIECE, at);
        if (n == 0)
            break;
        if (n < 0) {
            error = errno == EINTR ? 0 : errno;
            continue;
        }
        error = put_out(piece, (size_t)n);
        at += n;
    }
    free(piece);
    return error;
}

/* A free target is linked at once; one that exists can only be replaced from a second name. */
static int give_name(staged_file *file)
{
    if (file->nameless) {
        if (link_nameless(file, file->leaf) == 0)
            return 0;
        int error = errno == EEXIST ? with_name(file, link_temporary) : errno;
        if (error)
            return error;
    }
    if (renameat(file->folder, file->temporary, file->folder, file->leaf) != 0)
        return errno;
    file->temporary[0] = '\0';
    return 0;
}

int staged_file_sync(staged_file *file, cli_failure *failure)
{
    if (file->folder >= 0 && fsync(file->fd) != 0)
        return fail(file, failure, "can't be synced", errno);
    return CLI_DONE;
}

int staged_file_commit(staged_file *file, cli_failure *failure)
{
    if (file->folder < 0) {
        int error = copy_out(file->fd);
        if (error)
            return fail(file, failure, "can't be written", error);
        staged_file_abort(file);
        return CLI_DONE;
    }
    int code = staged_file_sync(file, failure);
    if (code)
        return code;
    int error = give_name(file);
    if (error)
        return fail(file, failure, "can't be given its name", error);
    fsync(file->folder); /* the name lives there; where that can't be, the data is safe */
    staged_file_abort(file);
    return CLI_DONE;
}
