/* What is made of Philox's words: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3. */
#include "core/base/rng.h"

#include <math.h>

#include "core/base/portable_math.h"
#include "core/base/status.h"

double df_rng_uniform(struct df_rng *rng)
{
    const uint64_t high = df_rng_u32(rng) >> 5, low = df_rng_u32(rng) >> 6;

    return (double)(high << 26 | low) * 0x1p-53;
}

double df_rng_range(struct df_rng *rng, double low, double high) { return low + (high - low) * df_rng_uniform(rng); }

double df_rng_normal(struct df_rng *rng)
{
    const double radius = sqrt(-2 * df_log(1 - df_rng_uniform(rng))); /* 1 - u is in (0,1] */

    return radius * df_cos(6.283185307179586 * df_rng_uniform(rng));
}

void df_rng_permutation(struct df_rng *rng, size_t n, uint32_t *out)
{
    DF_ASSERT(n <= UINT32_MAX);
    for (size_t i = 0; i < n; i++) {
        const size_t j = df_rng_below(rng, (uint32_t)(i + 1)); /* inside-out Fisher-Yates */

        out[i] = out[j];
        out[j] = (uint32_t)i;
    }
}
