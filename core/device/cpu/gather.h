/* Forward pass, data gradient and products are one thing: for every output pixel the rows of the taps that hit it, times packed weights. */
#ifndef DF_CORE_DEVICE_CPU_GATHER_H
#define DF_CORE_DEVICE_CPU_GATHER_H
#include "core/device/cpu/pack.h"
#include "core/device/cpu/plan.h"

struct gather {
    const struct plan *plan;
    const float *from, *packed, *bias; /* bias [lanes] or NULL */
    float *to;
    size_t images, from_image, to_image; /* floats of an image */
    size_t lanes, terms;                 /* terms: rows of packed weights */
    bool relu, add;
};
void CPU(gather)(struct df_device *device, const struct gather *g);
#endif
