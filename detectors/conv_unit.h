/* Convolution units, and those of a network kept together: made one by one, folded all at once. */
#ifndef DF_DETECTORS_CONV_UNIT_H
#define DF_DETECTORS_CONV_UNIT_H
#include "core/nn/ops.h"
#include "core/nn/parameters.h"

/* convolution + norm (+ relu), the unit a network is made of. Fixed: batch norm folded into weight and bias, once (for frozen networks). */
struct df_conv_unit {
    struct df_parameter *weight, *bias, *gamma, *beta, *mean, *var; /* bias or (gamma, beta, mean, var); all may be NULL but weight */
    struct df_conv_options options;
    double eps, momentum;
    bool relu, frozen_norm;
    struct df_parameter *folded_weight, *folded_bias; /* NULL: not folded */
};
df_tensor *df_conv_unit_forward(df_tape *tape, struct df_conv_unit *unit, df_tensor *x, bool training);
/* The same in two parts, for the end of a residual block: the convolution (with its norm where that is folded), and max(0, norm(y) + skip). */
df_tensor *df_conv_unit_convolve(df_tape *tape, struct df_conv_unit *unit, df_tensor *x);
df_tensor *df_conv_unit_join(df_tape *tape, struct df_conv_unit *unit, df_tensor *y, df_tensor *skip, bool training);

struct df_conv_unit_plan {
    const char *conv, *norm;          /* module names; norm NULL: none */
    const struct df_conv_unit *share; /* the unit whose weight (and bias) this one uses; NULL: its own */
    size_t in, out, kernel, stride;   /* padding is kernel / 2 */
    bool bias, relu;
    struct df_initialiser init; /* of the weight */
    double bias_value;
};

struct df_conv_units {
    struct df_parameters *parameters;
    double eps, momentum;
    bool frozen_norm;
    struct df_conv_unit **items; /* stable addresses */
    size_t count, capacity;
    bool fold;                    /* batch norms are folded by the next refresh */
    struct df_parameters *folded; /* weights and biases after folding; NULL: not folded yet */
    uint64_t folded_version;      /* of `parameters`, when they were folded */
};
struct df_conv_unit *df_conv_units_add(struct df_conv_units *units, const struct df_conv_unit_plan *plan);
void df_conv_units_fold(struct df_conv_units *units);    /* nothing trains any more; folds at the next refresh */
void df_conv_units_refresh(struct df_conv_units *units); /* before a forward pass: folds if asked for and not done for these values */
void df_conv_units_release(struct df_conv_units *units);
#endif
