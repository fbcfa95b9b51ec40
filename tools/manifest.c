/* SPDX-License-Identifier: MIT */
/*
 * No sync: after a crash of the machine the outputs tell what is done, which is what --resume looks
 * at. A line that kill -9 cut short is not a JSON line; the next run begins the file anew.
 */
#define _GNU_SOURCE 1
#include "manifest.h"

#include "json_out.h"
#include "staged_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct manifest {
    char *path;
    int fd;
    size_t shard;
    int error; /* errno of the first line that could not be written */
};

static int no_memory(cli_failure *failure)
{
    return cli_fail(failure, CLI_MEMORY, "out of memory: the manifest");
}

static void put_input(FILE *out, const sample *input, size_t owner, const char *status)
{
    fputs("{\"id\": ", out);
    json_put_string(out, input->id);
    fputs(", \"input\": ", out);
    json_put_string(out, input->path);
    fprintf(out, ", \"shard\": %zu, \"status\": ", owner);
    json_put_string(out, status);
}

static int write_beginning(const manifest *m, const sample_list *list, const list_shard *own,
                           cli_failure *failure)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return no_memory(failure);
    for (size_t i = 0; i < list->count; i++) {
        size_t has = i % own->count;
        put_input(out, &list->samples[i], has, has == own->index ? "pending" : "elsewhere");
        fputs("}\n", out);
    }
    if (fclose(out) != 0) {
        free(text);
        return no_memory(failure);
    }
    staged_file file;
    int code = staged_file_open(&file, m->path, size, failure);
    if (!code)
        code = staged_file_write(&file, 0, text, size, failure);
    if (!code)
        code = staged_file_commit(&file, failure);
    free(text);
    return code;
}

int manifest_open(manifest **made, const char *folder, const sample_list *list,
                  const list_shard *own, cli_failure *failure)
{
    manifest *m = calloc(1, sizeof *m);
    if (!m)
        return no_memory(failure);
    m->shard = own->index;
    m->fd = -1;
    int code = CLI_DONE;
    if (asprintf(&m->path, "%s%smanifest-%zu-of-%zu.jsonl", folder, strcmp(folder, "/") ? "/" : "",
                 own->index, own->count) < 0) {
        m->path = NULL;
        code = no_memory(failure);
    }
    if (!code)
        code = write_beginning(m, list, own, failure);
    if (!code && (m->fd = open(m->path, O_WRONLY | O_APPEND | O_CLOEXEC)) < 0)
        code = cli_fail(failure, CLI_OUTPUT, "%s: can't be opened: %s", m->path, strerror(errno));
    *made = m;
    if (code) {
        cli_failure second;
        manifest_close(made, &second);
    }
    return code;
}

static int append(int fd, const char *text, size_t size)
{
    ssize_t n;
    do
        n = write(fd, text, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? errno : (size_t)n < size ? ENOSPC : 0;
}

void manifest_put(manifest *m, const sample *input, const manifest_entry *entry)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int error = ENOMEM;
    if (out) {
        put_input(out, input, m->shard, entry->status);
        fputs(", \"output\": ", out);
        json_put_string(out, entry->output);
        fprintf(out,
                ", \"epochs\": %zu, \"seconds\": %.3f, \"code\": %d, \"error\": ", entry->epochs,
                entry->seconds, entry->code);
        json_put_string(out, entry->error);
        fputs("}\n", out);
        error = fclose(out) == 0 ? append(m->fd, text, size) : ENOMEM;
    }
    free(text);
    if (!m->error)
        m->error = error;
}

int manifest_close(manifest **m, cli_failure *failure)
{
    if (!m || !*m)
        return CLI_DONE;
    int code = CLI_DONE;
    if ((*m)->error)
        code = cli_fail(failure, CLI_OUTPUT, "%s: a line can't be written: %s", (*m)->path,
                        strerror((*m)->error));
    if ((*m)->fd >= 0)
        close((*m)->fd);
    free((*m)->path);
    free(*m);
    *m = NULL;
    return code;
}
