/* torchvision's BalancedPositiveNegativeSampler with our own draws: the first k steps of a Fisher-Yates shuffle, from the stream
 * (seed, DF_RNG_SAMPLE, step * 2^20 + image of the batch * 2 + part), positives first; a group that is taken whole draws nothing. */
#include "detectors/sampling.h"

#include <string.h>

#include "core/base/rng.h"
#include "core/base/status.h"

static size_t collect(size_t count, const df_real *labels, bool positive, uint32_t *group)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (positive ? labels[i] >= 0 : labels[i] == -1)
            group[n++] = (uint32_t)i;
    return n;
}

/* k of the n members of a group */
static void choose(struct df_rng *rng, size_t n, size_t k, uint32_t *group, uint8_t *chosen)
{
    for (size_t i = 0; i < k; i++) {
        const size_t j = k < n ? i + df_rng_below(rng, (uint32_t)(n - i)) : i;
        const uint32_t taken = group[j];

        group[j] = group[i];
        group[i] = taken;
        chosen[taken] = 1;
    }
}

size_t df_sample(const struct df_sampler *sampler, struct df_sample_of of, size_t count, const df_real *labels, uint8_t *chosen,
                 uint32_t *scratch)
{
    const struct df_batch *batch = of.batch;
    const size_t size = (size_t)sampler->size, most = (size_t)((double)sampler->size * sampler->positive);
    struct df_rng rng;
    size_t n, positives, negatives;

    DF_ASSERT(batch->first + of.image < (size_t)1 << 19 && count <= UINT32_MAX);
    df_rng_init(&rng, batch->seed, DF_RNG_SAMPLE, (uint64_t)batch->step << 20 | (batch->first + of.image) << 1 | (uint64_t)of.part);
    memset(chosen, 0, count);
    n = collect(count, labels, true, scratch);
    positives = n < most ? n : most;
    choose(&rng, n, positives, scratch, chosen);
    n = collect(count, labels, false, scratch);
    negatives = n < size - positives ? n : size - positives;
    choose(&rng, n, negatives, scratch, chosen);
    return positives + negatives;
}
