/* JPEG through TurboJPEG, with the slow integer transform and smooth upsampling: the same bits with and without vector instructions and in
 * all versions of libjpeg-turbo that we met (tests/core/data/test_jpeg.c). libjpeg fills what is missing or damaged with grey and only warns; here such a warning is an error, except that
 * a few stray bytes behind the scan and a missing end marker are told and passed over. Four-channel JPEG is refused. */
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "core/data/image_codec.h"

#define STRAY_MAX 16 /* more bytes left over than this: the scan itself is damaged */

/* Of libjpeg's and TurboJPEG's errors those that say nothing of the file. */
static void heed_memory(const char *text)
{
    if (strstr(text, "Insufficient memory") || strstr(text, "Memory allocation failure"))
        df_out_of_memory(0);
}

static df_status jpeg_fail(const struct df_codec_input *in, tjhandle handle)
{
    heed_memory(tjGetErrorStr2(handle));
    return df_fail(in->err, DF_ERR_FORMAT, "%s: damaged or unsupported JPEG: %s", in->name, tjGetErrorStr2(handle));
}

df_status df_jpeg_size(const struct df_codec_input *in, int *width, int *height)
{
    tjhandle handle = tjInitDecompress();
    int w = 0, h = 0, sampling, space = 0;
    df_status status = DF_OK;

    if (!handle)
        df_out_of_memory(0);
    if (tjDecompressHeader3(handle, in->data, in->bytes, &w, &h, &sampling, &space) != 0)
        status = jpeg_fail(in, handle);
    else if (space == TJCS_CMYK || space == TJCS_YCCK)
        status = df_fail(in->err, DF_ERR_UNSUPPORTED, "%s: a CMYK JPEG, expected RGB or grey (convert it)", in->name);
    else
        status = df_image_check_size(in, (uint64_t)w, (uint64_t)h);
    tjDestroy(handle);
    if (status == DF_OK) {
        *width = w;
        *height = h;
    }
    return status;
}

bool df_jpeg_has_end(const uint8_t *data, size_t bytes)
{
    for (size_t i = bytes; i > 2; i--)
        if (data[i - 1] == 0xd9 && data[i - 2] == 0xff)
            return true;
    return false;
}

/* With the end marker that df_jpeg_decode put behind the file. No flag for the upsampling: smooth is what none means. */
static int decode(tjhandle handle, const struct df_codec_input *in, int width, int height, uint8_t *rgb, int flags)
{
    return tjDecompress2(handle, in->data, in->bytes + 2, rgb, width, 0, height, TJPF_RGB, TJFLAG_ACCURATEDCT | flags);
}

df_status df_jpeg_decode(const struct df_codec_input *in, int width, int height, uint8_t *rgb)
{
    tjhandle handle = tjInitDecompress();
    const bool ended = df_jpeg_has_end(in->data, in->bytes);
    df_status status = DF_OK;

    if (!handle)
        df_out_of_memory(0);
    in->data[in->bytes] = 0xff; /* one end marker more: then only missing data makes the decoder complain */
    in->data[in->bytes + 1] = 0xd9;
    if (decode(handle, in, width, height, rgb, TJFLAG_STOPONWARNING) != 0) {
        const char *text = tjGetErrorStr2(handle);

        heed_memory(text);
        const bool stray = strstr(text, "extraneous bytes") && strtoul(text + strcspn(text, "0123456789"), NULL, 10) <= STRAY_MAX;

        if (stray)
            df_warn("%s: %s", in->name, text);
        if (!stray || (decode(handle, in, width, height, rgb, 0) != 0 && tjGetErrorCode(handle) != TJERR_WARNING))
            status = jpeg_fail(in, handle);
    }
    tjDestroy(handle);
    if (status == DF_OK && !ended)
        df_warn("%s: no end marker, though the picture is complete", in->name);
    return status;
}
