/* SPDX-License-Identifier: MIT */
/* Read to the end, not by its size: a config may come through a pipe. */
#define _POSIX_C_SOURCE 200809L
#include "text_file.h"

#include "cli.h"
#include "interrupt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20 };

/* Waiting for a pipe may end by a signal, which is no fault of the file. */
static int fail(int fault, const char *path, const char *what, int error)
{
    return error == EINTR && interrupt_code()
               ? interrupt_error()
               : cli_error(fault, "%s: %s: %s", path, what, strerror(error));
}

int text_file_read_as(char **text, const char *path, const char *kind, int fault)
{
    *text = NULL;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return fail(fault, path, "can't be opened", errno);
    char *bytes = malloc(MOST + 1);
    size_t size = bytes ? fread(bytes, 1, MOST + 1, file) : 0;
    int error = ferror(file) ? errno : 0;
    fclose(file);
    int code = CLI_DONE;
    if (!bytes)
        code = cli_error(CLI_MEMORY, "%s: no memory to read it", path);
    else if (error)
        code = fail(fault, path, "can't be read", error);
    else if (size > MOST)
        code =
            cli_error(fault, "%s: expected %s of at most %d bytes, found more", path, kind, MOST);
    else if (memchr(bytes, '\0', size))
        code = cli_error(fault, "%s: expected %s, found a NUL byte", path, kind);
    if (code) {
        free(bytes);
        return code;
    }
    bytes[size] = '\0';
    *text = bytes;
    return CLI_DONE;
}

int text_file_read(char **text, const char *path)
{
    return text_file_read_as(text, path, "a config", CLI_MODEL);
}
