/* Which anchors and proposals the losses of a two-stage detector look at. */
#ifndef DF_DETECTORS_SAMPLING_H
#define DF_DETECTORS_SAMPLING_H
#include "core/data/loader.h"
#include "core/nn/tape.h"

struct df_sampler {
    int64_t size;    /* most rows per image */
    double positive; /* largest share of positives */
};
struct df_sample_of { /* what is sampled: the draws depend on it, and on the batch's seed and step, alone */
    const struct df_batch *batch;
    size_t image; /* of the batch */
    enum { DF_SAMPLE_ANCHORS, DF_SAMPLE_PROPOSALS } part;
};
/* Of the labels [count] (>= 0 positive, -1 negative, others never taken) at most floor(size * positive) positives, then negatives up to size,
 * each without replacement. chosen [count]: 0 or 1. scratch: [count]. Returns how many are chosen. */
size_t df_sample(const struct df_sampler *sampler, struct df_sample_of of, size_t count, const df_real *labels, uint8_t *chosen,
                 uint32_t *scratch);
/* The same of a batch's rows, whose labels [N,1,A,1] are on the device, by the device (core/device/kernels_draw.h). */
struct df_sampled {             /* on the device, until the tape's reset */
    df_tensor *weight, *target; /* [N,1,A,1]: 1 where chosen; 1 where positive, chosen or not */
    const uint8_t *positive;    /* [N][A]: chosen and positive */
    const double *count;        /* [N]: chosen */
};
struct df_sampled df_sample_anchors(const struct df_sampler *sampler, df_tape *tape, const struct df_batch *batch, const df_tensor *label);
#endif
