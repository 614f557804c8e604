/* Losses: the formulas stand at their declarations, the arithmetic in core/device/kernels_loss.h. A forward pass leaves one double per tile,
 * row or pixel, adds them in order, and keeps d value / d input when the tape will come back for it, so that every backward but those of
 * masked_mse and squared_error is one scaled addition. */
#include "core/nn/losses.h"
#include "core/nn/ops_shared.h"

static const df_shape scalar = { 1, 1, 1, 1 };

double df_loss_norm(const df_tape *tape, size_t count)
{
    double all = (double)count;

    df_comm_sum(df_tape_device(tape)->comm, &all, 1);
    return all > 1 ? all : 1;
}

struct df_counted_norm df_loss_norm_counted(df_tape *tape, const double *count, size_t counts)
{
    double *read, all = 0;

    if (!df_tape_device(tape)->comm)
        return (struct df_counted_norm){ 1, count, counts };
    read = df_tape_host(tape, counts * sizeof *read);
    df_read(df_tape_device(tape), read, count, counts * sizeof *read);
    for (size_t i = 0; i < counts; i++)
        all += read[i];
    return (struct df_counted_norm){ .factor = df_loss_norm(tape, (size_t)all) };
}

struct spread {
    const df_real *d;
    double norm;
    const double *divisor; /* on the device, instead of norm */
};

static void spread_backward(df_tape *tape, struct df_node *node)
{
    const struct spread *spread = node->args;
    struct df_loss_spread_args args = {
        .dy = node->out->grad, .d = spread->d, .count = df_count(node->in[0]->shape), .norm = spread->norm, .divisor = spread->divisor
    };

    args.dx = df_grad_fresh(tape, node->in[0], &args.fresh);
    if (args.dx)
        df_launch(df_tape_device(tape), DF_K_LOSS_SPREAD, df_loss_tiles(args.count), &args);
}

/* Memory for d value / d input, NULL if nobody will ask for it. */
static df_real *slope(df_tape *tape, const df_tensor *x)
{
    return df_tape_recording(tape) && x->requires_grad ? df_tape_device_memory(tape, df_count(x->shape) * sizeof(df_real)) : NULL;
}

static double *partials(df_tape *tape, size_t n) { return df_tape_device_memory(tape, n * sizeof(double)); }

struct terms { /* of a loss: a double each, and the slope */
    const double *partial;
    size_t count;
    const df_real *d;
};

/* y = sum of the terms / norm; records its backward */
static df_tensor *counted_total(df_tape *tape, df_tensor *x, struct terms terms, struct df_counted_norm norm)
{
    df_tensor *y = df_tensor_new(tape, scalar);
    const struct df_loss_total_args args = { .partial = terms.partial,
                                             .count = terms.count,
                                             .norm = norm.factor,
                                             .out = y->data,
                                             .counted = norm.count,
                                             .counts = norm.counts,
                                             .divisor = norm.count ? partials(tape, 1) : NULL };
    const struct spread spread = { .d = terms.d, .norm = norm.factor, .divisor = args.divisor };

    DF_ASSERT(norm.factor > 0);
    df_launch(df_tape_device(tape), DF_K_LOSS_TOTAL, 1, &args);
    return df_record(tape, spread_backward, y, &x, 1, DF_KEEP(spread));
}

static df_tensor *total(df_tape *tape, df_tensor *x, const double *partial, size_t count, double norm, const df_real *d)
{
    return counted_total(tape, x, (struct terms){ partial, count, d }, df_norm(norm));
}

df_tensor *df_sigmoid_focal_counted(df_tape *tape, df_tensor *z, const df_tensor *labels, double alpha, double gamma,
                                    struct df_counted_norm norm)
{
    const size_t count = df_count(z->shape), tiles = df_loss_tiles(count);
    struct df_sigmoid_focal_args args = { .z = z->data, .label = labels->data, .count = count, .classes = z->shape.c, .gamma = gamma };

    DF_ASSERT(df_count(labels->shape) == df_pixels(z->shape));
    args.weight_positive = alpha < 0 ? 1 : alpha;
    args.weight_negative = alpha < 0 ? 1 : 1 - alpha;
    args.partial = partials(tape, tiles);
    args.d = slope(tape, z);
    df_launch(df_tape_device(tape), DF_K_SIGMOID_FOCAL, tiles, &args);
    return counted_total(tape, z, (struct terms){ args.partial, tiles, args.d }, norm);
}

df_tensor *df_sigmoid_focal(df_tape *tape, df_tensor *z, const df_tensor *labels, double alpha, double gamma, double norm)
{
    return df_sigmoid_focal_counted(tape, z, labels, alpha, gamma, df_norm(norm));
}

df_tensor *df_bce_logits_counted(df_tape *tape, df_tensor *z, const df_tensor *t, const df_tensor *w, struct df_counted_norm norm)
{
    const size_t count = df_count(z->shape), tiles = df_loss_tiles(count);
    struct df_bce_logits_args args = { .z = z->data, .t = t->data, .w = w ? w->data : NULL, .count = count };

    DF_ASSERT(df_same_shape(z->shape, t->shape) && (!w || df_same_shape(z->shape, w->shape)));
    args.partial = partials(tape, tiles);
    args.d = slope(tape, z);
    df_launch(df_tape_device(tape), DF_K_BCE_LOGITS, tiles, &args);
    return counted_total(tape, z, (struct terms){ args.partial, tiles, args.d }, norm);
}

df_tensor *df_bce_logits(df_tape *tape, df_tensor *z, const df_tensor *t, const df_tensor *w, double norm)
{
    return df_bce_logits_counted(tape, z, t, w, df_norm(norm));
}

df_tensor *df_cross_entropy_counted(df_tape *tape, df_tensor *z, const df_tensor *labels, struct df_counted_norm norm)
{
    const size_t rows = df_pixels(z->shape);
    struct df_cross_entropy_args args = { .z = z->data, .label = labels->data, .classes = z->shape.c };

    DF_ASSERT(df_count(labels->shape) == rows);
    args.partial = partials(tape, rows);
    args.d = slope(tape, z);
    df_launch(df_tape_device(tape), DF_K_CROSS_ENTROPY, rows, &args);
    return counted_total(tape, z, (struct terms){ args.partial, rows, args.d }, norm);
}

df_tensor *df_cross_entropy(df_tape *tape, df_tensor *z, const df_tensor *labels, double norm)
{
    return df_cross_entropy_counted(tape, z, labels, df_norm(norm));
}

df_tensor *df_smooth_l1_counted(df_tape *tape, df_tensor *x, const df_tensor *targets, const uint8_t *use, double beta,
                                struct df_counted_norm norm)
{
    const size_t rows = df_pixels(x->shape);
    struct df_smooth_l1_args args = { .x = x->data, .target = targets->data, .use = use, .width = x->shape.c, .beta = beta };

    DF_ASSERT(df_count(targets->shape) == df_count(x->shape));
    args.partial = partials(tape, rows);
    args.d = slope(tape, x);
    df_launch(df_tape_device(tape), DF_K_SMOOTH_L1, rows, &args);
    return counted_total(tape, x, (struct terms){ args.partial, rows, args.d }, norm);
}

df_tensor *df_smooth_l1(df_tape *tape, df_tensor *x, const df_tensor *targets, const uint8_t *use, double beta, double norm)
{
    return df_smooth_l1_counted(tape, x, targets, df_tape_device_copy(tape, use, df_pixels(x->shape)), beta, df_norm(norm));
}

struct masked_mse {
    const df_real *t, *m;
    const double *norm;
    size_t pixels, groups;
    double teacher_scale;
};

static void masked_mse_backward(df_tape *tape, struct df_node *node)
{
    const struct masked_mse *saved = node->args;
    const df_tensor *s = node->in[0];
    struct df_masked_mse_backward_args args = { .s = s->data,
                                                .t = saved->t,
                                                .m = saved->m,
                                                .dy = node->out->grad,
                                                .norm = saved->norm,
                                                .channels = s->shape.c,
                                                .pixels = saved->pixels,
                                                .groups = saved->groups,
                                                .teacher_scale = saved->teacher_scale };

    args.ds = df_grad_fresh(tape, node->in[0], &args.fresh);
    if (args.ds)
        df_launch(df_tape_device(tape), DF_K_MASKED_MSE_BACKWARD, df_pixels(s->shape), &args);
}

/* group: pixels, per_cell and least are given */
static df_tensor *masked(df_tape *tape, df_tensor *s, const df_tensor *t, const df_tensor *m, double teacher_scale,
                         struct df_masked_mse_group_args group)
{
    const size_t pixels = df_pixels(s->shape), groups = pixels / group.pixels;
    struct df_masked_mse_args args = { .s = s->data, .t = t->data, .m = m->data, .channels = s->shape.c, .teacher_scale = teacher_scale };
    struct masked_mse saved = { .t = t->data, .m = m->data, .pixels = group.pixels, .groups = groups, .teacher_scale = teacher_scale };
    df_tensor *y = df_tensor_new(tape, scalar);

    DF_ASSERT(df_same_shape(s->shape, t->shape) && m->shape.c == 1 && df_pixels(m->shape) == pixels && m->shape.n == s->shape.n);
    group.m = m->data;
    group.partial = args.partial = partials(tape, pixels);
    group.norm = partials(tape, groups);
    group.value = partials(tape, groups);
    saved.norm = group.norm;
    df_launch(df_tape_device(tape), DF_K_MASKED_MSE, pixels, &args);
    df_launch(df_tape_device(tape), DF_K_MASKED_MSE_GROUP, groups, &group);
    const struct df_loss_total_args sum = { .partial = group.value, .count = groups, .norm = (double)groups, .out = y->data };
    df_launch(df_tape_device(tape), DF_K_LOSS_TOTAL, 1, &sum);
    return df_record(tape, masked_mse_backward, y, &s, 1, DF_KEEP(saved));
}

df_tensor *df_masked_mse(df_tape *tape, df_tensor *s, const df_tensor *t, const df_tensor *m, double teacher_scale, bool per_image)
{
    const size_t pixels = per_image ? s->shape.h * s->shape.w : df_pixels(s->shape);
    const struct df_masked_mse_group_args group = { .pixels = pixels, .per_cell = 2 * (double)s->shape.c, .least = 1 };

    return masked(tape, s, t, m, teacher_scale, group);
}

df_tensor *df_masked_squares(df_tape *tape, df_tensor *s, const df_tensor *t, const df_tensor *m)
{
    return masked(tape, s, t, m, 1, (struct df_masked_mse_group_args){ .pixels = df_pixels(s->shape), .per_cell = 1, .least = 0 });
}

df_tensor *df_softmax_kl_counted(df_tape *tape, df_tensor *s, const df_tensor *t, const uint8_t *use, double temperature,
                                 struct df_counted_norm norm)
{
    const size_t rows = df_pixels(s->shape);
    struct df_softmax_kl_args args = { .s = s->data, .t = t->data, .use = use, .classes = s->shape.c, .temperature = temperature };

    DF_ASSERT(df_same_shape(s->shape, t->shape));
    args.partial = partials(tape, rows);
    args.d = slope(tape, s);
    df_launch(df_tape_device(tape), DF_K_SOFTMAX_KL, rows, &args);
    return counted_total(tape, s, (struct terms){ args.partial, rows, args.d }, norm);
}

df_tensor *df_softmax_kl(df_tape *tape, df_tensor *s, const df_tensor *t, const uint8_t *use, double temperature, double norm)
{
    return df_softmax_kl_counted(tape, s, t, df_tape_device_copy(tape, use, df_pixels(s->shape)), temperature, df_norm(norm));
}

df_tensor *df_sigmoid_kl_counted(df_tape *tape, df_tensor *s, const df_tensor *t, const uint8_t *use, double temperature,
                                 struct df_counted_norm norm)
{
    const size_t count = df_count(s->shape), tiles = df_loss_tiles(count);
    struct df_sigmoid_kl_args args = {
        .s = s->data, .t = t->data, .use = use, .count = count, .classes = s->shape.c, .temperature = temperature
    };

    DF_ASSERT(df_same_shape(s->shape, t->shape));
    args.partial = partials(tape, tiles);
    args.d = slope(tape, s);
    df_launch(df_tape_device(tape), DF_K_SIGMOID_KL, tiles, &args);
    return counted_total(tape, s, (struct terms){ args.partial, tiles, args.d }, norm);
}

df_tensor *df_sigmoid_kl(df_tape *tape, df_tensor *s, const df_tensor *t, const uint8_t *use, double temperature, double norm)
{
    return df_sigmoid_kl_counted(tape, s, t, df_tape_device_copy(tape, use, df_pixels(s->shape)), temperature, df_norm(norm));
}

df_tensor *df_cells_kl(df_tape *tape, df_tensor *s, const df_tensor *t, double temperature, double norm)
{
    const size_t pixels = df_pixels(s->shape);
    struct df_cells_kl_args args = { .s = s->data,
                                     .t = t->data,
                                     .s_log_sum = df_cells_log_sums(tape, s, temperature),
                                     .t_log_sum = df_cells_log_sums(tape, t, temperature),
                                     .cells = s->shape.h * s->shape.w,
                                     .channels = s->shape.c,
                                     .temperature = temperature };

    DF_ASSERT(df_same_shape(s->shape, t->shape));
    args.partial = partials(tape, pixels);
    args.d = df_tape_device_memory(tape, df_count(s->shape) * sizeof *args.d);
    df_launch(df_tape_device(tape), DF_K_CELLS_KL, pixels, &args);
    return total(tape, s, args.partial, pixels, norm, args.d);
}

df_tensor *df_soft_cross_entropy_counted(df_tape *tape, df_tensor *z, const df_tensor *q, struct df_counted_norm norm)
{
    const size_t rows = df_pixels(z->shape);
    struct df_soft_cross_entropy_args args = { .z = z->data, .q = q->data, .classes = z->shape.c };

    DF_ASSERT(df_same_shape(z->shape, q->shape));
    args.partial = partials(tape, rows);
    args.d = slope(tape, z);
    df_launch(df_tape_device(tape), DF_K_SOFT_CROSS_ENTROPY, rows, &args);
    return counted_total(tape, z, (struct terms){ args.partial, rows, args.d }, norm);
}

df_tensor *df_soft_cross_entropy(df_tape *tape, df_tensor *z, const df_tensor *q, double norm)
{
    return df_soft_cross_entropy_counted(tape, z, q, df_norm(norm));
}

df_tensor *df_bounded_l2(df_tape *tape, df_tensor *x, const df_tensor *y, const uint8_t *use, struct df_bound bound,
                         struct df_counted_norm norm)
{
    const size_t rows = df_pixels(x->shape);
    struct df_bounded_l2_args args = {
        .x = x->data, .t = bound.t->data, .y = y->data, .use = use, .width = x->shape.c, .margin = bound.margin
    };

    DF_ASSERT(df_count(bound.t->shape) == df_count(x->shape) && df_count(y->shape) == df_count(x->shape));
    args.partial = partials(tape, rows);
    args.d = slope(tape, x);
    df_launch(df_tape_device(tape), DF_K_BOUNDED_L2, rows, &args);
    return counted_total(tape, x, (struct terms){ args.partial, rows, args.d }, norm);
}

static const double pearson_eps = 1e-8;

df_tensor *df_pearson_rows(df_tape *tape, df_tensor *x, const df_tensor *t, const uint8_t *use, double norm)
{
    const size_t rows = df_pixels(x->shape);
    struct df_pearson_rows_args args = { .x = x->data, .t = t->data, .width = x->shape.c, .eps = pearson_eps };

    DF_ASSERT(df_same_shape(x->shape, t->shape));
    args.use = df_tape_device_copy(tape, use, rows);
    args.partial = partials(tape, rows);
    args.d = df_tape_device_memory(tape, df_count(x->shape) * sizeof *args.d);
    df_launch(df_tape_device(tape), DF_K_PEARSON_ROWS, rows, &args);
    return total(tape, x, args.partial, rows, norm, args.d);
}

/* sums [count][width] of the columns, each divided, on the device */
static double *pearson_sums(df_tape *tape, struct df_pearson_sums_args args, size_t count, double divisor)
{
    double *out = partials(tape, count * args.width);
    struct df_standardise_stats_args stats = { .chunks = args.chunks, .channels = args.width, .divisor = divisor };

    args.partial = partials(tape, count * args.chunks * args.width);
    df_launch(df_tape_device(tape), DF_K_PEARSON_SUMS, args.chunks, &args);
    for (size_t k = 0; k < count; k++) {
        stats.partial = args.partial + k * args.chunks * args.width;
        stats.out = out + k * args.width;
        df_launch(df_tape_device(tape), DF_K_STANDARDISE_STATS, args.width, &stats);
    }
    return out;
}

df_tensor *df_pearson_columns(df_tape *tape, df_tensor *x, const df_tensor *t, const uint8_t *use, double norm)
{
    const size_t rows = df_pixels(x->shape), width = x->shape.c;
    struct df_pearson_sums_args sums = {
        .x = x->data, .t = t->data, .rows = rows, .width = width, .chunk = DF_ROW_CHUNK, .chunks = df_chunks_of(rows, DF_ROW_CHUNK)
    };
    struct df_pearson_columns_args args = { .width = width, .eps = pearson_eps };
    struct df_pearson_columns_slope_args slopes = { .x = x->data, .t = t->data, .width = width };
    size_t used = 0;

    DF_ASSERT(df_same_shape(x->shape, t->shape));
    for (size_t r = 0; r < rows; r++)
        used += use[r] != 0;
    slopes.use = sums.use = df_tape_device_copy(tape, use, rows);
    slopes.means = sums.means = pearson_sums(tape, sums, 2, used ? (double)used : 1);
    args.sums = pearson_sums(tape, sums, 3, 1);
    args.partial = partials(tape, width);
    slopes.slope = args.slope = partials(tape, 2 * width);
    slopes.d = df_tape_device_memory(tape, df_count(x->shape) * sizeof *slopes.d);
    df_launch(df_tape_device(tape), DF_K_PEARSON_COLUMNS, width, &args);
    df_launch(df_tape_device(tape), DF_K_PEARSON_COLUMNS_SLOPE, rows, &slopes);
    return total(tape, x, args.partial, width, norm, slopes.d);
}

struct squared_error {
    const df_real *t, *cell, *channel;
    double norm;
};

static void squared_error_backward(df_tape *tape, struct df_node *node)
{
    const struct squared_error *saved = node->args;
    const df_tensor *s = node->in[0];
    struct df_squared_error_backward_args args = { .s = s->data,
                                                   .t = saved->t,
                                                   .cell = saved->cell,
                                                   .channel = saved->channel,
                                                   .dy = node->out->grad,
                                                   .channels = s->shape.c,
                                                   .image = s->shape.h * s->shape.w,
                                                   .norm = saved->norm };

    args.ds = df_grad_fresh(tape, node->in[0], &args.fresh);
    if (args.ds)
        df_launch(df_tape_device(tape), DF_K_SQUARED_ERROR_BACKWARD, df_pixels(s->shape), &args);
}

df_tensor *df_squared_error(df_tape *tape, df_tensor *s, const df_tensor *t, const df_tensor *m, const df_tensor *k, double norm)
{
    const size_t pixels = df_pixels(s->shape);
    const struct squared_error saved = { t->data, m ? m->data : NULL, k ? k->data : NULL, norm };
    const struct df_squared_error_args args = { .s = s->data,
                                                .t = t->data,
                                                .cell = saved.cell,
                                                .channel = saved.channel,
                                                .channels = s->shape.c,
                                                .image = s->shape.h * s->shape.w,
                                                .partial = partials(tape, pixels) };
    df_tensor *y = df_tensor_new(tape, scalar);
    const struct df_loss_total_args sum = { .partial = args.partial, .count = pixels, .norm = norm, .out = y->data };

    DF_ASSERT(df_same_shape(s->shape, t->shape) && norm > 0 && (!m || df_count(m->shape) == pixels));
    DF_ASSERT(!k || (k->shape.n == s->shape.n && df_pixels(k->shape) == s->shape.n && k->shape.c == s->shape.c));
    df_launch(df_tape_device(tape), DF_K_SQUARED_ERROR, pixels, &args);
    df_launch(df_tape_device(tape), DF_K_LOSS_TOTAL, 1, &sum);
    return df_record(tape, squared_error_backward, y, &s, 1, DF_KEEP(saved));
}

df_tensor *df_quality_focal(df_tape *tape, df_tensor *z, const df_tensor *t, const uint8_t *use, double beta, struct df_counted_norm norm)
{
    const size_t count = df_count(z->shape), tiles = df_loss_tiles(count);
    struct df_quality_focal_args args = { .z = z->data, .t = t->data, .use = use, .count = count, .classes = z->shape.c, .beta = beta };

    DF_ASSERT(df_same_shape(z->shape, t->shape) && beta >= 1);
    args.partial = partials(tape, tiles);
    args.d = slope(tape, z);
    df_launch(df_tape_device(tape), DF_K_QUALITY_FOCAL, tiles, &args);
    return counted_total(tape, z, (struct terms){ args.partial, tiles, args.d }, norm);
}

df_tensor *df_giou(df_tape *tape, df_tensor *x, const df_tensor *t, const df_tensor *w, struct df_deltas_of of, struct df_counted_norm norm)
{
    const size_t rows = df_pixels(x->shape);
    struct df_giou_args args = { .x = x->data, .t = t->data, .w = w->data, .anchors = rows / x->shape.n };

    DF_ASSERT(df_same_shape(x->shape, t->shape) && x->shape.c == 4 && df_count(w->shape) == rows);
    for (size_t k = 0; k < 4; k++)
        args.weights[k] = (double)of.weights[k];
    args.anchor = df_tape_device_copy(tape, of.anchor, args.anchors * sizeof *of.anchor);
    args.partial = partials(tape, rows);
    args.d = slope(tape, x);
    df_launch(df_tape_device(tape), DF_K_GIOU, rows, &args);
    return counted_total(tape, x, (struct terms){ args.partial, rows, args.d }, norm);
}
