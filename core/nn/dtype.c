#include "core/nn/dtype.h"

#include <math.h>
#include <string.h>

float df_half_value(uint16_t bits)
{
    const int exponent = bits >> 10 & 31;
    const float fraction = (float)(bits & 1023), sign = bits >> 15 ? -1 : 1;

    if (exponent == 31)
        return fraction > 0 ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexpf(1024 + fraction, exponent - 25) : ldexpf(fraction, -24));
}

/* bits without the last `drop`, rounded to nearest, ties to even */
static uint32_t rounded(uint32_t bits, unsigned drop)
{
    const uint32_t kept = bits >> drop, rest = bits & ((1u << drop) - 1), half = 1u << (drop - 1);

    return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t df_half(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);

    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const uint32_t size = bits & 0x7fffffff;

    if (size > 0x7f800000) /* NaN */
        return (uint16_t)(sign | 0x7e00);
    if (size >= 0x477ff000) /* 65520: halfway from the largest one to what would be next */
        return (uint16_t)(sign | 0x7c00);
    if (size >= 0x38800000) /* 2^-14: a carry goes on into the exponent, as it should */
        return (uint16_t)(sign | (rounded(size, 13) - (112u << 10)));
    if (size < 0x33000000) /* 2^-25 */
        return sign;
    return (uint16_t)(sign | rounded((size & 0x7fffff) | 0x800000, 126 - (size >> 23))); /* multiples of 2^-24 */
}

static float brain(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;

    memcpy(&value, &wide, sizeof value);
    return value;
}

size_t df_dtype_bytes(const char *dtype)
{
    return strcmp(dtype, "F64") == 0 ? 8 : strcmp(dtype, "F32") == 0 ? 4 : strcmp(dtype, "F16") && strcmp(dtype, "BF16") ? 0 : 2;
}

float df_dtype_value(const char *dtype, const char *at)
{
    double wide;
    float single;
    uint16_t bits;

    if (strcmp(dtype, "F64") == 0)
        return (float)(memcpy(&wide, at, sizeof wide), wide);
    if (strcmp(dtype, "F32") == 0)
        return (memcpy(&single, at, sizeof single), single);
    memcpy(&bits, at, sizeof bits);
    return dtype[0] == 'B' ? brain(bits) : df_half_value(bits);
}
