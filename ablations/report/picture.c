#include "ablations/report/picture.h"

#include <stdlib.h>

#include "core/base/file.h"
#include "core/data/image_codec.h"
#include "core/data/image_file.h"
#include "results/html.h"

enum { MOST_SIDE = 480 }; /* pixels */

static void reduce(const struct df_image *image, struct df_image *out)
{
    const int longer = image->width > image->height ? image->width : image->height;
    const int width = image->width * MOST_SIDE / longer, height = image->height * MOST_SIDE / longer;

    df_image_reserve(out, width ? width : 1, height ? height : 1, 0);
    df_image_resize(image, out->pixels, out->width, out->height);
}

/* The file that the writer of PNG leaves, taken back: it is in the data's folder only meanwhile. */
static df_status encode(const struct df_page *page, const struct df_image *image, char **png, size_t *bytes, struct df_error *err)
{
    char *path = df_path_join(page->data, "image.png");
    df_status status = df_png_write(path, image->pixels, image->width, image->height, err);

    if (status == DF_OK)
        status = df_file_read(path, 0, png, bytes, err);
    if (status == DF_OK)
        status = df_file_remove(path, err);
    free(path);
    return status;
}

df_status df_picture_add(struct df_page *page, struct df_dataset *dataset, size_t index, struct df_picture *picture, bool *shown,
                         struct df_error *err)
{
    struct df_image image = { 0 }, small = { 0 };
    size_t bytes = 0;
    char *png = NULL;
    df_status status = dataset->class->read(dataset, index, &image, err);

    if (status == DF_OK) {
        const bool large = image.width > MOST_SIDE || image.height > MOST_SIDE;

        if (large)
            reduce(&image, &small);
        status = encode(page, large ? &small : &image, &png, &bytes, err);
    }
    *shown = status == DF_OK && df_page_has_room(page, bytes * 4 / 3 + 1024);
    if (*shown) {
        picture->width = image.width;
        picture->height = image.height;
        df_text_addf(&page->body,
                     "<svg class=\"store\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs><image id=\"i%zu\" width=\"%d\" "
                     "height=\"%d\" href=\"",
                     picture->number, image.width, image.height);
        df_html_add_data(&page->body, "image/png", png, bytes);
        df_text_add(&page->body, "\"/></defs></svg>\n");
    }
    free(png);
    df_image_release(&image);
    df_image_release(&small);
    return status;
}

void df_picture_begin(const struct df_picture *picture, const char *class, const char *caption, struct df_text *out)
{
    df_text_addf(out, "<figure class=\"%s\"><figcaption>%s</figcaption><svg viewBox=\"0 0 %d %d\"><use href=\"#i%zu\"/>\n", class, caption,
                 picture->width, picture->height, picture->number);
}

void df_picture_end(struct df_text *out) { df_text_add(out, "</svg></figure>\n"); }

const char *df_picture_colour(size_t class)
{
    static const char *const colour[] = { "#56b4e9", "#e69f00", "#f0e442", "#cc79a7", "#00c896", "#ff6f3c", "#ffffff", "#a0a0ff" };

    return colour[class % (sizeof colour / sizeof *colour)];
}

void df_picture_box(const double *box, size_t colour, const char *text, struct df_text *out)
{
    df_text_add(out, "<g><title>");
    df_html_add(out, text);
    df_text_add(out, "</title>");
    for (int under = 1; under >= 0; under--)
        df_text_addf(out, "<rect class=\"%s\"%s%s%s x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", under ? "under" : "box",
                     under ? "" : " stroke=\"", under ? "" : df_picture_colour(colour), under ? "" : "\"", box[0], box[1],
                     box[2] < 0 ? 0 : box[2], box[3] < 0 ? 0 : box[3]);
    df_text_add(out, "</g>\n");
}
