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
static const df_option full_feature_options[] = { W(3, "the neck term"), DF_NECK_ROWS(O, neck, NULL, "adapt!=none"), { 0 } };
static const df_option foreground_options[] = {
    W(4, "object regions"), DF_NECK_ROWS(O, neck, NULL, "adapt!=none"), DF_MASK_ROWS(O, neck, NULL, NULL), { 0 }
};
static const df_option background_options[] = {
    W(16, "background regions"), DF_NECK_ROWS(O, neck, NULL, "adapt!=none"), DF_MASK_ROWS(O, neck, NULL, NULL), { 0 }
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
    const struct df_feature_term term = { name, options->w, region };

    return df_neck_loss(context, &options->neck, context->state, student, teacher, &term, 1);
}

#define REGION(name_, region_, summary_, cite_)                                                                                            \
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
        .options_size = sizeof(struct region_options),                                                                                     \
        .state_size = sizeof(struct df_neck_state),                                                                                        \
        .init = region_init,                                                                                                               \
        .loss = name_##_loss,                                                                                                              \
    }

REGION(full_feature, DF_REGION_ALL, "imitates all cells of the neck features",
       "Romero et al., ICLR 2015, arXiv:1412.6550 (FitNets); normaliser of Guo et al., CVPR 2021");
REGION(foreground, DF_REGION_FOREGROUND, "imitates the neck features inside ground-truth boxes", "Guo et al., CVPR 2021, arXiv:2103.14475");
REGION(background, DF_REGION_BACKGROUND, "imitates the neck features outside ground-truth boxes",
       "Guo et al., CVPR 2021, arXiv:2103.14475");
