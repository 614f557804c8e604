/* PKD: imitate what remains of neck features when every channel is standardised, so that only their pattern counts (Cao et al., NeurIPS 2022).
 *   L = w/2 sum_l mean over n,h,w,c of (z(a_l(s_l)) - z(t_l))^2,  z(x) = (x - mean) / (std + 1e-6) per channel, over all cells of the batch
 * s_l, t_l [N,h,w,C] of the finest `levels` levels; std unbiased; a_l: nothing, unless the widths differ. mean((z_s - z_t)^2)/2 is 1 - Pearson's
 * correlation. Source: mmrazor's PKDLoss; w = 10 for RetinaNet, 6 for Faster R-CNN, levels 0 to 3 of the neck, in its configurations. Deviates: a
 * 1x1 convolution where widths differ (the paper: none); with several ranks each standardises what it holds, as theirs does. */
#include "core/nn/losses.h"
#include "distillers/common.h"

struct pkd_options {
    double w;
    int64_t levels;
    int adapt;
};
#define O struct pkd_options
static const df_option pkd_options[] = {
    { "w", DF_REAL_OPTION(O, w), .standard = 10, .max = 1e4, .help = "weight (the authors' configurations: RetinaNet 10, Faster R-CNN 6)" },
    { "levels", DF_INT_OPTION(O, levels), .standard = 4, .min = 1, .max = DF_LEVELS,
      .help = "imitate the finest so many levels of the neck, or all if there are fewer" },
    DF_ADAPT_ROW(O, adapt, DF_ADAPT_AUTO, NULL),
    { 0 },
};
#undef O

static struct df_adapt_options adapt_of(const struct pkd_options *options)
{
    return (struct df_adapt_options){ .kind = options->adapt, .init = DF_ADAPT_PYTORCH };
}

static size_t levels_of(const struct pkd_options *options, size_t neck)
{
    return (size_t)options->levels < neck ? (size_t)options->levels : neck;
}

static df_status pkd_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct df_adapt_options adapt = adapt_of(setup->options);

    return df_neck_adapt(setup, &adapt, levels_of(setup->options, setup->levels), setup->state, err);
}

/* mean((z_s - z_t)^2) / 2: masked_mse divides by twice the elements */
static df_tensor *level_loss(df_tape *tape, df_tensor *s, df_tensor *t)
{
    static const double eps = 1e-6;
    double *cells = df_tape_host(tape, s->shape.n * sizeof *cells);
    df_tensor *every = df_mask_region(tape, s->shape, NULL, DF_REGION_ALL, NULL, cells);
    df_tensor *z = df_standardise(tape, s, eps), *target = df_standardise(tape, df_detach(tape, t), eps);

    return df_scale(tape, df_masked_mse(tape, z, target, every, 1, false), df_share_of_ranks(tape, (double)s->shape.n));
}

static df_tensor *pkd_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                           const struct df_detection_state *teacher)
{
    const struct pkd_options *options = context->options;
    const struct df_neck_state *state = context->state;
    const struct df_adapt_options adapt = adapt_of(options);
    df_tape *tape = context->tape;
    df_tensor *sum = NULL;

    for (size_t l = 0; l < levels_of(options, student->levels); l++) {
        df_tensor *s = df_adapt_apply(tape, &adapt, &state->layer[l], df_part(student, "neck", l)->tensor);
        df_tensor *term = level_loss(tape, s, df_part(teacher, "neck", l)->tensor);

        sum = sum ? df_add(tape, sum, term) : term;
    }
    return df_term_add(context, NULL, "pkd.neck", sum, options->w);
}

const struct df_distiller_class df_distiller_pkd = {
    .abi = DF_DISTILLER_ABI,
    .name = "pkd",
    .summary = "imitates standardised neck features: the pattern, whatever its scale",
    .cite = "Cao et al., NeurIPS 2022, arXiv:2207.02039",
    .needs = "neck/*",
    .options = pkd_options,
    .tunable = "w",
    .options_size = sizeof(struct pkd_options),
    .state_size = sizeof(struct df_neck_state),
    .init = pkd_init,
    .loss = pkd_loss,
    .formula = "L = w/2 sum_l mean (z(a_l(s_l)) - z(t_l))^2 over images, cells and channels\n"
               "z(x) = (x - mean) / (std + 1e-6): per channel, over all cells of the batch, std unbiased\n"
               "s, t: neck features of student and teacher, of the finest `levels` levels; a: 1x1 convolution where widths differ",
    .deviation =
        "The paper has no adaptation; a 1x1 convolution stands where widths differ. With several ranks each standardises the images it "
        "holds, as mmrazor's code does.",
    .published =
        "Weights 10 (RetinaNet) and 6 (Faster R-CNN), levels 0 to 3 (open-mmlab/mmrazor, configs/distill/mmdet/pkd). COCO, 24 epochs: "
        "RetinaNet X101 to R50 37.4 to 40.8 AP, Faster R-CNN R101 to R50 38.4 to 40.4 AP, RetinaNet R50 of a Mask R-CNN with Swin-S 37.4 "
        "to "
        "41.5 AP (there, pkd/README.md and metafile.yml).",
};
