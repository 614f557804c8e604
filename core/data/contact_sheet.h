/* A picture of a dataset: images in a grid, their boxes in the colours of their classes, a legend below. */
#ifndef DF_CORE_DATA_CONTACT_SHEET_H
#define DF_CORE_DATA_CONTACT_SHEET_H
#include "core/data/dataset.h"

struct df_sheet_options {
    size_t from, count; /* images; cut at the dataset's end */
    int columns;
    int cell;   /* pixels that the longer side of an image gets: small images are enlarged by a whole factor, large ones reduced */
    bool boxes; /* draw them, with their classes' names */
};
df_status df_contact_sheet(struct df_dataset *dataset, const struct df_sheet_options *options, struct df_image *out, struct df_error *err);
#endif
