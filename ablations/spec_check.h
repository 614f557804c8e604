/* What a spec can be told before anything is trained, beyond what reading it tells. */
#ifndef DF_ABLATIONS_SPEC_CHECK_H
#define DF_ABLATIONS_SPEC_CHECK_H
#include "ablations/spec.h"

#define DF_SPEC_CHECK_BYTES ((size_t)256 << 20) /* of image files that are decoded for it, the validation split's first */

struct df_spec_checked {
    size_t images, of; /* decoded; in all: fewer where the files are many */
};
/* Every variant: that each image fits the canvas and each split makes a batch, that what the distillers need fits on both networks, that their options go together, that image files
 * can be decoded, of all splits. skip_bad: those of the training split need not. Data sets that variants share are looked at once. */
df_status df_spec_check(const struct df_spec *spec, bool skip_bad, struct df_spec_checked *out, struct df_error *err);
#endif
