/* SPDX-License-Identifier: MIT */
/* Talk on standard error, one whole line a write, and the values of options, parsed strictly. */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *program = "psgvit";
static void (*before_line)(void);

int cli_exit_code(psgvit_status status)
{
    switch (status) {
    case PSGVIT_OK: return CLI_DONE;
    case PSGVIT_E_ARGUMENT: return CLI_USAGE;
    case PSGVIT_E_INPUT: return CLI_INPUT;
    case PSGVIT_E_MODEL: return CLI_MODEL;
    case PSGVIT_E_DEVICE: return CLI_DEVICE;
    case PSGVIT_E_MEMORY: return CLI_MEMORY;
    case PSGVIT_E_CANCELLED: return CLI_INTERRUPTED;
    }
    return CLI_USAGE;
}

void cli_set_program(const char *name)
{
    program = name;
}

const char *cli_program(void)
{
    return program;
}

void cli_before_line(void (*wipe)(void))
{
    before_line = wipe;
}

double cli_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* One fputs a line, so that lines of several threads don't mix. Control characters, which the name
 * of a file may hold, must not reach the terminal. */
static void put_line(const char *kind, const char *format, va_list args)
{
    char line[CLI_SENTENCE + 64];
    int start = snprintf(line, sizeof line, "%s: %s", program, kind);
    size_t used = start < 0 ? 0 : (size_t)start;
    if (used > sizeof line / 2)
        used = sizeof line / 2;
    vsnprintf(line + used, sizeof line - used - 1, format, args);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    size_t length = strlen(line);
    line[length] = '\n';
    line[length + 1] = '\0';
    if (before_line)
        before_line();
    fputs(line, stderr);
}

int cli_error(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_line("error: ", format, args);
    va_end(args);
    return code;
}

void cli_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_line("", format, args);
    va_end(args);
}

__attribute__((format(printf, 2, 3))) static void put_kind(const char *kind, const char *format,
                                                           ...)
{
    va_list args;
    va_start(args, format);
    put_line(kind, format, args);
    va_end(args);
}

int cli_fail(cli_failure *failure, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(failure->message, sizeof failure->message, format, args);
    va_end(args);
    failure->code = code;
    return code;
}

int cli_fail_status(cli_failure *failure, const psgvit_error *err)
{
    return cli_fail(failure, cli_exit_code(err->code), "%s", err->message);
}

void cli_log(void *verbosity, psgvit_log_level level, const char *line)
{
    static const char *const kinds[] = {"", "error: ", "warning: ", "", "debug: "};
    int most = PSGVIT_LOG_WARNING + (verbosity ? *(const int *)verbosity : 0);
    if (level < PSGVIT_LOG_ERROR || level > PSGVIT_LOG_DEBUG || (int)level > most)
        return;
    put_kind(kinds[level], "%s", line);
}

int cli_end_output(void)
{
    return fflush(stdout) || ferror(stdout)
               ? cli_error(CLI_OUTPUT, "standard output can't be written")
               : CLI_DONE;
}

/* Digits only: no sign, no blank, no hexadecimal, nothing behind. */
static bool parse_digits(const char *text, size_t length, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(text[i] - '0'), &sum))
            return false;
    }
    *value = sum;
    return length > 0;
}

bool cli_parse_size(const char *option, const char *text, size_t min, size_t max, size_t *value)
{
    uint64_t number;
    if (!parse_digits(text, strlen(text), &number) || number < min || number > max) {
        cli_error(CLI_USAGE, "%s: expected a whole number from %zu to %zu, found '%s'", option, min,
                  max, text);
        return false;
    }
    *value = (size_t)number;
    return true;
}

bool cli_parse_u64(const char *option, const char *text, uint64_t *value)
{
    if (parse_digits(text, strlen(text), value))
        return true;
    cli_error(CLI_USAGE, "%s: expected a whole number from 0 to %llu, found '%s'", option,
              (unsigned long long)UINT64_MAX, text);
    return false;
}

bool cli_parse_sizes(const char *option, const char *text, size_t min, size_t max, size_t *values,
                     size_t capacity, size_t *count)
{
    size_t found = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        uint64_t number;
        if (found == capacity || !parse_digits(at, length, &number) || number < min ||
            number > max) {
            cli_error(CLI_USAGE,
                      "%s: expected at most %zu whole numbers from %zu to %zu with commas "
                      "between, found '%s'",
                      option, capacity, min, max, text);
            return false;
        }
        values[found++] = (size_t)number;
        at += length;
        if (!*at)
            break;
    }
    *count = found;
    return true;
}

bool cli_parse_choice(const char *option, const char *text, const char *const *names, size_t count,
                      size_t *value)
{
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(text, names[i])) {
            *value = i;
            return true;
        }
        int n = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
        if (n > 0 && (size_t)n < sizeof list - used)
            used += (size_t)n;
    }
    cli_error(CLI_USAGE, "%s: expected one of %s; found '%s'", option, list, text);
    return false;
}

int cli_next_option(int argc, char **argv, const char *short_names, const struct option *names)
{
    int index = -1;
    int found = getopt_long(argc, argv, short_names, names, &index);
    if (index < 0)
        return found;
    bool apart = optarg && argv[optind - 1] == optarg; /* "--name value", not "--name=value" */
    const char *word = argv[optind - (apart ? 2 : 1)];
    if (strlen(names[index].name) == strcspn(word + 2, "="))
        return found;
    optind -= apart; /* argv[optind - 1] is the word, as for other faults */
    optopt = 0;
    return '?';
}

int cli_refuse_option(int found, char **argv)
{
    enum { SHORT = 256 }; /* below it are the letters */
    const char letter[] = {'-', (char)optopt, '\0'};
    const char *what = found == ':'      ? "there is no value behind"
                       : optopt >= SHORT ? "this option takes no value:"
                                         : "unknown option";
    return cli_error(CLI_USAGE, "%s %s; see %s --help", what,
                     optopt > 0 && optopt < SHORT ? letter : argv[optind - 1], program);
}

bool cli_parse_backend(const char *option, const char *text, psgvit_backend *value)
{
    static const char *const names[] = {"auto", "cpu", "vulkan"};
    size_t index;
    if (!cli_parse_choice(option, text, names, 3, &index))
        return false;
    *value = (psgvit_backend)index;
    return true;
}

bool cli_parse_isa(const char *option, const char *text, psgvit_isa *value)
{
    static const char *const names[] = {"auto", "c", "avx2", "avx512", "amx"};
    size_t index;
    if (!cli_parse_choice(option, text, names, 5, &index))
        return false;
    *value = (psgvit_isa)index;
    return true;
}

bool cli_parse_precision(const char *option, const char *text, psgvit_precision *value)
{
    static const char *const names[] = {"f32", "f16", "bf16"};
    size_t index;
    if (!cli_parse_choice(option, text, names, 3, &index))
        return false;
    *value = (psgvit_precision)index;
    return true;
}
