/* Decoding JPEG (TurboJPEG) and PNG (libpng) by their first bytes, never by name, into 8-bit RGB. The same bits on every
 * machine. */
#ifndef DF_CORE_DATA_IMAGE_FILE_H
#define DF_CORE_DATA_IMAGE_FILE_H
#include "core/data/dataset.h"

/* The stored pixels: EXIF orientation is not applied (a warning is given when the tag is not 1). */
df_status df_image_read(const char *path, struct df_image *out, struct df_error *err);
/* The same for a picture that somebody says is width x height (0: nobody does): if the orientation swaps the sides and that is the upright size,
 * not the stored one, the picture is turned upright. Any other size is an error: boxes of another picture, or in other pixels, teach nothing. */
df_status df_image_read_as(const char *path, int width, int height, struct df_image *out, struct df_error *err);
/* The same for a picture that nobody says anything of: turned upright if its orientation exchanges the sides. */
df_status df_image_read_upright(const char *path, struct df_image *out, struct df_error *err);
/* Of a file that is in memory: checks what can be known without decoding, and decodes it where its end is missing. *width, *height: 0 becomes the
 * stored size, any other must be as df_image_read_as wants it. */
df_status df_image_check(const char *path, const void *data, size_t bytes, int *width, int *height, struct df_error *err);
df_status df_image_size(const char *path, int *width, int *height, struct df_error *err);
/* Bilinear, half-pixel centres, no antialiasing (PyTorch's interpolate(align_corners=False)), computed in float, rounded to 8 bits. */
void df_image_resize(const struct df_image *from, uint8_t *to, int to_width, int to_height);
#endif
