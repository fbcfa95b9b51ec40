/* SPDX-License-Identifier: MIT */
/*
 * Load time and peak memory belong to a process that does nothing else. The parent writes the model
 * to a file that it unlinks at once, so that nothing can be left behind, and runs itself again: the
 * child finds the open file by /proc/self/fd.
 */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "cli.h"
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_FILE = 3, MOST_ARGUMENTS = 24 };

int bench_file_make(const unsigned char *bytes, size_t size)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    int n =
        snprintf(path, sizeof path, "%s/psgvit-bench-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = n > 0 && (size_t)n < sizeof path ? mkstemp(path) : -1;
    if (fd < 0) {
        cli_error(CLI_OUTPUT, "%s: can't be made: %s (TMPDIR chooses the folder)", path,
                  strerror(errno));
        return -1;
    }
    unlink(path);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (size_t done = 0; done < size;) {
        size_t part = size - done < (size_t)1 << 30 ? size - done : (size_t)1 << 30;
        ssize_t got = write(fd, bytes + done, part);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            cli_error(CLI_OUTPUT, "%s: can't be written: %s (TMPDIR chooses the folder)", path,
                      strerror(errno));
            close(fd);
            return -1;
        }
        done += (size_t)got;
    }
    fdatasync(fd); /* or else the disk would be busy while the child is timed */
    return fd;
}

/* ---- the parent's side ----------------------------------------------------------------------- */

/* Of the child's command line; the numbers live in `text`. */
typedef struct child_line {
    char *argv[MOST_ARGUMENTS];
    size_t count;
    char outputs[BENCH_OUTPUTS_TEXT], text[64];
    size_t used; /* of text */
} child_line;

static void add(child_line *line, const char *argument)
{
    line->argv[line->count++] = (char *)(uintptr_t)argument; /* execv never writes to it */
    line->argv[line->count] = NULL;
}

static void add_number(child_line *line, size_t number)
{
    char *at = line->text + line->used;
    line->used += (size_t)snprintf(at, sizeof line->text - line->used, "%zu", number) + 1;
    add(line, at);
}

static void make_line(child_line *line, const bench_arguments *args, const bench_spec *spec,
                      size_t batch)
{
    *line = (child_line){.count = 0};
    add(line, cli_program());
    add(line, "--measure-load");
    add(line, spec->name);
    bench_outputs_text(spec->outputs, line->outputs);
    add(line, "--outputs");
    add(line, line->outputs);
    add(line, "--batch");
    add_number(line, batch);
    add(line, "--backend");
    add(line, psgvit_backend_name(args->backend));
    add(line, "--precision");
    add(line, psgvit_precision_name(args->precision));
    add(line, "--isa");
    add(line, args->isa == PSGVIT_ISA_AUTO ? "auto" : psgvit_isa_name(args->isa));
    if (args->device) {
        add(line, "--device");
        add(line, args->device);
    }
    if (args->threads) {
        add(line, "--threads");
        add_number(line, args->threads);
    }
}

/* Becomes the child: the model is its file 3, the pipe its standard output. */
static void become_child(const child_line *line, int file, int pipe_end)
{
    int copy = fcntl(file, F_DUPFD, CHILD_FILE + 1); /* out of the way of 3, without FD_CLOEXEC */
    if (copy >= 0 && dup2(pipe_end, STDOUT_FILENO) >= 0 && dup2(copy, CHILD_FILE) >= 0) {
        close(copy);
        execv("/proc/self/exe", line->argv);
    }
    cli_error(CLI_MEMORY, "/proc/self/exe can't be run to measure memory: %s", strerror(errno));
    _exit(CLI_MEMORY);
}

static int read_answer(int from, bench_load *load)
{
    FILE *answer = fdopen(from, "r");
    char line[128] = "";
    char *end = line;
    bool got = answer && fgets(line, sizeof line, answer);
    if (answer)
        fclose(answer);
    else
        close(from);
    if (got)
        load->load_ms = strtod(line, &end);
    if (got && *end == ' ')
        load->peak_rss_mb = strtod(end, &end);
    return got && *end == '\n' ? CLI_DONE : CLI_MEMORY;
}

int bench_child_measure(const bench_arguments *args, const bench_spec *spec, size_t batch, int file,
                        bench_load *load)
{
    child_line line;
    int ends[2];
    make_line(&line, args, spec, batch);
    fflush(stdout);
    if (pipe(ends) != 0)
        return cli_error(CLI_MEMORY, "no pipe to a child process: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        become_child(&line, file, ends[1]);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return cli_error(CLI_MEMORY, "no child process: %s", strerror(errno));
    }
    int code = read_answer(ends[0], load);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (interrupt_code()) /* the terminal's signal ends both */
        return interrupt_code();
    if (WIFEXITED(status) && WEXITSTATUS(status) != CLI_DONE)
        return WEXITSTATUS(status); /* it has said why */
    if (WIFSIGNALED(status))
        return cli_error(CLI_MEMORY,
                         "the child process that measures memory was ended by signal %d",
                         WTERMSIG(status));
    if (code)
        cli_error(code, "the child process that measures memory gave no answer");
    return code;
}

/* ---- the child's side ------------------------------------------------------------------------ */

/* Peak of resident memory in bytes. getrusage() would count what the parent had when it forked: the
 * kernel hands that peak on through exec. VmHWM belongs to this program alone. */
static double peak_rss(void)
{
    double kilobytes = 0.0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6))
            kilobytes = strtod(line + 6, NULL);
    if (status)
        fclose(status);
    struct rusage usage;
    if (kilobytes <= 0.0 && getrusage(RUSAGE_SELF, &usage) == 0)
        kilobytes = (double)usage.ru_maxrss;
    return kilobytes * 1024.0;
}

int bench_child_main(const bench_arguments *args)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    bench_model model = {0};
    bench_load load = {0};
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = args->backend,
                                   .device = args->device,
                                   .isa = args->isa,
                                   .threads = (int)args->threads};
    psgvit_status status = psgvit_device_open(&device, &params, &err);
    if (!status)
        status = bench_model_open(&model, &args->models[0], device, args->precision,
                                  args->child_file, NULL, 0, &load.load_ms, &err);
    if (!status)
        status = bench_model_prepare(&model, args->batches[0], args->batches[0], &err);
    if (!status)
        status = bench_model_run(&model, &err);
    if (!status)
        printf("%.6f %.6f\n", load.load_ms, peak_rss() * 1e-6);
    bench_model_close(&model);
    psgvit_device_close(&device);
    if (status)
        return cli_error(cli_exit_code(status), "%s", err.message);
    return fflush(stdout) ? CLI_OUTPUT : CLI_DONE; /* a parent that ended needs no sentence */
}
