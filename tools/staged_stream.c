/* SPDX-License-Identifier: MIT */
/* glibc's and musl's fopencookie; a stream remembers why it failed, which stdio alone can't. */
#define _GNU_SOURCE 1
#include "staged_stream.h"

enum { BUFFER = 1 << 16 };

static ssize_t write_cookie(void *cookie, const char *bytes, size_t size)
{
    staged_stream *s = cookie;
    if (s->failure.code || staged_file_write(s->file, s->at, bytes, size, &s->failure))
        return 0; /* for stdio an error */
    s->at += size;
    return (ssize_t)size;
}

int staged_stream_open(staged_stream *s, staged_file *file, uint64_t at, cli_failure *failure)
{
    *s = (staged_stream){.file = file, .at = at};
    s->out = fopencookie(s, "w", (cookie_io_functions_t){.write = write_cookie});
    if (!s->out || setvbuf(s->out, NULL, _IOFBF, BUFFER) != 0) {
        staged_stream_abort(s);
        return cli_fail(failure, CLI_MEMORY, "%s: out of memory: %d bytes to write through",
                        file->target, BUFFER);
    }
    return CLI_DONE;
}

int staged_stream_check(const staged_stream *s, cli_failure *failure)
{
    if (s->failure.code)
        *failure = s->failure;
    return s->failure.code;
}

int staged_stream_finish(staged_stream *s, cli_failure *failure)
{
    bool failed = fflush(s->out) != 0 || ferror(s->out);
    staged_stream_abort(s);
    if (failed && !s->failure.code) /* memory that stdio wanted for itself */
        cli_fail(&s->failure, CLI_OUTPUT, "%s: can't be written", s->file->target);
    return staged_stream_check(s, failure);
}

void staged_stream_abort(staged_stream *s)
{
    if (s->out)
        fclose(s->out);
    s->out = NULL;
}
