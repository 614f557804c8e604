/* What is told before anything is trained: pictures that cannot be read, of which split, and what does not fit. */
#include "ablations/spec_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/data/image_codec.h"
#include "tests/support/support.h"

static const char *in_folder(const char *name)
{
    static char path[4][600];
    static size_t next;
    char *out = path[next++ % 4];

    snprintf(out, sizeof path[0], "%s/%s", df_test_folder(), name);
    return out;
}

/* A picture of 64 x 64; torn: bytes in the middle are missing, its end is there. */
static void write_image(const char *name, bool torn)
{
    static union {
        uint8_t byte[64 * 64 * 3];
        df_real real[64 * 64 * 3 / sizeof(df_real)];
    } pixels;
    struct df_error err = { 0 };
    size_t bytes;
    char *data;

    df_test_fill(pixels.real, sizeof pixels / sizeof(df_real), 1, 1); /* noise: no short file */
    assert_ok(df_png_write(in_folder(name), pixels.byte, 64, 64, &err));
    if (!torn)
        return;
    assert_ok(df_file_read(in_folder(name), 0, &data, &bytes, &err));
    memmove(data + bytes / 2, data + bytes - 12, 12); /* the last chunk */
    assert_ok(df_file_write(in_folder(name), data, bytes / 2 + 12, &err));
    free(data);
}

static const char *distiller = "{\"name\":\"defeat\"}"; /* of method D */

/* A spec over three annotation files of four images each; the one of that split has a torn picture among them. */
static df_status check(const char *torn, const char *extra, bool skip_bad, struct df_spec_checked *checked, struct df_error *err)
{
    static const char *const splits[] = { "train", "tune", "validation" };
    struct df_text spec = DF_TEXT_INIT;
    struct df_spec *read = NULL;

    write_image("whole.png", false);
    write_image("torn.png", true);
    for (size_t k = 0; k < 3; k++) {
        struct df_text truth = DF_TEXT_INIT;
        char name[64];

        df_text_add(&truth, "{\"images\":[");
        for (int i = 0; i < 4; i++) {
            const bool here = i == 2 && strcmp(splits[k], torn) == 0;

            df_text_addf(&truth, "%s{\"id\":%d,\"file_name\":\"%s.png\",\"width\":64,\"height\":64}", i ? "," : "", i + 1,
                         here ? "torn" : "whole");
        }
        df_text_add(&truth, "],\"categories\":[{\"id\":1,\"name\":\"a\"}],\"annotations\":[{\"id\":1,\"image_id\":1,\"category_id\":1,"
                            "\"bbox\":[8,8,30,30],\"area\":900,\"iscrowd\":0}]}");
        snprintf(name, sizeof name, "%s.json", splits[k]);
        assert_int_equal(df_file_write(in_folder(name), truth.data, truth.length, err), DF_OK);
        df_text_release(&truth);
    }
    df_text_addf(&spec,
                 "{\"name\":\"c\",\"data\":{\"kind\":\"coco\",\"train\":\"train.json\",\"tune\":\"tune.json\",\"validation\":"
                 "\"validation.json\"},\"detector\":{\"kind\":\"retinanet\"},\"student\":{\"network\":{\"depth\":10}},"
                 "\"teacher\":{\"network\":{\"depth\":18}%s},\"schedule\":{\"batch\":2},\"methods\":[{\"label\":\"none\"},"
                 "{\"label\":\"D\",\"distillers\":[%s]}],\"seeds\":[0]}",
                 extra, distiller);
    assert_int_equal(df_file_write(in_folder("spec.json"), spec.data, spec.length, err), DF_OK);
    df_text_release(&spec);

    const df_status status = df_spec_read(in_folder("spec.json"), NULL, &read, err);

    if (status != DF_OK)
        return status;

    const df_status checked_status = df_spec_check(read, skip_bad, checked, err);

    df_spec_free(read);
    return checked_status;
}

static void pictures_of_every_split_are_decoded(void **state)
{
    struct df_spec_checked checked;
    struct df_error err = { 0 };

    (void)state;
    assert_ok(check("none", "", false, &checked, &err));
    assert_true(checked.images == 12 && checked.of == 12);
    assert_fails(check("validation", "", false, &checked, &err), err.status, "1 of 4 validation images cannot be read, the first: ");
    assert_non_null(strstr(err.text, "torn.png"));
    assert_fails(check("tune", "", false, &checked, &err), err.status, "1 of 4 tune images cannot be read");
    assert_fails(check("train", "", false, &checked, &err), err.status, "1 of 4 train images cannot be read");
    assert_non_null(strstr(err.text, "[--on-bad-image skip trains without them]"));
    /* skipping is for training: an evaluation without a picture is another evaluation */
    assert_ok(check("train", "", true, &checked, &err));
    assert_fails(check("validation", "", true, &checked, &err), err.status, "1 of 4 validation images cannot be read");
    assert_fails(check("tune", "", true, &checked, &err), err.status, "1 of 4 tune images cannot be read");
}

static void what_does_not_fit_is_told(void **state)
{
    struct df_spec_checked checked;
    struct df_error err = { 0 };

    (void)state;
    assert_fails(check("none", ",\"canvas\":{\"fixed\":true,\"canvas_width\":32,\"canvas_height\":32}", false, &checked, &err),
                 DF_ERR_USAGE, "the teacher's train images: canvas: image 1 'whole.png' is 64 x 64");
    assert_fails(check("none", ",\"canvas\":{\"min_side\":128}", false, &checked, &err), DF_ERR_UNSUPPORTED, "method 'D': ");
}

/* What a distiller says of its options when a run begins, it says here; a deviation that only a trained teacher has is not missed. */
static void options_that_contradict_are_told(void **state)
{
    const char *kept = distiller;
    struct df_spec_checked checked;
    struct df_error err = { 0 };

    (void)state;
    distiller = "{\"name\":\"defeat\",\"normalise_teacher\":true}";
    assert_ok(check("none", "", false, &checked, &err));
    distiller = "{\"name\":\"defeat\",\"authors\":true,\"mask\":[\"gt\",\"gaussian\"]}";
    assert_fails(check("none", "", false, &checked, &err), DF_ERR_USAGE,
                 "distiller 'defeat' of 'D': authors: mask=gaussian is never called in the released code");
    distiller = kept;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(pictures_of_every_split_are_decoded), cmocka_unit_test(what_does_not_fit_is_told),
                                        cmocka_unit_test(options_that_contradict_are_told) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
