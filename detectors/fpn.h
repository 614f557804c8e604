/* The feature pyramid. Used by network.c. */
#ifndef DF_DETECTORS_FPN_H
#define DF_DETECTORS_FPN_H
#include "detectors/conv_unit.h"
#include "detectors/network_options.h"

struct df_fpn {
    size_t inputs;
    size_t stage[DF_STAGES]; /* which stage (0 = C2) feeds input k */
    struct df_conv_unit *inner[DF_STAGES], *layer[DF_STAGES];
    int extra, extra_from;
    struct df_conv_unit *p6, *p7;
};
void df_fpn_init(struct df_fpn *fpn, struct df_conv_units *units, const struct df_network_options *options,
                 const size_t stage_channels[DF_STAGES]);
size_t df_fpn_levels(const struct df_fpn *fpn);
size_t df_fpn_stride(const struct df_fpn *fpn, size_t level);
void df_fpn_forward(struct df_fpn *fpn, df_tape *tape, df_tensor *const stage[DF_STAGES], bool training, df_tensor *level[DF_LEVELS]);
#endif
