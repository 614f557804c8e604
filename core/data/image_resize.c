/* Bilinear resizing with half-pixel centres and no antialiasing: PyTorch's interpolate(mode="bilinear", align_corners=False). */
#include <math.h>
#include <string.h>

#include "core/data/image_file.h"

struct tap { /* between `low` and `high`, `share` of the way */
    size_t low, high;
    float share;
};

static inline struct tap tap_of(int at, int from, float ratio)
{
    const float centre = ((float)at + 0.5f) * ratio - 0.5f, position = centre > 0 ? centre : 0;
    int low = (int)position;

    low = low < from - 1 ? low : from - 1;
    return (struct tap){ (size_t)low, (size_t)(low + (low < from - 1)), position - (float)low };
}

void df_image_resize(const struct df_image *from, uint8_t *to, int to_width, int to_height)
{
    const size_t stride = (size_t)from->width * 3;
    const float ratio_x = (float)from->width / (float)to_width, ratio_y = (float)from->height / (float)to_height;

    if (from->width == to_width && from->height == to_height) {
        memcpy(to, from->pixels, stride * (size_t)to_height);
        return;
    }
    for (int y = 0; y < to_height; y++) {
        const struct tap v = tap_of(y, from->height, ratio_y);
        const uint8_t *a = from->pixels + v.low * stride, *b = from->pixels + v.high * stride;

        for (int x = 0; x < to_width; x++) {
            const struct tap u = tap_of(x, from->width, ratio_x);

            for (size_t c = 0; c < 3; c++) {
                const float top = (1 - u.share) * (float)a[3 * u.low + c] + u.share * (float)a[3 * u.high + c];
                const float bottom = (1 - u.share) * (float)b[3 * u.low + c] + u.share * (float)b[3 * u.high + c];

                *to++ = (uint8_t)((1 - v.share) * top + v.share * bottom + 0.5f);
            }
        }
    }
}
