/* PNG through libpng: all kinds are brought to 8-bit RGB (alpha dropped, 16 bits cut to 8, no gamma). libpng leaves by longjmp: whatever
 * must survive that lives in struct png_task, never in a local variable. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/data/image_codec.h"

struct png_task {
    const char *name;
    const uint8_t *data; /* reading */
    size_t bytes, at;
    struct df_text *out; /* writing */
    png_structp png;
    png_infop info;
    df_status status;
    char message[256];
};

static void on_error(png_structp png, png_const_charp text)
{
    struct png_task *task = png_get_error_ptr(png);

    snprintf(task->message, sizeof task->message, "%s", text);
    png_longjmp(png, 1);
}

/* Only what concerns the picture itself: chunks with a small first letter are ancillary. */
static void on_warning(png_structp png, png_const_charp text)
{
    const struct png_task *task = png_get_error_ptr(png);

    if (!(strlen(text) > 4 && text[4] == ':' && text[0] >= 'a' && text[0] <= 'z'))
        df_warn("%s: %s", task->name, text);
}

static png_voidp get(png_structp png, png_alloc_size_t bytes)
{
    (void)png;
    return df_malloc(bytes);
}

static void give_back(png_structp png, png_voidp memory)
{
    (void)png;
    free(memory);
}

static void take(png_structp png, png_bytep to, size_t n)
{
    struct png_task *task = png_get_io_ptr(png);

    if (n > task->bytes - task->at)
        png_error(png, "the file ends too early");
    memcpy(to, task->data + task->at, n);
    task->at += n;
}

static void put(png_structp png, png_bytep from, size_t n) { df_text_add_bytes(((struct png_task *)png_get_io_ptr(png))->out, from, n); }
static void flush(png_structp png) { (void)png; }

static void read_header(struct png_task *task)
{
    png_set_read_fn(task->png, task, take);
    png_set_user_limits(task->png, 0x7fffffff, 0x7fffffff); /* our own limit is on the area */
    png_read_info(task->png, task->info);
}

static void read_pixels(struct png_task *task, int height, size_t stride, uint8_t *rgb)
{
    png_set_expand(task->png);
    png_set_strip_16(task->png);
    png_set_strip_alpha(task->png);
    png_set_gray_to_rgb(task->png);
    const int passes = png_set_interlace_handling(task->png);

    png_read_update_info(task->png, task->info);
    if (png_get_rowbytes(task->png, task->info) != stride)
        png_error(task->png, "rows of an unexpected size");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < height; y++)
            png_read_row(task->png, rgb + (size_t)y * stride, NULL);
    png_read_end(task->png, NULL);
}

/* The size, and the pixels when rgb is given (then width and height must be right). */
static df_status read_png(const struct df_codec_input *in, int *width, int *height, uint8_t *rgb)
{
    struct png_task task = { .name = in->name, .data = in->data, .bytes = in->bytes };

    task.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &task, on_error, on_warning, NULL, get, give_back);
    task.info = task.png ? png_create_info_struct(task.png) : NULL;
    if (!task.info) {
        png_destroy_read_struct(&task.png, NULL, NULL);
        return df_fail(in->err, DF_ERR_IO, "%s: libpng cannot start", in->name);
    }
    if (setjmp(png_jmpbuf(task.png))) {
        png_destroy_read_struct(&task.png, &task.info, NULL);
        return df_fail(in->err, DF_ERR_FORMAT, "%s: damaged PNG: %s", in->name, task.message);
    }
    read_header(&task);
    if (rgb) {
        read_pixels(&task, *height, (size_t)*width * 3, rgb);
    } else {
        task.status = df_image_check_size(in, png_get_image_width(task.png, task.info), png_get_image_height(task.png, task.info));
        if (task.status == DF_OK) {
            *width = (int)png_get_image_width(task.png, task.info);
            *height = (int)png_get_image_height(task.png, task.info);
        }
    }
    png_destroy_read_struct(&task.png, &task.info, NULL);
    return task.status;
}

df_status df_png_size(const struct df_codec_input *in, int *width, int *height) { return read_png(in, width, height, NULL); }

df_status df_png_decode(const struct df_codec_input *in, int width, int height, uint8_t *rgb) { return read_png(in, &width, &height, rgb); }

df_status df_png_write(const char *path, const uint8_t *rgb, int width, int height, struct df_error *err)
{
    struct df_text out = DF_TEXT_INIT;
    struct png_task task = { .name = path, .out = &out };
    df_status status;

    task.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &task, on_error, on_warning, NULL, get, give_back);
    task.info = task.png ? png_create_info_struct(task.png) : NULL;
    if (!task.info || setjmp(png_jmpbuf(task.png))) {
        status = df_fail(err, DF_ERR_IO, "cannot make '%s': %s", path, task.info ? task.message : "libpng cannot start");
    } else {
        png_set_write_fn(task.png, &task, put, flush);
        png_set_IHDR(task.png, task.info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_write_info(task.png, task.info);
        for (int y = 0; y < height; y++)
            png_write_row(task.png, rgb + (size_t)y * (size_t)width * 3);
        png_write_end(task.png, NULL);
        status = df_file_write(path, out.data, out.length, err);
    }
    png_destroy_write_struct(&task.png, &task.info);
    df_text_release(&out);
    return status;
}
