/* DeFeat: imitate object and background regions of the neck, and of the backbone, and positive and negative rows of the head, each with its
 * own weight (Guo et al., CVPR 2021).
 *   L = f(epoch, step) { 1/L sum_l [ w_fg mse(a_l(s_l), t_l; m_l) + w_bg mse(a_l(s_l), t_l; 1 - m_l) ]
 *                      + the same over backbone stages with w_bb_fg, w_bb_bg
 *                      + w_pos KL(t || s; positives, t_pos) + w_neg KL(t || s; negatives, t_neg) }     (terms, normalisers, f: common.h)
 * Source: the authors' code; w_fg = 4, w_bg = 16 are their COCO weights. The head is off unless asked for: the authors report at best 0.1-0.2
 * mAP from it; so is the backbone, whose weights they do not tell. Deviates: two temperatures (theirs reads one), labels of the RoIs that
 * are used (theirs: the student's), a background that needs no background row (theirs: the highest label seen), the student's proposals
 * (theirs: the teacher's), a level border in proportion to the image's shorter side (theirs: 56 px at any size).
 * authors=1 is the released code: its temperature, background and proposals; its labels on the teacher's proposals (rois=both: the teacher's
 * own, as there). Of ours it keeps the level border, the same at images 800 px short (at their VOC size, 1000 x 600, theirs is 56 px and ours
 * 42), and what masks.c does where theirs fails or wraps round. For one-stage detectors theirs runs with mask=one and without the head only;
 * here the masks run there too. */
#include "distillers/common.h"

struct defeat_options {
    double w_fg, w_bg;
    struct df_neck_options neck;
    double w_bb_fg, w_bb_bg;
    struct df_backbone_options backbone; /* feature, rounding, adapt.init, adapt.std: the neck's */
    struct df_head_options head;
    int decay;
    int64_t warmup_steps;
    bool authors;
};
#define O     struct defeat_options
#define OURS  "authors=0"
#define ADAPT "adapt!=none or bb_stages!=&bb_adapt!=none"
static const df_option defeat_options[] = {
    { "w_fg", DF_REAL_OPTION(O, w_fg), .standard = 4, .max = 1e4, .help = "weight of object regions" },
    { "w_bg", DF_REAL_OPTION(O, w_bg), .standard = 16, .max = 1e4, .help = "weight of background regions" },
    { "mask", DF_CHOICE_OPTION(O, neck.mask.kind), .standard = DF_MASK_GT, .choices = "gt|roi|gaussian|one",
      .help = "object regions: boxes, cells with well-fitting anchors (FGFI), a bell in each box, every cell" },
    { "roi_share", DF_REAL_OPTION(O, neck.mask.roi_share), .standard = 0.5, .max = 1, .when = "mask=roi&" OURS,
      .help = "a cell is an object's if an anchor's IoU is above this share of the object's best" },
    DF_NECK_ROWS(O, neck, OURS, ADAPT, OURS "&reduction=mse"),
    { "adapt_relu", DF_BOOL_OPTION(O, neck.adapt.relu), .when = "adapt!=none", .help = "a ReLU after the neck's adaptation" },
    DF_MASK_ROWS(O, neck, "mask!=one&" OURS, "mask=gt|gaussian&" OURS " or bb_stages!=&" OURS),
    { "exclude_padding", DF_BOOL_OPTION(O, neck.feature.exclude_padding), .when = OURS,
      .help = "cells outside of their image weigh nothing" },
    { "level_reduce", DF_CHOICE_OPTION(O, neck.feature.level_reduce), .standard = DF_REDUCE_MEAN, .choices = "mean|cells",
      .when = OURS "&reduction=mse", .help = "levels (stages) weigh the same, or each of their cells does" },
    { "bb_stages", DF_INT_LIST_OPTION(O, backbone.stages), .min = 2, .max = 5, .text = "",
      .help = "backbone stages that are imitated too" },
    { "w_bb_fg", DF_REAL_OPTION(O, w_bb_fg), .standard = 4, .max = 1e4,
      .when = "bb_stages!=", .help = "backbone: weight of object regions" },
    { "w_bb_bg", DF_REAL_OPTION(O, w_bb_bg), .standard = 16, .max = 1e4,
      .when = "bb_stages!=", .help = "backbone: weight of background regions" },
    { "bb_adapt", DF_CHOICE_OPTION(O, backbone.adapt.kind), .standard = DF_ADAPT_3X3, .choices = "none|1x1|3x3",
      .when = "bb_stages!=&" OURS, .help = "backbone: convolution from student to teacher, per stage" },
    { "bb_adapt_relu", DF_BOOL_OPTION(O, backbone.adapt.relu), .standard = 1, .when = "bb_adapt!=none",
      .help = "backbone: a ReLU after it" },
    { "head", DF_CHOICE_OPTION(O, head.mode), .standard = DF_HEAD_OFF, .choices = DF_HEAD_MODES "|off",
      .help = "imitation of class probabilities: which rows" },
    DF_HEAD_ROWS(O, head, "head_norm", "head!=off|bg", "head=bg|decoupled",
                 "head!=off|bg or head=bg&authors=1 or head=bg&one_temperature=1", "head=bg|decoupled&one_temperature=0", "head!=off&" OURS,
                 "head!=off"),
    { "authors_labels", DF_BOOL_OPTION(O, head.authors_labels), .when = "head!=off|all&rois=teacher|both&" OURS,
      .help = "pair the teacher's RoIs with the labels of the student's" },
    { "authors_background", DF_BOOL_OPTION(O, head.authors_background), .when = "head=fg|bg|decoupled|correct_fg&" OURS,
      .help = "two-stage detectors: the highest label of the batch is background" },
    { "one_temperature", DF_BOOL_OPTION(O, head.one_temperature), .when = "head=bg|decoupled&" OURS, .help = "background rows read t_pos" },
    { "decay", DF_CHOICE_OPTION(O, decay), .standard = DF_DECAY_NONE, .choices = "none|linear|cosine|up_down",
      .help = "schedule of all weights, by epoch" },
    { "warmup_steps", DF_INT_OPTION(O, warmup_steps), .max = 1e9, .help = "all weights rise linearly over so many steps" },
    { "authors", DF_BOOL_OPTION(O, authors),
      .help = "the released code, its defects and constants included; ours: level borders in proportion to the image (theirs: 56 px at any "
              "size)" },
    { 0 },
};
#undef O

/* What is read: with authors=1 the released code's choices, and what the neck and the backbone share. */
static struct defeat_options resolved(const void *values)
{
    struct defeat_options options = *(const struct defeat_options *)values;
    struct df_neck_options *neck = &options.neck;

    if (options.authors) {
        neck->adapt = (struct df_adapt_options){ DF_ADAPT_3X3, DF_ADAPT_AUTHORS, 1e-4, false };
        neck->feature = (struct df_feature_options){ DF_NORM_BATCH, DF_REDUCE_MEAN, DF_REDUCTION_MSE, false };
        neck->mask = (struct df_mask_options){ neck->mask.kind, DF_LEVEL_FPN, DF_ROUND_AUTHORS, 0.5 };
        neck->normalise_teacher = false;
        options.backbone.adapt.kind = DF_ADAPT_3X3;
        options.backbone.adapt.relu = true;
        options.head.norm = DF_HEAD_NORM_GROUP;
        options.head.rois = options.head.rois == DF_ROIS_AUTO ? DF_ROIS_TEACHER : options.head.rois;
        /* SampleTEA's; SampleDUO reads the teacher's targets for the teacher's RoIs */
        options.head.authors_labels = options.head.rois == DF_ROIS_TEACHER;
        options.head.authors_background = options.head.one_temperature = true;
    }
    options.backbone.adapt.init = neck->adapt.init;
    options.backbone.adapt.std = neck->adapt.std;
    options.backbone.feature = neck->feature;
    options.backbone.rounding = neck->mask.rounding;
    return options;
}

static void defeat_needs(const void *values, struct df_needs *needs)
{
    const struct defeat_options options = resolved(values);

    df_needs_add(needs, "neck/*");
    df_backbone_needs(&options.backbone, needs);
    df_head_needs(&options.head, needs);
}

/* What the released code does not have. */
static df_status check_authors(const struct defeat_options *options, struct df_error *err)
{
    const int mode = options->head.mode;

    if (!options->authors)
        return DF_OK;
    if (options->neck.mask.kind == DF_MASK_GAUSSIAN)
        return df_fail(err, DF_ERR_USAGE, "authors: mask=gaussian is never called in the released code [gt, roi or one]");
    if (options->head.rois == DF_ROIS_BOTH && mode != DF_HEAD_OFF && mode != DF_HEAD_ALL && mode != DF_HEAD_BG)
        return df_fail(err, DF_ERR_USAGE,
                       "authors: rois=both fails in the released code unless head is all or bg [change one of the three]");
    return DF_OK;
}

struct defeat_state {
    struct df_neck_state neck;
    struct df_backbone_state backbone;
};

static df_status defeat_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct defeat_options options = resolved(setup->options);
    struct defeat_state *state = setup->state;

    DF_TRY(check_authors(&options, err));
    DF_TRY(df_neck_init(setup, &options.neck, &state->neck, err));
    return df_backbone_init(setup, &options.backbone, &state->backbone, err);
}

static df_tensor *defeat_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                              const struct df_detection_state *teacher)
{
    const struct defeat_options options = resolved(context->options);
    const struct defeat_state *state = context->state;
    const double f = df_weight_factor(context, (enum df_decay)options.decay, options.warmup_steps);
    const struct df_feature_term neck[] = { { "defeat.fg", f * options.w_fg, DF_REGION_FOREGROUND },
                                            { "defeat.bg", f * options.w_bg, DF_REGION_BACKGROUND },
                                            { 0 } };
    const struct df_feature_term backbone[] = { { "defeat.bb_fg", f * options.w_bb_fg, DF_REGION_FOREGROUND },
                                                { "defeat.bb_bg", f * options.w_bb_bg, DF_REGION_BACKGROUND },
                                                { 0 } };
    df_tape *tape = context->tape;
    df_tensor *loss = df_neck_loss(context, &options.neck, &state->neck, student, teacher, neck);

    if (options.backbone.stages.count)
        loss = df_add(tape, loss, df_backbone_loss(context, &options.backbone, &state->backbone, student, teacher, backbone));
    if (options.head.mode != DF_HEAD_OFF)
        loss = df_add(tape, loss, df_head_loss(context, &options.head, "defeat", f, student, teacher));
    return loss;
}

const struct df_distiller_class df_distiller_defeat = {
    .abi = DF_DISTILLER_ABI,
    .name = "defeat",
    .summary = "decoupled foreground and background features of neck and backbone, positive and negative rows of the head",
    .cite = "Guo et al., CVPR 2021, arXiv:2103.14475",
    .needs = "neck/* backbone/* " DF_NEEDS_OF_HEAD,
    .needs_of = defeat_needs,
    .options = defeat_options,
    .tunable = "w_fg w_bg w_bb_fg w_bb_bg w_pos w_neg",
    .options_size = sizeof(struct defeat_options),
    .state_size = sizeof(struct defeat_state),
    .init = defeat_init,
    .loss = defeat_loss,
    .formula = "L = f { 1/L sum_l [ w_fg mse(a_l(s_l), t_l; m_l) + w_bg mse(a_l(s_l), t_l; 1 - m_l) ]\n"
               "      + the same over backbone stages with w_bb_fg, w_bb_bg\n"
               "      + w_pos KL(t || s; objects, t_pos) + w_neg KL(t || s; background, t_neg) }\n"
               "mse(s, t; m) = sum m (s - t)^2 / max(1, 2 C sum m); m: cells of ground-truth boxes; f: schedule of the weights\n"
               "s, t: features of student and teacher; a: convolution of each level; KL: as in head_kl",
    .deviation =
        "Two temperatures (theirs reads one), labels of the RoIs that are used (theirs: the student's), a background that needs no "
        "background row (theirs: the highest label seen), the student's proposals (theirs: the teacher's), a level border in "
        "proportion to the image's shorter side (theirs: 56 px at any size). authors=1 is the released code but for that border; on "
        "one-stage detectors it runs there with mask=one and without a head alone: other masks are ours.",
    .published =
        "Weights 4 and 16 on COCO (ggjy/DeFeat.pytorch, issue 18), 3 and 12 in its VOC configuration. COCO, 12 epochs: Faster R-CNN "
        "R50 37.4 to 40.9 AP, RetinaNet R50 36.5 to 39.7 AP (abstract); Faster R-CNN R152 to R50 38.0 to 41.0 AP, backbone and neck "
        "(ModelTC/United-Perception, benchmark/distillation.md).",
};
