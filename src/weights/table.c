/* SPDX-License-Identifier: MIT */
/* The table's memory, order and look-up: O(n log n) to make, O(log n) to search. */
#include "weights/table.h"

#include "base/checked.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

psgvit_status pv_table_alloc(pv_table *table, const pv_table_size *size, psgvit_error *err)
{
    /* In the order of their alignment, the strictest first. */
    const size_t part[5][2] = {{size->dims, sizeof(uint64_t)},
                               {size->tensors, sizeof(psgvit_tensor)},
                               {size->tensors, sizeof(psgvit_tensor *)},
                               {size->entries, sizeof(pv_entry)},
                               {size->text, 1}};
    size_t at[5], total = 0;
    char *block = NULL;
    for (size_t i = 0; i < 5; i++) {
        size_t bytes;
        at[i] = total;
        if (!pv_mul(part[i][0], part[i][1], &bytes) || !pv_add(total, bytes, &total))
            return pv_fail_memory(err, "the table of tensors", SIZE_MAX);
    }
    block = malloc(total ? total : 1);
    if (!block)
        return pv_fail_memory(err, "the table of tensors", total);
    table->size = *size;
    table->dims = (uint64_t *)(void *)(block + at[0]);
    table->tensors = (psgvit_tensor *)(void *)(block + at[1]);
    table->by_name = (const psgvit_tensor **)(void *)(block + at[2]);
    table->entries = (pv_entry *)(void *)(block + at[3]);
    table->text = block + at[4];
    return PSGVIT_OK;
}

void pv_table_free(pv_table *table)
{
    free(table->dims);
    *table = (pv_table){0};
}

/* ---- order ----------------------------------------------------------------------------------- */

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Empty tensors stand before the one that begins where they do; their own order is that of names.
 */
static int by_offset(const void *a, const void *b)
{
    const psgvit_tensor *x = a, *y = b;
    int order = compare_u64(x->offset, y->offset);
    if (order == 0)
        order = compare_u64(x->bytes, y->bytes);
    return order ? order : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    const psgvit_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int compare_key(const pv_entry *x, const char *key, size_t length)
{
    int order = memcmp(x->key, key, x->length < length ? x->length : length);
    return order ? order : compare_u64(x->length, length);
}

/* Equal keys keep the order in which the file has them, that of their values in `text`. */
static int by_key(const void *a, const void *b)
{
    const pv_entry *x = a, *y = b;
    int order = compare_key(x, y->key, y->length);
    return order ? order : compare_u64((uintptr_t)x->value, (uintptr_t)y->value);
}

void pv_table_sort(pv_table *table)
{
    qsort(table->tensors, table->size.tensors, sizeof *table->tensors, by_offset);
}

static void index_metadata(pv_table *table)
{
    pv_entry *entries = table->entries;
    size_t kept = 0;
    qsort(entries, table->size.entries, sizeof *entries, by_key);
    for (size_t i = 0; i < table->size.entries; i++) {
        if (kept > 0 && compare_key(&entries[kept - 1], entries[i].key, entries[i].length) == 0)
            kept--;
        entries[kept++] = entries[i];
    }
    table->size.entries = kept;
}

const char *pv_table_index(pv_table *table)
{
    size_t count = table->size.tensors;
    for (size_t i = 0; i < count; i++)
        table->by_name[i] = &table->tensors[i];
    qsort(table->by_name, count, sizeof *table->by_name, by_name);
    index_metadata(table);
    for (size_t i = 1; i < count; i++)
        if (strcmp(table->by_name[i - 1]->name, table->by_name[i]->name) == 0)
            return table->by_name[i]->name;
    return NULL;
}

/* ---- look-up --------------------------------------------------------------------------------- */

const psgvit_tensor *pv_table_find(const pv_table *table, const char *name)
{
    size_t low = 0, high = table->size.tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(table->by_name[middle]->name, name);
        if (order == 0)
            return table->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const pv_entry *pv_table_entry(const pv_table *table, const char *key)
{
    size_t low = 0, high = table->size.entries, length = strlen(key);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_key(&table->entries[middle], key, length);
        if (order == 0)
            return &table->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
