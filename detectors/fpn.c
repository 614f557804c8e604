/* Feature pyramid network (Lin et al., CVPR 2017) as torchvision builds it: 1x1 lateral and 3x3 output convolutions with bias, nearest
 * upsampling, uniform(+-sqrt(3 / fan_in)) weights; extra levels by LastLevelMaxPool or LastLevelP6P7. */
#include "detectors/fpn.h"

#include <stdio.h>

static struct df_conv_unit *add_unit(struct df_conv_units *units, const char *name, size_t in, size_t out, size_t kernel, size_t stride)
{
    const struct df_conv_unit_plan plan = {
        .conv = name, .in = in, .out = out, .kernel = kernel, .stride = stride, .bias = true, .init = { DF_INIT_KAIMING_UNIFORM_1, 0 }
    };

    return df_conv_units_add(units, &plan);
}

void df_fpn_init(struct df_fpn *fpn, struct df_conv_units *units, const struct df_network_options *options,
                 const size_t stage_channels[DF_STAGES])
{
    const size_t channels = (size_t)options->fpn_channels;
    size_t last = 0;
    char name[80];

    *fpn = (struct df_fpn){ .inputs = options->fpn_stages.count, .extra = options->extra, .extra_from = options->extra_from };
    for (size_t k = 0; k < fpn->inputs; k++) {
        fpn->stage[k] = (size_t)options->fpn_stages.value[k] - 2;
        last = stage_channels[fpn->stage[k]];
        snprintf(name, sizeof name, "backbone.fpn.inner_blocks.%zu.0", k);
        fpn->inner[k] = add_unit(units, name, last, channels, 1, 1);
    }
    for (size_t k = 0; k < fpn->inputs; k++) {
        snprintf(name, sizeof name, "backbone.fpn.layer_blocks.%zu.0", k);
        fpn->layer[k] = add_unit(units, name, channels, channels, 3, 1);
    }
    if (fpn->extra == DF_EXTRA_P6P7) {
        fpn->p6 = add_unit(units, "backbone.fpn.extra_blocks.p6", fpn->extra_from == DF_EXTRA_FROM_P5 ? channels : last, channels, 3, 2);
        fpn->p7 = add_unit(units, "backbone.fpn.extra_blocks.p7", channels, channels, 3, 2);
    }
}

size_t df_fpn_levels(const struct df_fpn *fpn) { return fpn->inputs + (size_t)fpn->extra; }

size_t df_fpn_stride(const struct df_fpn *fpn, size_t level)
{
    const size_t last = fpn->inputs - 1;

    return level <= last ? (size_t)4 << fpn->stage[level] : (size_t)4 << (fpn->stage[last] + level - last);
}

void df_fpn_forward(struct df_fpn *fpn, df_tape *tape, df_tensor *const stage[DF_STAGES], bool training, df_tensor *level[DF_LEVELS])
{
    const size_t last = fpn->inputs - 1;
    df_tensor *top = NULL;

    for (size_t k = fpn->inputs; k-- > 0;) {
        df_tensor *lateral = df_conv_unit_forward(tape, fpn->inner[k], stage[fpn->stage[k]], training);

        top = top ? df_upsample_add(tape, top, lateral) : lateral;
        level[k] = df_conv_unit_forward(tape, fpn->layer[k], top, training);
    }
    if (fpn->extra == DF_EXTRA_POOL)
        level[last + 1] = df_max_pool(tape, level[last], 1, 2, 0);
    if (fpn->extra == DF_EXTRA_P6P7) {
        df_tensor *from = fpn->extra_from == DF_EXTRA_FROM_P5 ? level[last] : stage[fpn->stage[last]];

        level[last + 1] = df_conv_unit_forward(tape, fpn->p6, from, training);
        level[last + 2] = df_conv_unit_forward(tape, fpn->p7, df_relu(tape, level[last + 1]), training);
    }
}
