/* exp, log, sin, cos, atan2, pow from +, -, *, /, sqrt and integer operations only, so that they give the same bits on every machine and
 * compiler, and loop bodies that call the float forms vectorise. All static inline, branch-free where they can be. Nothing here is contracted
 * to a fused operation, not even in a source that is built with contraction, whose calls are then not inlined.
 *   double forms: relative error below 4e-15 (exp, log, pow for moderate exponents), absolute error below 4e-15 (sin, cos for
 *   |x| <= 1e5; atan2). float forms: below 3e-7 relative. exp: overflow -> +inf, underflow -> 0; log(0) = -inf, log(<0) = NaN.
 * Method: argument reduction with a constant split in two (Cody and Waite, "Software manual for the elementary functions", 1980), then
 * the Taylor polynomial, long enough that its remainder is below a quarter of the last place. pow's relative error grows as
 * |exponent log(base)| times 2^-53. */
#ifndef DF_CORE_BASE_PORTABLE_MATH_H
#define DF_CORE_BASE_PORTABLE_MATH_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/base/real.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && !defined(__CUDACC__) /* nvcc: -fmad=false */
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif

DF_KERNEL uint64_t df_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

DF_KERNEL double df_from_bits(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

DF_KERNEL uint32_t df_bitsf(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

DF_KERNEL float df_from_bitsf(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Adding 1.5 2^52 (float: 1.5 2^23) rounds to an integer, ties to even, and leaves that integer in the low bits of the sum. */
#define DF_ROUNDER  0x1.8p+52
#define DF_ROUNDERF 0x1.8p+23f

/* e^x = 2^k e^r, k = round(x / ln 2), |r| <= ln(2) / 2. 2^k is applied as two factors, so that k may reach beyond the exponent range. */
DF_KERNEL double df_exp(double x)
{
    const double high = 710 < x ? 710 : x, clamped = -746 > high ? -746 : high; /* NaN stays */
    const double sum = clamped * 0x1.71547652b82fep+0 + DF_ROUNDER, k = sum - DF_ROUNDER;
    const double r = (clamped - k * 0x1.62e42fefp-1) - k * 0x1.473de6af278edp-34;
    const uint64_t n = df_bits(sum) - df_bits(DF_ROUNDER) + 4096, half = n >> 1; /* k + 4096 > 0 */
    double p = 1.0 / 6227020800;

    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = 1 + (r + r * r * p);
    return p * df_from_bits((half - 2048 + 1023) << 52) * df_from_bits((n - half - 2048 + 1023) << 52);
}

/* log x = k ln 2 + log m, m in [sqrt(1/2), sqrt(2)). With f = m - 1, s = f / (2 + f): log m = 2 atanh s = f - s (f - R(s^2)). */
DF_KERNEL double df_log(double x)
{
    const double small = x < 0x1p-1022 ? x * 0x1p54 : x; /* subnormals */
    const uint64_t shifted = df_bits(small) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    const double k = (double)((int)(shifted >> 52) - 1023 - (x < 0x1p-1022 ? 54 : 0));
    const double f = df_from_bits((shifted & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1;
    const double s = f / (2 + f), z = s * s;
    double p = 2.0 / 21;

    p = p * z + 2.0 / 19;
    p = p * z + 2.0 / 17;
    p = p * z + 2.0 / 15;
    p = p * z + 2.0 / 13;
    p = p * z + 2.0 / 11;
    p = p * z + 2.0 / 9;
    p = p * z + 2.0 / 7;
    p = p * z + 2.0 / 5;
    p = p * z + 2.0 / 3;
    p = k * 0x1.62e42fefp-1 + (f - (s * (f - p * z) - k * 0x1.473de6af278edp-34));
    p = x <= 0x1.fffffffffffffp+1023 ? p : x; /* inf, NaN */
    return x > 0 ? p : x == 0 ? -(double)INFINITY : (double)NAN;
}

/* sin(x + quarter pi/2). x = k pi/2 + r, |r| <= pi/4; k pi/2's high part (33 bits) is exact for |k| < 2^20. */
static inline double df_sin_quarter(double x, uint64_t quarter)
{
    const double sum = x * 0x1.45f306dc9c883p-1 + DF_ROUNDER, k = sum - DF_ROUNDER;
    const double r = (x - k * 0x1.921fb544p+0) - k * 0x1.0b4611a626331p-34, z = r * r;
    const uint64_t n = df_bits(sum) + quarter;
    double odd = 1.0 / 355687428096000, even = 1.0 / 20922789888000, value;

    odd = odd * z - 1.0 / 1307674368000;
    odd = odd * z + 1.0 / 6227020800;
    odd = odd * z - 1.0 / 39916800;
    odd = odd * z + 1.0 / 362880;
    odd = odd * z - 1.0 / 5040;
    odd = odd * z + 1.0 / 120;
    odd = odd * z - 1.0 / 6;
    odd = r + r * z * odd;
    even = even * z - 1.0 / 87178291200;
    even = even * z + 1.0 / 479001600;
    even = even * z - 1.0 / 3628800;
    even = even * z + 1.0 / 40320;
    even = even * z - 1.0 / 720;
    even = even * z + 1.0 / 24;
    even = 1 - (0.5 * z - z * z * even);
    value = n & 1 ? even : odd;
    return n & 2 ? -value : value;
}

static inline double df_sin(double x) { return df_sin_quarter(x, 0); }
static inline double df_cos(double x) { return df_sin_quarter(x, 1); }

/* atan q for q in [0,1]: atan c + atan t with c = round(4 q) / 4, t = (q - c) / (1 + q c), |t| <= 1/8. */
static inline double df_atan_unit(double q)
{
    static const double centre[5] = { 0, 0x1.f5b75f92c80ddp-3, 0x1.dac670561bb4fp-2, 0x1.4978fa3269ee1p-1, 0x1.921fb54442d18p-1 };
    const int i = (int)(4 * q + 0.5);
    const double c = 0.25 * i, t = (q - c) / (1 + q * c), z = t * t;
    double p = 1.0 / 17;

    p = p * z - 1.0 / 15;
    p = p * z + 1.0 / 13;
    p = p * z - 1.0 / 11;
    p = p * z + 1.0 / 9;
    p = p * z - 1.0 / 7;
    p = p * z + 1.0 / 5;
    p = p * z - 1.0 / 3;
    return centre[i] + (t + t * z * p);
}

/* In [-pi,pi], with C's values for zeros and infinities. */
static inline double df_atan2(double y, double x)
{
    const double ax = fabs(x), ay = fabs(y), least = ax < ay ? ax : ay, most = ax < ay ? ay : ax;
    double angle;

    if (!(ax <= (double)INFINITY && ay <= (double)INFINITY))
        return (double)NAN;
    angle = most == 0 ? 0 : df_atan_unit(least == most ? 1 : least / most);
    angle = ay > ax ? 0x1.921fb54442d18p+0 - angle : angle;
    angle = signbit(x) ? 0x1.921fb54442d18p+1 - angle : angle;
    return copysign(angle, y);
}

DF_KERNEL double df_pow(double base, double exponent) { return df_exp(exponent * df_log(base)); }

DF_KERNEL float df_expf(float x)
{
    const float high = 89 < x ? 89 : x, clamped = -104 > high ? -104 : high; /* NaN stays */
    const float sum = clamped * 0x1.715476p+0f + DF_ROUNDERF, k = sum - DF_ROUNDERF;
    const float r = (clamped - k * 0x1.62ep-1f) - k * 0x1.0bfbe8p-15f;
    const uint32_t n = df_bitsf(sum) - df_bitsf(DF_ROUNDERF) + 512, half = n >> 1; /* k + 512 > 0 */
    float p = 1.0f / 5040;

    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = 1 + (r + r * r * p);
    return p * df_from_bitsf((half - 256 + 127) << 23) * df_from_bitsf((n - half - 256 + 127) << 23);
}

DF_KERNEL float df_logf(float x)
{
    const float small = x < 0x1p-126f ? x * 0x1p23f : x; /* subnormals */
    const uint32_t shifted = df_bitsf(small) + (0x3f800000u - 0x3f3504f3u);
    const float k = (float)((int32_t)(shifted >> 23) - 127) - (x < 0x1p-126f ? 23.0f : 0.0f);
    const float f = df_from_bitsf((shifted & 0x7fffffu) + 0x3f3504f3u) - 1;
    const float s = f / (2 + f), z = s * s;
    float p = 2.0f / 9;

    p = p * z + 2.0f / 7;
    p = p * z + 2.0f / 5;
    p = p * z + 2.0f / 3;
    p = k * 0x1.62ep-1f + (f - (s * (f - p * z) - k * 0x1.0bfbe8p-15f));
    p = x <= 0x1.fffffep+127f ? p : x; /* inf, NaN */
    p = x == 0 ? -INFINITY : p;
    return x < 0 ? NAN : p;
}

#ifdef DF_REAL_IS_DOUBLE
DF_KERNEL df_real df_rexp(df_real x) { return df_exp(x); }
DF_KERNEL df_real df_rlog(df_real x) { return df_log(x); }
#else
DF_KERNEL df_real df_rexp(df_real x) { return df_expf(x); }
DF_KERNEL df_real df_rlog(df_real x) { return df_logf(x); }
#endif

#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#pragma GCC pop_options
#endif
#endif
