/* Contact sheets. Text is drawn with capitals of 5 x 7 pixels. */
#include "core/data/contact_sheet.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/data/image_codec.h"
#include "core/data/image_file.h"

enum { GAP = 6, GLYPH_WIDTH = 5, GLYPH_HEIGHT = 7, LEGEND_ROW = 20, LEGEND_SCALE = 2 };

struct colour {
    uint8_t rgb[3];
};
static const struct colour ground = { { 24, 24, 27 } }, ink = { { 235, 235, 235 } }, shadow = { { 0, 0, 0 } };

static struct colour class_colour(size_t label)
{
    static const struct colour colours[] = {
        { { 255, 82, 82 } },   { { 64, 196, 255 } }, { { 255, 215, 64 } },  { { 105, 240, 174 } },
        { { 255, 128, 240 } }, { { 255, 160, 64 } }, { { 150, 140, 255 } }, { { 255, 255, 255 } },
        { { 0, 200, 160 } },   { { 200, 230, 80 } }, { { 220, 160, 120 } }, { { 160, 180, 200 } },
    };

    return colours[label % (sizeof colours / sizeof *colours)];
}

/* Rows from top to bottom, bit 4 on the left. */
static const struct {
    char character;
    uint8_t row[GLYPH_HEIGHT];
} glyphs[] = {
    { 'A', { 0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11 } },
    { 'B', { 0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e } },
    { 'C', { 0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e } },
    { 'D', { 0x1e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1e } },
    { 'E', { 0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f } },
    { 'F', { 0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10 } },
    { 'G', { 0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0f } },
    { 'H', { 0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11 } },
    { 'I', { 0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e } },
    { 'J', { 0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0c } },
    { 'K', { 0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11 } },
    { 'L', { 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f } },
    { 'M', { 0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11 } },
    { 'N', { 0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11 } },
    { 'O', { 0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e } },
    { 'P', { 0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10 } },
    { 'Q', { 0x0e, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0d } },
    { 'R', { 0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11 } },
    { 'S', { 0x0f, 0x10, 0x10, 0x0e, 0x01, 0x01, 0x1e } },
    { 'T', { 0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04 } },
    { 'U', { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e } },
    { 'V', { 0x11, 0x11, 0x11, 0x11, 0x11, 0x0a, 0x04 } },
    { 'W', { 0x11, 0x11, 0x11, 0x15, 0x15, 0x1b, 0x11 } },
    { 'X', { 0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11 } },
    { 'Y', { 0x11, 0x11, 0x0a, 0x04, 0x04, 0x04, 0x04 } },
    { 'Z', { 0x1f, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1f } },
    { '0', { 0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e } },
    { '1', { 0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e } },
    { '2', { 0x0e, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1f } },
    { '3', { 0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e } },
    { '4', { 0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02 } },
    { '5', { 0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e } },
    { '6', { 0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e } },
    { '7', { 0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08 } },
    { '8', { 0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e } },
    { '9', { 0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c } },
    { '-', { 0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00 } },
    { '.', { 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c } },
    { '(', { 0x02, 0x04, 0x08, 0x08, 0x08, 0x04, 0x02 } },
    { ')', { 0x08, 0x04, 0x02, 0x02, 0x02, 0x04, 0x08 } },
    { ' ', { 0 } },
};
static const uint8_t other_glyph[GLYPH_HEIGHT] = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f };

static void fill(struct df_image *image, int x0, int y0, int width, int height, struct colour colour)
{
    for (int y = y0 < 0 ? 0 : y0; y < y0 + height && y < image->height; y++)
        for (int x = x0 < 0 ? 0 : x0; x < x0 + width && x < image->width; x++)
            memcpy(image->pixels + 3 * ((size_t)y * (size_t)image->width + (size_t)x), colour.rgb, 3);
}

static void outline(struct df_image *image, int x, int y, int width, int height, int thick, struct colour colour)
{
    fill(image, x, y, width, thick, colour);
    fill(image, x, y + height - thick, width, thick, colour);
    fill(image, x, y, thick, height, colour);
    fill(image, x + width - thick, y, thick, height, colour);
}

static int text_width(const char *text, int scale) { return (int)strlen(text) * (GLYPH_WIDTH + 1) * scale; }

static void write_text(struct df_image *image, int x, int y, int scale, const char *text, struct colour colour)
{
    for (; *text; text++, x += (GLYPH_WIDTH + 1) * scale) {
        const uint8_t *rows = other_glyph;

        for (size_t g = 0; g < sizeof glyphs / sizeof *glyphs; g++)
            if (glyphs[g].character == toupper((unsigned char)*text))
                rows = glyphs[g].row;
        for (int j = 0; j < GLYPH_HEIGHT; j++)
            for (int i = 0; i < GLYPH_WIDTH; i++)
                if (rows[j] >> (GLYPH_WIDTH - 1 - i) & 1)
                    fill(image, x + i * scale, y + j * scale, scale, scale, colour);
    }
}

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
    double x0 = object->bbox[0] * sx, y0 = object->bbox[1] * sy, x1 = x0 + object->bbox[2] * sx, y1 = y0 + object->bbox[3] * sy;
    const struct colour colour =
        object->crowd || object->difficult ? (struct colour){ { 128, 128, 128 } } : class_colour((size_t)object->label);
    const char *name = dataset->category[object->label].name;

    x0 = x0 < 0 ? 0 : x0; /* what reaches out of the image is cut */
    y0 = y0 < 0 ? 0 : y0;
    x1 = x1 > cell.width ? cell.width : x1;
    y1 = y1 > cell.height ? cell.height : y1;
    if (!(x1 > x0 && y1 > y0))
        return;
    const int x = cell.x + (int)x0, y = cell.y + (int)y0, width = (int)(x1 - x0), height = (int)(y1 - y0);
    outline(sheet, x - 1, y - 1, width + 2, height + 2, 1, shadow);
    outline(sheet, x, y, width, height, 2, colour);
    const int over = y - GLYPH_HEIGHT - 3 >= cell.y ? y - GLYPH_HEIGHT - 3 : y + 2;
    fill(sheet, x, over, text_width(name, 1) + 3, GLYPH_HEIGHT + 3, shadow);
    write_text(sheet, x + 2, over + 2, 1, name, colour);
}

/* Draws the legend from (GAP, y) on, or only measures it (sheet NULL); returns its height. */
static int legend(struct df_image *sheet, const struct df_dataset *dataset, int width, int y)
{
    int x = GAP, rows = 1;

    for (size_t c = 0; c < dataset->categories; c++) {
        const int needed = 2 * LEGEND_ROW + text_width(dataset->category[c].name, LEGEND_SCALE);

        if (x > GAP && x + needed > width) {
            x = GAP;
            y += LEGEND_ROW;
            rows++;
        }
        if (sheet) {
            fill(sheet, x, y, 2 * GLYPH_HEIGHT, 2 * GLYPH_HEIGHT, class_colour(c));
            write_text(sheet, x + LEGEND_ROW, y, LEGEND_SCALE, dataset->category[c].name, ink);
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
    fill(out, 0, 0, width, height, ground);
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
