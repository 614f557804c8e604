#include "core/data/image_codec.h"

df_status df_image_check_size(const struct df_codec_input *in, uint64_t width, uint64_t height)
{
    if (width == 0 || height == 0)
        return df_fail(in->err, DF_ERR_FORMAT, "%s: the header says %llu x %llu pixels", in->name, (unsigned long long)width,
                       (unsigned long long)height);
    if (width > DF_IMAGE_MAX_PIXELS || height > DF_IMAGE_MAX_PIXELS || width * height > DF_IMAGE_MAX_PIXELS)
        return df_fail(in->err, DF_ERR_FORMAT, "%s: the header says %llu x %llu pixels, more than the limit of %u", in->name,
                       (unsigned long long)width, (unsigned long long)height, DF_IMAGE_MAX_PIXELS);
    return DF_OK;
}
