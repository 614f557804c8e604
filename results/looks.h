/* Looking at the pairs more than once, until a difference is decided: group-sequential t boundaries. At every look the interval mean -+ bound s / sqrt(n)
 * is asked: all above 0: better; all below: worse; all within -+ margin: equivalent. The bounds spend one level over the looks: the chance that any
 * look's interval misses the true difference is at most the level, whatever the difference is, so that the three answers share it.
 *
 * The bounds are exact for normal differences, from 2 pairs on. With mean 0, t of n pairs is sqrt(n - 1) cot(phi), phi the angle between the
 * differences and (1, ..., 1), with density sin^(n-2); the next pair turns it: cos' = (sqrt(n) cos phi cos psi + sin psi) / sqrt(n + 1), psi
 * independent, with density cos^(n-1) (Basu's theorem: the angle does not depend on the length). So the looks are a Markov chain of one number.
 * Spending (Lan and DeMets 1983): after n of at most N pairs, level n / N. */
#ifndef DF_RESULTS_LOOKS_H
#define DF_RESULTS_LOOKS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "results/statistics.h"

enum { DF_LOOK_FEWEST = 3, DF_LOOKS_MOST = 1000 };
struct df_looks_plan {
    double margin; /* what counts as a difference, in the differences' own unit */
    double level;  /* 0.05 */
    size_t most;   /* pairs: the last look; from DF_LOOK_FEWEST to DF_LOOKS_MOST */
};
enum df_verdict { DF_UNDECIDED, DF_BETTER, DF_WORSE, DF_EQUIVALENT };
extern const char *const df_verdict_names[]; /* "undecided", "better", "worse", "equivalent" */

/* Of looks after pairs[0] < pairs[1] < ... <= plan->most: bound[k], and the level spent up to it (spent may be NULL). */
void df_looks_bounds(const struct df_looks_plan *plan, const size_t *pairs, size_t looks, double *bound, double *spent);
/* mean -+ bound sd / sqrt(n). */
struct df_interval df_look_interval(const double *values, size_t n, double bound);
/* margin <= 0: no margin is asked. An interval above 0 and within the margin is better. */
enum df_verdict df_verdict_of(const struct df_interval *interval, double margin);

/* Made-up experiments: pairs of the given mean and standard deviation, a look after `first` of them and after every further one. */
enum df_tails { DF_TAILS_NORMAL, DF_TAILS_HEAVY /* Student's t with 3 degrees, scaled to the sd */ };
struct df_experiments {
    double mean, sd;
    enum df_tails tails;
    size_t first, count;
    uint64_t seed;
};
struct df_experiments_result {
    double verdict[DF_EQUIVALENT + 1]; /* shares */
    double pairs;                      /* mean, at the end */
};
struct df_experiments_result df_looks_try(const struct df_looks_plan *plan, const struct df_experiments *experiments);
/* The fewest pairs for plan->most, so that a difference of the margin is found and none is seen as equivalent, each with this chance (by 2,000 made-up
 * normal experiments each, the same on every call). 0: more than DF_LOOKS_MOST / 4. */
size_t df_looks_needed(const struct df_looks_plan *plan, double sd, size_t first, double power);
#endif
