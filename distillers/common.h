/* What the distillers of this room share: adaptation layers, masked feature imitation (neck, backbone), head imitation, the schedule of
 * their weights. A distiller that needs something else writes its own; nothing here is part of the contract. */
#ifndef DF_DISTILLERS_COMMON_H
#define DF_DISTILLERS_COMMON_H
#include "distillers/distiller.h"
#include "distillers/masks.h"

/* ---- terms and their schedule (schedule.c) ---- */

enum df_decay { DF_DECAY_NONE, DF_DECAY_LINEAR, DF_DECAY_COSINE, DF_DECAY_UP_DOWN }; /* "none|linear|cosine|up_down" */
/* What every weight is multiplied with in epoch e of E: by decay 1 | 1 - e/E | (1 + cos(pi e/E))/2 | 1 + e/t for e <= t, else
 * 2 - 2 (e - t)/(E - t), t = max(1, floor(E/4)); times min(1, (step + 1)/warmup_steps). Source: the DeFeat authors' code, whose up_down
 * divides by 0 where E < 4 (t = 0 there). */
double df_weight_factor(const struct df_distill_context *context, enum df_decay decay, int64_t warmup_steps);
/* total + weight * value, logged; total may be NULL */
df_tensor *df_term_add(const struct df_distill_context *context, df_tensor *total, const char *name, df_tensor *value, double weight);

/* ---- adaptation (features.c) ----
 * a: k x k convolution of the student's feature [N,h,w,Cs] -> [N,h,w,Ct], with or without ReLU; "auto": 1x1 where the widths differ, none
 * where not. init "authors": weights fmod(N(0,1), 2) * std, bias PyTorch's default U(+-1/sqrt(fan_in)); "normal": N(0, std) and bias 0;
 * "pytorch": both PyTorch's default. */
enum df_adapt_kind { DF_ADAPT_NONE, DF_ADAPT_1X1, DF_ADAPT_3X3, DF_ADAPT_AUTO };
enum df_adapt_init { DF_ADAPT_AUTHORS, DF_ADAPT_NORMAL, DF_ADAPT_PYTORCH };
struct df_adapt_options {
    int kind, init;
    double std; /* not read by "pytorch" */
    bool relu;
};
struct df_adapt_layer {
    struct df_parameter *weight, *bias; /* NULL: no adaptation */
};
struct df_adapted { /* a part that both networks have: its kind and level */
    const char *kind;
    size_t level;
    const char *option; /* that says how it is adapted */
};
/* Adds "<option>.<level>.weight", "<option>.<level>.bias". Error: none between different widths. */
df_status df_adapt_add(struct df_distiller_setup *setup, const struct df_adapt_options *options, struct df_adapted what,
                       struct df_adapt_layer *layer, struct df_error *err);
df_tensor *df_adapt_apply(df_tape *tape, const struct df_adapt_options *options, const struct df_adapt_layer *layer, df_tensor *s);
/* A row "adapt" of a distiller whose adaptation layers start as PyTorch's do. */
/* clang-format off */
#define DF_ADAPT_ROW(type_, at_, kind_, when_)                                                                                             \
    { "adapt", DF_CHOICE_OPTION(type_, at_), .standard = kind_, .choices = "none|1x1|3x3|auto", .when = when_,                             \
      .help = "convolution from student to teacher features, per level; auto: 1x1 where the widths differ" }
/* clang-format on */

/* ---- masked imitation of feature maps (features.c) ----
 * With E_li = sum over the cells of image i of m (s_l - k_l t_l)^2, summed over channels, and n_li = 2 C_l sum m:
 *   norm=batch, level_reduce=mean    1/L sum_l  sum_i E_li / max(1, sum_i n_li)             (the DeFeat authors')
 *   norm=image, level_reduce=mean    1/L sum_l  1/N sum_i [ E_li / max(1, n_li) ]
 *   norm=batch, level_reduce=cells   sum_l sum_i E_li / max(1, sum_l sum_i n_li)
 *   norm=image, level_reduce=cells   1/N sum_i [ sum_l E_li / max(1, sum_l n_li) ]
 * s [N,h,w,C] adapted student, t like it, m by region from objects [N,h,w]. */
/* ... and with reduction=hcl, where norm and level_reduce have no say:
 *   1/L sum_l HCL(m s_l, m k_l t_l)
 * HCL, of maps [N,h,w,C]: (MSE + 1/2 MSE_4 + 1/4 MSE_2 + 1/8 MSE_1) / (1 + 1/2 + 1/4 + 1/8); MSE: mean over images, cells and channels; MSE_k: of
 * their averages over k x k parts (adaptive average pooling). A k that is not below h is left out; the next one has its weight.
 * Source: Chen et al., CVPR 2021 (ReviewKD), the authors' code. */
df_tensor *df_hcl(df_tape *tape, df_tensor *s, df_tensor *t);

enum df_feature_norm { DF_NORM_BATCH, DF_NORM_IMAGE };    /* "batch|image" */
enum df_level_reduce { DF_REDUCE_MEAN, DF_REDUCE_CELLS }; /* "mean|cells" */
enum df_reduction { DF_REDUCTION_MSE, DF_REDUCTION_HCL }; /* "mse|hcl" */
struct df_feature_options {
    int norm, level_reduce, reduction;
    bool exclude_padding; /* cells outside of their image weigh 0 in every region */
    bool sum_channels;    /* times C, which all maps share: divided by cells alone */
};
struct df_feature_map {
    df_tensor *s;
    const df_tensor *t;
    double teacher_scale; /* k */
    size_t stride;
    const df_real *objects; /* NULL: only DF_REGION_ALL is asked for */
};
df_tensor *df_feature_loss(df_tape *tape, const struct df_feature_map *map, size_t maps, enum df_region region,
                           const struct df_feature_options *options, const struct df_batch *images);

/* Of a mean over `own` > 0 things of this rank, its share of the mean over those of all ranks; 1 for one rank. */
double df_share_of_ranks(df_tape *tape, double own);

/* ---- dense heads (dense.c) ---- */

/* Of rows [N,1,A,K] those of a level as a map of its cells: [N,h,w,a K], a anchors per cell */
df_tensor *df_dense_level(df_tape *tape, const struct df_detection_state *student, df_tensor *rows, size_t level);

/* ---- neck (neck.c): the above over the neck's levels, the teacher's features divided by their deviation where normalise_teacher ---- */
struct df_neck_options {
    struct df_adapt_options adapt;
    struct df_feature_options feature;
    struct df_mask_options mask; /* read where there is a mask */
    bool normalise_teacher;
};

/* when_: for those that always have an effect; adapt_when_: for those of the adaptation layers */
/* clang-format off */
#define DF_NECK_ROWS(type_, at_, when_, adapt_when_, norm_when_)                                                                           \
    { "adapt", DF_CHOICE_OPTION(type_, at_.adapt.kind), .standard = DF_ADAPT_3X3, .choices = "none|1x1|3x3", .when = when_,                \
      .help = "convolution from student to teacher features, per level" },                                                                 \
    { "adapt_init", DF_CHOICE_OPTION(type_, at_.adapt.init), .standard = DF_ADAPT_AUTHORS, .choices = "authors|normal",                    \
      .when = adapt_when_, .help = "its first weights: wrapped normal and PyTorch's bias, or normal and no bias" },                        \
    { "adapt_std", DF_REAL_OPTION(type_, at_.adapt.std), .standard = 1e-4, .min = 1e-8, .max = 10, .when = adapt_when_,                    \
      .help = "standard deviation of its first weights" },                                                                                 \
    { "normalise_teacher", DF_BOOL_OPTION(type_, at_.normalise_teacher), .when = when_,                                                    \
      .help = "divide the teacher's neck features by their standard deviation, per level" },                                               \
    { "norm", DF_CHOICE_OPTION(type_, at_.feature.norm), .standard = DF_NORM_BATCH, .choices = "batch|image", .when = norm_when_,          \
      .help = "cells are counted over the batch or per image" },                                                                           \
    { "reduction", DF_CHOICE_OPTION(type_, at_.feature.reduction), .standard = DF_REDUCTION_MSE, .choices = "mse|hcl", .when = when_,      \
      .absent = "mse",                                                                                                                     \
      .help = "squared error of the cells alone, or also of averages over 4x4, 2x2 and 1x1 parts of the map (ReviewKD's HCL)" }
#define DF_MASK_ROWS(type_, at_, level_when_, rounding_when_)                                                                              \
    { "level_rule", DF_CHOICE_OPTION(type_, at_.mask.level_rule), .standard = DF_LEVEL_FPN, .choices = "fpn|matched|all",                  \
      .when = level_when_,                                                                                                                 \
      .help = "an object marks the level of its size (56 px in an image 800 px short, doubling), those whose anchors learn it, or all" },  \
    { "rounding", DF_CHOICE_OPTION(type_, at_.mask.rounding), .standard = DF_ROUND_AUTHORS, .choices = "authors|cover",                    \
      .when = rounding_when_, .help = "cells of a box: end exclusive and truncated, or every cell it touches" }
/* clang-format on */

struct df_neck_state {
    struct df_adapt_layer layer[DF_LEVELS];
};
struct df_feature_term {
    const char *name; /* in the log: "defeat.fg" */
    double weight;
    enum df_region region;
};
/* Adds the adaptation layers "adapt.<level>" of the finest levels. Error: adapt=none between different widths. */
df_status df_neck_adapt(struct df_distiller_setup *setup, const struct df_adapt_options *options, size_t levels,
                        struct df_neck_state *state, struct df_error *err);
/* ... of all levels. Error: also a deviation that is missing. */
df_status df_neck_init(struct df_distiller_setup *setup, const struct df_neck_options *options, struct df_neck_state *state,
                       struct df_error *err);
/* Weighted sum of the terms (their end has no name); each is logged. */
df_tensor *df_neck_loss(const struct df_distill_context *context, const struct df_neck_options *options, const struct df_neck_state *state,
                        const struct df_detection_state *student, const struct df_detection_state *teacher,
                        const struct df_feature_term *terms);

/* ---- backbone (backbone.c): the same over chosen stages; masks: df_mask_stage ---- */
struct df_backbone_options {
    struct df_list stages; /* 2..5; empty: no term */
    struct df_adapt_options adapt;
    struct df_feature_options feature;
    int rounding;
};
struct df_backbone_state {
    struct df_adapt_layer layer[DF_STAGES];
};
void df_backbone_needs(const struct df_backbone_options *options, struct df_needs *needs);
/* Adds the adaptation layers "bb_adapt.<stage>". Errors: a stage that a network lacks or that stands twice, widths as above. */
df_status df_backbone_init(struct df_distiller_setup *setup, const struct df_backbone_options *options, struct df_backbone_state *state,
                           struct df_error *err);
/* ... as above. stages must not be empty. */
df_tensor *df_backbone_loss(const struct df_distill_context *context, const struct df_backbone_options *options,
                            const struct df_backbone_state *state, const struct df_detection_state *student,
                            const struct df_detection_state *teacher, const struct df_feature_term *terms);

/* ---- head (head.c) ----
 * Per group P of rows:  w T^2 / n sum_{i in P} KL_i(T),  n at least 1
 *   two-stage: rows are RoIs, KL_i = sum_k q log(q/p) over classes and background, p = softmax(s_i/T), q = softmax(t_i/T)
 *   one-stage: rows are anchors, KL_i = sum_k [ q log(q/p) + (1-q) log((1-q)/(1-p)) ], p = sigmoid(s_ik/T), q = sigmoid(t_ik/T)
 *   s, t [R,1,1,K+1] or [N,1,A,K]; rows that are padding or ignored (label -2) take no part.
 * mode   all: every row (w_pos, t_pos) | fg: objects (w_pos, t_pos) | bg: background (w_neg, t_neg) | decoupled: fg and bg | correct: the
 *        teacher's class is the label, background included (w_pos, t_pos) | correct_fg: those of objects (w_pos, t_pos).
 *        The teacher's class is its largest logit; one-stage: none, so background, unless that is above 0 (p > 1/2).
 * norm   n = positives of the rows, or the group's own rows; auto: positives for one-stage detectors, own for two-stage ones (theirs).
 * rois   two-stage: rows are the student's sampled proposals through both heads, those that the teacher would sample, or both, as two
 *        losses that are added; auto: the student's. Labels are made anew for the rows that are used. */
enum df_head_mode { DF_HEAD_ALL, DF_HEAD_FG, DF_HEAD_BG, DF_HEAD_DECOUPLED, DF_HEAD_CORRECT, DF_HEAD_CORRECT_FG, DF_HEAD_OFF };
#define DF_HEAD_MODES "all|fg|bg|decoupled|correct|correct_fg"
enum df_head_norm { DF_HEAD_NORM_AUTO, DF_HEAD_NORM_POSITIVES, DF_HEAD_NORM_GROUP };
enum df_head_rois { DF_ROIS_AUTO, DF_ROIS_STUDENT, DF_ROIS_TEACHER, DF_ROIS_BOTH };
struct df_head_options {
    int mode, norm, rois;
    double w_pos, w_neg, t_pos, t_neg;
    bool authors_labels;     /* on the teacher's RoIs: row r has the label of the student's own RoI r */
    bool authors_background; /* the highest label of the batch is background, whether or not a background row is there */
    bool one_temperature;    /* t_neg reads t_pos */
};
/* clang-format off */
#define DF_HEAD_ROWS(type_, at_, norm_name_, pos_when_, neg_when_, t_pos_when_, t_neg_when_, norm_when_, rois_when_)                       \
    { "w_pos", DF_REAL_OPTION(type_, at_.w_pos), .standard = 2, .max = 1e4, .when = pos_when_,                                             \
      .help = "weight of rows on objects, or of the only group" },                                                                         \
    { "w_neg", DF_REAL_OPTION(type_, at_.w_neg), .standard = 2, .max = 1e4, .when = neg_when_, .help = "weight of background rows" },      \
    { "t_pos", DF_REAL_OPTION(type_, at_.t_pos), .standard = 1, .min = 0.01, .max = 100, .when = t_pos_when_,                              \
      .help = "temperature on objects, or of the only group" },                                                                            \
    { "t_neg", DF_REAL_OPTION(type_, at_.t_neg), .standard = 1, .min = 0.01, .max = 100, .when = t_neg_when_,                              \
      .help = "temperature on background" },                                                                                               \
    { norm_name_, DF_CHOICE_OPTION(type_, at_.norm), .standard = DF_HEAD_NORM_AUTO, .choices = "auto|positives|group",                     \
      .when = norm_when_,                                                                                                                  \
      .help = "terms are divided by the number of positives, or each by its own number; auto: positives (one-stage), group (two-stage)" }, \
    { "rois", DF_CHOICE_OPTION(type_, at_.rois), .standard = DF_ROIS_AUTO, .choices = "auto|student|teacher|both", .when = rois_when_,     \
      .help = "two-stage detectors: whose sampled proposals go through both heads; auto: the student's" }
/* clang-format on */
#define DF_NEEDS_OF_HEAD DF_NEEDS_CLASS_LOGITS " roi/logits"
void df_head_needs(const struct df_head_options *options, struct df_needs *needs); /* nothing where it is off */
/* Terms "<name>.pos" and ".neg" (fg, bg, decoupled), ".all", ".correct", ".correct_fg"; with ".teacher" after it on the teacher's RoIs of
 * rois=both. Their weighted sum, each weight times factor. */
df_tensor *df_head_loss(const struct df_distill_context *context, const struct df_head_options *options, const char *name, double factor,
                        const struct df_detection_state *student, const struct df_detection_state *teacher);
#endif
