/* The power's integral: given the sample's standard deviation s, the mean is normal; s has a chi distribution with n - 1 degrees, over which
 * Simpson's rule goes. The sign flips are counted by meeting in the middle: sums of the signs of either half, sorted, so that 40 pairs take
 * 2 x 2^20 sums and not 2^40. */
#include "results/inference.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/status.h"

/* (mean - centre) / its standard error; NAN where nothing can be said. */
static double t_of(const double *values, size_t n, double centre)
{
    const struct df_interval i = df_mean_spread(values, n);

    return !(i.sd > 0) ? NAN : (i.mean - centre) / (i.sd / sqrt((double)n));
}

double df_paired_t_p(const double *values, size_t n) { return df_student_t_p_two_sided(t_of(values, n, 0), (double)n - 1); }

double df_student_t_above(double t, double degrees)
{
    const double tail = df_student_t_p_two_sided(t, degrees) / 2;

    return t > 0 ? tail : 1 - tail;
}

double df_equivalence_p(const double *values, size_t n, double margin)
{
    const double above = t_of(values, n, -margin), below = t_of(values, n, margin);

    if (isnan(above))
        return NAN;
    return fmax(df_student_t_above(above, (double)n - 1), df_student_t_above(-below, (double)n - 1));
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The sums of all sign patterns of n values, sorted. */
static double *signed_sums(const double *values, size_t n)
{
    const size_t patterns = (size_t)1 << n;
    double *sum = df_malloc(patterns * sizeof *sum);

    sum[0] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t p = (size_t)1 << i; p-- > 0;) {
            sum[p + ((size_t)1 << i)] = sum[p] + values[i];
            sum[p] -= values[i];
        }
    qsort(sum, patterns, sizeof *sum, by_value);
    return sum;
}

double df_sign_flip_p(const double *values, size_t n)
{
    double sum = 0, size = 0, found = 0;

    if (n < DF_SIGN_FLIP_FEWEST || n > DF_SIGN_FLIP_MOST)
        return NAN;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
        size += fabs(values[i]);
    }
    const double least = fabs(sum) - 1e-12 * size; /* the pattern that was seen is as far as itself, however it is added */
    const size_t half = n / 2, left = (size_t)1 << half, right = (size_t)1 << (n - half);
    double *one = signed_sums(values, half), *other = signed_sums(values + half, n - half);
    size_t above = right; /* other[above...] are those that reach `least` beside one[i]: fewer are left out as one[i] rises */

    for (size_t i = 0; i < left; i++) {
        while (above > 0 && one[i] + other[above - 1] >= least)
            above--;
        found += (double)(right - above);
    }
    free(one);
    free(other);
    const double share = 2 * found / ldexp(1, (int)n); /* the patterns come in pairs of opposite sums */

    return share < 1 ? share : 1;
}

double df_sign_flip_least(size_t n) { return n ? ldexp(1, 1 - (int)n) : 1; }

double df_improvement(const double *a, size_t n, const double *b, size_t m)
{
    double wins = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            wins += a[i] > b[j] ? 1 : a[i] == b[j] ? 0.5 : 0;
    return wins / ((double)n * (double)m);
}

void df_holm(const double *p, size_t m, double *adjusted)
{
    double *sorted = df_malloc((m + 1) * sizeof *sorted);
    size_t n = 0;

    for (size_t i = 0; i < m; i++)
        if (!isnan(p[i]))
            sorted[n++] = p[i];
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t i = 0; i < m; i++) {
        double most = 0;

        for (size_t k = 0; k < n && sorted[k] <= p[i]; k++)
            most = fmax(most, (double)(m - k) * sorted[k]);
        adjusted[i] = isnan(p[i]) ? NAN : fmin(1, most);
    }
    free(sorted);
}

double df_simultaneous(double confidence, size_t m) { return 1 - (1 - confidence) / (double)(m ? m : 1); }

/* ---- power ------------------------------------------------------------------------------------------------------------------------ */

static double normal_below(double x) { return 0.5 * erfc(-x / sqrt(2)); }

/* Density of s / sigma with v degrees. */
static double log_spread_density(double s, double v)
{
    int sign;

    return log(2) + 0.5 * v * log(0.5 * v) - lgamma_r(0.5 * v, &sign) + (v - 1) * log(s) - 0.5 * v * s * s;
}

/* The power that a spread of s leaves; shift: effect sqrt(n). */
typedef double given_fn(double s, double shift, double t);

/* The integral of given(s, effect sqrt(n), t) over s up to `most`. */
static double over_spread(given_fn *given, double effect, size_t n, double t, double most)
{
    enum { STEPS = 4000 };
    const double v = (double)n - 1, wide = 12 / sqrt(2 * v), low = fmax(0, 1 - wide), high = fmin(1 + wide, most);
    const double h = (high - low) / STEPS;
    double sum = 0;

    if (high <= low)
        return 0;
    for (int i = 0; i <= STEPS; i++) {
        const double s = low + h * i, weight = i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;

        if (s > 0 || v <= 1)
            sum += weight * exp(log_spread_density(s > 0 ? s : 1e-300, v)) * given(s, effect * sqrt((double)n), t);
    }
    return sum * h / 3;
}

static double outside(double s, double shift, double t) { return normal_below(shift - t * s) + normal_below(-shift - t * s); }

static double inside(double s, double shift, double t) { return 2 * normal_below(shift - t * s) - 1; }

double df_paired_power(double effect, size_t n, double level)
{
    return n < 2 ? NAN : over_spread(outside, effect, n, df_student_t_quantile(1 - level / 2, (double)n - 1), INFINITY);
}

double df_equivalence_power(double margin, size_t n, double level)
{
    const double t = n < 2 ? NAN : df_student_t_quantile(1 - level, (double)n - 1);

    return n < 2 ? NAN : over_spread(inside, margin, n, t, margin * sqrt((double)n) / t); /* wider samples never say so */
}

/* df_paired_power or df_equivalence_power */
typedef double power_fn(double effect, size_t n, double level);

/* Power rises with n: the first n by doubling, then by halves. */
static size_t fewest(power_fn *power_of, double effect, double level, double power, size_t most)
{
    size_t low = 1, high = 2; /* low is not enough */

    while (high < most && !(power_of(effect, high, level) >= power)) {
        low = high;
        high = 2 * high < most ? 2 * high : most;
    }
    if (high > most || !(power_of(effect, high, level) >= power))
        return 0;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;

        if (power_of(effect, middle, level) >= power)
            high = middle;
        else
            low = middle;
    }
    return high;
}

size_t df_pairs_to_find(double effect, double level, double power, size_t most)
{
    return fewest(df_paired_power, effect, level, power, most);
}

size_t df_pairs_to_equal(double margin, double level, double power, size_t most)
{
    return fewest(df_equivalence_power, margin, level, power, most);
}
