/* What n paired differences let one say: tests, equivalence, chance of improvement, power, and a set of comparisons at once. Independent pairs are
 * taken for granted; a value of NAN is no difference and must not come here. */
#ifndef DF_RESULTS_INFERENCE_H
#define DF_RESULTS_INFERENCE_H
#include <stddef.h>

#include "results/statistics.h"

enum { DF_SIGN_FLIP_FEWEST = 8, DF_SIGN_FLIP_MOST = 40 };

/* Two-sided p of mean 0. NAN for n < 2 and for equal values. */
double df_paired_t_p(const double *values, size_t n);
/* Two one-sided t tests (Schuirmann 1987): p of |mean| >= margin, the larger of both. NAN as above. */
double df_equivalence_p(const double *values, size_t n, double margin);
/* Two-sided p of values whose signs may be flipped freely: the share of the 2^n sign patterns whose sum is as far from 0 as theirs, all of them
 * counted. From 8 pairs to 40; NAN else. */
double df_sign_flip_p(const double *values, size_t n);
/* The smallest that n pairs can give: 2 / 2^n; 1 for none. */
double df_sign_flip_least(size_t n);
/* P(a value of `a` is larger than one of `b`), ties half: Mann-Whitney's U over the number of couples (Agarwal et al., NeurIPS 2021). NAN for none. */
double df_improvement(const double *a, size_t n, const double *b, size_t m);
/* Holm (1979): p of m comparisons, adjusted so that an error among all of them has the level of one. NAN stays, and counts as a comparison. */
void df_holm(const double *p, size_t m, double *adjusted);
/* Bonferroni's confidence of each of m intervals, so that all hold at once with `confidence`; m = 0 counts as 1. */
double df_simultaneous(double confidence, size_t m);

/* Student's t, one-sided: P(T > t). */
double df_student_t_above(double t, double degrees);
/* Chance that the two-sided paired t test of n pairs finds a true difference, in standard deviations of a pair's difference; by the noncentral t,
 * exact to 1e-8. NAN for n < 2. */
double df_paired_power(double effect, size_t n, double level);
/* Chance that two one-sided tests at `level` find |difference| < margin (in sd) where it is 0. */
double df_equivalence_power(double margin, size_t n, double level);
/* The fewest pairs, from 2 to `most`, with that power; 0: more than `most` would be needed. */
size_t df_pairs_to_find(double effect, double level, double power, size_t most);
size_t df_pairs_to_equal(double margin, double level, double power, size_t most);
#endif
