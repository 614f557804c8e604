/* What the files of ops share: data movement with broadcasting, without recording. */
#ifndef DF_CORE_NN_OPS_SHARED_H
#define DF_CORE_NN_OPS_SHARED_H
#include "core/nn/tape.h"

struct df_operand {
    const df_real *data;
    df_shape shape;
};
struct df_result {
    df_real *data;
    df_shape shape;
    double factor;
    bool add; /* to what is there, else over it */
};
/* y (+)= factor (a op b); each axis of a and b equals y's or is 1. b's data may be NULL for DF_BINARY_FIRST. */
void df_binary_into(df_tape *tape, enum df_binary_op op, struct df_operand a, struct df_operand b, struct df_result y);
/* y (+)= factor sum of x over the axes where y's shape is 1 and x's is not */
void df_reduce_into(df_tape *tape, struct df_operand x, struct df_result y);
/* y (+)= factor x */
void df_scale_into(df_tape *tape, const df_real *x, df_real *y, size_t count, double factor, bool add);

/* log sum exp(x / T) over the cells of every image and channel, [N,C] on the device until the tape's reset */
double *df_cells_log_sums(df_tape *tape, const df_tensor *x, double temperature);

/* A tensor as either, and its gradient as an operand. */
static inline struct df_operand df_data_of(const df_tensor *t) { return (struct df_operand){ t->data, t->shape }; }
static inline struct df_operand df_grad_of(const df_tensor *t) { return (struct df_operand){ t->grad, t->shape }; }
static inline struct df_result df_over(df_tensor *t) { return (struct df_result){ t->data, t->shape, 1, false }; }

enum { DF_ROW_CHUNK = 64 }; /* rows whose sums per channel are one partial */
static inline size_t df_chunks_of(size_t n, size_t chunk) { return (n + chunk - 1) / chunk; }

static inline size_t df_axis_size(df_shape s, int axis)
{
    const size_t size[4] = { s.n, s.h, s.w, s.c };

    return size[axis];
}
#endif
