/* Region proposal network (Ren et al., NeurIPS 2015) by torchvision's definitions (RPNHead, RegionProposalNetwork) and names ("rpn.head.*").
 * An option of ours: batch norm per level between convolution and ReLU (network.head_norm; the convolutions then have no bias and Kaiming
 * weights). */
#include "detectors/rpn.h"

#include <stdio.h>
#include <string.h>

#include "core/geometry/box.h"
#include "core/nn/losses.h"
#include "detectors/candidates.h"

static struct df_conv_unit *add_output(struct df_conv_units *units, const char *name, size_t in, size_t out, double std)
{
    const struct df_conv_unit_plan plan = {
        .conv = name, .in = in, .out = out, .kernel = 1, .stride = 1, .bias = true, .init = { DF_INIT_NORMAL, std }
    };

    return df_conv_units_add(units, &plan);
}

void df_rpn_init(struct df_rpn *rpn, const struct df_rpn_options *options, struct df_conv_units *units,
                 const struct df_network_options *network, size_t levels)
{
    const size_t width = (size_t)network->fpn_channels, cell = options->anchor.scales.count * options->anchor.ratios.count;
    const struct df_initialiser narrow = { DF_INIT_NORMAL, options->weight_std }, kaiming = { DF_INIT_KAIMING_FAN_OUT, 0 };
    const bool normed = network->head_norm != 0;
    char conv[80], norm[80];

    *rpn =
        (struct df_rpn){ .options = *options, .levels = levels, .convs = (size_t)options->convs, .anchors.parameters = units->parameters };
    for (size_t k = 0; k < 4; k++)
        rpn->box_weights[k] = (float)options->box_weights.value[k];
    for (size_t i = 0; i < rpn->convs; i++)
        for (size_t l = 0; l < levels; l++) {
            const struct df_conv_unit_plan plan = { .conv = conv,
                                                    .norm = normed ? norm : NULL,
                                                    .share = l ? rpn->conv[i][0] : NULL,
                                                    .in = width,
                                                    .out = width,
                                                    .kernel = 3,
                                                    .stride = 1,
                                                    .bias = !normed,
                                                    .relu = true,
                                                    .init = normed ? kaiming : narrow };

            snprintf(conv, sizeof conv, "rpn.head.conv.%zu.0", i);
            snprintf(norm, sizeof norm, "rpn.head.norm.%zu.%zu", i, l);
            rpn->conv[i][l] = l && !normed ? rpn->conv[i][0] : df_conv_units_add(units, &plan);
        }
    rpn->logits = add_output(units, "rpn.head.cls_logits", width, cell, options->weight_std);
    rpn->deltas = add_output(units, "rpn.head.bbox_pred", width, 4 * cell, options->weight_std);
}

void df_rpn_release(struct df_rpn *rpn) { df_anchor_set_release(&rpn->anchors); }

/* [N,h,w,A*columns] as [N,1,h*w*A,columns] */
static df_tensor *rows_of(df_tape *tape, df_tensor *y, size_t columns)
{
    return df_reshape(tape, y, (df_shape){ y->shape.n, 1, y->shape.h * y->shape.w * y->shape.c / columns, columns });
}

void df_rpn_forward(struct df_rpn *rpn, df_tape *tape, bool training, struct df_detection_state *state)
{
    df_tensor *logits[DF_LEVELS], *deltas[DF_LEVELS];

    for (size_t l = 0; l < rpn->levels; l++) {
        df_tensor *y = df_part(state, "neck", l)->tensor;

        for (size_t i = 0; i < rpn->convs; i++)
            y = df_conv_unit_forward(tape, rpn->conv[i][l], y, training);
        logits[l] = rows_of(tape, df_conv_unit_forward(tape, rpn->logits, y, training), 1);
        deltas[l] = rows_of(tape, df_conv_unit_forward(tape, rpn->deltas, y, training), 4);
    }
    df_dense_rows(&rpn->anchors, &rpn->options.anchor, tape, logits, deltas, state);
}

void df_rpn_assign(struct df_rpn *rpn, df_tape *tape, struct df_detection_state *state)
{
    const struct df_assignment how = { &rpn->options.matcher, rpn->box_weights, false };

    df_assign_anchors(&how, tape, state);
}

const struct df_scored_box *df_rpn_propose(const struct df_rpn *rpn, df_tape *tape, const struct df_detection_state *state, int mode,
                                           size_t *most)
{
    const struct df_rpn_options *options = &rpn->options;
    struct df_dense_choice choice = {
        .candidates = (size_t)options->pre_nms[mode],
        .by_level = true,
        .rule = { .threshold = options->score_threshold, .inclusive = true, .min_size = (float)options->min_size }
    };

    memcpy(choice.rule.weights, rpn->box_weights, sizeof rpn->box_weights);

    const struct df_candidate_set set = df_dense_candidates(tape, state, 0, state->batch, &choice);

    *most = (size_t)options->post_nms[mode];
    return df_candidates_kept(tape, &set, options->nms_iou, most);
}

void df_rpn_loss(const struct df_rpn *rpn, df_tape *tape, const struct df_detection_state *state, df_tensor **objectness, df_tensor **box)
{
    const struct df_sampled sampled = df_sample_rows(&rpn->options.sampler, tape, (struct df_sample_of){ state->images, DF_SAMPLE_ANCHORS },
                                                     df_part_tensor(state, "label"));
    const struct df_counted_norm norm = df_loss_norm_counted(tape, sampled.count, state->batch);

    *objectness = df_bce_logits_counted(tape, df_part_tensor(state, "logits"), sampled.target, sampled.weight, norm);
    *box = df_smooth_l1_counted(tape, df_part_tensor(state, "deltas"), df_part_tensor(state, "target"), sampled.positive,
                                rpn->options.box_beta, norm);
}
