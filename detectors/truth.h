/* A batch's ground truth on the device, for whatever assigns it to rows. */
#ifndef DF_DETECTORS_TRUTH_H
#define DF_DETECTORS_TRUTH_H
#include "core/data/loader.h"
#include "core/nn/tape.h"

/* Objects of an image that there is room for, so that all batches of a canvas look alike; a batch with more has twice the room, until they fit.
 * No number depends on it. */
#define DF_TRUTH_ROOM 128

/* On the host and on the device, until the tape's reset. */
struct df_truth df_truth_of(df_tape *tape, const struct df_batch *images);
struct df_truth df_truth_send(df_tape *tape, const struct df_batch *images);
#endif
