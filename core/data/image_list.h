/* Image files as a data set without ground truth: for predictions. */
#ifndef DF_CORE_DATA_IMAGE_LIST_H
#define DF_CORE_DATA_IMAGE_LIST_H
#include "core/data/dataset.h"

/* Image i has id i + 1 and paths[i] as its name; pictures whose EXIF tag swaps their sides stand upright. Every file is read once, so that one that
 * cannot be is told before anything is computed: an error, or (skip_bad) a warning, and it is left out. Categories and names are copied. At least
 * one image must be left. */
df_status df_image_list_open(const char *const *paths, size_t count, const struct df_category *category, size_t categories, bool skip_bad,
                             struct df_dataset **out, struct df_error *err);
/* The JPEG and PNG files of a folder, by their names' ends, sorted; df_names_free. */
df_status df_image_list_folder(const char *folder, char ***paths, size_t *count, struct df_error *err);
#endif
