/* CWD: every channel of the neck as a distribution over its cells, the student's to be the teacher's (Shu et al., ICCV 2021).
 *   L = w T^2 / (C N) sum_l sum over images, channels, cells of q log(q/p),  p = softmax over h,w of a_l(s_l)/T, q = of t_l/T
 * s_l, t_l [N,h,w,C]; a_l: nothing, unless the widths differ. Source: mmrazor's ChannelWiseDivergence; w = 10, T = 1 on five levels in its
 * configuration for Faster R-CNN. The cross-entropy form that others use has the same gradient. */
#include "core/nn/losses.h"
#include "distillers/common.h"

struct cwd_options {
    double w, temperature;
    int adapt;
};
#define O struct cwd_options
static const df_option cwd_options[] = {
    { "w", DF_REAL_OPTION(O, w), .standard = 10, .max = 1e4, .help = "weight" },
    { "temperature", DF_REAL_OPTION(O, temperature), .standard = 1, .min = 0.01, .max = 100, .help = "features are divided by it" },
    DF_ADAPT_ROW(O, adapt, DF_ADAPT_AUTO, NULL),
    { 0 },
};
#undef O

static struct df_adapt_options adapt_of(const struct cwd_options *options)
{
    return (struct df_adapt_options){ .kind = options->adapt, .init = DF_ADAPT_PYTORCH };
}

static df_status cwd_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct df_adapt_options adapt = adapt_of(setup->options);

    return df_neck_adapt(setup, &adapt, setup->levels, setup->state, err);
}

static df_tensor *cwd_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                           const struct df_detection_state *teacher)
{
    const struct cwd_options *options = context->options;
    const struct df_neck_state *state = context->state;
    const struct df_adapt_options adapt = adapt_of(options);
    df_tape *tape = context->tape;
    df_tensor *sum = NULL;

    for (size_t l = 0; l < student->levels; l++) {
        df_tensor *s = df_adapt_apply(tape, &adapt, &state->layer[l], df_part(student, "neck", l)->tensor);
        const double norm = df_loss_norm(tape, s->shape.n) * (double)s->shape.c;
        df_tensor *term = df_cells_kl(tape, s, df_part(teacher, "neck", l)->tensor, options->temperature, norm);

        sum = sum ? df_add(tape, sum, term) : term;
    }
    return df_term_add(context, NULL, "cwd.neck", sum, options->w);
}

const struct df_distiller_class df_distiller_cwd = {
    .abi = DF_DISTILLER_ABI,
    .name = "cwd",
    .summary = "every neck channel's distribution over the cells",
    .cite = "Shu et al., ICCV 2021, arXiv:2011.13256",
    .needs = "neck/*",
    .options = cwd_options,
    .tunable = "w",
    .options_size = sizeof(struct cwd_options),
    .state_size = sizeof(struct df_neck_state),
    .init = cwd_init,
    .loss = cwd_loss,
    .formula = "L = w T^2/(C N) sum_l sum_{n,c} sum over cells of q log(q/p)\n"
               "p = softmax over the cells of a_l(s_l)/T, q = of t_l/T, per image n and channel c\n"
               "s, t: neck features of student and teacher; a: 1x1 convolution where widths differ; T: temperature",
    .deviation = "",
    .published =
        "Weight 10, temperature 1, five levels, Faster R-CNN R101 to R50 (open-mmlab/mmrazor, "
        "configs/distill/mmdet/cwd/cwd_fpn_frcnn_r101_frcnn_r50_1x_coco.py). COCO, 24 epochs: RetinaNet X101 to R50 37.4 to 40.5 AP "
        "with weight 5 in the cross-entropy form (pppppM/mmdetection-distiller, configs/distillers/cwd); GFL, class head, 12 epochs: "
        "40.2 to 41.9 AP (mmrazor, cwd/README.md).",
};
