/* Image files as a data set without ground truth: for predictions. */
#ifndef DF_CORE_DATA_IMAGE_LIST_H
#define DF_CORE_DATA_IMAGE_LIST_H
#include "core/data/dataset.h"

struct df_image_files {
    const char *const *path; /* [count] */
    size_t count;
    bool skip_bad; /* one that cannot be read is left out with a warning: else it is an error */
};
/* Image i has id i + 1 and its path as its name; pictures whose EXIF tag swaps their sides stand upright. Every file is read once, so that one that
 * cannot be is told before anything is computed. Categories and names are copied. At least
 * one image must be left. */
df_status df_image_list_open(struct df_image_files files, const struct df_category *category, size_t categories, struct df_dataset **out,
                             struct df_error *err);
/* The JPEG and PNG files of a folder, by their names' ends, sorted; df_names_free. */
df_status df_image_list_folder(const char *folder, char ***paths, size_t *count, struct df_error *err);
#endif
