/* Convolutions and batch norms of distillers, and which levels have them. */
#include "distillers/layers.h"

#include <math.h>
#include <stdio.h>

static const double eps = 1e-5, momentum = 0.1; /* PyTorch's */

struct df_layer df_layer_add_as(struct df_distiller_setup *setup, const char *name, df_shape weight, struct df_initialiser init,
                                const struct df_initialiser *bias)
{
    struct df_layer layer = { 0 };
    char full[64];

    snprintf(full, sizeof full, "%s.weight", name);
    layer.weight = df_distiller_parameter(setup, full, DF_CONV_WEIGHT, weight, init);
    snprintf(full, sizeof full, "%s.bias", name);
    if (bias)
        layer.bias = df_distiller_parameter(setup, full, DF_VECTOR, (df_shape){ 1, 1, 1, weight.n }, *bias);
    return layer;
}

struct df_layer df_layer_add(struct df_distiller_setup *setup, const char *name, size_t out, size_t kernel, size_t in)
{
    const struct df_initialiser uniform = { DF_INIT_UNIFORM, 1 / sqrt((double)(kernel * kernel * in)) };

    return df_layer_add_as(setup, name, (df_shape){ out, kernel, kernel, in }, uniform, &uniform);
}

df_tensor *df_layer_apply(df_tape *tape, const struct df_layer *layer, df_tensor *x, bool relu)
{
    struct df_conv_options conv = { .stride_h = 1, .stride_w = 1, .relu = relu };

    if (!layer->weight)
        return x;
    conv.pad_h = conv.pad_w = layer->weight->shape.h / 2;
    return df_conv2d(tape, x, df_parameter_tensor(tape, layer->weight), layer->bias ? df_parameter_tensor(tape, layer->bias) : NULL, conv);
}

struct df_norm_layer df_norm_layer_add(struct df_distiller_setup *setup, const char *name, size_t channels)
{
    const df_shape shape = { 1, 1, 1, channels };
    struct df_norm_layer norm;
    char full[128];

    snprintf(full, sizeof full, "%s.weight", name);
    norm.gamma = df_distiller_parameter(setup, full, DF_VECTOR, shape, (struct df_initialiser){ DF_INIT_ONE, 0 });
    snprintf(full, sizeof full, "%s.bias", name);
    norm.beta = df_distiller_parameter(setup, full, DF_VECTOR, shape, (struct df_initialiser){ DF_INIT_ZERO, 0 });
    snprintf(full, sizeof full, "%s%s.running_mean", setup->prefix, name);
    norm.mean = df_parameters_add_buffer(setup->parameters, full, channels, 0);
    snprintf(full, sizeof full, "%s%s.running_var", setup->prefix, name);
    norm.var = df_parameters_add_buffer(setup->parameters, full, channels, 1);
    return norm;
}

df_tensor *df_norm_layer_apply(df_tape *tape, const struct df_norm_layer *norm, df_tensor *x)
{
    const struct df_norm_options options = {
        .running_mean = norm->mean->value, .running_var = norm->var->value, .eps = eps, .momentum = momentum, .mode = DF_NORM_TRAIN
    };

    return df_batch_norm(tape, x, df_parameter_tensor(tape, norm->gamma), df_parameter_tensor(tape, norm->beta), options);
}

struct df_layer df_align_add(struct df_distiller_setup *setup, int align, size_t level)
{
    const size_t own = df_parts_channels(setup->student, "neck", level), theirs = df_parts_channels(setup->teacher, "neck", level);
    char name[32];

    if (align == DF_ALIGN_WIDTHS && own == theirs)
        return (struct df_layer){ 0 };
    snprintf(name, sizeof name, "align.%zu", level);
    return df_layer_add(setup, name, theirs, 1, own);
}

df_status df_levels_check(const struct df_distiller_setup *setup, int64_t levels, struct df_error *err)
{
    if ((size_t)levels > setup->levels)
        return df_fail(err, DF_ERR_USAGE, "levels: %lld of a neck that has %zu (expected at most that; 0: all)", (long long)levels,
                       setup->levels);
    return DF_OK;
}

size_t df_levels_chosen(int64_t levels, size_t all) { return levels ? (size_t)levels : all; }
