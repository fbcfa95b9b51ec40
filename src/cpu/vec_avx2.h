/* SPDX-License-Identifier: MIT */
/* The kernels' vector vocabulary in AVX2 and FMA: 8 floats. What the words mean is in vec_c.h. */
#ifndef PV_CPU_VEC_AVX2_H
#define PV_CPU_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define PV_INLINE    static inline __attribute__((always_inline))
#define PV_TILE_ROWS 6

/* 12 of the 16 registers hold the tile, two a row of b, one an element of a. */
enum { VEC = 8, TILE_ROWS = PV_TILE_ROWS, TILE_VECS = 2, TILE_DEPTH = 256 };

typedef __m256 vec;

PV_INLINE __m256i vec_mask(size_t n)
{
    static const int32_t lanes[2 * VEC] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + VEC - n));
}

PV_INLINE vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}

PV_INLINE vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

PV_INLINE void vec_store(float *p, vec v)
{
    _mm256_storeu_ps(p, v);
}

PV_INLINE vec vec_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, vec_mask(n));
}

PV_INLINE void vec_store_n(float *p, vec v, size_t n)
{
    _mm256_maskstore_ps(p, vec_mask(n), v);
}

PV_INLINE vec vec_keep(vec v, size_t n, float rest)
{
    return _mm256_blendv_ps(_mm256_set1_ps(rest), v, _mm256_castsi256_ps(vec_mask(n)));
}

PV_INLINE vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

PV_INLINE vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

PV_INLINE vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

PV_INLINE vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

PV_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

PV_INLINE vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

PV_INLINE vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

PV_INLINE vec vec_abs(vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

PV_INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

PV_INLINE vec vec_square(vec a, vec *low)
{
    const vec high = _mm256_mul_ps(a, a);
    *low = _mm256_fmsub_ps(a, a, high);
    return high;
}

PV_INLINE vec vec_exponent(vec z)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(z), 23));
}

PV_INLINE float vec_sum(vec v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

PV_INLINE float vec_highest(vec v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

PV_INLINE void vec_transpose(vec r[VEC])
{
    vec t[VEC];
    for (int i = 0; i < 8; i += 4) {
        const vec a = _mm256_unpacklo_ps(r[i], r[i + 1]), b = _mm256_unpackhi_ps(r[i], r[i + 1]);
        const vec c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
        const vec d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm256_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

#endif
