/* DIST: the student's class scores need not be the teacher's, only correlate with them: over the classes of a sample, and over the samples of a
 * class (Huang et al., NeurIPS 2022).
 *   L = sum_l { w_inter (1 - mean over rows of r) + w_intra (1 - mean over columns of r) } [ + w_mimic sum_l mean (a_l(s_l) - t_l)^2 ]
 * r: Pearson's correlation of the two networks' scores. One-stage detectors: sigmoid of the logits of a level, [N h w, a K]: a row for every
 * cell, a column for every anchor of it and class. Two-stage: softmax of the RoI head's logits [R, K+1] on the student's proposals through
 * both heads, l alone; rows that are padding or ignored take no part. Source: the authors' detection code (hunto/MasKD, DIST and its
 * configurations): w_inter = w_intra = 1; the last term, weight 1 with 1x1 convolutions, is their "+ mimic". */
#include "core/nn/losses.h"
#include "distillers/common.h"

struct dist_options {
    double w_inter, w_intra, w_mimic;
    bool mimic;
    int adapt;
};
#define O struct dist_options
static const df_option dist_options[] = {
    { "w_inter", DF_REAL_OPTION(O, w_inter), .standard = 1, .max = 1e4, .help = "weight of the correlation over classes" },
    { "w_intra", DF_REAL_OPTION(O, w_intra), .standard = 1, .max = 1e4, .help = "weight of the correlation over samples" },
    { "mimic", DF_BOOL_OPTION(O, mimic), .help = "imitate the neck, too" },
    { "w_mimic", DF_REAL_OPTION(O, w_mimic), .standard = 1, .max = 1e4, .when = "mimic=1", .help = "weight of the neck" },
    DF_ADAPT_ROW(O, adapt, DF_ADAPT_1X1, "mimic=1"),
    { 0 },
};
#undef O

static void dist_needs(const void *values, struct df_needs *needs)
{
    df_needs_add(needs, DF_NEEDS_CLASS_LOGITS);
    if (((const struct dist_options *)values)->mimic)
        df_needs_add(needs, "neck/*");
}

static struct df_neck_options neck_of(const struct dist_options *options)
{
    return (struct df_neck_options){ .adapt = { .kind = options->adapt, .init = DF_ADAPT_PYTORCH } };
}

static df_status dist_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct dist_options *options = setup->options;
    const struct df_neck_options neck = neck_of(options);

    return options->mimic ? df_neck_init(setup, &neck, setup->state, err) : DF_OK;
}

struct correlation { /* 1 - means, summed over levels */
    df_tensor *inter, *intra;
};

/* p, q: scores of `use`d rows */
static void correlate(df_tape *tape, df_tensor *p, df_tensor *q, const uint8_t *use, struct correlation *sum)
{
    size_t used = 0;

    for (size_t r = 0; r < df_pixels(p->shape); r++)
        used += use[r];
    df_tensor *inter = df_pearson_rows(tape, p, q, use, df_loss_norm(tape, used));
    df_tensor *intra = df_pearson_columns(tape, p, q, use, (double)p->shape.c * (double)df_comm_size(df_tape_device(tape)->comm));

    sum->inter = sum->inter ? df_add(tape, sum->inter, inter) : inter;
    sum->intra = sum->intra ? df_add(tape, sum->intra, intra) : intra;
}

static struct correlation dense(df_tape *tape, const struct df_detection_state *student, const struct df_detection_state *teacher)
{
    df_tensor *s = df_sigmoid(tape, df_part_tensor(student, "logits"));
    df_tensor *t = df_sigmoid(tape, df_detach(tape, df_part_tensor(teacher, "logits")));
    struct correlation sum = { 0 };

    for (size_t l = 0; l < student->levels; l++) {
        df_tensor *p = df_dense_level(tape, student, s, l);
        uint8_t *use = df_tape_host(tape, df_pixels(p->shape));

        for (size_t r = 0; r < df_pixels(p->shape); r++)
            use[r] = 1;
        correlate(tape, p, df_dense_level(tape, student, t, l), use, &sum);
    }
    return sum;
}

static struct correlation rois(df_tape *tape, const struct df_detection_state *student, const struct df_detection_state *teacher)
{
    const df_real *label = df_part_host(tape, df_part(student, "roi/label", DF_NO_LEVEL));
    uint8_t *use = df_tape_host(tape, student->rois.count);
    struct df_detection_state taught;
    struct correlation sum = { 0 };

    teacher->detector->class->run_head(teacher->detector, tape, teacher, &student->rois, &taught);
    for (size_t r = 0; r < student->rois.count; r++)
        use[r] = label[r] >= -1;
    correlate(tape, df_softmax(tape, df_part_tensor(student, "roi/logits")),
              df_softmax(tape, df_detach(tape, df_part_tensor(&taught, "roi/logits"))), use, &sum);
    return sum;
}

static df_tensor *dist_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                            const struct df_detection_state *teacher)
{
    const struct dist_options *options = context->options;
    const struct df_neck_options neck = neck_of(options);
    const bool two_stage = df_parts_find(&student->parts, "roi/logits") != NULL;
    const struct correlation sum = (two_stage ? rois : dense)(context->tape, student, teacher);
    df_tensor *loss = df_term_add(context, NULL, "dist.inter", sum.inter, options->w_inter);

    loss = df_term_add(context, loss, "dist.intra", sum.intra, options->w_intra);
    if (!options->mimic)
        return loss;
    /* the neck's term is half of the mean over levels */
    const struct df_feature_term mimic[] = { { "dist.mimic", 2 * (double)student->levels * options->w_mimic, DF_REGION_ALL }, { 0 } };

    return df_add(context->tape, loss, df_neck_loss(context, &neck, context->state, student, teacher, mimic));
}

const struct df_distiller_class df_distiller_dist = {
    .abi = DF_DISTILLER_ABI,
    .name = "dist",
    .summary = "class scores that correlate with the teacher's, over classes and over samples",
    .cite = "Huang et al., NeurIPS 2022, arXiv:2205.10536",
    .needs = DF_NEEDS_CLASS_LOGITS " neck/*",
    .needs_of = dist_needs,
    .options = dist_options,
    .tunable = "w_inter w_intra w_mimic",
    .options_size = sizeof(struct dist_options),
    .state_size = sizeof(struct df_neck_state),
    .init = dist_init,
    .loss = dist_loss,
    .formula = "L = sum_l [ w_inter (1 - mean over rows of r) + w_intra (1 - mean over columns of r) ]\n"
               "    + w_mimic sum_l mean (a_l(s_l) - t_l)^2, with mimic=1\n"
               "r: Pearson's correlation of the two networks' scores, <x', y'>/(|x'| |y'| + 1e-8), x' = x - mean\n"
               "one-stage: sigmoids of level l, rows are cells, columns anchors and classes; two-stage: softmax, rows are RoIs\n"
               "s, t: neck features of student and teacher; a: 1x1 convolution",
    .deviation = "Two-stage detectors: the student's proposals that are padding or ignored take no part.",
    .published =
        "Weights 1 and 1; with mimic, 1 (hunto/MasKD, mmrazor/configs/distill/dist). COCO, 24 epochs: RetinaNet X101 to R50 37.4 to "
        "39.8 AP, with mimic 40.1; Faster R-CNN R50 of a Cascade Mask R-CNN X101 38.4 to 40.4 AP, with mimic 41.8 (hunto/DIST_KD, "
        "README.md).",
};
