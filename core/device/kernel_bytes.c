/* The memory traffic of a kernel by what its arguments say: every operand once, as a perfect implementation would move it. What is skipped
 * because of the values (rows that a mask leaves out) is counted as if it were not. One line per kernel: BYTES(name, elements, partials)
 * where n is the launch's index count, elements count df_reals and partials doubles. */
#include "core/device/kernel_bytes.h"

#define BYTES(name, elements, partials)                                                                                                    \
    static double bytes_##name(double n, const struct df_##name##_args *a)                                                                 \
    {                                                                                                                                      \
        (void)n;                                                                                                                           \
        (void)a;                                                                                                                           \
        return (double)(elements) * (double)sizeof(df_real) + (double)(partials) * (double)sizeof(double);                                 \
    }

static double count(df_shape shape) { return (double)df_count(shape); }
static double pixels(df_shape shape) { return (double)df_pixels(shape); }
static double product(size_t a, size_t b) { return (double)a * (double)b; }
static double once_more(bool add) { return add ? 2 : 1; }            /* an output that is read before it is written */
static double present(const void *memory) { return memory ? 1 : 0; } /* an operand that may be missing */

/* Operands that are not df_real: masks, indices. */
static double bytes_as_reals(double bytes) { return bytes / (double)sizeof(df_real); }
static double indices(double rows) { return bytes_as_reals(rows * (double)sizeof(int32_t)); }

static double box_reals(double boxes) { return bytes_as_reals(boxes * (double)sizeof(struct df_box)); }

/* ---- per element ---- */

BYTES(fill, n, 0)
BYTES(scale, n *(1 + once_more(a->add)), 0)
BYTES(scale_by, n *(1 + once_more(a->add)), 0)
BYTES(relu, 2 * n, 0)
BYTES(sigmoid, 2 * n, 0)
BYTES(exp, 2 * n, 0)
BYTES(log, 2 * n, 0)
BYTES(sqrt, 2 * n, 0)
BYTES(abs, 2 * n, 0)
BYTES(relu_backward, n *(2 + once_more(a->add)), 0)
BYTES(sigmoid_backward, n *(2 + once_more(a->add)), 0)
BYTES(exp_backward, n *(2 + once_more(a->add)), 0)
BYTES(log_backward, n *(2 + once_more(a->add)), 0)
BYTES(sqrt_backward, n *(2 + once_more(a->add)), 0)
BYTES(abs_backward, n *(2 + once_more(a->add)), 0)
BYTES(add_relu, 3 * n, 0)
BYTES(add_relu_backward, n *(2 + once_more(a->add_a) + once_more(a->add_b)), 0)

/* The elements of an operand that is walked with these steps; of a long row that was cut into rows the last may be short. */
static double walked(const struct df_binary_args *a, const size_t step[4])
{
    double elements = step[3] ? (double)a->row : 1;

    for (int k = 0; k < 3; k++)
        elements *= step[k] ? (double)a->size[k] : 1;
    return elements < (double)a->total ? elements : (double)a->total;
}
static double second(const struct df_binary_args *a) { return a->op == DF_BINARY_FIRST ? 0 : walked(a, a->step_b); }
BYTES(binary, (double)a->total *once_more(a->add) + walked(a, a->step_a) + second(a), 0)
BYTES(copy_rows, 2 * n * (double)a->row, 0)
BYTES(add_rows, 3 * n * (double)a->row, 0)

/* ---- reductions, normalisation ---- */

BYTES(reduce_runs, product(a->keep[0], a->keep[1]) * product(a->outer, a->run), n)
BYTES(reduce_rows, n / (double)a->chunks * product(a->size[0], a->size[1]) * (double)a->width, n *(double)a->width)
BYTES(reduce_final, n *once_more(a->add), n *(double)a->count)
BYTES(max, count(a->shape) + n + bytes_as_reals(n * 4), 0)
BYTES(max_backward, 3 * n + bytes_as_reals(n * 4), 0)
BYTES(channel_sums, (1 + present(a->v)) * product(a->rows, a->channels), ((1 + present(a->v)) * n + a->square) * (double)a->channels)
BYTES(standardise_stats, 0, n *(double)(a->chunks + 1))
BYTES(standardise, 2 * n * (double)a->channels, 2 * a->channels)
BYTES(standardise_backward, n *(double)a->channels *(2 + once_more(a->add)), 3 * a->channels)

/* ---- resampling, softmax ---- */

BYTES(canvas, n *(double)a->width * 3 + bytes_as_reals(n * (double)a->width * 3), 0)
BYTES(nearest, count(a->from) + count(a->to) * (1 + present(a->fine)), 0)
BYTES(nearest_backward, count(a->to) + count(a->from) * once_more(a->add), 0)
BYTES(bilinear, count(a->from) + count(a->to), 0)
BYTES(bilinear_backward, count(a->to) + count(a->from) * once_more(a->add), 0)
BYTES(adaptive, count(a->from) + count(a->to), 0)
BYTES(adaptive_backward, count(a->to) + count(a->from) * once_more(a->add), 0)
BYTES(softmax, 2 * n * (double)a->channels, 0)
BYTES(softmax_backward, n *(double)a->channels *(2 + once_more(a->add)), 0)

/* ---- cells ---- */

BYTES(cells_log_sum, n / (double)a->chunks * product(a->cells, a->channels), 2 * n * (double)a->channels)
BYTES(cells_log_sum_final, 0, n *(double)(2 * a->chunks + 1))
BYTES(cells_softmax, 2 * n * (double)a->channels, n / (double)a->cells * (double)a->channels)
BYTES(cells_softmax_backward, n *(double)a->channels *(2 + once_more(a->add) + 1 / (double)a->cells), 0)

/* ---- losses: the slopes d are written where the tape asks for them ---- */

BYTES(loss_total, 1, a->count)
BYTES(loss_spread, (double)a->count *(1 + once_more(!a->fresh)), 0)
BYTES(sigmoid_focal, (double)a->count *(1 + present(a->d)) + (double)a->count / (double)a->classes, n)
BYTES(bce_logits, (double)a->count *(2 + present(a->w) + present(a->d)), n)
BYTES(sigmoid_kl, (double)a->count *(2 + present(a->d)) + bytes_as_reals((double)a->count / (double)a->classes), n)
BYTES(cross_entropy, n *(double)a->classes *(1 + present(a->d)) + n, n)
BYTES(softmax_kl, n *(double)a->classes *(2 + present(a->d)) + bytes_as_reals(n), n)
BYTES(soft_cross_entropy, n *(double)a->classes *(2 + present(a->d)), n)
BYTES(bounded_l2, n *(double)a->width *(3 + present(a->d)) + bytes_as_reals(n), n)
BYTES(pearson_rows, 3 * n * (double)a->width + bytes_as_reals(n), n)
BYTES(pearson_sums, 2 * product(a->rows, a->width) + bytes_as_reals((double)a->rows), n *(2 + present(a->means)) * (double)a->width)
BYTES(pearson_columns, 0, 6 * n)
BYTES(pearson_columns_slope, 3 * n * (double)a->width + bytes_as_reals(n), 4 * a->width)
BYTES(cells_kl, 3 * n * (double)a->channels, n + 2 * n / (double)a->cells * (double)a->channels)
BYTES(smooth_l1, n *(double)a->width *(2 + present(a->d)) + bytes_as_reals(n), n)
BYTES(masked_mse, n *(double)(2 * a->channels + 1), n)
BYTES(masked_mse_group, n *(double)a->pixels, n *(double)(a->pixels + 2))
BYTES(masked_mse_backward, n *((double)a->channels *(2 + once_more(!a->fresh)) + 1), 0)
/* The weights of a map: one a pixel, one a channel of an image. */
static double map_weights(double pixels, size_t image, size_t channels, const void *cell, const void *channel)
{
    return pixels * present(cell) + pixels / (double)image * (double)channels * present(channel);
}
BYTES(squared_error, 2 * n * (double)a->channels + map_weights(n, a->image, a->channels, a->cell, a->channel), n)
BYTES(squared_error_backward,
      n *(double)a->channels *(2 + once_more(!a->fresh)) + map_weights(n, a->image, a->channels, a->cell, a->channel), 0)
BYTES(quality_focal, (double)a->count *(2 + present(a->d)) + bytes_as_reals((double)a->count / (double)a->classes), n)
BYTES(giou, n *(4 * (2 + present(a->d)) + 1) + box_reals((double)a->anchors), n)

/* ---- optimisers ---- */

BYTES(optim_squares, a->count, n)
BYTES(optim_sum, 0, a->count + 2)
BYTES(optim_sgd, 5 * a->count, 1)
BYTES(optim_adamw, 7 * a->count, 1)
BYTES(optim_average, 3 * a->count, 0)
BYTES(optim_log, n - 1, n + 1)

/* ---- RoIAlign ---- */

/* One map pixel per sample (a grid of 2 where it depends on the box), and the result. */
static double samples(size_t sampling) { return sampling ? product(sampling, sampling) : 4; }
BYTES(roi_align, n *(double)(a->options.size * a->options.size * a->channels) * (1 + samples(a->options.sampling)), 0)
/* The launches for the levels of a pyramid share dy: it is counted with the first. */
static double shared_dy(const struct df_roi_align_backward_args *a)
{
    return a->this_level ? 0 : (double)(a->rois * a->options.size * a->options.size * a->channels);
}
BYTES(roi_align_backward, n *(double)(a->width * a->channels) * once_more(a->add) + shared_dy(a), 0)

/* ---- boxes: what every candidate reads and writes; a slot that stays empty is counted as if it did not ---- */

static double scored_reals(double boxes) { return bytes_as_reals(boxes * (double)sizeof(struct df_scored_box)); }
BYTES(dense_candidates, n *(1 + 4) + indices(n) + box_reals(n) + scored_reals(n), 0)
BYTES(roi_candidates, n *(double)(a->classes + 1) * 5 + box_reals(n) + scored_reals(n * (double)a->classes), 0)
BYTES(kept_boxes, indices(n) + 2 * scored_reals(n), 0)

/* ---- matching: the room behind the objects as if it were full ---- */

static double truth_reals(const struct df_truth *truth) { return box_reals(product(truth->images, truth->room)); }
static double most_reals(const struct df_truth *truth) { return bytes_as_reals(product(truth->images, truth->room) * sizeof(float)); }
static double anchor_reals(const struct df_anchor_sides *anchors) { return box_reals((double)anchors->count); }
BYTES(match_most, anchor_reals(&a->anchors) + truth_reals(&a->truth) + most_reals(&a->truth), 0)
BYTES(match_rows,
      product(a->truth.images, a->anchors.count) * (6 + bytes_as_reals(1)) + anchor_reals(&a->anchors) + 1.25 * truth_reals(&a->truth) +
          present(a->most) * most_reals(&a->truth),
      0)
BYTES(match_count, n *(bytes_as_reals((double)a->anchors) + 1), n)
BYTES(mark_rows, n *(double)a->rows *(1 + present(a->weight) + bytes_as_reals(1)), n)

/* ---- drawing: of lists that are written and read here and there a place for every row ---- */

static double draw_rows(const struct df_draw_args *a) { return product(a->images, a->rows); }
static double draw_tiles(const struct df_draw_args *a) { return (double)df_draw_tiles(a->rows); }
BYTES(draw_count, draw_rows(a) + 2 * indices(n), 0)
BYTES(draw_place, 2 * indices(n * draw_tiles(a)), 0)
BYTES(draw_list, draw_rows(a) * (3 + bytes_as_reals(1)) + indices(draw_rows(a)) + 2 * indices(n), 0)
BYTES(draw_take, n *(double)a->size *(1 + bytes_as_reals(1)) + 4 * indices(n * (double)a->size), n)

/* ---- the second stage's rows ---- */

BYTES(propose, scored_reals(product(a->truth.images, a->most)) + truth_reals(&a->truth) + box_reals(n) + n, 0)
BYTES(propose_take, n *((double)a->room + box_reals(2 * (double)a->rows)) + indices(n * (double)a->rows), 0)
BYTES(propose_all, scored_reals(n) + box_reals(n) + indices(n), 0)
BYTES(roi_label, 5 * n + box_reals(n) + indices(n) + 1.25 * truth_reals(&a->truth), 0)
BYTES(roi_target, n *(6 + (double)a->columns * (4 + bytes_as_reals(1))), 0)
BYTES(roi_level, box_reals(n) + indices(n), 0)

/* ---- crops: of a map all, whatever the grid reaches ---- */

BYTES(take_rows, 2 * n * (double)a->width + indices(n), 0)
BYTES(give_rows, 3 * n * (double)a->width + indices(n), 0)
BYTES(box_corners, 8 * n + box_reals(n), 0)
BYTES(box_corners_backward, n *(8 + 4 * once_more(a->add)) + box_reals(n), 0)
BYTES(grid_sample, count(a->grid.from) + count(a->grid.to) + 2 * n, 0)
BYTES(grid_sample_backward, count(a->grid.from) * once_more(a->add) + count(a->grid.to) + 2 * pixels(a->grid.to), 0)
BYTES(grid_sample_slope, count(a->grid.from) + count(a->grid.to) + 2 * n * (1 + once_more(a->add)), 0)

double df_kernel_bytes(enum df_kernel kernel, size_t n, const void *args)
{
    switch (kernel) {
#define CASE(ENUM, name)                                                                                                                   \
    case DF_K_##ENUM:                                                                                                                      \
        return bytes_##name((double)n, args);
        DF_KERNELS(CASE)
    case DF_KERNEL_COUNT:
        break;
    }
    return 0;
}

const char *df_kernel_name(enum df_kernel kernel)
{
    static const char *const names[DF_KERNEL_COUNT] = {
#define NAME(ENUM, name) [DF_K_##ENUM] = #name,
        DF_KERNELS(NAME)
    };

    return names[kernel];
}
