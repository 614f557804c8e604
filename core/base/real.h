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

/* NHWC, c fastest. A matrix is n x 1 x 1 x c; a scalar is 1 x 1 x 1 x 1. */
typedef struct {
    size_t n, h, w, c;
} df_shape;

static inline size_t df_count(df_shape s) { return s.n * s.h * s.w * s.c; } /* elements */
static inline size_t df_pixels(df_shape s) { return s.n * s.h * s.w; }      /* rows of c values */
static inline bool df_same_shape(df_shape a, df_shape b) { return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c; }

/* [x0,y0,x1,y1] in pixels, continuous coordinates: the pixel (0,0) covers [0,1] x [0,1]. */
struct df_box {
    float x0, y0, x1, y1;
};
#endif
