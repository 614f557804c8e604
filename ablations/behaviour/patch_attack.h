/* The attack: where an image is to be covered, and with what, so that one detector, or several at once, find less. Both steps follow the
 * slope of a loss in the pixels. Source: Zhao, Yan and Wei, arXiv 2010.14974 ("Object Hider") and its code. What the networks are given is
 * always an image of whole numbers, the one that would be judged.
 *
 * Where: an attack on the chosen blocks, all of them at first, without a bound: noise += select_step g / rms(g) per channel, over the
 * blocks' pixels; a block is as important as the mean of |noise| in it, and the best ones stay: all that the budget pays for at once, or
 * half of them each time and attacked anew. Heat map: one attack on the mean of the losses. Consensus: one attack on each network, |noise|
 * divided by its sum, added up; of one network both choose the same.
 *
 * What: x -= step sign(g) in the chosen blocks, within 0..255; step begins at `step` and is multiplied by `decay` whenever the loss has not
 * fallen below what it was `patience` iterations before, but not below `least_step`. It ends with `steps`, or a loss of 0; the image of the
 * least loss is the result.
 *
 * Deviates from the authors' code: the noise's step is in grey levels (theirs is the length of the whole image's, 5 to 200); a pixel that
 * the steps leave as it was is not changed for its own sake; Faster R-CNN's loss has no share of boxes that the clean image did not show;
 * every image starts unchanged. */
#ifndef DF_ABLATIONS_BEHAVIOUR_PATCH_ATTACK_H
#define DF_ABLATIONS_BEHAVIOUR_PATCH_ATTACK_H
#include "ablations/behaviour/patch.h"

enum df_block_choice { DF_BLOCKS_HEAT, DF_BLOCKS_CONSENSUS };
enum df_block_search { DF_BLOCKS_ONE_SHOT, DF_BLOCKS_BISECTION };
struct df_attack_options {
    struct df_patch_budget budget;
    int side; /* of a block, pixels; 0: by the budget */
    enum df_block_choice choice;
    enum df_block_search search;
    size_t select_steps, steps, patience;
    double select_step, step, decay, least_step; /* grey levels; decay: a factor */
};

/* Who is attacked: networks that say what a loss of an image is, and its slope. */
struct df_attacked {
    void *self;
    size_t count; /* at least 1 */
    /* loss: 0 or more, 0: nothing is left to hide. slope [height,width,3]: of network k's loss, by grey level. */
    df_status (*slope)(void *self, size_t k, const struct df_image *image, double *loss, double *slope, struct df_error *err);
};
struct df_attack_result {
    double before, after; /* the mean loss of the clean image, and of the result */
    size_t iterations;    /* of the second step */
};
/* out: the patched image, of the clean one's size, within the budget. */
df_status df_attack_image(const struct df_attack_options *options, const struct df_attacked *attacked, const struct df_image *clean,
                          struct df_image *out, struct df_attack_result *result, struct df_error *err);
/* The control: blocks and values drawn at random for image `index`. What it hides is due to being covered, not to an attack. */
void df_attack_at_random(const struct df_attack_options *options, uint64_t seed, uint64_t index, const struct df_image *clean,
                         struct df_image *out);
#endif
