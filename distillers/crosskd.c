/* CrossKD: the student's head features go on through the rest of the teacher's frozen head, and what comes out imitates the teacher's
 * predictions (Wang et al., CVPR 2024). Dense heads with two branches only.
 *   x_l = sigma(t_l) standardise(s_l) + mu(t_l),   (z', d') = the teacher's last convolution and predictor over ReLU(x)
 *   L = w_class/P sum_{rows, classes} |p - q|^beta BCE(z', q) + w_box/P sum_rows max_k q_k (1 - GIoU(decode(d'), decode(d)))
 *   s_l, t_l [N,h,w,C] of level l: what the last but one convolution of a branch says before its ReLU; mu, sigma, and standardise's: over the
 *   images and cells of the level, per channel; p, q = sigmoids of z', of the teacher's logits; d the teacher's deltas [N,1,A,4]
 *   rows: anchors that are not ignored; P: positives, at least 1. No adaptation: both heads are equally wide.
 * Gradients pass through the teacher's layers and through both of the standardisation's statistics. Source: written from the formulas of the
 * authors' code (mmdet/models/detectors/crosskd_retinanet.py, kd_loss.py), in whose RetinaNet this is the third of four convolutions.
 * Deviates: decoding limits growth alone, as the detectors here do (theirs shrinking too); a level with one cell in the whole batch has no
 * deviation (theirs: not a number) and goes on as it is; no division by the deviation's epsilon on the teacher's side, as there. */
#include "detectors/rows.h"
#include "distillers/common.h"

struct crosskd_options {
    double w_class, w_box, beta;
};
#define O struct crosskd_options
static const df_option crosskd_options[] = {
    { "w_class", DF_REAL_OPTION(O, w_class), .standard = 1, .max = 1e4, .help = "weight of the class logits" },
    { "w_box", DF_REAL_OPTION(O, w_box), .standard = 1, .max = 1e4, .help = "weight of the boxes" },
    { "beta", DF_REAL_OPTION(O, beta), .standard = 1, .min = 1, .max = 10, .help = "exponent of the difference of the probabilities" },
    { 0 },
};
#undef O

static const char *const towers[] = { "class_tower", "box_tower" };

static df_status crosskd_init(struct df_distiller_setup *setup, struct df_error *err)
{
    for (size_t k = 0; k < 2; k++)
        for (size_t l = 0; l < setup->levels; l++) {
            const struct df_part *own = df_parts_at(setup->student, towers[k], l), *theirs = df_parts_at(setup->teacher, towers[k], l);

            if (!own || !theirs)
                return df_fail(err, DF_ERR_USAGE,
                               "crosskd: the %s's head has no '%s/%zu' (expected two or more convolutions a branch) [raise "
                               "network.head_convs]",
                               own ? "teacher" : "student", towers[k], l);
            if (own->shape.c != theirs->shape.c)
                return df_fail(err, DF_ERR_USAGE,
                               "crosskd: '%s' has %zu channels in the student, %zu in the teacher (expected equal heads) [set "
                               "network.head_width of both]",
                               own->name, own->shape.c, theirs->shape.c);
        }
    return DF_OK;
}

/* s with the mean and the deviation of t, per channel */
static df_tensor *aligned(df_tape *tape, df_tensor *s, df_tensor *t)
{
    enum { PIXELS = 7 }; /* axes */
    const double rows = (double)df_pixels(t->shape);

    if (rows < 2)
        return s;

    df_tensor *mean = df_mean(tape, t, PIXELS), *centred = df_sub(tape, t, mean);
    df_tensor *variance = df_scale(tape, df_mean(tape, df_mul(tape, centred, centred), PIXELS), rows / (rows - 1));

    return df_add(tape, df_mul(tape, df_standardise(tape, s, 1e-6), df_sqrt_op(tape, variance)), mean);
}

/* Of the student's towers through the teacher's head. */
static void cross(df_tape *tape, const struct df_detection_state *student, const struct df_detection_state *teacher,
                  struct df_detection_state *out)
{
    struct df_detection_state crossed = *student;

    for (size_t k = 0; k < 2; k++)
        for (size_t l = 0; l < student->levels; l++) {
            const struct df_part *own = df_part(student, towers[k], l);
            df_tensor *theirs = df_detach(tape, df_part(teacher, towers[k], l)->tensor);

            df_parts_set(&crossed.parts, towers[k], l, own->stride, aligned(tape, own->tensor, theirs));
        }
    teacher->detector->class->finish_head(teacher->detector, tape, &crossed, out);
}

static df_tensor *crosskd_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                               const struct df_detection_state *teacher)
{
    enum { CLASSES = 8 }; /* axis */
    const struct crosskd_options *options = context->options;
    df_tape *tape = context->tape;
    df_tensor *logits = df_detach(tape, df_part_tensor(teacher, "logits")), *deltas = df_part_tensor(teacher, "deltas"), *weight;
    const struct df_marked used = df_mark_rows(tape, student, DF_LABEL_BACKGROUND, DF_LABEL_LAST, true);
    const struct df_marked positives = df_mark_rows(tape, student, DF_LABEL_OBJECT, DF_LABEL_LAST, false);
    const struct df_counted_norm norm = df_marked_norm(tape, &positives);
    struct df_detection_state crossed;

    DF_ASSERT(teacher->detector);
    cross(tape, student, teacher, &crossed);
    weight = df_mul(tape, used.weight, df_sigmoid(tape, df_max(tape, logits, CLASSES)));

    df_tensor *class = df_quality_focal(tape, df_part_tensor(&crossed, "logits"), logits, used.use, options->beta, norm);
    const struct df_deltas_of of = { crossed.anchor, teacher->detector->delta_weights };
    df_tensor *box = df_giou(tape, df_part_tensor(&crossed, "deltas"), deltas, weight, of, norm);

    return df_term_add(context, df_term_add(context, NULL, "crosskd.class", class, options->w_class), "crosskd.box", box, options->w_box);
}

const struct df_distiller_class df_distiller_crosskd = {
    .abi = DF_DISTILLER_ABI,
    .name = "crosskd",
    .summary = "predictions that the teacher's frozen head makes of the student's head features",
    .cite = "Wang et al., CVPR 2024, arXiv:2306.11369",
    .needs = "class_tower/* box_tower/* logits deltas " DF_NEEDS_HEAD,
    .options = crosskd_options,
    .tunable = "w_class w_box",
    .options_size = sizeof(struct crosskd_options),
    .init = crosskd_init,
    .loss = crosskd_loss,
    .formula = "L = w_class/P sum_{rows, classes} |p - q|^beta BCE(z', q)\n"
               "  + w_box/P sum_rows max_k q_k (1 - GIoU(decode(d'), decode(d)))\n"
               "z', d': the rest of the teacher's head over ReLU(x), x = sigma(t) standardise(s) + mu(t), per level and channel\n"
               "s, t: what the last but one convolution of a branch of either head says before its ReLU\n"
               "p, q: sigmoids of z' and of the teacher's logits; d: the teacher's deltas; rows: anchors not ignored; P: positives",
    .deviation =
        "Decoding limits growth alone (theirs shrinking too); a level with one cell in the whole batch is not standardised (theirs: not "
        "a number). The last but one convolution is the third of four there.",
    .published = "Weights 1 and 1, beta 1, RetinaNet R101 to R50, COCO, 24 epochs: 37.4 to 39.7 AP, with PKD 39.8 (jbwang1997/CrossKD, "
                 "README.md).",
};
