/* Kernels of the ops (core/nn/ops_*.c). `add` in an argument struct: results are added to what is there, else they overwrite it.
 * Factors are double: a store of a df_real cannot change them, so they stay in registers. */
#ifndef DF_CORE_DEVICE_KERNELS_OP_H
#define DF_CORE_DEVICE_KERNELS_OP_H
#include <math.h>
#include <string.h>

#include "core/base/portable_math.h"
#include "core/geometry/canvas.h"

/* clang-format off */
#define DF_KERNELS_OP(X)                                                                                                        \
    X(FILL, fill) X(SCALE, scale) X(SCALE_BY, scale_by)                                                                         \
    X(RELU, relu) X(SIGMOID, sigmoid) X(EXP, exp) X(LOG, log) X(SQRT, sqrt) X(ABS, abs)                                         \
    X(RELU_BACKWARD, relu_backward) X(SIGMOID_BACKWARD, sigmoid_backward) X(EXP_BACKWARD, exp_backward)                         \
    X(ABS_BACKWARD, abs_backward)                                                                                               \
    X(LOG_BACKWARD, log_backward) X(SQRT_BACKWARD, sqrt_backward)                                                               \
    X(ADD_RELU, add_relu) X(ADD_RELU_BACKWARD, add_relu_backward) X(BINARY, binary)                                             \
    X(COPY_ROWS, copy_rows) X(ADD_ROWS, add_rows)                                                                               \
    X(REDUCE_RUNS, reduce_runs) X(REDUCE_ROWS, reduce_rows) X(REDUCE_FINAL, reduce_final)                                       \
    X(MAX, max) X(MAX_BACKWARD, max_backward)                                                                                   \
    X(CHANNEL_SUMS, channel_sums) X(STANDARDISE_STATS, standardise_stats)                                                       \
    X(STANDARDISE, standardise) X(STANDARDISE_BACKWARD, standardise_backward)                                                   \
    X(NEAREST, nearest) X(NEAREST_BACKWARD, nearest_backward) X(BILINEAR, bilinear) X(BILINEAR_BACKWARD, bilinear_backward)     \
    X(CANVAS, canvas) X(ADAPTIVE, adaptive) X(ADAPTIVE_BACKWARD, adaptive_backward) X(SOFTMAX, softmax) X(SOFTMAX_BACKWARD, softmax_backward)
/* clang-format on */

/* ---- per element ---- */

struct df_fill_args {
    df_real *y;
    double value;
};
DF_KERNEL void df_k_fill(size_t i, const struct df_fill_args *a) { a->y[i] = (df_real)a->value; }

/* y (+)= factor x */
struct df_scale_args {
    const df_real *x;
    df_real *y;
    double factor;
    bool add;
};
DF_KERNEL void df_k_scale(size_t i, const struct df_scale_args *a) { a->y[i] = (a->add ? a->y[i] : 0) + (df_real)a->factor * a->x[i]; }

/* y (+)= *scalar x */
struct df_scale_by_args {
    const df_real *x, *scalar;
    df_real *y;
    bool add;
};
DF_KERNEL void df_k_scale_by(size_t i, const struct df_scale_by_args *a) { a->y[i] = (a->add ? a->y[i] : 0) + *a->scalar * a->x[i]; }

DF_KERNEL df_real df_square_root(df_real x)
{
#ifdef DF_REAL_IS_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

struct df_unary_args {
    const df_real *x;
    df_real *y;
};
#define df_relu_args    df_unary_args
#define df_sigmoid_args df_unary_args
#define df_exp_args     df_unary_args
#define df_log_args     df_unary_args
#define df_sqrt_args    df_unary_args
#define df_abs_args     df_unary_args
/* v: the value the derivative is written in: x for log and abs, y for the others */
struct df_unary_backward_args {
    const df_real *v, *dy;
    df_real *dx;
    bool add;
};
#define df_relu_backward_args    df_unary_backward_args
#define df_sigmoid_backward_args df_unary_backward_args
#define df_exp_backward_args     df_unary_backward_args
#define df_log_backward_args     df_unary_backward_args
#define df_sqrt_backward_args    df_unary_backward_args
#define df_abs_backward_args     df_unary_backward_args

#define DF_UNARY_KERNEL(name, value)                                                                                                       \
    DF_KERNEL void df_k_##name(size_t i, const struct df_unary_args *a)                                                                    \
    {                                                                                                                                      \
        const df_real x = a->x[i];                                                                                                         \
        a->y[i] = (value);                                                                                                                 \
    }
#define DF_UNARY_BACKWARD_KERNEL(name, value)                                                                                              \
    DF_KERNEL void df_k_##name(size_t i, const struct df_unary_backward_args *a)                                                           \
    {                                                                                                                                      \
        const df_real v = a->v[i], dy = a->dy[i];                                                                                          \
        a->dx[i] = (a->add ? a->dx[i] : 0) + (value);                                                                                      \
    }
DF_UNARY_KERNEL(relu, x < 0 ? 0 : x) /* NaN stays */
DF_UNARY_KERNEL(sigmoid, 1 / (1 + df_rexp(-x)))
DF_UNARY_KERNEL(exp, df_rexp(x))
DF_UNARY_KERNEL(log, df_rlog(x))
DF_UNARY_KERNEL(sqrt, df_square_root(x))
DF_UNARY_KERNEL(abs, x < 0 ? -x : x)
DF_UNARY_BACKWARD_KERNEL(relu_backward, v > 0 ? dy : 0)
DF_UNARY_BACKWARD_KERNEL(sigmoid_backward, dy *v *(1 - v))
DF_UNARY_BACKWARD_KERNEL(exp_backward, dy *v)
DF_UNARY_BACKWARD_KERNEL(log_backward, dy / v)
DF_UNARY_BACKWARD_KERNEL(sqrt_backward, dy / (2 * v))
DF_UNARY_BACKWARD_KERNEL(abs_backward, v > 0 ? dy : v < 0 ? -dy : 0)
#undef DF_UNARY_KERNEL
#undef DF_UNARY_BACKWARD_KERNEL

struct df_add_relu_args {
    const df_real *a, *b;
    df_real *y;
};
DF_KERNEL void df_k_add_relu(size_t i, const struct df_add_relu_args *a)
{
    const df_real sum = a->a[i] + a->b[i];

    a->y[i] = sum < 0 ? 0 : sum;
}

/* da, db (+)= dy where y > 0 */
struct df_add_relu_backward_args {
    const df_real *y, *dy;
    df_real *da, *db;
    bool add_a, add_b;
};
DF_KERNEL void df_k_add_relu_backward(size_t i, const struct df_add_relu_backward_args *a)
{
    const df_real g = a->y[i] > 0 ? a->dy[i] : 0;

    a->da[i] = (a->add_a ? a->da[i] : 0) + g;
    a->db[i] = (a->add_b ? a->db[i] : 0) + g;
}

/* ---- two operands, any broadcasting ----
 * Row i of y: y[c] (+)= factor (a op b). The outer index (i0,i1,i2) = i in the mixed radix of size[]; operand offsets are
 * sum of index * step. Within a row an operand walks by 1 or stays (step[3] = 0). The last row ends at `total`. */
enum df_binary_op { DF_BINARY_ADD, DF_BINARY_SUB, DF_BINARY_MUL, DF_BINARY_DIV, DF_BINARY_FIRST /* a alone */ };
struct df_binary_args {
    const df_real *a, *b;
    df_real *y;
    enum df_binary_op op;
    size_t size[3], step_a[4], step_b[4], row, total;
    double factor;
    bool add;
};

#define DF_BINARY_LOOP(A, B, value)                                                                                                        \
    DF_LANES(c, n) {                                                                                                                       \
        const df_real u = (A), v = (B);                                                                                                    \
        (void)v;                                                                                                                           \
        y[c] = (g->add ? y[c] : 0) + factor * (value);                                                                                     \
    }                                                                                                                                      \
    break
#define DF_BINARY_CASES(A, B)                                                                                                              \
    switch (g->op) {                                                                                                                       \
    case DF_BINARY_ADD:                                                                                                                    \
        DF_BINARY_LOOP(A, B, u + v);                                                                                                       \
    case DF_BINARY_SUB:                                                                                                                    \
        DF_BINARY_LOOP(A, B, u - v);                                                                                                       \
    case DF_BINARY_MUL:                                                                                                                    \
        DF_BINARY_LOOP(A, B, u *v);                                                                                                        \
    case DF_BINARY_DIV:                                                                                                                    \
        DF_BINARY_LOOP(A, B, u / v);                                                                                                       \
    case DF_BINARY_FIRST:                                                                                                                  \
        DF_BINARY_LOOP(A, B, u);                                                                                                           \
    }
DF_KERNEL void df_k_binary(size_t i, const struct df_binary_args *g)
{
    const size_t i2 = i % g->size[2], i1 = i / g->size[2] % g->size[1], i0 = i / g->size[2] / g->size[1];
    const df_real *restrict a = g->a + i0 * g->step_a[0] + i1 * g->step_a[1] + i2 * g->step_a[2];
    const df_real *restrict b = g->b + i0 * g->step_b[0] + i1 * g->step_b[1] + i2 * g->step_b[2];
    df_real *restrict y = g->y + i * g->row;
    const size_t n = g->total - i * g->row < g->row ? g->total - i * g->row : g->row;
    const df_real factor = (df_real)g->factor;

    if (g->step_a[3] && g->step_b[3]) {
        DF_BINARY_CASES(a[c], b[c])
    } else if (g->step_a[3]) {
        DF_BINARY_CASES(a[c], *b)
    } else {
        DF_BINARY_CASES(*a, b[c * g->step_b[3]])
    }
}
#undef DF_BINARY_LOOP
#undef DF_BINARY_CASES

/* ---- rows of a strided block: y[i * y_step + c] = x[i * x_step + c], c < row ---- */
struct df_rows_args {
    const df_real *x;
    df_real *y;
    size_t x_step, y_step, row;
};
#define df_copy_rows_args df_rows_args
#define df_add_rows_args  df_rows_args
DF_KERNEL void df_k_copy_rows(size_t i, const struct df_rows_args *a)
{
    const df_real *restrict x = a->x + i * a->x_step;
    df_real *restrict y = a->y + i * a->y_step;

    DF_LANES(c, a->row)
        y[c] = x[c];
}
DF_KERNEL void df_k_add_rows(size_t i, const struct df_rows_args *a)
{
    const df_real *restrict x = a->x + i * a->x_step;
    df_real *restrict y = a->y + i * a->y_step;

    DF_LANES(c, a->row)
        y[c] += x[c];
}

/* ---- reductions: partial sums in double, then their sum in index order ----
 * Neighbouring axes of one kind are merged, so at most two kept and two reduced ones remain, alternating. */

/* Sum of n values: eight interleaved sums, added in order. */
DF_KERNEL double df_run_sum(const df_real *restrict x, size_t n)
{
    double lane[8] = { 0 }, sum = 0;
    size_t c = 0;

    for (; c + 8 <= n; c += 8)
        for (size_t k = 0; k < 8; k++)
            lane[k] += (double)x[c + k];
    for (size_t k = 0; k < 8; k++)
        sum += lane[k];
    for (; c < n; c++)
        sum += (double)x[c];
    return sum;
}

/* The last axis is reduced: partial i = (kept index, outer reduced index, chunk of the run) = sum of that piece of a contiguous run. */
struct df_reduce_runs_args {
    const df_real *x;
    double *partial;
    size_t keep[2], keep_step[2], outer, outer_step, run, chunk, chunks;
};
DF_KERNEL size_t df_reduced_run(size_t i, const struct df_reduce_runs_args *a, const df_real **x)
{
    const size_t begin = i % a->chunks * a->chunk, outer = i / a->chunks % a->outer, o = i / a->chunks / a->outer;

    *x = a->x + o / a->keep[1] * a->keep_step[0] + o % a->keep[1] * a->keep_step[1] + outer * a->outer_step + begin;
    return a->run - begin < a->chunk ? a->run - begin : a->chunk;
}
DF_KERNEL double df_share_reduce_runs(size_t i, const struct df_reduce_runs_args *a)
{
    const df_real *x;
    const size_t n = df_reduced_run(i, a, &x);
    double sum = 0;

    DF_LANES(c, n)
        sum += (double)x[c];
    return sum;
}
DF_KERNEL void df_store_reduce_runs(size_t i, const struct df_reduce_runs_args *a, double sum) { a->partial[i] = sum; }
DF_KERNEL void df_k_reduce_runs(size_t i, const struct df_reduce_runs_args *a)
{
    const df_real *x;
    const size_t n = df_reduced_run(i, a, &x);

    df_store_reduce_runs(i, a, df_run_sum(x, n));
}

/* The last axis (width) is kept: partial row i = (kept index, chunk) = sum of the rows of that chunk of the reduced axes. */
struct df_reduce_rows_args {
    const df_real *x;
    double *partial;
    size_t keep_step, size[2], step[2], width, chunk, chunks;
};
DF_KERNEL void df_column_reduce_rows(size_t i, size_t c, const struct df_reduce_rows_args *a)
{
    const size_t begin = i % a->chunks * a->chunk, rows = a->size[0] * a->size[1];
    const size_t end = begin + a->chunk < rows ? begin + a->chunk : rows;
    const df_real *x = a->x + i / a->chunks * a->keep_step + c;
    double sum = 0;

    for (size_t r = begin; r < end; r++)
        sum += (double)x[r / a->size[1] * a->step[0] + r % a->size[1] * a->step[1]];
    a->partial[i * a->width + c] = sum;
}
/* All channels of a row while it is at hand. */
DF_KERNEL void df_k_reduce_rows(size_t i, const struct df_reduce_rows_args *a)
{
    const size_t begin = i % a->chunks * a->chunk, rows = a->size[0] * a->size[1];
    const size_t end = begin + a->chunk < rows ? begin + a->chunk : rows;
    const df_real *base = a->x + i / a->chunks * a->keep_step;
    double *restrict sum = a->partial + i * a->width;

    for (size_t c = 0; c < a->width; c++)
        sum[c] = 0;
    for (size_t r = begin; r < end; r++) {
        const df_real *restrict x = base + r / a->size[1] * a->step[0] + r % a->size[1] * a->step[1];

        for (size_t c = 0; c < a->width; c++)
            sum[c] += (double)x[c];
    }
}

/* y[i] (+)= factor sum_j partial[o][j][c],  i = (o, c) */
struct df_reduce_final_args {
    const double *partial;
    df_real *y;
    size_t count, width;
    double factor;
    bool add;
};
DF_KERNEL double df_share_reduce_final(size_t i, const struct df_reduce_final_args *a)
{
    const double *partial = a->partial + i / a->width * a->count * a->width + i % a->width;
    double sum = 0;

    DF_LANES(j, a->count)
        sum += partial[j * a->width];
    return sum;
}
DF_KERNEL void df_store_reduce_final(size_t i, const struct df_reduce_final_args *a, double sum)
{
    a->y[i] = (df_real)((a->add ? (double)a->y[i] : 0) + a->factor * sum);
}
DF_SUM_KERNEL(reduce_final)

/* Largest over the axes whose size in `kept` is 1, for output element i; index: of the first largest in x (of a NaN when there is one). */
struct df_max_args {
    const df_real *x;
    df_real *y;
    uint32_t *index;
    df_shape shape, kept;
};
#define DF_MAX_LANES 8

/* Where the first largest of a row is, or its last NaN. Lanes find how large it is, without a branch; then it is looked for. */
DF_KERNEL size_t df_row_max(const df_real *x, size_t n)
{
    df_real lane[DF_MAX_LANES], odd[DF_MAX_LANES] = { 0 }, largest = x[0], nan = 0;
    size_t at = 0;

    for (size_t j = 0; j < DF_MAX_LANES; j++)
        lane[j] = x[0];
    for (; at + DF_MAX_LANES <= n; at += DF_MAX_LANES)
        for (size_t j = 0; j < DF_MAX_LANES; j++) {
            lane[j] = x[at + j] > lane[j] ? x[at + j] : lane[j];
            odd[j] = x[at + j] != x[at + j] ? 1 : odd[j];
        }
    for (; at < n; at++) {
        largest = x[at] > largest ? x[at] : largest;
        nan = x[at] != x[at] ? 1 : nan;
    }
    for (size_t j = 0; j < DF_MAX_LANES; j++) {
        largest = lane[j] > largest ? lane[j] : largest;
        nan += odd[j];
    }
    if (nan != 0)
        for (at = n - 1; x[at] == x[at];)
            at--;
    else
        for (at = 0; x[at] != largest;)
            at++;
    return at;
}
/* ... of all that output i sees. */
DF_KERNEL size_t df_where_largest(size_t i, const struct df_max_args *a)
{
    const df_shape s = a->shape, k = a->kept;

    if (k.n == s.n && k.h == s.h && k.w == s.w && k.c == 1) /* the common case, without a division */
        return i * s.c + df_row_max(a->x + i * s.c, s.c);

    const size_t c = i % k.c, w = i / k.c % k.w, h = i / k.c / k.w % k.h, n = i / k.c / k.w / k.h;
    const size_t first = ((n * s.h + h) * s.w + w) * s.c + c;
    const df_shape size = { s.n / k.n, s.h / k.h, s.w / k.w, s.c / k.c };
    size_t best = first;

    for (size_t in = 0; in < size.n; in++)
        for (size_t ih = 0; ih < size.h; ih++)
            for (size_t iw = 0; iw < size.w; iw++) {
                const size_t row = first + ((in * s.h + ih) * s.w + iw) * s.c;
                const size_t at = row + df_row_max(a->x + row, size.c);

                if (a->x[at] > a->x[best] || a->x[at] != a->x[at])
                    best = at;
            }
    return best;
}
DF_KERNEL void df_k_max(size_t i, const struct df_max_args *a)
{
    const size_t best = df_where_largest(i, a);

    a->y[i] = a->x[best];
    a->index[i] = (uint32_t)best;
}

struct df_max_backward_args {
    const df_real *dy;
    const uint32_t *index;
    df_real *dx;
};
DF_KERNEL void df_k_max_backward(size_t i, const struct df_max_backward_args *a) { a->dx[a->index[i]] += a->dy[i]; }

/* ---- normalisation ---- */

/* Chunk i of the rows, per channel: sums of u - mean (or, square, of its square; mean NULL: 0) into sum_u; if v, of u v into sum_uv. */
struct df_channel_sums_args {
    const df_real *u, *v;
    const double *mean;
    double *sum_u, *sum_uv;
    size_t rows, channels, chunk;
    bool square;
};
DF_KERNEL void df_column_channel_sums(size_t i, size_t c, const struct df_channel_sums_args *a)
{
    const size_t end = (i + 1) * a->chunk < a->rows ? (i + 1) * a->chunk : a->rows;
    double sum = 0, product = 0;

    for (size_t at = i * a->chunk * a->channels + c; at < end * a->channels; at += a->channels) {
        const double u = (double)a->u[at], centred = a->square ? u - a->mean[c] : 0;

        sum += a->square ? centred * centred : u;
        product += a->v ? u * (double)a->v[at] : 0;
    }
    a->sum_u[i * a->channels + c] = sum;
    if (a->v)
        a->sum_uv[i * a->channels + c] = product;
}
/* All channels of a row while it is at hand. */
DF_KERNEL void df_k_channel_sums(size_t i, const struct df_channel_sums_args *a)
{
    const size_t end = (i + 1) * a->chunk < a->rows ? (i + 1) * a->chunk : a->rows, channels = a->channels;
    double *restrict sum_u = a->sum_u + i * channels;

    for (size_t c = 0; c < channels; c++)
        sum_u[c] = 0;
    for (size_t r = i * a->chunk; r < end; r++) {
        const df_real *restrict u = a->u + r * channels;

        if (a->square)
            for (size_t c = 0; c < channels; c++)
                sum_u[c] += ((double)u[c] - a->mean[c]) * ((double)u[c] - a->mean[c]);
        else
            for (size_t c = 0; c < channels; c++)
                sum_u[c] += (double)u[c];
    }
    if (!a->v)
        return;
    double *restrict sum_uv = a->sum_uv + i * channels;

    for (size_t c = 0; c < channels; c++)
        sum_uv[c] = 0;
    for (size_t r = i * a->chunk; r < end; r++) {
        const df_real *restrict u = a->u + r * channels, *restrict v = a->v + r * channels;

        for (size_t c = 0; c < channels; c++)
            sum_uv[c] += (double)u[c] * (double)v[c];
    }
}

/* Channel i: out = sum of the partials / divisor, its root if `root` */
struct df_standardise_stats_args {
    const double *partial;
    double *out;
    size_t chunks, channels;
    double divisor;
    bool root;
};
DF_KERNEL double df_share_standardise_stats(size_t i, const struct df_standardise_stats_args *a)
{
    double sum = 0;

    DF_LANES(j, a->chunks)
        sum += a->partial[j * a->channels + i];
    return sum;
}
DF_KERNEL void df_store_standardise_stats(size_t i, const struct df_standardise_stats_args *a, double sum)
{
    a->out[i] = a->root ? sqrt(sum / a->divisor) : sum / a->divisor;
}
DF_SUM_KERNEL(standardise_stats)

/* row i: y = (x - mean) / (std + eps) */
struct df_standardise_args {
    const df_real *x;
    df_real *y;
    const double *mean, *std;
    size_t channels;
    double eps;
};
DF_KERNEL void df_k_standardise(size_t i, const struct df_standardise_args *a)
{
    const df_real *restrict x = a->x + i * a->channels;
    df_real *restrict y = a->y + i * a->channels;

    DF_LANES(c, a->channels)
        y[c] = (df_real)(((double)x[c] - a->mean[c]) / (a->std[c] + a->eps));
}

/* row i: dx (+)= (dy - mean_dy) / (std + eps) - y sum_dyy / ((rows - 1) std);  dot = sum_dyy / (rows - 1). std = 0: without the last term. */
struct df_standardise_backward_args {
    const df_real *y, *dy;
    df_real *dx;
    const double *std, *mean_dy, *dot;
    size_t channels;
    double eps;
    bool add;
};
DF_KERNEL void df_k_standardise_backward(size_t i, const struct df_standardise_backward_args *a)
{
    const df_real *restrict y = a->y + i * a->channels, *restrict dy = a->dy + i * a->channels;
    df_real *restrict dx = a->dx + i * a->channels;

    DF_LANES(c, a->channels) {
        const double through_std = a->std[c] > 0 ? (double)y[c] * a->dot[c] / a->std[c] : 0;
        const double g = ((double)dy[c] - a->mean_dy[c]) / (a->std[c] + a->eps) - through_std;

        dx[c] = (a->add ? dx[c] : 0) + (df_real)g;
    }
}

/* Row i of canvases [N,height,width,3]; bytes: the images' stored pixels, from `first` of their offsets on */
struct df_canvas_args {
    const struct df_placed_image *image; /* [N] */
    const uint8_t *bytes;
    const df_real *normal; /* [3][256] */
    df_real *y;
    size_t first, height, width;
};
DF_KERNEL void df_k_canvas(size_t i, const struct df_canvas_args *a)
{
    const struct df_placed_image image = a->image[i / a->height];
    const uint8_t *stored = a->bytes + (image.offset - a->first);
    const size_t y = i % a->height;
    df_real *to = a->y + i * a->width * 3;

    DF_LANES(x, a->width)
        df_canvas_pixel(&image, stored, a->normal, y, x, to + 3 * x);
}

/* ---- resampling: `from` [N,H,W,C] -> `to` [N,h,w,C] ---- */

/* Pixel i of `to`: y = x at (floor(iy H / h), floor(ix W / w)), plus fine[i] unless NULL */
struct df_nearest_args {
    const df_real *x, *fine;
    df_real *y;
    df_shape from, to;
};
DF_KERNEL void df_k_nearest(size_t i, const struct df_nearest_args *a)
{
    const size_t ix = i % a->to.w, iy = i / a->to.w % a->to.h, n = i / a->to.w / a->to.h, channels = a->to.c;
    const size_t row = (n * a->from.h + iy * a->from.h / a->to.h) * a->from.w + ix * a->from.w / a->to.w;
    const df_real *restrict x = a->x + row * channels;
    df_real *restrict y = a->y + i * channels;

    if (a->fine) {
        const df_real *restrict fine = a->fine + i * channels;

        DF_LANES(c, channels)
            y[c] = x[c] + fine[c];
    } else {
        DF_LANES(c, channels)
            y[c] = x[c];
    }
}

DF_KERNEL size_t df_ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

/* Pixel i of `from`: dx (+)= sum of dy over the pixels it was copied to, in scan order */
struct df_nearest_backward_args {
    const df_real *dy;
    df_real *dx;
    df_shape from, to;
    bool add;
};
DF_KERNEL void df_k_nearest_backward(size_t i, const struct df_nearest_backward_args *a)
{
    const size_t ix = i % a->from.w, iy = i / a->from.w % a->from.h, n = i / a->from.w / a->from.h, channels = a->to.c;
    const size_t y0 = df_ceil_div(iy * a->to.h, a->from.h), y1 = df_ceil_div((iy + 1) * a->to.h, a->from.h);
    const size_t x0 = df_ceil_div(ix * a->to.w, a->from.w), x1 = df_ceil_div((ix + 1) * a->to.w, a->from.w);
    df_real *restrict dx = a->dx + i * channels;

    if (!a->add)
        DF_LANES(c, channels)
            dx[c] = 0;
    for (size_t y = y0; y < y1; y++)
        for (size_t x = x0; x < x1; x++) {
            const df_real *restrict dy = a->dy + ((n * a->to.h + y) * a->to.w + x) * channels;

            DF_LANES(c, channels)
                dx[c] += dy[c];
        }
}

/* Where position `to_at` of `to` samples of `from`: first, the weight of first + 1 (0 at the border) */
DF_KERNEL size_t df_bilinear_tap(size_t to_at, size_t to, size_t from, double *weight)
{
    const double source = ((double)to_at + 0.5) * (double)from / (double)to - 0.5;
    const double at = source > 0 ? source : 0;
    const size_t first = (size_t)at;

    *weight = first + 1 < from ? at - (double)first : 0;
    return first + 1 < from ? first : from - 1;
}

struct df_bilinear_args {
    const df_real *x;
    df_real *y;
    df_shape from, to;
};
DF_KERNEL void df_k_bilinear(size_t i, const struct df_bilinear_args *a)
{
    const size_t ix = i % a->to.w, iy = i / a->to.w % a->to.h, n = i / a->to.w / a->to.h, channels = a->to.c;
    double wy, wx;
    const size_t sy = df_bilinear_tap(iy, a->to.h, a->from.h, &wy), sx = df_bilinear_tap(ix, a->to.w, a->from.w, &wx);
    const size_t right = sx + 1 < a->from.w ? channels : 0, below = sy + 1 < a->from.h ? a->from.w * channels : 0;
    const df_real *restrict x = a->x + ((n * a->from.h + sy) * a->from.w + sx) * channels;
    df_real *restrict y = a->y + i * channels;
    const df_real w00 = (df_real)((1 - wy) * (1 - wx)), w01 = (df_real)((1 - wy) * wx);
    const df_real w10 = (df_real)(wy * (1 - wx)), w11 = (df_real)(wy * wx);

    DF_LANES(c, channels)
        y[c] = w00 * x[c] + w01 * x[right + c] + w10 * x[below + c] + w11 * x[below + right + c];
}

/* [begin, end): the positions of `to` that may sample position `at` of `from` (a superset: others get weight 0) */
DF_KERNEL void df_bilinear_reach(size_t at, size_t to, size_t from, size_t *begin, size_t *end)
{
    const double scale = (double)to / (double)from;
    const double low = ((double)at - 0.5) * scale - 1.5, high = ((double)at + 1.5) * scale + 1.5;

    *begin = at == 0 || low < 0 ? 0 : (size_t)low;
    *end = at + 1 == from || high > (double)to ? to : (size_t)high;
}

DF_KERNEL double df_bilinear_weight(size_t to_at, size_t at, size_t to, size_t from)
{
    double next;
    const size_t first = df_bilinear_tap(to_at, to, from, &next);

    return first == at ? 1 - next : first + 1 == at ? next : 0;
}

/* Pixel i of `from`: dx (+)= sum of weight * dy over the pixels that sample it, in scan order */
struct df_bilinear_backward_args {
    const df_real *dy;
    df_real *dx;
    df_shape from, to;
    bool add;
};
DF_KERNEL void df_k_bilinear_backward(size_t i, const struct df_bilinear_backward_args *a)
{
    const size_t ix = i % a->from.w, iy = i / a->from.w % a->from.h, n = i / a->from.w / a->from.h, channels = a->to.c;
    df_real *restrict dx = a->dx + i * channels;
    size_t y0, y1, x0, x1;

    df_bilinear_reach(iy, a->to.h, a->from.h, &y0, &y1);
    df_bilinear_reach(ix, a->to.w, a->from.w, &x0, &x1);
    if (!a->add)
        DF_LANES(c, channels)
            dx[c] = 0;
    for (size_t y = y0; y < y1; y++) {
        const double wy = df_bilinear_weight(y, iy, a->to.h, a->from.h);

        if (!(wy > 0))
            continue;
        for (size_t x = x0; x < x1; x++) {
            const df_real weight = (df_real)(wy * df_bilinear_weight(x, ix, a->to.w, a->from.w));
            const df_real *restrict dy = a->dy + ((n * a->to.h + y) * a->to.w + x) * channels;

            if (weight > 0)
                DF_LANES(c, channels)
                    dx[c] += weight * dy[c];
        }
    }
}

/* Pixel i of `to`: the mean of x over rows [floor(iy H / h), ceil((iy + 1) H / h)) and the like columns; in double */
struct df_adaptive_args {
    const df_real *x;
    df_real *y;
    df_shape from, to;
};
DF_KERNEL void df_k_adaptive(size_t i, const struct df_adaptive_args *a)
{
    const size_t ix = i % a->to.w, iy = i / a->to.w % a->to.h, n = i / a->to.w / a->to.h, channels = a->to.c;
    const size_t y0 = iy * a->from.h / a->to.h, y1 = df_ceil_div((iy + 1) * a->from.h, a->to.h);
    const size_t x0 = ix * a->from.w / a->to.w, x1 = df_ceil_div((ix + 1) * a->from.w, a->to.w);
    const double count = (double)((y1 - y0) * (x1 - x0));

    DF_LANES(block, df_ceil_div(channels, DF_REGISTERS)) {
        const size_t first = block * DF_REGISTERS, some = channels - first < DF_REGISTERS ? channels - first : DF_REGISTERS;
        double sum[DF_REGISTERS] = { 0 };

        for (size_t y = y0; y < y1; y++)
            for (size_t x = x0; x < x1; x++)
                for (size_t c = 0; c < some; c++)
                    sum[c] += (double)a->x[((n * a->from.h + y) * a->from.w + x) * channels + first + c];
        for (size_t c = 0; c < some; c++)
            a->y[i * channels + first + c] = (df_real)(sum[c] / count);
    }
}

/* Pixel i of `from`: dx (+)= sum of dy / count over the windows that hold it, in scan order */
struct df_adaptive_backward_args {
    const df_real *dy;
    df_real *dx;
    df_shape from, to;
    bool add;
};
DF_KERNEL void df_k_adaptive_backward(size_t i, const struct df_adaptive_backward_args *a)
{
    const df_shape f = a->from, t = a->to;
    const size_t ix = i % f.w, iy = i / f.w % f.h, n = i / f.w / f.h;
    df_real *restrict dx = a->dx + i * t.c;

    if (!a->add)
        DF_LANES(c, t.c)
            dx[c] = 0;
    for (size_t y = iy * t.h / f.h; y < df_ceil_div((iy + 1) * t.h, f.h); y++)
        for (size_t x = ix * t.w / f.w; x < df_ceil_div((ix + 1) * t.w, f.w); x++) {
            const size_t high = df_ceil_div((y + 1) * f.h, t.h) - y * f.h / t.h, wide = df_ceil_div((x + 1) * f.w, t.w) - x * f.w / t.w;
            const df_real share = (df_real)(1 / (double)(high * wide));
            const df_real *restrict dy = a->dy + ((n * t.h + y) * t.w + x) * t.c;

            DF_LANES(c, t.c)
                dx[c] += share * dy[c];
        }
}

/* ---- softmax of row i ---- */
struct df_softmax_args {
    const df_real *x;
    df_real *y;
    size_t channels;
};
DF_KERNEL void df_k_softmax(size_t i, const struct df_softmax_args *a)
{
    const df_real *restrict x = a->x + i * a->channels;
    df_real *restrict y = a->y + i * a->channels;
    df_real top = x[0];

    for (size_t c = 1; c < a->channels; c++)
        top = x[c] > top ? x[c] : top;
    for (size_t c = 0; c < a->channels; c++)
        y[c] = df_rexp(x[c] - top);

    const double scale = 1 / df_run_sum(y, a->channels);

    for (size_t c = 0; c < a->channels; c++)
        y[c] = (df_real)((double)y[c] * scale);
}

/* dx (+)= y (dy - sum dy y) */
struct df_softmax_backward_args {
    const df_real *y, *dy;
    df_real *dx;
    size_t channels;
    bool add;
};
DF_KERNEL void df_k_softmax_backward(size_t i, const struct df_softmax_backward_args *a)
{
    const df_real *restrict y = a->y + i * a->channels, *restrict dy = a->dy + i * a->channels;
    df_real *restrict dx = a->dx + i * a->channels;
    double dot = 0;

    for (size_t c = 0; c < a->channels; c++)
        dot += (double)dy[c] * (double)y[c];

    const df_real mean = (df_real)dot;

    for (size_t c = 0; c < a->channels; c++)
        dx[c] = (a->add ? dx[c] : 0) + y[c] * (dy[c] - mean);
}
#endif
