/* TF32: 10 bits of mantissa, rounded to nearest. */
#ifndef DF_HOSTCUDA_TF32_H
#define DF_HOSTCUDA_TF32_H
#include <stdint.h>

inline double round_tf32(float x, bool on)
{
    uint32_t bits;

    if (!on || x != x)
        return double(x);
    __builtin_memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x1000u) & ~uint32_t(0x1fff);
    __builtin_memcpy(&x, &bits, sizeof x);
    return double(x);
}
#endif
