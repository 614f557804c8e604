/* Contact sheets. */
#include "core/data/contact_sheet.h"

#include <stdio.h>
#include <string.h>

#include "core/data/draw.h"
#include "core/data/image_codec.h"
#include "core/data/image_file.h"

enum { GAP = 6, LEGEND_ROW = 20, LEGEND_SCALE = 2 };

static const struct df_colour ground = { { 24, 24, 27 } }, ink = { { 235, 235, 235 } };

struct cell {
    int x, y, width, height; /* where the image stands */
};

/* Enlarges by a whole factor, or reduces to the cell. row_height: from image to image. */
static struct cell place_of(const struct df_image_info *info, const struct df_sheet_options *options, size_t k, int row_height)
{
    const int longer = info->width > info->height ? info->width : info->height, size = options->cell;
    struct cell cell = { GAP + (int)(k % (size_t)options->columns) * (size + GAP), GAP + (int)(k / (size_t)options->columns) * row_height,
                         info->width, info->height };

    if (longer <= size) {
        cell.width *= size / longer;
        cell.height *= size / longer;
    } else {
        cell.width = (int)((int64_t)info->width * size / longer);
        cell.height = (int)((int64_t)info->height * size / longer);
        cell.width += cell.width == 0;
        cell.height += cell.height == 0;
    }
    return cell;
}

static void draw_image(struct df_image *sheet, const struct df_image *image, struct cell cell, struct df_image *scratch)
{
    const bool enlarged = cell.width >= image->width && cell.height >= image->height;

    if (!enlarged) {
        df_image_reserve(scratch, cell.width, cell.height, 0);
        df_image_resize(image, scratch->pixels, cell.width, cell.height);
        image = scratch;
    }
    for (int y = 0; y < cell.height; y++)
        for (int x = 0; x < cell.width; x++) {
            const size_t from = (size_t)(y * image->height / cell.height) * (size_t)image->width + (size_t)(x * image->width / cell.width);
            const size_t to = (size_t)(cell.y + y) * (size_t)sheet->width + (size_t)(cell.x + x);

            memcpy(sheet->pixels + 3 * to, image->pixels + 3 * from, 3);
        }
}

static void draw_box(struct df_image *sheet, const struct df_dataset *dataset, const struct df_image_info *info,
                     const struct df_object *object, struct cell cell)
{
    const double sx = (double)cell.width / info->width, sy = (double)cell.height / info->height;
    const double box[4] = { object->bbox[0] * sx, object->bbox[1] * sy, object->bbox[2] * sx, object->bbox[3] * sy };
    const bool left_out = object->crowd || object->difficult;

    df_draw_box(sheet, (struct df_frame){ cell.x, cell.y, cell.width, cell.height }, box,
                left_out ? (struct df_colour){ { 128, 128, 128 } } : df_class_colour((size_t)object->label),
                dataset->category[object->label].name, 1);
}

/* Draws the legend from (GAP, y) on, or only measures it (sheet NULL); returns its height. */
static int legend(struct df_image *sheet, const struct df_dataset *dataset, int width, int y)
{
    int x = GAP, rows = 1;

    for (size_t c = 0; c < dataset->categories; c++) {
        const int needed = 2 * LEGEND_ROW + df_text_width(dataset->category[c].name, LEGEND_SCALE);

        if (x > GAP && x + needed > width) {
            x = GAP;
            y += LEGEND_ROW;
            rows++;
        }
        if (sheet) {
            df_draw_rectangle(sheet, x, y, 2 * DF_GLYPH_HEIGHT, 2 * DF_GLYPH_HEIGHT, df_class_colour(c));
            df_draw_text(sheet, x + LEGEND_ROW, y, LEGEND_SCALE, dataset->category[c].name, ink);
        }
        x += needed;
    }
    return rows * LEGEND_ROW;
}

df_status df_contact_sheet(struct df_dataset *dataset, const struct df_sheet_options *options, struct df_image *out, struct df_error *err)
{
    struct df_image image = { 0 }, scratch = { 0 };
    df_status status = DF_OK;

    if (options->from >= dataset->size || options->count == 0)
        return df_fail(err, DF_ERR_USAGE, "images %zu to %zu were asked for, there are %zu", options->from, options->from + options->count,
                       dataset->size);
    const size_t left = dataset->size - options->from, count = options->count < left ? options->count : left;
    int row_height = 0;

    for (size_t k = 0; k < count; k++) {
        const struct cell cell = place_of(&dataset->info[options->from + k], options, k, 0);

        row_height = cell.height + GAP > row_height ? cell.height + GAP : row_height;
    }
    const int rows = (int)((count + (size_t)options->columns - 1) / (size_t)options->columns);
    const int width = GAP + options->columns * (options->cell + GAP), grid = GAP + rows * row_height;
    const int height = grid + legend(NULL, dataset, width, 0);

    if ((int64_t)width * height > DF_IMAGE_MAX_PIXELS)
        return df_fail(err, DF_ERR_USAGE, "a sheet of %d x %d pixels is too large (fewer images or smaller cells)", width, height);
    df_image_reserve(out, width, height, 0);
    df_draw_rectangle(out, 0, 0, width, height, ground);
    for (size_t k = 0; k < count && status == DF_OK; k++) {
        const struct df_image_info *info = &dataset->info[options->from + k];

        status = dataset->class->read(dataset, options->from + k, &image, err);
        if (status != DF_OK)
            break;
        const struct cell cell = place_of(info, options, k, row_height);
        draw_image(out, &image, cell, &scratch);
        for (size_t j = 0; options->boxes && j < info->count; j++)
            draw_box(out, dataset, info, &info->objects[j], cell);
    }
    legend(out, dataset, width, grid);
    df_image_release(&image);
    df_image_release(&scratch);
    return status;
}
