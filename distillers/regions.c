/* Three that imitate one region of the neck with one weight: every cell, the cells of objects, those of background.
 *   L = w/L sum_l mse(a_l(s_l), t_l; m),  m = 1 | m_l | 1 - m_l,  m_l = cells inside ground-truth boxes     (terms, shapes, normaliser: common.h)
 * Source: the DeFeat authors' code: its undecoupled branch with a mask of ones, w = 3; its mask "gt" and the same inverted, with DeFeat's
 * weights of object regions, 4, and of background, 16. */
#include "distillers/common.h"

struct region_options {
    double w;
    struct df_neck_options neck;
};
#define O struct region_options
#define W(w_, of)                                                                                                                          \
    {                                                                                                                                      \
        "w", DF_REAL_OPTION(O, w), w_, 0, 1e4, "weight of " of, NULL, NULL, NULL                                                           \
    }
static const df_option full_feature_options[] = { W(3, "the neck term"),
                                                  DF_NECK_ROWS(O, neck, NULL, "adapt!=none", "reduction=mse"),
                                                  { 0 } };
static const df_option foreground_options[] = {
    W(4, "object regions"), DF_NECK_ROWS(O, neck, NULL, "adapt!=none", "reduction=mse"), DF_MASK_ROWS(O, neck, NULL, NULL), { 0 }
};
static const df_option background_options[] = {
    W(16, "background regions"), DF_NECK_ROWS(O, neck, NULL, "adapt!=none", "reduction=mse"), DF_MASK_ROWS(O, neck, NULL, NULL), { 0 }
};
#undef O
#undef W

static df_status region_init(struct df_distiller_setup *setup, struct df_error *err)
{
    return df_neck_init(setup, &((const struct region_options *)setup->options)->neck, setup->state, err);
}

static df_tensor *region_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                              const struct df_detection_state *teacher, const char *name, enum df_region region)
{
    const struct region_options *options = context->options;
    const struct df_feature_term terms[] = { { name, options->w, region }, { 0 } };

    return df_neck_loss(context, &options->neck, context->state, student, teacher, terms);
}

#define LEVELS_DEVIATE                                                                                                                     \
    "An object's level follows its size in proportion to the image's shorter side (the DeFeat authors' code: from 56 px at any size)."
#define REGION(name_, region_, summary_, cite_, mask_, deviation_, published_)                                                             \
    static df_tensor *name_##_loss(const struct df_distill_context *context, const struct df_detection_state *student,                     \
                                   const struct df_detection_state *teacher)                                                               \
    {                                                                                                                                      \
        return region_loss(context, student, teacher, #name_ ".neck", region_);                                                            \
    }                                                                                                                                      \
    const struct df_distiller_class df_distiller_##name_ = {                                                                               \
        .abi = DF_DISTILLER_ABI,                                                                                                           \
        .name = #name_,                                                                                                                    \
        .summary = summary_,                                                                                                               \
        .cite = cite_,                                                                                                                     \
        .needs = "neck/*",                                                                                                                 \
        .options = name_##_options,                                                                                                        \
        .tunable = "w",                                                                                                                    \
        .options_size = sizeof(struct region_options),                                                                                     \
        .state_size = sizeof(struct df_neck_state),                                                                                        \
        .init = region_init,                                                                                                               \
        .loss = name_##_loss,                                                                                                              \
        .formula = "L = w/L sum_l [ sum m_l (a_l(s_l) - t_l)^2 / max(1, 2 C_l sum m_l) ]\n"                                                \
                   "s, t: neck features of student and teacher; a: convolution of each level; C_l: channels; L: levels\n" mask_,           \
        .deviation = deviation_,                                                                                                           \
        .published = published_,                                                                                                           \
    }

REGION(full_feature, DF_REGION_ALL, "imitates all cells of the neck features",
       "Romero et al., ICLR 2015, arXiv:1412.6550 (FitNets); normaliser of Guo et al., CVPR 2021", "m: 1 everywhere",
       "FitNets regress one layer of a classifier; here every level of the neck counts the same, with DeFeat's divisor.",
       "w = 3: the DeFeat authors' VOC configuration of imitation without decoupling. COCO, GFL, R101 to R50, 12 epochs: 40.1 to 40.7 AP "
       "(HikariTJU/LD, README.md); Faster R-CNN, R152 to R50, features normalised: 38.0 to 39.5 AP (ModelTC/United-Perception, "
       "benchmark/distillation.md).");
REGION(foreground, DF_REGION_FOREGROUND, "imitates the neck features inside ground-truth boxes", "Guo et al., CVPR 2021, arXiv:2103.14475",
       "m: 1 in the cells of ground-truth boxes, on the level of their size", LEVELS_DEVIATE,
       "w = 4: DeFeat's weight of object regions on COCO. Inside boxes only, another code's normaliser: COCO, GFL, R101 to R50, 12 epochs: "
       "40.1 to 40.7 AP (HikariTJU/LD, README.md).");
REGION(background, DF_REGION_BACKGROUND, "imitates the neck features outside ground-truth boxes", "Guo et al., CVPR 2021, arXiv:2103.14475",
       "m: 0 in the cells of ground-truth boxes, on the level of their size; else 1", LEVELS_DEVIATE,
       "w = 16: DeFeat's weight of background regions on COCO.");
