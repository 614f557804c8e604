/* The weights' gradient: dw[k][tap][c] = sum over output pixels of dy[pixel][k] x[pixel's tap][c], in blocks of DF_BLOCK_PIXELS pixels. */
#ifndef DF_CORE_DEVICE_CPU_WEIGHTS_H
#define DF_CORE_DEVICE_CPU_WEIGHTS_H
#include "core/device/cpu/shared.h"
#include "core/device/cpu/vector.h"

/* Output pixels whose terms a chain takes one after the other: where x's values and where dy's row begin. */
struct pixels {
    const float **x;
    int32_t *dy; /* in floats from the first pixel's */
    size_t count;
};
/* Chains of one stretch of dw over one part of a block. Filters lie `stride` apart in dw. */
struct stretch {
    struct pixels pixels;
    const float *dy;
    size_t elements; /* neighbours in x and in dw: (channel) of a tap or (tap, channel) of a kernel row */
    size_t filters, stride;
    const float *chain; /* the sums so far, or NULL: from +0 */
    float *to;
    bool add; /* to += (+0 + chain), else the chain as it is */
};
/* Lanes: elements. */
void CPU(run_stretch)(const struct stretch *stretch);
/* Lanes: filters. For few elements. */
void CPU(run_few)(const struct stretch *stretch);

/* A part of the output pixels, and what of x a tap or a kernel row makes of it. */
struct part {
    const struct df_conv *conv;
    df_shape y;
    const float *x;
    size_t begin, end; /* output pixels */
};
enum { LIST_SLACK = 4 };
/* Pixels whose tap (r, s) lies inside. Each list has room for end - begin + LIST_SLACK pixels. */
void CPU(list_tap)(const struct part *part, size_t r, size_t s, struct pixels *out);
/* Pixels of which kernel row r meets a row of the image: a copy with zeros, in `margin` (room for kernel_w x.c floats a pixel), where it reaches
 * beyond its ends. A term of 0 changes no sum but the sign of a zero, which the end of a chain (+0 + sum) takes away. */
void CPU(list_row)(const struct part *part, size_t r, float *margin, struct pixels *out);
#endif
