/* SPDX-License-Identifier: MIT */
/* The numbers are hard for text: extremes, denormals, what needs nine digits. */
#define _GNU_SOURCE 1
#include "writer_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char folder[64];
float patches[EPOCHS * PATCHES * WIDTH];

const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

size_t files_in_folder(void)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(dir);
    return count;
}

char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    *size = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    return text;
}

const float cls[EPOCHS * WIDTH] = {
    0.1f,           -1.5f,       3.4028234e38f,
    1.1754944e-38f, 1e-45f,      -0.0f,
    16777216.0f,    0.33333334f, 1e9f,
    2e-5f,          7,           8,
    1.0f / 7,       5,           6,
};

const writer_content both = {
    .tensors = {{.name = "cls", .rank = 2, .shape = {EPOCHS, WIDTH}},
                {.name = "patches", .rank = 3, .shape = {EPOCHS, PATCHES, WIDTH}}},
    .tensor_count = 2,
    .entries = {{"model", "a \"b\"\\\n.st"}, {"model_sha256", NULL}, {"inputs", "[\"\xff\"]"}},
    .entry_count = 3,
};

writer_content only(size_t tensor)
{
    writer_content content = both;
    content.tensors[0] = both.tensors[tensor];
    content.tensor_count = 1;
    return content;
}

/* All epochs in parts of two. */
int put_all(writer *w, const float *first, const float *second, cli_failure *failure)
{
    int code = CLI_DONE;
    for (size_t e = 0; e < EPOCHS && !code; e += 2) {
        const float *parts[WRITER_TENSORS] = {first + e * WIDTH};
        if (second)
            parts[1] = second + e * PATCHES * WIDTH;
        code = writer_put(w, e, EPOCHS - e < 2 ? 1 : 2, parts, NULL, failure);
    }
    return code;
}

int finish(writer **w, const char *late, cli_failure *failure)
{
    int code = writer_finish(*w, late, failure);
    return code ? code : writer_commit(w, failure);
}

int write_both(const char *path, writer_format format, const char *late, cli_failure *failure)
{
    writer *w = NULL;
    int code = writer_open(&w, path, format, &both, failure);
    if (!code)
        code = put_all(w, cls, patches, failure);
    if (!code)
        code = finish(&w, late, failure);
    writer_abort(&w);
    return code;
}

void write_cls(const char *path, writer_format format)
{
    cli_failure failure;
    writer *w = NULL;
    writer_content content = only(0);
    assert_int_equal(writer_open(&w, path, format, &content, &failure), CLI_DONE);
    assert_int_equal(put_all(w, cls, NULL, &failure), CLI_DONE);
    assert_int_equal(finish(&w, "", &failure), CLI_DONE);
    assert_null(w);
}

void check_tensor(psgvit_weights *weights, const char *name, const float *expected, size_t count)
{
    float values[EPOCHS * PATCHES * WIDTH];
    const psgvit_tensor *t = psgvit_weights_find(weights, name);
    assert_non_null(t);
    assert_int_equal(t->elements, count);
    assert_int_equal(psgvit_weights_read(weights, t, 0, count, values, NULL), PSGVIT_OK);
    assert_memory_equal(values, expected, count * sizeof(float));
}

int set_up_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < EPOCHS * PATCHES * WIDTH; i++)
        patches[i] = (float)i / 3.0f;
    strcpy(folder, "/tmp/psgvit-writer-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

int tear_down_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if anything is left */
}
