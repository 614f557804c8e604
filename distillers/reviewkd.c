/* ReviewKD: every level of the student's neck, joined with what its coarser levels have made, imitates the teacher's (Chen et al., CVPR 2021).
 *   L = w sum_l HCL(o_l, t_l),   (o_l, r_l) = ABF_l(s_l, r_{l+1}) from the coarsest level to the finest
 *   ABF: a = BN(1x1(s)); where there is a coarser level: b = nearest(r to a's size), z = sigmoid(1x1([a;b])), a := a z_0 + b z_1;
 *        o = BN(3x3(a)), r = a                                                                                        (HCL: common.h)
 *   s_l [N,h,w,Cs], a, b, r [N,h,w,width], z [N,h,w,2], o, t_l [N,h,w,Ct]; no ReLU; the two sigmoids need not add up to 1
 * Source: the authors' code, Detection/model/kd_trans.py: batch norms with the batch's statistics, convolutions without bias (but the
 * attention's), Kaiming uniform weights; width 256 is that of the neck there. */
#include <stdio.h>

#include "distillers/common.h"
#include "distillers/layers.h"

struct reviewkd_options {
    double w;
    int64_t width, levels;
};
#define O struct reviewkd_options
static const df_option reviewkd_options[] = {
    { "w", DF_REAL_OPTION(O, w), .standard = 1, .max = 1e4, .help = "weight" },
    { "width", DF_INT_OPTION(O, width), .max = 4096, .help = "of what is handed from level to level; 0: the student's neck (channels)" },
    DF_LEVELS_ROW(O, levels),
    { 0 },
};
#undef O

struct fusion { /* ABF */
    struct df_layer narrow, attention, widen;
    struct df_norm_layer narrow_norm, widen_norm;
};
struct reviewkd_state {
    struct fusion fusion[DF_LEVELS];
};

static void fusion_add(struct df_distiller_setup *setup, size_t level, size_t width, bool fuses, struct fusion *fusion)
{
    const size_t in = df_parts_channels(setup->student, "neck", level), out = df_parts_channels(setup->teacher, "neck", level);
    const struct df_initialiser kaiming = { DF_INIT_KAIMING_UNIFORM_1, 0 };
    char name[40];

    snprintf(name, sizeof name, "abf.%zu.conv1.0", level);
    fusion->narrow = df_layer_add_as(setup, name, (df_shape){ width, 1, 1, in }, kaiming, NULL);
    snprintf(name, sizeof name, "abf.%zu.conv1.1", level);
    fusion->narrow_norm = df_norm_layer_add(setup, name, width);
    snprintf(name, sizeof name, "abf.%zu.conv2.0", level);
    fusion->widen = df_layer_add_as(setup, name, (df_shape){ out, 3, 3, width }, kaiming, NULL);
    snprintf(name, sizeof name, "abf.%zu.conv2.1", level);
    fusion->widen_norm = df_norm_layer_add(setup, name, out);
    snprintf(name, sizeof name, "abf.%zu.att_conv.0", level);
    if (fuses)
        fusion->attention = df_layer_add(setup, name, 2, 1, 2 * width);
}

static df_status reviewkd_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct reviewkd_options *options = setup->options;
    struct reviewkd_state *state = setup->state;
    const size_t levels = df_levels_chosen(options->levels, setup->levels);
    const size_t width = options->width ? (size_t)options->width : df_parts_channels(setup->student, "neck", 0);

    DF_TRY(df_levels_check(setup, options->levels, err));
    for (size_t l = 0; l < levels; l++)
        fusion_add(setup, l, width, l + 1 < levels, &state->fusion[l]);
    return DF_OK;
}

/* coarser NULL: there is none. *fused is handed on. */
static df_tensor *fuse(df_tape *tape, const struct fusion *fusion, df_tensor *s, df_tensor *coarser, df_tensor **fused)
{
    df_tensor *a = df_norm_layer_apply(tape, &fusion->narrow_norm, df_layer_apply(tape, &fusion->narrow, s, false));

    if (coarser) {
        df_tensor *b = df_upsample_nearest(tape, coarser, a->shape.h, a->shape.w);
        df_tensor *z = df_sigmoid(tape, df_layer_apply(tape, &fusion->attention, df_concat(tape, (df_tensor *[]){ a, b }, 2, 3), false));

        a = df_add(tape, df_mul(tape, a, df_slice(tape, z, 3, 0, 1)), df_mul(tape, b, df_slice(tape, z, 3, 1, 2)));
    }
    *fused = a;
    return df_norm_layer_apply(tape, &fusion->widen_norm, df_layer_apply(tape, &fusion->widen, a, false));
}

static df_tensor *reviewkd_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                                const struct df_detection_state *teacher)
{
    const struct reviewkd_options *options = context->options;
    const struct reviewkd_state *state = context->state;
    df_tensor *sum = NULL, *coarser = NULL;
    df_tape *tape = context->tape;

    for (size_t l = df_levels_chosen(options->levels, student->levels); l-- > 0;) {
        df_tensor *t = df_detach(tape, df_part(teacher, "neck", l)->tensor);
        df_tensor *out = fuse(tape, &state->fusion[l], df_part(student, "neck", l)->tensor, coarser, &coarser);
        df_tensor *term = df_hcl(tape, out, t);

        sum = sum ? df_add(tape, sum, term) : term;
    }
    return df_term_add(context, NULL, "reviewkd", sum, options->w);
}

const struct df_distiller_class df_distiller_reviewkd = {
    .abi = DF_DISTILLER_ABI,
    .name = "reviewkd",
    .summary = "neck features, each level joined with the coarser ones by attention, at four scales",
    .cite = "Chen et al., CVPR 2021, arXiv:2104.09044",
    .needs = "neck/*",
    .options = reviewkd_options,
    .tunable = "w",
    .options_size = sizeof(struct reviewkd_options),
    .state_size = sizeof(struct reviewkd_state),
    .init = reviewkd_init,
    .loss = reviewkd_loss,
    .formula = "L = w sum_l HCL(o_l, t_l),  (o_l, r_l) = ABF_l(s_l, r_{l+1}) from the coarsest level to the finest\n"
               "ABF: a = BN(1x1(s)); b = nearest(r), z = sigmoid(1x1([a;b])), a := a z_0 + b z_1; o = BN(3x3(a)), r = a\n"
               "HCL: mean squared error of the maps and of their averages over 4x4, 2x2 and 1x1 parts,\n"
               "     weighted 1, 1/2, 1/4 and 1/8 over their sum\n"
               "s, t: neck features of student and teacher; the coarsest level has no b",
    .deviation = "",
    .published = "Weight 1 from R101 to R50 (Faster R-CNN and RetinaNet), 1.2 to R18, 2 from R50 to MobileNetV2, 5 levels, width 256 "
                 "(dvlab-research/ReviewKD); its repository prints no detection results.",
};
