/* SPDX-License-Identifier: MIT */
/* exp and GELU, in the vocabulary of a vec_*.h that was included before: one body for all
 * instruction sets. */
#ifndef PV_CPU_VEC_MATH_H
#define PV_CPU_VEC_MATH_H

/* e^(x scale) = 2^n e^r. z holds 1.5 * 2^23 + 191 + n, which rounds x scale / ln 2 to an integer
 * and leaves 2^(n+64) as its low bits, ready to become an exponent: n may go from -190 to 62
 * without a special case, and the last multiplication, by 2^-64, goes gradually into the
 * denormals. */
PV_INLINE vec exp_reduce(vec x, float scale, vec *z)
{
    const vec magic = vec_set(12582912.0f + 191.0f);
    *z = vec_fma(x, vec_set(scale * 1.44269504f), magic);
    const vec n = vec_sub(*z, magic);
    const vec high = vec_mul(n, vec_set(-0.693359375f)); /* exact: 9 bits of ln 2 */
    return vec_fma(n, vec_set(2.12194440e-4f), vec_fma(x, vec_set(scale), high));
}

/* Minimax on [-ln 2 / 2, ln 2 / 2] (Remez, coefficients rounded to float): 1 + r + r^2 q(r),
 * relative error of the polynomial 3.1e-9. q goes by halves: the chain of dependent operations is
 * what bounds the speed (Zen 3: 9.8 cycles a vector, 13.8 by Horner's rule). Measured against
 * double on [-104, 0], every 37th float: at most 0.99 units of the last place. */
PV_INLINE vec exp_finish(vec r, vec z)
{
    const vec square = vec_mul(r, r);
    const vec low = vec_fma(vec_set(0.166665206f), r, vec_set(0.499999934f));
    const vec high = vec_fma(vec_set(0.00836872381f), r, vec_set(0.0416683883f));
    const vec q = vec_fma(vec_fma(vec_set(0.00138146137f), square, high), square, low);
    const vec e = vec_add(vec_fma(square, q, r), vec_set(1.0f));
    return vec_mul(vec_mul(e, vec_exponent(z)), vec_set(0x1p-64f));
}

/* a Phi(-a) for 3/4 <= a <= 16, Phi the normal distribution: e^(-a^2/2) times what varies only from
 * 0.22 to 0.40, a polynomial in t = (a - 4) / (a + 4), minimax (Remez) on [3/4, 14.6]: 9.0e-9. What
 * the rounding of a^2 loses is carried into the exponential. */
PV_INLINE vec gelu_tail(vec a)
{
    vec low, z;
    const vec high = vec_square(a, &low);
    const vec r = exp_reduce(high, -0.5f, &z);
    const vec e = exp_finish(vec_fma(low, vec_set(-0.5f), r), z);
    const vec t = vec_div(vec_sub(a, vec_set(4.0f)), vec_add(a, vec_set(4.0f)));
    vec p = vec_set(0.000770329182f);
    p = vec_fma(p, t, vec_set(-0.000960383956f));
    p = vec_fma(p, t, vec_set(-0.00546984446f));
    p = vec_fma(p, t, vec_set(0.0264381264f));
    p = vec_fma(p, t, vec_set(-0.0630686413f));
    p = vec_fma(p, t, vec_set(0.100306732f));
    p = vec_fma(p, t, vec_set(-0.110379301f));
    p = vec_fma(p, t, vec_set(0.0736942736f));
    p = vec_fma(p, t, vec_set(0.377642562f));
    return vec_mul(e, p);
}

/* GELU, x Phi(x). For |x| < 3/4 it is x/2 + x^2 p(x^2), p minimax (Remez): 2.4e-9; beyond,
 * max(x, 0) - |x| Phi(-|x|), which cancels nowhere. As in PyTorch -inf gives NaN. Measured in
 * AVX2 against double at every float of 0.01 <= |x| <= 20: at most 1.42 units of the last place for
 * x > -1/2 and 3.74 below, on average 0.25 and 0.5 to 0.7; for |x| < 2 at most 1e-7. */
PV_INLINE vec gelu_of(vec x)
{
    const vec a = vec_abs(x), half = vec_set(0.5f);
    const vec positive = vec_fma(x, half, vec_mul(a, half));
    const vec outer = vec_sub(positive, gelu_tail(vec_min(vec_set(16.0f), a)));
    const vec y = vec_mul(x, x);
    vec p = vec_set(0.000102940573f);
    p = vec_fma(p, y, vec_set(-0.00118128509f));
    p = vec_fma(p, y, vec_set(0.00997234899f));
    p = vec_fma(p, y, vec_set(-0.066490295f));
    p = vec_fma(p, y, vec_set(0.398942279f));
    const vec inner = vec_fma(x, half, vec_mul(y, p));
    return vec_if_less(a, vec_set(0.75f), inner, outer);
}

#endif
