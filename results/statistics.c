/* Student's t from the regularised incomplete beta function: P(|T| > t) = I_x(v/2, 1/2), x = v / (v + t^2). The continued fraction is DLMF
 * 8.17.22, evaluated by the modified Lentz method; the quantile inverts it by bisection. */
#include "results/statistics.h"

#include <float.h>
#include <math.h>

/* log B(a, 1/2). From 25 on by the asymptotic series of Gamma(a + 1/2) / Gamma(a), which does not cancel (error below 2e-13). */
static double log_beta_half(double a)
{
    const double log_gamma_half = 0.57236494292470008707;
    int sign;

    if (a < 25)
        return lgamma_r(a, &sign) + log_gamma_half - lgamma_r(a + 0.5, &sign);
    return log_gamma_half - (0.5 * log(a) - 1 / (8 * a) + 1 / (192 * pow(a, 3)) - 1 / (640 * pow(a, 5)));
}

static double off_zero(double x) { return fabs(x) < 1e-300 ? 1e-300 : x; }

/* The fraction's value; converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    double c = 1, d = 1 / off_zero(1 - (a + b) * x / (a + 1)), value = d;

    for (int m = 1; m < 100000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));

        d = 1 / off_zero(1 + even * d);
        c = off_zero(1 + even / c);
        value *= c * d;
        d = 1 / off_zero(1 + odd * d);
        c = off_zero(1 + odd / c);
        value *= c * d;
        if (fabs(c * d - 1) < DBL_EPSILON)
            break;
    }
    return value;
}

double df_student_t_p_two_sided(double t, double degrees)
{
    const double a = degrees / 2, square = t * t;
    const double x = degrees / (degrees + square), y = square / (degrees + square); /* y = 1 - x without cancelling */

    if (isnan(t) || isnan(degrees) || degrees <= 0)
        return NAN;
    if (square == 0)
        return 1;
    if (isinf(square))
        return 0;
    const double front = exp(-a * log1p(square / degrees) + 0.5 * log(y) - log_beta_half(a)); /* x^a y^(1/2) / B */

    if (x < (a + 1) / (a + 2.5))
        return front * beta_fraction(a, 0.5, x) / a;
    return 1 - front * beta_fraction(0.5, a, y) / 0.5;
}

double df_student_t_quantile(double p, double degrees)
{
    const double tail = 2 * (p < 0.5 ? p : 1 - p); /* two-sided */
    double low = 0, high = 1;

    if (!(p > 0 && p < 1 && degrees > 0))
        return NAN;
    while (df_student_t_p_two_sided(high, degrees) > tail)
        high *= 2;
    for (int i = 0; i < 200; i++) {
        const double middle = low + (high - low) / 2;

        if (middle == low || middle == high)
            break;
        if (df_student_t_p_two_sided(middle, degrees) > tail)
            low = middle;
        else
            high = middle;
    }
    return p < 0.5 ? -high : tail >= 1 ? 0 : high;
}

bool df_values_equal(const double *values, size_t n)
{
    double least = INFINITY, most = -INFINITY;

    for (size_t i = 0; i < n; i++) {
        least = fmin(least, values[i]);
        most = fmax(most, values[i]);
    }
    return n == 0 || most - least <= 1e-11 * (1 + fmax(fabs(least), fabs(most)));
}

struct df_interval df_mean_spread(const double *values, size_t n)
{
    struct df_interval r = { .mean = NAN, .sd = NAN, .low = NAN, .high = NAN, .n = n };
    double sum = 0, squares = 0;

    for (size_t i = 0; i < n; i++)
        sum += values[i];
    if (n > 0)
        r.mean = sum / (double)n;
    if (n < 2)
        return r;
    if (df_values_equal(values, n)) {
        r.sd = 0;
        return r;
    }
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - r.mean) * (values[i] - r.mean);
    r.sd = sqrt(squares / (double)(n - 1));
    return r;
}

struct df_interval df_mean_interval(const double *values, size_t n, double confidence)
{
    struct df_interval r = df_mean_spread(values, n);

    if (!(r.sd > 0))
        return r;
    const double half = df_student_t_quantile(0.5 + confidence / 2, (double)(n - 1)) * r.sd / sqrt((double)n);

    r.low = r.mean - half;
    r.high = r.mean + half;
    return r;
}
