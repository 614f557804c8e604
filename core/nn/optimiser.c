/* SGD with momentum, AdamW, the gradient's norm, learning-rate schedules. Update rules: PyTorch 2 (torch.optim.SGD, torch.optim.AdamW);
 * warm-up as torchvision's detection recipe (LinearLR); defaults are that recipe's for 8 images a step (0.02 for 16). */
#include "core/nn/optimiser.h"

#include <math.h>

#include "core/base/portable_math.h"

#define S struct df_schedule
const df_option df_schedule_options[] = {
    { "optimiser", DF_CHOICE_OPTION(S, optimiser), .standard = DF_SGD, .choices = "sgd|adamw", .help = "update rule" },
    { "lr", DF_REAL_OPTION(S, lr), .standard = 0.01, .max = 10, .help = "learning rate" },
    { "momentum", DF_REAL_OPTION(S, momentum), .standard = 0.9, .max = 0.9999, .when = "optimiser=sgd",
      .help = "share of the last update that is kept in the next" },
    { "weight_decay", DF_REAL_OPTION(S, weight_decay), .standard = 1e-4, .max = 1,
      .help = "weights are pulled to 0 by this much: coupled for sgd, decoupled for adamw" },
    { "beta1", DF_REAL_OPTION(S, beta1), .standard = 0.9, .max = 0.9999, .when = "optimiser=adamw", .help = "decay of the first moment" },
    { "beta2", DF_REAL_OPTION(S, beta2), .standard = 0.999, .max = 0.999999, .when = "optimiser=adamw",
      .help = "decay of the second moment" },
    { "eps", DF_REAL_OPTION(S, eps), .standard = 1e-8, .min = 1e-12, .max = 1, .when = "optimiser=adamw",
      .help = "added to the root of the second moment" },
    { "clip", DF_REAL_OPTION(S, clip), .max = 1e6, .help = "largest gradient norm; 0: no clipping" },
    { "batch", DF_INT_OPTION(S, batch), .standard = 8, .min = 1, .max = 4096, .help = "images a step" },
    { "epochs", DF_REAL_OPTION(S, epochs), .standard = 12, .min = 1e-3, .max = 1e4, .help = "passes over the training images" },
    { "warmup_steps", DF_INT_OPTION(S, warmup_steps), .standard = 500, .max = 1e7, .help = "steps of the linear warm-up" },
    { "warmup_factor", DF_REAL_OPTION(S, warmup_factor), .standard = 0.001, .max = 1, .when = "warmup_steps!=0",
      .help = "share of lr at step 0" },
    { "decay", DF_CHOICE_OPTION(S, decay), .choices = "step|cosine|none", .help = "how lr falls" },
    { "decay_at", DF_REAL_LIST_OPTION(S, decay_at), .max = 1e4, .text = "8,11", .when = "decay=step", .help = "epochs at which lr falls" },
    { "decay_factor", DF_REAL_OPTION(S, decay_factor), .standard = 0.1, .max = 1, .when = "decay=step",
      .help = "what lr is multiplied by at each of decay_at" },
    { "final_factor", DF_REAL_OPTION(S, final_factor), .max = 1, .when = "decay=cosine", .help = "share of lr at the last step" },
    { "ema", DF_REAL_OPTION(S, ema), .max = 0.99999, .absent = "0",
      .help = "decay a step of averaged weights (EMA), at most (1 + step) / (10 + step): they are what a run leaves; 0: none" },
    { "flip", DF_BOOL_OPTION(S, flip), .standard = 1, .help = "random horizontal flips" },
    { "evaluations", DF_INT_OPTION(S, evaluations), .standard = 5, .min = 5, .max = 1000, .help = "points of the learning curve" },
    { 0 },
};
#undef S

double df_schedule_lr(const struct df_schedule *schedule, size_t step, size_t steps, size_t steps_per_epoch)
{
    enum { STEP, COSINE };
    double lr = schedule->lr;

    if (schedule->decay == STEP) {
        for (size_t i = 0; i < schedule->decay_at.count; i++) {
            if ((double)step + 1e-6 >= schedule->decay_at.value[i] * (double)steps_per_epoch)
                lr *= schedule->decay_factor;
        }
    } else if (schedule->decay == COSINE && steps > 1) {
        const double pi = 3.14159265358979323846, wave = 0.5 * (1 + df_cos(pi * (double)step / (double)(steps - 1)));

        lr *= schedule->final_factor + (1 - schedule->final_factor) * wave;
    }
    if (step < (size_t)schedule->warmup_steps)
        lr *= schedule->warmup_factor + (1 - schedule->warmup_factor) * (double)step / (double)schedule->warmup_steps;
    return lr;
}

/* The next run of trainable elements that lie together in the flat vectors; items[*next..] is looked at. */
struct run {
    size_t offset, count;
};
static bool next_run(const struct df_parameters *parameters, size_t *next, struct run *run)
{
    run->count = 0;
    for (; *next < parameters->count; ++*next) {
        const struct df_parameter *item = parameters->items[*next];

        if (item->buffer)
            continue; /* lies elsewhere */
        if (run->count && (!item->trainable || item->offset != run->offset + run->count))
            break;
        if (!item->trainable)
            continue;
        if (!run->count)
            run->offset = item->offset;
        run->count += df_count(item->shape);
    }
    return run->count > 0;
}

static void sum_over_ranks(struct df_parameters *parameters)
{
    struct df_device *device = parameters->device;
    size_t next = 0;
    struct run run;

    if (df_comm_size(device->comm) == 1)
        return;
    if (!parameters->exchanged)
        parameters->exchanged = df_malloc(parameters->values * sizeof *parameters->exchanged);
    while (next_run(parameters, &next, &run)) {
        df_read(device, parameters->exchanged, parameters->grad + run.offset, run.count * sizeof *parameters->grad);
        df_comm_sum_reals(device->comm, parameters->exchanged, run.count);
        df_write(device, parameters->grad + run.offset, parameters->exchanged, run.count * sizeof *parameters->grad);
    }
}

const struct df_optim_norm *df_gradient_norm(struct df_parameters *parameters, double clip)
{
    struct df_device *device = parameters->device;
    size_t used = 0, next = 0;
    struct run run;

    sum_over_ranks(parameters);
    if (!parameters->partials)
        parameters->partials = df_device_alloc(device, (parameters->values / DF_OPTIM_TILE + parameters->count + 2) * sizeof(double));
    while (next_run(parameters, &next, &run)) {
        const struct df_optim_squares_args args = { .grad = parameters->grad + run.offset,
                                                    .count = run.count,
                                                    .partial = parameters->partials + used };

        df_launch(device, DF_K_OPTIM_SQUARES, df_optim_tiles(run.count), &args);
        used += df_optim_tiles(run.count);
    }
    const struct df_optim_sum_args sum = {
        .partial = parameters->partials, .count = used, .clip = clip, .out = (struct df_optim_norm *)(parameters->partials + used)
    };
    df_launch(device, DF_K_OPTIM_SUM, 1, &sum);
    return sum.out;
}

static double power(double base, size_t exponent)
{
    double result = 1;

    for (; exponent; exponent >>= 1, base *= base) {
        if (exponent & 1)
            result *= base;
    }
    return result;
}

void df_optimiser_step(struct df_parameters *parameters, const struct df_schedule *schedule, double lr, const struct df_optim_norm *norm,
                       size_t step)
{
    struct df_device *device = parameters->device;
    size_t next = 0;
    struct run run;

    DF_ASSERT(step > 0);
    while (next_run(parameters, &next, &run)) {
        df_real *value = parameters->value + run.offset, *moment1 = parameters->moment1 + run.offset;
        const df_real *grad = parameters->grad + run.offset;

        if (schedule->optimiser == DF_SGD) {
            const struct df_optim_sgd_args args = { .value = value,
                                                    .moment = moment1,
                                                    .grad = grad,
                                                    .count = run.count,
                                                    .lr = lr,
                                                    .momentum = schedule->momentum,
                                                    .decay = schedule->weight_decay,
                                                    .norm = norm };

            df_launch(device, DF_K_OPTIM_SGD, df_optim_tiles(run.count), &args);
        } else {
            const struct df_optim_adamw_args args = {
                .value = value,
                .moment1 = moment1,
                .moment2 = parameters->moment2 + run.offset,
                .grad = grad,
                .count = run.count,
                .keep = 1 - lr * schedule->weight_decay,
                .beta1 = schedule->beta1,
                .beta2 = schedule->beta2,
                .step = lr / (1 - power(schedule->beta1, step)),
                .root = sqrt(1 - power(schedule->beta2, step)),
                .eps = schedule->eps,
                .norm = norm,
            };

            df_launch(device, DF_K_OPTIM_ADAMW, df_optim_tiles(run.count), &args);
        }
    }
    df_parameters_touch(parameters);
}
