/* FRS: imitate neck and class logits where the teacher sees something, whatever the labels say (Du et al., NeurIPS 2021).
 *   L = f sum_l [ w_feat sum m_l (a_l(s_l) - t_l)^2 / sum m_l + w_cls sum m_l BCE(u_l, sigmoid(v_l)) / sum m_l ]
 * s_l, t_l [N,h,w,C] neck, u_l, v_l [N,h,w,a K] logits of the dense head (two-stage detectors: of the proposal network, K = 1) of student and
 * teacher, summed over channels; m_l [N,h,w] = the largest of sigmoid(v_l) in a cell, a constant; f = min(1, (step + 1)/warmup_steps). Source: the
 * authors' code, whose weights are 0.005 and 0.02 for RetinaNet, 0.002 and 0.1 for Faster R-CNN, and whose f is step/500. Deviates: f begins
 * at 1/500; 1e-12 is added to the second sum m_l, and without any m there is no first term. */
#include "core/nn/losses.h"
#include "distillers/common.h"

struct frs_options {
    double w_feat, w_cls;
    int adapt;
    int64_t warmup_steps;
};
#define O struct frs_options
static const df_option frs_options[] = {
    { "w_feat", DF_REAL_OPTION(O, w_feat), .standard = 0.005, .max = 1e4,
      .help = "weight of the neck (the authors': RetinaNet 0.005, Faster R-CNN 0.002)" },
    { "w_cls", DF_REAL_OPTION(O, w_cls), .standard = 0.02, .max = 1e4,
      .help = "weight of the class logits (the authors': RetinaNet 0.02, Faster R-CNN 0.1)" },
    DF_ADAPT_ROW(O, adapt, DF_ADAPT_3X3, NULL),
    { "warmup_steps", DF_INT_OPTION(O, warmup_steps), .standard = 500, .max = 1e9,
      .help = "both weights rise linearly over so many steps" },
    { 0 },
};
#undef O

static struct df_adapt_options adapt_of(const struct frs_options *options)
{
    return (struct df_adapt_options){ .kind = options->adapt, .init = DF_ADAPT_PYTORCH };
}

static df_status frs_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct df_adapt_options adapt = adapt_of(setup->options);

    return df_neck_adapt(setup, &adapt, setup->levels, setup->state, err);
}

struct level {                      /* what both terms of a level share */
    df_tensor *scores, *mask, *sum; /* sigmoid(v) [N,h,w,a K], m [N,h,w,1], sum m */
    double share;                   /* of this rank */
};

static struct level level_of(df_tape *tape, const struct df_detection_state *student, df_tensor *logits, size_t l)
{
    struct level level = { .scores = df_sigmoid(tape, df_dense_level(tape, student, logits, l)), .share = 1 };

    level.mask = df_max(tape, level.scores, 1 << 3);
    level.sum = df_sum(tape, level.mask, 15);
    if (df_comm_size(df_tape_device(tape)->comm) > 1)
        level.share = df_share_of_ranks(tape, df_item(tape, level.sum));
    return level;
}

/* sum m BCE(u, scores) / sum m */
static df_tensor *class_loss(df_tape *tape, df_tensor *u, const struct level *level)
{
    static const df_real zero, one = 1, tiny = (df_real)1e-12;
    const df_shape scalar = { 1, 1, 1, 1 };
    df_real *none = df_tape_host(tape, u->shape.c * sizeof *none);

    for (size_t c = 0; c < u->shape.c; c++)
        none[c] = zero;
    df_tensor *weight = df_add(tape, level->mask, df_tensor_from(tape, (df_shape){ 1, 1, 1, u->shape.c }, none));
    df_tensor *sum = df_add(tape, level->sum, df_tensor_from(tape, scalar, &tiny));

    return df_scale_by(tape, df_bce_logits(tape, u, level->scores, weight, 1), df_div(tape, df_tensor_from(tape, scalar, &one), sum));
}

static df_tensor *add(df_tape *tape, df_tensor *sum, df_tensor *term, double share)
{
    df_tensor *own = df_scale(tape, term, share);

    return sum ? df_add(tape, sum, own) : own;
}

static df_tensor *frs_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                           const struct df_detection_state *teacher)
{
    const struct frs_options *options = context->options;
    const struct df_neck_state *state = context->state;
    const struct df_adapt_options adapt = adapt_of(options);
    const double f = df_weight_factor(context, DF_DECAY_NONE, options->warmup_steps);
    df_tape *tape = context->tape;
    df_tensor *logits = df_part_tensor(student, "logits"), *taught = df_detach(tape, df_part_tensor(teacher, "logits"));
    df_tensor *features = NULL, *classes = NULL;

    for (size_t l = 0; l < student->levels; l++) {
        const struct level level = level_of(tape, student, taught, l);
        df_tensor *s = df_adapt_apply(tape, &adapt, &state->layer[l], df_part(student, "neck", l)->tensor);
        df_tensor *u = df_dense_level(tape, student, logits, l);

        features = add(tape, features, df_masked_squares(tape, s, df_part(teacher, "neck", l)->tensor, level.mask), level.share);
        classes = add(tape, classes, class_loss(tape, u, &level), level.share);
    }
    return df_term_add(context, df_term_add(context, NULL, "frs.feat", features, f * options->w_feat), "frs.cls", classes,
                       f * options->w_cls);
}

const struct df_distiller_class df_distiller_frs = {
    .abi = DF_DISTILLER_ABI,
    .name = "frs",
    .summary = "neck features and class logits, weighted by how sure the teacher is of an object in the cell",
    .cite = "Du et al., NeurIPS 2021, arXiv:2111.00674",
    .needs = "neck/* logits",
    .options = frs_options,
    .tunable = "w_feat w_cls",
    .options_size = sizeof(struct frs_options),
    .state_size = sizeof(struct df_neck_state),
    .init = frs_init,
    .loss = frs_loss,
    .formula = "L = f sum_l [ w_feat sum m_l (a_l(s_l) - t_l)^2 / sum m_l + w_cls sum m_l BCE(u_l, sigmoid(v_l)) / sum m_l ]\n"
               "m: largest sigmoid(v) of a cell, over anchors and classes; f: min(1, (step + 1)/warmup_steps)\n"
               "s, t: neck features, u, v: logits of the dense head, of student and teacher, channels summed; a: 3x3 convolution",
    .deviation =
        "The warm-up begins at 1/warmup_steps (the authors': at 0). For two-stage detectors the logits are the proposal network's, as "
        "in the authors' code.",
    .published =
        "Weights 0.005 and 0.02 (RetinaNet), 0.002 and 0.1 (Faster R-CNN), 500 steps of warm-up (duzhixing/FRS, config/distill_frs). "
        "COCO, R101 to R50: RetinaNet 37.4 to 39.7 AP in 24 epochs, Faster R-CNN 37.4 to 39.5 AP in 12 (its README.md); Faster R-CNN "
        "R152 to R50 38.0 to 40.9 AP (ModelTC/United-Perception, benchmark/distillation.md).",
};
