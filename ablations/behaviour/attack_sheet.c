#include "ablations/behaviour/attack_sheet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/behaviour/view.h"
#include "core/data/draw.h"
#include "core/data/image_codec.h"
#include "core/data/image_file.h"

enum { CELL = 192, GAP = 6, HEAD = 18, FOOT = 14 };

static const struct df_colour ground = { { 24, 24, 27 } }, ink = { { 235, 235, 235 } };

struct drawing {
    const struct df_attack_sheet *sheet;
    struct df_view **view;    /* [networks] */
    struct df_image *picture; /* the sheet */
    struct df_image scaled;
    size_t rows;
};

/* As wide and high as its cell allows; small images are enlarged by a whole factor. */
static struct df_frame frame_of(const struct df_image *image, size_t column, size_t row)
{
    const int longer = image->width > image->height ? image->width : image->height;
    struct df_frame frame = { GAP + (int)column * (CELL + GAP), HEAD + GAP + (int)row * (CELL + FOOT + GAP), image->width, image->height };

    if (longer <= CELL) {
        frame.width *= CELL / longer;
        frame.height *= CELL / longer;
    } else {
        frame.width = image->width * CELL / longer > 0 ? image->width * CELL / longer : 1;
        frame.height = image->height * CELL / longer > 0 ? image->height * CELL / longer : 1;
    }
    return frame;
}

static struct df_frame draw_image(struct drawing *d, const struct df_image *image, size_t column, size_t row)
{
    const struct df_frame frame = frame_of(image, column, row);
    const bool reduced = frame.width < image->width;

    if (reduced) {
        df_image_reserve(&d->scaled, frame.width, frame.height, 0);
        df_image_resize(image, d->scaled.pixels, frame.width, frame.height);
        image = &d->scaled;
    }
    for (int y = 0; y < frame.height; y++)
        for (int x = 0; x < frame.width; x++) {
            const int v = y * image->height / frame.height, u = x * image->width / frame.width;
            const size_t to = (size_t)(frame.y + y) * (size_t)d->picture->width + (size_t)(frame.x + x);

            memcpy(d->picture->pixels + 3 * to, image->pixels + 3 * ((size_t)v * (size_t)image->width + (size_t)u), 3);
        }
    return frame;
}

/* What a network finds on an image; the surest box lies over the others. Returns how many there are. */
static size_t draw_found(struct drawing *d, size_t network, const struct df_sight *seen, struct df_frame frame,
                         const struct df_image *image)
{
    const struct df_category *category = d->sheet->network[network]->images->category;
    const double sx = (double)frame.width / image->width / seen->batch->scale_x[0];
    const double sy = (double)frame.height / image->height / seen->batch->scale_y[0];
    size_t count = 0;

    while (count < seen->answer.count && (double)seen->answer.found[count].score > d->sheet->what->values->score)
        count++;
    for (size_t i = count; i-- > 0;) {
        const struct df_found *found = &seen->answer.found[i];
        const double box[4] = { (double)found->box.x0 * sx, (double)found->box.y0 * sy, (double)(found->box.x1 - found->box.x0) * sx,
                                (double)(found->box.y1 - found->box.y0) * sy };
        char name[128];

        snprintf(name, sizeof name, "%.100s %.2f", category[found->label].name, (double)found->score);
        df_draw_box(d->picture, frame, box, df_class_colour((size_t)found->label), name, 1);
    }
    return count;
}

static void draw_foot(struct drawing *d, size_t column, size_t row, const char *text)
{
    df_draw_text(d->picture, GAP + (int)column * (CELL + GAP), HEAD + GAP + (int)row * (CELL + FOOT + GAP) + CELL + 4, 1, text, ink);
}

static bool is_attacked(const struct df_attack_case *what, const struct df_subject *network)
{
    for (size_t k = 0; k < what->attacked; k++)
        if (what->target[k] == network)
            return true;
    return !what->attacked;
}

/* A row: the image alone, then as each network sees it. *any: one that is attacked found something. */
static df_status draw_row(struct drawing *d, size_t index, const struct df_image *image, size_t row, const char *what, bool *any,
                          struct df_error *err)
{
    draw_image(d, image, 0, row);
    draw_foot(d, 0, row, what);
    for (size_t k = 0; k < d->sheet->networks; k++) {
        struct df_sight seen;
        char text[48];

        DF_TRY(df_view_ask(d->view[k], index, image, &seen, err));

        const size_t count = draw_found(d, k, &seen, draw_image(d, image, 1 + k, row), image);

        snprintf(text, sizeof text, "%zu box%s", count, count == 1 ? "" : "es");
        draw_foot(d, 1 + k, row, text);
        *any |= count > 0 && is_attacked(d->sheet->what, d->sheet->network[k]);
    }
    return DF_OK;
}

static void clear_rows(struct drawing *d, size_t row, size_t rows)
{
    const int y = HEAD + GAP + (int)row * (CELL + FOOT + GAP);

    df_draw_rectangle(d->picture, 0, y, d->picture->width, (int)rows * (CELL + FOOT + GAP), ground);
}

static df_status draw_images(struct drawing *d, struct df_error *err)
{
    const struct df_attack_case *what = d->sheet->what;
    struct df_dataset *images = d->sheet->network[0]->images;
    struct df_image clean = { 0 }, patched = { 0 };
    df_status status = DF_OK;

    for (size_t i = 0; i < what->images && d->rows < 2 * d->sheet->pictures && status == DF_OK; i++) {
        bool any = false, also = false;

        clear_rows(d, d->rows, 2);
        status = images->class->read(images, i, &clean, err);
        if (status == DF_OK)
            status = df_attack_read(what, i, &clean, &patched, err);
        if (status == DF_OK)
            status = draw_row(d, i, &clean, d->rows, "original", &any, err);
        if (status == DF_OK)
            status = draw_row(d, i, &patched, d->rows + 1, "patched", &also, err);
        d->rows += any ? 2 : 0;
    }
    df_image_release(&clean);
    df_image_release(&patched);
    return status;
}

static void draw_head(struct drawing *d)
{
    struct df_text head = DF_TEXT_INIT;

    for (size_t k = 0; k <= d->sheet->networks; k++) {
        df_text_clear(&head);
        if (k == 0)
            df_text_addf(&head, "for %s", d->sheet->what->name);
        else
            df_text_add(&head, d->sheet->name[k - 1]);
        while (head.length && df_text_width(head.data, 1) > CELL)
            head.data[--head.length] = 0;
        df_draw_text(d->picture, GAP + (int)k * (CELL + GAP), GAP, 1, df_text_get(&head), ink);
    }
    df_text_release(&head);
}

df_status df_attack_sheet_write(const struct df_attack_sheet *sheet, const char *path, struct df_error *err)
{
    struct df_image picture = { 0 };
    struct drawing d = { .sheet = sheet, .picture = &picture, .view = df_calloc(sheet->networks, sizeof *d.view) };
    const int width = GAP + (1 + (int)sheet->networks) * (CELL + GAP);
    df_status status = DF_OK;

    df_image_reserve(&picture, width, HEAD + GAP + 2 * (int)sheet->pictures * (CELL + FOOT + GAP), 0);
    df_draw_rectangle(&picture, 0, 0, picture.width, picture.height, ground);
    draw_head(&d);
    for (size_t k = 0; k < sheet->networks && status == DF_OK; k++)
        status = df_view_new(sheet->network[k], &d.view[k], err);
    if (status == DF_OK)
        status = draw_images(&d, err);
    if (status == DF_OK)
        status = df_png_write(path, picture.pixels, width, HEAD + GAP + (int)d.rows * (CELL + FOOT + GAP), err);
    for (size_t k = 0; k < sheet->networks; k++)
        df_view_free(d.view[k]);
    free(d.view);
    df_image_release(&d.scaled);
    df_image_release(&picture);
    return status;
}
