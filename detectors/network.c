/* The network of a detector below its heads: ResNet + FPN, and the combinations of options that are legal. */
#include "detectors/network.h"

#include <stdlib.h>

#include "detectors/fpn.h"
#include "detectors/resnet.h"

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
