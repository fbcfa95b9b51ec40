/* SPDX-License-Identifier: MIT */
/* The handler only sets a flag and an alarm; all it may call is async-signal-safe. */
#define _GNU_SOURCE 1
#include "interrupt.h"

#include "staged_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { GRACE = 1 }; /* seconds */

static const char sentence[] = "interrupted";
static volatile sig_atomic_t first_signal;
static char farewell[64]; /* made beforehand, since a handler can't */
static _Atomic(const char *) made_folders[INTERRUPT_FOLDERS];

void interrupt_remove_folder(int place, const char *folder)
{
    atomic_store(&made_folders[place], folder);
}

int interrupt_code(void)
{
    int number = first_signal;
    return number == 0 ? 0 : number == SIGINT ? CLI_INTERRUPTED : CLI_TERMINATED;
}

int interrupt_fail(cli_failure *failure)
{
    return cli_fail(failure, interrupt_code(), "%s", sentence);
}

int interrupt_error(void)
{
    return cli_error(interrupt_code(), "%s", sentence);
}

static void on_signal(int number)
{
    if (first_signal == 0 && number != SIGALRM) {
        first_signal = number;
        alarm(GRACE);
        return;
    }
    staged_file_unlink_now();
    for (int i = 0; i < INTERRUPT_FOLDERS; i++) {
        const char *folder = atomic_load(&made_folders[i]);
        if (folder)
            rmdir(folder); /* fails, as it should, where an output lies in it */
    }
    ssize_t said = write(STDERR_FILENO, farewell, strlen(farewell));
    (void)said;
    _exit(first_signal == SIGTERM ? CLI_TERMINATED : CLI_INTERRUPTED);
}

void interrupt_watch(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGALRM};
    snprintf(farewell, sizeof farewell, "%s%s: error: %s\n",
             isatty(STDERR_FILENO) ? "\r\033[K" : "", cli_program(), /* over a progress bar */
             sentence);
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigset_t heard;
    sigemptyset(&heard);
    for (int i = 0; i < 3; i++) {
        sigaddset(&action.sa_mask, signals[i]);
        sigaddset(&heard, signals[i]);
        sigaction(signals[i], &action, NULL);
    }
    sigprocmask(SIG_UNBLOCK, &heard, NULL); /* a parent may have blocked them */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

void interrupt_hold_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* The wrong direction for the first two, so that using them still fails. */
            int held = open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
            if (held >= 0 && held != fd)
                close(held);
        }
}
