/* Tiles of accumulators in registers: P pixels x NV vectors, every lane one chain of fused multiply-adds. */
#include "core/device/cpu/tile.h"

/* One term: a[p][v] = fma(x[p][i], w[v], a[p][v]) */
INLINE void term(const int P, const int NV, vf a[TILE_PIXELS][TILE_VECTORS], const float *const *x, ptrdiff_t i, const float *w)
{
    vf b[TILE_VECTORS];

    UNROLL(3)
    for (int v = 0; v < NV; v++)
        b[v] = v_load(w + v * V);
    UNROLL(12)
    for (int p = 0; p < P; p++) {
        const vf t = v_set(x[p][i]);

        UNROLL(3)
        for (int v = 0; v < NV; v++)
            a[p][v] = v_fma(t, b[v], a[p][v]);
    }
}

/* The end of the loop lives in memory: registers are for the pixels. */
#define IN_MEMORY(x) __asm__ volatile("" : "+m"(x))

INLINE void chain(const int P, const int NV, vf a[TILE_PIXELS][TILE_VECTORS], const float *const *x, const struct tile *t)
{
    for (size_t k = 0; k < t->pieces; k++) {
        const struct piece *piece = &t->piece[k];
        const float *w = t->weights + (size_t)piece->at * (size_t)(NV * V);
        ptrdiff_t i = piece->from, end = i + (ptrdiff_t)(piece->length & ~3u), rest = i + (ptrdiff_t)piece->length;

        IN_MEMORY(end);
        IN_MEMORY(rest);
        for (; i < end; i += 4, w += 4 * NV * V) {
            UNROLL(4)
            for (int u = 0; u < 4; u++)
                term(P, NV, a, x, i + u, w + u * NV * V);
        }
        for (; i < rest; i++, w += NV * V)
            term(P, NV, a, x, i, w);
    }
}

INLINE vf finish(const struct tile *t, vf sum, int v)
{
    sum = v_add(v_zero(), sum);
    if (t->bias)
        sum = v_add(sum, v_load(t->bias + v * V));
    return t->relu ? v_relu(sum) : sum;
}

/* Whole vectors, nothing added. */
INLINE void store_plain(const int P, const int NV, vf a[TILE_PIXELS][TILE_VECTORS], float *to, const int32_t *to_at)
{
    UNROLL(12)
    for (int p = 0; p < P; p++) {
        UNROLL(3)
        for (int v = 0; v < NV; v++)
            v_store(to + to_at[p] + v * V, v_add(v_zero(), a[p][v]));
    }
}

INLINE void store(const int P, const int NV, vf a[TILE_PIXELS][TILE_VECTORS], const struct tile *t, const int32_t *to_at, size_t n)
{
    const size_t last = t->lanes - (size_t)((NV - 1) * V); /* lanes of the last vector */
    const vmask mask = v_mask(last);

    UNROLL(12)
    for (int p = 0; p < P; p++)
        if ((size_t)p < n) {
            float *to = t->to + to_at[p];

            UNROLL(3)
            for (int v = 0; v < NV; v++, to += V) {
                const vf sum = finish(t, a[p][v], v);

                if (v == NV - 1 && last < V)
                    v_store_some(to, mask, t->add ? v_add(v_load_some(to, mask), sum) : sum);
                else
                    v_store(to, t->add ? v_add(v_load(to), sum) : sum);
            }
        }
}

/* n <= P pixels are written. */
INLINE void tile(const int P, const int NV, const struct tile *t, const int32_t *from_at, const int32_t *to_at, size_t n)
{
    vf a[TILE_PIXELS][TILE_VECTORS];
    const float *x[TILE_PIXELS];

    UNROLL(12)
    for (int p = 0; p < P; p++) {
        x[p] = t->from + from_at[(size_t)p < n ? (size_t)p : n - 1];
        UNROLL(3)
        for (int v = 0; v < NV; v++)
            a[p][v] = v_zero();
    }
    chain(P, NV, a, x, t);
    if (n == (size_t)P && t->lanes == (size_t)(NV * V) && !t->bias && !t->relu && !t->add)
        store_plain(P, NV, a, t->to, to_at);
    else
        store(P, NV, a, t, to_at, n);
}

typedef void tile_fn(const struct tile *t, const int32_t *from_at, const int32_t *to_at, size_t n);
#define TILE(P, NV)                                                                                                                        \
    static __attribute__((noinline)) void tile_##P##_##NV(const struct tile *t, const int32_t *from_at, const int32_t *to_at, size_t n)    \
    {                                                                                                                                      \
        tile(P, NV, t, from_at, to_at, n);                                                                                                 \
    }

/* For one, two and three vectors the tile that fills the registers, and one of half its pixels for what is left. */
struct shape {
    tile_fn *whole, *half;
    size_t pixels;
};
TILE(12, 1)
TILE(6, 1)
TILE(6, 2)
TILE(4, 3)
#if (defined(__AVX512F__) || defined(__aarch64__)) && !defined(DF_ISA_PLAIN) /* 32 registers */
TILE(12, 2)
TILE(8, 3)
static const struct shape shapes[TILE_VECTORS] = { { tile_12_1, tile_6_1, 12 }, { tile_12_2, tile_6_2, 12 }, { tile_8_3, tile_4_3, 8 } };
#else
TILE(3, 2)
TILE(2, 3)
static const struct shape shapes[TILE_VECTORS] = { { tile_12_1, tile_6_1, 12 }, { tile_6_2, tile_3_2, 6 }, { tile_4_3, tile_2_3, 4 } };
#endif

void CPU(run_tiles)(const struct tile *tile, size_t vectors, const int32_t *from_at, const int32_t *to_at, size_t count)
{
    const struct shape *shape = &shapes[vectors - 1];

    for (; count > shape->pixels / 2; from_at += shape->pixels, to_at += shape->pixels) {
        const size_t n = count < shape->pixels ? count : shape->pixels;

        shape->whole(tile, from_at, to_at, n);
        count -= n;
        if (!count)
            return;
    }
    if (count)
        shape->half(tile, from_at, to_at, count);
}

size_t CPU(tile_vectors)(size_t lanes)
{
    const size_t vectors = (lanes + V - 1) / V;

    return vectors == 3 ? 3 : vectors == 1 ? 1 : 2;
}
