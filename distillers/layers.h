/* Layers of their own that distillers over the neck have, as PyTorch makes and draws them. */
#ifndef DF_DISTILLERS_LAYERS_H
#define DF_DISTILLERS_LAYERS_H
#include "distillers/distiller.h"

struct df_layer { /* a convolution of stride 1 that keeps the size; weight NULL: the identity */
    struct df_parameter *weight, *bias;
};
/* Adds "<name>.weight" [out,k,k,in] and "<name>.bias", both U(+-1/sqrt(k k in)): PyTorch's default. */
struct df_layer df_layer_add(struct df_distiller_setup *setup, const char *name, size_t out, size_t kernel, size_t in);
/* ... with weights of another kind, and without a bias where `bias` is NULL. */
struct df_layer df_layer_add_as(struct df_distiller_setup *setup, const char *name, df_shape weight, struct df_initialiser init,
                                const struct df_initialiser *bias);
/* x [N,h,w,in] -> [N,h,w,out] */
df_tensor *df_layer_apply(df_tape *tape, const struct df_layer *layer, df_tensor *x, bool relu);

struct df_norm_layer { /* batch norm with the batch's statistics, eps 1e-5, momentum 0.1 */
    struct df_parameter *gamma, *beta, *mean, *var;
};
/* Adds "<name>.weight", ".bias", ".running_mean", ".running_var": 1, 0, 0, 1. */
struct df_norm_layer df_norm_layer_add(struct df_distiller_setup *setup, const char *name, size_t channels);
df_tensor *df_norm_layer_apply(df_tape *tape, const struct df_norm_layer *norm, df_tensor *x);

/* ---- from the student's to the teacher's width ---- */

enum df_align { DF_ALIGN_WIDTHS, DF_ALIGN_ALWAYS }; /* "widths|always" */
#define DF_ALIGN_ROW(type_, at_)                                                                                                           \
    {                                                                                                                                      \
        "align", DF_CHOICE_OPTION(type_, at_),                                                                                             \
            .standard = DF_ALIGN_WIDTHS, .choices = "widths|always",                                                                       \
            .help = "a 1x1 convolution from student to teacher features: where their widths differ, or on every level"                     \
    }
/* The layer "align.<level>", or the identity. */
struct df_layer df_align_add(struct df_distiller_setup *setup, int align, size_t level);

/* ---- how many of the neck's levels ---- */

#define DF_LEVELS_ROW(type_, at_)                                                                                                          \
    {                                                                                                                                      \
        "levels", DF_INT_OPTION(type_, at_), .max = DF_LEVELS, .help = "so many levels of the neck, the finest first; 0: all"              \
    }
/* Error: more than there are. */
df_status df_levels_check(const struct df_distiller_setup *setup, int64_t levels, struct df_error *err);
size_t df_levels_chosen(int64_t levels, size_t all);
#endif
