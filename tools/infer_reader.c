/* SPDX-License-Identifier: MIT */
/* A ring of parts: the reader fills them in turn, the taker empties them in turn. */
#define _GNU_SOURCE 1
#include "infer_reader.h"

#include "interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PARTS = INFER_PARTS };

struct infer_reader {
    const infer_session *session;
    size_t turn, count; /* of the readers */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    infer_part parts[PARTS];
    size_t filled, emptied; /* parts handed over and given back, since the start */
    size_t skip;            /* inputs below this one are not wanted any more */
    bool stop;
};

/* ---- the reader's side ----------------------------------------------------------------------- */

/* The next part that is free; NULL: it is to stop. */
static infer_part *wait_for_room(infer_reader *r, size_t index)
{
    pthread_mutex_lock(&r->lock);
    while (!r->stop && r->filled - r->emptied == PARTS)
        pthread_cond_wait(&r->changed, &r->lock);
    infer_part *part = r->stop ? NULL : &r->parts[r->filled % PARTS];
    pthread_mutex_unlock(&r->lock);
    if (part)
        *part = (infer_part){.index = index, .signal = part->signal, .room = part->room};
    return part;
}

static void hand_over(infer_reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->filled++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static bool is_wanted(infer_reader *r, size_t index)
{
    pthread_mutex_lock(&r->lock);
    bool wanted = index >= r->skip;
    pthread_mutex_unlock(&r->lock);
    return wanted;
}

/* All of an input, or up to where it fails or is not wanted any more. False: it is to stop. */
static bool read_input(infer_reader *r, size_t index)
{
    infer_opened input = {.session = r->session, .index = index};
    bool last = false;
    while (!last) {
        infer_part *part = wait_for_room(r, index);
        if (!part)
            break;
        double start = cli_clock();
        if (!is_wanted(r, index))
            part->last = true;
        else
            infer_source_read(&input, part);
        part->time = cli_clock() - start;
        last = part->last;
        hand_over(r);
    }
    infer_source_close(&input);
    return last;
}

static void *run(void *user)
{
    infer_reader *r = user;
    const infer_result *results = r->session->results;
    for (size_t i = 0; i < r->session->count; i++)
        if (!results[i].complete && results[i].turn % r->count == r->turn && !read_input(r, i))
            break;
    return NULL;
}

/* ---- the taker's side ------------------------------------------------------------------------ */

/* Signals are for the main thread: there a handler interrupts what has to end. */
static int start_thread(infer_reader *r)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

size_t infer_reader_count(const infer_session *session)
{
    if (psgvit_device_get_info(session->device)->backend != PSGVIT_BACKEND_VULKAN)
        return 1;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t most = cores > INFER_READERS ? INFER_READERS : cores > 1 ? (size_t)cores : 1;
    return most < session->count ? most : session->count ? session->count : 1;
}

int infer_reader_start(infer_reader **made, const infer_session *session, size_t turn, size_t count,
                       cli_failure *failure)
{
    infer_reader *r = calloc(1, sizeof *r);
    pthread_condattr_t clock;
    if (!r || pthread_condattr_init(&clock)) {
        free(r);
        return cli_fail(failure, CLI_MEMORY, "out of memory: the reader");
    }
    r->session = session;
    r->turn = turn;
    r->count = count;
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    int error = pthread_mutex_init(&r->lock, NULL);
    if (!error && (error = pthread_cond_init(&r->changed, &clock)))
        pthread_mutex_destroy(&r->lock);
    pthread_condattr_destroy(&clock);
    if (!error && (error = start_thread(r))) {
        pthread_cond_destroy(&r->changed);
        pthread_mutex_destroy(&r->lock);
    }
    if (error) {
        free(r);
        return cli_fail(failure, CLI_MEMORY, "the thread that reads can't be started: %s",
                        strerror(error));
    }
    *made = r;
    return CLI_DONE;
}

/* A clock's time in that many milliseconds. */
static struct timespec soon(clockid_t clock, long milliseconds)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += milliseconds * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

infer_part *infer_reader_take(infer_reader *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->filled == r->emptied && !interrupt_code()) {
        struct timespec until = soon(CLOCK_MONOTONIC, 50); /* a signal wakes nobody */
        pthread_cond_timedwait(&r->changed, &r->lock, &until);
    }
    infer_part *part = r->filled == r->emptied ? NULL : &r->parts[r->emptied % PARTS];
    pthread_mutex_unlock(&r->lock);
    return part;
}

void infer_reader_return(infer_reader *r, infer_part *part)
{
    infer_source_free(&part->source);
    free(part->talk);
    part->talk = NULL;
    pthread_mutex_lock(&r->lock);
    r->emptied++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void infer_reader_skip(infer_reader *r, size_t index)
{
    pthread_mutex_lock(&r->lock);
    r->skip = index + 1;
    pthread_mutex_unlock(&r->lock);
    bool last = false;
    while (!last) {
        infer_part *part = infer_reader_take(r);
        if (!part)
            return;
        last = part->last;
        infer_reader_return(r, part);
    }
}

bool infer_reader_close(infer_reader **reader)
{
    infer_reader *r = reader ? *reader : NULL;
    if (!r)
        return true;
    *reader = NULL;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    struct timespec until = soon(CLOCK_REALTIME, 500);
    if (pthread_timedjoin_np(r->thread, NULL, &until) != 0)
        return false;
    for (size_t i = 0; i < PARTS; i++) {
        infer_source_free(&r->parts[i].source);
        free(r->parts[i].talk);
        free(r->parts[i].signal);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return true;
}
