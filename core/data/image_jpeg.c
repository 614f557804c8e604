/* JPEG through TurboJPEG. libjpeg fills what is missing or damaged with grey and only warns; here such a warning is an error, except that
 * a few stray bytes behind the scan and a missing end marker are told and passed over. Four-channel JPEG is refused. */
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "core/data/image_codec.h"

#define STRAY_MAX 16 /* more bytes left over than this: the scan itself is damaged */

struct exif { /* a TIFF block inside the file */
    const uint8_t *data;
    size_t bytes;
    bool big_endian;
};

static unsigned exif_number(const struct exif *e, size_t at, size_t bytes)
{
    unsigned value = 0;

    for (size_t i = 0; i < bytes; i++)
        value |= (unsigned)e->data[at + i] << 8 * (e->big_endian ? bytes - 1 - i : i);
    return value;
}

/* Orientation from the first directory; 1 when it is absent, damaged or illegal. */
static unsigned exif_orientation(const uint8_t *data, size_t bytes)
{
    const struct exif e = { data, bytes, bytes > 0 && data[0] == 'M' };

    if (bytes < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return 1;
    size_t at = exif_number(&e, 4, 4);
    if (at > bytes - 2)
        return 1;
    const unsigned entries = exif_number(&e, at, 2);
    at += 2;
    for (unsigned i = 0; i < entries && bytes - at >= 12; i++, at += 12)
        if (exif_number(&e, at, 2) == 0x112 && exif_number(&e, at + 2, 2) == 3) {
            const unsigned value = exif_number(&e, at + 8, 2);

            return value >= 1 && value <= 8 ? value : 1;
        }
    return 1;
}

/* Walks the segments up to the first scan. */
static unsigned jpeg_orientation(const uint8_t *data, size_t bytes)
{
    size_t at = 2;

    while (bytes - at >= 4 && data[at] == 0xff) {
        if (data[at + 1] == 0xff) { /* fill byte */
            at++;
            continue;
        }
        const size_t length = (size_t)data[at + 2] << 8 | data[at + 3];

        if (data[at + 1] == 0xda || length < 2 || length > bytes - at - 2)
            return 1;
        if (data[at + 1] == 0xe1 && length >= 8 && memcmp(data + at + 4, "Exif\0", 6) == 0)
            return exif_orientation(data + at + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

static df_status jpeg_fail(const struct df_codec_input *in, tjhandle handle)
{
    return df_fail(in->err, DF_ERR_FORMAT, "%s: damaged or unsupported JPEG: %s", in->name, tjGetErrorStr2(handle));
}

df_status df_jpeg_size(const struct df_codec_input *in, int *width, int *height)
{
    tjhandle handle = tjInitDecompress();
    int w = 0, h = 0, sampling, space = 0;
    df_status status = DF_OK;

    if (!handle)
        return df_fail(in->err, DF_ERR_IO, "%s: TurboJPEG cannot start: %s", in->name, tjGetErrorStr2(NULL));
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

static bool has_end(const uint8_t *data, size_t bytes)
{
    for (size_t i = bytes - 1; i > 1; i--)
        if (data[i] == 0xd9 && data[i - 1] == 0xff)
            return true;
    return false;
}

static int decode(tjhandle handle, const struct df_codec_input *in, size_t bytes, int width, int height, uint8_t *rgb, int flags)
{
    return tjDecompress2(handle, in->data, bytes, rgb, width, 0, height, TJPF_RGB, TJFLAG_ACCURATEDCT | flags);
}

df_status df_jpeg_decode(const struct df_codec_input *in, int width, int height, uint8_t *rgb)
{
    tjhandle handle = tjInitDecompress();
    const bool ended = has_end(in->data, in->bytes);
    const unsigned orientation = jpeg_orientation(in->data, in->bytes);
    const size_t bytes = in->bytes + 2;
    df_status status = DF_OK;

    if (!handle)
        return df_fail(in->err, DF_ERR_IO, "%s: TurboJPEG cannot start: %s", in->name, tjGetErrorStr2(NULL));
    in->data[in->bytes] = 0xff; /* one end marker more: then only missing data makes the decoder complain */
    in->data[in->bytes + 1] = 0xd9;
    if (decode(handle, in, bytes, width, height, rgb, TJFLAG_STOPONWARNING) != 0) {
        const char *text = tjGetErrorStr2(handle);
        const bool stray = strstr(text, "extraneous bytes") && strtoul(text + strcspn(text, "0123456789"), NULL, 10) <= STRAY_MAX;

        if (stray)
            df_warn("%s: %s", in->name, text);
        if (!stray || (decode(handle, in, bytes, width, height, rgb, 0) != 0 && tjGetErrorCode(handle) != TJERR_WARNING))
            status = jpeg_fail(in, handle);
    }
    tjDestroy(handle);
    if (status == DF_OK && !ended)
        df_warn("%s: no end marker, though the picture is complete", in->name);
    if (status == DF_OK && orientation != 1)
        df_warn("%s: EXIF orientation %u is not applied: boxes refer to the stored pixels", in->name, orientation);
    return status;
}
