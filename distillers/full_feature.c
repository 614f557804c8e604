/* Full-feature imitation: every cell of the neck weighs the same.
 *   L = w/L sum_l mse(a_l(s_l), t_l; 1)                                     (terms, shapes, normaliser: common.h)
 * Source: the undecoupled branch of the DeFeat authors' code with a mask of ones; w = 3 is their weight of undecoupled imitation. */
#include "distillers/common.h"

struct full_feature_options {
    double w;
    struct df_neck_options neck;
};
#define O struct full_feature_options
static const df_option full_feature_options[] = {
    { "w", DF_REAL_OPTION(O, w), 3, 0, 1e4, "weight of the neck term", NULL, NULL, NULL },
    DF_NECK_ROWS(O, neck, NULL, "adapt!=none"),
    { 0 },
};
#undef O

static df_status full_feature_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct full_feature_options *options = setup->options;

    return df_neck_init(setup, &options->neck, setup->state, err);
}

static df_tensor *full_feature_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                                    const struct df_detection_state *teacher)
{
    const struct full_feature_options *options = context->options;
    const struct df_feature_term term = { "full_feature.neck", options->w, DF_REGION_ALL };

    return df_neck_loss(context, &options->neck, context->state, student, teacher, &term, 1);
}

const struct df_distiller_class df_distiller_full_feature = {
    .abi = DF_DISTILLER_ABI,
    .name = "full_feature",
    .summary = "imitates all cells of the neck features",
    .cite = "Romero et al., ICLR 2015, arXiv:1412.6550 (FitNets); normaliser of Guo et al., CVPR 2021",
    .needs = DF_NEEDS_NECK,
    .options = full_feature_options,
    .options_size = sizeof(struct full_feature_options),
    .state_size = sizeof(struct df_neck_state),
    .init = full_feature_init,
    .loss = full_feature_loss,
};
