/* Foreground imitation: the object half of DeFeat's neck loss alone.
 *   L = w/L sum_l mse(a_l(s_l), t_l; m_l),  m_l = cells inside ground-truth boxes    (terms, shapes, normaliser: common.h)
 * Source: the DeFeat authors' code, mask "gt"; w = 4 is DeFeat's weight of object regions. */
#include "distillers/common.h"

struct foreground_options {
    double w;
    struct df_neck_options neck;
};
#define O struct foreground_options
static const df_option foreground_options[] = {
    { "w", DF_REAL_OPTION(O, w), 4, 0, 1e4, "weight of object regions", NULL, NULL, NULL },
    DF_NECK_ROWS(O, neck, NULL, "adapt!=none"),
    DF_MASK_ROWS(O, neck, NULL, NULL),
    { 0 },
};
#undef O

static df_status foreground_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct foreground_options *options = setup->options;

    return df_neck_init(setup, &options->neck, setup->state, err);
}

static df_tensor *foreground_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                                  const struct df_detection_state *teacher)
{
    const struct foreground_options *options = context->options;
    const struct df_feature_term term = { "foreground.neck", options->w, DF_REGION_FOREGROUND };

    return df_neck_loss(context, &options->neck, context->state, student, teacher, &term, 1);
}

const struct df_distiller_class df_distiller_foreground = {
    .abi = DF_DISTILLER_ABI,
    .name = "foreground",
    .summary = "imitates the neck features inside ground-truth boxes",
    .cite = "Guo et al., CVPR 2021, arXiv:2103.14475",
    .needs = DF_NEEDS_NECK,
    .options = foreground_options,
    .options_size = sizeof(struct foreground_options),
    .state_size = sizeof(struct df_neck_state),
    .init = foreground_init,
    .loss = foreground_loss,
};
