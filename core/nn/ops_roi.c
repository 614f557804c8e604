/* RoIAlign over the levels of a pyramid; the arithmetic stands in core/device/kernels_roi.h. */
#include "core/nn/ops.h"

struct roi_align {
    struct df_roi_options options;
    size_t levels, rows;
    df_real scale[DF_ROI_LEVELS];
    df_tensor *feature[DF_ROI_LEVELS];
    const struct df_box *box;
    const uint32_t *image;
    const int32_t *level;
};

static void roi_align_backward(df_tape *tape, struct df_node *node)
{
    const struct roi_align *roi = node->args;
    struct df_roi_align_backward_args args = { .dy = node->out->grad,
                                               .box = roi->box,
                                               .image = roi->image,
                                               .level = roi->level,
                                               .rois = roi->rows,
                                               .size = roi->options.size,
                                               .sampling = roi->options.sampling,
                                               .aligned = roi->options.aligned };

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

static const void *to_device(df_tape *tape, const void *host, size_t bytes)
{
    void *memory = df_tape_device_memory(tape, bytes);

    df_write(df_tape_device(tape), memory, host, bytes);
    return memory;
}

df_tensor *df_roi_align(df_tape *tape, df_tensor *const *feature, const double *scale, size_t levels, size_t rows, const struct df_box *box,
                        const uint32_t *image, const int32_t *level, struct df_roi_options options)
{
    const size_t channels = feature[0]->shape.c;
    df_tensor *y = df_tensor_new(tape, (df_shape){ rows, options.size, options.size, channels });
    struct roi_align roi = { .options = options, .levels = levels, .rows = rows };
    struct df_roi_align_args args = {
        .y = y->data, .size = options.size, .sampling = options.sampling, .channels = channels, .aligned = options.aligned
    };

    DF_ASSERT(levels >= 1 && levels <= DF_ROI_LEVELS && options.size >= 1 && options.size <= DF_ROI_SIZE);
    for (size_t r = 0; r < rows; r++)
        DF_ASSERT(level[r] < 0 || ((size_t)level[r] < levels && image[r] < feature[level[r]]->shape.n));
    args.box = roi.box = to_device(tape, box, rows * sizeof *box);
    args.image = roi.image = to_device(tape, image, rows * sizeof *image);
    args.level = roi.level = to_device(tape, level, rows * sizeof *level);
    for (size_t l = 0; l < levels; l++) {
        DF_ASSERT(feature[l]->shape.c == channels);
        roi.feature[l] = feature[l];
        roi.scale[l] = args.scale[l] = (df_real)scale[l];
        args.x[l] = feature[l]->data;
        args.height[l] = feature[l]->shape.h;
        args.width[l] = feature[l]->shape.w;
    }
    df_launch(df_tape_device(tape), DF_K_ROI_ALIGN, rows, &args);
    return df_record(tape, roi_align_backward, y, feature, levels, &roi, sizeof roi);
}
