/* MGD: the student's features, with random cells blanked, must be enough to make the teacher's (Yang et al., ECCV 2022).
 *   L = w sum_l 1/N sum (G_l(m_l a_l(s_l)) - t_l)^2,   G = 3x3 convolution, ReLU, 3x3 convolution
 *   s_l [N,h,w,Cs], t_l [N,h,w,Ct]; a 1x1 convolution where the widths differ; m_l [N,h,w,1] is 0 with probability `ratio`, else 1
 * Summed over cells and channels, divided by the images. Source: the authors' code, det/mmdet/distillation/losses/mgd.py.
 * Deviates: the masks come from the run's keyed generator, by image, so that a step has the same ones when a run is resumed, or shared among
 * ranks; theirs from the device's own. */
#include <stdio.h>

#include "core/base/rng.h"
#include "core/nn/losses.h"
#include "distillers/common.h"
#include "distillers/layers.h"

struct mgd_options {
    double w, ratio;
    int align;
    int64_t levels;
};
#define O struct mgd_options
static const df_option mgd_options[] = {
    { "w", DF_REAL_OPTION(O, w), .standard = 2e-5, .max = 1e4, .help = "weight" },
    { "ratio", DF_REAL_OPTION(O, ratio), .standard = 0.65, .max = 1, .help = "probability of a cell to be blanked" },
    DF_ALIGN_ROW(O, align),
    DF_LEVELS_ROW(O, levels),
    { 0 },
};
#undef O

struct mgd_state {
    struct df_layer align[DF_LEVELS], first[DF_LEVELS], second[DF_LEVELS];
};

static df_status mgd_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct mgd_options *options = setup->options;
    struct mgd_state *state = setup->state;

    DF_TRY(df_levels_check(setup, options->levels, err));
    for (size_t l = 0; l < df_levels_chosen(options->levels, setup->levels); l++) {
        const size_t width = df_parts_channels(setup->teacher, "neck", l);
        char name[40];

        state->align[l] = df_align_add(setup, options->align, l);
        snprintf(name, sizeof name, "generation.%zu.0", l);
        state->first[l] = df_layer_add(setup, name, width, 3, width);
        snprintf(name, sizeof name, "generation.%zu.2", l);
        state->second[l] = df_layer_add(setup, name, width, 3, width);
    }
    return DF_OK;
}

/* [N,h,w,1]: 0 with probability `ratio`. An image of the batch has a stream of its own for each level. */
static df_tensor *draw_mask(const struct df_distill_context *context, const struct df_batch *images, df_shape map, size_t level)
{
    const double ratio = ((const struct mgd_options *)context->options)->ratio;
    const size_t cells = map.h * map.w;
    df_real *mask = df_tape_host(context->tape, map.n * cells * sizeof *mask);

    for (size_t n = 0; n < map.n; n++) {
        struct df_rng rng;

        df_rng_init(&rng, context->seed, DF_RNG_DISTILL, ((uint64_t)context->step << 32) + (images->first + n) * DF_LEVELS + level);
        for (size_t i = 0; i < cells; i++)
            mask[n * cells + i] = (df_real)(df_rng_uniform(&rng) >= ratio);
    }
    return df_tensor_from(context->tape, (df_shape){ map.n, map.h, map.w, 1 }, mask);
}

static df_tensor *mgd_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                           const struct df_detection_state *teacher)
{
    const struct mgd_options *options = context->options;
    const struct mgd_state *state = context->state;
    const double images = df_loss_norm(context->tape, student->batch);
    df_tape *tape = context->tape;
    df_tensor *sum = NULL;

    for (size_t l = 0; l < df_levels_chosen(options->levels, student->levels); l++) {
        const df_tensor *t = df_part(teacher, "neck", l)->tensor;
        df_tensor *s = df_layer_apply(tape, &state->align[l], df_part(student, "neck", l)->tensor, false);

        s = df_mul(tape, s, draw_mask(context, student->images, s->shape, l));
        s = df_layer_apply(tape, &state->second[l], df_layer_apply(tape, &state->first[l], s, true), false);

        df_tensor *term = df_squared_error(tape, s, t, NULL, NULL, images);

        sum = sum ? df_add(tape, sum, term) : term;
    }
    return df_term_add(context, NULL, "mgd", sum, options->w);
}

const struct df_distiller_class df_distiller_mgd = {
    .abi = DF_DISTILLER_ABI,
    .name = "mgd",
    .summary = "makes the teacher's neck features from the student's with random cells blanked",
    .cite = "Yang et al., ECCV 2022, arXiv:2205.01529",
    .needs = "neck/*",
    .options = mgd_options,
    .tunable = "w",
    .options_size = sizeof(struct mgd_options),
    .state_size = sizeof(struct mgd_state),
    .init = mgd_init,
    .loss = mgd_loss,
    .formula = "L = w sum_l 1/N sum_{cells, channels} (G_l(m_l a_l(s_l)) - t_l)^2\n"
               "s, t: neck features of student and teacher; a: 1x1 convolution where their widths differ; N: images\n"
               "m: 0 with probability `ratio`, else 1, drawn for every cell; G: 3x3 convolution, ReLU, 3x3 convolution",
    .deviation = "The masks come from the run's keyed generator (theirs: the device's), so that a resumed step has the same ones.",
    .published =
        "RetinaNet: weight 2e-5, ratio 0.65, 5 levels, init_student; Faster R-CNN: weight 5e-7, ratio 0.45, the 4 levels that are not "
        "pooled; gradients clipped at 35 (yzd-v/MGD). COCO, 24 epochs: RetinaNet X101 to R50 37.4 to 41.0 AP, Cascade Mask R-CNN X101 "
        "to Faster R-CNN R50 38.4 to 42.1 AP (its README, and open-mmlab/mmrazor's).",
};
