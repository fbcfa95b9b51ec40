/* SPDX-License-Identifier: MIT */
/* What every tool's command line shares: exit codes, talk on standard error, parsing of values. */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <psgvit/psgvit.h>

#include <stdbool.h>

/* Exit codes, the same for every tool. */
enum {
    CLI_DONE = 0,
    CLI_SOME_FAILED = 1, /* some of several inputs failed, the rest are done */
    CLI_USAGE = 2,
    CLI_INPUT = 3,
    CLI_MODEL = 4,
    CLI_DEVICE = 5,
    CLI_MEMORY = 6,
    CLI_OUTPUT = 7,
    CLI_INTERRUPTED = 130, /* SIGINT */
    CLI_TERMINATED = 143,  /* SIGTERM */
};

/* The exit code of a library status; PSGVIT_E_CANCELLED gives CLI_INTERRUPTED. */
int cli_exit_code(psgvit_status status);

/* The name in front of every line; set once in main. */
void cli_set_program(const char *name);
/* "osf-infer: error: ..." on standard error; returns `code`. */
int cli_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "osf-infer: ..." on standard error. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How much is said: -1 errors only (-q), 0 warnings too, 1 info (-v), 2 debug (-vv). A psgvit_log_fn
 * whose user pointer is an int * of that verbosity. */
void cli_log(void *verbosity, psgvit_log_level level, const char *line);

/* Each parses the value of an option and returns true, or says what is wrong on standard error
 * ("--batch: expected a whole number from 1 to 65536, found 'x'") and returns false. */
bool cli_parse_size(const char *option, const char *text, size_t min, size_t max, size_t *value);
bool cli_parse_u64(const char *option, const char *text, uint64_t *value);
bool cli_parse_backend(const char *option, const char *text, psgvit_backend *value);
bool cli_parse_isa(const char *option, const char *text, psgvit_isa *value);
bool cli_parse_precision(const char *option, const char *text, psgvit_precision *value);
/* Comma-separated sizes, at most `capacity`. */
bool cli_parse_sizes(const char *option, const char *text, size_t min, size_t max, size_t *values,
                     size_t capacity, size_t *count);

#endif
