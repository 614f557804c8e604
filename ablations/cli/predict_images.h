/* Predictions on image files. */
#ifndef DF_ABLATIONS_CLI_PREDICT_IMAGES_H
#define DF_ABLATIONS_CLI_PREDICT_IMAGES_H
#include <stdbool.h>

#include "core/base/status.h"

struct df_predict_images {
    const char *path; /* of an image, or of a folder of images */
    const char *checkpoint, *device;
    const char *output; /* folder: a PNG for each image, by its name */
    double score;       /* boxes of at least this score are told and drawn */
    bool json, skip_bad;
};
bool df_predict_is_images(const char *path); /* a folder, or a file whose name ends as an image's does */
/* Prints a table or JSON. */
df_status df_predict_images(const struct df_predict_images *options, struct df_error *err);
#endif
