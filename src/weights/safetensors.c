/* SPDX-License-Identifier: MIT */
/*
 * The handle behind psgvit/weights.h: opens a safetensors file or a block of memory, has its header
 * checked, answers questions about it, and hands out elements. It owns the table and the file.
 */
#include "weights/safetensors.h"

#include "base/checked.h"
#include "base/status.h"
#include "weights/file.h"
#include "weights/header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_BYTES = 8,          /* of the header's length, in front of it */
    HEADER_CAP = 100000000,    /* of the format */
    HEADER_DEFAULT = 16 << 20, /* OSF-xl has 40 KiB */
    CHUNK = 16384,             /* bytes read at once, on the stack; a multiple of 8 */
};

struct psgvit_weights {
    pv_table table;
    pv_file file;
    uint64_t data_at;    /* where the data begin in the file */
    uint64_t data_bytes; /* 0 for a table without data */
    bool has_data;
    char name[]; /* the path */
};

/* ---- dtypes ---------------------------------------------------------------------------------- */

static const struct {
    char name[12];
    unsigned bits;
} dtypes[] = {
    [PSGVIT_DTYPE_BOOL] = {"BOOL", 8},
    [PSGVIT_DTYPE_F4] = {"F4", 4},
    [PSGVIT_DTYPE_F6_E2M3] = {"F6_E2M3", 6},
    [PSGVIT_DTYPE_F6_E3M2] = {"F6_E3M2", 6},
    [PSGVIT_DTYPE_U8] = {"U8", 8},
    [PSGVIT_DTYPE_I8] = {"I8", 8},
    [PSGVIT_DTYPE_F8_E5M2] = {"F8_E5M2", 8},
    [PSGVIT_DTYPE_F8_E4M3] = {"F8_E4M3", 8},
    [PSGVIT_DTYPE_F8_E8M0] = {"F8_E8M0", 8},
    [PSGVIT_DTYPE_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [PSGVIT_DTYPE_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [PSGVIT_DTYPE_I16] = {"I16", 16},
    [PSGVIT_DTYPE_U16] = {"U16", 16},
    [PSGVIT_DTYPE_F16] = {"F16", 16},
    [PSGVIT_DTYPE_BF16] = {"BF16", 16},
    [PSGVIT_DTYPE_I32] = {"I32", 32},
    [PSGVIT_DTYPE_U32] = {"U32", 32},
    [PSGVIT_DTYPE_F32] = {"F32", 32},
    [PSGVIT_DTYPE_C64] = {"C64", 64},
    [PSGVIT_DTYPE_F64] = {"F64", 64},
    [PSGVIT_DTYPE_I64] = {"I64", 64},
    [PSGVIT_DTYPE_U64] = {"U64", 64},
};

static bool is_dtype(psgvit_dtype dtype)
{
    return (size_t)dtype < sizeof dtypes / sizeof *dtypes;
}

const char *psgvit_dtype_name(psgvit_dtype dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].name : "?";
}

unsigned psgvit_dtype_bits(psgvit_dtype dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].bits : 0;
}

/* ---- open and close -------------------------------------------------------------------------- */

static psgvit_status handle_new(psgvit_weights **weights, const char *name, psgvit_error *err)
{
    size_t length = strlen(name) + 1; /* no overflow: the string is in memory */
    psgvit_weights *w = calloc(1, sizeof *w + length);
    if (!w)
        return pv_fail_memory(err, "a model file's handle", sizeof *w + length);
    memcpy(w->name, name, length);
    w->file.fd = -1;
    *weights = w;
    return PSGVIT_OK;
}

/* Checks the header's length, *size, before any memory is asked for. */
static psgvit_status read_length(const pv_file *file, size_t cap, size_t *size, psgvit_error *err)
{
    unsigned char bytes[LENGTH_BYTES];
    uint64_t length = 0;
    if (file->size < LENGTH_BYTES)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: has %" PRIu64 " bytes, expected at least the %d of a header's length",
                       file->name, file->size, LENGTH_BYTES);
    PV_TRY(pv_file_read(file, 0, bytes, LENGTH_BYTES, err));
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > HEADER_CAP)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: its header has %" PRIu64 " bytes, the format allows %d: is it a "
                       "safetensors file?",
                       file->name, length, HEADER_CAP);
    if (length > file->size - LENGTH_BYTES)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: its header has %" PRIu64 " bytes, but only %" PRIu64 " follow",
                       file->name, length, file->size - LENGTH_BYTES);
    if (length > cap)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: its header has %" PRIu64 " bytes, expected at most %zu (max_header)",
                       file->name, length, cap);
    *size = (size_t)length;
    return PSGVIT_OK;
}

/* The header is parsed from a copy: a mapping may change under the parser. */
static psgvit_status load(psgvit_weights *w, size_t cap, psgvit_error *err)
{
    size_t size = 0;
    PV_TRY(read_length(&w->file, cap, &size, err));
    w->data_at = LENGTH_BYTES + (uint64_t)size;
    w->data_bytes = w->file.size - w->data_at;
    w->has_data = true;
    char *header = malloc(size ? size : 1);
    if (!header)
        return pv_fail_memory(err, "a model file's header", size);
    psgvit_status status = pv_file_read(&w->file, LENGTH_BYTES, header, size, err);
    if (!status)
        status = pv_header_parse(&w->table, header, size, w->data_bytes, w->name, err);
    free(header);
    if (!status)
        pv_file_map(&w->file);
    return status;
}

static psgvit_status take_params(psgvit_weights_params *own, const psgvit_weights_params *params,
                                 psgvit_error *err)
{
    PV_TRY(pv_take_params(own, sizeof *own, params, "params", err));
    if (own->flags & ~(unsigned)PSGVIT_READ)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "params.flags is %#x, expected 0 or PSGVIT_READ",
                       own->flags);
    if (own->max_header > HEADER_CAP)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "params.max_header is %zu, expected at most %d",
                       own->max_header, HEADER_CAP);
    if (own->max_header == 0)
        own->max_header = HEADER_DEFAULT;
    return PSGVIT_OK;
}

/* Hands the handle over, or frees it. */
static psgvit_status finish(psgvit_weights **weights, psgvit_weights *w, psgvit_status status,
                            psgvit_error *err)
{
    if (status) {
        psgvit_weights_close(&w);
        return status;
    }
    *weights = w;
    return pv_ok(err);
}

psgvit_status psgvit_weights_open(psgvit_weights **weights, const char *path,
                                  const psgvit_weights_params *params, psgvit_error *err)
{
    psgvit_weights_params own;
    psgvit_weights *w = NULL;
    if (weights)
        *weights = NULL;
    if (!weights || !path)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL",
                       weights ? "path" : "weights");
    PV_TRY(take_params(&own, params, err));
    PV_TRY(handle_new(&w, path, err));
    psgvit_status status = pv_file_open(&w->file, w->name, own.flags, err);
    if (!status)
        status = load(w, own.max_header, err);
    return finish(weights, w, status, err);
}

psgvit_status psgvit_weights_open_memory(psgvit_weights **weights, const void *data, size_t size,
                                         const psgvit_weights_params *params, psgvit_error *err)
{
    psgvit_weights_params own;
    psgvit_weights *w = NULL;
    if (weights)
        *weights = NULL;
    if (!weights || !data)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL",
                       weights ? "data" : "weights");
    PV_TRY(take_params(&own, params, err));
    PV_TRY(handle_new(&w, "memory", err));
    pv_file_borrow(&w->file, w->name, data, size);
    return finish(weights, w, load(w, own.max_header, err), err);
}

void psgvit_weights_close(psgvit_weights **weights)
{
    if (!weights || !*weights)
        return;
    pv_file_close(&(*weights)->file);
    pv_table_free(&(*weights)->table);
    free(*weights);
    *weights = NULL;
}

/* ---- a table without data -------------------------------------------------------------------- */

/* Copies a string to the end of the table's text. */
static const char *add_text(pv_table *table, size_t *used, const char *text)
{
    size_t length = strlen(text) + 1;
    char *to = memcpy(table->text + *used, text, length);
    *used += length;
    return to;
}

/* Fills in what a row says and what follows from it; false if its bytes are no 64-bit number. */
static bool fill_row(psgvit_tensor *tensor, const pv_table_row *row, uint64_t *dims,
                     uint64_t *offset)
{
    uint64_t elements = 1, bits, end;
    for (size_t i = 0; i < row->rank; i++) {
        dims[i] = row->shape[i];
        if (!pv_mul_u64(elements, dims[i], &elements))
            return false;
    }
    if (!pv_mul_u64(elements, psgvit_dtype_bits(row->dtype), &bits) ||
        !pv_add_u64(*offset, bits / 8, &end))
        return false;
    *tensor = (psgvit_tensor){.dtype = row->dtype,
                              .rank = row->rank,
                              .shape = dims,
                              .elements = elements,
                              .bytes = bits / 8,
                              .offset = *offset};
    *offset = end;
    return true;
}

static psgvit_status fill_table(pv_table *table, const pv_table_row *rows, const char *config,
                                psgvit_error *err)
{
    size_t dims = 0, text = 0;
    uint64_t offset = 0;
    for (size_t i = 0; i < table->size.tensors; i++) {
        if (!fill_row(&table->tensors[i], &rows[i], table->dims + dims, &offset))
            return pv_fail(err, PSGVIT_E_MODEL,
                           "tensor '%s': the bytes of its shape overflow 64 bits", rows[i].name);
        table->tensors[i].name = add_text(table, &text, rows[i].name);
        dims += rows[i].rank;
    }
    if (config)
        table->entries[0] = (pv_entry){.key = add_text(table, &text, "config"),
                                       .length = strlen("config"),
                                       .value = add_text(table, &text, config)};
    (void)pv_table_index(table); /* the maker of a table does not name a tensor twice */
    return PSGVIT_OK;
}

psgvit_status pv_weights_from_table(psgvit_weights **weights, const pv_table_row *rows,
                                    size_t count, const char *config, psgvit_error *err)
{
    pv_table_size size = {.tensors = count};
    psgvit_weights *w = NULL;
    *weights = NULL;
    for (size_t i = 0; i < count; i++) {
        size.dims += rows[i].rank;
        size.text += strlen(rows[i].name) + 1;
    }
    if (config) {
        size.entries = 1;
        size.text += sizeof "config" + strlen(config) + 1;
    }
    PV_TRY(handle_new(&w, "memory", err));
    psgvit_status status = pv_table_alloc(&w->table, &size, err);
    if (!status)
        status = fill_table(&w->table, rows, config, err);
    return finish(weights, w, status, err);
}

/* ---- questions ------------------------------------------------------------------------------- */

const char *pv_weights_name(const psgvit_weights *weights)
{
    return weights->name;
}

size_t psgvit_weights_count(const psgvit_weights *weights)
{
    return weights ? weights->table.size.tensors : 0;
}

const psgvit_tensor *psgvit_weights_at(const psgvit_weights *weights, size_t index)
{
    return index < psgvit_weights_count(weights) ? &weights->table.tensors[index] : NULL;
}

const psgvit_tensor *psgvit_weights_find(const psgvit_weights *weights, const char *name)
{
    return weights && name ? pv_table_find(&weights->table, name) : NULL;
}

size_t psgvit_weights_metadata_count(const psgvit_weights *weights)
{
    return weights ? weights->table.size.entries : 0;
}

const char *psgvit_weights_metadata_key(const psgvit_weights *weights, size_t index)
{
    return index < psgvit_weights_metadata_count(weights) ? weights->table.entries[index].key
                                                          : NULL;
}

const char *psgvit_weights_metadata_value(const psgvit_weights *weights, size_t index)
{
    return index < psgvit_weights_metadata_count(weights) ? weights->table.entries[index].value
                                                          : NULL;
}

const char *psgvit_weights_metadata(const psgvit_weights *weights, const char *key)
{
    const pv_entry *entry = weights && key ? pv_table_entry(&weights->table, key) : NULL;
    return entry ? entry->value : NULL;
}

/* ---- elements -------------------------------------------------------------------------------- */

/* Where elements [first, first + count) of `tensor` lie in the file. Trusts no field of the tensor:
 * it may be a copy, or of another file. */
static psgvit_status locate(const psgvit_weights *weights, const psgvit_tensor *tensor,
                            uint64_t first, uint64_t count, uint64_t *at, psgvit_error *err)
{
    uint64_t size = psgvit_dtype_bits(tensor->dtype) / 8, end, bytes, last;
    if (!weights->has_data)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "tensor '%s' is of a table without data",
                       tensor->name);
    if (!pv_add_u64(first, count, &end) || end > tensor->elements)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "%s: tensor '%s' has %" PRIu64 " elements, asked for %" PRIu64
                       " from number %" PRIu64,
                       weights->name, tensor->name, tensor->elements, count, first);
    if (!pv_mul_u64(end, size, &bytes) || !pv_add_u64(tensor->offset, bytes, &last) ||
        last > weights->data_bytes)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s: tensor '%s' is not of this file",
                       weights->name, tensor->name);
    *at = weights->data_at + tensor->offset + first * size;
    return PSGVIT_OK;
}

/* Without a mapping: piece by piece over the stack. */
static psgvit_status read_pieces(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                 uint64_t at, size_t count, float *values, size_t *bad,
                                 psgvit_error *err)
{
    unsigned char chunk[CHUNK];
    size_t size = psgvit_dtype_bits(tensor->dtype) / 8, most = CHUNK / size;
    *bad = count;
    for (size_t done = 0; done < count;) {
        size_t n = count - done < most ? count - done : most;
        PV_TRY(pv_file_read(&weights->file, at + (uint64_t)done * size, chunk, n * size, err));
        size_t k = pv_convert(tensor->dtype, chunk, n, values + done);
        if (k < n && *bad == count)
            *bad = done + k;
        done += n;
    }
    return PSGVIT_OK;
}

psgvit_status pv_weights_read_checked(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                      uint64_t first, size_t count, float *values, uint64_t *bad,
                                      psgvit_error *err)
{
    uint64_t at = 0;
    size_t index;
    *bad = UINT64_MAX;
    if (!pv_is_float(tensor->dtype))
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: tensor '%s' is %s, expected F32, F16, BF16 or F64", weights->name,
                       tensor->name, psgvit_dtype_name(tensor->dtype));
    PV_TRY(locate(weights, tensor, first, count, &at, err));
    if (weights->file.data)
        index = pv_convert(tensor->dtype, weights->file.data + at, count, values);
    else
        PV_TRY(read_pieces(weights, tensor, at, count, values, &index, err));
    if (index < count)
        *bad = first + index;
    return pv_ok(err);
}

psgvit_status psgvit_weights_read(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                  uint64_t first, size_t count, float *values, psgvit_error *err)
{
    uint64_t bad;
    if (!weights || !tensor || !values)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL",
                       !weights  ? "weights"
                       : !tensor ? "tensor"
                                 : "values");
    return pv_weights_read_checked(weights, tensor, first, count, values, &bad, err);
}

psgvit_status pv_weights_read_i64(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                  int64_t *values, psgvit_error *err)
{
    uint64_t at = 0;
    if (tensor->dtype != PSGVIT_DTYPE_I64)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: tensor '%s' is %s, expected I64", weights->name,
                       tensor->name, psgvit_dtype_name(tensor->dtype));
    PV_TRY(locate(weights, tensor, 0, tensor->elements, &at, err));
    return pv_file_read(&weights->file, at, values, (size_t)tensor->bytes, err);
}

void pv_weights_release(const psgvit_weights *weights, const psgvit_tensor *tensor)
{
    pv_file_release(&weights->file, weights->data_at + tensor->offset, (size_t)tensor->bytes);
}

psgvit_status pv_weights_unchanged(const psgvit_weights *weights, psgvit_error *err)
{
    return pv_file_unchanged(&weights->file, err);
}
