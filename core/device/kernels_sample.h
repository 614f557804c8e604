/* Kernels of crops (core/nn/ops_sample.c): boxes out of deltas, rows that are taken out of many, and bilinear samples where a grid says, as PyTorch's
 * grid_sample defines them. A sample lies between two positions of either axis; those outside of the map give 0 and get nothing. */
#ifndef DF_CORE_DEVICE_KERNELS_SAMPLE_H
#define DF_CORE_DEVICE_KERNELS_SAMPLE_H
#include <math.h>

#include "core/base/real.h"
#include "core/device/kernels_loss.h"

#define DF_KERNELS_SAMPLE(X)                                                                                                               \
    X(TAKE_ROWS, take_rows)                                                                                                                \
    X(GIVE_ROWS, give_rows)                                                                                                                \
    X(BOX_CORNERS, box_corners)                                                                                                            \
    X(BOX_CORNERS_BACKWARD, box_corners_backward)                                                                                          \
    X(GRID_SAMPLE, grid_sample)                                                                                                            \
    X(GRID_SAMPLE_BACKWARD, grid_sample_backward)                                                                                          \
    X(GRID_SAMPLE_SLOPE, grid_sample_slope)

/* ---- rows: y[i,:] = x[row_i,:], and x[row_i,:] += y[i,:] of rows that are all different ---- */

struct df_taken_rows_args {
    const df_real *x;
    df_real *y;
    const uint32_t *row;
    size_t width;
};
#define df_take_rows_args df_taken_rows_args
#define df_give_rows_args df_taken_rows_args
DF_KERNEL void df_k_take_rows(size_t i, const struct df_taken_rows_args *a)
{
    const df_real *restrict x = a->x + a->row[i] * a->width;
    df_real *restrict y = a->y + i * a->width;

    DF_LANES(c, a->width)
        y[c] = x[c];
}
DF_KERNEL void df_k_give_rows(size_t i, const struct df_taken_rows_args *a)
{
    const df_real *restrict x = a->x + i * a->width;
    df_real *restrict y = a->y + a->row[i] * a->width;

    DF_LANES(c, a->width)
        y[c] += x[c];
}

/* ---- box i: y[i] = decode(reference_i, x[i]), corners x0 y0 x1 y1 ---- */

struct df_box_corners_args {
    const df_real *x;               /* deltas [R,4] */
    const struct df_box *reference; /* [R] */
    double weights[4];              /* factors of the deltas */
    df_real *y;
};
DF_KERNEL void df_k_box_corners(size_t i, const struct df_box_corners_args *a)
{
    const struct df_loss_box box = df_loss_decode(a->reference[i], a->x + 4 * i, a->weights);

    for (size_t k = 0; k < 2; k++) {
        a->y[4 * i + k] = (df_real)box.low[k];
        a->y[4 * i + 2 + k] = (df_real)box.high[k];
    }
}

struct df_box_corners_backward_args {
    const df_real *x, *dy;
    const struct df_box *reference;
    double weights[4];
    df_real *dx;
    bool add;
};
DF_KERNEL void df_k_box_corners_backward(size_t i, const struct df_box_corners_backward_args *a)
{
    const struct df_box reference = a->reference[i];
    const struct df_loss_box box = df_loss_decode(reference, a->x + 4 * i, a->weights);
    const double side[2] = { (double)reference.x1 - (double)reference.x0, (double)reference.y1 - (double)reference.y0 };
    const df_real *dy = a->dy + 4 * i;
    df_real *dx = a->dx + 4 * i;

    for (size_t k = 0; k < 2; k++) {
        const double low = (double)dy[k], high = (double)dy[2 + k];

        dx[k] = (a->add ? dx[k] : 0) + (df_real)((low + high) * side[k] / a->weights[k]);
        dx[2 + k] = (a->add ? dx[2 + k] : 0) + (df_real)(box.clamped[k] ? 0 : (high - low) * box.half[k] / a->weights[2 + k]);
    }
}

/* ---- samples ---- */

struct df_grid_options {
    bool border;        /* what lies outside counts as the nearest pixel, else as 0 */
    bool align_corners; /* -1 and 1 are the centres of the outer pixels, else their outer edges */
};
struct df_sampling {       /* what all three kernels share */
    const df_real *x;      /* [N,h,w,C] */
    const df_real *grid;   /* [R,h',w',2] */
    const uint32_t *image; /* [R]: the n of row r's samples; NULL: r */
    df_shape from, to;     /* of x, of the samples */
    struct df_grid_options options;
};

/* One axis of a sample: it lies between `at` and at + 1, `share` of it at the second; how far it moves when the grid's number grows by 1. */
struct df_grid_tap {
    int64_t at;
    double share, slope;
};
DF_KERNEL struct df_grid_tap df_grid_tap_of(double g, size_t extent, const struct df_grid_options *options)
{
    const double size = (double)extent, last = size - 1, half = 0.5 * (options->align_corners ? last : size);
    const double x = (g + 1) * half - (options->align_corners ? 0 : 0.5);
    const bool inside = options->border ? x > 0 && x < last : x > -1 && x < size;
    const double used = inside ? x : options->border ? (x > 0 ? last : 0) : -2, low = floor(used); /* at -2 both are outside */
    const struct df_grid_tap tap = { (int64_t)low, used - low, inside ? half : 0 };

    return tap;
}

/* The four pixels around a sample: where they stand in x, their shares of it, and what these gain as the grid's two numbers grow. One that is
 * outside stands at 0 with nothing. */
struct df_grid_corners {
    size_t at[4];
    double share[4], across[4], down[4];
};
DF_KERNEL struct df_grid_corners df_grid_corners_of(const struct df_sampling *a, size_t i)
{
    const size_t r = i / a->to.w / a->to.h, n = a->image ? a->image[r] : r;
    const struct df_grid_tap x = df_grid_tap_of((double)a->grid[2 * i], a->from.w, &a->options);
    const struct df_grid_tap y = df_grid_tap_of((double)a->grid[2 * i + 1], a->from.h, &a->options);
    struct df_grid_corners corners = { { 0 }, { 0 }, { 0 }, { 0 } };

    for (int k = 0; k < 4; k++) {
        const bool right = k % 2, below = k / 2;
        const int64_t ix = x.at + right, iy = y.at + below;
        const double wx = right ? x.share : 1 - x.share, wy = below ? y.share : 1 - y.share;

        if (ix < 0 || iy < 0 || ix >= (int64_t)a->from.w || iy >= (int64_t)a->from.h)
            continue;
        corners.at[k] = ((n * a->from.h + (size_t)iy) * a->from.w + (size_t)ix) * a->from.c;
        corners.share[k] = wx * wy;
        corners.across[k] = (right ? x.slope : -x.slope) * wy;
        corners.down[k] = (below ? y.slope : -y.slope) * wx;
    }
    return corners;
}

/* Sample i: y[i,:] = sum over its corners of share x[at,:] */
struct df_grid_sample_args {
    struct df_sampling grid;
    df_real *y;
};
DF_KERNEL void df_k_grid_sample(size_t i, const struct df_grid_sample_args *a)
{
    const struct df_grid_corners corners = df_grid_corners_of(&a->grid, i);
    const df_real *restrict x = a->grid.x;
    df_real *restrict y = a->y + i * a->grid.to.c;

    DF_LANES(c, a->grid.to.c) {
        double sum = 0;

        for (int k = 0; k < 4; k++)
            sum += corners.share[k] * (double)x[corners.at[k] + c];
        y[c] = (df_real)sum;
    }
}

/* Row i = (image, row) of dx: dx (+)= what the samples of that image take from it, samples in order */
struct df_grid_sample_backward_args {
    struct df_sampling grid; /* x is not read */
    const df_real *dy;
    df_real *dx;
    bool add;
};
DF_KERNEL void df_grid_give(const struct df_grid_sample_backward_args *a, size_t sample, size_t first, size_t end)
{
    const struct df_grid_corners corners = df_grid_corners_of(&a->grid, sample);
    const df_real *restrict dy = a->dy + sample * a->grid.to.c;

    for (int k = 0; k < 4; k++) {
        const double share = corners.share[k];
        df_real *restrict dx = a->dx + corners.at[k];

        if (share > 0 && corners.at[k] >= first && corners.at[k] < end) {
            DF_LANES(c, a->grid.to.c)
                dx[c] += (df_real)(share * (double)dy[c]);
        }
    }
}
DF_KERNEL void df_k_grid_sample_backward(size_t i, const struct df_grid_sample_backward_args *a)
{
    const size_t n = i / a->grid.from.h, row = a->grid.from.w * a->grid.from.c, each = a->grid.to.h * a->grid.to.w;

    for (size_t x = 0; x < (a->add ? 0 : a->grid.from.w); x++)
        DF_LANES(c, a->grid.from.c)
            a->dx[i * row + x * a->grid.from.c + c] = 0;
    for (size_t r = 0; r < a->grid.to.n; r++)
        for (size_t s = 0; s < each && (a->grid.image ? a->grid.image[r] : r) == n; s++)
            df_grid_give(a, r * each + s, i * row, (i + 1) * row);
}

/* Sample i: dgrid[i] (+)= sum over channels of dy[i,c] sum over its corners of (across, down) x[at,c] */
struct df_grid_sample_slope_args {
    struct df_sampling grid;
    const df_real *dy;
    df_real *dgrid;
    bool add;
};
DF_KERNEL void df_k_grid_sample_slope(size_t i, const struct df_grid_sample_slope_args *a)
{
    const struct df_grid_corners corners = df_grid_corners_of(&a->grid, i);
    const df_real *dy = a->dy + i * a->grid.to.c;
    df_real *to = a->dgrid + 2 * i;
    double across = 0, down = 0;

    for (size_t c = 0; c < a->grid.to.c; c++)
        for (int k = 0; k < 4; k++) {
            const double v = (double)dy[c] * (double)a->grid.x[corners.at[k] + c];

            across += corners.across[k] * v;
            down += corners.down[k] * v;
        }
    to[0] = (a->add ? to[0] : 0) + (df_real)across;
    to[1] = (a->add ? to[1] : 0) + (df_real)down;
}
#endif
