#include "ablations/behaviour/heard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/text.h"

#define ASK_AGAIN "[delete it, and it is asked again]"
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little endian");

void df_heard_init(struct df_heard *heard, size_t images, size_t masks)
{
    *heard = (struct df_heard){ .images = images, .masks = masks };
    df_arena_init(&heard->memory, NULL, 1 << 16);
    heard->image = df_arena_alloc(&heard->memory, images * sizeof *heard->image);
    memset(heard->image, 0, images * sizeof *heard->image);
}

float *df_heard_add(struct df_heard *heard, size_t image, struct df_heard_image of)
{
    of.weight = df_arena_alloc(&heard->memory, of.objects * heard->masks * sizeof *of.weight);
    heard->image[image] = of;
    return of.weight;
}

void df_heard_release(struct df_heard *heard)
{
    if (heard->image)
        df_arena_release(&heard->memory);
    *heard = (struct df_heard){ 0 };
}

df_status df_heard_write(const struct df_heard *heard, const char *id, const char *path, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;

    df_text_addf(&text, "defeat weights %s %zu %zu\n", id, heard->images, heard->masks);
    for (size_t i = 0; i < heard->images; i++) {
        const struct df_heard_image *image = &heard->image[i];

        df_text_add_bytes(&text, (const uint32_t[]){ image->objects, image->h, image->w }, 3 * sizeof(uint32_t));
        df_text_add_bytes(&text, image->weight, image->objects * heard->masks * sizeof *image->weight);
    }
    const uint64_t hash = df_hash(text.data, text.length);

    df_text_add_bytes(&text, &hash, sizeof hash);
    const df_status status = df_file_write(path, text.data, text.length, err);

    df_text_release(&text);
    return status;
}

/* The next bytes; false: there are not so many. */
static bool take(const char **at, size_t *left, size_t bytes, void *out)
{
    if (*left < bytes)
        return false;
    memcpy(out, *at, bytes);
    *at += bytes;
    *left -= bytes;
    return true;
}

static bool take_image(const char **at, size_t *left, size_t i, struct df_heard *out)
{
    struct df_heard_image image = { 0 };

    if (!take(at, left, sizeof image.objects, &image.objects) || !take(at, left, sizeof image.h, &image.h) ||
        !take(at, left, sizeof image.w, &image.w))
        return false;

    const size_t each = out->masks * sizeof *image.weight;

    return image.objects <= *left / each && take(at, left, image.objects * each, df_heard_add(out, i, image));
}

static df_status read_header(const char *path, const char *data, const char *id, size_t *images, size_t *masks, struct df_error *err)
{
    char of[17];

    if (sscanf(data, "defeat weights %16s %zu %zu", of, images, masks) != 3 || *masks == 0)
        return df_fail(err, DF_ERR_FORMAT, "'%s': no weights of a question " ASK_AGAIN, path);
    if (strcmp(of, id) != 0)
        return df_fail(err, DF_ERR_STALE, "'%s': answers to question %s, expected %s " ASK_AGAIN, path, of, id);
    return DF_OK;
}

static df_status parse(const char *path, const char *data, size_t bytes, const char *id, struct df_heard *out, struct df_error *err)
{
    const char *end = memchr(data, '\n', bytes), *at;
    uint64_t hash = 0;
    size_t left, images = 0, masks = 0;

    if (!end || bytes < (size_t)(end - data) + 1 + sizeof hash)
        return df_fail(err, DF_ERR_FORMAT, "'%s': no weights of a question " ASK_AGAIN, path);
    memcpy(&hash, data + bytes - sizeof hash, sizeof hash);
    if (hash != df_hash(data, bytes - sizeof hash))
        return df_fail(err, DF_ERR_FORMAT, "'%s': its contents are not as they were written " ASK_AGAIN, path);
    DF_TRY(read_header(path, data, id, &images, &masks, err));
    at = end + 1;
    left = bytes - (size_t)(at - data) - sizeof hash;
    if (images > left / (3 * sizeof(uint32_t)))
        return df_fail(err, DF_ERR_FORMAT, "'%s': %zu images, but %zu bytes of them " ASK_AGAIN, path, images, left);
    df_heard_init(out, images, masks);
    for (size_t i = 0; i < images; i++)
        if (!take_image(&at, &left, i, out)) {
            df_heard_release(out);
            return df_fail(err, DF_ERR_FORMAT, "'%s': ends within image %zu of %zu " ASK_AGAIN, path, i, images);
        }
    return DF_OK;
}

df_status df_heard_read(const char *path, const char *id, struct df_heard *out, struct df_error *err)
{
    char *data;
    size_t bytes;

    *out = (struct df_heard){ 0 };
    DF_TRY(df_file_read(path, 0, &data, &bytes, err));
    const df_status status = parse(path, data, bytes, id, out, err);

    free(data);
    return status;
}
