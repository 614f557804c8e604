/* Averaged weights: beside a network in training a second one whose values and buffers (batch-norm statistics too) are an exponential moving
 * average of the first one's over the steps. It takes no part in the training: whoever wants it swaps it in. */
#ifndef DF_CORE_NN_AVERAGES_H
#define DF_CORE_NN_AVERAGES_H
#include "core/nn/parameters.h"

/* The averages are the values of now; the first call takes their memory. After df_parameters_build. */
void df_averages_begin(struct df_parameters *parameters);
/* After the optimiser's step `step`, which counts from 1: a += (1 - d) (x - a), so that what stays as it is stays to the last bit, with
 *   d = min(decay, (1 + step) / (10 + step)):
 * the first steps, far from where a training ends, are soon forgotten. Every rank averages the same values.
 * Sources: the formula and d: tf.train.ExponentialMovingAverage with num_updates (TensorFlow 2); buffers too, as
 * torch.optim.swa_utils.AveragedModel(use_buffers=True) (PyTorch 2). */
void df_averages_step(struct df_parameters *parameters, double decay, size_t step);
/* The averages in place of the values, for all who read the parameters; called again, the other way round. Raises the version. In between
 * nobody may train. Where no averages are kept, nothing happens. */
void df_averages_swap(struct df_parameters *parameters);
#endif
