/* Chains of the weights' gradient in registers, over a list of pixels. */
#include "core/device/cpu/weights.h"

/* ---- lanes over elements: NV vectors x K filters ---- */

enum { VECTORS = 3, FILTERS = 16 }; /* at most */

INLINE vf load_part(const float *p, bool some, vmask mask) { return some ? v_load_some(p, mask) : v_load(p); }

INLINE void store_part(float *p, bool some, vmask mask, vf v)
{
    if (some)
        v_store_some(p, mask, v);
    else
        v_store(p, v);
}

/* Elements from e on, filters from k on; masked: the last vector is not whole. */
INLINE void stretch_tile(const int NV, const int K, const bool masked, const struct stretch *s, size_t e, size_t k)
{
    vf a[VECTORS][FILTERS];
    const vmask mask = v_mask(masked ? s->elements - e - (size_t)((NV - 1) * V) : 0);
    const size_t at = k * s->stride + e;
    const float *dy = s->dy + k;

    UNROLL(16)
    for (int f = 0; f < K; f++) {
        UNROLL(3)
        for (int v = 0; v < NV; v++)
            a[v][f] = s->chain ? load_part(s->chain + at + (size_t)f * s->stride + v * V, masked && v == NV - 1, mask) : v_zero();
    }
    UNROLL_TWICE
    for (size_t i = 0; i < s->pixels.count; i++) {
        const float *x = s->pixels.x[i] + e, *d = dy + s->pixels.dy[i];
        vf b[VECTORS];

        UNROLL(3)
        for (int v = 0; v < NV; v++)
            b[v] = load_part(x + v * V, masked && v == NV - 1, mask);
        UNROLL(16)
        for (int f = 0; f < K; f++) {
            const vf t = v_set(d[f]);

            UNROLL(3)
            for (int v = 0; v < NV; v++)
                a[v][f] = v_fma(b[v], t, a[v][f]);
        }
    }
    UNROLL(16)
    for (int f = 0; f < K; f++) {
        UNROLL(3)
        for (int v = 0; v < NV; v++) {
            float *to = s->to + at + (size_t)f * s->stride + v * V;
            const bool some = masked && v == NV - 1;

            store_part(to, some, mask, s->add ? v_add(load_part(to, some, mask), v_add(v_zero(), a[v][f])) : a[v][f]);
        }
    }
}

typedef void stretch_fn(const struct stretch *s, size_t e, size_t k);
#define STRETCH(NV, K)                                                                                                                     \
    static __attribute__((noinline)) void whole_##NV##_##K(const struct stretch *s, size_t e, size_t k)                                    \
    {                                                                                                                                      \
        stretch_tile(NV, K, false, s, e, k);                                                                                               \
    }                                                                                                                                      \
    static __attribute__((noinline)) void masked_##NV##_##K(const struct stretch *s, size_t e, size_t k)                                   \
    {                                                                                                                                      \
        stretch_tile(NV, K, true, s, e, k);                                                                                                \
    }
/* Tiles by the number of filters, falling; the first fills the registers. */
struct shape {
    size_t filters[4];
    stretch_fn *fn[2][4]; /* whole, masked */
};
#define STRETCHES(NV, A, B, C, D) STRETCH(NV, A) STRETCH(NV, B) STRETCH(NV, C) STRETCH(NV, D)
#define SHAPE(NV, A, B, C, D)                                                                                                              \
    {                                                                                                                                      \
        { A, B, C, D },                                                                                                                    \
        {                                                                                                                                  \
            { whole_##NV##_##A, whole_##NV##_##B, whole_##NV##_##C, whole_##NV##_##D },                                                    \
            {                                                                                                                              \
                masked_##NV##_##A, masked_##NV##_##B, masked_##NV##_##C, masked_##NV##_##D                                                 \
            }                                                                                                                              \
        }                                                                                                                                  \
    }
#if (defined(__AVX512F__) || defined(__aarch64__)) && !defined(DF_ISA_PLAIN) /* 32 registers */
#define FOR_ONE(X)   X(1, 16, 8, 4, 1)
#define FOR_TWO(X)   X(2, 12, 8, 4, 1)
#define FOR_THREE(X) X(3, 8, 4, 2, 1)
#else
#define FOR_ONE(X)   X(1, 12, 8, 4, 1)
#define FOR_TWO(X)   X(2, 6, 4, 2, 1)
#define FOR_THREE(X) X(3, 4, 3, 2, 1)
#endif
FOR_ONE(STRETCHES)
FOR_TWO(STRETCHES)
FOR_THREE(STRETCHES)
static const struct shape shapes[VECTORS] = { FOR_ONE(SHAPE), FOR_TWO(SHAPE), FOR_THREE(SHAPE) };

/* The tile for the next of `left` filters: two smaller ones rather than the largest and a small rest. */
static size_t choose(const struct shape *shape, size_t left)
{
    size_t i = 0;

    while (shape->filters[i] > left)
        i++;
    return i == 0 && left > shape->filters[0] && left == 2 * shape->filters[1] ? 1 : i;
}

void CPU(run_stretch)(const struct stretch *s)
{
    for (size_t e = 0; e < s->elements;) {
        const size_t left = (s->elements - e + V - 1) / V, vectors = left == 3 || left == 1 ? left : 2;
        const bool masked = s->elements - e < vectors * V;
        const struct shape *shape = &shapes[vectors - 1];

        for (size_t k = 0; k < s->filters;) {
            const size_t i = choose(shape, s->filters - k);

            shape->fn[masked][i](s, e, k);
            k += shape->filters[i];
        }
        e += vectors * V;
    }
}

/* ---- lanes over filters: E elements ---- */

enum { ELEMENTS = 9 }; /* at most */

/* Elements from e on, `lanes` filters from k on. */
INLINE void few_tile(const int E, const struct stretch *s, size_t e, size_t k, size_t lanes)
{
    vf a[ELEMENTS];
    const vmask mask = v_mask(lanes);
    const float *dy = s->dy + k;

    UNROLL(9)
    for (int j = 0; j < E; j++) {
        float lane[V] = { 0 };

        for (size_t f = 0; f < lanes && s->chain; f++)
            lane[f] = s->chain[(k + f) * s->stride + e + (size_t)j];
        a[j] = v_load(lane);
    }
    for (size_t i = 0; i < s->pixels.count; i++) {
        const float *x = s->pixels.x[i] + e, *d = dy + s->pixels.dy[i];
        const vf b = lanes == V ? v_load(d) : v_load_some(d, mask);

        UNROLL(9)
        for (int j = 0; j < E; j++)
            a[j] = v_fma(v_set(x[j]), b, a[j]);
    }
    UNROLL(9)
    for (int j = 0; j < E; j++) {
        float lane[V];

        v_store(lane, a[j]);
        for (size_t f = 0; f < lanes; f++) {
            float *to = &s->to[(k + f) * s->stride + e + (size_t)j];

            *to = s->add ? *to + (0 + lane[f]) : lane[f];
        }
    }
}

#define FEW(E)                                                                                                                             \
    static __attribute__((noinline)) void few_##E(const struct stretch *s, size_t e, size_t k, size_t lanes)                               \
    {                                                                                                                                      \
        few_tile(E, s, e, k, lanes);                                                                                                       \
    }
FEW(9)
FEW(6)
FEW(3)
FEW(1)

void CPU(run_few)(const struct stretch *s)
{
    for (size_t k = 0; k < s->filters; k += V) {
        const size_t lanes = s->filters - k < V ? s->filters - k : V;

        for (size_t e = 0, left; (left = s->elements - e);) {
            if (left >= 9)
                few_9(s, e, k, lanes);
            else if (left >= 6)
                few_6(s, e, k, lanes);
            else if (left >= 3)
                few_3(s, e, k, lanes);
            else
                few_1(s, e, k, lanes);
            e += left >= 9 ? 9 : left >= 6 ? 6 : left >= 3 ? 3 : 1;
        }
    }
}
