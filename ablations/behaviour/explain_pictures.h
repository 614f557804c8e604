/* Pictures of what networks' findings rest on: an object's map over its image, and a sheet of every object of an image and every network. */
#ifndef DF_ABLATIONS_BEHAVIOUR_EXPLAIN_PICTURES_H
#define DF_ABLATIONS_BEHAVIOUR_EXPLAIN_PICTURES_H
#include "ablations/behaviour/explain.h"

struct df_explain_picture { /* of one network */
    const char *label;
    struct df_heard heard;
};
struct df_explain_pictures {
    const struct df_explain_options *options;
    size_t maps;
    const struct df_explain_picture *map; /* [maps] of the same images; the sheet's columns */
    char *folder;
};
/* Image i of those that were heard of, into folder: "<i>.png" the sheet, a row for every object; "<i>.<object>-<network>.png". Every map from its own least
 * value (dark) to its largest (bright). An image without objects has none. */
df_status df_explain_pictures_draw(const struct df_explain_pictures *pictures, struct df_dataset *dataset, size_t i, struct df_error *err);
#endif
