/* Counter-based random numbers: Philox 4x32-10 (Salmon et al., SC 2011). A stream is named by (seed, purpose, index): there is no hidden
 * state, so what one part draws never moves what another draws. Same numbers on every machine. */
#ifndef DF_CORE_BASE_RNG_H
#define DF_CORE_BASE_RNG_H
#include <stddef.h>
#include <stdint.h>

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

void df_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* key = seed; counter = {block number, purpose, index low, index high} */
void df_rng_init(struct df_rng *rng, uint64_t seed, enum df_rng_purpose purpose, uint64_t index);
uint32_t df_rng_u32(struct df_rng *rng);
double df_rng_uniform(struct df_rng *rng);                        /* [0,1), 53 bits */
double df_rng_range(struct df_rng *rng, double low, double high); /* low + (high - low) * uniform */
uint32_t df_rng_below(struct df_rng *rng, uint32_t n);            /* 0..n-1 without bias; n > 0 */
double df_rng_normal(struct df_rng *rng);                         /* mean 0, variance 1 (Box-Muller over df_log, df_cos; one a call) */
void df_rng_permutation(struct df_rng *rng, size_t n, uint32_t *out);
#endif
