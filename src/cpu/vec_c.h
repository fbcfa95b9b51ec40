/* SPDX-License-Identifier: MIT */
/*
 * The kernels' vector vocabulary in portable C: 4 floats, as the vector type that GCC and Clang
 * lower to whatever the target has (SSE2, NEON, or scalars). The other vec_*.h have the same words.
 */
#ifndef PV_CPU_VEC_C_H
#define PV_CPU_VEC_C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PV_INLINE    static inline __attribute__((always_inline))
#define PV_TILE_ROWS 4

/* Floats in a vec; rows and vecs a row of the matrix product's tile, and most of k for one. */
enum { VEC = 4, TILE_ROWS = PV_TILE_ROWS, TILE_VECS = 2, TILE_DEPTH = 256 };

typedef float vec __attribute__((vector_size(16)));
typedef int32_t vec_bits __attribute__((vector_size(16)));

PV_INLINE vec vec_set(float x)
{
    return (vec){x, x, x, x};
}

PV_INLINE vec vec_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

PV_INLINE void vec_store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

/* The first n floats (n < VEC), zeros above; reads no further. */
PV_INLINE vec vec_load_n(const float *p, size_t n)
{
    return (vec){n > 0 ? p[0] : 0.0f, n > 1 ? p[1] : 0.0f, n > 2 ? p[2] : 0.0f, 0.0f};
}

/* The first n floats (n < VEC); writes no further. */
PV_INLINE void vec_store_n(float *p, vec v, size_t n)
{
    if (n > 0)
        p[0] = v[0];
    if (n > 1)
        p[1] = v[1];
    if (n > 2)
        p[2] = v[2];
}

/* v with `rest` from lane n on (n < VEC), whatever was there. */
PV_INLINE vec vec_keep(vec v, size_t n, float rest)
{
    return (vec){n > 0 ? v[0] : rest, n > 1 ? v[1] : rest, n > 2 ? v[2] : rest, rest};
}

PV_INLINE vec vec_add(vec a, vec b)
{
    return a + b;
}

PV_INLINE vec vec_sub(vec a, vec b)
{
    return a - b;
}

PV_INLINE vec vec_mul(vec a, vec b)
{
    return a * b;
}

PV_INLINE vec vec_div(vec a, vec b)
{
    return a / b;
}

/* a * b + c, rounded once where the machine can, twice here. */
PV_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return a * b + c;
}

/* yes where a < b, no elsewhere (also where a or b is NaN). */
PV_INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    const vec_bits less = a < b;
    return (vec)((less & (vec_bits)yes) | (~less & (vec_bits)no));
}

/* The lesser and the greater; b where one of them is NaN. */
PV_INLINE vec vec_min(vec a, vec b)
{
    return vec_if_less(a, b, a, b);
}

PV_INLINE vec vec_max(vec a, vec b)
{
    return vec_if_less(b, a, a, b);
}

PV_INLINE vec vec_abs(vec a)
{
    return (vec)((vec_bits)a & INT32_MAX);
}

/* a * a rounded, and in `low` what the rounding lost, so that the sum of both is (nearly) exact. */
PV_INLINE vec vec_square(vec a, vec *low)
{
    const vec top = (vec)((vec_bits)a & -4096); /* 12 bits, whose square is exact */
    const vec square = top * top, rest = (a - top) * (a + top), high = square + rest;
    *low = rest - (high - square);
    return high;
}

/* Each lane's low bits moved to where a float has its exponent. */
PV_INLINE vec vec_exponent(vec z)
{
    typedef uint32_t bits __attribute__((vector_size(16)));
    return (vec)((bits)z << 23);
}

PV_INLINE float vec_sum(vec v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}

PV_INLINE float vec_highest(vec v)
{
    const float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];
    return a > b ? a : b;
}

/* r as the rows of a square matrix, turned into its columns. */
PV_INLINE void vec_transpose(vec r[VEC])
{
    const vec a = r[0], b = r[1], c = r[2], d = r[3];
    for (int i = 0; i < VEC; i++)
        r[i] = (vec){a[i], b[i], c[i], d[i]};
}

#endif
