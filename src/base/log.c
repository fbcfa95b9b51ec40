/* SPDX-License-Identifier: MIT */
/* One line of the log, formatted on the stack. */
#include "base/log.h"

#include "base/status.h"

void pv_log_line(const pv_log *log, psgvit_log_level level, const char *format, ...)
{
    if (!log || !log->fn)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    pv_sentence(line, sizeof line, format, args);
    va_end(args);
    log->fn(log->user, level, line);
}
