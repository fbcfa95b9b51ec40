/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM for tools that have something to clean up. */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include "cli.h"

/* From here on both set a flag. If the process has not ended a second later, because it waits for a
 * pipe or computes a long batch, or if another signal comes, it ends at once; an output that is
 * being written is gone in either case. A failed write is an error code, not SIGPIPE or SIGXFSZ. */
void interrupt_watch(void);
/* CLI_INTERRUPTED or CLI_TERMINATED once a signal has come, else 0. */
int interrupt_code(void);
/* Where it has come, "interrupted" is the fault, whatever a read or a computation that it cut short
 * says. Both return interrupt_code(): one leaves the sentence to the caller, the other says it. */
int interrupt_fail(cli_failure *failure);
int interrupt_error(void);

enum { INTERRUPT_FOLDERS = 3 };

/* A folder that goes, if it is empty, when a signal ends the process at once; NULL: none. `place`
 * is below INTERRUPT_FOLDERS; the string must live until the next call for it. */
void interrupt_remove_folder(int place, const char *folder);

/* Files opened later must not become standard input, output or error because those were closed. */
void interrupt_hold_streams(void);

#endif
