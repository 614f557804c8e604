/* One launch a range; core/device/kernels_match.h and kernels_propose.h have the kernels. */
#include "detectors/rows.h"

struct df_marked df_mark_labels(df_tape *tape, const df_tensor *label, size_t images, int lowest, int highest, bool weight)
{
    const size_t rows = df_count(label->shape) / images;
    df_tensor *numbers = weight ? df_tensor_new(tape, label->shape) : NULL;
    const struct df_mark_rows_args args = { .label = label->data,
                                            .rows = rows,
                                            .lowest = (df_real)lowest,
                                            .highest = (df_real)highest,
                                            .use = df_tape_device_memory(tape, images * rows),
                                            .weight = numbers ? numbers->data : NULL,
                                            .count = df_tape_device_memory(tape, images * sizeof(double)) };

    df_launch(df_tape_device(tape), DF_K_MARK_ROWS, images, &args);
    return (struct df_marked){ args.use, numbers, args.count, images };
}

struct df_marked df_mark_rows(df_tape *tape, const struct df_detection_state *state, int lowest, int highest, bool weight)
{
    const df_tensor *label = df_part_tensor(state, "label");

    return df_mark_labels(tape, label, label->shape.n, lowest, highest, weight);
}

struct df_counted_norm df_marked_norm(df_tape *tape, const struct df_marked *rows)
{
    return df_loss_norm_counted(tape, rows->count, rows->images);
}

struct df_roi_targets df_roi_targets(df_tape *tape, const struct df_detection_state *state)
{
    const size_t rows = state->rois.count, columns = state->classes + 1;
    df_tensor *column = df_tensor_new(tape, (df_shape){ rows, 1, 1, 1 }), *target = df_tensor_new(tape, (df_shape){ rows, 1, columns, 4 });
    const struct df_roi_target_args args = { .label = df_part_tensor(state, "roi/label")->data,
                                             .encoded = df_part_tensor(state, "roi/target")->data,
                                             .columns = columns,
                                             .column = column->data,
                                             .target = target->data,
                                             .use = df_tape_device_memory(tape, rows * columns) };

    df_launch(df_tape_device(tape), DF_K_ROI_TARGET, rows, &args);
    return (struct df_roi_targets){ column, target, args.use };
}
