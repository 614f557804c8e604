/* Region proposal network (Ren et al., NeurIPS 2015) by torchvision's definitions (RPNHead, RegionProposalNetwork) and names ("rpn.head.*").
 * An option of ours: batch norm per level between convolution and ReLU (network.head_norm; the convolutions then have no bias and Kaiming
 * weights). Candidates are ranked by logit, which orders those whose float scores are equal too; remaining ties go by level, then by index.
 * Levels are suppressed one by one and merged by score, which is what torchvision's batched_nms comes to. */
#include "detectors/rpn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/portable_math.h"
#include "core/geometry/box.h"
#include "core/nn/losses.h"

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

    *rpn = (struct df_rpn){ .options = *options, .levels = levels, .convs = (size_t)options->convs };
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

void df_rpn_release(struct df_rpn *rpn)
{
    struct df_rpn_scratch *scratch = &rpn->scratch;
    void *const memory[] = { scratch->logits, scratch->deltas, scratch->values, scratch->index,    scratch->keep,
                             scratch->work,   scratch->box,    scratch->score,  scratch->kept_box, scratch->kept_score };

    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
    df_anchor_set_release(&rpn->anchors);
}

/* [N,h,w,A*columns] as [N,1,h*w*A,columns] */
static df_tensor *rows_of(df_tape *tape, df_tensor *y, size_t columns)
{
    return df_reshape(tape, y, (df_shape){ y->shape.n, 1, y->shape.h * y->shape.w * y->shape.c / columns, columns });
}

void df_rpn_forward(struct df_rpn *rpn, df_tape *tape, df_tensor *const level[DF_LEVELS], bool training, struct df_detection_state *state)
{
    df_tensor *logits[DF_LEVELS], *deltas[DF_LEVELS];

    for (size_t l = 0; l < rpn->levels; l++) {
        df_tensor *y = level[l];

        for (size_t i = 0; i < rpn->convs; i++)
            y = df_conv_unit_forward(tape, rpn->conv[i][l], y, training);
        logits[l] = rows_of(tape, df_conv_unit_forward(tape, rpn->logits, y, training), 1);
        deltas[l] = rows_of(tape, df_conv_unit_forward(tape, rpn->deltas, y, training), 4);
    }
    state->class_logits = df_concat(tape, logits, rpn->levels, 2);
    state->box_deltas = df_concat(tape, deltas, rpn->levels, 2);
    df_anchor_set_make(&rpn->anchors, &rpn->options.anchor, state->canvas_h, state->canvas_w, rpn->levels, level);
    state->anchors = rpn->anchors.count;
    state->anchor = rpn->anchors.box;
    for (size_t l = 0; l < rpn->levels; l++)
        state->level_anchors[l] = rpn->anchors.level_count[l];
}

void df_rpn_assign(struct df_rpn *rpn, df_tape *tape, struct df_detection_state *state)
{
    const size_t anchors = state->anchors, rows = state->batch * anchors;
    int32_t *label = df_tape_host(tape, rows * sizeof *label), *matched = df_tape_host(tape, rows * sizeof *matched);
    df_real *target = df_tape_host(tape, rows * 4 * sizeof *target);
    const double begun = df_profile_begin(df_tape_device(tape));

    memset(target, 0, rows * 4 * sizeof *target);
    for (size_t n = 0; n < state->batch; n++) {
        const struct df_ground_truth *truth = &state->images->truth[n];

        state->positives += df_match_anchors(&rpn->anchors, &rpn->options.matcher, truth, label + n * anchors);
        for (size_t a = 0, r = n * anchors; a < anchors; a++, r++) {
            float deltas[4];

            matched[r] = label[r];
            if (label[r] < 0)
                continue;
            df_box_encode(state->anchor[a], truth->boxes[label[r]], rpn->box_weights, deltas);
            for (size_t k = 0; k < 4; k++)
                target[4 * r + k] = (df_real)deltas[k];
            label[r] = 0;
        }
    }
    state->label = label;
    state->matched = matched;
    state->target = target;
    df_profile_end(df_tape_device(tape), "host: anchor labels", begun);
}

static void reserve(struct df_rpn_scratch *scratch, size_t anchors, size_t candidates, size_t kept)
{
    if (anchors > scratch->anchors_room) {
        scratch->anchors_room = anchors;
        scratch->logits = df_realloc(scratch->logits, anchors * sizeof *scratch->logits);
        scratch->deltas = df_realloc(scratch->deltas, anchors * 4 * sizeof *scratch->deltas);
        scratch->values = df_realloc(scratch->values, anchors * sizeof *scratch->values);
    }
    if (candidates > scratch->candidates_room) {
        scratch->candidates_room = candidates;
        scratch->index = df_realloc(scratch->index, candidates * sizeof *scratch->index);
        scratch->keep = df_realloc(scratch->keep, candidates * sizeof *scratch->keep);
        scratch->work = df_realloc(scratch->work, candidates * sizeof *scratch->work);
        scratch->box = df_realloc(scratch->box, candidates * sizeof *scratch->box);
        scratch->score = df_realloc(scratch->score, candidates * sizeof *scratch->score);
    }
    if (kept > scratch->kept_room) {
        scratch->kept_room = kept;
        scratch->kept_box = df_realloc(scratch->kept_box, kept * sizeof *scratch->kept_box);
        scratch->kept_score = df_realloc(scratch->kept_score, kept * sizeof *scratch->kept_score);
    }
}

static struct df_box decode(const struct df_rpn *rpn, const struct df_detection_state *state, size_t anchor, size_t image)
{
    const df_real *from = rpn->scratch.deltas + 4 * anchor;
    const float deltas[4] = { (float)from[0], (float)from[1], (float)from[2], (float)from[3] };
    const struct df_box box = df_box_decode(state->anchor[anchor], deltas, rpn->box_weights);

    return df_box_clip(box, (float)state->images->valid_w[image], (float)state->images->valid_h[image]);
}

/* What non-maximum suppression leaves of a level (anchors first .. first + count), at most `most` boxes, falling score. */
static size_t level_proposals(struct df_rpn *rpn, const struct df_detection_state *state, size_t image, size_t first, size_t count,
                              size_t candidates, size_t most, struct df_box *kept_box, float *kept_score)
{
    struct df_rpn_scratch *scratch = &rpn->scratch;
    const struct df_rpn_options *options = &rpn->options;
    const float least = (float)options->min_size;
    const size_t taken =
        df_top_k(count, scratch->values + first, candidates < count ? candidates : count, -INFINITY, scratch->index, scratch->work);
    size_t n = 0, kept;

    for (size_t i = 0; i < taken; i++) {
        const size_t a = first + scratch->index[i];
        const float score = 1 / (1 + df_expf(-scratch->values[a]));
        const struct df_box box = decode(rpn, state, a, image);

        if (!(box.x1 - box.x0 >= least && box.y1 - box.y0 >= least && (double)score >= options->score_threshold))
            continue;
        scratch->box[n] = box;
        scratch->score[n++] = score;
    }
    kept = df_nms(n, scratch->box, scratch->score, NULL, (float)options->nms_iou, most, scratch->keep, scratch->work);
    for (size_t i = 0; i < kept; i++) {
        kept_box[i] = scratch->box[scratch->keep[i]];
        kept_score[i] = scratch->score[scratch->keep[i]];
    }
    return kept;
}

/* The best `most` of all levels' kept boxes. */
static size_t merge(const struct df_rpn_scratch *scratch, size_t levels, const size_t kept[DF_LEVELS], size_t stride, size_t most,
                    struct df_box *out)
{
    size_t next[DF_LEVELS] = { 0 }, found = 0;

    for (; found < most; found++) {
        size_t best = levels;

        for (size_t l = 0; l < levels; l++)
            if (next[l] < kept[l] &&
                (best == levels || scratch->kept_score[l * stride + next[l]] > scratch->kept_score[best * stride + next[best]]))
                best = l;
        if (best == levels)
            break;
        out[found] = scratch->kept_box[best * stride + next[best]++];
    }
    return found;
}

size_t df_rpn_propose(struct df_rpn *rpn, df_tape *tape, const struct df_detection_state *state, size_t image, int mode, struct df_box *out)
{
    struct df_rpn_scratch *scratch = &rpn->scratch;
    const size_t candidates = (size_t)rpn->options.pre_nms[mode], most = (size_t)rpn->options.post_nms[mode], anchors = state->anchors;
    const size_t stride = candidates < most ? candidates : most;
    const double begun = df_profile_begin(df_tape_device(tape));
    size_t kept[DF_LEVELS], first = 0, found;

    reserve(scratch, anchors, candidates, rpn->levels * stride);
    df_read(df_tape_device(tape), scratch->logits, state->class_logits->data + image * anchors, anchors * sizeof(df_real));
    df_read(df_tape_device(tape), scratch->deltas, state->box_deltas->data + image * anchors * 4, anchors * 4 * sizeof(df_real));
    for (size_t a = 0; a < anchors; a++)
        scratch->values[a] = (float)scratch->logits[a];
    for (size_t l = 0; l < rpn->levels; l++) {
        kept[l] = level_proposals(rpn, state, image, first, state->level_anchors[l], candidates, stride, scratch->kept_box + l * stride,
                                  scratch->kept_score + l * stride);
        first += state->level_anchors[l];
    }
    found = merge(scratch, rpn->levels, kept, stride, most, out);
    df_profile_end(df_tape_device(tape), "host: proposals", begun);
    return found;
}

void df_rpn_loss(const struct df_rpn *rpn, df_tape *tape, const struct df_detection_state *state, df_tensor **objectness, df_tensor **box)
{
    const size_t anchors = state->anchors, rows = state->batch * anchors;
    const double begun = df_profile_begin(df_tape_device(tape));
    uint32_t *scratch = df_tape_host(tape, anchors * sizeof *scratch);
    uint8_t *use = df_tape_host(tape, rows);
    df_real *weight = df_tape_host(tape, rows * sizeof *weight), *target = df_tape_host(tape, rows * sizeof *target);
    size_t sampled = 0;
    double norm;

    for (size_t n = 0; n < state->batch; n++)
        sampled += df_sample(&rpn->options.sampler, state->images, n, DF_SAMPLE_ANCHORS, anchors, state->label + n * anchors,
                             use + n * anchors, scratch);
    for (size_t r = 0; r < rows; r++) {
        weight[r] = use[r];
        target[r] = state->label[r] >= 0;
        use[r] = use[r] && state->label[r] >= 0;
    }
    norm = sampled ? (double)sampled : 1;
    df_profile_end(df_tape_device(tape), "host: sampling", begun);

    const df_shape shape = state->class_logits->shape;

    *objectness = df_bce_logits(tape, state->class_logits, df_tensor_from(tape, shape, target), df_tensor_from(tape, shape, weight), norm);
    *box = df_smooth_l1(tape, state->box_deltas, state->target, use, rpn->options.box_beta, norm);
}
