/* SPDX-License-Identifier: MIT */
/* Status names, error sentences, and the one place where options structs are taken over. */
#define _POSIX_C_SOURCE 200809L /* strerror_r */
#include "base/status.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STR_(x) #x
#define STR(x) STR_(x)

const char *psgvit_version(void)
{
    return STR(PSGVIT_VERSION_MAJOR) "." STR(PSGVIT_VERSION_MINOR) "." STR(PSGVIT_VERSION_PATCH);
}

const char *psgvit_status_name(psgvit_status status)
{
    switch (status) {
    case PSGVIT_OK: return "ok";
    case PSGVIT_E_ARGUMENT: return "argument error";
    case PSGVIT_E_INPUT: return "input error";
    case PSGVIT_E_MODEL: return "model error";
    case PSGVIT_E_DEVICE: return "device error";
    case PSGVIT_E_MEMORY: return "out of memory";
    case PSGVIT_E_CANCELLED: return "cancelled";
    }
    return "unknown status";
}

void pv_sentence(char *text, size_t size, const char *format, va_list args)
{
    static const char gap[] = " ... ";
    char whole[2 * 4096 + 1024]; /* two paths and the words about them */
    vsnprintf(whole, sizeof whole, format, args);
    const size_t length = strlen(whole), head = length < size ? length : size / 2 - strlen(gap);
    memcpy(text, whole, head);
    text[head] = '\0';
    if (head == length)
        return;
    const size_t rest = size - head - strlen(gap); /* with the NUL */
    memcpy(text + head, gap, strlen(gap));
    memcpy(text + size - rest, whole + length + 1 - rest, rest);
}

/* Names of files and labels of signals may be anything, and a cut leaves half a character. */
static void make_utf8(char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; (i += pv_utf8_check(text + i, size - i)) < size; i++)
        text[i] = '?';
}

psgvit_status pv_fail(psgvit_error *err, psgvit_status code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    pv_sentence(err->message, sizeof err->message, format, args);
    va_end(args);
    make_utf8(err->message);
    err->code = code;
    return code;
}

psgvit_status pv_fail_memory(psgvit_error *err, const char *what, size_t bytes)
{
    return pv_fail(err, PSGVIT_E_MEMORY, "out of memory: %s needs %zu bytes", what, bytes);
}

psgvit_status pv_fail_errno(psgvit_error *err, psgvit_status code, const char *file,
                            const char *what)
{
    int number = errno;
    char words[128] = "";
    (void)strerror_r(number, words, sizeof words); /* strerror's text may be another thread's */
    return pv_fail(err, code, "%s: %s: %s (errno %d)", file, what, words, number);
}

psgvit_status pv_ok(psgvit_error *err)
{
    if (err) {
        err->code = PSGVIT_OK;
        err->message[0] = '\0';
    }
    return PSGVIT_OK;
}

psgvit_status pv_take_params(void *own, size_t own_size, const void *params, const char *name,
                             psgvit_error *err)
{
    memset(own, 0, own_size);
    if (!params)
        return PSGVIT_OK;
    size_t size;
    memcpy(&size, params, sizeof size);
    if (size < sizeof size)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s.struct_size is %zu, expected %zu", name, size,
                       own_size);
    memcpy(own, params, size < own_size ? size : own_size);
    for (size_t i = own_size; i < size; i++)
        if (((const unsigned char *)params)[i])
            return pv_fail(err, PSGVIT_E_ARGUMENT,
                           "%s has %zu bytes, this library (%s) knows the first %zu: byte %zu is "
                           "set",
                           name, size, psgvit_version(), own_size, i);
    return PSGVIT_OK;
}
