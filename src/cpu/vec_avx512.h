/* SPDX-License-Identifier: MIT */
/* The kernels' vector vocabulary in AVX-512: 16 floats. What the words mean is in vec_c.h. */
#ifndef PV_CPU_VEC_AVX512_H
#define PV_CPU_VEC_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define PV_INLINE    static inline __attribute__((always_inline))
#define PV_TILE_ROWS 14

/* 28 of the 32 registers hold the tile, two a row of b, one an element of a. */
enum { VEC = 16, TILE_ROWS = PV_TILE_ROWS, TILE_VECS = 2, TILE_DEPTH = 512 };

typedef __m512 vec;

PV_INLINE __mmask16 vec_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

PV_INLINE vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

PV_INLINE vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

PV_INLINE void vec_store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}

PV_INLINE vec vec_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vec_mask(n), p);
}

PV_INLINE void vec_store_n(float *p, vec v, size_t n)
{
    _mm512_mask_storeu_ps(p, vec_mask(n), v);
}

PV_INLINE vec vec_keep(vec v, size_t n, float rest)
{
    return _mm512_mask_blend_ps(vec_mask(n), _mm512_set1_ps(rest), v);
}

PV_INLINE vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

PV_INLINE vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

PV_INLINE vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

PV_INLINE vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

PV_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

PV_INLINE vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

PV_INLINE vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

PV_INLINE vec vec_abs(vec a)
{
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a);
}

PV_INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

PV_INLINE vec vec_square(vec a, vec *low)
{
    const vec high = _mm512_mul_ps(a, a);
    *low = _mm512_fmsub_ps(a, a, high);
    return high;
}

PV_INLINE vec vec_exponent(vec z)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(z), 23));
}

PV_INLINE float vec_sum(vec v)
{
    return _mm512_reduce_add_ps(v);
}

PV_INLINE float vec_highest(vec v)
{
    return _mm512_reduce_max_ps(v);
}

PV_INLINE void vec_transpose(vec r[VEC])
{
    vec t[VEC];
    for (int i = 0; i < 16; i += 4) { /* 4x4 blocks within each 128-bit lane */
        const vec a = _mm512_unpacklo_ps(r[i], r[i + 1]), b = _mm512_unpackhi_ps(r[i], r[i + 1]);
        const vec c = _mm512_unpacklo_ps(r[i + 2], r[i + 3]);
        const vec d = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm512_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
    }
    for (int i = 0; i < 4; i++) { /* t[4g + i] has columns i, i+4, i+8, i+12 of rows 4g..4g+3 */
        const vec a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x44);
        const vec b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xee);
        const vec c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x44);
        const vec d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xee);
        r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(a, c, 0xdd);
        r[i + 8] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

#endif
