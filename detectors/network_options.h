/* What a network below its heads can be: the options of ResNet and FPN. The defaults are those of torchvision's retinanet_resnet50_fpn. */
#ifndef DF_DETECTORS_NETWORK_OPTIONS_H
#define DF_DETECTORS_NETWORK_OPTIONS_H
#include "core/base/option.h"

#define DF_STAGES 4
#define DF_LEVELS 8

enum { DF_BLOCK_BASIC, DF_BLOCK_BOTTLENECK };
enum { DF_STEM_STANDARD, DF_STEM_SMALL };
enum { DF_NETWORK_NORM_BATCH, DF_NETWORK_NORM_FROZEN };
enum { DF_EXTRA_NONE, DF_EXTRA_POOL, DF_EXTRA_P6P7 };
enum { DF_EXTRA_FROM_C5, DF_EXTRA_FROM_P5 };

struct df_network_options { /* a spec's "network" object; table df_network_option_table */
    int64_t depth;          /* 10, 18, 34, 50, 101, 152; 0: as `blocks` and `block` say */
    int block;              /* "basic|bottleneck" */
    struct df_list blocks;  /* blocks per stage, 1 to 4 stages */
    int64_t base_width;     /* 64 in the standard ResNet: the stem's and the first stage's width */
    struct df_list widths;  /* stage widths instead of base_width * 2^k (before a bottleneck's expansion of 4); empty: standard */
    int64_t stem_width;     /* 0: base_width */
    int stem; /* "standard|small": 7x7 stride 2 + max pool (first stage stride 4) | 3x3 stride 2 (first stage strides 2 more: 4) */
    int norm; /* "batch|frozen": batch norm that learns | statistics and affine frozen (torchvision's FrozenBatchNorm2d) */
    double norm_eps, norm_momentum;
    struct df_list fpn_stages; /* which stages feed the FPN: 2..5 = C2..C5, e.g. 3,4,5 */
    int64_t fpn_channels;
    int extra;          /* "none|pool|p6p7": nothing, a stride-2 max pool on the last level, torchvision's LastLevelP6P7 */
    int extra_from;     /* "c5|p5": what P6 is made from */
    int64_t head_convs; /* 3x3 convolutions per head branch: 4 in torchvision's RetinaNet */
    int64_t head_width; /* 0: fpn_channels */
    int head_norm;      /* "none|batch": none as torchvision; batch norm with statistics and affine per level */
};
extern const df_option df_network_option_table[];
size_t df_network_options_levels(const struct df_network_options *options);
#endif
