/* ResNet and FPN: options, modules. torchvision's definitions and parameter names ("backbone.body.layer1.0.conv1.weight",
 * "backbone.fpn.inner_blocks.0.0.weight"), so that a torchvision state dict fits. */
#ifndef DF_DETECTORS_NETWORK_H
#define DF_DETECTORS_NETWORK_H
#include "core/base/option.h"
#include "core/nn/ops.h"
#include "core/nn/parameters.h"

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
df_status df_network_check(const struct df_network_options *options, const char *where, struct df_error *err); /* combinations */

/* convolution + norm (+ relu), the unit a network is made of. Fixed: batch norm folded into weight and bias, once (for frozen networks). */
struct df_conv_unit {
    struct df_parameter *weight, *bias, *gamma, *beta, *mean, *var; /* bias or (gamma, beta, mean, var); all may be NULL but weight */
    struct df_conv_options options;
    double eps, momentum;
    bool relu, frozen_norm;
    struct df_parameter *folded_weight, *folded_bias; /* NULL: not folded */
};
df_tensor *df_conv_unit_forward(df_tape *tape, struct df_conv_unit *unit, df_tensor *x, bool training);

#define DF_STAGES 4
#define DF_LEVELS 8
struct df_network;
df_status df_network_new(const struct df_network_options *options, struct df_parameters *parameters, struct df_network **out,
                         struct df_error *err);
void df_network_free(struct df_network *network);
/* Marks the network as frozen: batch norms are folded at the next forward; nothing trains. Call after the parameters have their values. */
void df_network_fold(struct df_network *network);
size_t df_network_levels(const struct df_network *network);
size_t df_network_stride(const struct df_network *network, size_t level);
size_t df_network_channels(const struct df_network *network, size_t level);       /* of the neck */
size_t df_network_stage_channels(const struct df_network *network, size_t stage); /* of C(stage+2); 0 where there is none */
size_t df_network_options_levels(const struct df_network_options *options);       /* before there is a network */
/* x [N,H,W,3]; stage[k] = C(k+2) (NULL where there is none); level[l] = finest first. */
void df_network_forward(struct df_network *network, df_tape *tape, df_tensor *x, bool training, df_tensor *stage[DF_STAGES],
                        df_tensor *level[DF_LEVELS]);
#endif
