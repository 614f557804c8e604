/* Drawing. Text is capitals of 5 x 7 pixels. */
#include "core/data/draw.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { GLYPH_WIDTH = 5 };

static const struct df_colour shadow = { { 0, 0, 0 } };

struct df_colour df_class_colour(size_t label)
{
    static const struct df_colour colours[] = {
        { { 255, 82, 82 } },   { { 64, 196, 255 } }, { { 255, 215, 64 } },  { { 105, 240, 174 } },
        { { 255, 128, 240 } }, { { 255, 160, 64 } }, { { 150, 140, 255 } }, { { 255, 255, 255 } },
        { { 0, 200, 160 } },   { { 200, 230, 80 } }, { { 220, 160, 120 } }, { { 160, 180, 200 } },
    };

    return colours[label % (sizeof colours / sizeof *colours)];
}

/* Rows from top to bottom, bit 4 on the left. */
static const struct {
    char character;
    uint8_t row[DF_GLYPH_HEIGHT];
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
static const uint8_t other_glyph[DF_GLYPH_HEIGHT] = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f };

void df_draw_rectangle(struct df_image *image, int x0, int y0, int width, int height, struct df_colour colour)
{
    for (int y = y0 < 0 ? 0 : y0; y < y0 + height && y < image->height; y++)
        for (int x = x0 < 0 ? 0 : x0; x < x0 + width && x < image->width; x++)
            memcpy(image->pixels + 3 * ((size_t)y * (size_t)image->width + (size_t)x), colour.rgb, 3);
}

static void outline(struct df_image *image, struct df_frame f, int thick, struct df_colour colour)
{
    df_draw_rectangle(image, f.x, f.y, f.width, thick, colour);
    df_draw_rectangle(image, f.x, f.y + f.height - thick, f.width, thick, colour);
    df_draw_rectangle(image, f.x, f.y, thick, f.height, colour);
    df_draw_rectangle(image, f.x + f.width - thick, f.y, thick, f.height, colour);
}

/* A character of UTF-8 is one glyph, whatever its bytes. */
static bool continues(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

int df_text_width(const char *text, int scale)
{
    int characters = 0;

    for (; *text; text++)
        characters += !continues(*text);
    return characters * (GLYPH_WIDTH + 1) * scale;
}

static const uint8_t *rows_of(char character)
{
    for (size_t g = 0; g < sizeof glyphs / sizeof *glyphs; g++)
        if (glyphs[g].character == toupper((unsigned char)character))
            return glyphs[g].row;
    return other_glyph;
}

void df_draw_text(struct df_image *image, int x, int y, int scale, const char *text, struct df_colour colour)
{
    for (; *text; text++) {
        const uint8_t *rows = rows_of(*text);

        if (continues(*text))
            continue;
        for (int j = 0; j < DF_GLYPH_HEIGHT; j++)
            for (int i = 0; i < GLYPH_WIDTH; i++)
                if (rows[j] >> (GLYPH_WIDTH - 1 - i) & 1)
                    df_draw_rectangle(image, x + i * scale, y + j * scale, scale, scale, colour);
        x += (GLYPH_WIDTH + 1) * scale;
    }
}

void df_draw_box(struct df_image *image, struct df_frame frame, const double box[4], struct df_colour colour, const char *name, int scale)
{
    const double x0 = fmax(box[0], 0), y0 = fmax(box[1], 0); /* what reaches out of the frame is cut */
    const double x1 = fmin(box[0] + box[2], frame.width), y1 = fmin(box[1] + box[3], frame.height);
    const int x = frame.x + (int)x0, y = frame.y + (int)y0, width = (int)(x1 - x0), height = (int)(y1 - y0);
    const int line = DF_GLYPH_HEIGHT * scale + 3, over = y - line >= frame.y ? y - line : y + 2;

    if (!(x1 > x0 && y1 > y0))
        return;
    outline(image, (struct df_frame){ x - 1, y - 1, width + 2, height + 2 }, 1, shadow);
    outline(image, (struct df_frame){ x, y, width, height }, 2, colour);
    if (!*name)
        return;
    df_draw_rectangle(image, x, over, df_text_width(name, scale) + 3, line, shadow);
    df_draw_text(image, x + 2, over + 2, scale, name, colour);
}
