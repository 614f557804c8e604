/* ResNet (He et al., CVPR 2016) as torchvision builds it: the stride of a bottleneck is in its 3x3 convolution, a projection where the shape
 * changes, Kaiming normal (fan out) weights, parameter names of its state dict under "backbone.body". The small stem is ours: one 3x3
 * convolution with stride 2 and a first stage with stride 2, so that C2 has stride 4 either way. */
#include "detectors/resnet.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    int64_t depth;
    bool bottleneck;
    size_t blocks[DF_STAGES];
} depths[] = {
    { 10, false, { 1, 1, 1, 1 } }, { 18, false, { 2, 2, 2, 2 } },  { 34, false, { 3, 4, 6, 3 } },
    { 50, true, { 3, 4, 6, 3 } },  { 101, true, { 3, 4, 23, 3 } }, { 152, true, { 3, 8, 36, 3 } },
};

bool df_resnet_plan(const struct df_network_options *options, struct df_resnet_plan *plan)
{
    size_t row = 0;

    *plan = (struct df_resnet_plan){ .bottleneck = options->block == DF_BLOCK_BOTTLENECK, .small_stem = options->stem == DF_STEM_SMALL };
    plan->stem_width = (size_t)(options->stem_width ? options->stem_width : options->base_width);
    if (options->depth == 0) {
        plan->stages = options->blocks.count;
        for (size_t k = 0; k < plan->stages && k < DF_STAGES; k++)
            plan->blocks[k] = (size_t)options->blocks.value[k];
    } else {
        while (row < sizeof depths / sizeof *depths && depths[row].depth != options->depth)
            row++;
        if (row == sizeof depths / sizeof *depths)
            return false;
        plan->stages = DF_STAGES;
        plan->bottleneck = depths[row].bottleneck;
        for (size_t k = 0; k < DF_STAGES; k++)
            plan->blocks[k] = depths[row].blocks[k];
    }
    for (size_t k = 0; k < plan->stages && k < DF_STAGES; k++)
        plan->width[k] = k < options->widths.count ? (size_t)options->widths.value[k] : (size_t)options->base_width << k;
    return true;
}

/* plan: names within the module ("layer1.0."); the initial weights are the same for all. */
static struct df_conv_unit *add_unit(struct df_conv_units *units, const char *module, struct df_conv_unit_plan plan)
{
    char conv[80], norm[80];

    snprintf(conv, sizeof conv, "backbone.body.%s%s", module, plan.conv);
    snprintf(norm, sizeof norm, "backbone.body.%s%s", module, plan.norm);
    plan.conv = conv;
    plan.norm = norm;
    plan.init = (struct df_initialiser){ DF_INIT_KAIMING_FAN_OUT, 0 };
    return df_conv_units_add(units, &plan);
}

struct block_shape {
    size_t in, width, out, stride;
};

static void init_block(struct df_resnet_block *block, struct df_conv_units *units, const char *module, bool bottleneck,
                       struct block_shape s)
{
    if (bottleneck) {
        block->conv[0] = add_unit(units, module, (struct df_conv_unit_plan){ "conv1", "bn1", NULL, s.in, s.width, 1, 1, .relu = true });
        block->conv[1] =
            add_unit(units, module, (struct df_conv_unit_plan){ "conv2", "bn2", NULL, s.width, s.width, 3, s.stride, .relu = true });
        block->conv[2] = add_unit(units, module, (struct df_conv_unit_plan){ "conv3", "bn3", NULL, s.width, s.out, 1, 1 });
    } else {
        block->conv[0] =
            add_unit(units, module, (struct df_conv_unit_plan){ "conv1", "bn1", NULL, s.in, s.width, 3, s.stride, .relu = true });
        block->conv[1] = add_unit(units, module, (struct df_conv_unit_plan){ "conv2", "bn2", NULL, s.width, s.out, 3, 1 });
    }
    block->convs = bottleneck ? 3 : 2;
    if (s.stride != 1 || s.in != s.out)
        block->down = add_unit(units, module, (struct df_conv_unit_plan){ "downsample.0", "downsample.1", NULL, s.in, s.out, 1, s.stride });
}

void df_resnet_init(struct df_resnet *resnet, struct df_conv_units *units, const struct df_resnet_plan *plan)
{
    size_t in = plan->stem_width;

    *resnet = (struct df_resnet){ .pool = !plan->small_stem, .stages = plan->stages };
    resnet->stem =
        add_unit(units, "", (struct df_conv_unit_plan){ "conv1", "bn1", NULL, 3, in, plan->small_stem ? 3 : 7, 2, .relu = true });
    for (size_t k = 0; k < plan->stages; k++) {
        const size_t out = plan->width[k] * (plan->bottleneck ? 4 : 1);

        resnet->blocks[k] = plan->blocks[k];
        resnet->channels[k] = out;
        resnet->block[k] = df_calloc(plan->blocks[k], sizeof(*resnet->block[k]));
        for (size_t b = 0; b < plan->blocks[k]; b++) {
            const size_t stride = b == 0 && (k > 0 || plan->small_stem) ? 2 : 1;
            char module[32];

            snprintf(module, sizeof module, "layer%zu.%zu.", k + 1, b);
            init_block(&resnet->block[k][b], units, module, plan->bottleneck, (struct block_shape){ in, plan->width[k], out, stride });
            in = out;
        }
    }
}

void df_resnet_release(struct df_resnet *resnet)
{
    for (size_t k = 0; k < DF_STAGES; k++)
        free(resnet->block[k]);
    *resnet = (struct df_resnet){ 0 };
}

static df_tensor *block_forward(struct df_resnet_block *block, df_tape *tape, df_tensor *x, bool training)
{
    struct df_conv_unit *last = block->conv[block->convs - 1];
    df_tensor *y = x, *skip = x;

    for (size_t i = 0; i + 1 < block->convs; i++)
        y = df_conv_unit_forward(tape, block->conv[i], y, training);
    y = df_conv_unit_convolve(tape, last, y);
    if (block->down)
        skip = df_conv_unit_forward(tape, block->down, x, training);
    return df_conv_unit_join(tape, last, y, skip, training);
}

df_tensor *df_resnet_stem(struct df_resnet *resnet, df_tape *tape, df_tensor *x, bool training)
{
    df_tensor *y = df_conv_unit_forward(tape, resnet->stem, x, training);

    return resnet->pool ? df_max_pool(tape, y, 3, 2, 1) : y;
}

void df_resnet_forward(struct df_resnet *resnet, df_tape *tape, df_tensor *x, bool training, df_tensor *stage[DF_STAGES])
{
    df_tensor *y = df_resnet_stem(resnet, tape, x, training);

    for (size_t k = 0; k < DF_STAGES; k++) {
        for (size_t b = 0; b < resnet->blocks[k]; b++)
            y = block_forward(&resnet->block[k][b], tape, y, training);
        stage[k] = k < resnet->stages ? y : NULL;
    }
}
