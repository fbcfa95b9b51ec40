/* SPDX-License-Identifier: MIT */
/* The log: formats one line and hands it to the caller's callback, or to nobody. */
#ifndef PV_BASE_LOG_H
#define PV_BASE_LOG_H

#include <psgvit/psgvit.h>

typedef struct pv_log {
    psgvit_log_fn fn; /* NULL: silence */
    void *user;
} pv_log;

void pv_log_line(const pv_log *log, psgvit_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
