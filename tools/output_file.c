/* SPDX-License-Identifier: MIT */
/*
 * The one open temporary is known to the signal handler, which may only unlink it: its path is
 * published in the moment in which it is made and withdrawn after it is gone.
 */
#define _XOPEN_SOURCE 700
#include "output_file.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 100 };
static const size_t MOST_AT_ONCE = (size_t)1 << 30; /* Linux writes at most 2 GiB a call */

/* Atomic and lock-free, so that the handler may read it. */
static _Atomic(const char *) pending;

static void on_signal(int number)
{
    const char *path = atomic_load(&pending);
    if (path)
        unlink(path);
    _exit(number == SIGINT ? CLI_INTERRUPTED : CLI_TERMINATED);
}

void output_file_handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE,
           SIG_IGN); /* a reader that leaves is a failed write: exit code 7, and a sentence */
}

void output_file_abandon(output_file *file)
{
    if (file->fd >= 0 && file->fd != STDOUT_FILENO)
        close(file->fd);
    if (file->temporary)
        unlink(file->temporary);
    atomic_store(&pending, NULL);
    free(file->temporary);
    free(file->target);
    *file = (output_file){.fd = -1};
}

static int fail(output_file *file, const char *what, int error)
{
    int code = cli_error(CLI_OUTPUT, "%s: %s: %s", file->name, what, strerror(error));
    output_file_abandon(file);
    return code;
}

/* Opens a new file and tells the handler, with no signal in between. Returns 0 or the errno. */
static int create_pending(output_file *file)
{
    sigset_t both;
    sigset_t before;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, &before);
    file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int error = file->fd >= 0 ? 0 : errno;
    if (!error)
        atomic_store(&pending, file->temporary);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* "<folder of target>/.psgvit-<process>-<try>.tmp": short, so that a long name stays possible. The
 * mode is what the umask leaves of 0666, as for any file that is simply created. */
static int make_temporary(output_file *file)
{
    const char *slash = strrchr(file->target, '/');
    size_t folder = slash ? (size_t)(slash - file->target) + 1 : 0;
    size_t room = folder + 64;
    file->temporary = malloc(room);
    if (!file->temporary)
        return ENOMEM;
    int error = EEXIST;
    for (int i = 0; i < TRIES && error == EEXIST; i++) {
        snprintf(file->temporary, room, "%.*s.psgvit-%ld-%d.tmp", (int)folder, file->target,
                 (long)getpid(), i);
        error = create_pending(file);
    }
    if (error) {
        free(file->temporary); /* not ours to remove */
        file->temporary = NULL;
    }
    return error;
}

int output_file_open(output_file *file, const char *path)
{
    struct stat st;
    *file = (output_file){.fd = -1, .name = path};
    if (!strcmp(path, "-")) {
        file->name = "standard output";
        file->fd = STDOUT_FILENO;
        file->direct = true;
        return CLI_DONE;
    }
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return fail(file, "can't be written", EISDIR);
    if (exists && !S_ISREG(st.st_mode)) {
        file->direct = true;
        file->fd = open(path, O_WRONLY | O_CLOEXEC);
        return file->fd >= 0 ? CLI_DONE : fail(file, "can't be opened", errno);
    }
    file->target = exists ? realpath(path, NULL) : strdup(path);
    if (!file->target)
        return fail(file, "can't be written", errno);
    int error = make_temporary(file);
    return error ? fail(file, "can't be made", error) : CLI_DONE;
}

int output_file_write(output_file *file, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(file->fd, at, size < MOST_AT_ONCE ? size : MOST_AT_ONCE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(file, "can't be written", errno);
        at += n;
        size -= (size_t)n;
    }
    return CLI_DONE;
}

/* The new name itself lives in the folder. Not every file system can sync one: then it can't be
 * helped, and the data is safe already. */
static void sync_folder(const char *target)
{
    char *copy = strdup(target);
    char *slash = copy ? strrchr(copy, '/') : NULL;
    if (slash)
        slash[slash == copy ? 1 : 0] = '\0';
    int fd = copy ? open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(copy);
}

int output_file_commit(output_file *file)
{
    if (file->direct) {
        if (file->fd != STDOUT_FILENO && close(file->fd) != 0) {
            file->fd = -1;
            return fail(file, "can't be written", errno);
        }
        *file = (output_file){.fd = -1};
        return CLI_DONE;
    }
    if (fsync(file->fd) != 0)
        return fail(file, "can't be synced", errno);
    int closed = close(file->fd);
    file->fd = -1;
    if (closed != 0)
        return fail(file, "can't be written", errno);
    if (rename(file->temporary, file->target) != 0)
        return fail(file, "can't be renamed to", errno);
    atomic_store(&pending, NULL);
    sync_folder(file->target);
    free(file->temporary);
    free(file->target);
    *file = (output_file){.fd = -1};
    return CLI_DONE;
}
