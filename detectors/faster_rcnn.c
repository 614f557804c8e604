/* Faster R-CNN (Ren et al., NeurIPS 2015) with a feature pyramid (Lin et al., CVPR 2017), by torchvision's definitions, names and defaults
 * (fasterrcnn_resnet50_fpn: network.fpn_stages 2,3,4,5 and extra pool). Proposals get no gradient; the device makes, chooses and labels them.
 * Deviations: sampling draws from the run's keyed generator; every image has a fixed number of proposal rows, the missing ones are
 * boxes without area that no loss sees; a network may have its own head_width; an image without proposals and objects is no error. */
#include "detectors/detector.h"

#include <stdlib.h>
#include <string.h>

#include "core/nn/losses.h"
#include "detectors/box_head.h"
#include "detectors/candidates.h"
#include "detectors/rows.h"
#include "detectors/rpn.h"
#include "detectors/truth.h"

extern const struct df_detector_class df_detector_faster_rcnn; /* below */

struct faster_options {
    struct df_rpn_options rpn;
    double rpn_class_loss_weight, rpn_box_loss_weight;
    struct df_box_head_options head;
    double fg_iou, bg_iou; /* best IoU >= fg_iou: the box's class; < bg_iou: background; between: ignored */
    bool add_truth;
    struct df_sampler sampler;
    double class_loss_weight, box_loss_weight, box_beta;
    struct df_list box_weights;
    double min_size; /* of a detection, canvas pixels */
    struct df_detection_options post;
};

#define ROW struct faster_options
static const df_option faster_options[] = {
    { "anchor_size", DF_REAL_LIST_OPTION(ROW, rpn.anchor.size), .min = 1, .max = 1e5, .text = "32,64,128,256,512",
      .help = "base size of each level's anchors (canvas pixels)" },
    { "anchor_scales", DF_REAL_LIST_OPTION(ROW, rpn.anchor.scales), .min = 0.01, .max = 100, .text = "1",
      .help = "sizes per level, times its base size" },
    { "anchor_ratios", DF_REAL_LIST_OPTION(ROW, rpn.anchor.ratios), .min = 0.01, .max = 100, .text = "0.5,1,2",
      .help = "height / width of the anchors" },
    { "anchor_truncate", DF_BOOL_OPTION(ROW, rpn.anchor.truncate), .help = "cut size x scale to whole pixels" },
    { "anchor_rounding", DF_BOOL_OPTION(ROW, rpn.anchor.rounding), .standard = 1,
      .help = "round the corners of a cell's anchors to whole pixels" },
    { "anchor_offset", DF_REAL_OPTION(ROW, rpn.anchor.offset), .max = 1, .help = "where in its cell an anchor is centred (cells)" },
    { "rpn_convs", DF_INT_OPTION(ROW, rpn.convs), .standard = 1, .max = DF_RPN_CONVS, .help = "3x3 convolutions of the proposal network" },
    { "rpn_init_std", DF_REAL_OPTION(ROW, rpn.weight_std), .standard = 0.01, .max = 10, .help = "standard deviation of its first weights" },
    { "rpn_fg_iou", DF_REAL_OPTION(ROW, rpn.matcher.fg_iou), .standard = 0.7, .max = 1,
      .help = "an anchor with at least this IoU is positive" },
    { "rpn_bg_iou", DF_REAL_OPTION(ROW, rpn.matcher.bg_iou), .standard = 0.3, .max = 1,
      .help = "an anchor below this IoU is background, between the two it is ignored" },
    { "rpn_low_quality", DF_BOOL_OPTION(ROW, rpn.matcher.low_quality), .standard = 1,
      .help = "the best anchors of every object are positive" },
    { "rpn_low_quality_iou", DF_REAL_OPTION(ROW, rpn.matcher.low_quality_iou), .max = 1, .when = "rpn_low_quality=1",
      .help = "such an anchor is positive only above this IoU" },
    { "rpn_low_quality_box", DF_CHOICE_OPTION(ROW, rpn.matcher.low_quality_box), .standard = DF_FORCED_BEST, .choices = "best|own",
      .when = "rpn_low_quality=1", .help = "such an anchor learns the box that it overlaps most, or the object's own" },
    { "rpn_batch", DF_INT_OPTION(ROW, rpn.sampler.size), .standard = 256, .min = 1, .max = 1000000,
      .help = "anchors per image in the proposal network's losses" },
    { "rpn_positive", DF_REAL_OPTION(ROW, rpn.sampler.positive), .standard = 0.5, .max = 1,
      .help = "largest share of positives among them" },
    { "rpn_box_weights", DF_REAL_LIST_OPTION(ROW, rpn.box_weights), .min = 1e-3, .max = 1e3, .text = "1,1,1,1",
      .help = "factors of its deltas dx, dy, dw, dh" },
    { "rpn_box_beta", DF_REAL_OPTION(ROW, rpn.box_beta), .standard = 1.0 / 9, .max = 100, .help = "its smooth L1: where it turns linear" },
    { "rpn_class_loss_weight", DF_REAL_OPTION(ROW, rpn_class_loss_weight), .standard = 1, .max = 1e4,
      .help = "weight of its objectness loss" },
    { "rpn_box_loss_weight", DF_REAL_OPTION(ROW, rpn_box_loss_weight), .standard = 1, .max = 1e4, .help = "weight of its box loss" },
    { "rpn_pre_nms_train", DF_INT_OPTION(ROW, rpn.pre_nms[DF_PROPOSE_TRAIN]), .standard = 2000, .min = 1, .max = 1000000,
      .help = "most candidates per level before suppression, in training" },
    { "rpn_pre_nms_test", DF_INT_OPTION(ROW, rpn.pre_nms[DF_PROPOSE_TEST]), .standard = 1000, .min = 1, .max = 1000000,
      .help = "the same in evaluation: candidates per level" },
    { "rpn_post_nms_train", DF_INT_OPTION(ROW, rpn.post_nms[DF_PROPOSE_TRAIN]), .standard = 2000, .min = 1, .max = 1000000,
      .help = "most proposals per image, in training" },
    { "rpn_post_nms_test", DF_INT_OPTION(ROW, rpn.post_nms[DF_PROPOSE_TEST]), .standard = 1000, .min = 1, .max = 1000000,
      .help = "the same in evaluation: proposals per image" },
    { "rpn_nms_iou", DF_REAL_OPTION(ROW, rpn.nms_iou), .standard = 0.7, .max = 1,
      .help = "non-maximum suppression: largest IoU of two kept proposals of a level" },
    { "rpn_score_threshold", DF_REAL_OPTION(ROW, rpn.score_threshold), .max = 1, .help = "proposals have at least this score" },
    { "rpn_min_size", DF_REAL_OPTION(ROW, rpn.min_size), .standard = 1e-3, .min = 1e-6, .max = 1e4,
      .help = "smallest side of a proposal (canvas pixels)" },
    { "roi_size", DF_INT_OPTION(ROW, head.size), .standard = 7, .min = 1, .max = DF_ROI_SIZE, .help = "RoIAlign: cells per side" },
    { "roi_sampling", DF_INT_OPTION(ROW, head.sampling), .standard = 2, .max = 64,
      .help = "RoIAlign: samples per cell and axis; 0: as many as it has map pixels" },
    { "roi_aligned", DF_BOOL_OPTION(ROW, head.aligned), .help = "RoIAlign: shift by half a map pixel" },
    { "roi_canonical_size", DF_REAL_OPTION(ROW, head.canonical_size), .standard = 224, .min = 1, .max = 1e5,
      .help = "side of the square (canvas pixels) that is pooled from the canonical level; larger ones from higher levels" },
    { "roi_canonical_level", DF_INT_OPTION(ROW, head.canonical_level), .standard = 4, .max = 12,
      .help = "the level of the map that such a square is pooled from: its stride is 2^this" },
    { "fc_width", DF_INT_OPTION(ROW, head.fc_width), .standard = 1024, .min = 1, .max = 65536,
      .help = "width of the RoI head's two layers; a network's head_width replaces it (channels)" },
    { "fg_iou", DF_REAL_OPTION(ROW, fg_iou), .standard = 0.5, .max = 1,
      .help = "a proposal with at least this IoU has the object's class" },
    { "bg_iou", DF_REAL_OPTION(ROW, bg_iou), .standard = 0.5, .max = 1,
      .help = "a proposal below this IoU is background, between the two it is ignored" },
    { "add_truth", DF_BOOL_OPTION(ROW, add_truth), .standard = 1, .help = "in training the objects' own boxes are proposals too" },
    { "roi_batch", DF_INT_OPTION(ROW, sampler.size), .standard = 512, .min = 1, .max = 100000, .help = "sampled proposals per image" },
    { "roi_positive", DF_REAL_OPTION(ROW, sampler.positive), .standard = 0.25, .max = 1, .help = "largest share of positives among them" },
    { "class_loss_weight", DF_REAL_OPTION(ROW, class_loss_weight), .standard = 1, .max = 1e4, .help = "weight of the class loss" },
    { "box_loss_weight", DF_REAL_OPTION(ROW, box_loss_weight), .standard = 1, .max = 1e4, .help = "weight of the box loss" },
    { "box_beta", DF_REAL_OPTION(ROW, box_beta), .standard = 1.0 / 9, .max = 100, .help = "smooth L1: where it turns linear" },
    { "box_weights", DF_REAL_LIST_OPTION(ROW, box_weights), .min = 1e-3, .max = 1e3, .text = "10,10,5,5",
      .help = "factors of the deltas dx, dy, dw, dh" },
    { "score_threshold", DF_REAL_OPTION(ROW, post.score_threshold), .standard = 0.05, .max = 1,
      .help = "detections have a score above this" },
    { "min_size", DF_REAL_OPTION(ROW, min_size), .standard = 1e-2, .max = 1e4, .help = "smallest side of a detection (canvas pixels)" },
    { "nms_iou", DF_REAL_OPTION(ROW, post.nms_iou), .standard = 0.5, .max = 1,
      .help = "non-maximum suppression: largest IoU of two kept boxes of a class" },
    { "detections", DF_INT_OPTION(ROW, post.detections), .standard = 100, .min = 1, .max = 100000, .help = "most detections per image" },
    { 0 },
};
#undef ROW

struct faster {
    struct df_detector base;
    struct faster_options options;
    struct df_conv_units units;
    struct df_rpn rpn;
    struct df_box_head head;
};

static df_status check_lists(const struct faster_options *options, size_t levels, struct df_error *err)
{
    const struct {
        const char *name;
        const struct df_list *list;
    } weights[] = { { "rpn_box_weights", &options->rpn.box_weights }, { "box_weights", &options->box_weights } };

    if (options->rpn.anchor.size.count != levels)
        return df_fail(err, DF_ERR_USAGE,
                       "detector.anchor_size: %zu sizes for %zu levels (one per level that network.fpn_stages and extra make)",
                       options->rpn.anchor.size.count, levels);
    if (options->rpn.anchor.scales.count == 0 || options->rpn.anchor.ratios.count == 0)
        return df_fail(err, DF_ERR_USAGE, "detector.%s: empty, expected at least one",
                       options->rpn.anchor.scales.count ? "anchor_ratios" : "anchor_scales");
    for (size_t i = 0; i < 2; i++)
        if (weights[i].list->count != 4)
            return df_fail(err, DF_ERR_USAGE, "detector.%s: %zu numbers, expected 4 (dx, dy, dw, dh)", weights[i].name,
                           weights[i].list->count);
    return DF_OK;
}

static df_status check_options(const struct faster_options *options, const struct df_network_options *network, struct df_error *err)
{
    enum { STANDARD_HEAD_CONVS = 4 }; /* of the networks' table */

    DF_TRY(df_network_check(network, "network", err));
    DF_TRY(check_lists(options, df_network_options_levels(network), err));
    if (network->head_convs != STANDARD_HEAD_CONVS)
        return df_fail(err, DF_ERR_USAGE,
                       "network.head_convs: %lld has no effect on detector 'faster_rcnn' [leave it out; detector.rpn_convs counts the "
                       "convolutions of the proposal network]",
                       (long long)network->head_convs);
    if (options->rpn.matcher.bg_iou > options->rpn.matcher.fg_iou)
        return df_fail(err, DF_ERR_USAGE, "detector.rpn_bg_iou: %g is above rpn_fg_iou %g", options->rpn.matcher.bg_iou,
                       options->rpn.matcher.fg_iou);
    if (options->bg_iou > options->fg_iou)
        return df_fail(err, DF_ERR_USAGE, "detector.bg_iou: %g is above fg_iou %g", options->bg_iou, options->fg_iou);
    return DF_OK;
}

static df_status faster_create(const void *options, const struct df_network_options *network, size_t classes,
                               struct df_parameters *parameters, struct df_detector **out, struct df_error *err)
{
    struct df_network *body;
    struct faster *net;

    *out = NULL;
    DF_TRY(check_options(options, network, err));
    DF_TRY(df_network_new(network, parameters, &body, err));
    net = df_calloc(1, sizeof *net);
    net->options = *(const struct faster_options *)options;
    net->units = (struct df_conv_units){ .parameters = parameters, .eps = network->norm_eps, .momentum = network->norm_momentum };
    df_rpn_init(&net->rpn, &net->options.rpn, &net->units, network, df_network_levels(body));
    df_box_head_init(&net->head, &net->options.head, parameters,
                     (struct df_box_head_sizes){ .levels = network->fpn_stages.count,
                                                 .channels = (size_t)network->fpn_channels,
                                                 .width = (size_t)(network->head_width ? network->head_width : net->options.head.fc_width),
                                                 .classes = classes });
    net->base = (struct df_detector){ .class = &df_detector_faster_rcnn, .network = body, .parameters = parameters, .classes = classes };
    memcpy(net->base.delta_weights, net->rpn.box_weights, sizeof net->rpn.box_weights);
    for (size_t k = 0; k < 4; k++)
        net->base.roi_delta_weights[k] = (float)net->options.box_weights.value[k];
    *out = &net->base;
    return DF_OK;
}

static void faster_destroy(struct df_detector *base)
{
    struct faster *net = (struct faster *)base;

    df_network_free(base->network);
    df_conv_units_release(&net->units);
    df_rpn_release(&net->rpn);
    free(net);
}

/* ---- proposals ---- */

static struct df_propose_rule rule_of(const struct faster *net)
{
    return (struct df_propose_rule){ (float)net->options.fg_iou, (float)net->options.bg_iou };
}

/* Proposals of training: the network's, then the objects; sampled, in that order. */
static struct df_rois sampled_proposals(const struct faster *net, df_tape *tape, const struct df_detection_state *state,
                                        const struct df_truth *truth)
{
    struct df_device *device = df_tape_device(tape);
    const struct df_sampler *sampler = &net->options.sampler;
    struct df_propose_args made = { .truth = *truth, .add_truth = net->options.add_truth, .rule = rule_of(net) };

    made.from = df_rpn_propose(&net->rpn, tape, state, DF_PROPOSE_TRAIN, &made.most);

    const size_t room = made.most + truth->room;
    df_tensor *label = df_tensor_new(tape, (df_shape){ state->batch, 1, room, 1 });
    const size_t rows = state->batch * (size_t)sampler->size;

    made.box = df_tape_device_memory(tape, state->batch * room * sizeof *made.box);
    made.label = label->data;
    df_launch(device, DF_K_PROPOSE, state->batch * room, &made);

    const struct df_sampled sampled = df_sample_rows(sampler, tape, (struct df_sample_of){ state->images, DF_SAMPLE_PROPOSALS }, label);
    const struct df_propose_take_args taken = { .candidate = made.box,
                                                .weight = sampled.weight->data,
                                                .room = room,
                                                .rows = (size_t)sampler->size,
                                                .box = df_tape_device_memory(tape, rows * sizeof *taken.box),
                                                .image = df_tape_device_memory(tape, rows * sizeof *taken.image) };

    df_launch(device, DF_K_PROPOSE_TAKE, state->batch, &taken);
    return (struct df_rois){ .count = rows, .box = taken.box, .image = taken.image };
}

/* Those that detections are made of. */
static struct df_rois best_proposals(const struct faster *net, df_tape *tape, const struct df_detection_state *state)
{
    struct df_propose_all_args args = { .rows = (size_t)net->options.rpn.post_nms[DF_PROPOSE_TEST] };
    const size_t rows = state->batch * args.rows;

    args.from = df_rpn_propose(&net->rpn, tape, state, DF_PROPOSE_TEST, &args.most);
    args.box = df_tape_device_memory(tape, rows * sizeof *args.box);
    args.image = df_tape_device_memory(tape, rows * sizeof *args.image);
    df_launch(df_tape_device(tape), DF_K_PROPOSE_ALL, rows, &args);
    return (struct df_rois){ .count = rows, .box = args.box, .image = args.image };
}

/* For a device that computes nothing: of every image as many rows with an object as sampling would draw at most. */
static const df_real *labels_here(const struct faster *net, df_tape *tape, const struct df_detection_state *state)
{
    const size_t rows = state->rois.count / state->batch;
    const double most = (double)net->options.sampler.size * net->options.sampler.positive;
    df_real *label = df_tape_host(tape, state->rois.count * sizeof *label);

    for (size_t r = 0; r < state->rois.count; r++) {
        const struct df_ground_truth *truth = &state->images->truth[r / rows];
        const size_t row = r % rows;

        label[r] = row < truth->count && (double)(row + 1) <= most ? (df_real)truth->labels[row] : -2;
    }
    return label;
}

/* Labels and encoded boxes of the state's RoIs. */
static void label_proposals(const struct faster *net, df_tape *tape, const struct df_truth *truth, struct df_detection_state *state)
{
    const struct df_rois *rois = &state->rois;
    df_tensor *label = df_tensor_new(tape, (df_shape){ rois->count, 1, 1, 1 });
    df_tensor *target = df_tensor_new(tape, (df_shape){ rois->count, 1, 1, 4 });
    struct df_roi_label_args args = {
        .box = rois->box, .image = rois->image, .truth = *truth, .rule = rule_of(net), .label = label->data, .target = target->data
    };

    memcpy(args.weights, net->base.roi_delta_weights, sizeof args.weights);
    df_launch(df_tape_device(tape), DF_K_ROI_LABEL, rois->count, &args);
    df_parts_set(&state->parts, "roi/target", DF_NO_LEVEL, 0, target);
    df_parts_set_rows(&state->parts, tape, "roi/label", label)->instead =
        df_tape_device(tape)->ops->hollow ? labels_here(net, tape, state) : NULL;
}

/* ---- forward ---- */

static void dense_head(struct faster *net, df_tape *tape, bool training, struct df_detection_state *state)
{
    df_conv_units_refresh(&net->units);
    df_rpn_forward(&net->rpn, tape, training, state);
}

static void faster_forward(struct df_detector *base, df_tape *tape, const struct df_batch *images, df_tensor *pixels, unsigned what,
                           struct df_detection_state *state)
{
    struct faster *net = (struct faster *)base;
    const bool labels = what & DF_LABELS;

    df_detector_body(base, tape, images, pixels, what, state);
    dense_head(net, tape, what & DF_TRAINING, state);
    if (labels)
        df_rpn_assign(&net->rpn, tape, state);
    if (what & DF_FIRST_STAGE)
        return;
    if (labels) {
        const struct df_truth truth = df_truth_send(tape, images);

        state->rois = sampled_proposals(net, tape, state, &truth);
        label_proposals(net, tape, &truth, state);
    } else {
        state->rois = best_proposals(net, tape, state);
    }
    df_box_head_forward(&net->head, tape, state, state);
}

/* The proposals that training would sample over these features. */
static struct df_rois own_proposals(struct faster *net, df_tape *tape, const struct df_detection_state *features,
                                    const struct df_truth *truth)
{
    struct df_detection_state state = *features;

    dense_head(net, tape, false, &state);
    return sampled_proposals(net, tape, &state, truth);
}

static void faster_run_head(struct df_detector *base, df_tape *tape, const struct df_detection_state *features, const struct df_rois *on,
                            struct df_detection_state *out)
{
    struct faster *net = (struct faster *)base;

    *out = *features;
    out->classes = base->classes;
    if (!on) {
        dense_head(net, tape, false, out);
        return;
    }

    const struct df_truth truth = df_truth_send(tape, features->images);

    out->rois = on->count ? *on : own_proposals(net, tape, features, &truth);
    label_proposals(net, tape, &truth, out);
    df_box_head_forward(&net->head, tape, features, out);
}

/* ---- loss, detections ---- */

/* Over the rows that are neither padding nor ignored: cross-entropy; smooth L1 of the own class's deltas of positives. Both divided by the
 * number of those rows. */
static void roi_loss(const struct faster *net, df_tape *tape, const struct df_detection_state *state, df_tensor **classes, df_tensor **box)
{
    const struct df_roi_targets learnt = df_roi_targets(tape, state);
    const struct df_marked counted = df_mark_labels(tape, df_part_tensor(state, "roi/label"), 1, DF_LABEL_BACKGROUND, DF_LABEL_LAST, false);
    const struct df_counted_norm norm = df_marked_norm(tape, &counted);
    df_tensor *deltas = df_reshape(tape, df_part_tensor(state, "roi/deltas"), learnt.target->shape);

    *classes = df_cross_entropy_counted(tape, df_part_tensor(state, "roi/logits"), learnt.column, norm);
    *box = df_smooth_l1_counted(tape, deltas, learnt.target, learnt.use, net->options.box_beta, norm);
}

static df_tensor *faster_loss(struct df_detector *base, df_tape *tape, const struct df_detection_state *state, struct df_loss_terms *terms)
{
    const struct faster *net = (const struct faster *)base;
    const struct faster_options *options = &net->options;
    const double weight[4] = { options->rpn_class_loss_weight, options->rpn_box_loss_weight, options->class_loss_weight,
                               options->box_loss_weight };
    static const char *const name[4] = { "loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg" };
    df_tensor *value[4], *total = NULL;

    df_rpn_loss(&net->rpn, tape, state, &value[0], &value[1]);
    roi_loss(net, tape, state, &value[2], &value[3]);
    for (size_t i = 0; i < 4; i++) {
        df_tensor *weighted = df_scale(tape, value[i], weight[i]);

        df_loss_terms_add(terms, name[i], value[i], weight[i]);
        total = total ? df_add(tape, total, weighted) : weighted;
    }
    return total;
}

static const struct df_found *faster_predict(struct df_detector *base, df_tape *tape, const struct df_detection_state *state, size_t image,
                                             bool scores, size_t *count)
{
    const struct faster *net = (const struct faster *)base;
    const struct df_detection_options *options = &net->options.post;
    const size_t each = state->rois.count / state->batch;
    const df_real *logits = df_part_tensor(state, "roi/logits")->data + image * each * (base->classes + 1);
    const struct df_row_logits rows = { logits, each, base->classes, true };
    size_t most = (size_t)options->detections;
    struct df_box_rule rule = { .threshold = options->score_threshold, .min_size = (float)net->options.min_size };

    memcpy(rule.weights, net->base.roi_delta_weights, sizeof net->base.roi_delta_weights);

    const struct df_candidate_set set = df_roi_candidates(tape, state, image, &rule);

    const struct df_scored_box *kept = df_candidates_keep(tape, &set, options->nms_iou, &most);

    return df_candidates_found(tape, kept, most, scores ? &rows : NULL, count);
}

static df_tensor *faster_score_loss(struct df_detector *base, df_tape *tape, const struct df_detection_state *state, double threshold)
{
    df_tensor *score = df_softmax(tape, df_part_tensor(state, "roi/logits"));
    const size_t columns = base->classes + 1, rows = state->rois.count / state->batch, count = df_count(score->shape);
    df_real *counted = df_tape_host(tape, count * sizeof *counted);

    memset(counted, 0, count * sizeof *counted);
    for (size_t n = 0; n < state->batch; n++) {
        size_t found_count;
        const struct df_found *found = faster_predict(base, tape, state, n, false, &found_count);

        for (size_t i = 0; i < found_count && (double)found[i].score > threshold; i++)
            counted[(n * rows + found[i].row) * columns + 1 + (size_t)found[i].label] = 1;
    }
    return df_sum(tape, df_mul(tape, score, df_tensor_from(tape, score->shape, counted)), 15);
}

static void faster_fold(struct df_detector *base)
{
    struct faster *net = (struct faster *)base;

    df_network_fold(base->network);
    df_conv_units_fold(&net->units);
    df_box_head_freeze(&net->head);
}

static const struct df_class_rows faster_class_rows[] = {
    { "roi_heads.box_predictor.cls_score", 1, 1 },
    { "roi_heads.box_predictor.bbox_pred", 1, 4 },
    { 0 },
};

const struct df_detector_class df_detector_faster_rcnn = {
    .abi = DF_DETECTOR_ABI,
    .name = "faster_rcnn",
    .summary = "two-stage detector: proposals, then classes and boxes of what RoIAlign pools from a feature pyramid (Ren et al., 2015)",
    .offers = "backbone/* neck/* logits deltas",
    .on_request = "roi/logits roi/deltas",
    .class_logits = "roi/logits",
    .options = faster_options,
    .options_size = sizeof(struct faster_options),
    .create = faster_create,
    .destroy = faster_destroy,
    .forward = faster_forward,
    .loss = faster_loss,
    .predict = faster_predict,
    .fold = faster_fold,
    .run_head = faster_run_head,
    .score_loss = faster_score_loss,
    .class_rows = faster_class_rows,
};
