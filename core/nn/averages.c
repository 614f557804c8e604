#include "core/nn/averages.h"

static df_real *kept(struct df_device *device, df_real *average, const df_real *values, size_t count)
{
    if (!average)
        average = df_device_alloc(device, count * sizeof *average);
    df_copy(device, average, values, count * sizeof *average);
    return average;
}

void df_averages_begin(struct df_parameters *parameters)
{
    struct df_device *device = parameters->device;

    DF_ASSERT(parameters->built && !parameters->swapped);
    parameters->average = kept(device, parameters->average, parameters->value, parameters->values);
    parameters->average_buffer = kept(device, parameters->average_buffer, parameters->buffer, parameters->buffers);
}

/* All elements of a flat vector: those of frozen parameters and the gaps are their own average. */
static void average(struct df_device *device, df_real *average, const df_real *values, size_t count, double fresh)
{
    const struct df_optim_average_args args = { .average = average, .value = values, .count = count, .fresh = fresh };

    if (count)
        df_launch(device, DF_K_OPTIM_AVERAGE, df_optim_tiles(count), &args);
}

void df_averages_step(struct df_parameters *parameters, double decay, size_t step)
{
    const double early = (1 + (double)step) / (10 + (double)step), fresh = 1 - (decay < early ? decay : early);

    DF_ASSERT(step > 0 && parameters->average && !parameters->swapped);
    average(parameters->device, parameters->average, parameters->value, parameters->values, fresh);
    average(parameters->device, parameters->average_buffer, parameters->buffer, parameters->buffers, fresh);
}

static void exchange(df_real **a, df_real **b)
{
    df_real *const first = *a;

    *a = *b;
    *b = first;
}

void df_averages_swap(struct df_parameters *parameters)
{
    if (!parameters->average)
        return;
    exchange(&parameters->value, &parameters->average);
    exchange(&parameters->buffer, &parameters->average_buffer);
    for (size_t i = 0; i < parameters->count; i++) {
        struct df_parameter *item = parameters->items[i];

        item->value = (item->buffer ? parameters->buffer : parameters->value) + item->offset;
    }
    parameters->swapped = !parameters->swapped;
    df_parameters_touch(parameters);
}
