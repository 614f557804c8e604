/* Background imitation: the background half of DeFeat's neck loss alone.
 *   L = w/L sum_l mse(a_l(s_l), t_l; 1 - m_l),  m_l = cells inside ground-truth boxes    (terms, shapes, normaliser: common.h)
 * Source: the DeFeat authors' code, mask "gt" inverted; w = 16 is DeFeat's weight of background regions. */
#include "distillers/common.h"

struct background_options {
    double w;
    struct df_neck_options neck;
};
#define O struct background_options
static const df_option background_options[] = {
    { "w", DF_REAL_OPTION(O, w), 16, 0, 1e4, "weight of background regions", NULL, NULL, NULL },
    DF_NECK_ROWS(O, neck, NULL, "adapt!=none"),
    DF_MASK_ROWS(O, neck, NULL, NULL),
    { 0 },
};
#undef O

static df_status background_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct background_options *options = setup->options;

    return df_neck_init(setup, &options->neck, setup->state, err);
}

static df_tensor *background_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                                  const struct df_detection_state *teacher)
{
    const struct background_options *options = context->options;
    const struct df_feature_term term = { "background.neck", options->w, DF_REGION_BACKGROUND };

    return df_neck_loss(context, &options->neck, context->state, student, teacher, &term, 1);
}

const struct df_distiller_class df_distiller_background = {
    .abi = DF_DISTILLER_ABI,
    .name = "background",
    .summary = "imitates the neck features outside ground-truth boxes",
    .cite = "Guo et al., CVPR 2021, arXiv:2103.14475",
    .needs = DF_NEEDS_NECK,
    .options = background_options,
    .options_size = sizeof(struct background_options),
    .state_size = sizeof(struct df_neck_state),
    .init = background_init,
    .loss = background_loss,
};
