/* Deletion and insertion (Petsiuk, Das, Saenko, BMVC 2018): does the network lose the object as the pixels go that the map calls important, and find
 * it as they come? The score after each step is that of the best detection, df_best_similarity. The area under the curve, each step of the same
 * share of the pixels: (sum y - y_0 / 2 - y_n / 2) / n over the n steps. */
#ifndef DF_ABLATIONS_BEHAVIOUR_ERASURE_H
#define DF_ABLATIONS_BEHAVIOUR_ERASURE_H
#include "ablations/behaviour/map_scores.h"
#include "ablations/behaviour/saliency.h"

struct df_erasure_options {
    int64_t steps; /* n */
    double blur;   /* where insertion starts: a Gaussian of this many pixels, cut at as many */
};
struct df_erasure {
    double deletion;  /* from the whole image to black; less is better */
    double insertion; /* from the blurred image to the whole one; more is better */
};
/* Of one of the asked targets and its map, of the image's valid region. */
df_status df_erasure_measure(const struct df_erasure_options *options, const struct df_saliency_options *saliency,
                             const struct df_answerer *answerer, const struct df_scene_asked *asked, size_t target,
                             const struct df_map *map, struct df_erasure *out, struct df_error *err);
/* The image blurred: out like the image's pixels; beyond the valid region's edge the edge goes on. */
void df_blur(const struct df_batch *image, double sigma, df_real *out);
#endif
