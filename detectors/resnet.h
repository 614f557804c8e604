/* The ResNet body: stem and one to four stages of residual blocks. Used by network.c. */
#ifndef DF_DETECTORS_RESNET_H
#define DF_DETECTORS_RESNET_H
#include "detectors/conv_unit.h"
#include "detectors/network_options.h"

struct df_resnet_plan { /* what depth, block, blocks, base_width and widths come to */
    bool bottleneck, small_stem;
    size_t stem_width, stages;
    size_t blocks[DF_STAGES], width[DF_STAGES];
};
/* false: there is no ResNet of that depth */
bool df_resnet_plan(const struct df_network_options *options, struct df_resnet_plan *plan);

struct df_resnet_block {
    struct df_conv_unit *conv[3], *down; /* down NULL: the identity */
    size_t convs;
};
struct df_resnet {
    struct df_conv_unit *stem;
    bool pool;
    size_t stages;
    size_t blocks[DF_STAGES], channels[DF_STAGES];
    struct df_resnet_block *block[DF_STAGES];
};
void df_resnet_init(struct df_resnet *resnet, struct df_conv_units *units, const struct df_resnet_plan *plan);
void df_resnet_release(struct df_resnet *resnet);
/* x [N,H,W,3] -> the first stage's input */
df_tensor *df_resnet_stem(struct df_resnet *resnet, df_tape *tape, df_tensor *x, bool training);
/* x [N,H,W,3]; stage[k] = C(k+2), stride 4 * 2^k; NULL beyond the last */
void df_resnet_forward(struct df_resnet *resnet, df_tape *tape, df_tensor *x, bool training, df_tensor *stage[DF_STAGES]);
#endif
