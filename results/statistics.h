/* Statistics over seeds: mean, sample standard deviation, Student-t intervals, paired differences. */
#ifndef DF_RESULTS_STATISTICS_H
#define DF_RESULTS_STATISTICS_H
#include <stdbool.h>
#include <stddef.h>

struct df_interval {
    double mean, sd, low, high;
    size_t n;
}; /* sd, low, high are NAN for n < 2; of equal values sd is 0, and low and high are NAN: what has no spread says nothing of the next one */
/* They differ by rounding alone. */
bool df_values_equal(const double *values, size_t n);
struct df_interval df_mean_spread(const double *values, size_t n); /* mean and sd alone: low and high are NAN */
struct df_interval df_mean_interval(const double *values, size_t n, double confidence /* 0.95 */);
double df_student_t_quantile(double p, double degrees); /* exact to 1e-10: incomplete beta, inverted */
double df_student_t_p_two_sided(double t, double degrees);
#endif
