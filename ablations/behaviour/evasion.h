/* What a patch did to a detector: the challenge's score of an image, and the numbers of many. Source: the scorer of the CIKM 2020
 * challenge, but that a pixel has changed when any of its channels has (patch.h). */
#ifndef DF_ABLATIONS_BEHAVIOUR_EVASION_H
#define DF_ABLATIONS_BEHAVIOUR_EVASION_H
#include "ablations/behaviour/patch.h"

struct df_evasion {     /* of one image and one detector */
    size_t clean, left; /* boxes above the threshold without and with the patch; clean 0: nothing could be hidden */
    struct df_patch_use use;
    size_t pixels; /* of the image */
};
/* 1 - min(left, clean) / clean: the share of boxes that are gone. Boxes are counted, not compared: one that moved counts as there, new ones
 * neither help nor hurt. NAN for clean = 0: nothing could be hidden. */
double df_evasion_rate(const struct df_evasion *evasion);
/* (2 - changed / (area x pixels)) x rate: at most 2, for everything hidden by hardly anything. 0 where nothing changed, or the budget is
 * not kept. NAN for clean = 0. */
double df_evasion_score(const struct df_evasion *evasion, struct df_patch_budget budget, bool within);

/* The smallest share of pixels that hides half of the boxes of half of the images: the median, over the images, of the least area among
 * those tried (rising) whose rate is 0.5 or more; INFINITY where that is none of them. rate [images][areas]. NAN for no image. */
double df_evasion_area(const double *rate, size_t images, const double *area, size_t areas);
#endif
