/* SPDX-License-Identifier: MIT */
/* The exponential and GELU to about one unit of the last place: Vulkan allows its own exp an error
 * of 3 + 2 |x| units. The polynomials are those of src/cpu/kernels_body.h. */

/* e^x for -87 <= x <= 0; what is below counts as -87, where e^x is 1.6e-38. x = n ln 2 + r, and
 * ln 2 has a high part of 9 bits, so that n times it is exact with or without a fused fma. */
float exp_negative(float x)
{
    const float y = max(x, -87.0);
    const float n = roundEven(y * 1.44269504);
    precise float r = y - n * 0.693359375;
    r = fma(n, 2.12194440e-4, r);
    const float square = r * r;
    const float low = fma(0.166665206, r, 0.499999934);
    const float high = fma(0.00836872381, r, 0.0416683883);
    const float q = fma(fma(0.00138146137, square, high), square, low);
    precise const float e = fma(square, q, r) + 1.0;
    return e * uintBitsToFloat(uint(int(n) + 127) << 23);
}

/* a Phi(-a) for 3/4 <= a <= 13, Phi the normal distribution: e^(-a^2/2) times a polynomial. What
 * the rounding of a^2 loses is carried into the exponential: the 12 leading bits of a and the rest
 * have exact products. */
float gelu_tail(float a)
{
    const float top = uintBitsToFloat(floatBitsToUint(a) & 0xfffff000u);
    const float rest = a - top;
    precise const float square = a * a;
    precise const float lost = ((top * top - square) + 2.0 * top * rest) + rest * rest;
    const float e = exp_negative(-0.5 * square);
    const float t = (a - 4.0) / (a + 4.0);
    float p = 0.000770329182;
    p = fma(p, t, -0.000960383956);
    p = fma(p, t, -0.00546984446);
    p = fma(p, t, 0.0264381264);
    p = fma(p, t, -0.0630686413);
    p = fma(p, t, 0.100306732);
    p = fma(p, t, -0.110379301);
    p = fma(p, t, 0.0736942736);
    p = fma(p, t, 0.377642562);
    return fma(e, -0.5 * lost, e) * p;
}

/* GELU to 1.5e-7 |x| (Abramowitz and Stegun 7.1.26), for results that get 16 bits. */
float gelu_rough(float x)
{
    const float a = abs(x), t = 1.0 / fma(0.231641888, a, 1.0);
    float p = fma(1.061405429, t, -1.453152027);
    p = fma(p, t, 1.421413741);
    p = fma(p, t, -0.284496736);
    p = fma(p, t, 0.254829592) * t;
    return max(x, 0.0) - 0.5 * a * p * exp(-0.5 * x * x);
}

/* The exact GELU, x Phi(x). Beyond 13 the tail is below 1e-36. NaN stays NaN. */
float gelu(float x)
{
    const float a = abs(x);
    const float y = x * x;
    float p = 0.000102940573;
    p = fma(p, y, -0.00118128509);
    p = fma(p, y, 0.00997234899);
    p = fma(p, y, -0.066490295);
    p = fma(p, y, 0.398942279);
    const float inner = fma(x, 0.5, y * p);
    const float outer = 0.5 * (x + a) - gelu_tail(clamp(a, 0.75, 13.0));
    return a < 0.75 ? inner : outer;
}
