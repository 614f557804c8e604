/* DeFeat: imitate object and background regions of the neck, and positive and negative anchors of the head, each with its own weight
 * (Guo et al., CVPR 2021).
 *   L = 1/L sum_l [ w_fg mse(a_l(s_l), t_l; m_l) + w_bg mse(a_l(s_l), t_l; 1 - m_l) ]
 *     + w_pos KL(t || s; positives, t_pos) + w_neg KL(t || s; negatives, t_neg)      (terms, shapes, normalisers: common.h)
 * Source: the authors' code; w_fg = 4, w_bg = 16 are their COCO weights. The head is off unless head=decoupled: the authors report at best
 * 0.1-0.2 mAP from it. Deviates: two temperatures (theirs reads one); the head term as in head_kl.c; no backbone term. */
#include "distillers/common.h"

struct defeat_options {
    double w_fg, w_bg;
    struct df_neck_options neck;
    int head;
    struct df_head_options head_kl;
};
enum { HEAD_OFF, HEAD_DECOUPLED };
#define O struct defeat_options
static const df_option defeat_options[] = {
    { "w_fg", DF_REAL_OPTION(O, w_fg), 4, 0, 1e4, "weight of object regions", NULL, NULL, NULL },
    { "w_bg", DF_REAL_OPTION(O, w_bg), 16, 0, 1e4, "weight of background regions", NULL, NULL, NULL },
    DF_NECK_ROWS(O, neck),
    DF_MASK_ROWS(O, neck),
    { "head", DF_CHOICE_OPTION(O, head), HEAD_OFF, 0, 0, "imitation of the dense head's class probabilities", NULL, "off|decoupled", NULL },
    DF_HEAD_ROWS(O, head_kl, "head_norm", "head=decoupled"),
    { 0 },
};
#undef O

static unsigned defeat_needs(const void *values)
{
    const struct defeat_options *options = values;

    return options->head == HEAD_OFF ? DF_NEEDS_NECK : DF_NEEDS_NECK | DF_NEEDS_DENSE_HEAD;
}

static df_status defeat_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct defeat_options *options = setup->options;

    return df_neck_init(setup, &options->neck, setup->state, err);
}

static df_tensor *defeat_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                              const struct df_detection_state *teacher)
{
    const struct defeat_options *options = context->options;
    const struct df_neck_term terms[] = { { "defeat.fg", options->w_fg, DF_REGION_FOREGROUND },
                                          { "defeat.bg", options->w_bg, DF_REGION_BACKGROUND } };
    df_tensor *neck = df_neck_loss(context, &options->neck, context->state, student, teacher, terms, 2);

    if (options->head == HEAD_OFF)
        return neck;
    return df_add(context->tape, neck, df_head_loss(context, &options->head_kl, "defeat.pos", "defeat.neg", student, teacher));
}

const struct df_distiller_class df_distiller_defeat = {
    .abi = DF_DISTILLER_ABI,
    .name = "defeat",
    .summary = "decoupled foreground and background neck features, positive and negative anchors of the head",
    .cite = "Guo et al., CVPR 2021, arXiv:2103.14475",
    .needs = DF_NEEDS_NECK | DF_NEEDS_DENSE_HEAD,
    .needs_of = defeat_needs,
    .options = defeat_options,
    .options_size = sizeof(struct defeat_options),
    .state_size = sizeof(struct df_neck_state),
    .init = defeat_init,
    .loss = defeat_loss,
};
