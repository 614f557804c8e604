/* Rows of dense heads as maps. */
#include "distillers/common.h"

df_tensor *df_dense_level(df_tape *tape, const struct df_detection_state *student, df_tensor *rows, size_t level)
{
    const df_shape map = df_part(student, "neck", level)->shape;
    const size_t count = student->level_anchors[level];
    size_t first = 0;

    for (size_t l = 0; l < level; l++)
        first += student->level_anchors[l];
    return df_reshape(tape, df_slice(tape, rows, 2, first, first + count),
                      (df_shape){ map.n, map.h, map.w, count / (map.h * map.w) * rows->shape.c });
}
