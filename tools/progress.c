/* SPDX-License-Identifier: MIT */
/* There is one standard error, so there is one state. */
#define _GNU_SOURCE 1
#include "progress.h"

#include "cli.h"
#include "json_out.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
    progress_mode mode;
    const char *name;
    size_t index, count, total;
    double start, drawn; /* milliseconds */
    bool on_screen;
} now;

static void wipe(void)
{
    if (now.on_screen)
        fputs("\r\033[K", stderr);
    now.on_screen = false;
}

void progress_begin(progress_mode mode, const char *name, size_t index, size_t count, size_t epochs)
{
    now.mode = mode == PROGRESS_AUTO && !isatty(STDERR_FILENO) ? PROGRESS_NEVER : mode;
    now.name = name;
    now.index = index;
    now.count = count;
    now.total = epochs;
    now.start = cli_clock();
    now.drawn = now.mode == PROGRESS_AUTO ? now.start + 900 : 0; /* nothing in the first second */
    cli_before_line(wipe);
}

static void draw_bar(size_t done, double rate, double left)
{
    char bar[31], place[48] = "";
    struct winsize window = {0};
    size_t full = done * (sizeof bar - 1) / now.total;
    memset(bar, '#', full);
    memset(bar + full, '.', sizeof bar - 1 - full);
    bar[sizeof bar - 1] = '\0';
    if (now.count > 1)
        snprintf(place, sizeof place, "%zu/%zu ", now.index + 1, now.count);
    char line[256];
    int width =
        ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col ? window.ws_col : 80;
    long rest = (long)left;
    snprintf(line, sizeof line, "%s[%s] %zu/%zu epochs, %.3g/s, %ld:%02ld left", place, bar, done,
             now.total, rate, rest / 60, rest % 60);
    fprintf(stderr, "\r\033[K%.*s", width - 1, line);
    fflush(stderr);
    now.on_screen = true;
}

static void put_json(size_t done, double rate, double left)
{
    fputs("{\"input\": ", stderr);
    json_put_string(stderr, now.name);
    fprintf(stderr, ", \"done\": %zu, \"total\": %zu, \"epochs_per_s\": %.6g, ", done, now.total,
            rate);
    fprintf(stderr, "\"seconds_left\": %.3f}\n", left);
}

void progress_update(size_t done)
{
    double time = cli_clock();
    bool last = done == now.total && now.mode == PROGRESS_JSON;
    if (now.mode == PROGRESS_NEVER || (time - now.drawn < 100 && !last) || done == 0)
        return;
    now.drawn = time;
    double spent = time > now.start ? (time - now.start) * 1e-3 : 1e-9; /* seconds */
    double rate = (double)done / spent;
    double left = (double)(now.total - done) / rate;
    if (now.mode == PROGRESS_JSON)
        put_json(done, rate, left);
    else
        draw_bar(done, rate, left);
}

void progress_end(void)
{
    wipe();
    cli_before_line(NULL);
}
