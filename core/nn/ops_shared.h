/* What the files of ops share: data movement with broadcasting, without recording. */
#ifndef DF_CORE_NN_OPS_SHARED_H
#define DF_CORE_NN_OPS_SHARED_H
#include "core/nn/tape.h"

/* y (+)= factor (a op b), y's shape ys; each axis of a and b equals y's or is 1. b may be NULL for DF_BINARY_FIRST. */
void df_binary_into(df_tape *tape, enum df_binary_op op, const df_real *a, df_shape as, const df_real *b, df_shape bs, df_real *y,
                    df_shape ys, double factor, bool add);
/* y (+)= factor sum of x over the axes where ys is 1 and xs is not */
void df_reduce_into(df_tape *tape, const df_real *x, df_shape xs, df_real *y, df_shape ys, double factor, bool add);
/* y (+)= factor x */
void df_scale_into(df_tape *tape, const df_real *x, df_real *y, size_t count, double factor, bool add);

static inline size_t df_axis_size(df_shape s, int axis)
{
    const size_t size[4] = { s.n, s.h, s.w, s.c };

    return size[axis];
}
#endif
