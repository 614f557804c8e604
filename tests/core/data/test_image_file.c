/* Image files: round trips, resizing against PyTorch, damaged files, and all image cases of the shared collection of bad inputs. */
#include "tests/support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/data/image_codec.h"
#include "core/data/image_file.h"

static int warnings;
static char last_warning[512];
static void count_warning(void *context, const char *text)
{
    (void)context;
    warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", text);
}

static const char *scratch(const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s", df_test_folder(), name);
    return path;
}

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

enum { WIDTH = 37, HEIGHT = 23 };

static void fill_picture(uint8_t *rgb)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                rgb[(y * WIDTH + x) * 3 + c] = (uint8_t)(x * 3 + y * 2 + c * 30);
}

static void test_png_round_trip(void **state)
{
    uint8_t rgb[WIDTH * HEIGHT * 3];
    struct df_image image = { 0 };
    struct df_error err;
    int width, height;

    (void)state;
    fill_picture(rgb);
    assert_ok(df_png_write(scratch("a.jpg"), rgb, WIDTH, HEIGHT, &err)); /* the name says nothing */
    assert_ok(df_image_size(scratch("a.jpg"), &width, &height, &err));
    assert_int_equal(width, WIDTH);
    assert_int_equal(height, HEIGHT);
    for (int i = 0; i < 2; i++) { /* the second time into the same buffer */
        const uint8_t *before = image.pixels;

        assert_ok(df_image_read(scratch("a.jpg"), &image, &err));
        assert_true(i == 0 || image.pixels == before);
        assert_int_equal(image.width, WIDTH);
        assert_int_equal(image.height, HEIGHT);
        assert_memory_equal(image.pixels, rgb, sizeof rgb);
    }
    df_image_release(&image);
    assert_fails(df_png_write(scratch("no/such/folder.png"), rgb, WIDTH, HEIGHT, &err), DF_ERR_NOT_FOUND, "folder.png");
}

static uint8_t *make_jpeg(unsigned long *bytes)
{
    uint8_t rgb[WIDTH * HEIGHT * 3];
    unsigned char *out = NULL;
    tjhandle handle = tjInitCompress();

    fill_picture(rgb);
    assert_int_equal(tjCompress2(handle, rgb, WIDTH, 0, HEIGHT, TJPF_RGB, &out, bytes, TJSAMP_444, 95, 0), 0);
    tjDestroy(handle);
    return out;
}

static void test_jpeg(void **state)
{
    uint8_t rgb[WIDTH * HEIGHT * 3];
    unsigned long bytes = 0;
    uint8_t *jpeg = make_jpeg(&bytes);
    struct df_image image = { 0 };
    struct df_error err;

    (void)state;
    fill_picture(rgb);
    write_file(scratch("a"), jpeg, bytes);
    warnings = 0;
    assert_ok(df_image_read(scratch("a"), &image, &err));
    assert_int_equal(warnings, 0);
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++)
        assert_close(image.pixels[i], rgb[i], 0, 12); /* quality 95 */
    write_file(scratch("cut"), jpeg, bytes - 2);      /* no end marker */
    assert_ok(df_image_read(scratch("cut"), &image, &err));
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(last_warning, "end marker"));
    for (unsigned long cut = bytes - 8; cut > 0; cut -= cut > 40 ? 37 : 1) { /* any other cut is an error, and names the file */
        write_file(scratch("cut"), jpeg, cut);
        err.text[0] = 0;
        assert_int_not_equal(df_image_read(scratch("cut"), &image, &err), DF_OK);
        assert_non_null(strstr(err.text, "/cut"));
    }
    write_file(scratch("cut"), "", 0);
    assert_fails(df_image_read(scratch("cut"), &image, &err), DF_ERR_FORMAT, "not an image");
    assert_fails(df_image_read(scratch("absent"), &image, &err), DF_ERR_NOT_FOUND, "absent");
    assert_fails(df_image_read(df_test_folder(), &image, &err), DF_ERR_IO, "not a regular file");
    df_image_release(&image);
    tjFree(jpeg);
}

/* One damaged byte anywhere: no crash; the sanitizers watch. */
static void test_damaged_bytes(void **state)
{
    unsigned long bytes = 0;
    uint8_t *jpeg = make_jpeg(&bytes);
    struct df_image image = { 0 };
    struct df_error err;
    int good = 0, bad = 0;

    (void)state;
    for (unsigned long at = 0; at < bytes; at += 3) {
        const uint8_t was = jpeg[at];

        jpeg[at] = (uint8_t)(was ^ 0xa5);
        write_file(scratch("damaged"), jpeg, bytes);
        if (df_image_read(scratch("damaged"), &image, &err) == DF_OK)
            good++;
        else
            bad++;
        jpeg[at] = was;
    }
    assert_true(good > 0 && bad > 0);
    df_image_release(&image);
    tjFree(jpeg);
}

static void test_resize(void **state)
{
    FILE *golden = fopen("tests/golden/resize.txt", "r");
    int h, w, to_h, to_w, cases = 0;

    (void)state;
    assert_non_null(golden);
    while (fscanf(golden, "%d %d %d %d", &h, &w, &to_h, &to_w) == 4) {
        uint8_t from[600], to[600];
        const struct df_image image = { .width = w, .height = h, .pixels = from };

        for (int i = 0; i < h * w * 3; i++) {
            int value;

            assert_int_equal(fscanf(golden, "%d", &value), 1);
            from[i] = (uint8_t)value;
        }
        df_image_resize(&image, to, to_w, to_h);
        for (int i = 0; i < to_h * to_w * 3; i++) {
            double value;

            assert_int_equal(fscanf(golden, "%lf", &value), 1);
            assert_close(to[i], value, 0, 0.5002); /* rounding to 8 bits; the golden has 4 decimals */
        }
        cases++;
    }
    assert_int_equal(cases, 5);
    fclose(golden);
}

/* May this build refuse a file that the collection calls ok? Only where the advice allows it. */
static bool may_refuse(const char *file, const struct df_error *err)
{
    return (strstr(file, ".ppm") && strstr(err->text, "PNM")) || (strstr(file, "cmyk") && strstr(err->text, "CMYK"));
}

static void check_case(const cJSON *item, const char *folder, struct df_image *image)
{
    const char *file = cJSON_GetObjectItem(item, "file")->valuestring, *expect = cJSON_GetObjectItem(item, "expect")->valuestring;
    const cJSON *width = cJSON_GetObjectItem(item, "width"), *height = cJSON_GetObjectItem(item, "height");
    struct df_error err = { 0 };
    char path[1024];

    snprintf(path, sizeof path, "%s/%s", folder, file);
    warnings = 0;
    const df_status status = df_image_read(path, image, &err);
    if (status != DF_OK && !strstr(err.text, path))
        fail_msg("%s: the message does not name the file: %s", file, err.text);
    if (strcmp(expect, "error") == 0 && status == DF_OK)
        fail_msg("%s: accepted", file);
    if (strcmp(expect, "ok") == 0 && status != DF_OK && !may_refuse(file, &err))
        fail_msg("%s: refused: %s", file, err.text);
    if (strcmp(expect, "warn") == 0 && status == DF_OK && warnings == 0)
        fail_msg("%s: accepted without a warning", file);
    if (strcmp(expect, "ok") == 0 && warnings && !strstr(last_warning, "EXIF orientation"))
        fail_msg("%s: a warning: %s", file, last_warning);
    if (status == DF_OK && width && height && !strstr(file, "orientation")) {
        assert_int_equal(image->width, width->valueint);
        assert_int_equal(image->height, height->valueint);
    }
}

static void test_collection(void **state)
{
    const char *manifest = df_test_shared("data/badinputs/manifest.json");
    struct df_image image = { 0 };
    struct df_error err;
    const cJSON *item;
    char folder[512];
    cJSON *root;
    int cases = 0;

    (void)state;
    if (!manifest)
        skip();
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(manifest, '/') - manifest), manifest);
    assert_ok(df_json_read(manifest, &root, &err));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "cases"))
    {
        if (strncmp(cJSON_GetObjectItem(item, "file")->valuestring, "images/", 7) == 0) {
            check_case(item, folder, &image);
            cases++;
        }
    }
    assert_true(cases > 60);
    cJSON_Delete(root);
    df_image_release(&image);
}

/* The pictures that hold the same pixels as base.png, and those within JPEG's error. */
static void test_collection_pixels(void **state)
{
    static const struct {
        const char *name;
        double error; /* mean absolute difference */
    } files[] = { { "rgba.png", 0 },      { "rgb16.png", 0 },   { "interlaced.png", 0 },       { "many-idat.png", 0 },
                  { "png-named.jpg", 0 }, { "base.jpg", 2 },    { "rgb-colourspace.jpg", 2 },  { "progressive.jpg", 2 },
                  { "sub420.jpg", 3 },    { "palette.png", 4 }, { "unknown-ancillary.png", 0 } };
    struct df_image base = { 0 }, image = { 0 };
    struct df_error err;

    (void)state;
    if (!df_test_shared("data/badinputs/images/base.png"))
        skip();
    assert_ok(df_image_read(df_test_shared("data/badinputs/images/base.png"), &base, &err));
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char name[128];
        double sum = 0;

        snprintf(name, sizeof name, "data/badinputs/images/%s", files[k].name);
        assert_ok(df_image_read(df_test_shared(name), &image, &err));
        assert_int_equal(image.width, base.width);
        for (int i = 0; i < base.width * base.height * 3; i++)
            sum += abs(image.pixels[i] - base.pixels[i]);
        assert_close(sum / (base.width * base.height * 3), 0, 0, files[k].error);
    }
    df_image_release(&base);
    df_image_release(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_round_trip), cmocka_unit_test(test_jpeg),       cmocka_unit_test(test_damaged_bytes),
        cmocka_unit_test(test_resize),         cmocka_unit_test(test_collection), cmocka_unit_test(test_collection_pixels),
    };

    df_warn_set(count_warning, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
