/* The element type, shapes and boxes. df_real is float; the tests build the same sources again with -DDF_REAL=double. */
#ifndef DF_CORE_BASE_REAL_H
#define DF_CORE_BASE_REAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef DF_REAL
#define DF_REAL float
#endif
typedef DF_REAL df_real;

/* What a GPU runs too. It gives these macros its own values before it includes a header: functions for both sides, and a loop of independent
 * turns that are dealt out to the lanes that work on one index together (here there is one). */
#ifndef DF_KERNEL
#define DF_KERNEL static inline
#endif
#ifndef DF_LANES
#define DF_LANES(i, n) for (size_t i = 0; i < (n); i++)
#endif
#ifndef DF_REGISTERS
#define DF_REGISTERS 16 /* neighbouring channels of which one lane keeps a sum each */
#endif
/* A kernel that is the sum of its lanes' shares. */
#define DF_SUM_KERNEL(name)                                                                                                                \
    DF_KERNEL void df_k_##name(size_t i, const struct df_##name##_args *a) { df_store_##name(i, a, df_share_##name(i, a)); }

/* NHWC, c fastest. A matrix is n x 1 x 1 x c; a scalar is 1 x 1 x 1 x 1. */
typedef struct {
    size_t n, h, w, c;
} df_shape;

DF_KERNEL size_t df_count(df_shape s) { return s.n * s.h * s.w * s.c; } /* elements */
DF_KERNEL size_t df_pixels(df_shape s) { return s.n * s.h * s.w; }      /* rows of c values */
DF_KERNEL bool df_same_shape(df_shape a, df_shape b) { return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c; }

/* [x0,y0,x1,y1] in pixels, continuous coordinates: the pixel (0,0) covers [0,1] x [0,1]. */
struct df_box {
    float x0, y0, x1, y1;
};
#endif
