/* SPDX-License-Identifier: MIT */
/* Views of device memory. Nothing more than a matrix: both models need no other shape. */
#ifndef PV_OPS_TENSOR_H
#define PV_OPS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>

/* Memory of a device. Each backend has more behind it. */
typedef struct pv_buffer {
    size_t floats;
    float *host; /* where the CPU reads and writes it; NULL if it can't (see PV_HOST) */
} pv_buffer;

/* Rows of float32: element (r, c) is at buffer[offset + r * stride + c]. A buffer of NULL is 'none'
 * where an op says that it may be. */
typedef struct pv_tensor {
    pv_buffer *buffer;
    size_t offset, rows, cols, stride;
    int form;   /* 0; or what pv_operand or its like made it: in that memory, not float32 */
    bool half;  /* two numbers of that form take a float */
    bool tiled; /* they lie in tiles of PV_FORM_TILE rows and columns, one below the other; the
                   stride is from a column of tiles to the next */
    bool stream; /* of that form, but pv_stream made it: more ops read and write it */
} pv_tensor;

enum {
    PV_FORM_TILE = 16,
    PV_FORM_GAP = 16 /* floats that may come behind each row of an operand */
};

/* [rows, cols] without gaps from `offset` on. */
static inline pv_tensor pv_view(pv_buffer *buffer, size_t offset, size_t rows, size_t cols)
{
    return (pv_tensor){buffer, offset, rows, cols, cols, 0, false, false, false};
}

/* The floats that so many numbers of t take. */
static inline size_t pv_floats_of(pv_tensor t, size_t numbers)
{
    return t.half ? (numbers + 1) / 2 : numbers;
}

static inline size_t pv_whole_tiles(size_t length)
{
    return (length + PV_FORM_TILE - 1) / PV_FORM_TILE * PV_FORM_TILE;
}

/* The floats of so many rows, whole tiles, in a column of tiles. */
static inline size_t pv_tiles_floats(pv_tensor t, size_t rows)
{
    return pv_floats_of(t, pv_whole_tiles(rows) * PV_FORM_TILE);
}

/* Where t lies, as rows of float32: its own, or its columns of tiles. */
static inline pv_tensor pv_memory_of(pv_tensor t)
{
    const size_t rows = t.tiled ? pv_whole_tiles(t.cols) / PV_FORM_TILE : t.rows;
    const size_t cols = t.tiled ? pv_tiles_floats(t, t.rows) : pv_floats_of(t, t.cols);
    return (pv_tensor){t.buffer, t.offset, rows, cols, t.stride, 0, false, false, false};
}

/* Columns [first, first + cols) of t; of tiles, whole ones. */
static inline pv_tensor pv_columns(pv_tensor t, size_t first, size_t cols)
{
    t.offset += t.tiled ? first / PV_FORM_TILE * t.stride : pv_floats_of(t, first);
    t.cols = cols;
    return t;
}

/* Rows [first, first + rows) of t; of tiles, whole ones. */
static inline pv_tensor pv_rows_of(pv_tensor t, size_t first, size_t rows)
{
    t.offset += t.tiled ? pv_tiles_floats(t, first) : first * t.stride;
    t.rows = rows;
    return t;
}

/* t, which is float32 without gaps, seen as [rows, cols] with the same number of elements. */
static inline pv_tensor pv_reshape(pv_tensor t, size_t rows, size_t cols)
{
    return pv_view(t.buffer, t.offset, rows, cols);
}

#endif
