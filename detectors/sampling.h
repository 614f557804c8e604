/* Which anchors and proposals the losses of a two-stage detector look at. */
#ifndef DF_DETECTORS_SAMPLING_H
#define DF_DETECTORS_SAMPLING_H
#include "core/data/loader.h"

struct df_sampler {
    int64_t size;    /* most rows per image */
    double positive; /* largest share of positives */
};
enum df_sample_part { DF_SAMPLE_ANCHORS, DF_SAMPLE_PROPOSALS };
/* Of the labels [count] (>= 0 positive, -1 negative, others never taken) at most floor(size * positive) positives, then negatives up to size,
 * each without replacement. chosen [count]: 0 or 1. scratch: [count]. Draws only depend on the batch's seed and step, `image` and `part`.
 * Returns how many are chosen. */
size_t df_sample(const struct df_sampler *sampler, const struct df_batch *batch, size_t image, enum df_sample_part part, size_t count,
                 const df_real *labels, uint8_t *chosen, uint32_t *scratch);
#endif
