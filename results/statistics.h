/* Statistics over seeds: mean, sample standard deviation, Student-t intervals, paired differences. */
#ifndef DF_RESULTS_STATISTICS_H
#define DF_RESULTS_STATISTICS_H
#include <stddef.h>

struct df_interval {
    double mean, sd, low, high;
    size_t n;
}; /* sd, low, high are NAN for n < 2 */
struct df_interval df_mean_interval(const double *values, size_t n, double confidence /* 0.95 */);
double df_student_t_quantile(double p, double degrees); /* exact to 1e-10: incomplete beta, inverted */
double df_student_t_p_two_sided(double t, double degrees);
#endif
