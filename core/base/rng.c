/* Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3. */
#include "core/base/rng.h"

#include <math.h>

#include "core/base/portable_math.h"
#include "core/base/status.h"

void df_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        const uint64_t left = (uint64_t)0xD2511F53u * c0, right = (uint64_t)0xCD9E8D57u * c2;

        c0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)right;
        c2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)left;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void df_rng_init(struct df_rng *rng, uint64_t seed, enum df_rng_purpose purpose, uint64_t index)
{
    *rng = (struct df_rng){ .key = { (uint32_t)seed, (uint32_t)(seed >> 32) },
                            .counter = { 0, (uint32_t)purpose, (uint32_t)index, (uint32_t)(index >> 32) },
                            .used = 4 };
}

uint32_t df_rng_u32(struct df_rng *rng)
{
    if (rng->used == 4) {
        df_philox(rng->counter, rng->key, rng->block);
        if (++rng->counter[0] == 0) /* after 2^34 draws: on into the upper half of the purpose's word, which no purpose reaches */
            rng->counter[1] += (uint32_t)1 << 16;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

double df_rng_uniform(struct df_rng *rng)
{
    const uint64_t high = df_rng_u32(rng) >> 5, low = df_rng_u32(rng) >> 6;

    return (double)(high << 26 | low) * 0x1p-53;
}

double df_rng_range(struct df_rng *rng, double low, double high) { return low + (high - low) * df_rng_uniform(rng); }

/* Lemire, "Fast random integer generation in an interval", 2019: the upper word of draw * n, with the biased lower words refused. */
uint32_t df_rng_below(struct df_rng *rng, uint32_t n)
{
    uint64_t product;

    DF_ASSERT(n > 0);
    do {
        product = (uint64_t)df_rng_u32(rng) * n;
    } while ((uint32_t)product < n && (uint32_t)product < (uint32_t)(0 - n) % n);
    return (uint32_t)(product >> 32);
}

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
