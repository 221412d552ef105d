/* The functions of pln_map, as formulas for one number.  They define the bits: map_ref.c calls them one by one, and
 * map_simd.c in loops that the compiler turns into vectors.  To make both agree on every processor, they
 *   - use only IEEE + - * /, fmaf, comparisons, integer operations and conversions (each correctly rounded or exact);
 *   - have no branches: both sides are computed and one is chosen;
 *   - give the canonical quiet NaN (0x7fc00000) for every NaN, whose payload would depend on the order of operands.
 *
 * They are meant for the engine's floating-point state (base/fpu.h), where denormals count as zero.  In any other
 * state a denormal argument or result may come out as one.
 *
 * The polynomials are minimax fits (Lawson's iteration on Chebyshev points), their coefficients rounded to float one
 * by one with the others fitted again.  "Rest" is the largest distance to the function in exact arithmetic, relative
 * to the result.  "Worst" is the largest error met over every eleventh of the 2^32 floats, against the C library in
 * double, in ulp: units in the last place of the true value.  A rounding costs half a unit of what is rounded; where
 * the formula rounds something smaller than the result, or in a lower binade, that is less of the result's.  What is
 * promised is 2; tests/kernels/test_map.c holds each function to its own bound on a sample. */
#ifndef KERNELS_MAP_FORMULAS_H
#define KERNELS_MAP_FORMULAS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define FORMULA static inline __attribute__((always_inline))

FORMULA uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

FORMULA float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define QUIET_NAN    float_of(0x7fc00000u)
#define INFINITE     float_of(0x7f800000u)
#define SIGN_BIT     0x80000000u
#define LEAST_NORMAL 0x00800000u
#define SQRT_HALF    0x3f3504f3u /* bits of sqrt(1/2) */
#define LOG2_E       0x1.715476p+0f
#define LN2_HIGH     0x1.62e4p-1f /* 15 bits: n * LN2_HIGH is exact for |n| < 512 */
#define LN2_LOW      0x1.7f7d1cp-20f
#define ROUNDING     0x1.8p+23f /* x + ROUNDING - ROUNDING rounds |x| < 2^22 to an integer */

/* x = n ln 2 + r with an integer n and |r| <= 0.3469; |x| < 2^20. */
FORMULA float reduce_exp(float x, int32_t *n)
{
    float shifted = fmaf(x, LOG2_E, ROUNDING);
    float whole = shifted - ROUNDING;
    *n = (int32_t)(bits_of(shifted) - bits_of(ROUNDING));
    float r = fmaf(whole, -LN2_HIGH, x);
    return fmaf(whole, -LN2_LOW, r);
}

/* 2^n for -126 <= n <= 127. */
FORMULA float power_of_two(int32_t n)
{
    return float_of((uint32_t)(n + 127) << 23);
}

/* e^x = 2^n (1 + r + r^2 q(r)).  Rest 2^-28.  Beyond the limits the result is infinite or below the least denormal; in
 * between, 2^n is applied in two halves, since it alone may not be a float.
 * Worst 1.01 at 26.7168999: 1/2 for the last sum, 1/4 for the one before it (|r| < 1/2) and 1/4 for the reduction,
 * which count twice where the result lies below 2^n. */
FORMULA float exp_value(float x)
{
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    int32_t n;
    float r = reduce_exp(x, &n);
    float q = 0x1.6a495cp-10f;
    q = fmaf(q, r, 0x1.1239a0p-7f);
    q = fmaf(q, r, 0x1.5558b4p-5f);
    q = fmaf(q, r, 0x1.555492p-3f);
    q = fmaf(q, r, 0x1.fffffcp-2f);
    float p = fmaf(q, r * r, r) + 1.0f;
    int32_t half = n >> 1;
    return p * power_of_two(half) * power_of_two(n - half);
}

FORMULA float map_exp_1(float x)
{
    float y = exp_value(x);
    return x != x ? QUIET_NAN : y;
}

/* e^x - 1 = (2^n - 1) + 2^n r + 2^n r^2 q(r), with half of it computed so that 2^128 is not needed.  Rest 2^-31.
 * Worst 1.26 at 70.4204102: two roundings of the size of the result, and the reduction's. */
FORMULA float expm1_value(float x)
{
    float limited = x > 89.0f ? 89.0f : x;
    limited = limited < -20.0f ? -20.0f : limited;
    int32_t n;
    float r = reduce_exp(limited, &n);
    float q = 0x1.a242e8p-13f;
    q = fmaf(q, r, 0x1.6d3cacp-10f);
    q = fmaf(q, r, 0x1.111004p-7f);
    q = fmaf(q, r, 0x1.5554f6p-5f);
    q = fmaf(q, r, 0x1.555556p-3f);
    q = fmaf(q, r, 0.5f);
    float half = power_of_two(n - 1);
    float y = 2.0f * fmaf(half, r * r * q, fmaf(half, r, half - 0.5f));
    float magnitude = fabsf(x);
    return magnitude < 0x1p-30f ? x : y; /* also keeps -0 */
}

FORMULA float map_expm1_1(float x)
{
    float y = expm1_value(x);
    return x != x ? QUIET_NAN : y;
}

/* ln(1 + f) + e ln 2 for f in [sqrt(1/2)-1, sqrt(2)-1]: f - f^2/2 + f^3 p(f).  Rest 2^-30.  The last two
 * roundings are as large as the result at most when e = 0, and the second is all that counts when it is not. */
FORMULA float log_sum(float f, int32_t e)
{
    float p = 0x1.149716p-4f;
    p = fmaf(p, f, -0x1.de31c2p-4f);
    p = fmaf(p, f, 0x1.e6ca78p-4f);
    p = fmaf(p, f, -0x1.fc22eep-4f);
    p = fmaf(p, f, 0x1.233ab8p-3f);
    p = fmaf(p, f, -0x1.555c5ap-3f);
    p = fmaf(p, f, 0x1.99a47ep-3f);
    p = fmaf(p, f, -0x1.000006p-2f);
    p = fmaf(p, f, 0x1.555548p-2f);
    float z = f * f, whole = (float)e;
    float small = fmaf(f * z, p, -0.5f * z);
    small = fmaf(whole, LN2_LOW, small);
    return fmaf(whole, LN2_HIGH, f + small);
}

/* The value at the ends of log's domain: `y` is what the formula gave for an argument u. */
FORMULA float log_ends(float u, float y)
{
    y = u < float_of(LEAST_NORMAL) ? -INFINITE : y; /* zero, and denormals, which count as zero */
    y = u <= -float_of(LEAST_NORMAL) ? QUIET_NAN : y;
    y = u == INFINITE ? INFINITE : y;
    return u != u ? QUIET_NAN : y;
}

/* x = 2^e m with m in [sqrt(1/2), sqrt(2)); m - 1 is exact.  Worst 0.82 at 0.704270959. */
FORMULA float map_log_1(float x)
{
    uint32_t bits = bits_of(x);
    int32_t e = (int32_t)(bits - SQRT_HALF) >> 23;
    float m = float_of(bits - ((uint32_t)e << 23));
    return log_ends(x, log_sum(m - 1.0f, e));
}

/* 1 + x = 2^e (1 + f): with e from the rounded sum, f = 2^-e x + (2^-e - 1) has one rounding, so that nothing of a
 * small x is lost.  Where 1 is below the last place of x (and 2^-e may not be a float), f comes from x alone.
 * Worst 1.41 at 0.436688811: f = -0.28 is as large as the result, and its rounding counts 1/(1+f) times 1/2. */
FORMULA float map_log1p_1(float x)
{
    float u = 1.0f + x;
    uint32_t bits = bits_of(u);
    int32_t e = (int32_t)(bits - SQRT_HALF) >> 23;
    int32_t near = e > 40 ? 40 : e < -40 ? -40 : e;
    float scale = power_of_two(-near);
    float f = fmaf(scale, x, scale - 1.0f);
    float far = float_of(bits - ((uint32_t)e << 23)) - 1.0f;
    float y = log_ends(u, log_sum(e == near ? f : far, e));
    float magnitude = fabsf(x);
    return magnitude < 0x1p-30f ? x : y;
}

/* x < 0: E / (1 + E), else 1 / (1 + E), with E = e^-|x|.  The rounding errors of the sum and the quotient are taken out
 * by one correction: 1 + E = sum + rest exactly, and y += (top - y (sum + rest)) / sum.  Worst 1.48 at -6.23706579: the
 * exponential's own error and the last rounding. */
FORMULA float map_sigmoid_1(float x)
{
    float magnitude = fabsf(x);
    float e = exp_value(-magnitude);
    float top = x < 0.0f ? e : 1.0f;
    float sum = 1.0f + e, rest = e - (sum - 1.0f);
    float inverse = 1.0f / sum;
    float y = top * inverse;
    float missing = fmaf(-y, rest, fmaf(-y, sum, top));
    y = fmaf(missing, inverse, y);
    return x != x ? QUIET_NAN : y;
}

/* |x| < 0.625: x + x^3 p(x^2), rest 2^-31; else 1 - 2 / (e^2|x| + 1), which is 1 from 9.02 on.
 * Worst 1.31 at 0.635061741, just above the seam: there the quotient is 0.44, and its error (the exponential's, the
 * sum's and its own) counts 0.8 beside the last rounding's 1/2. */
FORMULA float map_tanh_1(float x)
{
    float magnitude = fabsf(x);
    float z = magnitude * magnitude;
    float p = 0x1.1595f2p-9f;
    p = fmaf(p, z, -0x1.0b3a64p-7f);
    p = fmaf(p, z, 0x1.63718ep-6f);
    p = fmaf(p, z, -0x1.b9edc0p-5f);
    p = fmaf(p, z, 0x1.11106ep-3f);
    p = fmaf(p, z, -0x1.555554p-2f);
    float small = fmaf(magnitude * z, p, magnitude);
    float limited = magnitude > 10.0f ? 10.0f : magnitude;
    float large = 1.0f - 2.0f / (exp_value(2.0f * limited) + 1.0f);
    float y = magnitude < 0.625f ? small : large;
    y = float_of(bits_of(y) | (bits_of(x) & SIGN_BIT));
    return x != x ? QUIET_NAN : y;
}

/* |x| < 1: x + x p(x^2), rest 2^-29; else 1 - e^-g(|x|), g = -ln erfc, rest 2^-35, which is 1 from 3.92 on.  Worst
 * 1.08 at 1.05694151, just above the seam: there e^-g is 0.13. */
FORMULA float map_erf_1(float x)
{
    float magnitude = fabsf(x);
    float a = magnitude > 4.0f ? 4.0f : magnitude;
    float z = a * a;
    float p = 0x1.4771fcp-14f;
    p = fmaf(p, z, -0x1.a3515ep-11f);
    p = fmaf(p, z, 0x1.53f224p-8f);
    p = fmaf(p, z, -0x1.b7f71ap-6f);
    p = fmaf(p, z, 0x1.ce2ce6p-4f);
    p = fmaf(p, z, -0x1.81273ep-2f);
    p = fmaf(p, z, 0x1.06eba8p-3f);
    float small = fmaf(magnitude, p, magnitude);
    float g = 0x1.6bf140p-16f;
    g = fmaf(g, a, -0x1.ced4f2p-12f);
    g = fmaf(g, a, 0x1.13904ep-8f);
    g = fmaf(g, a, -0x1.9d04cap-6f);
    g = fmaf(g, a, 0x1.bc1592p-4f);
    g = fmaf(g, a, 0x1.44355ep-1f);
    g = fmaf(g, a, 0x1.212c0ep+0f);
    g = fmaf(g, a, -0x1.8a5804p-13f);
    float large = 1.0f - exp_value(-g);
    float y = magnitude < 1.0f ? small : large;
    y = float_of(bits_of(y) | (bits_of(x) & SIGN_BIT));
    return x != x ? QUIET_NAN : y;
}

/* two_over_pi[j] = floor(2/pi * 2^(j+6)) mod 2^32: the 32 bits that end j+6 places behind the point. */
static const uint32_t two_over_pi[193] = {
    0x00000028, 0x00000051, 0x000000a2, 0x00000145, 0x0000028b, 0x00000517, 0x00000a2f, 0x0000145f, 0x000028be,
    0x0000517c, 0x0000a2f9, 0x000145f3, 0x00028be6, 0x000517cc, 0x000a2f98, 0x00145f30, 0x0028be60, 0x00517cc1,
    0x00a2f983, 0x0145f306, 0x028be60d, 0x0517cc1b, 0x0a2f9836, 0x145f306d, 0x28be60db, 0x517cc1b7, 0xa2f9836e,
    0x45f306dc, 0x8be60db9, 0x17cc1b72, 0x2f9836e4, 0x5f306dc9, 0xbe60db93, 0x7cc1b727, 0xf9836e4e, 0xf306dc9c,
    0xe60db939, 0xcc1b7272, 0x9836e4e4, 0x306dc9c8, 0x60db9391, 0xc1b72722, 0x836e4e44, 0x06dc9c88, 0x0db93910,
    0x1b727220, 0x36e4e441, 0x6dc9c882, 0xdb939105, 0xb727220a, 0x6e4e4415, 0xdc9c882a, 0xb9391054, 0x727220a9,
    0xe4e44152, 0xc9c882a5, 0x9391054a, 0x27220a94, 0x4e441529, 0x9c882a53, 0x391054a7, 0x7220a94f, 0xe441529f,
    0xc882a53f, 0x91054a7f, 0x220a94fe, 0x441529fc, 0x882a53f8, 0x1054a7f0, 0x20a94fe1, 0x41529fc2, 0x82a53f84,
    0x054a7f09, 0x0a94fe13, 0x1529fc27, 0x2a53f84e, 0x54a7f09d, 0xa94fe13a, 0x529fc275, 0xa53f84ea, 0x4a7f09d5,
    0x94fe13ab, 0x29fc2757, 0x53f84eaf, 0xa7f09d5f, 0x4fe13abe, 0x9fc2757d, 0x3f84eafa, 0x7f09d5f4, 0xfe13abe8,
    0xfc2757d1, 0xf84eafa3, 0xf09d5f47, 0xe13abe8f, 0xc2757d1f, 0x84eafa3e, 0x09d5f47d, 0x13abe8fa, 0x2757d1f5,
    0x4eafa3ea, 0x9d5f47d4, 0x3abe8fa9, 0x757d1f53, 0xeafa3ea6, 0xd5f47d4d, 0xabe8fa9a, 0x57d1f534, 0xafa3ea69,
    0x5f47d4d3, 0xbe8fa9a6, 0x7d1f534d, 0xfa3ea69b, 0xf47d4d37, 0xe8fa9a6e, 0xd1f534dd, 0xa3ea69bb, 0x47d4d377,
    0x8fa9a6ee, 0x1f534ddc, 0x3ea69bb8, 0x7d4d3770, 0xfa9a6ee0, 0xf534ddc0, 0xea69bb81, 0xd4d37703, 0xa9a6ee06,
    0x534ddc0d, 0xa69bb81b, 0x4d377036, 0x9a6ee06d, 0x34ddc0db, 0x69bb81b6, 0xd377036d, 0xa6ee06db, 0x4ddc0db6,
    0x9bb81b6c, 0x377036d8, 0x6ee06db1, 0xddc0db62, 0xbb81b6c5, 0x77036d8a, 0xee06db14, 0xdc0db629, 0xb81b6c52,
    0x7036d8a5, 0xe06db14a, 0xc0db6295, 0x81b6c52b, 0x036d8a56, 0x06db14ac, 0x0db62959, 0x1b6c52b3, 0x36d8a566,
    0x6db14acc, 0xdb629599, 0xb6c52b32, 0x6d8a5664, 0xdb14acc9, 0xb6295993, 0x6c52b327, 0xd8a5664f, 0xb14acc9e,
    0x6295993c, 0xc52b3278, 0x8a5664f1, 0x14acc9e2, 0x295993c4, 0x52b32788, 0xa5664f10, 0x4acc9e21, 0x95993c43,
    0x2b327887, 0x5664f10e, 0xacc9e21c, 0x5993c439, 0xb3278872, 0x664f10e4, 0xcc9e21c8, 0x993c4390, 0x32788720,
    0x64f10e41, 0xc9e21c82, 0x93c43904, 0x27887208, 0x4f10e410, 0x9e21c820, 0x3c439041, 0x78872083, 0xf10e4107,
    0xe21c820f, 0xc439041f, 0x8872083f, 0x10e4107f};

/* |x| = q pi/2 + r with q mod 4 and |r| <= pi/4, for every finite x (Payne and Hanek, 1983).  |x| = m 2^(k-24) with
 * a 24-bit m; the bits of 2/pi above the window contribute whole turns only, those below it less than 2^-53, while
 * no float comes nearer than 2^-31 to a multiple of pi/2.  P = |x| 2/pi in units of 2^-62, modulo four. */
FORMULA float reduce_turn(float x, uint32_t *quarter)
{
    uint32_t bits = bits_of(x) & ~SIGN_BIT;
    int32_t k = (int32_t)(bits >> 23) - 126;
    k = k < 0 ? 0 : k > 128 ? 128 : k;
    uint32_t m = (bits & 0x7fffff) | 0x800000;
    uint64_t product = ((uint64_t)(m * two_over_pi[k]) << 32) + (uint64_t)m * two_over_pi[k + 32] +
                       ((uint64_t)m * two_over_pi[k + 64] >> 32);
    uint32_t high = (uint32_t)(product >> 32), low = (uint32_t)product;
    uint32_t q = (high + 0x20000000u) >> 30;
    double turns = (double)(int32_t)(high - (q << 30)) * 0x1p32 + (double)(int32_t)(low >> 1) * 2.0;
    float r = (float)(turns * (1.57079632679489661923 * 0x1p-62));
    int small = bits < 0x3f000000u; /* |x| < 1/2: nothing to reduce */
    *quarter = small ? 0 : q;
    return small ? float_of(bits) : r;
}

/* Sine: worst 1.58 at -2.79467804e+26; cosine: 1.57 at -1.04911227e+10.  Half a unit for r, up to one for the last two
 * roundings.
 * sin r = r + r^3 s(r^2), rest 2^-32; cos r = 1 - r^2/2 + r^4 c(r^2), rest 2^-33.  An odd quarter takes the other one,
 * quarters 2 and 3 change the sign. */
FORMULA float turn_value(float r, uint32_t quarter)
{
    float z = r * r;
    float s = 0x1.7c3226p-19f;
    s = fmaf(s, z, -0x1.a0595ep-13f);
    s = fmaf(s, z, 0x1.111174p-7f);
    s = fmaf(s, z, -0x1.555556p-3f);
    float sine = fmaf(r * z, s, r);
    float c = 0x1.99e810p-16f;
    c = fmaf(c, z, -0x1.6c0c28p-10f);
    c = fmaf(c, z, 0x1.55554ap-5f);
    float cosine = fmaf(z * z, c, fmaf(-0.5f, z, 1.0f));
    float y = quarter & 1 ? cosine : sine;
    return float_of(bits_of(y) ^ (quarter & 2) << 30);
}

FORMULA float map_sin_1(float x)
{
    uint32_t quarter;
    float r = reduce_turn(x, &quarter);
    float y = turn_value(r, quarter);
    y = float_of(bits_of(y) ^ (bits_of(x) & SIGN_BIT));
    return (bits_of(x) & ~SIGN_BIT) >= 0x7f800000u ? QUIET_NAN : y;
}

FORMULA float map_cos_1(float x)
{
    uint32_t quarter;
    float r = reduce_turn(x, &quarter);
    float y = turn_value(r, quarter + 1);
    return (bits_of(x) & ~SIGN_BIT) >= 0x7f800000u ? QUIET_NAN : y;
}

#endif
