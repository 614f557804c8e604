/* Chen et al.: a hint in the features, soft classes with a weight for background, and boxes that only have to be better than the teacher's
 * (NIPS 2017), of the dense head and, for two-stage detectors, of the RoI head too.
 *   L = w_hint 1/L sum_l mse(a_l(s_l), t_l) + sum over heads of { w_cls CE + w_box B }
 *   CE = 1/n sum over rows, classes of -b_k q_k log p_k:  RoIs: p, q softmax over classes and background, b = background_weight for
 *        background, else 1; anchors: every class is a pair of it (b = 1) and the rest (b = background_weight), p, q sigmoids
 *   B  = 1/n sum over rows on objects with |u - y|^2 + margin > |v - y|^2 of |u - y|^2;  u, v: deltas of student and teacher, y: the target
 * s_l, t_l [N,h,w,C]; mse: common.h, all cells; n: norm. RoIs are the student's proposals through both heads; rows that are padding or ignored
 * take no part. Source: the paper's losses; its code is not public. The hint's 0.5, background's 1.5 and no temperature are readers' notes of it,
 * 0.5 for the other two is from memory. Deviates: mse divides by cells and channels (theirs sums); every anchor with a label counts, not 256 of
 * them; the terms stand beside the detector's whole loss (theirs gives half of its class loss away). */
#include "detectors/rows.h"
#include "distillers/common.h"

enum { NORM_AUTO, NORM_POSITIVES, NORM_ROWS };
struct mimic_options {
    double w_hint, w_cls, w_box, background_weight, margin;
    int adapt, norm;
};
#define O struct mimic_options
static const df_option mimic_options[] = {
    { "w_hint", DF_REAL_OPTION(O, w_hint), .standard = 0.5, .max = 1e4, .help = "weight of the neck" },
    { "w_cls", DF_REAL_OPTION(O, w_cls), .standard = 0.5, .max = 1e4, .help = "weight of soft classes" },
    { "w_box", DF_REAL_OPTION(O, w_box), .standard = 0.5, .max = 1e4, .help = "weight of bounded boxes" },
    { "background_weight", DF_REAL_OPTION(O, background_weight), .standard = 1.5, .min = 0.01, .max = 100,
      .help = "weight of background among the classes" },
    { "margin", DF_REAL_OPTION(O, margin), .max = 1e4,
      .help = "a box counts until its squared error is by this better than the teacher's" },
    { "norm", DF_CHOICE_OPTION(O, norm), .standard = NORM_AUTO, .choices = "auto|positives|rows",
      .help = "a head's terms are divided by its positives or by its rows; auto: positives (one-stage), rows (two-stage)" },
    DF_ADAPT_ROW(O, adapt, DF_ADAPT_1X1, NULL),
    { 0 },
};
#undef O

static struct df_neck_options neck_of(const struct mimic_options *options)
{
    return (struct df_neck_options){ .adapt = { .kind = options->adapt, .init = DF_ADAPT_PYTORCH } };
}

static df_status mimic_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct df_neck_options neck = neck_of(setup->options);

    return df_neck_init(setup, &neck, setup->state, err);
}

/* ---- a head ---- */

struct head {
    df_tensor *logits, *deltas; /* [.,.,R,K], rows of R boxes [.,.,B,4] */
    df_tensor *their_logits, *their_deltas;
    df_tensor *target;  /* like deltas */
    df_tensor *weight;  /* [.,.,R,1] 1 for each row that takes part */
    const uint8_t *box; /* [B] those that learn, on the device */
    bool roi;
    struct df_counted_norm norm;
};

static bool divided_by_rows(const struct mimic_options *options, bool two_stage)
{
    return options->norm == NORM_ROWS || (options->norm == NORM_AUTO && two_stage);
}

static df_tensor *constant(df_tape *tape, double value)
{
    const df_real scalar = (df_real)value;

    return df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, &scalar);
}

/* -q log p - b (1 - q) log(1 - p) = e BCE(p, q / e),  e = q + b (1 - q) */
static df_tensor *sigmoid_classes(df_tape *tape, const struct head *head, double b)
{
    df_tensor *q = df_sigmoid(tape, head->their_logits), *e = df_add(tape, df_scale(tape, q, 1 - b), constant(tape, b));

    return df_bce_logits_counted(tape, head->logits, df_div(tape, q, e), df_mul(tape, e, head->weight), head->norm);
}

static df_tensor *softmax_classes(df_tape *tape, const struct head *head, double b)
{
    const size_t columns = head->logits->shape.c;
    df_real *weight = df_tape_host(tape, columns * sizeof *weight);

    for (size_t k = 0; k < columns; k++)
        weight[k] = k ? 1 : (df_real)b; /* column 0 is background */
    df_tensor *q = df_mul(tape, df_softmax(tape, head->their_logits), df_tensor_from(tape, (df_shape){ 1, 1, 1, columns }, weight));

    return df_soft_cross_entropy_counted(tape, head->logits, df_mul(tape, q, head->weight), head->norm);
}

static df_tensor *head_loss(const struct df_distill_context *context, const struct head *head, df_tensor *total)
{
    const struct mimic_options *options = context->options;
    df_tape *tape = context->tape;
    df_tensor *classes = (head->roi ? softmax_classes : sigmoid_classes)(tape, head, options->background_weight);
    const struct df_bound bound = { head->their_deltas, options->margin };
    df_tensor *box = df_bounded_l2(tape, head->deltas, head->target, head->box, bound, head->norm);

    total = df_term_add(context, total, head->roi ? "mimic.roi_cls" : "mimic.cls", classes, options->w_cls);
    return df_term_add(context, total, head->roi ? "mimic.roi_box" : "mimic.box", box, options->w_box);
}

static struct head dense_head(df_tape *tape, const struct df_detection_state *student, const struct df_detection_state *teacher,
                              bool by_rows)
{
    const struct df_marked used = df_mark_rows(tape, student, DF_LABEL_BACKGROUND, DF_LABEL_LAST, true);
    const struct df_marked positives = df_mark_rows(tape, student, DF_LABEL_OBJECT, DF_LABEL_LAST, false);

    return (struct head){ .logits = df_part_tensor(student, "logits"),
                          .deltas = df_part_tensor(student, "deltas"),
                          .their_logits = df_detach(tape, df_part_tensor(teacher, "logits")),
                          .their_deltas = df_part_tensor(teacher, "deltas"),
                          .target = df_part_tensor(student, "target"),
                          .weight = used.weight,
                          .box = positives.use,
                          .norm = df_marked_norm(tape, by_rows ? &used : &positives) };
}

/* Boxes are those of every class, of which the row's own learns. */
static struct head roi_head(df_tape *tape, const struct df_detection_state *student, const struct df_detection_state *teacher, bool by_rows)
{
    const df_tensor *label = df_part_tensor(student, "roi/label");
    const struct df_marked used = df_mark_labels(tape, label, 1, DF_LABEL_BACKGROUND, DF_LABEL_LAST, true);
    const struct df_marked positives = df_mark_labels(tape, label, 1, DF_LABEL_OBJECT, DF_LABEL_LAST, false);
    const struct df_roi_targets learnt = df_roi_targets(tape, student);
    struct df_detection_state taught;

    teacher->detector->class->run_head(teacher->detector, tape, teacher, &student->rois, &taught);
    return (struct head){ .logits = df_part_tensor(student, "roi/logits"),
                          .deltas = df_reshape(tape, df_part_tensor(student, "roi/deltas"), learnt.target->shape),
                          .their_logits = df_detach(tape, df_part_tensor(&taught, "roi/logits")),
                          .their_deltas = df_part_tensor(&taught, "roi/deltas"),
                          .target = learnt.target,
                          .weight = used.weight,
                          .box = learnt.use,
                          .norm = df_marked_norm(tape, by_rows ? &used : &positives),
                          .roi = true };
}

static df_tensor *mimic_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                             const struct df_detection_state *teacher)
{
    const struct mimic_options *options = context->options;
    const struct df_neck_options neck = neck_of(options);
    const struct df_feature_term hint[] = { { "mimic.hint", options->w_hint, DF_REGION_ALL }, { 0 } };
    const bool two_stage = df_parts_find(&student->parts, "roi/logits") != NULL;
    df_tensor *loss = df_neck_loss(context, &neck, context->state, student, teacher, hint);
    struct head head = dense_head(context->tape, student, teacher, divided_by_rows(options, two_stage));

    loss = head_loss(context, &head, loss);
    if (!two_stage)
        return loss;
    head = roi_head(context->tape, student, teacher, divided_by_rows(options, two_stage));
    return head_loss(context, &head, loss);
}

const struct df_distiller_class df_distiller_mimic = {
    .abi = DF_DISTILLER_ABI,
    .name = "mimic",
    .summary = "a hint in the neck, soft classes with a weight for background, boxes bounded by the teacher's",
    .cite = "Chen et al., NIPS 2017 (Learning Efficient Object Detection Models with Knowledge Distillation)",
    .needs = "neck/* logits deltas " DF_NEEDS_CLASS_LOGITS,
    .options = mimic_options,
    .tunable = "w_hint w_cls w_box",
    .options_size = sizeof(struct mimic_options),
    .state_size = sizeof(struct df_neck_state),
    .init = mimic_init,
    .loss = mimic_loss,
    .formula = "L = w_hint/L sum_l mean (a_l(s_l) - t_l)^2 / 2 + sum over heads of [ w_cls CE + w_box B ]\n"
               "CE = 1/n sum -b_k q_k log p_k; RoIs: softmax, b = background_weight for background, else 1;\n"
               "     anchors: sigmoids, of each class b = 1, of the rest b = background_weight\n"
               "B = 1/n sum |u - y|^2 over rows on objects with |u - y|^2 + margin > |v - y|^2\n"
               "s, t: neck features, p, q: class scores, u, v: box deltas, of student and teacher; y: target; a: 1x1 convolution\n"
               "heads: of anchors and, two-stage, of RoIs (the student's proposals); n: positives, or rows",
    .deviation =
        "The hint is a mean over cells and channels (theirs: a sum). Every anchor with a label counts, not 256 of them. The terms stand "
        "beside the detector's whole loss (theirs halves its class loss).",
    .published =
        "Hint 0.5, background 1.5, no temperature: as readers' notes of the paper have them (the last in bryanbo-cao/open-papernotes); by "
        "them the share of the soft classes and the margin are not printed. 0.5 for classes and boxes is from memory; neither the paper "
        "was "
        "read again nor is its code public. Results are on VOC, KITTI and COCO 2014 with AlexNet and VGG students; none for ResNet-101 to "
        "ResNet-50.",
};
