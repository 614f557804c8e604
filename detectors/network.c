/* The network of a detector below its heads: ResNet + FPN, its option table and the combinations that are legal. The defaults are those of
 * torchvision's retinanet_resnet50_fpn. */
#include "detectors/network.h"

#include <stdlib.h>

#include "detectors/fpn.h"
#include "detectors/resnet.h"

#define ROW struct df_network_options
const df_option df_network_option_table[] = {
    { "depth", DF_INT_OPTION(ROW, depth), 50, 0, 152, .help = "ResNet depth: 10, 18, 34, 50, 101, 152; 0: as block and blocks say" },
    { "block", DF_CHOICE_OPTION(ROW, block), 0, 0, 1, .help = "kind of residual block", .choices = "basic|bottleneck", .when = "depth=0" },
    { "blocks", DF_INT_LIST_OPTION(ROW, blocks), 0, 1, 64, .help = "blocks per stage, 1 to 4 stages", .text = "2,2,2,2",
      .when = "depth=0" },
    { "base_width", DF_INT_OPTION(ROW, base_width), 64, 1, 1024,
      .help = "width of the first stage, doubled from stage to stage (channels)" },
    { "widths", DF_INT_LIST_OPTION(ROW, widths), 0, 1, 8192,
      .help = "stage widths instead, before a bottleneck's expansion of 4 (channels)", .text = "" },
    { "stem_width", DF_INT_OPTION(ROW, stem_width), 0, 0, 1024, .help = "width of the stem; 0: base_width (channels)" },
    { "stem", DF_CHOICE_OPTION(ROW, stem), 0, 0, 1, .help = "7x7 stride 2 and max pool, or one 3x3 stride 2 (C2 has stride 4 either way)",
      .choices = "standard|small" },
    { "norm", DF_CHOICE_OPTION(ROW, norm), 0, 0, 1, .help = "batch norm of the body: learned, or statistics and affine frozen",
      .choices = "batch|frozen" },
    { "norm_eps", DF_REAL_OPTION(ROW, norm_eps), 1e-5, 0, 1, .help = "added to the variance in batch norm" },
    { "norm_momentum", DF_REAL_OPTION(ROW, norm_momentum), 0.1, 0, 1, .help = "share of a new batch in the running statistics" },
    { "fpn_stages", DF_INT_LIST_OPTION(ROW, fpn_stages), 0, 2, 5, .help = "stages that feed the FPN: 2 = C2 ... 5 = C5", .text = "3,4,5" },
    { "fpn_channels", DF_INT_OPTION(ROW, fpn_channels), 256, 1, 4096, .help = "width of every FPN level (channels)" },
    { "extra", DF_CHOICE_OPTION(ROW, extra), DF_EXTRA_P6P7, 0, 2, .help = "levels above the last: none, a stride-2 pool, or P6 and P7",
      .choices = "none|pool|p6p7" },
    { "extra_from", DF_CHOICE_OPTION(ROW, extra_from), DF_EXTRA_FROM_P5, 0, 1,
      .help = "what P6 is made from: the last stage or the last level", .choices = "c5|p5", .when = "extra=p6p7" },
    { "head_convs", DF_INT_OPTION(ROW, head_convs), 4, 0, 8, .help = "3x3 convolutions per head branch before the output" },
    { "head_width", DF_INT_OPTION(ROW, head_width), 0, 0, 4096, .help = "their width; 0: fpn_channels (channels)",
      .when = "head_convs!=0" },
    { "head_norm", DF_CHOICE_OPTION(ROW, head_norm), 0, 0, 1, .help = "batch norm in the head, of its own for every level",
      .choices = "none|batch", .when = "head_convs!=0" },
    { 0 },
};
#undef ROW

struct df_network {
    struct df_conv_units units;
    struct df_resnet resnet;
    struct df_fpn fpn;
    size_t channels;
};

df_status df_network_check(const struct df_network_options *options, const char *where, struct df_error *err)
{
    const struct df_list *stages = &options->fpn_stages;
    struct df_resnet_plan plan;

    if (!df_resnet_plan(options, &plan))
        return df_fail(err, DF_ERR_USAGE, "%s.depth: %lld is not a ResNet (10, 18, 34, 50, 101, 152; or 0 with block and blocks)", where,
                       (long long)options->depth);
    if (plan.stages < 1 || plan.stages > DF_STAGES)
        return df_fail(err, DF_ERR_USAGE, "%s.blocks: %zu stages, expected 1 to %d", where, plan.stages, DF_STAGES);
    if (options->widths.count && options->widths.count != plan.stages)
        return df_fail(err, DF_ERR_USAGE, "%s.widths: %zu widths for %zu stages (one per stage, or none)", where, options->widths.count,
                       plan.stages);
    if (stages->count < 1)
        return df_fail(err, DF_ERR_USAGE, "%s.fpn_stages: empty, expected at least one of 2 to %zu", where, plan.stages + 1);
    for (size_t k = 0; k < stages->count; k++) {
        if (stages->value[k] < 2 || stages->value[k] > (double)(plan.stages + 1))
            return df_fail(err, DF_ERR_USAGE, "%s.fpn_stages[%zu]: C%g does not exist, the last stage is C%zu", where, k, stages->value[k],
                           plan.stages + 1);
        if (k > 0 && stages->value[k] <= stages->value[k - 1])
            return df_fail(err, DF_ERR_USAGE, "%s.fpn_stages[%zu]: %g after %g, expected rising stages", where, k, stages->value[k],
                           stages->value[k - 1]);
    }
    return DF_OK;
}

size_t df_network_options_levels(const struct df_network_options *options) { return options->fpn_stages.count + (size_t)options->extra; }

df_status df_network_new(const struct df_network_options *options, struct df_parameters *parameters, struct df_network **out,
                         struct df_error *err)
{
    struct df_resnet_plan plan;
    struct df_network *network;

    *out = NULL;
    DF_TRY(df_network_check(options, "network", err));
    df_resnet_plan(options, &plan);
    network = df_calloc(1, sizeof *network);
    network->units = (struct df_conv_units){ .parameters = parameters,
                                             .eps = options->norm_eps,
                                             .momentum = options->norm_momentum,
                                             .frozen_norm = options->norm == DF_NETWORK_NORM_FROZEN };
    network->channels = (size_t)options->fpn_channels;
    df_resnet_init(&network->resnet, &network->units, &plan);
    df_fpn_init(&network->fpn, &network->units, options, network->resnet.channels);
    *out = network;
    return DF_OK;
}

void df_network_free(struct df_network *network)
{
    if (!network)
        return;
    df_resnet_release(&network->resnet);
    df_conv_units_release(&network->units);
    free(network);
}

void df_network_fold(struct df_network *network) { df_conv_units_fold(&network->units); }

size_t df_network_levels(const struct df_network *network) { return df_fpn_levels(&network->fpn); }

size_t df_network_stride(const struct df_network *network, size_t level) { return df_fpn_stride(&network->fpn, level); }

size_t df_network_channels(const struct df_network *network, size_t level)
{
    DF_ASSERT(level < df_network_levels(network));
    return network->channels;
}

size_t df_network_stage_channels(const struct df_network *network, size_t stage)
{
    return stage < DF_STAGES ? network->resnet.channels[stage] : 0;
}

void df_network_forward(struct df_network *network, df_tape *tape, df_tensor *x, bool training, df_tensor *stage[DF_STAGES],
                        df_tensor *level[DF_LEVELS])
{
    df_conv_units_refresh(&network->units);
    df_resnet_forward(&network->resnet, tape, x, training, stage);
    for (size_t l = 0; l < DF_LEVELS; l++)
        level[l] = NULL;
    df_fpn_forward(&network->fpn, tape, stage, training, level);
}
