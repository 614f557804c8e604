/* The decoders behind image_file.h, and an encoder. */
#ifndef DF_CORE_DATA_IMAGE_CODEC_H
#define DF_CORE_DATA_IMAGE_CODEC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

#define DF_IMAGE_MAX_PIXELS (100u * 1000 * 1000) /* larger images are refused before anything is allocated */

struct df_codec_input {
    const char *name; /* for messages */
    uint8_t *data;    /* a whole file. JPEG: two more bytes may be written behind the end */
    size_t bytes;
    struct df_error *err;
};
df_status df_jpeg_size(const struct df_codec_input *in, int *width, int *height);
/* Whether there is an end marker: a file that was cut has none. */
bool df_jpeg_has_end(const uint8_t *data, size_t bytes);
df_status df_jpeg_decode(const struct df_codec_input *in, int width, int height, uint8_t *rgb);
df_status df_png_size(const struct df_codec_input *in, int *width, int *height);
df_status df_png_decode(const struct df_codec_input *in, int width, int height, uint8_t *rgb);
df_status df_png_write(const char *path, const uint8_t *rgb, int width, int height, struct df_error *err);
/* Refuses sizes of 0 or above DF_IMAGE_MAX_PIXELS. */
df_status df_image_check_size(const struct df_codec_input *in, uint64_t width, uint64_t height);
#endif
