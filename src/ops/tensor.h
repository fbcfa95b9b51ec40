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
    int form; /* 0; or what pv_operand made it: in the same memory, but not float32 */
    bool half; /* two columns of that form take a float */
} pv_tensor;

/* [rows, cols] without gaps from `offset` on. */
static inline pv_tensor pv_view(pv_buffer *buffer, size_t offset, size_t rows, size_t cols)
{
    return (pv_tensor){buffer, offset, rows, cols, cols, 0, false};
}

/* Columns [first, first + cols) of t; of a form, 8 | first. */
static inline pv_tensor pv_columns(pv_tensor t, size_t first, size_t cols)
{
    const size_t offset = t.offset + (t.half ? first / 2 : first);
    return (pv_tensor){t.buffer, offset, t.rows, cols, t.stride, t.form, t.half};
}

/* t, which is float32 without gaps, seen as [rows, cols] with the same number of elements. */
static inline pv_tensor pv_reshape(pv_tensor t, size_t rows, size_t cols)
{
    return (pv_tensor){t.buffer, t.offset, rows, cols, cols, 0, false};
}

#endif
