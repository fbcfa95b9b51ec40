/* SPDX-License-Identifier: MIT */
/*
 * Safetensors files for tests, from the text of their headers. To be readable here, headers are
 * written with ' in place of ". Every file lies in a block of exactly its size, so that a sanitizer
 * sees the first byte read beyond it.
 */
#ifndef TESTS_SAFETENSORS_CASES_H
#define TESTS_SAFETENSORS_CASES_H

#include "weights/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ONE "{'dtype':'F32','shape':[1],'data_offsets':[0,4]}" /* a tensor of 4 bytes */

typedef struct blob {
    unsigned char *bytes;
    size_t size;
} blob;

static inline void put_length(unsigned char *to, uint64_t length)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(length >> 8 * i);
}

/* A file whose header is these bytes as they are, and `data` bytes 0, 1, 2 ... of data. */
static inline blob raw_file(const void *header, size_t size, size_t data)
{
    blob file = {malloc(8 + size + data), 8 + size + data};
    assert_non_null(file.bytes);
    put_length(file.bytes, size);
    memcpy(file.bytes + 8, header, size);
    for (size_t i = 0; i < data; i++)
        file.bytes[8 + size + i] = (unsigned char)i;
    return file;
}

/* The same with a header in this file's spelling. */
static inline blob make_file(const char *header, size_t data)
{
    blob file = raw_file(header, strlen(header), data);
    for (size_t i = 8; i < file.size - data; i++)
        if (file.bytes[i] == '\'')
            file.bytes[i] = '"';
    return file;
}

/* Opens the file from memory; the blob must outlive the handle. */
static inline psgvit_weights *open_blob(const blob *file)
{
    psgvit_error err;
    psgvit_weights *weights = NULL;
    if (psgvit_weights_open_memory(&weights, file->bytes, file->size, NULL, &err))
        fail_msg("refused: %s", err.message);
    assert_int_equal(err.code, PSGVIT_OK);
    assert_string_equal(err.message, "");
    return weights;
}

/* Must be refused as a bad model, by a sentence with these words; frees the file. */
static inline void refuse_blob(blob file, const char *words)
{
    psgvit_error err;
    psgvit_weights *weights = (psgvit_weights *)(uintptr_t)1;
    psgvit_status status = psgvit_weights_open_memory(&weights, file.bytes, file.size, NULL, &err);
    if (status != PSGVIT_E_MODEL)
        fail_msg("status %d, expected a refusal because \"%s\"", (int)status, words);
    assert_int_equal(err.code, status);
    assert_null(weights);
    if (!strstr(err.message, words) || !strstr(err.message, "memory: "))
        fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    free(file.bytes);
}

static inline void refuse(const char *header, size_t data, const char *words)
{
    refuse_blob(make_file(header, data), words);
}

/* Must be accepted with so many tensors. */
static inline void accept_blob(blob file, size_t tensors)
{
    psgvit_weights *weights = open_blob(&file);
    assert_int_equal(psgvit_weights_count(weights), tensors);
    psgvit_weights_close(&weights);
    assert_null(weights);
    free(file.bytes);
}

static inline void accept(const char *header, size_t data, size_t tensors)
{
    accept_blob(make_file(header, data), tensors);
}

#endif
