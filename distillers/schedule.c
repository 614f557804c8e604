/* The schedule of a distiller's weights, and the sum of its terms. */
#include <math.h>

#include "core/base/portable_math.h"
#include "distillers/common.h"

double df_weight_factor(const struct df_distill_context *context, enum df_decay decay, int64_t warmup_steps)
{
    static const double pi = 3.14159265358979323846;
    const double epochs = (double)context->epochs, done = (double)context->epoch / (epochs > 0 ? epochs : 1);
    const double top = context->epochs >= 8 ? floor(epochs / 4) : 1, epoch = (double)context->epoch;
    const double step = (double)context->step + 1, warm = warmup_steps > 0 ? step / (double)warmup_steps : 1;
    double factor = 1;

    if (decay == DF_DECAY_LINEAR)
        factor = 1 - done;
    else if (decay == DF_DECAY_COSINE)
        factor = 0.5 * df_cos(pi * done) + 0.5;
    else if (decay == DF_DECAY_UP_DOWN)
        factor = epoch <= top ? 1 + epoch / top : 2 - 2 * (epoch - top) / (epochs - top);
    return warm < 1 ? factor * warm : factor;
}

df_tensor *df_term_add(const struct df_distill_context *context, df_tensor *total, const char *name, df_tensor *value, double weight)
{
    df_tensor *weighted = df_scale(context->tape, value, weight);

    if (context->terms)
        df_loss_terms_add(context->terms, name, value, weight);
    return total ? df_add(context->tape, total, weighted) : weighted;
}
