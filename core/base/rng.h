/* Counter-based random numbers: Philox 4x32-10 (Salmon et al., SC 2011). A stream is named by (seed, purpose, index): there is no hidden
 * state, so what one part draws never moves what another draws. Same numbers on every machine. */
#ifndef DF_CORE_BASE_RNG_H
#define DF_CORE_BASE_RNG_H
#include "core/base/real.h"

/* Append only: the value is part of the numbers. */
enum df_rng_purpose {
    DF_RNG_INIT = 1, /* detector weights; index = hash of the parameter's name */
    DF_RNG_ADAPT,    /* distillers' own weights; index = hash of the parameter's name */
    DF_RNG_ORDER,    /* order of the images; index = epoch */
    DF_RNG_FLIP,     /* index = epoch; one draw per image position */
    DF_RNG_SCENE,    /* rendering; index = image */
    DF_RNG_SAMPLE,   /* sampling inside a detector; index = step */
    DF_RNG_DISTILL,  /* sampling inside a distiller; index = step */
    DF_RNG_BOOTSTRAP,
    DF_RNG_TEST,
    DF_RNG_MASK,  /* what is hidden from a network that is asked; index = mask */
    DF_RNG_PATCH, /* patches at random; index = image */
    DF_RNG_MARK   /* whether a scene carries the mark; index = image */
};

struct df_rng {
    uint32_t key[2], counter[4], block[4];
    unsigned used; /* words of block already handed out */
};

DF_KERNEL void df_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
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

/* key = seed; counter = {block number, purpose, index low, index high} */
DF_KERNEL void df_rng_init(struct df_rng *rng, uint64_t seed, enum df_rng_purpose purpose, uint64_t index)
{
    rng->key[0] = (uint32_t)seed;
    rng->key[1] = (uint32_t)(seed >> 32);
    rng->counter[0] = 0;
    rng->counter[1] = (uint32_t)purpose;
    rng->counter[2] = (uint32_t)index;
    rng->counter[3] = (uint32_t)(index >> 32);
    rng->used = 4;
}

DF_KERNEL uint32_t df_rng_u32(struct df_rng *rng)
{
    if (rng->used == 4) {
        df_philox(rng->counter, rng->key, rng->block);
        if (++rng->counter[0] == 0) /* after 2^34 draws: on into the upper half of the purpose's word, which no purpose reaches */
            rng->counter[1] += (uint32_t)1 << 16;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

/* 0..n-1 without bias; n > 0. Lemire, "Fast random integer generation in an interval", 2019: the upper word of draw * n, with the biased lower words
 * refused. */
DF_KERNEL uint32_t df_rng_below(struct df_rng *rng, uint32_t n)
{
    uint64_t product;

    do {
        product = (uint64_t)df_rng_u32(rng) * n;
    } while ((uint32_t)product < n && (uint32_t)product < (uint32_t)(0 - n) % n);
    return (uint32_t)(product >> 32);
}

double df_rng_uniform(struct df_rng *rng);                        /* [0,1), 53 bits */
double df_rng_range(struct df_rng *rng, double low, double high); /* low + (high - low) * uniform */
double df_rng_normal(struct df_rng *rng);                         /* mean 0, variance 1 (Box-Muller over df_log, df_cos; one a call) */
void df_rng_permutation(struct df_rng *rng, size_t n, uint32_t *out);
#endif
