/* An image of a data set on the page: stored once, as PNG in a data: URI, shown as often as wanted, with boxes or cells over it. */
#ifndef DF_ABLATIONS_REPORT_PICTURE_H
#define DF_ABLATIONS_REPORT_PICTURE_H
#include "ablations/report/page.h"

struct df_picture {
    size_t number;     /* its address in the page: "i<number>" */
    int width, height; /* of the stored image, which is what boxes are in; a large one is shown reduced */
};
/* Reads image `index` and adds it, unseen, to the page under picture->number; its size is filled in. *shown: false where the page has no room. */
df_status df_picture_add(struct df_page *page, struct df_dataset *dataset, size_t index, struct df_picture *picture, bool *shown,
                         struct df_error *err);
/* <figure> of that class with a caption (HTML) and the image; what is added until _end lies over it, in its pixels. */
void df_picture_begin(const struct df_picture *picture, const char *class, const char *caption, struct df_text *out);
void df_picture_end(struct df_text *out);
/* x, y, width, height; text: what is told where it is pointed at. colour: of its class */
void df_picture_box(const double *box, size_t colour, const char *text, struct df_text *out);
const char *df_picture_colour(size_t class);
#endif
