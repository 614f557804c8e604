/* Which anchors and proposals the losses of a two-stage detector look at. */
#ifndef DF_DETECTORS_SAMPLING_H
#define DF_DETECTORS_SAMPLING_H
#include "core/data/loader.h"
#include "core/nn/tape.h"

struct df_sampler {
    int64_t size;    /* most rows per image */
    double positive; /* largest share of positives */
};
enum df_sample_part { DF_SAMPLE_ANCHORS, DF_SAMPLE_PROPOSALS };
struct df_sample_of { /* what is sampled: the draws depend on it, and on the batch's seed and step, alone */
    const struct df_batch *batch;
    enum df_sample_part part;
};
/* Of a batch's rows, whose labels [N,1,A,1] are on the device (>= 0 positive, -1 negative, others never taken), at most floor(size * positive)
 * positives of an image, then negatives up to size, each without replacement; by the device (core/device/kernels_draw.h). */
struct df_sampled {             /* on the device, until the tape's reset */
    df_tensor *weight, *target; /* [N,1,A,1]: 1 where chosen; 1 where positive, chosen or not */
    const uint8_t *positive;    /* [N][A]: chosen and positive */
    const double *count;        /* [N]: chosen */
};
struct df_sampled df_sample_rows(const struct df_sampler *sampler, df_tape *tape, struct df_sample_of of, const df_tensor *label);
#endif
