/* Convolution units: convolution, batch norm, ReLU; folding of the norm into the convolution:
 *   y = gamma (conv(x) + bias - mean) / sqrt(var + eps) + beta  =  conv'(x) + bias',
 *   w'_f = k_f w_f,  bias'_f = beta_f + k_f (bias_f - mean_f),  k_f = gamma_f / sqrt(var_f + eps), computed in double. */
#include "detectors/conv_unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct df_parameter *add_vector(struct df_conv_units *units, const char *module, const char *part, size_t c,
                                       struct df_initialiser init)
{
    char name[96];

    snprintf(name, sizeof name, "%s.%s", module, part);
    return df_parameters_add(units->parameters, name, DF_VECTOR, (df_shape){ 1, 1, 1, c }, init, DF_RNG_INIT);
}

static struct df_parameter *add_buffer(struct df_conv_units *units, const char *module, const char *part, size_t c, double value)
{
    char name[96];

    snprintf(name, sizeof name, "%s.%s", module, part);
    return df_parameters_add_buffer(units->parameters, name, c, value);
}

static void add_weight(struct df_conv_units *units, struct df_conv_unit *unit, const struct df_conv_unit_plan *plan)
{
    const df_shape shape = { plan->out, plan->kernel, plan->kernel, plan->in };
    char name[96];

    if (plan->share) {
        unit->weight = plan->share->weight;
        unit->bias = plan->share->bias;
        return;
    }
    snprintf(name, sizeof name, "%s.weight", plan->conv);
    unit->weight = df_parameters_add(units->parameters, name, DF_CONV_WEIGHT, shape, plan->init, DF_RNG_INIT);
    if (plan->bias)
        unit->bias = add_vector(units, plan->conv, "bias", plan->out, (struct df_initialiser){ DF_INIT_CONSTANT, plan->bias_value });
}

struct df_conv_unit *df_conv_units_add(struct df_conv_units *units, const struct df_conv_unit_plan *plan)
{
    struct df_conv_unit *unit = df_calloc(1, sizeof *unit);
    const size_t pad = plan->kernel / 2;

    if (units->count == units->capacity) {
        units->capacity = units->capacity ? 2 * units->capacity : 32;
        units->items = df_realloc(units->items, units->capacity * sizeof(*units->items));
    }
    units->items[units->count++] = unit;
    unit->options = (struct df_conv_options){ plan->stride, plan->stride, pad, pad, plan->relu && !plan->norm };
    unit->relu = plan->relu;
    unit->eps = units->eps;
    unit->momentum = units->momentum;
    unit->frozen_norm = units->frozen_norm;
    add_weight(units, unit, plan);
    if (plan->norm) {
        unit->gamma = add_vector(units, plan->norm, "weight", plan->out, (struct df_initialiser){ DF_INIT_ONE, 0 });
        unit->beta = add_vector(units, plan->norm, "bias", plan->out, (struct df_initialiser){ DF_INIT_ZERO, 0 });
        unit->mean = add_buffer(units, plan->norm, "running_mean", plan->out, 0);
        unit->var = add_buffer(units, plan->norm, "running_var", plan->out, 1);
        unit->gamma->trainable = unit->beta->trainable = !units->frozen_norm;
    }
    return unit;
}

void df_conv_units_fold(struct df_conv_units *units)
{
    units->fold = true;
    for (size_t i = 0; i < units->count; i++) {
        struct df_conv_unit *unit = units->items[i];

        unit->frozen_norm = true;
        unit->weight->trainable = false;
        if (unit->bias)
            unit->bias->trainable = false;
        if (unit->gamma)
            unit->gamma->trainable = unit->beta->trainable = false;
    }
}

/* Room for the folded weights, in parameters of their own: they have a version, so a device may keep them reordered. */
static void add_folded(struct df_conv_units *units)
{
    const struct df_initialiser zero = { DF_INIT_ZERO, 0 };
    char name[96];

    units->folded = df_parameters_new();
    for (size_t i = 0; i < units->count; i++) {
        struct df_conv_unit *unit = units->items[i];

        if (!unit->gamma)
            continue;
        snprintf(name, sizeof name, "%zu.weight", i);
        unit->folded_weight = df_parameters_add(units->folded, name, DF_CONV_WEIGHT, unit->weight->shape, zero, DF_RNG_INIT);
        snprintf(name, sizeof name, "%zu.bias", i);
        unit->folded_bias = df_parameters_add(units->folded, name, DF_VECTOR, unit->gamma->shape, zero, DF_RNG_INIT);
    }
    df_parameters_build(units->folded, units->parameters->device, 0, false);
}

static df_real *read_parameter(const struct df_parameter *parameter)
{
    const size_t bytes = df_count(parameter->shape) * sizeof(df_real);
    df_real *host = df_malloc(bytes);

    df_read(parameter->owner->device, host, parameter->value, bytes);
    return host;
}

static void write_parameter(struct df_parameter *parameter, const df_real *host)
{
    df_write(parameter->owner->device, parameter->value, host, df_count(parameter->shape) * sizeof(df_real));
}

static void fold_unit(struct df_conv_unit *unit)
{
    const size_t filters = unit->weight->shape.n, row = df_count(unit->weight->shape) / filters;
    df_real *weight = read_parameter(unit->weight), *bias = unit->bias ? read_parameter(unit->bias) : NULL;
    df_real *gamma = read_parameter(unit->gamma), *beta = read_parameter(unit->beta);
    df_real *mean = read_parameter(unit->mean), *var = read_parameter(unit->var);

    for (size_t f = 0; f < filters; f++) {
        const double k = (double)gamma[f] / sqrt((double)var[f] + unit->eps);

        for (size_t i = 0; i < row; i++)
            weight[f * row + i] = (df_real)(k * (double)weight[f * row + i]);
        beta[f] = (df_real)((double)beta[f] + k * ((bias ? (double)bias[f] : 0) - (double)mean[f]));
    }
    write_parameter(unit->folded_weight, weight);
    write_parameter(unit->folded_bias, beta);
    free(weight);
    free(bias);
    free(gamma);
    free(beta);
    free(mean);
    free(var);
}

void df_conv_units_refresh(struct df_conv_units *units)
{
    if (!units->fold || (units->folded && units->folded_version == units->parameters->version))
        return;
    if (!units->folded)
        add_folded(units);
    for (size_t i = 0; i < units->count; i++)
        if (units->items[i]->folded_weight)
            fold_unit(units->items[i]);
    df_parameters_touch(units->folded);
    units->folded_version = units->parameters->version;
}

void df_conv_units_release(struct df_conv_units *units)
{
    df_parameters_free(units->folded);
    for (size_t i = 0; i < units->count; i++)
        free(units->items[i]);
    free(units->items);
    *units = (struct df_conv_units){ 0 };
}

static df_tensor *convolve(df_tape *tape, struct df_conv_unit *unit, df_tensor *x, bool folded_relu)
{
    struct df_conv_options options = unit->options;
    df_tensor *bias = unit->bias ? df_parameter_tensor(tape, unit->bias) : NULL;

    if (!unit->folded_weight)
        return df_conv2d(tape, x, df_parameter_tensor(tape, unit->weight), bias, options);
    options.relu = folded_relu;
    return df_conv2d(tape, x, df_parameter_tensor(tape, unit->folded_weight), df_parameter_tensor(tape, unit->folded_bias), options);
}

static df_tensor *normalise(df_tape *tape, struct df_conv_unit *unit, df_tensor *y, df_tensor *skip, bool training)
{
    return df_batch_norm(tape, y, df_parameter_tensor(tape, unit->gamma), df_parameter_tensor(tape, unit->beta),
                         (struct df_norm_options){ .running_mean = unit->mean->value,
                                                   .running_var = unit->var->value,
                                                   .eps = unit->eps,
                                                   .momentum = unit->momentum,
                                                   .mode = training && !unit->frozen_norm ? DF_NORM_TRAIN : DF_NORM_EVAL,
                                                   .relu = unit->relu || skip,
                                                   .skip = skip });
}

static bool has_norm(const struct df_conv_unit *unit) { return unit->gamma && !unit->folded_weight; }

df_tensor *df_conv_unit_forward(df_tape *tape, struct df_conv_unit *unit, df_tensor *x, bool training)
{
    df_tensor *y = convolve(tape, unit, x, unit->relu);

    return has_norm(unit) ? normalise(tape, unit, y, NULL, training) : y;
}

df_tensor *df_conv_unit_convolve(df_tape *tape, struct df_conv_unit *unit, df_tensor *x)
{
    DF_ASSERT(!unit->relu);
    return convolve(tape, unit, x, false);
}

df_tensor *df_conv_unit_join(df_tape *tape, struct df_conv_unit *unit, df_tensor *y, df_tensor *skip, bool training)
{
    return has_norm(unit) ? normalise(tape, unit, y, skip, training) : df_add_relu(tape, y, skip);
}
