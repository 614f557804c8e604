/* The rows of a dense head by their labels, for losses that look at some of them. The device marks and counts them: nobody waits for a label. */
#ifndef DF_DETECTORS_ROWS_H
#define DF_DETECTORS_ROWS_H
#include "core/nn/losses.h"
#include "detectors/detector.h"

enum { DF_LABEL_IGNORED = -2, DF_LABEL_BACKGROUND = -1, DF_LABEL_OBJECT = 0, DF_LABEL_LAST = 1 << 24 };
struct df_marked {       /* on the device, until the tape's reset */
    const uint8_t *use;  /* [N*A] */
    df_tensor *weight;   /* [N,1,A,1] 1 where use, else 0 */
    const double *count; /* [images] */
    size_t images;
};
/* Those of a state's "label" in lowest .. highest; weight: make that tensor too, else it is NULL. */
struct df_marked df_mark_rows(df_tape *tape, const struct df_detection_state *state, int lowest, int highest, bool weight);
/* What a mean over such rows is divided by: their number in the batch of all ranks, at least 1. */
struct df_counted_norm df_marked_norm(df_tape *tape, const struct df_marked *rows);
#endif
