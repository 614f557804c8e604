/* Makes tests/reference/data: 18 small pictures that look a little like BCCD's (cells of three kinds on a pale ground) as JPEG and PNG, lying and
 * upright ones, one whose EXIF says that it must be turned, and their COCO JSON. What this writes depends on the version of TurboJPEG: the
 * files are committed, and the reference rows are of those. Needed only for other pictures:
 *   make build/gcc-native/tests/reference/make_data && build/gcc-native/tests/reference/make_data tests/reference/data */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "core/base/file.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/data/image_codec.h"

enum { TRAIN = 12, VALIDATION = 6, LONG = 64, SHORT = 48, QUALITY = 92, TURNED = 4 /* number of the one that EXIF turns */ };

static const struct kind {
    int id, radius_min, radius_max;
    uint8_t color[3];
} kinds[] = { { 3, 7, 10, { 205, 70, 85 } }, { 7, 10, 13, { 95, 60, 150 } }, { 9, 3, 4, { 60, 130, 120 } } };
enum { KINDS = sizeof kinds / sizeof *kinds };

struct picture {
    int width, height;
    uint8_t pixels[LONG * LONG * 3];
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "make_data: %s: %s\n", what, why);
    exit(1);
}

static int between(struct df_rng *rng, int low, int high) { return low + (int)(df_rng_u32(rng) % (uint32_t)(high - low + 1)); }

static void paint_ground(struct picture *p, struct df_rng *rng)
{
    for (int i = 0; i < p->width * p->height; i++)
        for (int c = 0; c < 3; c++)
            p->pixels[3 * i + c] = (uint8_t)(between(rng, 205, 225) - 12 * (c == 1));
}

/* A disc with a darker rim; what lies outside of the picture is cut off. */
static void paint_cell(struct picture *p, const struct kind *kind, int x0, int y0, int radius)
{
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const int d = (x - x0) * (x - x0) + (y - y0) * (y - y0);

            for (int c = 0; c < 3 && d <= radius * radius; c++)
                p->pixels[3 * (y * p->width + x) + c] = (uint8_t)(kind->color[c] - (d > (radius - 1) * (radius - 1) ? 30 : 0));
        }
}

static void add_box(struct df_text *text, const struct picture *p, const struct kind *kind, int image, int x0, int y0, int radius,
                    bool crowd)
{
    static int id;
    const int left = x0 - radius < 0 ? 0 : x0 - radius, top = y0 - radius < 0 ? 0 : y0 - radius;
    const int right = x0 + radius + 1 > p->width ? p->width : x0 + radius + 1,
              bottom = y0 + radius + 1 > p->height ? p->height : y0 + radius + 1;

    df_text_addf(text, "%s\n{\"id\":%d,\"image_id\":%d,\"category_id\":%d,\"bbox\":[%d,%d,%d,%d],\"area\":%d,\"iscrowd\":%d}",
                 text->length ? "," : "", ++id, image, kind->id, left, top, right - left, bottom - top, (right - left) * (bottom - top),
                 crowd);
}

/* The third picture of a split is empty; the last box of the second is a crowd. */
static void paint(struct picture *p, struct df_rng *rng, int number, int image, struct df_text *boxes)
{
    paint_ground(p, rng);
    for (int k = 0; k < 4 && number != 2; k++) {
        const struct kind *kind = &kinds[df_rng_u32(rng) % KINDS];
        const int radius = between(rng, kind->radius_min, kind->radius_max), x = between(rng, 0, p->width - 1),
                  y = between(rng, 0, p->height - 1);

        paint_cell(p, kind, x, y, radius);
        add_box(boxes, p, kind, image, x, y, radius, number == 1 && k == 3);
    }
}

/* As a camera held upright stores it, lying: orientation 6. */
static void lay_down(struct picture *p)
{
    const struct picture upright = *p;

    p->width = upright.height;
    p->height = upright.width;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++)
            memcpy(p->pixels + 3 * (y * p->width + x), upright.pixels + 3 * (x * upright.width + p->height - 1 - y), 3);
}

static void write_jpeg(const char *path, const struct picture *p, bool turned)
{
    static const char exif[] = "\xff\xe1\0\x22"
                               "Exif\0\0"
                               "MM\0*\0\0\0\x08"
                               "\0\x01"
                               "\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
                               "\0\0\0\0";
    tjhandle handle = tjInitCompress();
    unsigned char *bytes = NULL;
    unsigned long count = 0;
    struct df_text text = DF_TEXT_INIT;
    struct df_error err;

    if (tjCompress2(handle, p->pixels, p->width, 0, p->height, TJPF_RGB, &bytes, &count, TJSAMP_420, QUALITY, TJFLAG_ACCURATEDCT) != 0)
        die(path, tjGetErrorStr2(handle));
    df_text_add_bytes(&text, bytes, 2);
    if (turned)
        df_text_add_bytes(&text, exif, sizeof exif - 1);
    df_text_add_bytes(&text, bytes + 2, count - 2);
    if (df_file_write(path, text.data, text.length, &err) != DF_OK)
        die(path, err.text);
    df_text_release(&text);
    tjFree(bytes);
    tjDestroy(handle);
}

static void write_split(const char *folder, const char *name, int first, int count)
{
    struct df_text boxes = DF_TEXT_INIT, images = DF_TEXT_INIT, all = DF_TEXT_INIT;
    struct df_error err;
    char path[600], file[40];

    for (int i = 0; i < count; i++) {
        const int image = first + i;
        const bool upright = i % 4 == 0, png = i % 3 == 1, turned = image == TURNED;
        struct picture p = { .width = upright || turned ? SHORT : LONG, .height = upright || turned ? LONG : SHORT };
        struct df_rng rng;

        df_rng_init(&rng, (uint64_t)image, DF_RNG_TEST, 0);
        paint(&p, &rng, i, image, &boxes);
        snprintf(file, sizeof file, "%02d.%s", image, png && !turned ? "png" : "jpg");
        df_text_addf(&images, "%s\n{\"id\":%d,\"width\":%d,\"height\":%d,\"file_name\":\"%s\"}", i ? "," : "", image, p.width, p.height,
                     file);
        snprintf(path, sizeof path, "%s/%s", folder, file);
        if (turned)
            lay_down(&p);
        if (!png || turned)
            write_jpeg(path, &p, turned);
        else if (df_png_write(path, p.pixels, p.width, p.height, &err) != DF_OK)
            die(path, err.text);
    }
    df_text_addf(
        &all,
        "{\"images\":[%s],\n\"annotations\":[%s],\n\"categories\":[\n{\"id\":3,\"name\":\"red\"},\n{\"id\":7,\"name\":\"white\"},\n"
        "{\"id\":9,\"name\":\"platelet\"}]}\n",
        images.data, boxes.data);
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    if (df_file_write(path, all.data, all.length, &err) != DF_OK)
        die(path, err.text);
    df_text_release(&boxes);
    df_text_release(&images);
    df_text_release(&all);
}

int main(int argc, char **argv)
{
    struct df_error err;

    if (argc != 2)
        die("usage", "make_data FOLDER");
    if (df_folder_make(argv[1], &err) != DF_OK)
        die(argv[1], err.text);
    write_split(argv[1], "train", 1, TRAIN);
    write_split(argv[1], "validation", 1 + TRAIN, VALIDATION);
    return 0;
}
