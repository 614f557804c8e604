/* exp, log, sin, cos, atan2, pow from +, -, *, /, sqrt and integer operations only, so that they give the same bits on every machine and
 * compiler (with -ffp-contract=off), and loop bodies that call the float forms vectorise. All static inline, branch-free where they can be.
 *   double forms: relative error below 4e-15 (exp, log, pow for moderate exponents), absolute error below 4e-15 (sin, cos for
 *   |x| <= 1e5; atan2). float forms: below 3e-7 relative. exp: overflow -> +inf, underflow -> 0; log(0) = -inf, log(<0) = NaN. */
#ifndef DF_CORE_BASE_PORTABLE_MATH_H
#define DF_CORE_BASE_PORTABLE_MATH_H
/* double df_exp(double); double df_log(double); double df_sin(double); double df_cos(double); double df_atan2(double y, double x);
 * double df_pow(double base > 0, double exponent); float df_expf(float); float df_logf(float);
 * df_real df_rexp(df_real), df_rlog(df_real): df_expf/df_logf in the float build, df_exp/df_log in the double build. */
#endif
