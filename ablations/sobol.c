#include "ablations/sobol.h"

#include "core/base/status.h"

#define BITS 32

/* Of the primitive polynomial x^degree + a_1 x^(degree-1) + ... + 1: the bits a_1 .. a_(degree-1), and the first direction numbers. */
static const struct polynomial {
    unsigned degree, middle, m[5];
} polynomials[DF_SOBOL_AXES] = {
    { 0, 0, { 0 } }, /* van der Corput's sequence */
    { 1, 0, { 1 } },          { 2, 1, { 1, 3 } },        { 3, 1, { 1, 3, 1 } },        { 3, 2, { 1, 1, 1 } },
    { 4, 1, { 1, 1, 3, 3 } }, { 4, 4, { 1, 3, 5, 13 } }, { 5, 2, { 1, 1, 5, 5, 17 } },
};

/* v_k = v_(k-s) ^ v_(k-s) >> s ^ a_1 v_(k-1) ^ ... ^ a_(s-1) v_(k-s+1); the first s are given. */
static void directions(size_t axis, uint32_t v[BITS])
{
    const struct polynomial *p = &polynomials[axis];
    const unsigned s = p->degree;

    for (unsigned k = 0; k < BITS; k++) {
        if (s == 0 || k < s) {
            v[k] = (uint32_t)(s ? p->m[k] : 1) << (BITS - 1 - k);
            continue;
        }
        v[k] = v[k - s] ^ v[k - s] >> s;
        for (unsigned q = 1; q < s; q++)
            v[k] ^= p->middle >> (s - 1 - q) & 1 ? v[k - q] : 0;
    }
}

double df_sobol(uint32_t index, size_t axis)
{
    uint32_t v[BITS], x = 0, gray = index ^ index >> 1;

    DF_ASSERT(axis < DF_SOBOL_AXES);
    directions(axis, v);
    for (unsigned k = 0; gray; k++, gray >>= 1)
        x ^= gray & 1 ? v[k] : 0;
    return (double)x / 4294967296.0;
}
