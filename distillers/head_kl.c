/* Head imitation: KL divergence between the class probabilities of the dense heads, anchors on objects and on background apart.
 *   L = w_pos KL(t || s; positives, t_pos) + w_neg KL(t || s; negatives, t_neg)                       (formula, shapes, normaliser: common.h)
 * Source: Hinton et al. 2015 in the decoupled form of DeFeat; weights 2, 2 and temperatures 1, 1 are those in the authors' configurations.
 * Deviates: sigmoid instead of softmax (the dense classifier has no background class), anchors instead of proposals, two temperatures
 * (theirs reads one), and both terms are divided by the number of positives unless norm=group (theirs divides each by its own number). */
#include "distillers/common.h"

struct head_kl_options {
    struct df_head_options head;
};
static const df_option head_kl_options[] = { DF_HEAD_ROWS(struct head_kl_options, head, "norm", NULL), { 0 } };

static df_tensor *head_kl_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                               const struct df_detection_state *teacher)
{
    const struct head_kl_options *options = context->options;

    return df_head_loss(context, &options->head, "head_kl.pos", "head_kl.neg", student, teacher);
}

const struct df_distiller_class df_distiller_head_kl = {
    .abi = DF_DISTILLER_ABI,
    .name = "head_kl",
    .summary = "class probabilities of the dense head, positives and negatives weighted apart",
    .cite = "Hinton et al. 2015, arXiv:1503.02531; Guo et al., CVPR 2021, arXiv:2103.14475",
    .needs = DF_NEEDS_DENSE_HEAD,
    .options = head_kl_options,
    .options_size = sizeof(struct head_kl_options),
    .loss = head_kl_loss,
};
