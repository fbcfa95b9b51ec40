/* SPDX-License-Identifier: MIT */
/* What every tool's command line shares: exit codes, talk on standard error, parsing of values. */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <psgvit/psgvit.h>

#include <getopt.h>
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

enum { CLI_THREADS = 1024 }; /* most that psgvit_device_params takes */

/* The exit code of a library status; PSGVIT_E_CANCELLED gives CLI_INTERRUPTED. */
int cli_exit_code(psgvit_status status);

/* The name in front of every line; set once in main. */
void cli_set_program(const char *name);
/* The name that was set. */
const char *cli_program(void);
/* "osf-infer: error: ..." on standard error; returns `code`. */
int cli_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "osf-infer: ..." on standard error. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How much is said: -1 errors only (-q), 0 warnings too, 1 info (-v), 2 debug (-vv). A
 * psgvit_log_fn whose user pointer is an int * of that verbosity. */
void cli_log(void *verbosity, psgvit_log_level level, const char *line);

enum { CLI_SENTENCE = 2 * 4096 + 1024 }; /* two paths and the words about them */

/* A failure that is on its way up: what will be said once, and the exit code. */
typedef struct cli_failure {
    int code; /* CLI_DONE: none */
    char message[CLI_SENTENCE];
} cli_failure;

/* Writes both and returns `code`. */
int cli_fail(cli_failure *failure, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same from the library's error. */
int cli_fail_status(cli_failure *failure, const psgvit_error *err);

/* Called before each line that is said, so that a progress bar can wipe itself; NULL: nothing. Set
 * from the main thread while no other one talks. */
void cli_before_line(void (*wipe)(void));

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
/* One of `count` names; `value` becomes its index. */
bool cli_parse_choice(const char *option, const char *text, const char *const *names, size_t count,
                      size_t *value);

/* getopt_long without its abbreviations, on which no script must come to depend: they are '?'. */
int cli_next_option(int argc, char **argv, const char *short_names, const struct option *names);
/* Says what is wrong with the word that cli_next_option has just taken and found ':' or '?' for.
 * The short names begin with ':', and long ones without a letter are numbers from 256 on. Returns
 * CLI_USAGE. */
int cli_refuse_option(int found, char **argv);

/* Has all that was printed reached standard output? If not, says so and returns CLI_OUTPUT. */
int cli_end_output(void);

/* Milliseconds of a clock that only goes forward. */
double cli_clock(void);

#endif
