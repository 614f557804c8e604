/* One launch a range; core/device/kernels_match.h has the kernel. */
#include "detectors/rows.h"

struct df_marked df_mark_rows(df_tape *tape, const struct df_detection_state *state, int lowest, int highest, bool weight)
{
    const df_tensor *label = df_part_tensor(state, "label");
    const size_t images = label->shape.n, rows = label->shape.w;
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

struct df_counted_norm df_marked_norm(df_tape *tape, const struct df_marked *rows)
{
    return df_loss_norm_counted(tape, rows->count, rows->images);
}
