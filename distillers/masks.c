/* Masks from ground-truth boxes. Level assignment and the rounding "authors" are those of the DeFeat authors' code (legacy "+1" sizes, end
 * exclusive, a box that is thin in one direction marks a single cell). Deviations: the finest scale follows the image size instead of
 * being 56 pixels at any size; a box that begins on the last border marks the last cell, where theirs would index outside. */
#include "distillers/masks.h"

#include <math.h>
#include <string.h>

size_t df_level_of(struct df_box box, double finest_scale, size_t levels)
{
    const double width = (double)box.x1 - (double)box.x0 + 1, height = (double)box.y1 - (double)box.y0 + 1;
    const double ratio = sqrt(width * height) / finest_scale + 1e-6;
    size_t level = 0;

    for (double border = 2; level + 1 < levels && ratio >= border; border *= 2) /* floor(log2(ratio)) */
        level++;
    return level;
}

/* First and end cell of [begin, end] pixels along an axis of `cells`; false: none. *thin: the authors' rule makes it one cell. */
static bool cell_range(double begin, double end, double stride, size_t cells, enum df_rounding rounding, size_t range[2], bool *thin)
{
    const double most = (double)cells, first = begin / stride, last = end / stride;
    const double a = rounding == DF_ROUND_COVER ? floor(first) : trunc(first), b = rounding == DF_ROUND_COVER ? ceil(last) : trunc(last);
    const double low = a > 0 ? a : 0, high = b < most ? b : most;

    *thin = rounding == DF_ROUND_AUTHORS && low == high;
    if (!(low < high || *thin))
        return false;
    range[0] = (size_t)(low < most ? low : most - 1);
    range[1] = (size_t)high;
    return true;
}

void df_mask_box(df_real *mask, size_t h, size_t w, struct df_box box, double stride, enum df_rounding rounding)
{
    size_t x[2], y[2];
    bool thin_x, thin_y;

    if (!cell_range((double)box.x0, (double)box.x1, stride, w, rounding, x, &thin_x) ||
        !cell_range((double)box.y0, (double)box.y1, stride, h, rounding, y, &thin_y))
        return;
    if (thin_x || thin_y)
        x[1] = x[0] + 1, y[1] = y[0] + 1;
    for (size_t row = y[0]; row < y[1]; row++) {
        for (size_t column = x[0]; column < x[1]; column++)
            mask[row * w + column] = 1;
    }
}

double df_finest_scale(const struct df_detection_state *state)
{
    const size_t side = state->canvas_h < state->canvas_w ? state->canvas_h : state->canvas_w;

    return 56 * (double)side / 800;
}

static df_shape mask_shape(const struct df_detection_state *state, size_t level)
{
    df_shape shape = state->neck[level].feature->shape;

    shape.c = 1;
    return shape;
}

df_tensor *df_mask_ground_truth(df_tape *tape, const struct df_detection_state *student, size_t level, enum df_level_rule rule,
                                enum df_rounding rounding)
{
    const df_shape shape = mask_shape(student, level);
    const size_t cells = shape.h * shape.w;
    const double finest = df_finest_scale(student);
    df_real *mask = df_tape_host(tape, df_count(shape) * sizeof *mask);

    memset(mask, 0, df_count(shape) * sizeof *mask);
    for (size_t n = 0; n < shape.n; n++) {
        const struct df_ground_truth *truth = &student->images->truth[n];

        for (size_t i = 0; i < truth->count; i++) {
            if (rule == DF_LEVEL_ALL || df_level_of(truth->boxes[i], finest, student->levels) == level)
                df_mask_box(mask + n * cells, shape.h, shape.w, truth->boxes[i], (double)student->neck[level].stride, rounding);
        }
    }
    return df_tensor_from(tape, shape, mask);
}

df_tensor *df_mask_ones(df_tape *tape, const struct df_detection_state *student, size_t level)
{
    const df_shape shape = mask_shape(student, level);
    df_real *mask = df_tape_host(tape, df_count(shape) * sizeof *mask);

    for (size_t i = 0; i < df_count(shape); i++)
        mask[i] = 1;
    return df_tensor_from(tape, shape, mask);
}

df_tensor *df_mask_inverse(df_tape *tape, const df_tensor *mask)
{
    const df_real one = 1;
    df_tensor *ones = df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, &one);

    return df_sub(tape, ones, df_tensor_view(tape, mask->shape, mask->data));
}
