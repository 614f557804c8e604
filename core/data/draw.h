/* Drawing on a picture: rectangles, words, boxes of classes. What lies outside is cut off. */
#ifndef DF_CORE_DATA_DRAW_H
#define DF_CORE_DATA_DRAW_H
#include "core/data/dataset.h"

#define DF_GLYPH_HEIGHT 7 /* pixels at scale 1 */

struct df_colour {
    uint8_t rgb[3];
};
struct df_colour df_class_colour(size_t label); /* after twelve they repeat */
void df_draw_rectangle(struct df_image *image, int x, int y, int width, int height, struct df_colour colour);
/* Letters become capitals, what has no glyph a low line. */
void df_draw_text(struct df_image *image, int x, int y, int scale, const char *text, struct df_colour colour);
int df_text_width(const char *text, int scale);

struct df_frame {
    int x, y, width, height; /* pixels of the picture that boxes are relative to and stay inside of */
};
/* box: x, y, width, height in the frame. The name ("": none) stands over it, or inside where there is no room. */
void df_draw_box(struct df_image *image, struct df_frame frame, const double box[4], struct df_colour colour, const char *name, int scale);
#endif
