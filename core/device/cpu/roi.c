/* RoIAlign of `cpu`: the weights of kernels_roi.h, which `ref` sums pixel by pixel; here axis by axis, in long contiguous rows:
 *   y[i,j,:] = sum_x v_j(x) T_i[x,:],   T_i[x,:] = sum_y u_i(y) x[y,x,:]
 * and backward the transpose, RoI by RoI: each adds to the map in rising order, as there. */
#include <string.h>

#include "core/device/cpu/cpu.h"
#include "core/device/cpu/vector.h"
#include "core/device/kernel_bytes.h"

/* The taps of a RoI's cells along one axis, and the range of positions they lie in. */
struct taps {
    size_t count[DF_ROI_SIZE], first, end;
    struct df_roi_tap tap[DF_ROI_SIZE][DF_ROI_TAPS];
};

/* false: too many samples per cell to be kept */
static bool find_taps(const struct df_roi_axis *axis, size_t cells, struct taps *out)
{
    if (axis->grid == 0 || axis->grid > DF_ROI_SAMPLES)
        return false;
    out->first = axis->extent;
    out->end = 0;
    for (size_t cell = 0; cell < cells; cell++) {
        const size_t count = out->count[cell] = df_roi_taps(axis, cell, 0, out->tap[cell]);

        for (size_t k = 0; k < count; k++) {
            const size_t at = out->tap[cell][k].at;

            out->first = at < out->first ? at : out->first;
            out->end = at >= out->end ? at + 1 : out->end;
        }
    }
    return true;
}

/* out [n] (+)= sum over `count` taps of weight * from[at * stride + .] */
INLINE void combine_some(const struct df_roi_tap *tap, int count, const float *from, size_t stride, size_t n, bool add, float *restrict out)
{
    const float *row[4];
    float weight[4];

    for (int k = 0; k < count; k++) {
        row[k] = from + tap[k].at * stride;
        weight[k] = tap[k].weight;
    }
    for (size_t c = 0; c < n; c++) {
        float sum = weight[0] * row[0][c];

        for (int k = 1; k < count; k++)
            sum += weight[k] * row[k][c];
        out[c] = add ? out[c] + sum : sum;
    }
}

static void combine(const struct df_roi_tap *tap, size_t count, const float *from, size_t stride, size_t n, float *restrict out)
{
    if (count == 0)
        memset(out, 0, n * sizeof *out);
    for (size_t first = 0; first < count; first += 4) {
        const struct df_roi_tap *some = tap + first;
        const bool add = first > 0;

        switch (count - first) {
        case 1:
            combine_some(some, 1, from, stride, n, add, out);
            break;
        case 2:
            combine_some(some, 2, from, stride, n, add, out);
            break;
        case 3:
            combine_some(some, 3, from, stride, n, add, out);
            break;
        default:
            combine_some(some, 4, from, stride, n, add, out);
            break;
        }
    }
}

/* The transpose: to[at * stride + .] += weight * from [n] */
static void spread(const struct df_roi_tap *tap, size_t count, const float *restrict from, size_t stride, size_t n, float *to)
{
    for (size_t k = 0; k < count; k++) {
        float *restrict row = to + tap[k].at * stride;
        const float weight = tap[k].weight;

        for (size_t c = 0; c < n; c++)
            row[c] += weight * from[c];
    }
}

static void align_one(const struct df_roi_align_args *a, size_t r, float *row)
{
    const size_t level = (size_t)a->level[r], channels = a->channels, size = a->options.size, line = a->width[level] * channels;
    const struct df_box box = a->box[r];
    const struct df_roi_axis vertical = df_roi_axis_of(box.y0, box.y1, a->scale[level], a->height[level], &a->options);
    const struct df_roi_axis across = df_roi_axis_of(box.x0, box.x1, a->scale[level], a->width[level], &a->options);
    const float *x = a->x[level] + a->image[r] * a->height[level] * line;
    float *y = a->y + r * size * size * channels;
    struct taps rows, columns;

    if (!find_taps(&vertical, size, &rows) || !find_taps(&across, size, &columns)) {
        df_k_roi_align(r, a);
        return;
    }
    const size_t first = columns.first * channels, span = columns.end > columns.first ? (columns.end - columns.first) * channels : 0;

    for (size_t i = 0; i < size; i++) {
        if (span)
            combine(rows.tap[i], rows.count[i], x + first, line, span, row + first);
        for (size_t j = 0; j < size; j++, y += channels)
            combine(columns.tap[j], columns.count[j], row, channels, channels, y);
    }
}

struct aligning {
    const struct df_roi_align_args *args;
    size_t rois, row_floats;
    float *rows; /* of every thread one */
};

static void align_part(const void *context, size_t part, size_t parts)
{
    const struct aligning *job = context;
    const struct df_roi_align_args *a = job->args;
    const size_t cells = a->options.size * a->options.size * a->channels;
    size_t first, last;

    df_team_share(job->rois, 1, part, parts, &first, &last);
    for (size_t r = first; r < last; r++)
        if (a->level[r] >= 0)
            align_one(a, r, job->rows + part * job->row_floats);
        else
            memset(a->y + r * cells, 0, cells * sizeof *a->y);
}

void CPU(roi_align)(struct df_device *device, size_t rois, const struct df_roi_align_args *a)
{
    struct aligning job = { .args = a, .rois = rois };

    for (size_t l = 0; l < DF_ROI_LEVELS && a->x[l]; l++)
        job.row_floats = a->width[l] * a->channels > job.row_floats ? a->width[l] * a->channels : job.row_floats;
    job.rows = CPU(scratch)(device->state, DF_SCRATCH_ROI, job.row_floats * df_team_size(device->team) * sizeof *job.rows);
    CPU(share)(device, DF_FLOPS_OF_BYTE * df_kernel_bytes(DF_K_ROI_ALIGN, rois, a), align_part, &job);
}

static void align_one_backward(const struct df_roi_align_backward_args *a, size_t r, float *row)
{
    const size_t channels = a->channels, size = a->options.size, line = a->width * channels;
    const struct df_box box = a->box[r];
    const struct df_roi_axis vertical = df_roi_axis_of(box.y0, box.y1, a->scale, a->height, &a->options);
    const struct df_roi_axis across = df_roi_axis_of(box.x0, box.x1, a->scale, a->width, &a->options);
    const float *dy = a->dy + r * size * size * channels;
    float *dx = a->dx + a->image[r] * a->height * line;
    struct taps rows, columns;

    if (!find_taps(&vertical, size, &rows) || !find_taps(&across, size, &columns)) {
        for (size_t y = 0; y < a->height; y++)
            df_roi_scatter_row(a, r, y, dx + y * line);
        return;
    }
    if (columns.end <= columns.first)
        return;
    const size_t first = columns.first * channels, span = (columns.end - columns.first) * channels;

    for (size_t i = 0; i < size; i++) {
        if (rows.count[i] == 0)
            continue;
        memset(row + first, 0, span * sizeof *row);
        for (size_t j = 0; j < size; j++)
            spread(columns.tap[j], columns.count[j], dy + (i * size + j) * channels, channels, channels, row);
        spread(rows.tap[i], rows.count[i], row + first, line, span, dx + first);
    }
}

void CPU(roi_align_backward)(struct df_device *device, size_t map_rows, const struct df_roi_align_backward_args *a)
{
    const size_t line = a->width * a->channels;
    float *row = CPU(scratch)(device->state, DF_SCRATCH_ROI, line * sizeof *row);

    if (!a->add)
        memset(a->dx, 0, map_rows * line * sizeof *a->dx);
    for (size_t r = 0; r < a->rois; r++)
        if (a->level[r] == a->this_level)
            align_one_backward(a, r, row);
}
