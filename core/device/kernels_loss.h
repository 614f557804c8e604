/* Kernels of the losses. Element-wise losses work on tiles of DF_LOSS_TILE elements: what depends on the row (label, use, weight) is
 * written into a local array first, so that the arithmetic is branch-free loops of constant length that vectorise for any number of
 * classes; where a compiler would make a branch of two selects on one condition, they stand in two loops. A forward kernel writes one
 * double per tile, row or pixel and, where the tape asks for it (d != NULL), d value / d input; loss_total adds the partials in index
 * order and loss_spread is the backward of all of them but masked_mse and squared_error. Formulas: core/nn/losses.h. */
#ifndef DF_CORE_DEVICE_KERNELS_LOSS_H
#define DF_CORE_DEVICE_KERNELS_LOSS_H
#include "core/base/portable_math.h"
#include "core/base/real.h"
#include "core/geometry/box.h"

#define DF_KERNELS_LOSS(X)                                                                                                                 \
    X(LOSS_TOTAL, loss_total)                                                                                                              \
    X(LOSS_SPREAD, loss_spread)                                                                                                            \
    X(SIGMOID_FOCAL, sigmoid_focal)                                                                                                        \
    X(BCE_LOGITS, bce_logits)                                                                                                              \
    X(SIGMOID_KL, sigmoid_kl)                                                                                                              \
    X(CROSS_ENTROPY, cross_entropy)                                                                                                        \
    X(SOFTMAX_KL, softmax_kl)                                                                                                              \
    X(SOFT_CROSS_ENTROPY, soft_cross_entropy)                                                                                              \
    X(BOUNDED_L2, bounded_l2)                                                                                                              \
    X(PEARSON_ROWS, pearson_rows)                                                                                                          \
    X(PEARSON_SUMS, pearson_sums)                                                                                                          \
    X(PEARSON_COLUMNS, pearson_columns)                                                                                                    \
    X(PEARSON_COLUMNS_SLOPE, pearson_columns_slope)                                                                                        \
    X(SMOOTH_L1, smooth_l1)                                                                                                                \
    X(MASKED_MSE, masked_mse)                                                                                                              \
    X(MASKED_MSE_GROUP, masked_mse_group)                                                                                                  \
    X(MASKED_MSE_BACKWARD, masked_mse_backward)                                                                                            \
    X(SQUARED_ERROR, squared_error)                                                                                                        \
    X(SQUARED_ERROR_BACKWARD, squared_error_backward)                                                                                      \
    X(QUALITY_FOCAL, quality_focal)                                                                                                        \
    X(GIOU, giou)

#define DF_LOSS_TILE  256
#define DF_LOSS_LANES 8
#ifndef DF_LOSS_WIDTH
#define DF_LOSS_WIDTH DF_LOSS_TILE /* elements that one call of a df_..._tile handles: a lane of a GPU takes one */
#endif

typedef df_real df_loss_tile[DF_LOSS_WIDTH] __attribute__((aligned(64))); /* a vector's load stays within a cache line */

DF_KERNEL size_t df_loss_tiles(size_t elements) { return (elements + DF_LOSS_TILE - 1) / DF_LOSS_TILE; }
DF_KERNEL size_t df_loss_min(size_t a, size_t b) { return a < b ? a : b; }

DF_KERNEL double df_loss_lanes(const double lane[DF_LOSS_LANES])
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

DF_KERNEL double df_loss_tile_sum(const df_real v[DF_LOSS_WIDTH])
{
    double lane[DF_LOSS_LANES] = { 0 };

    for (size_t j = 0; j < DF_LOSS_WIDTH; j += DF_LOSS_LANES) {
        for (size_t l = 0; l < DF_LOSS_LANES && l < DF_LOSS_WIDTH; l++)
            lane[l] += (double)v[j + l];
    }
    return df_loss_lanes(lane);
}

/* 2 atanh(s) for |s| <= 1/3 to full relative precision, as its series */
DF_KERNEL df_real df_loss_two_atanh(df_real s)
{
    const int terms = sizeof(df_real) > sizeof(float) ? 17 : 7;
    const df_real s2 = s * s;
    df_real sum = 0;

    for (int k = terms - 1; k > 0; k--)
        sum = (sum + 1 / (df_real)(2 * k + 1)) * s2;
    return 2 * s * (1 + sum);
}
DF_KERNEL df_real df_loss_log1p(df_real e) { return df_loss_two_atanh(e / (2 + e)); } /* e in [0, 1] */

/* *out = sum of partials / norm; one index. counted: norm grows by a factor that stands in device memory, and *divisor = what it is then */
struct df_loss_total_args {
    const double *partial;
    size_t count;
    double norm;
    df_real *out;
    const double *counted; /* [counts] added up, at least 1; NULL: no such factor */
    size_t counts;
    double *divisor;
};
DF_KERNEL double df_share_loss_total(size_t i, const struct df_loss_total_args *a)
{
    double sum = 0;

    (void)i;
    DF_LANES(j, a->count)
        sum += a->partial[j];
    return sum;
}
DF_KERNEL void df_store_loss_total(size_t i, const struct df_loss_total_args *a, double sum)
{
    double norm = a->norm, counted = 0;

    (void)i;
    if (a->counted) {
        for (size_t j = 0; j < a->counts; j++)
            counted += a->counted[j];
        *a->divisor = norm *= counted > 1 ? counted : 1;
    }
    *a->out = (df_real)(sum / norm);
}
DF_SUM_KERNEL(loss_total)

/* tile i: dx += dy / norm * d (fresh: dx = ) */
struct df_loss_spread_args {
    const df_real *dy, *d;
    df_real *dx;
    size_t count;
    double norm;
    const double *divisor; /* loss_total's, instead of norm; NULL: it made none */
    bool fresh;
};
DF_KERNEL void df_k_loss_spread(size_t i, const struct df_loss_spread_args *a)
{
    const size_t begin = i * DF_LOSS_TILE, n = df_loss_min(DF_LOSS_TILE, a->count - begin);
    const df_real k = (df_real)((double)*a->dy / (a->divisor ? *a->divisor : a->norm)), *restrict d = a->d + begin;
    df_real *restrict dx = a->dx + begin;

    if (a->fresh) {
        DF_LANES(j, n)
            dx[j] = k * d[j];
    } else {
        DF_LANES(j, n)
            dx[j] += k * d[j];
    }
}

/* The kernel of a loss on tiles: a lane takes DF_LOSS_WIDTH elements at a time, the host a whole tile. */
#define DF_TILE_KERNEL(name)                                                                                                               \
    DF_KERNEL double df_share_##name(size_t i, const struct df_##name##_args *a)                                                           \
    {                                                                                                                                      \
        const size_t begin = i * DF_LOSS_TILE, n = df_loss_min(DF_LOSS_TILE, a->count - begin);                                            \
        double sum = 0;                                                                                                                    \
                                                                                                                                           \
        DF_LANES(j, (n + DF_LOSS_WIDTH - 1) / DF_LOSS_WIDTH)                                                                               \
            sum += df_##name##_tile(begin + j * DF_LOSS_WIDTH, df_loss_min(DF_LOSS_WIDTH, n - j * DF_LOSS_WIDTH), a);                      \
        return sum;                                                                                                                        \
    }                                                                                                                                      \
    DF_KERNEL void df_store_##name(size_t i, const struct df_##name##_args *a, double sum) { a->partial[i] = sum; }                        \
    DF_SUM_KERNEL(name)

/* tile i of [rows, classes] */
struct df_sigmoid_focal_args {
    const df_real *z;
    const df_real *label; /* whole numbers */
    size_t count, classes;
    double weight_positive, weight_negative, gamma;
    double *partial;
    df_real *d;
};
/* u: the logit, negated at the label; w: the weight, negated at the label, 0 where ignored and beyond the end */
DF_KERNEL void df_loss_focal_tile(size_t begin, size_t n, const struct df_sigmoid_focal_args *a, df_real *restrict u, df_real *restrict w)
{
    const df_real negative = (df_real)a->weight_negative, positive = (df_real)a->weight_positive;

    for (size_t j = 0; j < n; j++) {
        u[j] = a->z[begin + j];
        w[j] = negative;
    }
    for (size_t j = n; j < DF_LOSS_WIDTH; j++)
        u[j] = w[j] = 0;
    for (size_t row = begin / a->classes; row * a->classes < begin + n; row++) {
        const size_t first = row * a->classes;

        if (a->label[row] >= 0) {
            const size_t at = first + (size_t)a->label[row] - begin; /* wraps to a large value before the tile */

            if (at < n) {
                u[at] = -u[at];
                w[at] = -positive;
            }
        } else if (a->label[row] != -1) {
            const size_t end = df_loss_min(first + a->classes, begin + n);

            for (size_t j = first > begin ? first : begin; j < end; j++)
                w[j - begin] = 0;
        }
    }
}
/* value |w| s^gamma softplus(u), derivative in z  w s^gamma (gamma (1 - s) softplus(u) + s),  s = sigmoid(u) = 1 - p_t */
DF_KERNEL double df_sigmoid_focal_tile(size_t begin, size_t n, const struct df_sigmoid_focal_args *a)
{
    const df_real gamma = (df_real)a->gamma;
    df_loss_tile u, w, power, s, soft, v;

    df_loss_focal_tile(begin, n, a, u, w);
    for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
        const df_real e = df_rexp(u[j] < 0 ? u[j] : -u[j]), r = 1 / (1 + e), l = df_loss_log1p(e);

        s[j] = u[j] < 0 ? e * r : r;
        soft[j] = (u[j] < 0 ? 0 : u[j]) + l;
        power[j] = gamma * ((u[j] < 0 ? u[j] : 0) - l); /* gamma log s */
    }
    if (gamma == 2) {
        for (size_t j = 0; j < DF_LOSS_WIDTH; j++)
            power[j] = s[j] * s[j];
    } else {
        for (size_t j = 0; j < DF_LOSS_WIDTH; j++)
            power[j] = df_rexp(power[j]);
    }
    for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
        v[j] = (w[j] < 0 ? -w[j] : w[j]) * power[j] * soft[j];
        u[j] = w[j] * power[j] * (gamma * (1 - s[j]) * soft[j] + s[j]);
    }
    if (a->d) {
        for (size_t j = 0; j < n; j++)
            a->d[begin + j] = u[j];
    }
    return df_loss_tile_sum(v);
}
DF_TILE_KERNEL(sigmoid_focal)

/* tile i; w may be NULL */
struct df_bce_logits_args {
    const df_real *z, *t, *w;
    size_t count;
    double *partial;
    df_real *d;
};
DF_KERNEL double df_bce_logits_tile(size_t begin, size_t n, const struct df_bce_logits_args *a)
{
    df_loss_tile z = { 0 }, t = { 0 }, w = { 0 }, v, e, ramp;

    for (size_t j = 0; j < n; j++) {
        z[j] = a->z[begin + j];
        t[j] = a->t[begin + j];
        w[j] = a->w ? a->w[begin + j] : 1;
    }
    for (size_t j = 0; j < DF_LOSS_WIDTH; j++)
        ramp[j] = z[j] < 0 ? 0 : z[j];
    for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
        e[j] = df_rexp(z[j] - 2 * ramp[j]); /* exp(-|z|) */
        v[j] = w[j] * (ramp[j] - z[j] * t[j] + df_loss_log1p(e[j]));
    }
    for (size_t j = 0; j < DF_LOSS_WIDTH; j++)
        z[j] = w[j] * ((z[j] < 0 ? e[j] : 1) / (1 + e[j]) - t[j]);
    if (a->d) {
        for (size_t j = 0; j < n; j++)
            a->d[begin + j] = z[j];
    }
    return df_loss_tile_sum(v);
}
DF_TILE_KERNEL(bce_logits)

/* tile i of [rows, classes]: rows with use = 0 give 0 */
struct df_sigmoid_kl_args {
    const df_real *s, *t;
    const uint8_t *use;
    size_t count, classes;
    double temperature;
    double *partial;
    df_real *d;
};
/* weights of the tile's elements, 0 beyond the end; returns how many are not 0 */
DF_KERNEL size_t df_loss_use_tile(size_t begin, size_t n, size_t classes, const uint8_t *use, df_real *restrict w)
{
    size_t used = 0;

    for (size_t j = 0; j < DF_LOSS_WIDTH; j++)
        w[j] = 0;
    for (size_t row = begin / classes; row * classes < begin + n; row++) {
        const size_t first = row * classes > begin ? row * classes - begin : 0, end = df_loss_min((row + 1) * classes - begin, n);

        if (!use[row])
            continue;
        used += end - first;
        for (size_t j = first; j < end; j++)
            w[j] = 1;
    }
    return used;
}
/* With x = s/T, y = t/T:  KL = softplus(x) - softplus(y) + sigmoid(y) (y - x),  d/dx = sigmoid(x) - sigmoid(y).  KL does not change when
 * both signs do: they are turned so that y <= 0, where nothing large cancels;
 * with P = exp(-|x|), Q = exp(-|y|) the two softplus differ by max(x, 0) + log((1 + P) / (1 + Q)). */
DF_KERNEL double df_sigmoid_kl_tile(size_t begin, size_t n, const struct df_sigmoid_kl_args *a)
{
    const df_real cold = (df_real)(1 / a->temperature), hot = (df_real)a->temperature;
    df_loss_tile x = { 0 }, y = { 0 }, w, v, e, sign;
    double sum = 0;

    if (df_loss_use_tile(begin, n, a->classes, a->use, w)) {
        for (size_t j = 0; j < n; j++) {
            x[j] = a->s[begin + j] * cold;
            y[j] = a->t[begin + j] * cold;
        }
        for (size_t j = 0; j < DF_LOSS_WIDTH; j++)
            sign[j] = y[j] > 0 ? -1 : 1;
        for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
            x[j] *= sign[j];
            y[j] *= sign[j];
        }
        for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
            const df_real ramp = x[j] < 0 ? 0 : x[j], ep = df_rexp(x[j] - 2 * ramp), eq = df_rexp(y[j]); /* x - 2 ramp = -|x| */
            const df_real sq = eq / (1 + eq), kl = ramp + df_loss_two_atanh((ep - eq) / (2 + ep + eq)) + sq * (y[j] - x[j]);

            v[j] = w[j] * hot * hot * kl;
            e[j] = ep;
            y[j] = sq;
        }
        for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
            v[j] = v[j] < 0 ? 0 : v[j];
            w[j] *= hot * sign[j] * ((x[j] < 0 ? e[j] : 1) / (1 + e[j]) - y[j]);
        }
        sum = df_loss_tile_sum(v);
    }
    if (a->d) {
        for (size_t j = 0; j < n; j++)
            a->d[begin + j] = w[j];
    }
    return sum;
}
DF_TILE_KERNEL(sigmoid_kl)

/* row i */
struct df_cross_entropy_args {
    const df_real *z;
    const df_real *label; /* whole numbers */
    size_t classes;
    double *partial;
    df_real *d;
};
DF_KERNEL double df_loss_row_max(const df_real *x, size_t n)
{
    df_real largest = x[0];

    for (size_t j = 1; j < n; j++)
        largest = x[j] > largest ? x[j] : largest;
    return (double)largest;
}
/* log of the sum of exp((x - largest) / T) */
DF_KERNEL double df_loss_row_log_sum(const df_real *x, size_t n, double largest, double cold)
{
    double sum = 0;

    for (size_t j = 0; j < n; j++)
        sum += df_exp(((double)x[j] - largest) * cold);
    return df_log(sum);
}
DF_KERNEL void df_k_cross_entropy(size_t i, const struct df_cross_entropy_args *a)
{
    const df_real *z = a->z + i * a->classes;
    const int32_t label = (int32_t)a->label[i];
    df_real *d = a->d ? a->d + i * a->classes : NULL;

    a->partial[i] = 0;
    if (label < 0) {
        for (size_t k = 0; d && k < a->classes; k++)
            d[k] = 0;
        return;
    }
    const double largest = df_loss_row_max(z, a->classes), log_sum = df_loss_row_log_sum(z, a->classes, largest, 1);

    a->partial[i] = log_sum - ((double)z[label] - largest);
    for (size_t k = 0; d && k < a->classes; k++)
        d[k] = (df_real)(df_exp((double)z[k] - largest - log_sum) - (k == (size_t)label));
}

/* row i */
struct df_softmax_kl_args {
    const df_real *s, *t;
    const uint8_t *use;
    size_t classes;
    double temperature;
    double *partial;
    df_real *d;
};
DF_KERNEL void df_k_softmax_kl(size_t i, const struct df_softmax_kl_args *a)
{
    const df_real *s = a->s + i * a->classes, *t = a->t + i * a->classes;
    const double hot = a->temperature, cold = 1 / hot;
    df_real *d = a->d ? a->d + i * a->classes : NULL;
    double sum = 0;

    a->partial[i] = 0;
    if (!a->use[i]) {
        for (size_t k = 0; d && k < a->classes; k++)
            d[k] = 0;
        return;
    }
    const double max_s = df_loss_row_max(s, a->classes), max_t = df_loss_row_max(t, a->classes);
    const double sum_s = df_loss_row_log_sum(s, a->classes, max_s, cold), sum_t = df_loss_row_log_sum(t, a->classes, max_t, cold);

    for (size_t k = 0; k < a->classes; k++) {
        const double log_p = ((double)s[k] - max_s) * cold - sum_s, log_q = ((double)t[k] - max_t) * cold - sum_t, q = df_exp(log_q);

        sum += q * (log_q - log_p);
        if (d)
            d[k] = (df_real)(hot * (df_exp(log_p) - q));
    }
    a->partial[i] = hot * hot * sum;
}

/* row i: -sum_k q_k log softmax(z)_k, q >= 0 as they come; d = softmax(z) sum q - q */
struct df_soft_cross_entropy_args {
    const df_real *z, *q;
    size_t classes;
    double *partial;
    df_real *d;
};
DF_KERNEL void df_k_soft_cross_entropy(size_t i, const struct df_soft_cross_entropy_args *a)
{
    const df_real *z = a->z + i * a->classes, *q = a->q + i * a->classes;
    const double largest = df_loss_row_max(z, a->classes), log_sum = df_loss_row_log_sum(z, a->classes, largest, 1);
    df_real *d = a->d ? a->d + i * a->classes : NULL;
    double sum = 0, all = 0;

    for (size_t k = 0; k < a->classes; k++) {
        sum += (double)q[k] * (log_sum - ((double)z[k] - largest));
        all += (double)q[k];
    }
    a->partial[i] = sum;
    for (size_t k = 0; d && k < a->classes; k++)
        d[k] = (df_real)(all * df_exp((double)z[k] - largest - log_sum) - (double)q[k]);
}

/* row i of [rows, width]: |x - y|^2 if use and |x - y|^2 + margin > |t - y|^2, else 0 */
struct df_bounded_l2_args {
    const df_real *x, *t, *y;
    const uint8_t *use;
    size_t width;
    double margin;
    double *partial;
    df_real *d;
};
DF_KERNEL void df_k_bounded_l2(size_t i, const struct df_bounded_l2_args *a)
{
    const size_t begin = i * a->width, end = begin + a->width;
    double own = 0, theirs = 0;

    for (size_t j = begin; a->use[i] && j < end; j++) {
        const double x = (double)a->x[j] - (double)a->y[j], t = (double)a->t[j] - (double)a->y[j];

        own += x * x;
        theirs += t * t;
    }
    const bool counts = a->use[i] && own + a->margin > theirs;

    a->partial[i] = counts ? own : 0;
    for (size_t j = begin; a->d && j < end; j++)
        a->d[j] = counts ? (df_real)(2 * ((double)a->x[j] - (double)a->y[j])) : 0;
}

/* ---- Pearson's correlation of x and t: r = <x', t'> / (|x'| |t'| + eps), x' and t' without their means ----
 * dr/dx = (t' - r' x') / (|x'| |t'| + eps),  r' = <x', t'> |t'| / (|x'| (|x'| |t'| + eps)), 0 where x is constant */
struct df_pearson {
    double scale, r, slope; /* 1 / (|x'| |t'| + eps), r, r' */
};
DF_KERNEL struct df_pearson df_pearson_of(double xx, double tt, double xt, double eps)
{
    const double x = sqrt(xx), t = sqrt(tt), scale = 1 / (x * t + eps);
    const struct df_pearson pearson = { scale, xt * scale, x > 0 ? xt * t / x * scale : 0 };

    return pearson;
}

/* row i of [rows, width]: 1 - r, 0 where use = 0 */
struct df_pearson_rows_args {
    const df_real *x, *t;
    const uint8_t *use;
    size_t width;
    double eps;
    double *partial;
    df_real *d;
};
DF_KERNEL void df_k_pearson_rows(size_t i, const struct df_pearson_rows_args *a)
{
    const size_t n = a->width;
    const df_real *restrict x = a->x + i * n, *restrict t = a->t + i * n;
    df_real *restrict d = a->d + i * n;
    double mean_x = 0, mean_t = 0, xx = 0, tt = 0, xt = 0;

    a->partial[i] = 0;
    if (!a->use[i]) {
        for (size_t j = 0; j < n; j++)
            d[j] = 0;
        return;
    }
    for (size_t j = 0; j < n; j++) {
        mean_x += (double)x[j];
        mean_t += (double)t[j];
    }
    mean_x /= (double)n;
    mean_t /= (double)n;
    for (size_t j = 0; j < n; j++) {
        const double u = (double)x[j] - mean_x, v = (double)t[j] - mean_t;

        xx += u * u;
        tt += v * v;
        xt += u * v;
    }
    const struct df_pearson pearson = df_pearson_of(xx, tt, xt, a->eps);

    a->partial[i] = 1 - pearson.r;
    for (size_t j = 0; j < n; j++)
        d[j] = (df_real)(-pearson.scale * ((double)t[j] - mean_t - pearson.slope * ((double)x[j] - mean_x)));
}

/* Chunk i of the rows with use != 0, per column. means NULL: sums of x and of t. Else of x' x', t' t', x' t', with means [2][width]. Sums of
 * column c: partial[(k chunks + i) width + c], k = 0 .. 1 or 2 */
struct df_pearson_sums_args {
    const df_real *x, *t;
    const uint8_t *use;
    const double *means;
    double *partial;
    size_t rows, width, chunk, chunks;
};
DF_KERNEL void df_column_pearson_sums(size_t i, size_t c, const struct df_pearson_sums_args *a)
{
    const size_t end = (i + 1) * a->chunk < a->rows ? (i + 1) * a->chunk : a->rows;
    const double mean_x = a->means ? a->means[c] : 0, mean_t = a->means ? a->means[a->width + c] : 0;
    double sum[3] = { 0, 0, 0 };

    for (size_t r = i * a->chunk; r < end; r++) {
        const double u = (double)a->x[r * a->width + c] - mean_x, v = (double)a->t[r * a->width + c] - mean_t;

        if (!a->use[r])
            continue;
        sum[0] += a->means ? u * u : u;
        sum[1] += a->means ? v * v : v;
        sum[2] += u * v;
    }
    for (size_t k = 0; k < (a->means ? 3 : 2); k++)
        a->partial[(k * a->chunks + i) * a->width + c] = sum[k];
}
/* All columns of a row while it is at hand. */
DF_KERNEL void df_k_pearson_sums(size_t i, const struct df_pearson_sums_args *a)
{
    const size_t end = (i + 1) * a->chunk < a->rows ? (i + 1) * a->chunk : a->rows, n = a->width, step = a->chunks * n;
    double *restrict first = a->partial + i * n, *restrict second = first + step, *restrict third = second + step;

    for (size_t c = 0; c < n; c++) {
        first[c] = second[c] = 0;
        if (a->means)
            third[c] = 0;
    }
    for (size_t r = i * a->chunk; r < end; r++) {
        const df_real *restrict x = a->x + r * n, *restrict t = a->t + r * n;

        if (!a->use[r])
            continue;
        for (size_t c = 0; c < n && !a->means; c++) {
            first[c] += (double)x[c];
            second[c] += (double)t[c];
        }
        for (size_t c = 0; c < n && a->means; c++) {
            const double u = (double)x[c] - a->means[c], v = (double)t[c] - a->means[n + c];

            first[c] += u * u;
            second[c] += v * v;
            third[c] += u * v;
        }
    }
}

/* column i: 1 - r; slope [2][width]: what t' and x' are multiplied with in its derivative. sums [3][width] */
struct df_pearson_columns_args {
    const double *sums;
    double *partial, *slope;
    size_t width;
    double eps;
};
DF_KERNEL void df_k_pearson_columns(size_t i, const struct df_pearson_columns_args *a)
{
    const struct df_pearson pearson = df_pearson_of(a->sums[i], a->sums[a->width + i], a->sums[2 * a->width + i], a->eps);

    a->partial[i] = 1 - pearson.r;
    a->slope[i] = -pearson.scale;
    a->slope[a->width + i] = pearson.scale * pearson.slope;
}

/* row i: d = slope_0 t' + slope_1 x', 0 where use = 0 */
struct df_pearson_columns_slope_args {
    const df_real *x, *t;
    const uint8_t *use;
    const double *means, *slope;
    df_real *d;
    size_t width;
};
DF_KERNEL void df_k_pearson_columns_slope(size_t i, const struct df_pearson_columns_slope_args *a)
{
    const size_t n = a->width;
    const df_real *restrict x = a->x + i * n, *restrict t = a->t + i * n;
    df_real *restrict d = a->d + i * n;

    if (a->use[i]) {
        DF_LANES(c, n)
            d[c] = (df_real)(a->slope[c] * ((double)t[c] - a->means[n + c]) + a->slope[n + c] * ((double)x[c] - a->means[c]));
    } else {
        DF_LANES(c, n)
            d[c] = 0;
    }
}

/* row i of [rows, width] */
struct df_smooth_l1_args {
    const df_real *x, *target;
    const uint8_t *use;
    size_t width;
    double beta;
    double *partial;
    df_real *d;
};
DF_KERNEL void df_k_smooth_l1(size_t i, const struct df_smooth_l1_args *a)
{
    const size_t begin = i * a->width;
    const double beta = a->beta;
    double sum = 0;

    if (!a->use[i]) { /* most rows */
        a->partial[i] = 0;
        for (size_t j = begin; a->d && j < begin + a->width; j++)
            a->d[j] = 0;
        return;
    }
    for (size_t j = begin; j < begin + a->width; j++) {
        const double x = (double)a->x[j] - (double)a->target[j], size = x < 0 ? -x : x;

        sum += size < beta ? 0.5 * x * x / beta : size - 0.5 * beta;
        if (a->d)
            a->d[j] = (df_real)(size < beta ? x / beta : (double)((x > 0) - (x < 0)));
    }
    a->partial[i] = sum;
}

/* pixel i: m_i sum_c (s_ic - k t_ic)^2 */
struct df_masked_mse_args {
    const df_real *s, *t, *m;
    size_t channels;
    double teacher_scale;
    double *partial;
};
/* the square of a difference */
DF_KERNEL double df_masked_mse_term(df_real s, df_real t, df_real k)
{
    const double d = (double)(s - k * t);

    return d * d;
}
DF_KERNEL double df_share_masked_mse(size_t i, const struct df_masked_mse_args *a)
{
    const df_real *s = a->s + i * a->channels, *t = a->t + i * a->channels, k = (df_real)a->teacher_scale;
    double sum = 0;

    DF_LANES(c, a->m[i] == 0 ? 0 : a->channels)
        sum += df_masked_mse_term(s[c], t[c], k);
    return sum;
}
DF_KERNEL void df_store_masked_mse(size_t i, const struct df_masked_mse_args *a, double sum)
{
    a->partial[i] = a->m[i] == 0 ? 0 : (double)a->m[i] * sum;
}
DF_KERNEL void df_k_masked_mse(size_t i, const struct df_masked_mse_args *a)
{
    const size_t n = a->m[i] == 0 ? 0 : a->channels;
    const df_real *restrict s = a->s + i * a->channels, *restrict t = a->t + i * a->channels, k = (df_real)a->teacher_scale;
    double lane[DF_LOSS_LANES] = { 0 };
    size_t c = 0;

    for (; c + DF_LOSS_LANES <= n; c += DF_LOSS_LANES) {
        for (size_t l = 0; l < DF_LOSS_LANES; l++)
            lane[l] += df_masked_mse_term(s[c + l], t[c + l], k);
    }
    for (size_t l = 0; l < n % DF_LOSS_LANES; l++)
        lane[l] += df_masked_mse_term(s[c + l], t[c + l], k);
    df_store_masked_mse(i, a, df_loss_lanes(lane));
}

/* group i, a run of `pixels` pixels: norm = max(least, per_cell sum m), value = sum of partials / norm, 0 where norm is 0 */
struct df_masked_mse_group_args {
    const double *partial;
    const df_real *m;
    size_t pixels;
    double per_cell, least;
    double *norm, *value;
};
struct df_masked_mse_sums {
    double partials, cells;
};
DF_KERNEL struct df_masked_mse_sums df_share_masked_mse_group(size_t i, const struct df_masked_mse_group_args *a)
{
    struct df_masked_mse_sums sum = { 0, 0 };

    DF_LANES(p, a->pixels) {
        sum.partials += a->partial[i * a->pixels + p];
        sum.cells += (double)a->m[i * a->pixels + p];
    }
    return sum;
}
DF_KERNEL void df_store_masked_mse_group(size_t i, const struct df_masked_mse_group_args *a, struct df_masked_mse_sums sum)
{
    const double norm = a->per_cell * sum.cells;

    a->norm[i] = norm > a->least ? norm : a->least;
    a->value[i] = a->norm[i] > 0 ? sum.partials / a->norm[i] : 0;
}
DF_SUM_KERNEL(masked_mse_group)

/* pixel i: ds_i += 2 dy m_i / (norm groups) (s_i - k t_i) (fresh: ds_i = ) */
struct df_masked_mse_backward_args {
    const df_real *s, *t, *m, *dy;
    df_real *ds;
    const double *norm;
    size_t channels, pixels, groups;
    double teacher_scale;
    bool fresh;
};
DF_KERNEL void df_k_masked_mse_backward(size_t i, const struct df_masked_mse_backward_args *a)
{
    const size_t n = a->channels;
    const df_real *restrict s = a->s + i * n, *restrict t = a->t + i * n, k = (df_real)a->teacher_scale, m = a->m[i];
    const df_real g = (df_real)(2 * (double)*a->dy * (double)m / (a->norm[i / a->pixels] * (double)a->groups));
    df_real *restrict ds = a->ds + i * n;

    if (m == 0) {
        DF_LANES(c, a->fresh ? n : 0)
            ds[c] = 0;
    } else if (a->fresh) {
        DF_LANES(c, n)
            ds[c] = g * (s[c] - k * t[c]);
    } else {
        DF_LANES(c, n)
            ds[c] += g * (s[c] - k * t[c]);
    }
}

/* pixel i of images of `image` pixels: cell_i sum_c channel_nc (s_ic - t_ic)^2; weights NULL: 1 */
struct df_squared_error_args {
    const df_real *s, *t, *cell, *channel;
    size_t channels, image;
    double *partial;
};
DF_KERNEL double df_squared_error_term(df_real s, df_real t, const df_real *weight)
{
    const double d = (double)(s - t);

    return weight ? (double)*weight * d * d : d * d;
}
DF_KERNEL double df_share_squared_error(size_t i, const struct df_squared_error_args *a)
{
    const df_real *s = a->s + i * a->channels, *t = a->t + i * a->channels;
    const df_real *w = a->channel ? a->channel + i / a->image * a->channels : NULL;
    double sum = 0;

    DF_LANES(c, a->channels)
        sum += df_squared_error_term(s[c], t[c], w ? w + c : NULL);
    return sum;
}
DF_KERNEL void df_store_squared_error(size_t i, const struct df_squared_error_args *a, double sum)
{
    a->partial[i] = a->cell ? (double)a->cell[i] * sum : sum;
}
DF_KERNEL void df_k_squared_error(size_t i, const struct df_squared_error_args *a)
{
    const size_t n = a->channels;
    const df_real *restrict s = a->s + i * n, *restrict t = a->t + i * n, *w = a->channel ? a->channel + i / a->image * n : NULL;
    double lane[DF_LOSS_LANES] = { 0 };
    size_t c = 0;

    for (; c + DF_LOSS_LANES <= n; c += DF_LOSS_LANES) {
        for (size_t l = 0; l < DF_LOSS_LANES; l++)
            lane[l] += df_squared_error_term(s[c + l], t[c + l], w ? w + c + l : NULL);
    }
    for (size_t l = 0; l < n % DF_LOSS_LANES; l++)
        lane[l] += df_squared_error_term(s[c + l], t[c + l], w ? w + c + l : NULL);
    df_store_squared_error(i, a, df_loss_lanes(lane));
}

/* pixel i: ds_i += 2 dy cell_i channel_n / norm (s_i - t_i) (fresh: ds_i = ) */
struct df_squared_error_backward_args {
    const df_real *s, *t, *cell, *channel, *dy;
    df_real *ds;
    size_t channels, image;
    double norm;
    bool fresh;
};
DF_KERNEL void df_k_squared_error_backward(size_t i, const struct df_squared_error_backward_args *a)
{
    const size_t n = a->channels;
    const df_real *restrict s = a->s + i * n, *restrict t = a->t + i * n;
    const df_real g = (df_real)(2 * (double)*a->dy * (a->cell ? (double)a->cell[i] : 1) / a->norm);
    df_real *restrict ds = a->ds + i * n;

    if (a->channel) {
        const df_real *restrict w = a->channel + i / a->image * n;

        DF_LANES(c, n)
            ds[c] = (a->fresh ? 0 : ds[c]) + g * w[c] * (s[c] - t[c]);
    } else {
        DF_LANES(c, n)
            ds[c] = (a->fresh ? 0 : ds[c]) + g * (s[c] - t[c]);
    }
}

/* tile i of [rows, classes]: rows with use = 0 give 0 */
struct df_quality_focal_args {
    const df_real *z, *t; /* logits */
    const uint8_t *use;
    size_t count, classes;
    double beta;
    double *partial;
    df_real *d;
};
/* With p = sigmoid(z), q = sigmoid(t), e = p - q:  value |e|^beta BCE(z, q), and as dBCE/dz = e
 *   d/dz = sign(e) |e|^(beta - 1) (e^2 + beta BCE p (1 - p)) */
DF_KERNEL double df_quality_focal_tile(size_t begin, size_t n, const struct df_quality_focal_args *a)
{
    const df_real beta = (df_real)a->beta;
    df_loss_tile z = { 0 }, t = { 0 }, w, v;
    double sum = 0;

    if (df_loss_use_tile(begin, n, a->classes, a->use, w)) {
        for (size_t j = 0; j < n; j++) {
            z[j] = a->z[begin + j];
            t[j] = a->t[begin + j];
        }
        for (size_t j = 0; j < DF_LOSS_WIDTH; j++) {
            const df_real ramp = z[j] < 0 ? 0 : z[j], ez = df_rexp(z[j] - 2 * ramp), et = df_rexp(t[j] < 0 ? t[j] : -t[j]);
            const df_real p = (z[j] < 0 ? ez : 1) / (1 + ez), q = (t[j] < 0 ? et : 1) / (1 + et), e = p - q, size = e < 0 ? -e : e;
            const df_real bce = ramp - z[j] * q + df_loss_log1p(ez);
            const df_real power = beta == 1 ? 1 : size > 0 ? df_rexp((beta - 1) * df_rlog(size)) : 0; /* |e|^(beta - 1) */

            v[j] = w[j] * power * size * bce;
            w[j] *= power * (e < 0 ? -1 : e > 0 ? 1 : 0) * (e * e + beta * bce * ez / ((1 + ez) * (1 + ez)));
        }
        sum = df_loss_tile_sum(v);
    }
    if (a->d) {
        for (size_t j = 0; j < n; j++)
            a->d[begin + j] = w[j];
    }
    return sum;
}
DF_TILE_KERNEL(quality_focal)

/* row i: w_i (1 - GIoU) of two boxes given as deltas of one anchor */
struct df_giou_args {
    const df_real *x, *t, *w;
    const struct df_box *anchor; /* row i has anchor i % anchors */
    size_t anchors;
    double weights[4]; /* factors of the deltas */
    double *partial;
    df_real *d;
};
struct df_loss_box {
    double low[2], high[2]; /* corners */
    double half[2];
    bool clamped[2];
};
/* df_box_decode in double, which tells where it cut a size. */
DF_KERNEL struct df_loss_box df_loss_decode(struct df_box anchor, const df_real *delta, const double *weights)
{
    const double begin[2] = { (double)anchor.x0, (double)anchor.y0 }, end[2] = { (double)anchor.x1, (double)anchor.y1 };
    const double most = 4.135166556742356; /* log(1000 / 16) */
    struct df_loss_box box;

    for (int k = 0; k < 2; k++) {
        const double side = end[k] - begin[k], size = (double)delta[2 + k] / weights[2 + k];
        const double centre = (double)delta[k] / weights[k] * side + begin[k] + 0.5 * side;

        box.clamped[k] = size > most;
        box.half[k] = 0.5 * df_exp(box.clamped[k] ? most : size) * side;
        box.low[k] = centre - box.half[k];
        box.high[k] = centre + box.half[k];
    }
    return box;
}
/* 1 - GIoU = 2 - I/U - U/E with the areas of intersection, union and enclosure; slope: by low x, low y, high x, high y of s. Boxes without a
 * union give 0. */
DF_KERNEL double df_loss_giou(const struct df_loss_box *s, const struct df_loss_box *t, double slope[4])
{
    double own[2], other[2], both[2], hull[2];

    for (int k = 0; k < 2; k++) {
        const double low = s->low[k] > t->low[k] ? s->low[k] : t->low[k], high = s->high[k] < t->high[k] ? s->high[k] : t->high[k];

        own[k] = s->high[k] - s->low[k];
        other[k] = t->high[k] - t->low[k];
        both[k] = high > low ? high - low : 0;
        hull[k] = (s->high[k] > t->high[k] ? s->high[k] : t->high[k]) - (s->low[k] < t->low[k] ? s->low[k] : t->low[k]);
    }
    const double common = both[0] * both[1], area = own[0] * own[1] + other[0] * other[1] - common, whole = hull[0] * hull[1];

    for (int c = 0; c < 4; c++) {
        const int k = c % 2, along = 1 - k;
        const bool inner = c < 2 ? s->low[k] > t->low[k] : s->high[k] < t->high[k]; /* this side bounds the intersection */
        const bool outer = c < 2 ? s->low[k] < t->low[k] : s->high[k] > t->high[k];
        const double sign = c < 2 ? -1 : 1, d_common = inner && both[k] > 0 ? sign * both[along] : 0;
        const double d_area = sign * own[along] - d_common, d_whole = outer ? sign * hull[along] : 0;

        slope[c] = area > 0 ? (common * d_area - d_common * area) / (area * area) + (area * d_whole - d_area * whole) / (whole * whole) : 0;
    }
    return area > 0 ? 2 - common / area - area / whole : 0;
}
DF_KERNEL void df_k_giou(size_t i, const struct df_giou_args *a)
{
    const struct df_box anchor = a->anchor[i % a->anchors];
    const struct df_loss_box s = df_loss_decode(anchor, a->x + 4 * i, a->weights), t = df_loss_decode(anchor, a->t + 4 * i, a->weights);
    const double w = (double)a->w[i], side[2] = { (double)anchor.x1 - (double)anchor.x0, (double)anchor.y1 - (double)anchor.y0 };
    double slope[4];

    a->partial[i] = w * df_loss_giou(&s, &t, slope);
    for (int k = 0; a->d && k < 2; k++) {
        a->d[4 * i + (size_t)k] = (df_real)(w * (slope[k] + slope[2 + k]) * side[k] / a->weights[k]);
        a->d[4 * i + 2 + (size_t)k] = (df_real)(s.clamped[k] ? 0 : w * (slope[2 + k] - slope[k]) * s.half[k] / a->weights[2 + k]);
    }
}
#endif
