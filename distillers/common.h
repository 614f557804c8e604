/* What the distillers of this room share: the neck engine (adaptation layers, masks, the decoupled feature loss) and the dense head's KL.
 * A distiller that needs something else writes its own; nothing here is part of the contract. */
#ifndef DF_DISTILLERS_COMMON_H
#define DF_DISTILLERS_COMMON_H
#include "distillers/distiller.h"
#include "distillers/masks.h"

/* ---- neck ----
 * term = 1/L sum_l masked_mse(a_l(s_l), t_l; m_l),   masked_mse(x, t; m) = sum m (x - t)^2 / max(1, 2 C sum m)    (core/nn/losses.h)
 *   s_l [N,h,w,Cs] student, t_l [N,h,w,Ct] teacher (divided by its standard deviation where `normalise_teacher`), m_l [N,h,w,1];
 *   sums over the batch (norm=batch: the authors') or per image, then their mean (norm=image); levels weigh the same.
 * a_l: 3x3 convolution, no ReLU, weights fmod(N(0,1), 2) * 1e-4, bias PyTorch's default U(+-1/sqrt(fan_in)): the authors'. */
struct df_neck_options {
    int adapt;      /* enum df_adapt */
    int adapt_init; /* "authors|normal": see above | N(0, adapt_std) and bias 0 */
    double adapt_std;
    bool normalise_teacher;
    int norm;                 /* "batch|image" */
    int level_rule, rounding; /* masks.h; read where there is a ground-truth mask */
};
enum df_adapt { DF_ADAPT_NONE, DF_ADAPT_1X1, DF_ADAPT_3X3 };

/* clang-format off */
#define DF_NECK_ROWS(type_, at_)                                                                                                           \
    { "adapt", DF_CHOICE_OPTION(type_, at_.adapt), DF_ADAPT_3X3, 0, 0, "convolution from student to teacher features, per level", NULL,  \
      "none|1x1|3x3", NULL },                                                                                                              \
    { "adapt_init", DF_CHOICE_OPTION(type_, at_.adapt_init), 0, 0, 0,                                                                       \
      "its first weights: wrapped normal and PyTorch's bias, or normal and no bias", NULL, "authors|normal", "adapt!=none" },              \
    { "adapt_std", DF_REAL_OPTION(type_, at_.adapt_std), 1e-4, 1e-8, 10, "standard deviation of its first weights", NULL, NULL,           \
      "adapt!=none" },                                                                                                                     \
    { "normalise_teacher", DF_BOOL_OPTION(type_, at_.normalise_teacher), 0, 0, 1,                                                          \
      "divide the teacher's features by their standard deviation, per level", NULL, NULL, NULL },                                          \
    { "norm", DF_CHOICE_OPTION(type_, at_.norm), 0, 0, 0, "cells are counted over the batch or per image", NULL, "batch|image", NULL }
#define DF_MASK_ROWS(type_, at_)                                                                                                           \
    { "level_rule", DF_CHOICE_OPTION(type_, at_.level_rule), DF_LEVEL_FPN, 0, 0,                                                            \
      "an object marks the level of its size (56 px at 800 px images, doubling), or all levels", NULL, "fpn|all", NULL },                  \
    { "rounding", DF_CHOICE_OPTION(type_, at_.rounding), DF_ROUND_AUTHORS, 0, 0,                                                            \
      "cells of a box: end exclusive and truncated, or every cell it touches", NULL, "authors|cover", NULL }
/* clang-format on */

struct df_neck_state {
    struct df_parameter *weight[DF_LEVELS], *bias[DF_LEVELS]; /* NULL: no adaptation */
};
enum df_region { DF_REGION_ALL, DF_REGION_FOREGROUND, DF_REGION_BACKGROUND };
struct df_neck_term {
    const char *name; /* in the log: "defeat.fg" */
    double weight;
    enum df_region region;
};
/* Adds the adaptation layers "adapt.<level>.weight", ".bias". Errors: adapt=none between different widths, a deviation that is missing. */
df_status df_neck_init(struct df_distiller_setup *setup, const struct df_neck_options *options, struct df_neck_state *state,
                       struct df_error *err);
/* Weighted sum of the terms; each is logged. */
df_tensor *df_neck_loss(const struct df_distill_context *context, const struct df_neck_options *options, const struct df_neck_state *state,
                        const struct df_detection_state *student, const struct df_detection_state *teacher,
                        const struct df_neck_term *terms, size_t count);

/* ---- dense head ----
 * L = w_pos T_pos^2 / n_pos sum_{i: label >= 0} KL_i(T_pos) + w_neg T_neg^2 / n_neg sum_{i: label = -1} KL_i(T_neg)
 *   KL_i(T) = sum_k [ q log(q/p) + (1-q) log((1-q)/(1-p)) ],  p = sigmoid(s_ik / T), q = sigmoid(t_ik / T)
 *   s, t [N,1,A,K]; n_pos = n_neg = positives of the batch (norm=positives) or each group's own count (norm=group), at least 1.
 * Ignored anchors (label -2) take no part. */
struct df_head_options {
    double w_pos, w_neg, t_pos, t_neg;
    int norm; /* "positives|group" */
};
/* clang-format off */
#define DF_HEAD_ROWS(type_, at_, norm_name, when_)                                                                                         \
    { "w_pos", DF_REAL_OPTION(type_, at_.w_pos), 2, 0, 1e4, "weight of anchors on objects", NULL, NULL, when_ },                         \
    { "w_neg", DF_REAL_OPTION(type_, at_.w_neg), 2, 0, 1e4, "weight of background anchors", NULL, NULL, when_ },                         \
    { "t_pos", DF_REAL_OPTION(type_, at_.t_pos), 1, 0.01, 100, "temperature on objects", NULL, NULL, when_ },                            \
    { "t_neg", DF_REAL_OPTION(type_, at_.t_neg), 1, 0.01, 100, "temperature on background", NULL, NULL, when_ },                         \
    { norm_name, DF_CHOICE_OPTION(type_, at_.norm), 0, 0, 0, "both terms by the number of positives, or each by its own number",          \
      NULL, "positives|group", when_ }
/* clang-format on */
df_tensor *df_head_loss(const struct df_distill_context *context, const struct df_head_options *options, const char *pos_name,
                        const char *neg_name, const struct df_detection_state *student, const struct df_detection_state *teacher);

/* total + weight * value, logged; total may be NULL */
df_tensor *df_term_add(const struct df_distill_context *context, df_tensor *total, const char *name, df_tensor *value, double weight);
#endif
