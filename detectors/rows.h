/* Rows by their labels, for losses that look at some of them. The device marks and counts them: nobody waits for a label. */
#ifndef DF_DETECTORS_ROWS_H
#define DF_DETECTORS_ROWS_H
#include "core/nn/losses.h"
#include "detectors/detector.h"

enum { DF_LABEL_IGNORED = -2, DF_LABEL_BACKGROUND = -1, DF_LABEL_OBJECT = 0, DF_LABEL_LAST = 1 << 24 };
struct df_marked {       /* on the device, until the tape's reset */
    const uint8_t *use;  /* [N*A] */
    df_tensor *weight;   /* 1 where use, else 0 */
    const double *count; /* [images] */
    size_t images;
};
/* Those of `images` whose labels, rows of so many images, lie in lowest .. highest; weight: make that tensor too, of the labels' shape, else it is
 * NULL. */
struct df_marked df_mark_labels(df_tape *tape, const df_tensor *label, size_t images, int lowest, int highest, bool weight);
/* ... by a state's "label". */
struct df_marked df_mark_rows(df_tape *tape, const struct df_detection_state *state, int lowest, int highest, bool weight);
/* What the rows of a state's RoIs learn, by the columns of their logits. */
struct df_roi_targets {
    df_tensor *column;  /* [R,1,1,1] 0 background, 1 + class; -1: ignored */
    df_tensor *target;  /* [R,1,K+1,4] the encoded box in the column of the class, else 0 */
    const uint8_t *use; /* [R][K+1] on the device: whether there is one */
};
struct df_roi_targets df_roi_targets(df_tape *tape, const struct df_detection_state *state);
/* What a mean over such rows is divided by: their number in the batch of all ranks, at least 1. */
struct df_counted_norm df_marked_norm(df_tape *tape, const struct df_marked *rows);
#endif
