/* Hierarchical context loss; formula: common.h. */
#include "core/nn/losses.h"
#include "distillers/common.h"

/* Mean of the squared difference over all images, cells and channels. */
static df_tensor *mean_square(df_tape *tape, df_tensor *s, const df_tensor *t)
{
    const double each = (double)(s->shape.h * s->shape.w * s->shape.c);

    return df_squared_error(tape, s, t, NULL, NULL, df_loss_norm(tape, s->shape.n) * each);
}

df_tensor *df_hcl(df_tape *tape, df_tensor *s, df_tensor *t)
{
    df_tensor *sum = mean_square(tape, s, t);
    double weight = 1, total = 1;

    for (size_t side = 4; side; side /= 2) {
        if (side >= s->shape.h)
            continue;

        df_tensor *term = mean_square(tape, df_adaptive_avg_pool(tape, s, side, side), df_adaptive_avg_pool(tape, t, side, side));

        weight /= 2;
        total += weight;
        sum = df_add(tape, sum, df_scale(tape, term, weight));
    }
    return df_scale(tape, sum, 1 / total);
}
