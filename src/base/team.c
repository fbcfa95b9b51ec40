/* SPDX-License-Identifier: MIT */
/* What limits a team: a region of the caller's, and a fork. */
#define _POSIX_C_SOURCE 200809L /* getpid */
#include "base/team.h"

#include <omp.h>
#include <sys/types.h>
#include <unistd.h>

/* The process in which this thread had a team. A child of fork() inherits libgomp's record of that
 * team, but not its threads: a team there would wait for them for ever (GCC's bug 58378). */
static _Thread_local pid_t teamed_in;

int pv_team_size(int wanted)
{
    pid_t here = getpid();
    if (omp_in_parallel() || (teamed_in && teamed_in != here))
        return 1;
    int threads = wanted > 0 ? wanted : omp_get_max_threads();
    if (threads > 1)
        teamed_in = here;
    return threads;
}
