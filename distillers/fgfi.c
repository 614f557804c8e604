/* FGFI: imitate the neck where anchors fit objects well (Wang et al., CVPR 2019).
 *   L = w / (2 sum_l sum m_l) sum_l sum over cells of m_l sum_c (relu(a_l(s_l)) - t_l)^2     (0 in the first start_step steps)
 * s_l, t_l [N,h,w,C]; m_l = 1 in the cells any of whose anchors has an IoU above roi_share times the largest that any anchor has with that
 * object, for any object. Source: the authors' code, which has one level and one image a step; there w = 0.01, roi_share = 0.5, a 3x3
 * convolution drawn as fmod(N(0,1), 2) * 1e-4 with a ReLU after it, and 400 steps without. Deviates: over a pyramid the best anchor is looked
 * for on all levels, cells of all levels are counted together; over a batch, too; an IoU counts no pixel twice (theirs adds 1 to sizes). */
#include "distillers/common.h"

struct fgfi_options {
    double w, roi_share;
    struct df_adapt_options adapt;
    int norm;
    int64_t start_step;
};
#define O struct fgfi_options
static const df_option fgfi_options[] = {
    { "w", DF_REAL_OPTION(O, w), .standard = 0.01, .max = 1e4, .help = "weight (channels are summed)" },
    { "roi_share", DF_REAL_OPTION(O, roi_share), .standard = 0.5, .max = 1,
      .help = "a cell is an object's if an anchor's IoU is above this share of the object's best" },
    { "adapt", DF_CHOICE_OPTION(O, adapt.kind), .standard = DF_ADAPT_3X3, .choices = "none|1x1|3x3|auto",
      .help = "convolution from student to teacher features, per level" },
    { "adapt_init", DF_CHOICE_OPTION(O, adapt.init), .standard = DF_ADAPT_AUTHORS, .choices = "authors|normal|pytorch",
      .when = "adapt!=none", .help = "its first weights: wrapped normal and PyTorch's bias, normal and no bias, or PyTorch's" },
    { "adapt_std", DF_REAL_OPTION(O, adapt.std), .standard = 1e-4, .min = 1e-8, .max = 10, .when = "adapt!=none&adapt_init!=pytorch",
      .help = "standard deviation of its first weights" },
    { "adapt_relu", DF_BOOL_OPTION(O, adapt.relu), .standard = 1, .when = "adapt!=none", .help = "a ReLU after it" },
    { "norm", DF_CHOICE_OPTION(O, norm), .standard = DF_NORM_BATCH, .choices = "batch|image",
      .help = "cells are counted over the batch or per image" },
    { "start_step", DF_INT_OPTION(O, start_step), .standard = 400, .max = 1e9,
      .help = "steps at the beginning in which nothing is imitated" },
    { 0 },
};
#undef O

static df_status fgfi_init(struct df_distiller_setup *setup, struct df_error *err)
{
    return df_neck_adapt(setup, &((const struct fgfi_options *)setup->options)->adapt, setup->levels, setup->state, err);
}

static df_tensor *fgfi_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                            const struct df_detection_state *teacher)
{
    const struct fgfi_options *options = context->options;
    const struct df_neck_state *state = context->state;
    const struct df_feature_options feature = { .norm = options->norm, .level_reduce = DF_REDUCE_CELLS, .sum_channels = true };
    const bool begun = context->step >= (size_t)options->start_step;
    struct df_feature_map map[DF_LEVELS];
    df_real *mask[DF_LEVELS];

    df_mask_anchors(context->tape, student, options->roi_share, mask);
    for (size_t l = 0; l < student->levels; l++) {
        const struct df_part *own = df_part(student, "neck", l);

        map[l] = (struct df_feature_map){ .s = df_adapt_apply(context->tape, &options->adapt, &state->layer[l], own->tensor),
                                          .t = df_part(teacher, "neck", l)->tensor,
                                          .teacher_scale = 1,
                                          .stride = own->stride,
                                          .objects = mask[l] };
    }
    df_tensor *term = df_feature_loss(context->tape, map, student->levels, DF_REGION_FOREGROUND, &feature, student->images);

    return df_term_add(context, NULL, "fgfi.neck", term, begun ? options->w : 0);
}

const struct df_distiller_class df_distiller_fgfi = {
    .abi = DF_DISTILLER_ABI,
    .name = "fgfi",
    .summary = "imitates the neck features where anchors fit objects well",
    .cite = "Wang et al., CVPR 2019, arXiv:1906.03609",
    .needs = "neck/*",
    .options = fgfi_options,
    .tunable = "w",
    .options_size = sizeof(struct fgfi_options),
    .state_size = sizeof(struct df_neck_state),
    .init = fgfi_init,
    .loss = fgfi_loss,
    .formula = "L = w / (2 sum_l sum m_l) sum_l sum over cells of m_l sum_c (relu(a_l(s_l)) - t_l)^2, from step start_step on\n"
               "m: 1 where an anchor's IoU with an object is above roi_share times the largest of all anchors with it\n"
               "s, t: neck features of student and teacher; a: convolution of each level",
    .deviation =
        "The authors have one level and one image a step: over a pyramid the best anchor is looked for on all levels, and the cells of "
        "all levels and images are counted together (norm=image: per image). Their IoU counts pixels with both ends. defeat's mask=roi "
        "looks on each level.",
    .published =
        "Weight 0.01, share 0.5, 400 steps without (twangnh/Distilling-Object-Detectors, trainval_net_sup.py). VOC, VGG16 to VGG11: "
        "59.6 to 67.6 mAP (its README.md). COCO, GFL, R101 to R50, 12 epochs: 40.1 to 41.1 AP (HikariTJU/LD, README.md). VOC, Faster "
        "R-CNN, R101 to R50: 80.97 to 81.04 and 81.17 mAP (ggjy/DeFeat.pytorch, README.md).",
};
