#include "ablations/behaviour/explain_pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/data/draw.h"
#include "core/data/image_codec.h"

enum { SIDE = 192, GAP = 6, HEAD = 16 }; /* pixels; a picture's longer side is at least SIDE, enlarged by a whole factor */

static const struct df_colour ground = { { 24, 24, 27 } }, ink = { { 235, 235, 235 } };

/* ---- one map over its image ---- */

/* From dark over violet and orange to pale yellow, for 0 to 1: brighter is more, on paper without colour too. */
static void heat(double v, double rgb[3])
{
    static const double stop[5][3] = { { 0, 0, 20 }, { 90, 20, 110 }, { 190, 55, 85 }, { 250, 145, 10 }, { 252, 255, 165 } };
    const double at = v < 0 ? 0 : v > 1 ? 4 : 4 * v;
    const int k = at < 4 ? (int)at : 3;

    for (int c = 0; c < 3; c++)
        rgb[c] = stop[k][c] + (at - k) * (stop[k + 1][c] - stop[k][c]);
}

/* A picture of an image, enlarged. */
struct canvas {
    struct df_image picture;
    const struct df_image *image;
    int factor;
};

static void enlarge(const struct df_image *image, struct canvas *out)
{
    const int longer = image->width > image->height ? image->width : image->height,
              factor = longer < SIDE ? (SIDE + longer - 1) / longer : 1;

    *out = (struct canvas){ .image = image, .factor = factor };
    df_image_reserve(&out->picture, image->width * factor, image->height * factor, 0);
    for (int y = 0; y < out->picture.height; y++)
        for (int x = 0; x < out->picture.width; x++)
            memcpy(out->picture.pixels + ((size_t)y * (size_t)out->picture.width + (size_t)x) * 3,
                   image->pixels + ((size_t)(y / factor) * (size_t)image->width + (size_t)(x / factor)) * 3, 3);
}

/* The picture's own light, without its colour, under the map's. */
static void cover(struct canvas *canvas, const struct df_map *map)
{
    struct df_image *to = &canvas->picture;
    double least = map->value[0], most = least;

    for (size_t p = 1; p < map->h * map->w; p++) {
        least = map->value[p] < least ? map->value[p] : least;
        most = map->value[p] > most ? map->value[p] : most;
    }
    for (size_t y = 0; y < (size_t)to->height; y++)
        for (size_t x = 0; x < (size_t)to->width; x++) {
            const double v = map->value[y * map->h / (size_t)to->height * map->w + x * map->w / (size_t)to->width];
            uint8_t *pixel = to->pixels + (y * (size_t)to->width + x) * 3;
            const double light = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]; /* BT.601 */
            double rgb[3];

            heat(most > least ? (v - least) / (most - least) : 0, rgb);
            for (int c = 0; c < 3; c++)
                pixel[c] = (uint8_t)(0.4 * light + 0.6 * rgb[c] + 0.5);
        }
}

static void draw_box(struct canvas *canvas, const struct df_object *object, const char *name)
{
    const double f = canvas->factor, *b = object->bbox, box[4] = { b[0] * f, b[1] * f, b[2] * f, b[3] * f };

    df_draw_box(&canvas->picture, (struct df_frame){ 0, 0, canvas->picture.width, canvas->picture.height }, box,
                (struct df_colour){ { 255, 255, 255 } }, name, 1);
}

/* ---- the sheet ---- */

struct sheet {
    struct df_image image;
    int width, height; /* of a cell */
};

static void sheet_init(struct sheet *sheet, size_t columns, size_t rows, int width, int height)
{
    sheet->width = width;
    sheet->height = height;
    df_image_reserve(&sheet->image, (int)columns * (width + GAP) + GAP, (int)rows * (height + GAP) + HEAD + GAP, 0);
    df_draw_rectangle(&sheet->image, 0, 0, sheet->image.width, sheet->image.height, ground);
}

/* As much of the name as its column has room for. */
static void sheet_head(struct sheet *sheet, size_t column, const char *name)
{
    char shown[64];

    snprintf(shown, sizeof shown, "%s", name);
    for (size_t n = strlen(shown); n > 0 && df_text_width(shown, 1) > sheet->width;)
        shown[--n] = 0;
    df_draw_text(&sheet->image, GAP + (int)column * (sheet->width + GAP), GAP, 1, shown, ink);
}

static void sheet_put(struct sheet *sheet, size_t column, size_t row, const struct df_image *picture)
{
    const size_t x = GAP + column * (size_t)(sheet->width + GAP), y = HEAD + GAP + row * (size_t)(sheet->height + GAP);

    for (size_t line = 0; line < (size_t)picture->height; line++)
        memcpy(sheet->image.pixels + ((y + line) * (size_t)sheet->image.width + x) * 3, picture->pixels + line * (size_t)picture->width * 3,
               (size_t)picture->width * 3);
}

/* ---- files ---- */

static df_status write_png(const char *folder, const char *name, const struct df_image *image, struct df_error *err)
{
    char *path = df_path_join(folder, name);
    const df_status status = df_png_write(path, image->pixels, image->width, image->height, err);

    free(path);
    return status;
}

/* "3.0-DeFeat_neck.png": what is no letter, digit or minus of a label is "_". */
static void name_of(size_t i, size_t object, const char *label, struct df_text *out)
{
    df_text_addf(out, "%zu.%zu-", i, object);
    for (; *label; label++) {
        const bool plain = (*label >= 'a' && *label <= 'z') || (*label >= 'A' && *label <= 'Z') || (*label >= '0' && *label <= '9');

        df_text_add_bytes(out, plain || *label == '-' ? label : "_", 1);
    }
    df_text_add(out, ".png");
}

struct drawing {
    const struct df_explain_pictures *what;
    const struct df_dataset *dataset;
    const struct df_image_info *info;
    struct df_image image; /* as stored */
    struct sheet sheet;
    size_t i;
};

/* As the loader has it: a crowd, a difficult object, and one of which nothing lies in the image are no targets. */
static bool is_target(const struct df_image_info *info, const struct df_object *o)
{
    const double x0 = o->bbox[0] > 0 ? o->bbox[0] : 0, x1 = o->bbox[0] + o->bbox[2] < info->width ? o->bbox[0] + o->bbox[2] : info->width;
    const double y0 = o->bbox[1] > 0 ? o->bbox[1] : 0, y1 = o->bbox[1] + o->bbox[3] < info->height ? o->bbox[1] + o->bbox[3] : info->height;

    return !o->crowd && !o->difficult && x1 > x0 && y1 > y0;
}

/* The object that a target is. */
static const struct df_object *object_of(const struct df_image_info *info, size_t target)
{
    for (size_t k = 0; k < info->count; k++)
        if (is_target(info, &info->objects[k]) && target-- == 0)
            return &info->objects[k];
    return NULL;
}

static df_status draw_network(struct drawing *d, size_t network, const double *halves, struct df_error *err)
{
    const struct df_explain_picture *of = &d->what->map[network];
    const struct df_heard_image *heard = &of->heard.image[d->i];
    const size_t pixels = (size_t)heard->h * heard->w;
    double *all = df_malloc(pixels * sizeof *all);
    df_status status = DF_OK;

    for (size_t t = 0; t < heard->objects && status == DF_OK; t++) {
        const struct df_object *object = object_of(d->info, t);
        struct df_text name = DF_TEXT_INIT;
        struct canvas canvas;

        for (size_t p = 0; p < pixels; p++)
            all[p] = halves[2 * t * pixels + p] + halves[(2 * t + 1) * pixels + p];
        enlarge(&d->image, &canvas);
        cover(&canvas, &(struct df_map){ heard->h, heard->w, all });
        if (object)
            draw_box(&canvas, object, "");
        sheet_put(&d->sheet, network + 1, t, &canvas.picture);
        name_of(d->i, t, of->label, &name);
        status = write_png(d->what->folder, df_text_get(&name), &canvas.picture, err);
        df_text_release(&name);
        df_image_release(&canvas.picture);
    }
    free(all);
    return status;
}

/* The sheet's first column: the image, and which of its objects the row is about. */
static void draw_objects(struct drawing *d, size_t objects)
{
    struct canvas canvas;

    enlarge(&d->image, &canvas);
    sheet_init(&d->sheet, d->what->maps + 1, objects, canvas.picture.width, canvas.picture.height);
    df_image_release(&canvas.picture);
    sheet_head(&d->sheet, 0, "image");
    for (size_t t = 0; t < objects; t++) {
        const struct df_object *object = object_of(d->info, t);

        enlarge(&d->image, &canvas);
        if (object)
            draw_box(&canvas, object, d->dataset->category[object->label].name);
        sheet_put(&d->sheet, 0, t, &canvas.picture);
        df_image_release(&canvas.picture);
    }
}

static df_status draw_all(struct drawing *d, size_t objects, struct df_error *err)
{
    df_status status = DF_OK;
    char name[32];

    draw_objects(d, objects);
    for (size_t n = 0; n < d->what->maps && status == DF_OK; n++) {
        const struct df_heard_image *heard = &d->what->map[n].heard.image[d->i];
        double *halves = df_malloc((size_t)heard->objects * 2 * heard->h * heard->w * sizeof *halves);

        df_saliency_halves(&d->what->options->saliency, heard->weight, heard->objects, heard->h, heard->w, halves);
        sheet_head(&d->sheet, n + 1, d->what->map[n].label);
        status = draw_network(d, n, halves, err);
        free(halves);
    }
    snprintf(name, sizeof name, "%zu.png", d->i);
    if (status == DF_OK)
        status = write_png(d->what->folder, name, &d->sheet.image, err);
    df_image_release(&d->sheet.image);
    return status;
}

df_status df_explain_pictures_draw(const struct df_explain_pictures *pictures, struct df_dataset *dataset, size_t i, struct df_error *err)
{
    struct drawing d = { .what = pictures, .dataset = dataset, .info = &dataset->info[i], .i = i };
    const size_t objects = pictures->maps ? pictures->map[0].heard.image[i].objects : 0;
    df_status status;

    if (!objects)
        return DF_OK;
    DF_TRY(df_folder_make(pictures->folder, err));
    status = dataset->class->read(dataset, i, &d.image, err);
    if (status == DF_OK)
        status = draw_all(&d, objects, err);
    df_image_release(&d.image);
    return status;
}
