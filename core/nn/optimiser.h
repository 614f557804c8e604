/* Optimisers over the flat vector, clipping, learning-rate schedules. */
#ifndef DF_CORE_NN_OPTIMISER_H
#define DF_CORE_NN_OPTIMISER_H
#include "core/base/option.h"
#include "core/nn/parameters.h"

enum df_optimiser_kind { DF_SGD, DF_ADAMW };
struct df_schedule { /* the "schedule" object of a spec; table: df_schedule_options */
    int optimiser;   /* enum df_optimiser_kind: "sgd|adamw" */
    double lr, momentum, weight_decay, beta1, beta2, eps;
    double clip;   /* largest gradient norm; 0: no clipping */
    int64_t batch; /* images a step */
    double epochs;
    int64_t warmup_steps; /* linear from warmup_factor to 1 */
    double warmup_factor;
    int decay;               /* "step|cosine|none" */
    struct df_list decay_at; /* epochs, for step */
    double decay_factor;     /* for step */
    double final_factor;     /* for cosine: the last step's share of lr */
    double ema;              /* decay a step of the averaged weights (core/nn/averages.h), which a run leaves; 0: none are kept */
    bool flip;               /* random horizontal flips */
    int64_t evaluations;     /* points of the learning curve */
};
extern const df_option df_schedule_options[];
double df_schedule_lr(const struct df_schedule *schedule, size_t step, size_t steps, size_t steps_per_epoch);
/* Sums the gradients over the ranks of the device, if there are several. Then the global L2 norm over all trainable gradients, in double, fixed
 * order, and the factor that clips it (clip 0: 1). It is device memory, valid until the next call: with one rank nobody waits for it here. */
const struct df_optim_norm *df_gradient_norm(struct df_parameters *parameters, double clip);
/* One step with learning rate lr; gradients are multiplied by norm->scale first, and with a norm that is not finite nothing moves. PyTorch's
 * SGD (momentum, coupled weight decay, dampening 0) and AdamW (decoupled decay, bias correction). step counts from 1. Frozen parameters do
 * not move. Raises the version. Weight decay applies to every trainable parameter, as PyTorch's default. */
void df_optimiser_step(struct df_parameters *parameters, const struct df_schedule *schedule, double lr, const struct df_optim_norm *norm,
                       size_t step);
#endif
