/* Reading an image file. The whole file is read into the end of the image's own buffer, behind where the pixels go: once that buffer is
 * large enough, reading images takes no memory of ours. */
#include "core/data/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/data/exif.h"
#include "core/data/image_codec.h"

#define FILE_MAX ((off_t)1 << 30)
#define SPARE    2 /* bytes behind the file that the JPEG decoder may use */

enum format { FORMAT_JPEG, FORMAT_PNG, FORMAT_OTHER };

static const struct {
    const char *name, *magic;
    size_t offset, length;
} signatures[] = {
    { "JPEG", "\xff\xd8\xff", 0, 3 },
    { "PNG", "\x89PNG\r\n\x1a\n", 0, 8 },
    { "GIF", "GIF8", 0, 4 },
    { "TIFF", "II*", 0, 4 },
    { "TIFF", "MM\0*", 0, 4 },
    { "WebP", "WEBP", 8, 4 },
    { "PNM", "P6", 0, 2 },
    { "BMP", "BM", 0, 2 },
};

static df_status identify(const struct df_codec_input *in, enum format *out)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const size_t end = signatures[i].offset + signatures[i].length;

        if (in->bytes < end || memcmp(in->data + signatures[i].offset, signatures[i].magic, signatures[i].length) != 0)
            continue;
        if (i >= FORMAT_OTHER)
            return df_fail(in->err, DF_ERR_UNSUPPORTED, "%s: a %s image, expected JPEG or PNG (convert it)", in->name, signatures[i].name);
        *out = (enum format)i;
        return DF_OK;
    }
    return df_fail(in->err, DF_ERR_FORMAT, "%s: not an image, expected JPEG or PNG", in->name);
}

/* Makes image->capacity at least `bytes`, keeping what is in the buffer. */
static void grow(struct df_image *image, size_t bytes)
{
    if (bytes <= image->capacity)
        return;
    image->pixels = df_realloc(image->pixels, bytes);
    image->capacity = bytes;
}

static df_status read_all(int fd, const char *path, struct df_image *image, size_t *bytes, struct df_error *err)
{
    struct stat info;
    size_t have = 0;

    if (fstat(fd, &info) != 0)
        return df_fail(err, DF_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return df_fail(err, DF_ERR_IO, "cannot read '%s': not a regular file", path);
    if (info.st_size > FILE_MAX)
        return df_fail(err, DF_ERR_FORMAT, "%s: %lld bytes, more than the limit of %lld", path, (long long)info.st_size,
                       (long long)FILE_MAX);
    grow(image, (size_t)info.st_size + SPARE);
    while (have < (size_t)info.st_size) {
        const ssize_t n = read(fd, image->pixels + have, (size_t)info.st_size - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return df_fail(err, DF_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
        if (n == 0)
            break;
        have += (size_t)n;
    }
    *bytes = have;
    return DF_OK;
}

struct stored { /* a picture as its file has it */
    enum format format;
    int width, height;
    unsigned orientation; /* of its EXIF tag; 1: upright */
};

static df_status look_at(const struct df_codec_input *in, struct stored *out)
{
    DF_TRY(identify(in, &out->format));
    out->orientation = out->format == FORMAT_JPEG ? df_exif_orientation(in->data, in->bytes) : 1;
    return (out->format == FORMAT_JPEG ? df_jpeg_size : df_png_size)(in, &out->width, &out->height);
}

/* Whether the picture must be turned upright to be what it is said to be. */
static df_status compare_sizes(const struct df_codec_input *in, const struct stored *stored, int width, int height, bool *turned)
{
    *turned = stored->orientation >= 5 && width != height && width == stored->height && height == stored->width;
    if (*turned || !width || !height || (width == stored->width && height == stored->height))
        return DF_OK;
    return df_fail(
        in->err, DF_ERR_FORMAT,
        "%s: the file is %d x %d, but its annotations say %d x %d [boxes are in pixels of the file: correct 'width' and 'height' and "
        "the boxes, or the file]",
        in->name, stored->width, stored->height, width, height);
}

static bool has_end(const struct df_codec_input *in, enum format format)
{
    return format == FORMAT_JPEG ? df_jpeg_has_end(in->data, in->bytes) : memmem(in->data, in->bytes, "IEND", 4) != NULL;
}

static df_status decodes(const char *path, struct df_error *err)
{
    struct df_image image = { 0 };
    const df_status status = df_image_read(path, &image, err);

    df_image_release(&image);
    return status;
}

df_status df_image_check(const char *path, const void *data, size_t bytes, int *width, int *height, struct df_error *err)
{
    const struct df_codec_input in = {
        .name = path, .data = (uint8_t *)(uintptr_t)data, .bytes = bytes, .err = err
    }; /* a header is only read */
    struct stored stored = { 0 };
    bool turned;

    DF_TRY(look_at(&in, &stored));
    DF_TRY(compare_sizes(&in, &stored, *width, *height, &turned));
    if (!has_end(&in, stored.format))
        DF_TRY(decodes(path, err));
    if (!*width || !*height) {
        *width = stored.width;
        *height = stored.height;
    }
    return DF_OK;
}

/* Leaves the file at the start of the buffer. */
static df_status open_image(const char *path, struct df_image *image, struct df_codec_input *in, struct stored *stored,
                            struct df_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return df_fail(err, errno == ENOENT || errno == ENOTDIR ? DF_ERR_NOT_FOUND : DF_ERR_IO, "cannot open '%s': %s", path,
                       strerror(errno));
    *in = (struct df_codec_input){ .name = path, .err = err };
    const df_status status = read_all(fd, path, image, &in->bytes, err);
    close(fd);
    DF_TRY(status);
    in->data = image->pixels;
    return look_at(in, stored);
}

df_status df_image_size(const char *path, int *width, int *height, struct df_error *err)
{
    struct df_image image = { 0 };
    struct df_codec_input in;
    struct stored stored = { 0 };
    const df_status status = open_image(path, &image, &in, &stored, err);

    df_image_release(&image);
    if (status == DF_OK) {
        *width = stored.width;
        *height = stored.height;
    }
    return status;
}

/* Behind the picture, and back. */
static void turn(struct df_image *image, unsigned orientation)
{
    const int width = image->width, height = image->height;
    const size_t pixels = (size_t)width * (size_t)height * 3;

    grow(image, 2 * pixels);
    df_exif_turn(image->pixels, (size_t)width, (size_t)height, orientation, image->pixels + pixels);
    memcpy(image->pixels, image->pixels + pixels, pixels);
    image->width = height;
    image->height = width;
}

enum { UPRIGHT = -1 };

/* width, height: as df_image_read_as wants them, or UPRIGHT: whatever the orientation makes of the stored sides. */
static df_status read_wanted(const char *path, int width, int height, struct df_image *out, struct df_error *err)
{
    struct df_codec_input in;
    struct stored stored = { 0 }; /* open_image sets it: gcc 13 and 14 do not see that */
    bool turned;

    DF_TRY(open_image(path, out, &in, &stored, err));
    const size_t pixels = (size_t)stored.width * (size_t)stored.height * 3;
    grow(out, pixels + in.bytes + SPARE);
    in.data = out->pixels + pixels;
    memmove(in.data, out->pixels, in.bytes);
    if (width == UPRIGHT)
        turned = stored.orientation >= 5;
    else
        DF_TRY(compare_sizes(&in, &stored, width, height, &turned));
    DF_TRY((stored.format == FORMAT_JPEG ? df_jpeg_decode : df_png_decode)(&in, stored.width, stored.height, out->pixels));
    out->width = stored.width;
    out->height = stored.height;
    if (turned)
        turn(out, stored.orientation);
    else if (stored.orientation != 1)
        df_warn("%s: EXIF orientation %u is not applied, for %s", path, stored.orientation,
                width == UPRIGHT ? "only sides are exchanged"
                : width          ? "its annotations have the stored size: boxes refer to the stored pixels"
                                 : "nothing says that the picture is wanted upright: boxes refer to the stored pixels");
    return DF_OK;
}

df_status df_image_read_as(const char *path, int width, int height, struct df_image *out, struct df_error *err)
{
    return read_wanted(path, width, height, out, err);
}

df_status df_image_read(const char *path, struct df_image *out, struct df_error *err) { return read_wanted(path, 0, 0, out, err); }

df_status df_image_read_upright(const char *path, struct df_image *out, struct df_error *err)
{
    return read_wanted(path, UPRIGHT, UPRIGHT, out, err);
}
