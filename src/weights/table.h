/* SPDX-License-Identifier: MIT */
/*
 * The table of a file: its tensors in the order of their data, the same by name, its metadata by
 * key. All of it lies in one block of memory whose exact size is counted beforehand.
 */
#ifndef PV_WEIGHTS_TABLE_H
#define PV_WEIGHTS_TABLE_H

#include <psgvit/weights.h>

/* One string of `__metadata__`. The length counts bytes behind an escaped NUL too. */
typedef struct pv_entry {
    const char *key;
    size_t length;
    const char *value;
} pv_entry;

typedef struct pv_table_size {
    size_t tensors;
    size_t dims;    /* of all shapes together */
    size_t entries; /* of the metadata */
    size_t text;    /* bytes of all strings, each with its NUL */
} pv_table_size;

typedef struct pv_table {
    pv_table_size size;
    psgvit_tensor *tensors;        /* [size.tensors] by offset */
    const psgvit_tensor **by_name; /* [size.tensors] */
    pv_entry *entries;             /* [size.entries] by key */
    uint64_t *dims;                /* [size.dims]; the block of memory begins here */
    char *text;                    /* [size.text] */
} pv_table;

/* Room for a table of this size, its content unspecified. Free with pv_table_free. */
psgvit_status pv_table_alloc(pv_table *table, const pv_table_size *size, psgvit_error *err);
void pv_table_free(pv_table *table);

/* Puts the tensors in the order of their data. */
void pv_table_sort(pv_table *table);
/* Makes by_name, and orders the metadata: of equal keys the last one stays. Returns a name that two
 * tensors have, or NULL. */
const char *pv_table_index(pv_table *table);
const psgvit_tensor *pv_table_find(const pv_table *table, const char *name);
const pv_entry *pv_table_entry(const pv_table *table, const char *key);

#endif
