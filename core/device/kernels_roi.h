/* Kernels of RoIAlign (core/nn/ops_roi.c). He et al., "Mask R-CNN", ICCV 2017, as torchvision's roi_align defines it: a cell of the result
 * is the mean of grid x grid samples, each bilinear; a sample outside [-1, size] counts as 0, one beyond the outer pixels' centres lies on
 * them. Sample weights factor into the axes, so a cell is  y[i,j,:] = sum_y sum_x u_i(y) v_j(x) x[y,x,:]  with few rows y and columns x: the
 * taps. The backward pass gathers: an index owns a row of the map and adds what every RoI gives to it, RoIs in order. */
#ifndef DF_CORE_DEVICE_KERNELS_ROI_H
#define DF_CORE_DEVICE_KERNELS_ROI_H
#include <math.h>
#include <string.h>

#include "core/base/real.h"

#define DF_KERNELS_ROI(X) X(ROI_ALIGN, roi_align) X(ROI_ALIGN_BACKWARD, roi_align_backward)
enum { DF_ROI_LEVELS = 8, DF_ROI_SIZE = 32, DF_ROI_SAMPLES = 4, DF_ROI_TAPS = 2 * DF_ROI_SAMPLES };

/* One axis of a RoI on its map: cell c covers [start + c bin, start + (c + 1) bin), sampled at `grid` places. */
struct df_roi_axis {
    double start, bin, step; /* step = bin / grid */
    size_t grid, extent;     /* extent: of the map */
};
struct df_roi_options {
    size_t size;     /* cells per side, at most DF_ROI_SIZE */
    size_t sampling; /* samples per cell and axis; 0: as many as the cell has pixels, rounded up */
    bool aligned;    /* coordinates are shifted by half a pixel; else RoIs are at least one pixel large */
};
/* A RoI's own arithmetic has the elements' precision, as in torchvision: the number of samples depends on its rounding. */
DF_KERNEL struct df_roi_axis df_roi_axis_of(float low, float high, df_real scale, size_t extent, const struct df_roi_options *options)
{
    const df_real offset = options->aligned ? (df_real)0.5 : 0, start = low * scale - offset, length = high * scale - offset - start;
    const df_real used = options->aligned || length > 1 ? length : 1, bin = used / (df_real)options->size;
    struct df_roi_axis axis = { (double)start, (double)bin, 0, options->sampling, extent };

    if (!options->sampling)
        axis.grid = bin > 0 ? (size_t)ceil((double)bin) : 0;
    axis.step = axis.grid ? axis.bin / (double)axis.grid : 0;
    return axis;
}

struct df_roi_tap {
    size_t at;
    df_real weight;
};
DF_KERNEL size_t df_roi_add_tap(struct df_roi_tap tap[DF_ROI_TAPS], size_t count, size_t at, double weight)
{
    size_t k = 0;

    if (!(weight > 0))
        return count;
    while (k < count && tap[k].at != at)
        k++;
    if (k == count) {
        tap[k].at = at;
        tap[k].weight = 0;
        count++;
    }
    tap[k].weight += (df_real)weight;
    return count;
}

/* Samples first, first + 1, ... (at most DF_ROI_SAMPLES) of a cell as weights of map positions. Returns how many positions. */
DF_KERNEL size_t df_roi_taps(const struct df_roi_axis *axis, size_t cell, size_t first, struct df_roi_tap tap[DF_ROI_TAPS])
{
    const size_t end = first + DF_ROI_SAMPLES < axis->grid ? first + DF_ROI_SAMPLES : axis->grid;
    const double share = 1 / (double)axis->grid;
    size_t count = 0;

    for (size_t s = first; s < end; s++) {
        const double at = axis->start + (double)cell * axis->bin + ((double)s + 0.5) * axis->step, inside = at > 0 ? at : 0;

        if (!(at >= -1 && at <= (double)axis->extent))
            continue;
        if (inside >= (double)(axis->extent - 1)) {
            count = df_roi_add_tap(tap, count, axis->extent - 1, share);
        } else {
            const size_t low = (size_t)inside;
            const double right = inside - (double)low;

            count = df_roi_add_tap(tap, count, low, (1 - right) * share);
            count = df_roi_add_tap(tap, count, low + 1, right * share);
        }
    }
    return count;
}

/* y[c] += sum over the taps of weight * x[at][c] */
DF_KERNEL void df_roi_gather(const df_real *x, size_t width, size_t channels, const struct df_roi_tap *rows, size_t row_count,
                             const struct df_roi_tap *columns, size_t column_count, df_real *restrict y)
{
    const size_t rest = channels / DF_REGISTERS * DF_REGISTERS;

    DF_LANES(block, channels / DF_REGISTERS) {
        const size_t first = block * DF_REGISTERS;
        df_real sum[DF_REGISTERS];

        memcpy(sum, y + first, sizeof sum);
        for (size_t i = 0; i < row_count; i++)
            for (size_t j = 0; j < column_count; j++) {
                const df_real *restrict from = x + (rows[i].at * width + columns[j].at) * channels + first;
                const df_real weight = rows[i].weight * columns[j].weight;

                for (size_t c = 0; c < DF_REGISTERS; c++)
                    sum[c] += weight * from[c];
            }
        memcpy(y + first, sum, sizeof sum);
    }
    for (size_t i = 0; i < row_count; i++)
        for (size_t j = 0; j < column_count; j++) {
            const df_real *restrict from = x + (rows[i].at * width + columns[j].at) * channels;
            const df_real weight = rows[i].weight * columns[j].weight;

            for (size_t c = rest; c < channels; c++)
                y[c] += weight * from[c];
        }
}

/* RoI i: y[i] of y [R,size,size,C]; zeros where level is negative */
struct df_roi_align_args {
    const df_real *x[DF_ROI_LEVELS]; /* [N,height,width,C] */
    size_t height[DF_ROI_LEVELS], width[DF_ROI_LEVELS];
    df_real scale[DF_ROI_LEVELS];
    const struct df_box *box;
    const uint32_t *image;
    const int32_t *level;
    df_real *y;
    struct df_roi_options options;
    size_t channels;
};
DF_KERNEL void df_k_roi_align(size_t i, const struct df_roi_align_args *a)
{
    const size_t size = a->options.size, channels = a->channels;
    df_real *y = a->y + i * size * size * channels;
    struct df_roi_tap rows[DF_ROI_TAPS], columns[DF_ROI_SIZE][DF_ROI_TAPS];
    size_t column_count[DF_ROI_SIZE];

    memset(y, 0, size * size * channels * sizeof *y);
    if (a->level[i] < 0)
        return;
    const size_t level = (size_t)a->level[i], height = a->height[level], width = a->width[level];
    const struct df_box box = a->box[i];
    const df_real *x = a->x[level] + a->image[i] * height * width * channels;
    const struct df_roi_axis vertical = df_roi_axis_of(box.y0, box.y1, a->scale[level], height, &a->options);
    const struct df_roi_axis across = df_roi_axis_of(box.x0, box.x1, a->scale[level], width, &a->options);

    for (size_t u = 0; u < across.grid; u += DF_ROI_SAMPLES) {
        for (size_t j = 0; j < size; j++)
            column_count[j] = df_roi_taps(&across, j, u, columns[j]);
        for (size_t cell = 0; cell < size; cell++)
            for (size_t v = 0; v < vertical.grid; v += DF_ROI_SAMPLES) {
                const size_t row_count = df_roi_taps(&vertical, cell, v, rows);

                for (size_t j = 0; j < size; j++)
                    df_roi_gather(x, width, channels, rows, row_count, columns[j], column_count[j], y + (cell * size + j) * channels);
            }
    }
}

/* x between 0 and the centre of the last pixel */
DF_KERNEL double df_roi_inside(double x, size_t extent) { return x > 0 ? fmin(x, (double)(extent - 1)) : 0; }

/* Whether a sample of these cells can touch a map row: it reaches the rows less than 1 away. */
DF_KERNEL bool df_roi_reaches(const struct df_roi_axis *axis, size_t cell, size_t cells, size_t row)
{
    const double first = axis->start + (double)cell * axis->bin, last = first + (double)cells * axis->bin;

    return !(first <= last) ||
           (df_roi_inside(first, axis->extent) < (double)row + 1 && df_roi_inside(last, axis->extent) > (double)row - 1);
}

/* u_cell(row): the weight of a map row in a row of cells */
DF_KERNEL df_real df_roi_row_weight(const struct df_roi_axis *axis, size_t cell, size_t row)
{
    struct df_roi_tap tap[DF_ROI_TAPS];
    df_real weight = 0;

    if (!df_roi_reaches(axis, cell, 1, row))
        return 0;
    for (size_t v = 0; v < axis->grid; v += DF_ROI_SAMPLES) {
        const size_t count = df_roi_taps(axis, cell, v, tap);

        for (size_t k = 0; k < count; k++)
            weight += tap[k].at == row ? tap[k].weight : 0;
    }
    return weight;
}

/* Row i = (image, row) of dx [N,height,width,C], one level: dx (+)= sum over the level's RoIs of that image */
struct df_roi_align_backward_args {
    const df_real *dy; /* [R,size,size,C] */
    df_real *dx;
    const struct df_box *box;
    const uint32_t *image;
    const int32_t *level;
    struct df_roi_options options;
    size_t rois, channels, height, width;
    int32_t this_level;
    df_real scale;
    bool add;
};
DF_KERNEL void df_roi_scatter_row(const struct df_roi_align_backward_args *a, size_t r, size_t row, df_real *restrict dx)
{
    const struct df_box box = a->box[r];
    const struct df_roi_axis vertical = df_roi_axis_of(box.y0, box.y1, a->scale, a->height, &a->options);
    const df_real *dy = a->dy + r * a->options.size * a->options.size * a->channels;
    struct df_roi_tap columns[DF_ROI_TAPS];
    df_real weight[DF_ROI_SIZE];

    if (!df_roi_reaches(&vertical, 0, a->options.size, row))
        return;
    for (size_t cell = 0; cell < a->options.size; cell++)
        weight[cell] = df_roi_row_weight(&vertical, cell, row);

    const struct df_roi_axis across = df_roi_axis_of(box.x0, box.x1, a->scale, a->width, &a->options);

    for (size_t j = 0; j < a->options.size; j++)
        for (size_t u = 0; u < across.grid; u += DF_ROI_SAMPLES) {
            const size_t count = df_roi_taps(&across, j, u, columns);

            for (size_t cell = 0; cell < a->options.size; cell++)
                for (size_t k = 0; weight[cell] > 0 && k < count; k++) {
                    const df_real *restrict from = dy + (cell * a->options.size + j) * a->channels;
                    const df_real share = weight[cell] * columns[k].weight;
                    df_real *restrict to = dx + columns[k].at * a->channels;

                    DF_LANES(c, a->channels)
                        to[c] += share * from[c];
                }
        }
}
DF_KERNEL void df_k_roi_align_backward(size_t i, const struct df_roi_align_backward_args *a)
{
    const size_t n = i / a->height, row = i % a->height;
    df_real *dx = a->dx + i * a->width * a->channels;

    for (size_t x = 0; x < (a->add ? 0 : a->width); x++)
        DF_LANES(c, a->channels)
            dx[x * a->channels + c] = 0;
    for (size_t r = 0; r < a->rois; r++)
        if (a->level[r] == a->this_level && a->image[r] == n)
            df_roi_scatter_row(a, r, row, dx);
}
#endif
