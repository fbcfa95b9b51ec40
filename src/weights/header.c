/* SPDX-License-Identifier: MIT */
/*
 * Reads the header of a safetensors file. The same pass runs twice: the first time it checks and
 * counts, the second time it fills a table that has exactly the room it needs, so that memory is
 * asked for only once the header is known to be well formed. Then the tensors are sorted, and their
 * names, sizes and places are checked. The reference is safetensors/src/tensor.rs; what is refused
 * beyond it: a name that occurs twice, is empty or has a NUL in it, nesting over PV_CURSOR_DEPTH,
 * and a tensor or a dtype in the odd forms that serde understands.
 */
#include "weights/header.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"
#include "weights/cursor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct parser {
    pv_cursor json;
    const char *start; /* of the header */
    const char *file;
    psgvit_error *err;
    psgvit_status status; /* of the first rule that is broken but not one of JSON itself */
    pv_table *table;      /* NULL while counting */
    pv_table_size used;
    bool has_metadata;
    const char *key; /* of the entry being read, as in the file; NULL outside */
    size_t key_length;
} parser;

/* A name cut and cleaned for a message. */
typedef struct label {
    char text[104];
} label;

static label label_of(const char *name, size_t length)
{
    label to;
    size_t room = sizeof to.text - sizeof "...";
    size_t n = length < room ? length : room;
    if (n < length)
        while ((name[n] & 0xC0) == 0x80) /* not in the middle of a character */
            n--;
    for (size_t i = 0; i < n; i++)
        to.text[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7F ? '?' : name[i];
    memcpy(to.text + n, n < length ? "..." : "", n < length ? sizeof "..." : 1);
    return to;
}

/* Ends the pass: a rule of the format is broken that JSON knows nothing of. `format` continues
 * "FILE: tensor 'NAME' ". Returns false. */
#define refuse(p, format, ...)                                                                     \
    stop((p), pv_fail((p)->err, PSGVIT_E_MODEL, "%s: tensor '%s' " format, (p)->file,            \
                      label_of((p)->key, (p)->key_length).text, __VA_ARGS__))

static bool stop(parser *p, psgvit_status status)
{
    p->status = status;
    return pv_cursor_fail(&p->json, "");
}

/* ---- the three fields of a tensor ------------------------------------------------------------ */

static bool read_dtype(parser *p, psgvit_tensor *tensor)
{
    char name[16]; /* the longest has 11 */
    size_t length;
    (void)pv_cursor_peek(&p->json);
    const char *begin = p->json.at;
    if (!pv_cursor_string(&p->json, name, sizeof name, &length))
        return false;
    for (int i = 0; i <= PSGVIT_DTYPE_U64; i++) {
        const char *known = psgvit_dtype_name((psgvit_dtype)i);
        if (strlen(known) == length && memcmp(known, name, length) == 0) {
            tensor->dtype = (psgvit_dtype)i;
            return true;
        }
    }
    return refuse(p, "has the dtype %s, expected one of the 22 from BOOL to U64",
                  label_of(begin, (size_t)(p->json.at - begin)).text);
}

static bool read_shape(parser *p, psgvit_tensor *tensor)
{
    uint64_t dim;
    if (!pv_cursor_open(&p->json, '[', "'[', a shape"))
        return false;
    tensor->shape = p->table ? p->table->dims + p->used.dims : NULL;
    while (pv_cursor_more(&p->json, ']')) {
        if (!pv_cursor_u64(&p->json, &dim))
            return false;
        if (p->table)
            p->table->dims[p->used.dims] = dim;
        p->used.dims++;
        tensor->rank++;
    }
    return !p->json.expected;
}

/* Leaves the end in `bytes`: what it means is checked once the tensors are sorted. */
static bool read_offsets(parser *p, psgvit_tensor *tensor)
{
    uint64_t offset[2] = {0, 0};
    size_t count = 0;
    if (!pv_cursor_open(&p->json, '[', "'[', two data_offsets"))
        return false;
    while (pv_cursor_more(&p->json, ']')) {
        if (count == 2)
            return refuse(p, "has more than %d data_offsets", 2);
        if (!pv_cursor_u64(&p->json, &offset[count++]))
            return false;
    }
    if (p->json.expected)
        return false;
    if (count < 2)
        return refuse(p, "has %zu data_offsets, expected 2", count);
    tensor->offset = offset[0];
    tensor->bytes = offset[1];
    return true;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Takes over the string at `begin`, of `length` bytes once its escapes are resolved; NULL while
 * counting. */
static const char *keep(parser *p, const char *begin, size_t length)
{
    char *text = NULL;
    if (p->table) {
        pv_cursor again = p->json;
        again.at = begin;
        text = p->table->text + p->used.text;
        (void)pv_cursor_string(&again, text, length, &length);
        text[length] = '\0';
    }
    p->used.text += length + 1; /* no overflow: the quotes in the header are longer than the NUL */
    return text;
}

/* Reads a string and keeps it. */
static const char *read_text(parser *p, size_t *length)
{
    (void)pv_cursor_peek(&p->json);
    const char *begin = p->json.at;
    return pv_cursor_string(&p->json, NULL, 0, length) ? keep(p, begin, *length) : NULL;
}

static const struct {
    const char *key;
    bool (*read)(parser *, psgvit_tensor *);
} fields[3] = {{"dtype", read_dtype}, {"shape", read_shape}, {"data_offsets", read_offsets}};

/* One key of a tensor's object and its value: a field, once, or anything, which is ignored. */
static bool read_field(parser *p, psgvit_tensor *tensor, unsigned *seen)
{
    char key[16]; /* the longest has 12 */
    size_t length;
    if (!pv_cursor_string(&p->json, key, sizeof key, &length) || !pv_cursor_colon(&p->json))
        return false;
    for (unsigned i = 0; i < 3; i++) {
        if (strlen(fields[i].key) != length || memcmp(fields[i].key, key, length) != 0)
            continue;
        if (*seen & 1u << i)
            return refuse(p, "has %s twice", fields[i].key);
        *seen |= 1u << i;
        return fields[i].read(p, tensor);
    }
    return pv_cursor_skip(&p->json);
}

static bool read_tensor(parser *p, const char *name, size_t length)
{
    psgvit_tensor tensor = {.name = name};
    unsigned seen = 0;
    if (length == 0)
        return refuse(p, "at header byte %zu has an empty name", (size_t)(p->key - p->start));
    if (name && memchr(name, '\0', length))
        return refuse(p, "has a %s in its name", "NUL");
    if (!pv_cursor_open(&p->json, '{', "'{', a tensor"))
        return false;
    while (pv_cursor_more(&p->json, '}'))
        if (!read_field(p, &tensor, &seen))
            return false;
    if (p->json.expected)
        return false;
    for (unsigned i = 0; i < 3; i++)
        if (!(seen & 1u << i))
            return refuse(p, "has no %s", fields[i].key);
    if (p->table)
        p->table->tensors[p->used.tensors] = tensor;
    p->used.tensors++;
    return true;
}

/* Strings by strings, or null, which is as good as none. */
static bool read_metadata(parser *p)
{
    if (p->has_metadata)
        return stop(
            p, pv_fail(p->err, PSGVIT_E_MODEL, "%s: the header has __metadata__ twice", p->file));
    p->has_metadata = true;
    if (pv_cursor_peek(&p->json) == 'n')
        return pv_cursor_word(&p->json, "null");
    if (!pv_cursor_open(&p->json, '{', "'{', the metadata"))
        return false;
    while (pv_cursor_more(&p->json, '}')) {
        pv_entry entry;
        size_t length;
        entry.key = read_text(p, &entry.length);
        (void)pv_cursor_colon(&p->json);
        entry.value = read_text(p, &length);
        if (p->table)
            p->table->entries[p->used.entries] = entry;
        p->used.entries++;
    }
    return !p->json.expected;
}

/* One key of the header and its value. */
static bool read_entry(parser *p)
{
    static const char metadata[] = "__metadata__";
    char key[sizeof metadata];
    size_t length;
    (void)pv_cursor_peek(&p->json);
    const char *begin = p->json.at;
    if (!pv_cursor_string(&p->json, key, sizeof key, &length))
        return false;
    p->key = begin + 1;
    p->key_length = (size_t)(p->json.at - begin) - 2;
    if (!pv_cursor_colon(&p->json))
        return false;
    if (length == sizeof metadata - 1 && memcmp(key, metadata, length) == 0)
        return read_metadata(p);
    return read_tensor(p, keep(p, begin, length), length);
}

/* ---- the whole header ------------------------------------------------------------------------ */

static psgvit_status not_json(const parser *p)
{
    const pv_cursor *json = &p->json;
    char found[16] = "the end", where[128] = "";
    if (json->at < json->end) {
        unsigned byte = (unsigned char)*json->at;
        bool visible = byte > 0x20 && byte < 0x7F;
        snprintf(found, sizeof found, visible ? "'%c'" : "byte 0x%02X", byte);
    }
    if (p->key)
        snprintf(where, sizeof where, ", '%s'", label_of(p->key, p->key_length).text);
    return pv_fail(p->err, PSGVIT_E_MODEL, "%s: header byte %zu%s: expected %s, found %s", p->file,
                   (size_t)(json->at - p->start), where, json->expected, found);
}

static psgvit_status pass(parser *p, const char *text, size_t size)
{
    p->start = text;
    pv_cursor_start(&p->json, text, size);
    if (pv_cursor_open(&p->json, '{', "'{'"))
        while (pv_cursor_more(&p->json, '}')) {
            if (!read_entry(p))
                break;
            p->key = NULL;
        }
    if (pv_cursor_finish(&p->json))
        return PSGVIT_OK;
    return p->status ? p->status : not_json(p);
}

/* Finds the number of elements and of bytes (`bytes` holds the end so far), and checks that they go
 * with each other and that the tensor begins at `begin`. */
static psgvit_status check_tensor(psgvit_tensor *tensor, uint64_t begin, const char *file,
                                  psgvit_error *err)
{
    const label shown = label_of(tensor->name, strlen(tensor->name));
    const char *name = shown.text, *dtype = psgvit_dtype_name(tensor->dtype);
    uint64_t end = tensor->bytes, bits;
    if (tensor->offset != begin)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: tensor '%s' begins at byte %" PRIu64 " of the data, expected %" PRIu64
                       ", where the one before it ends: there is %s",
                       file, name, tensor->offset, begin,
                       tensor->offset < begin ? "an overlap" : "a hole");
    if (end < begin)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: tensor '%s' ends at byte %" PRIu64
                       " of the data, expected at least %" PRIu64 ", where it begins",
                       file, name, end, begin);
    tensor->bytes = end - begin;
    tensor->elements = 1;
    for (size_t i = 0; i < tensor->rank; i++)
        if (!pv_mul_u64(tensor->elements, tensor->shape[i], &tensor->elements))
            return pv_fail(
                err, PSGVIT_E_MODEL,
                "%s: tensor '%s' has a shape whose product exceeds 64 bits at dimension "
                "%zu, %" PRIu64,
                file, name, i, tensor->shape[i]);
    if (!pv_mul_u64(tensor->elements, psgvit_dtype_bits(tensor->dtype), &bits))
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: tensor '%s' has %" PRIu64
                       " elements of %s, whose bits exceed 64 bits",
                       file, name, tensor->elements, dtype);
    if (bits % 8 != 0)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: tensor '%s' has %" PRIu64 " elements of %s, expected whole bytes",
                       file, name, tensor->elements, dtype);
    if (bits / 8 != tensor->bytes)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: tensor '%s' has %" PRIu64 " bytes, expected %" PRIu64 " for %" PRIu64
                       " elements of %s",
                       file, name, tensor->bytes, bits / 8, tensor->elements, dtype);
    return PSGVIT_OK;
}

/* The tensors lie end to end, in the order of their offsets, and fill the data. */
static psgvit_status check_layout(pv_table *table, uint64_t data_bytes, const char *file,
                                  psgvit_error *err)
{
    uint64_t end = 0;
    for (size_t i = 0; i < table->size.tensors; i++) {
        uint64_t next = table->tensors[i].bytes;
        PV_TRY(check_tensor(&table->tensors[i], end, file, err));
        end = next;
    }
    if (end != data_bytes)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: the tensors end at byte %" PRIu64 " of the data, expected %" PRIu64
                       ", the end of the file",
                       file, end, data_bytes);
    return PSGVIT_OK;
}

psgvit_status pv_header_parse(pv_table *table, const char *text, size_t size, uint64_t data_bytes,
                              const char *file, psgvit_error *err)
{
    parser counter = {.file = file, .err = err},
           filler = {.file = file, .err = err, .table = table};
    size_t bad = pv_utf8_check(text, size);
    if (bad < size)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: header byte %zu: expected UTF-8, found byte 0x%02X", file, bad,
                       (unsigned)(unsigned char)text[bad]);
    PV_TRY(pass(&counter, text, size));
    PV_TRY(pv_table_alloc(table, &counter.used, err));
    PV_TRY(pass(&filler, text, size));
    pv_table_sort(table);
    const char *twice = pv_table_index(table);
    if (twice)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: tensor '%s' occurs twice, expected each name once", file,
                       label_of(twice, strlen(twice)).text);
    return check_layout(table, data_bytes, file, err);
}
