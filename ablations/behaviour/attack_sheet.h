/* A picture of an attack: images and their patched forms, and what networks find on both. */
#ifndef DF_ABLATIONS_BEHAVIOUR_ATTACK_SHEET_H
#define DF_ABLATIONS_BEHAVIOUR_ATTACK_SHEET_H
#include "ablations/behaviour/attack.h"

struct df_attack_sheet {
    const struct df_attack_case *what; /* whose patches; they must have been made. `judged` is not asked */
    size_t networks;
    struct df_subject *const *network; /* [networks] who looks: a column each, behind the images themselves */
    const char *const *name;
    size_t pictures; /* most */
};
/* Two rows an image, without and with its patch: the first images on which an attacked network finds something (of the control: any
 * network), so nobody has chosen them by what came out. Boxes above the threshold; the number at the foot counts them. PNG at path. */
df_status df_attack_sheet_write(const struct df_attack_sheet *sheet, const char *path, struct df_error *err);
#endif
