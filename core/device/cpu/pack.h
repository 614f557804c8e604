/* Weights in the order in which tiles read them: [lane block][term][vectors V], lanes that are none are 0. A lane block is what one tile takes
 * of the lanes, up to three vectors; terms are (tap, channel) of the forward pass, (tap, filter) of the data gradient. */
#ifndef DF_CORE_DEVICE_CPU_PACK_H
#define DF_CORE_DEVICE_CPU_PACK_H
#include "core/device/cpu/tile.h"

struct pack_shape {
    size_t filters, taps, channels; /* of w [filters][taps][channels] */
    bool backward;                  /* lanes: channels; else filters */
};
size_t CPU(packed_floats)(const struct pack_shape *shape);
void CPU(pack)(const struct pack_shape *shape, const float *w, float *to);

/* Packed weights that are kept by (pointer, shape) for as long as their version stays. */
struct df_packs;
struct df_packs *CPU(packs_new)(void);
void CPU(packs_free)(struct df_packs *packs);
void CPU(packs_forget)(struct df_packs *packs, const void *memory, size_t bytes);
const float *CPU(packed)(struct df_packs *packs, const struct pack_shape *shape, struct df_weights w);
#endif
