/* SPDX-License-Identifier: MIT */
/* Order, offsets and JSON of the header; the data is the caller's business. */
#define _POSIX_C_SOURCE 200809L
#include "safetensors_out.h"

#include "json_out.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, HEADER_ALIGN = 8, WIDEST_BITS = 64 };

static psgvit_status fail(psgvit_error *err, psgvit_status code, const char *message)
{
    if (err) {
        err->code = code;
        snprintf(err->message, sizeof err->message, "%s", message);
    }
    return code;
}

/* Falling element size, else as they came. */
static void order_tensors(safetensors_out *out, const psgvit_weights *table)
{
    size_t placed = 0;
    for (unsigned bits = WIDEST_BITS; bits > 0; bits--) {
        for (size_t i = 0; i < out->count; i++) {
            const psgvit_tensor *t = psgvit_weights_at(table, i);
            if (psgvit_dtype_bits(t->dtype) == bits)
                out->order[placed++] = t;
        }
    }
}

static void put_pair(FILE *json, const char *key, const char *value, bool *first)
{
    fputs(*first ? "" : ",", json);
    *first = false;
    json_put_string(json, key);
    fputc(':', json);
    json_put_string(json, value);
}

static void put_tensor(FILE *json, const psgvit_tensor *t, uint64_t begin, uint64_t end)
{
    fputc(',', json);
    json_put_string(json, t->name);
    fprintf(json, ":{\"dtype\":\"%s\",\"shape\":[", psgvit_dtype_name(t->dtype));
    for (size_t i = 0; i < t->rank; i++)
        fprintf(json, "%s%" PRIu64, i ? "," : "", t->shape[i]);
    fprintf(json, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, end);
}

/* False if the sizes of all tensors do not fit 64 bits. */
static bool put_header(FILE *json, safetensors_out *out, const psgvit_weights *table,
                       const safetensors_pair *pairs, size_t pair_count)
{
    bool first = true;
    fputs("{\"__metadata__\":{", json);
    for (size_t i = 0; i < psgvit_weights_metadata_count(table); i++)
        put_pair(json, psgvit_weights_metadata_key(table, i),
                 psgvit_weights_metadata_value(table, i), &first);
    for (size_t i = 0; i < pair_count; i++)
        put_pair(json, pairs[i].key, pairs[i].value, &first);
    fputc('}', json);
    for (size_t i = 0; i < out->count; i++) {
        uint64_t begin = out->data_size;
        if (__builtin_add_overflow(begin, out->order[i]->bytes, &out->data_size))
            return false;
        put_tensor(json, out->order[i], begin, out->data_size);
    }
    fputc('}', json);
    for (long at = ftell(json); at % HEADER_ALIGN != 0; at++)
        fputc(' ', json);
    return true;
}

static void put_length(char *header, uint64_t length)
{
    for (int i = 0; i < LENGTH_BYTES; i++)
        header[i] = (char)(unsigned char)(length >> (8 * i));
}

psgvit_status safetensors_out_open(safetensors_out *out, const psgvit_weights *table,
                                   const safetensors_pair *pairs, size_t pair_count,
                                   psgvit_error *err)
{
    static const char room[LENGTH_BYTES] = {0};
    *out = (safetensors_out){.count = psgvit_weights_count(table)};
    out->order = calloc(out->count + 1, sizeof *out->order);
    FILE *json = out->order ? open_memstream(&out->header, &out->header_size) : NULL;
    bool fits = true;
    bool written = json != NULL;
    if (json) {
        order_tensors(out, table);
        fwrite(room, 1, sizeof room, json);
        fits = put_header(json, out, table, pairs, pair_count);
        written = !ferror(json);
        written = fclose(json) == 0 && written;
    }
    if (!written || !fits) {
        safetensors_out_close(out);
        return fits ? fail(err, PSGVIT_E_MEMORY, "out of memory for a safetensors header")
                    : fail(err, PSGVIT_E_ARGUMENT, "the tensors together exceed 64-bit sizes");
    }
    put_length(out->header, out->header_size - LENGTH_BYTES);
    return PSGVIT_OK;
}

void safetensors_out_close(safetensors_out *out)
{
    free(out->order);
    free(out->header);
    *out = (safetensors_out){0};
}
