/* An image on its canvas: resized, mirrored, normalised, padded with 0 on the right and below. The same arithmetic on the host and on every
 * device. Resizing is bilinear with half-pixel centres, without antialiasing, rounded to 8 bits: PyTorch's interpolate(mode="bilinear",
 * align_corners=False). */
#ifndef DF_CORE_GEOMETRY_CANVAS_H
#define DF_CORE_GEOMETRY_CANVAS_H
#include "core/base/real.h"

struct df_placed_image {
    size_t offset;           /* of its pixels [height][width][3] among those of all images, bytes */
    size_t width, height;    /* as stored, or resized before */
    size_t valid_w, valid_h; /* as resized, in the canvas's upper left corner; 0: all is padding */
    bool flipped;
};

struct df_canvas_tap { /* between `low` and `high`, `share` of the way */
    size_t low, high;
    float share;
};

/* Where pixel `at` of `to` lies among `from`. */
DF_KERNEL struct df_canvas_tap df_canvas_tap_of(size_t at, size_t from, size_t to)
{
    const float ratio = (float)from / (float)to, centre = ((float)at + 0.5f) * ratio - 0.5f, position = centre > 0 ? centre : 0;
    const size_t found = (size_t)position, low = found < from - 1 ? found : from - 1;
    const struct df_canvas_tap tap = { low, low + (low < from - 1), position - (float)low };

    return tap;
}

/* rows `above` and `below` [width][3] of an image, v: between them, u: between two of their pixels */
DF_KERNEL uint8_t df_canvas_blend(const uint8_t *above, const uint8_t *below, struct df_canvas_tap u, struct df_canvas_tap v, size_t c)
{
    const float top = (1 - u.share) * (float)above[3 * u.low + c] + u.share * (float)above[3 * u.high + c];
    const float bottom = (1 - u.share) * (float)below[3 * u.low + c] + u.share * (float)below[3 * u.high + c];

    return (uint8_t)((1 - v.share) * top + v.share * bottom + 0.5f);
}

/* Channels of canvas pixel (y, x). stored: the image's own; normal [3][256]: what each byte of a channel becomes */
DF_KERNEL void df_canvas_pixel(const struct df_placed_image *image, const uint8_t *stored, const df_real *normal, size_t y, size_t x,
                               df_real to[3])
{
    const size_t stride = 3 * image->width, from = image->flipped ? image->valid_w - 1 - x : x;

    if (y >= image->valid_h || x >= image->valid_w) {
        to[0] = to[1] = to[2] = 0;
    } else if (image->width == image->valid_w && image->height == image->valid_h) {
        for (size_t c = 0; c < 3; c++)
            to[c] = normal[256 * c + stored[y * stride + 3 * from + c]];
    } else {
        const struct df_canvas_tap u = df_canvas_tap_of(from, image->width, image->valid_w);
        const struct df_canvas_tap v = df_canvas_tap_of(y, image->height, image->valid_h);

        for (size_t c = 0; c < 3; c++)
            to[c] = normal[256 * c + df_canvas_blend(stored + v.low * stride, stored + v.high * stride, u, v, c)];
    }
}
#endif
