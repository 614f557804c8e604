/* Head imitation: KL divergence between the class probabilities of the two heads, rows on objects and on background apart.
 *   L = w_pos KL(t || s; positives, t_pos) + w_neg KL(t || s; negatives, t_neg)      (other groups, formula, shapes, normaliser: common.h)
 * Source: Hinton et al. 2015 in the decoupled form of DeFeat; weights 2, 2 and temperatures 1, 1 are those in the authors' configurations.
 * Deviates: two temperatures (theirs reads one); one-stage detectors: sigmoid over anchors, both terms divided by the number of positives. */
#include "distillers/common.h"

struct head_kl_options {
    struct df_head_options head;
};
#define O struct head_kl_options
static const df_option head_kl_options[] = {
    { "mode", DF_CHOICE_OPTION(O, head.mode), .standard = DF_HEAD_DECOUPLED, .choices = DF_HEAD_MODES, .help = "which rows are imitated" },
    DF_HEAD_ROWS(O, head, "norm", "mode!=bg", "mode=bg|decoupled", "mode!=bg", "mode=bg|decoupled", NULL, NULL),
    { 0 },
};
#undef O

static void head_kl_needs(const void *values, struct df_needs *needs)
{
    df_head_needs(&((const struct head_kl_options *)values)->head, needs);
}

static df_tensor *head_kl_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                               const struct df_detection_state *teacher)
{
    return df_head_loss(context, &((const struct head_kl_options *)context->options)->head, "head_kl", 1, student, teacher);
}

const struct df_distiller_class df_distiller_head_kl = {
    .abi = DF_DISTILLER_ABI,
    .name = "head_kl",
    .summary = "class probabilities of the head, positives and negatives weighted apart",
    .cite = "Hinton et al. 2015, arXiv:1503.02531; Guo et al., CVPR 2021, arXiv:2103.14475",
    .needs = DF_NEEDS_OF_HEAD,
    .needs_of = head_kl_needs,
    .options = head_kl_options,
    .tunable = "w_pos w_neg",
    .options_size = sizeof(struct head_kl_options),
    .loss = head_kl_loss,
    .formula = "L = w_pos t_pos^2/n_pos sum_{i on objects} KL_i(t_pos) + w_neg t_neg^2/n_neg sum_{i on background} KL_i(t_neg)\n"
               "two-stage: rows i are RoIs, KL_i(T) = sum_k q log(q/p), p = softmax(s_i/T), q = softmax(t_i/T)\n"
               "one-stage: rows i are anchors, KL_i(T) = sum_k [ q log(q/p) + (1-q) log((1-q)/(1-p)) ], p, q: sigmoids\n"
               "s, t: class logits of student and teacher; n: rows of the group, or all positives",
    .deviation =
        "The authors' code has one temperature and no term for one-stage detectors: sigmoid over anchors, divided by the number of "
        "positives, is ours.",
    .published = "Weights 2 and 2, temperatures 1 and 1: the DeFeat authors' configurations, where the term is off. Their repository's "
                 "issue 18 calls it worth 0.1 to 0.2 mAP; United-Perception calls it useless and unstable.",
};
