/* SPDX-License-Identifier: MIT */
/* Errors: how a sentence gets into the caller's psgvit_error, and how a status travels up. */
#ifndef PV_BASE_STATUS_H
#define PV_BASE_STATUS_H

#include <psgvit/psgvit.h>

#include <stdarg.h>

/* Writes a sentence into `text`. One that is too long for it loses its middle, since the names of
 * files stand in front and what is wrong with them at the end. */
void pv_sentence(char *text, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Writes code and sentence into err (NULL is allowed) and returns code. `message` must not be one
 * of its own arguments. */
psgvit_status pv_fail(psgvit_error *err, psgvit_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* PSGVIT_E_MEMORY: "out of memory: <what> needs <bytes> bytes". */
psgvit_status pv_fail_memory(psgvit_error *err, const char *what, size_t bytes);

/* "<file>: <what>: <the system's words for errno> (errno 2)". */
psgvit_status pv_fail_errno(psgvit_error *err, psgvit_status code, const char *file,
                            const char *what);

/* Marks err as success and returns PSGVIT_OK. Every public function begins or ends with it. */
psgvit_status pv_ok(psgvit_error *err);

/* Copies an options struct of the caller, whose first field is its struct_size, into `own` of
 * `own_size` bytes that is zeroed first. A NULL `params` is all defaults. A caller built against a
 * newer header may pass more bytes, if those are zero. `name` is what errors call the struct. */
psgvit_status pv_take_params(void *own, size_t own_size, const void *params, const char *name,
                             psgvit_error *err);

/* Returns the status of expr to the caller unless it is PSGVIT_OK. */
#define PV_TRY(expr)                                                                               \
    do {                                                                                           \
        psgvit_status pv_status_ = (expr);                                                         \
        if (pv_status_ != PSGVIT_OK)                                                               \
            return pv_status_;                                                                     \
    } while (0)

#endif
