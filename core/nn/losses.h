/* Losses: each a scalar [1,1,1,1]; partials in double, added in fixed order. `norm` > 0 divides the sum. t, targets, labels, masks get no
 * gradient. Labels are whole numbers in a tensor of as many elements as there are rows; `use` is a host array that is copied to the device. */
#ifndef DF_CORE_NN_LOSSES_H
#define DF_CORE_NN_LOSSES_H
#include "core/nn/tape.h"

/* What a loss is divided by that is a mean over things the host counted: their number in the whole batch, that of all ranks; at least 1. So the
 * ranks' losses, and their gradients, add up to those of one rank with the whole batch. */
double df_loss_norm(const df_tape *tape, size_t count);
/* The same of things that the device counted: `factor` times their number, which the host never needs to know. `count` [counts] on the device,
 * until the tape's reset. With several ranks it is read, since the host adds these up, and `count` is NULL then. */
struct df_counted_norm {
    double factor;
    const double *count; /* added up, at least 1; NULL: factor alone */
    size_t counts;
};
static inline struct df_counted_norm df_norm(double norm) { return (struct df_counted_norm){ .factor = norm }; } /* that the host knows */
struct df_counted_norm df_loss_norm_counted(df_tape *tape, const double *count, size_t counts);

/* sigmoid_focal: sum over rows r with labels[r] != -2, classes k of  alpha_t (1 - p_t)^gamma BCE(z_rk, [labels[r] == k]) / norm
 *   z [N,1,A,K] logits, rows = N*A; labels [N,1,A,1]: k >= 0 class, -1 background, -2 ignored. alpha < 0: no alpha. gamma >= 0.
 * Source: Lin et al., ICCV 2017; torchvision sigmoid_focal_loss. */
df_tensor *df_sigmoid_focal(df_tape *tape, df_tensor *z, const df_tensor *labels, double alpha, double gamma, double norm);
df_tensor *df_sigmoid_focal_counted(df_tape *tape, df_tensor *z, const df_tensor *labels, double alpha, double gamma,
                                    struct df_counted_norm norm);
/* binary cross-entropy with logits: sum w_i (max(z,0) - z t + log(1 + exp(-|z|))) / norm; t [shape of z]; w like t or NULL */
df_tensor *df_bce_logits(df_tape *tape, df_tensor *z, const df_tensor *t, const df_tensor *w, double norm);
df_tensor *df_bce_logits_counted(df_tape *tape, df_tensor *z, const df_tensor *t, const df_tensor *w, struct df_counted_norm norm);
/* softmax cross-entropy over c: sum over rows with labels[r] >= 0 of -log softmax(z_r)[labels[r]] / norm; other rows contribute 0 */
df_tensor *df_cross_entropy(df_tape *tape, df_tensor *z, const df_tensor *labels, double norm);
df_tensor *df_cross_entropy_counted(df_tape *tape, df_tensor *z, const df_tensor *labels, struct df_counted_norm norm);
/* smooth L1 (beta > 0: 0.5 d^2 / beta if |d| < beta, else |d| - 0.5 beta) or L1 (beta = 0), over the rows with use[r] != 0 / norm.
 *   x [N,1,A,4]; targets of as many elements; use [N*A] */
df_tensor *df_smooth_l1(df_tape *tape, df_tensor *x, const df_tensor *targets, const uint8_t *use, double beta, double norm);
/* ... with `use` on the device. */
df_tensor *df_smooth_l1_counted(df_tape *tape, df_tensor *x, const df_tensor *targets, const uint8_t *use, double beta,
                                struct df_counted_norm norm);
/* masked_mse: y = sum_p m_p sum_c (s_pc - k t_pc)^2 / norm,  norm = max(1, 2 C sum_p m_p) with sum_p over the batch
 *   s, t [N,H,W,C]; m [N,H,W,1] weight in [0,1], constant; k = teacher_scale. An empty mask gives 0.
 * per_image: norm is taken per image and the result is the mean over images.
 * Source: the normaliser of the DeFeat authors' code (mask repeated over channels, times 2). */
df_tensor *df_masked_mse(df_tape *tape, df_tensor *s, const df_tensor *t, const df_tensor *m, double teacher_scale, bool per_image);
/* masked_squares: y = sum_p m_p sum_c (s_pc - t_pc)^2 / sum_p m_p: channels are summed, a mask of 0 everywhere gives 0. Shapes as above, m >= 0. */
df_tensor *df_masked_squares(df_tape *tape, df_tensor *s, const df_tensor *t, const df_tensor *m);
/* squared_error: sum_p m_p sum_c k_nc (s_pc - t_pc)^2 / norm,  n the image of pixel p
 *   s, t [N,H,W,C]; m [N,H,W,1] of the cells, k [N,1,1,C] of an image's channels, both constant; NULL: 1 */
df_tensor *df_squared_error(df_tape *tape, df_tensor *s, const df_tensor *t, const df_tensor *m, const df_tensor *k, double norm);
/* quality_focal: sum over rows with use[r] != 0, classes, of |p - q|^beta BCE(z, q) / norm,  p = sigmoid(z), q = sigmoid(t); beta >= 1
 *   z, t [N,1,A,K] logits; use [N*A] on the device. The slope goes through |p - q| too.
 * Source: Li et al., NeurIPS 2020, with a soft target for every class; CrossKD's class loss. */
df_tensor *df_quality_focal(df_tape *tape, df_tensor *z, const df_tensor *t, const uint8_t *use, double beta, struct df_counted_norm norm);
/* giou: sum over rows r of w_r (1 - GIoU(decode(x_r), decode(t_r))) / norm
 *   x, t [N,1,A,4] deltas of.anchor [A] (the same for every image), of.weights: their factors (df_box_decode); w [N,1,A,1]. A size that decoding cuts
 *   gets no slope, nor a side that lies on the other box's; boxes without area give 0.
 * Source: Rezatofighi et al., CVPR 2019. */
struct df_deltas_of { /* what deltas are relative to */
    const struct df_box *anchor;
    const float *weights; /* [4] */
};
df_tensor *df_giou(df_tape *tape, df_tensor *x, const df_tensor *t, const df_tensor *w, struct df_deltas_of of,
                   struct df_counted_norm norm);
/* Softmax KL with temperature: T^2 sum over rows with use[r] != 0 of sum_k q (log q - log p) / norm, p = softmax(s/T), q = softmax(t/T) over c.
 * No row used: 0. */
df_tensor *df_softmax_kl(df_tape *tape, df_tensor *s, const df_tensor *t, const uint8_t *use, double temperature, double norm);
/* ... with `use` on the device. */
df_tensor *df_softmax_kl_counted(df_tape *tape, df_tensor *s, const df_tensor *t, const uint8_t *use, double temperature,
                                 struct df_counted_norm norm);
/* Sigmoid (Bernoulli) KL per class: T^2 sum over rows with use[r] != 0, classes, of q log(q/p) + (1-q) log((1-q)/(1-p)) / norm,
 * p = sigmoid(s/T), q = sigmoid(t/T), in a form that is finite for any logit. */
df_tensor *df_sigmoid_kl(df_tape *tape, df_tensor *s, const df_tensor *t, const uint8_t *use, double temperature, double norm);
/* ... with `use` on the device. */
df_tensor *df_sigmoid_kl_counted(df_tape *tape, df_tensor *s, const df_tensor *t, const uint8_t *use, double temperature,
                                 struct df_counted_norm norm);
/* KL over the cells of a map: T^2 sum over images, channels, cells of q (log q - log p) / norm, p = softmax over h and w of s/T, q = of t/T.
 * Source: Shu et al., ICCV 2021. */
df_tensor *df_cells_kl(df_tape *tape, df_tensor *s, const df_tensor *t, double temperature, double norm);
/* soft cross-entropy over c: sum over rows r, k of -q_rk log softmax(z_r)_k / norm; q [shape of z] >= 0, of any sum (a row of zeros counts
 * nothing) */
df_tensor *df_soft_cross_entropy(df_tape *tape, df_tensor *z, const df_tensor *q, double norm);
df_tensor *df_soft_cross_entropy_counted(df_tape *tape, df_tensor *z, const df_tensor *q, struct df_counted_norm norm);
/* bounded L2: sum of |x_r - y_r|^2 / norm over the rows with use[r] != 0 and |x_r - y_r|^2 + margin > |t_r - y_r|^2, t and margin the bound.
 * x, t, y [.,.,R,W] or any shape of as many rows; use [R] on the device. Source: Chen et al., NIPS 2017. */
struct df_bound {
    const df_tensor *t;
    double margin;
};
df_tensor *df_bounded_l2(df_tape *tape, df_tensor *x, const df_tensor *y, const uint8_t *use, struct df_bound bound,
                         struct df_counted_norm norm);
/* Pearson's correlation of each row of x [R rows of c] with t's, or (columns) of each column over the rows: sum of 1 - r / norm, over the rows
 * with use[r] != 0, columns over those rows. r = <x', t'> / (|x'| |t'| + 1e-8), x' = x - its mean; of something constant r is 0. No row used:
 * rows give 0, columns C / norm. Source: Huang et al., NeurIPS 2022 (DIST), their code's eps. */
df_tensor *df_pearson_rows(df_tape *tape, df_tensor *x, const df_tensor *t, const uint8_t *use, double norm);
df_tensor *df_pearson_columns(df_tape *tape, df_tensor *x, const df_tensor *t, const uint8_t *use, double norm);
#endif
