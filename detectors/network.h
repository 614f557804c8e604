/* ResNet and FPN. torchvision's definitions and parameter names ("backbone.body.layer1.0.conv1.weight",
 * "backbone.fpn.inner_blocks.0.0.weight"), so that a torchvision state dict fits. */
#ifndef DF_DETECTORS_NETWORK_H
#define DF_DETECTORS_NETWORK_H
#include "core/nn/ops.h"
#include "core/nn/parameters.h"
#include "detectors/network_options.h"

df_status df_network_check(const struct df_network_options *options, const char *where, struct df_error *err); /* combinations */

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
/* x [N,H,W,3]; stage[k] = C(k+2) (NULL where there is none); level[l] = finest first. */
void df_network_forward(struct df_network *network, df_tape *tape, df_tensor *x, bool training, df_tensor *stage[DF_STAGES],
                        df_tensor *level[DF_LEVELS]);
#endif
