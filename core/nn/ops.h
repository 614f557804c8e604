/* Differentiable ops. All tensors are [N,H,W,C]. "broadcasting": each axis of b equals a's or is 1 (and the other way round).
 * PyTorch's definitions where PyTorch has the op. Empty axes are not allowed. */
#ifndef DF_CORE_NN_OPS_H
#define DF_CORE_NN_OPS_H
#include "core/nn/tape.h"

struct df_conv_options {
    size_t stride_h, stride_w, pad_h, pad_w;
    bool relu;
};
/* w [F,KH,KW,C], bias [1,1,1,F] or NULL -> [N,OH,OW,F] */
df_tensor *df_conv2d(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *bias, struct df_conv_options options);
/* x [N,1,1,I] (or any shape: flattened to N rows), w [O,1,1,I] (likewise, to O rows), bias [1,1,1,O] or NULL -> [N,1,1,O] */
df_tensor *df_linear(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *bias);
enum df_norm_mode { DF_NORM_TRAIN, DF_NORM_EVAL /* running statistics; gamma, beta learn */ };
struct df_norm_options {
    df_real *running_mean, *running_var; /* device buffers [C], moved in DF_NORM_TRAIN */
    double eps, momentum;
    enum df_norm_mode mode;
    bool relu;       /* y = max(0, .) */
    df_tensor *skip; /* of x's shape: a residual join in the same pass, before the relu; or NULL; never x itself */
};
/* gamma, beta [1,1,1,C]. Frozen = DF_NORM_EVAL with parameters that are not trainable. */
df_tensor *df_batch_norm(df_tape *tape, df_tensor *x, df_tensor *gamma, df_tensor *beta, struct df_norm_options options);
df_tensor *df_relu(df_tape *tape, df_tensor *x);
df_tensor *df_sigmoid(df_tape *tape, df_tensor *x);
df_tensor *df_exp_op(df_tape *tape, df_tensor *x);
df_tensor *df_log_op(df_tape *tape, df_tensor *x);            /* x > 0 */
df_tensor *df_sqrt_op(df_tape *tape, df_tensor *x);           /* x > 0 */
df_tensor *df_abs_op(df_tape *tape, df_tensor *x);            /* slope 0 at 0 */
df_tensor *df_add(df_tape *tape, df_tensor *a, df_tensor *b); /* the four: broadcasting */
df_tensor *df_sub(df_tape *tape, df_tensor *a, df_tensor *b);
df_tensor *df_mul(df_tape *tape, df_tensor *a, df_tensor *b);
df_tensor *df_div(df_tape *tape, df_tensor *a, df_tensor *b);
df_tensor *df_add_relu(df_tape *tape, df_tensor *a, df_tensor *b); /* max(0, a + b), same shapes: the residual join in one pass */
df_tensor *df_scale(df_tape *tape, df_tensor *x, double factor);
df_tensor *df_scale_by(df_tape *tape, df_tensor *x, const df_tensor *scalar /* [1,1,1,1], no gradient to it */);
/* axis: 0 n, 1 h, 2 w, 3 c */
df_tensor *df_concat(df_tape *tape, df_tensor *const *parts, size_t count /* <= 16 */, int axis);
df_tensor *df_slice(df_tape *tape, df_tensor *x, int axis, size_t begin, size_t end);
df_tensor *df_reshape(df_tape *tape, df_tensor *x, df_shape shape); /* same memory, same order */
df_tensor *df_detach(df_tape *tape, df_tensor *x);                  /* same memory, no gradient */
/* Over the axes whose bit (1 << axis) is set, kept with size 1. Sums in double, fixed order. max: gradient to the first largest. */
df_tensor *df_sum(df_tape *tape, df_tensor *x, unsigned axes);
df_tensor *df_mean(df_tape *tape, df_tensor *x, unsigned axes);
df_tensor *df_max(df_tape *tape, df_tensor *x, unsigned axes);
/* (x - mean) / (std + eps) per channel over n,h,w; std is the unbiased one (as PKD's reference); N*H*W >= 2 */
df_tensor *df_standardise(df_tape *tape, df_tensor *x, double eps);
struct df_packed_images {                /* on the host, as a loader packs them */
    size_t n, height, width;             /* their canvas */
    const struct df_placed_image *image; /* [n], by rising offset */
    const uint8_t *bytes;                /* all their pixels, stored or resized */
    const df_real *normal;               /* [3][256] what each byte of red, green and blue becomes */
};
/* [N,height,width,3]: resized, mirrored and normalised on the device, to which the bytes go. No gradient. */
df_tensor *df_canvas(df_tape *tape, const struct df_packed_images *images);
df_tensor *df_upsample_nearest(df_tape *tape, df_tensor *x, size_t h, size_t w); /* source row = floor(y * H / h) */
df_tensor *df_upsample_add(df_tape *tape, df_tensor *coarse, df_tensor *fine);   /* nearest(coarse to fine's size) + fine, one pass */
df_tensor *df_resize_bilinear(df_tape *tape, df_tensor *x, size_t h, size_t w);  /* half-pixel centres (align_corners = False) */
df_tensor *df_max_pool(df_tape *tape, df_tensor *x, size_t kernel, size_t stride, size_t pad);
df_tensor *df_adaptive_avg_pool(df_tape *tape, df_tensor *x, size_t h, size_t w);
df_tensor *df_softmax(df_tape *tape, df_tensor *x);                           /* over c */
df_tensor *df_softmax_cells(df_tape *tape, df_tensor *x, double temperature); /* of x / T over h and w, per image and channel */

struct df_rois { /* arrays [count], of a whole batch: the host's, or the device's where that is said */
    size_t count;
    const struct df_box *box; /* canvas pixels; one without area is padding */
    const uint32_t *image;
    const int32_t *level; /* of the pyramid, for df_roi_align; negative: gives zeros */
};
/* RoIAlign (torchvision.ops.roi_align) from a pyramid: each RoI is pooled from its image of feature[level] [N,h_l,w_l,C] with scale[level] map
 * pixels per canvas pixel; the arrays are copied. At most 8 levels. -> [R,size,size,C] */
df_tensor *df_roi_align(df_tape *tape, df_tensor *const *feature, const double *scale, size_t levels, const struct df_rois *rois,
                        struct df_roi_options options);
/* ... of arrays on the device, until the tape's reset. */
df_tensor *df_roi_align_there(df_tape *tape, df_tensor *const *feature, const double *scale, size_t levels, const struct df_rois *rois,
                              struct df_roi_options options);

/* ---- crops ---- */

/* Rows row[i] of x, taken as a matrix of c columns; host array, copied. Where x asks for a gradient they rise, so that none is taken twice.
 * -> [count,1,1,c] */
df_tensor *df_take_rows(df_tape *tape, df_tensor *x, const uint32_t *row, size_t count);
/* df_box_decode of deltas [R,1,1,4] over reference [R] (host, copied), in double: corners x0 y0 x1 y1 in the references' pixels. No gradient
 * reaches a size that was cut. */
df_tensor *df_box_corners(df_tape *tape, df_tensor *deltas, const struct df_box *reference, const float weights[4]);
/* Bilinear samples of x [N,h,w,C] at grid [R,h',w',2]: (across, down), from -1 to 1 over the map; a number that is none lies outside. Row r samples
 * image[r] (host, copied), or image r where image is NULL. -> [R,h',w',C]. Gradients reach x and grid. That to x costs N h R h' w' looks.
 * Source: torch.nn.functional.grid_sample, mode bilinear, padding zeros or border, of which it has the values and, but where a sample lies
 * on the very edge that padding begins at, the gradients. */
df_tensor *df_grid_sample(df_tape *tape, df_tensor *x, df_tensor *grid, const uint32_t *image, struct df_grid_options options);
#endif
