/* RoIAlign over the levels of a pyramid; the arithmetic stands in core/device/kernels_roi.h. */
#include "core/nn/ops.h"

struct roi_align {
    struct df_roi_options options;
    size_t levels;
    df_real scale[DF_ROI_LEVELS];
    df_tensor *feature[DF_ROI_LEVELS];
    struct df_rois rois; /* on the device */
};

static void roi_align_backward(df_tape *tape, struct df_node *node)
{
    const struct roi_align *roi = node->args;
    struct df_roi_align_backward_args args = { .dy = node->out->grad,
                                               .box = roi->rois.box,
                                               .image = roi->rois.image,
                                               .level = roi->rois.level,
                                               .options = roi->options,
                                               .rois = roi->rois.count };

    for (size_t l = 0; l < roi->levels; l++) {
        const df_shape shape = roi->feature[l]->shape;
        bool fresh;

        args.dx = df_grad_fresh(tape, roi->feature[l], &fresh);
        args.add = !fresh;
        args.channels = shape.c;
        args.height = shape.h;
        args.width = shape.w;
        args.this_level = (int32_t)l;
        args.scale = roi->scale[l];
        if (args.dx)
            df_launch(df_tape_device(tape), DF_K_ROI_ALIGN_BACKWARD, shape.n * shape.h, &args);
    }
}

df_tensor *df_roi_align_there(df_tape *tape, df_tensor *const *feature, const double *scale, size_t levels, const struct df_rois *rois,
                              struct df_roi_options options)
{
    const size_t channels = feature[0]->shape.c;
    df_tensor *y = df_tensor_new(tape, (df_shape){ rois->count, options.size, options.size, channels });
    struct roi_align roi = { .options = options, .levels = levels, .rois = *rois };
    struct df_roi_align_args args = {
        .y = y->data, .options = options, .channels = channels, .box = rois->box, .image = rois->image, .level = rois->level
    };

    DF_ASSERT(levels >= 1 && levels <= DF_ROI_LEVELS && options.size >= 1 && options.size <= DF_ROI_SIZE);
    for (size_t l = 0; l < levels; l++) {
        DF_ASSERT(feature[l]->shape.c == channels);
        roi.feature[l] = feature[l];
        roi.scale[l] = args.scale[l] = (df_real)scale[l];
        args.x[l] = feature[l]->data;
        args.height[l] = feature[l]->shape.h;
        args.width[l] = feature[l]->shape.w;
    }
    df_launch(df_tape_device(tape), DF_K_ROI_ALIGN, rois->count, &args);
    return df_record(tape, roi_align_backward, y, feature, levels, DF_KEEP(roi));
}

df_tensor *df_roi_align(df_tape *tape, df_tensor *const *feature, const double *scale, size_t levels, const struct df_rois *rois,
                        struct df_roi_options options)
{
    const size_t rows = rois->count;

    for (size_t r = 0; r < rows; r++)
        DF_ASSERT(rois->level[r] < 0 || ((size_t)rois->level[r] < levels && rois->image[r] < feature[rois->level[r]]->shape.n));
    return df_roi_align_there(tape, feature, scale, levels,
                              &(struct df_rois){ rows, df_tape_device_copy(tape, rois->box, rows * sizeof *rois->box),
                                                 df_tape_device_copy(tape, rois->image, rows * sizeof *rois->image),
                                                 df_tape_device_copy(tape, rois->level, rows * sizeof *rois->level) },
                              options);
}
