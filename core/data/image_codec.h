/* The decoders behind image_file.h. data is a whole file in memory; name is for messages. */
#ifndef DF_CORE_DATA_IMAGE_CODEC_H
#define DF_CORE_DATA_IMAGE_CODEC_H
#include "core/data/image_file.h"

struct df_codec_input {
    const char *name;
    uint8_t *data; /* JPEG: two more bytes may be written behind the end */
    size_t bytes;
    struct df_error *err;
};
df_status df_jpeg_size(const struct df_codec_input *in, int *width, int *height);
df_status df_jpeg_decode(const struct df_codec_input *in, int width, int height, uint8_t *rgb);
df_status df_png_size(const struct df_codec_input *in, int *width, int *height);
df_status df_png_decode(const struct df_codec_input *in, int width, int height, uint8_t *rgb);
/* Refuses sizes of 0 or above DF_IMAGE_MAX_PIXELS. */
df_status df_image_check_size(const struct df_codec_input *in, uint64_t width, uint64_t height);
#endif
