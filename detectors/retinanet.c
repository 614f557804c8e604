/* RetinaNet (Lin et al., ICCV 2017) by torchvision's definitions, names and defaults: a classification and a regression branch shared by all
 * levels, focal loss and (smooth) L1 over the matched anchors. What the small configuration or mmdet do otherwise is an option: batch norm per
 * level in the head (head_norm; its convolutions then have no bias and Kaiming weights), loss_norm batch, box weights, anchor centres.
 * Dense outputs: [N,h,w,A*K] is [N,1,h*w*A,K] in memory; levels are concatenated along w. */
#include "detectors/detector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/portable_math.h"
#include "core/geometry/box.h"
#include "core/nn/losses.h"
#include "detectors/anchors.h"
#include "detectors/candidates.h"
#include "detectors/conv_unit.h"

extern const struct df_detector_class df_detector_retinanet; /* below */

enum { LOSS_NORM_IMAGE, LOSS_NORM_BATCH };
enum { BOX_LOSS_L1, BOX_LOSS_SMOOTH_L1 };

struct retinanet_options {
    struct df_anchor_options anchor;
    struct df_matcher matcher;
    double focal_alpha, focal_gamma, prior;
    int loss_norm, box_loss;
    double box_beta, box_loss_weight;
    struct df_list box_weights;
    int64_t candidates;
    struct df_detection_options post;
};

#define ROW struct retinanet_options
static const df_option retinanet_options[] = {
    { "anchor_size", DF_REAL_LIST_OPTION(ROW, anchor.size), .min = 1, .max = 1e5, .text = "32,64,128,256,512",
      .help = "base size of each level's anchors (canvas pixels)" },
    { "anchor_scales", DF_REAL_LIST_OPTION(ROW, anchor.scales), .min = 0.01, .max = 100, .text = "1,1.2599210498948732,1.5874010519681994",
      .help = "sizes per level, times its base size" },
    { "anchor_ratios", DF_REAL_LIST_OPTION(ROW, anchor.ratios), .min = 0.01, .max = 100, .text = "0.5,1,2",
      .help = "height / width of the anchors" },
    { "anchor_truncate", DF_BOOL_OPTION(ROW, anchor.truncate), .standard = 1, .help = "cut size x scale to whole pixels" },
    { "anchor_rounding", DF_BOOL_OPTION(ROW, anchor.rounding), .standard = 1,
      .help = "round the corners of a cell's anchors to whole pixels" },
    { "anchor_offset", DF_REAL_OPTION(ROW, anchor.offset), .max = 1, .help = "where in its cell an anchor is centred (cells)" },
    { "fg_iou", DF_REAL_OPTION(ROW, matcher.fg_iou), .standard = 0.5, .max = 1, .help = "an anchor with at least this IoU is positive" },
    { "bg_iou", DF_REAL_OPTION(ROW, matcher.bg_iou), .standard = 0.4, .max = 1,
      .help = "an anchor below this IoU is background, between the two it is ignored" },
    { "low_quality", DF_BOOL_OPTION(ROW, matcher.low_quality), .standard = 1, .help = "the best anchors of every object are positive" },
    { "low_quality_iou", DF_REAL_OPTION(ROW, matcher.low_quality_iou), .max = 1, .when = "low_quality=1",
      .help = "such an anchor is positive only above this IoU" },
    { "low_quality_box", DF_CHOICE_OPTION(ROW, matcher.low_quality_box), .standard = DF_FORCED_BEST, .choices = "best|own",
      .when = "low_quality=1", .help = "such an anchor learns the box that it overlaps most, or the object's own" },
    { "focal_alpha", DF_REAL_OPTION(ROW, focal_alpha), .standard = 0.25, .min = -1, .max = 1,
      .help = "focal loss: weight of positives; below 0: none" },
    { "focal_gamma", DF_REAL_OPTION(ROW, focal_gamma), .standard = 2, .max = 10, .help = "focal loss: exponent" },
    { "prior", DF_REAL_OPTION(ROW, prior), .standard = 0.01, .min = 1e-6, .max = 0.5, .help = "score of every class at the start" },
    { "loss_norm", DF_CHOICE_OPTION(ROW, loss_norm), .standard = LOSS_NORM_IMAGE, .choices = "image|batch",
      .help = "divide by the positives of each image (then mean over images), or of the batch" },
    { "box_loss", DF_CHOICE_OPTION(ROW, box_loss), .standard = BOX_LOSS_L1, .choices = "l1|smooth_l1", .help = "loss of the box deltas" },
    { "box_beta", DF_REAL_OPTION(ROW, box_beta), .standard = 1.0 / 9, .min = 1e-6, .max = 100, .when = "box_loss=smooth_l1",
      .help = "smooth L1: where it turns linear" },
    { "box_loss_weight", DF_REAL_OPTION(ROW, box_loss_weight), .standard = 1, .max = 1e4, .help = "weight of the box loss" },
    { "box_weights", DF_REAL_LIST_OPTION(ROW, box_weights), .min = 1e-3, .max = 1e3, .text = "1,1,1,1",
      .help = "factors of the deltas dx, dy, dw, dh" },
    { "score_threshold", DF_REAL_OPTION(ROW, post.score_threshold), .standard = 0.05, .max = 1,
      .help = "detections have a score above this" },
    { "candidates", DF_INT_OPTION(ROW, candidates), .standard = 1000, .min = 1, .max = 1000000,
      .help = "most candidates per level before suppression" },
    { "nms_iou", DF_REAL_OPTION(ROW, post.nms_iou), .standard = 0.5, .max = 1,
      .help = "non-maximum suppression: largest IoU of two kept boxes of a class" },
    { "detections", DF_INT_OPTION(ROW, post.detections), .standard = 300, .min = 1, .max = 100000, .help = "most detections per image" },
    { 0 },
};
#undef ROW

#define HEAD_CONVS 8
struct branch {
    const char *tower;                                /* the part's name */
    struct df_conv_unit *conv[HEAD_CONVS][DF_LEVELS]; /* one weight for all levels, a norm for each */
    struct df_conv_unit *out;
    size_t columns; /* of a row */
};

struct retinanet {
    struct df_detector base;
    struct retinanet_options options;
    size_t levels, head_convs;
    struct df_conv_units units;
    struct branch classification, regression;
    struct df_anchor_set anchors;
};

struct branch_plan {
    const char *name, *out_name;
    size_t columns;
    double bias; /* of the outputs */
};

static void init_branch(struct retinanet *net, struct branch *branch, const struct df_network_options *network, struct branch_plan plan)
{
    const size_t width = (size_t)(network->head_width ? network->head_width : network->fpn_channels);
    const size_t cell = net->options.anchor.scales.count * net->options.anchor.ratios.count;
    const bool normed = network->head_norm != 0;
    const struct df_initialiser narrow = { DF_INIT_NORMAL, 0.01 }, kaiming = { DF_INIT_KAIMING_FAN_OUT, 0 };
    size_t in = (size_t)network->fpn_channels;
    char conv[80], norm[80];

    branch->columns = plan.columns;
    for (size_t i = 0; i < net->head_convs; i++, in = width)
        for (size_t l = 0; l < net->levels; l++) {
            const struct df_conv_unit_plan unit = { .conv = conv,
                                                    .norm = normed ? norm : NULL,
                                                    .share = l ? branch->conv[i][0] : NULL,
                                                    .in = in,
                                                    .out = width,
                                                    .kernel = 3,
                                                    .stride = 1,
                                                    .bias = !normed,
                                                    .relu = true,
                                                    .init = normed ? kaiming : narrow };

            snprintf(conv, sizeof conv, "head.%s.conv.%zu.0", plan.name, i);
            snprintf(norm, sizeof norm, "head.%s.norm.%zu.%zu", plan.name, i, l);
            branch->conv[i][l] = l && !normed ? branch->conv[i][0] : df_conv_units_add(&net->units, &unit);
        }
    snprintf(conv, sizeof conv, "head.%s.%s", plan.name, plan.out_name);
    branch->out = df_conv_units_add(&net->units, &(struct df_conv_unit_plan){ .conv = conv,
                                                                              .in = in,
                                                                              .out = cell * plan.columns,
                                                                              .kernel = 3,
                                                                              .stride = 1,
                                                                              .bias = true,
                                                                              .init = narrow,
                                                                              .bias_value = plan.bias });
}

static df_status check_options(const struct retinanet_options *options, const struct df_network_options *network, struct df_error *err)
{
    const size_t levels = df_network_options_levels(network);

    DF_TRY(df_network_check(network, "network", err));
    if (options->anchor.size.count != levels)
        return df_fail(err, DF_ERR_USAGE,
                       "detector.anchor_size: %zu sizes for %zu levels (one per level that network.fpn_stages and extra make)",
                       options->anchor.size.count, levels);
    if (options->anchor.scales.count == 0 || options->anchor.ratios.count == 0)
        return df_fail(err, DF_ERR_USAGE, "detector.%s: empty, expected at least one",
                       options->anchor.scales.count ? "anchor_ratios" : "anchor_scales");
    if (options->box_weights.count != 4)
        return df_fail(err, DF_ERR_USAGE, "detector.box_weights: %zu numbers, expected 4 (dx, dy, dw, dh)", options->box_weights.count);
    if (options->matcher.bg_iou > options->matcher.fg_iou)
        return df_fail(err, DF_ERR_USAGE, "detector.bg_iou: %g is above fg_iou %g", options->matcher.bg_iou, options->matcher.fg_iou);
    return DF_OK;
}

static df_status retinanet_create(const void *options, const struct df_network_options *network, size_t classes,
                                  struct df_parameters *parameters, struct df_detector **out, struct df_error *err)
{
    struct retinanet *net;
    struct df_network *body;

    *out = NULL;
    DF_TRY(check_options(options, network, err));
    DF_TRY(df_network_new(network, parameters, &body, err));
    net = df_calloc(1, sizeof *net);
    net->options = *(const struct retinanet_options *)options;
    net->levels = df_network_levels(body);
    net->head_convs = (size_t)network->head_convs;
    net->anchors.parameters = parameters;
    net->units = (struct df_conv_units){ .parameters = parameters, .eps = network->norm_eps, .momentum = network->norm_momentum };
    init_branch(
        net, &net->classification, network,
        (struct branch_plan){ "classification_head", "cls_logits", classes, -df_log((1 - net->options.prior) / net->options.prior) });
    init_branch(net, &net->regression, network, (struct branch_plan){ "regression_head", "bbox_reg", 4, 0 });
    net->classification.tower = "class_tower";
    net->regression.tower = "box_tower";
    net->base = (struct df_detector){ .class = &df_detector_retinanet, .network = body, .parameters = parameters, .classes = classes };
    for (size_t k = 0; k < 4; k++)
        net->base.delta_weights[k] = (float)net->options.box_weights.value[k];
    *out = &net->base;
    return DF_OK;
}

static void retinanet_destroy(struct df_detector *base)
{
    struct retinanet *net = (struct retinanet *)base;

    df_network_free(base->network);
    df_conv_units_release(&net->units);
    df_anchor_set_release(&net->anchors);
    free(net);
}

/* The last convolution of a branch: [N,1,A_l,columns] */
static df_tensor *branch_rows(const struct branch *branch, df_tape *tape, df_tensor *y)
{
    y = df_conv_unit_forward(tape, branch->out, y, false);
    return df_reshape(tape, y, (df_shape){ y->shape.n, 1, y->shape.h * y->shape.w * y->shape.c / branch->columns, branch->columns });
}

/* ... and what stands between a tower and it. */
static df_tensor *from_tower(const struct retinanet *net, const struct branch *branch, df_tape *tape, df_tensor *tower, size_t level,
                             bool training)
{
    df_tensor *y = df_conv_unit_forward(tape, branch->conv[net->head_convs - 1][level], df_relu(tape, tower), training);

    return branch_rows(branch, tape, y);
}

static df_tensor *before_relu(df_tape *tape, const struct df_conv_unit *unit, df_tensor *x, bool training)
{
    struct df_conv_unit linear = *unit;

    linear.relu = linear.options.relu = false;
    return df_conv_unit_forward(tape, &linear, x, training);
}

/* The branch on every level: [N,1,A_l,columns]; its towers are added to the state where they are shown. */
static void branch_forward(const struct retinanet *net, const struct branch *branch, df_tape *tape, struct df_detection_state *state,
                           bool training, df_tensor *part[DF_LEVELS])
{
    const bool towers = net->base.towers && net->head_convs >= 2;
    const size_t convs = towers ? net->head_convs - 2 : net->head_convs;

    for (size_t l = 0; l < net->levels; l++) {
        const struct df_part *neck = df_part(state, "neck", l);
        const size_t stride = neck->stride;
        df_tensor *y = neck->tensor;

        for (size_t i = 0; i < convs; i++)
            y = df_conv_unit_forward(tape, branch->conv[i][l], y, training);
        if (towers) {
            y = before_relu(tape, branch->conv[convs][l], y, training);
            df_parts_set(&state->parts, branch->tower, l, stride, y);
        }
        part[l] = towers ? from_tower(net, branch, tape, y, l, training) : branch_rows(branch, tape, y);
    }
}

static void head_forward(struct retinanet *net, df_tape *tape, bool training, struct df_detection_state *state)
{
    df_tensor *logits[DF_LEVELS], *deltas[DF_LEVELS];

    df_conv_units_refresh(&net->units);
    branch_forward(net, &net->classification, tape, state, training, logits);
    branch_forward(net, &net->regression, tape, state, training, deltas);
    df_dense_rows(&net->anchors, &net->options.anchor, tape, logits, deltas, state);
}

static void retinanet_forward(struct df_detector *base, df_tape *tape, const struct df_batch *images, df_tensor *pixels, unsigned what,
                              struct df_detection_state *state)
{
    struct retinanet *net = (struct retinanet *)base;
    const struct df_assignment how = { &net->options.matcher, net->base.delta_weights, true };

    df_detector_body(base, tape, images, pixels, what, state);
    head_forward(net, tape, what & DF_TRAINING, state);
    if (what & DF_LABELS)
        df_assign_anchors(&how, tape, state);
}

static void retinanet_run_head(struct df_detector *base, df_tape *tape, const struct df_detection_state *features, const struct df_rois *on,
                               struct df_detection_state *out)
{
    DF_ASSERT(!on);
    *out = *features;
    out->classes = base->classes;
    head_forward((struct retinanet *)base, tape, false, out);
}

static void retinanet_finish_head(struct df_detector *base, df_tape *tape, const struct df_detection_state *features,
                                  struct df_detection_state *out)
{
    struct retinanet *net = (struct retinanet *)base;
    df_tensor *logits[DF_LEVELS], *deltas[DF_LEVELS];

    DF_ASSERT(net->head_convs >= 2);
    *out = *features;
    out->classes = base->classes;
    df_conv_units_refresh(&net->units);
    for (size_t l = 0; l < net->levels; l++) {
        df_tensor *class = df_part(features, "class_tower", l)->tensor, *box = df_part(features, "box_tower", l)->tensor;

        logits[l] = from_tower(net, &net->classification, tape, class, l, false);
        deltas[l] = from_tower(net, &net->regression, tape, box, l, false);
    }
    df_dense_rows(&net->anchors, &net->options.anchor, tape, logits, deltas, out);
}

/* Rows first .. first + rows of a part that gets no gradient */
static df_tensor *rows_of(df_tape *tape, const df_tensor *x, size_t first, size_t rows)
{
    return df_tensor_view(tape, (df_shape){ rows, 1, 1, x->shape.c }, x->data + first * x->shape.c);
}

struct losses {
    df_tensor *classification, *box;
};

/* Images first .. first + images: both losses, divided by their positives; loss_norm image: and by how many images the batch has. */
static struct losses part_loss(const struct retinanet *net, df_tape *tape, const struct df_detection_state *state, size_t first,
                               size_t images)
{
    const size_t row = first * state->anchors, rows = images * state->anchors;
    const double *positives = state->assigned.count + first;
    const double beta = net->options.box_loss == BOX_LOSS_SMOOTH_L1 ? net->options.box_beta : 0;
    const bool whole = images == state->batch;
    const struct df_counted_norm norm = net->options.loss_norm == LOSS_NORM_IMAGE
                                            ? (struct df_counted_norm){ df_loss_norm(tape, state->batch), positives, images }
                                            : df_loss_norm_counted(tape, positives, images);
    df_tensor *z = df_part_tensor(state, "logits"), *d = df_part_tensor(state, "deltas");

    z = whole ? z : df_slice(tape, z, 0, first, first + images);
    d = whole ? d : df_slice(tape, d, 0, first, first + images);
    return (struct losses){
        .classification = df_sigmoid_focal_counted(tape, z, rows_of(tape, df_part_tensor(state, "label"), row, rows),
                                                   net->options.focal_alpha, net->options.focal_gamma, norm),
        .box = df_smooth_l1_counted(tape, d, rows_of(tape, df_part_tensor(state, "target"), row, rows), state->assigned.positive + row,
                                    beta, norm),
    };
}

static df_tensor *retinanet_loss(struct df_detector *base, df_tape *tape, const struct df_detection_state *state,
                                 struct df_loss_terms *terms)
{
    const struct retinanet *net = (const struct retinanet *)base;
    const size_t parts = net->options.loss_norm == LOSS_NORM_IMAGE ? state->batch : 1, images = state->batch / parts;
    struct losses all = part_loss(net, tape, state, 0, images);

    for (size_t p = 1; p < parts; p++) {
        const struct losses part = part_loss(net, tape, state, p * images, images);

        all.classification = df_add(tape, all.classification, part.classification);
        all.box = df_add(tape, all.box, part.box);
    }
    df_loss_terms_add(terms, "classification", all.classification, 1);
    df_loss_terms_add(terms, "bbox_regression", all.box, net->options.box_loss_weight);
    return df_add(tape, all.classification, df_scale(tape, all.box, net->options.box_loss_weight));
}

static const struct df_found *retinanet_predict(struct df_detector *base, df_tape *tape, const struct df_detection_state *state,
                                                size_t image, bool scores, size_t *count)
{
    const struct retinanet *net = (struct retinanet *)base;
    const struct retinanet_options *options = &net->options;
    const df_real *logits = df_part_tensor(state, "logits")->data + image * state->anchors * base->classes;
    const struct df_row_logits rows = { logits, state->anchors, base->classes, false };
    size_t most = (size_t)options->post.detections;
    struct df_dense_choice choice = { .candidates = (size_t)options->candidates, .rule = { .threshold = options->post.score_threshold } };

    memcpy(choice.rule.weights, base->delta_weights, sizeof base->delta_weights);

    const struct df_candidate_set set = df_dense_candidates(tape, state, image, 1, &choice);

    const struct df_scored_box *kept = df_candidates_keep(tape, &set, options->post.nms_iou, &most);

    return df_candidates_found(tape, kept, most, scores ? &rows : NULL, count);
}

static df_tensor *retinanet_score_loss(struct df_detector *base, df_tape *tape, const struct df_detection_state *state, double threshold)
{
    df_tensor *score = df_sigmoid(tape, df_part_tensor(state, "logits"));
    const size_t count = df_count(score->shape);
    df_real *counted = df_tape_host(tape, count * sizeof *counted);

    (void)base;
    df_read(df_tape_device(tape), counted, score->data, count * sizeof *counted);
    for (size_t i = 0; i < count; i++)
        counted[i] = (double)counted[i] > threshold;
    return df_sum(tape, df_mul(tape, score, df_tensor_from(tape, score->shape, counted)), 15);
}

static void retinanet_fold(struct df_detector *base)
{
    df_network_fold(base->network);
    df_conv_units_fold(&((struct retinanet *)base)->units);
}

static const struct df_class_rows retinanet_class_rows[] = { { "head.classification_head.cls_logits", 0, 1 }, { 0 } };

const struct df_detector_class df_detector_retinanet = {
    .abi = DF_DETECTOR_ABI,
    .name = "retinanet",
    .summary = "one-stage detector: focal loss over dense anchors on a feature pyramid (Lin et al., ICCV 2017)",
    .offers = "backbone/* neck/* class_tower/* box_tower/* logits deltas",
    .on_request = "",
    .class_logits = "logits",
    .options = retinanet_options,
    .options_size = sizeof(struct retinanet_options),
    .create = retinanet_create,
    .destroy = retinanet_destroy,
    .forward = retinanet_forward,
    .loss = retinanet_loss,
    .predict = retinanet_predict,
    .fold = retinanet_fold,
    .run_head = retinanet_run_head,
    .finish_head = retinanet_finish_head,
    .score_loss = retinanet_score_loss,
    .class_rows = retinanet_class_rows,
};
