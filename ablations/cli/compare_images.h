/* A comparison under other validation images: the bootstrap over images, of the detections that finished cells leave (results.json). */
#ifndef DF_ABLATIONS_CLI_COMPARE_IMAGES_H
#define DF_ABLATIONS_CLI_COMPARE_IMAGES_H
#include "ablations/cli/compare_source.h"

struct df_images_interval {
    size_t draws, images;
    double low, high; /* 95 % of the draws' mean differences over the pairs, points: for these trained students */
};
/* Draws as many validation images as there are, with repetition, the same for both sides and every pair; images drawn twice count twice. The score
 * must be one of COCO's 12, or a class's AP or AP50. Every run must have left its detections. */
df_status df_compare_images(const struct df_spec *spec, const char *out, const struct df_comparison *comparison, size_t draws,
                            struct df_images_interval *interval, struct df_error *err);
#endif
