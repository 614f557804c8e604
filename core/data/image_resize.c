/* Resizing of 8-bit images, by the arithmetic that devices share (core/geometry/canvas.h). */
#include <string.h>

#include "core/data/image_file.h"
#include "core/geometry/canvas.h"

void df_image_resize(const struct df_image *from, uint8_t *to, int to_width, int to_height)
{
    const size_t width = (size_t)from->width, height = (size_t)from->height, stride = width * 3;

    if (from->width == to_width && from->height == to_height) {
        memcpy(to, from->pixels, stride * height);
        return;
    }
    for (size_t y = 0; y < (size_t)to_height; y++) {
        const struct df_canvas_tap v = df_canvas_tap_of(y, height, (size_t)to_height);

        for (size_t x = 0; x < (size_t)to_width; x++) {
            const struct df_canvas_tap u = df_canvas_tap_of(x, width, (size_t)to_width);

            for (size_t c = 0; c < 3; c++)
                *to++ = df_canvas_blend(from->pixels + v.low * stride, from->pixels + v.high * stride, u, v, c);
        }
    }
}
