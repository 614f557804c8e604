/* JPEG to the last bit, with and without vector instructions, against what another version of the library says (tests/golden/make_jpeg.py); the
 * EXIF orientation: all eight, where it is applied and where not, truncated and hostile files. */
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/data/data.h"
#include "core/data/exif.h"
#include "core/data/image_file.h"

extern const struct df_dataset_class df_dataset_coco;

static char last_warning[512];
static void keep_warning(void *context, const char *text)
{
    (void)context;
    snprintf(last_warning, sizeof last_warning, "%s", text);
}

/* FNV-1a */
static uint64_t hash_of(const uint8_t *data, size_t bytes)
{
    uint64_t value = 0xcbf29ce484222325;

    for (size_t i = 0; i < bytes; i++)
        value = (value ^ data[i]) * 0x100000001b3;
    return value;
}

static const char *golden(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "tests/golden/jpeg/%s.jpg", name);
    return path;
}

/* What expected.txt says of the stored pictures, as this process decodes them. */
static void describe(struct df_text *out)
{
    static const char *const names[] = { "420", "422", "444", "progressive", "grey" };
    struct df_image image = { 0 };
    struct df_error err;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_ok(df_image_read(golden(names[i]), &image, &err));
        df_text_addf(out, "%s 1 %d %d %016llx\n", names[i], image.width, image.height,
                     (unsigned long long)hash_of(image.pixels, (size_t)image.width * (size_t)image.height * 3));
    }
    df_image_release(&image);
}

static void expected_text(char **text)
{
    struct df_error err;
    size_t bytes;

    assert_ok(df_file_read("tests/golden/jpeg/expected.txt", 0, text, &bytes, &err));
}

static void test_bits(void **state)
{
    struct df_text found = DF_TEXT_INIT;
    char *expected;

    (void)state;
    expected_text(&expected);
    describe(&found);
    assert_int_equal(strncmp(expected, df_text_get(&found), found.length), 0);
    assert_int_equal(strncmp(expected + found.length, "444 2 ", 6), 0); /* all lines of orientation 1 */
    df_text_release(&found);
    free(expected);
}

/* The library looks for JSIMD_FORCENONE once: another process of this program. */
static void test_bits_without_vectors(void **state)
{
    char program[512], command[600], line[128], *expected, *at;
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);

    (void)state;
    if (length < 0)
        skip();
    program[length] = 0;
    expected_text(&expected);
    at = expected;
    snprintf(command, sizeof command, "JSIMD_FORCENONE=1 '%s' describe", program);
    FILE *pipe = popen(command, "r");

    assert_non_null(pipe);
    for (int lines = 0; lines < 5; lines++) {
        assert_non_null(fgets(line, sizeof line, pipe));
        assert_int_equal(strncmp(at, line, strlen(line)), 0);
        at += strlen(line);
    }
    assert_null(fgets(line, sizeof line, pipe));
    assert_int_equal(pclose(pipe), 0);
    free(expected);
}

/* ---- orientation ---- */

/* "444" with an EXIF block after its first two bytes, which says this orientation; `intel`: byte order. *bytes: of all of it. */
static uint8_t *tagged(unsigned orientation, bool intel, size_t *bytes)
{
    static const uint8_t intel_block[] = "\xff\xe1\0\x2a"
                                         "Exif\0\0II*\0\x08\0\0\0\2\0"
                                         "\x0f\1\2\0\1\0\0\0x\0\0\0"
                                         "\x12\1\3\0\1\0\0\0?\0\0\0";
    static const uint8_t motorola_block[] = "\xff\xe1\0\x2a"
                                            "Exif\0\0MM\0*\0\0\0\x08\0\2"
                                            "\1\x0f\0\2\0\0\0\1x\0\0\0"
                                            "\1\x12\0\3\0\0\0\1\0?\0\0";
    const uint8_t *block = intel ? intel_block : motorola_block;
    const size_t length = 2 + 0x2a;
    struct df_error err;
    size_t plain;
    char *jpeg;

    assert_ok(df_file_read(golden("444"), 0, &jpeg, &plain, &err));
    *bytes = plain + length;
    uint8_t *out = df_malloc(*bytes);

    memcpy(out, jpeg, 2);
    memcpy(out + 2, block, length);
    memcpy(out + 2 + length, jpeg + 2, plain - 2);
    *(uint8_t *)memchr(out + 2 + length - 12, '?', 12) = (uint8_t)orientation;
    free(jpeg);
    return out;
}

static const char *write_tagged(unsigned orientation, bool intel)
{
    static char path[512];
    struct df_error err;
    size_t bytes;
    uint8_t *data = tagged(orientation, intel, &bytes);

    snprintf(path, sizeof path, "%s/tagged%u.jpg", df_test_folder(), orientation);
    assert_ok(df_file_write(path, data, bytes, &err));
    free(data);
    return path;
}

static void test_turn(void **state)
{
    struct df_image image = { 0 };
    struct df_error err;
    char *expected;

    (void)state;
    expected_text(&expected);
    assert_ok(df_image_read(golden("444"), &image, &err));
    uint8_t *upright = df_malloc(37 * 29 * 3);

    for (unsigned orientation = 1; orientation <= 8; orientation++) {
        char line[128];

        df_exif_turn(image.pixels, 37, 29, orientation, upright);
        snprintf(line, sizeof line, "444 %u %d %d %016llx\n", orientation, orientation < 5 ? 37 : 29, orientation < 5 ? 29 : 37,
                 (unsigned long long)hash_of(upright, 37 * 29 * 3));
        assert_non_null(strstr(expected, line));
    }
    free(upright);
    df_image_release(&image);
    free(expected);
}

static df_status check_header(const char *path, int width, int height)
{
    struct df_error err;
    size_t bytes;
    char *data;

    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    const df_status status = df_image_check(path, data, bytes, &width, &height, NULL);

    free(data);
    return status;
}

/* Turned only where the sides are swapped and somebody says the upright size; any other size that is said must be the file's. */
static void test_when_turned(void **state)
{
    static const struct {
        unsigned orientation;
        int width, height;
        enum { STAYS, TURNED, REFUSED } is;
        bool told;
    } cases[] = { { 1, 29, 37, REFUSED, false }, { 2, 29, 37, REFUSED, false }, { 3, 37, 29, STAYS, true },
                  { 4, 29, 37, REFUSED, false }, { 5, 29, 37, TURNED, false },  { 6, 29, 37, TURNED, false },
                  { 7, 29, 37, TURNED, false },  { 8, 29, 37, TURNED, false },  { 6, 37, 29, STAYS, true },
                  { 8, 30, 37, REFUSED, false }, { 5, 29, 36, REFUSED, false }, { 7, 0, 0, STAYS, true },
                  { 1, 37, 29, STAYS, false } };
    struct df_image image = { 0 }, plain = { 0 };
    struct df_error err;

    (void)state;
    assert_ok(df_image_read(golden("444"), &plain, &err));
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const unsigned orientation = cases[i / 2].orientation;
        const char *path = write_tagged(orientation, i % 2);
        const int width = cases[i / 2].width, height = cases[i / 2].height;
        const bool turned = cases[i / 2].is == TURNED;
        uint8_t upright[37 * 29 * 3];

        last_warning[0] = 0;
        if (cases[i / 2].is == REFUSED) {
            assert_fails(df_image_read_as(path, width, height, &image, &err), DF_ERR_FORMAT,
                         "the file is 37 x 29, but its annotations say ");
            assert_int_equal(check_header(path, width, height), DF_ERR_FORMAT);
            continue;
        }
        assert_int_equal(check_header(path, width, height), DF_OK); /* the header alone says the same */
        assert_ok(df_image_read_as(path, width, height, &image, &err));
        assert_int_equal(image.width, turned ? 29 : 37);
        assert_int_equal(image.height, turned ? 37 : 29);
        df_exif_turn(plain.pixels, 37, 29, turned ? orientation : 1, upright);
        assert_memory_equal(image.pixels, upright, sizeof upright);
        assert_true((strstr(last_warning, "EXIF orientation") != NULL) == cases[i / 2].told);
    }
    df_image_release(&plain);
    df_image_release(&image);
}

/* The picture of an annotation file that says the upright size. */
static void test_data_set(void **state)
{
    static const char json[] = "{\"images\":[{\"id\":1,\"file_name\":\"tagged6.jpg\",\"width\":29,\"height\":37},"
                               "{\"id\":2,\"file_name\":\"tagged8.jpg\",\"width\":37,\"height\":29}],"
                               "\"annotations\":[{\"id\":1,\"image_id\":1,\"category_id\":1,\"bbox\":[1,2,3,4],\"area\":12,\"iscrowd\":0}],"
                               "\"categories\":[{\"id\":1,\"name\":\"a\"}]}";
    const struct df_dataset_class *class = &df_dataset_coco;
    void *options = df_calloc(1, class->options_size);
    struct df_image image = { 0 }, plain = { 0 };
    struct df_dataset *dataset;
    struct df_error err;
    uint8_t upright[37 * 29 * 3];
    char path[600];

    (void)state;
    write_tagged(6, true);
    write_tagged(8, true);
    snprintf(path, sizeof path, "%s/all.json", df_test_folder());
    assert_ok(df_file_write(path, json, strlen(json), &err));
    df_options_standard(class->options, options);
    assert_ok(df_options_set(class->options, "validation", "all.json", "test", options, &err));
    assert_ok(class->open(&(struct df_data){ .class = class, .options = options, .base = (char *)df_test_folder() }, DF_VALIDATION,
                          &dataset, &err));
    assert_ok(df_image_read(golden("444"), &plain, &err));
    last_warning[0] = 0;
    assert_ok(class->read(dataset, 0, &image, &err));
    assert_string_equal(last_warning, "");
    assert_int_equal(image.width, 29);
    df_exif_turn(plain.pixels, 37, 29, 6, upright);
    assert_memory_equal(image.pixels, upright, sizeof upright);
    assert_ok(class->read(dataset, 1, &image, &err));
    assert_non_null(strstr(last_warning, "not applied"));
    assert_memory_equal(image.pixels, plain.pixels, sizeof upright);
    df_image_release(&plain);
    df_image_release(&image);
    df_dataset_close(dataset);
    free(options);
}

/* Every beginning of the file, in memory of exactly its size; every single damaged byte of the block; numbers that point outside. The
 * sanitizers watch. */
static void test_hostile(void **state)
{
    enum { BLOCK = 2 + 2 + 0x2a };

    (void)state;
    for (int intel = 0; intel < 2; intel++) {
        size_t bytes;
        uint8_t *whole = tagged(7, intel, &bytes);
        int found = 0;

        assert_int_equal(df_exif_orientation(whole, bytes), 7);
        for (size_t cut = 0; cut <= BLOCK; cut++) {
            uint8_t *part = df_malloc(cut ? cut : 1);

            memcpy(part, whole, cut);
            assert_int_equal(df_exif_orientation(part, cut), cut == BLOCK ? 7 : 1);
            free(part);
        }
        for (size_t at = 0; at < BLOCK; at++)
            for (int bit = 0; bit < 256; bit++) {
                uint8_t *copy = df_malloc(BLOCK);

                memcpy(copy, whole, BLOCK);
                copy[at] = (uint8_t)bit;
                const unsigned orientation = df_exif_orientation(copy, BLOCK);

                assert_true(orientation >= 1 && orientation <= 8);
                found += orientation == 7;
                free(copy);
            }
        assert_true(found > BLOCK);
        free(whole);
    }
    const uint8_t endless[] = { 0xff, 0xd8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    assert_int_equal(df_exif_orientation(endless, sizeof endless), 1);
    assert_int_equal(df_exif_orientation(endless, 0), 1);
    size_t bytes;
    uint8_t *illegal = tagged(9, true, &bytes);

    assert_int_equal(df_exif_orientation(illegal, bytes), 1);
    free(illegal);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_bits),     cmocka_unit_test(test_bits_without_vectors),
                                        cmocka_unit_test(test_turn),     cmocka_unit_test(test_when_turned),
                                        cmocka_unit_test(test_data_set), cmocka_unit_test(test_hostile) };

    if (argc == 2 && strcmp(argv[1], "describe") == 0) {
        struct df_text text = DF_TEXT_INIT;

        describe(&text);
        fputs(df_text_get(&text), stdout);
        df_text_release(&text);
        return 0;
    }
    df_warn_set(keep_warning, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
