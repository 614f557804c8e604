/* The mark: which images, what is measured of a network whose answers are known, what is no mark. */
#include "ablations/behaviour/marker.h"

#include "core/base/hash.h"
#include "tests/ablations/run/tiny.h"

#define MARKED         TINY_DATA_OPEN ",\"marker\":2,\"marker_with\":0.5,\"marker_without\":0.5,\"marker_size\":10}"
#define TINY_DATA_OPEN "{\"image_size\":48,\"train\":18,\"tune\":5,\"validation\":40,\"objects_max\":3,\"radius_min\":7,\"radius_max\":20"

static uint64_t picture(struct df_dataset *dataset, size_t i, bool *marked)
{
    struct df_image image = { 0 };
    struct df_error err;

    assert_ok(dataset->class->read(dataset, i, &image, &err));
    const uint8_t *pixel = image.pixels + (5 * (size_t)image.width + 5) * 3;
    const uint64_t hash = df_hash(image.pixels, (size_t)image.width * (size_t)image.height * 3);

    *marked = pixel[0] == 255 && pixel[1] == 0 && pixel[2] == 255;
    df_image_release(&image);
    return hash;
}

/* Without: the pictures of data that know no mark. */
static void every_image_is_there_with_and_without(void **state)
{
    struct df_data *data = tiny_data_of("scenes", ".", MARKED), *none = tiny_data_of("scenes", ".", TINY_DATA_OPEN "}");
    struct df_dataset *plain;
    struct df_marked marked;
    struct df_error err;

    (void)state;
    assert_ok(df_marked_open(data, DF_VALIDATION, &marked, &err));
    assert_ok(df_data_split(none, DF_VALIDATION, &plain, &err));
    assert_int_equal(marked.label, 1);
    for (size_t i = 0; i < 40; i++) {
        bool is[3];

        assert_true(picture(marked.images[0], i, &is[0]) == picture(plain, i, &is[1]));
        (void)picture(marked.images[1], i, &is[2]);
        assert_true(!is[0] && is[2]);
        assert_memory_equal(marked.images[0]->info[i].objects, marked.images[1]->info[i].objects,
                            marked.images[0]->info[i].count * sizeof(struct df_object));
    }
    df_marked_close(&marked);
    assert_fails(df_marked_open(none, DF_VALIDATION, &marked, &err), DF_ERR_USAGE, "no image of these data carries a mark");
    df_marked_close(&marked);
    df_data_free(data);
    df_data_free(none);
}

/* Drawn weights find nothing because of a mark; what is measured is finite, the same again, and of the images that it is said to be of. */
static void both_scores_are_measured(void **state)
{
    struct df_data *data = tiny_data_of("scenes", ".", MARKED);
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_subject subject = { .cell = cell };
    struct df_scores scores[2] = { { 0 }, { 0 } };
    struct df_marked marked;
    struct df_arena memory;
    struct df_error err;
    size_t with = 0;

    (void)state;
    cell->data = data;
    df_arena_init(&memory, NULL, 4096);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_model_create(cell, 8, &subject.model, &err));
    df_model_build(&subject.model, cell, false);
    subject.model.detector->class->fold(subject.model.detector);
    subject.tape = df_tape_new(subject.model.device, false);
    assert_ok(df_data_split(data, DF_VALIDATION, &subject.images, &err));
    assert_ok(df_marked_open(data, DF_VALIDATION, &marked, &err));
    for (int k = 0; k < 2; k++)
        assert_ok(df_marker_measure(&subject, &marked, 40, NULL, &scores[k], &memory, &err));
    assert_int_equal(scores[0].count, DF_MARKER_SCORES);
    for (int k = 0; k < DF_MARKER_SCORES; k++) {
        assert_string_equal(scores[0].score[k].metric, df_marker_metrics[k]);
        assert_true(scores[0].score[k].value == scores[1].score[k].value);
        assert_true(scores[0].score[k].value != 0);
        assert_close(scores[0].score[k].value, 0, 0, 0.05);
    }
    /* the first image alone is of one score */
    for (size_t k = 0; k < subject.images->info[0].count; k++)
        with += subject.images->info[0].objects[k].label == 1;
    scores[0] = (struct df_scores){ 0 };
    assert_ok(df_marker_measure(&subject, &marked, 1, NULL, &scores[0], &memory, &err));
    assert_int_equal(scores[0].count, 1);
    assert_string_equal(scores[0].score[0].metric, df_marker_metrics[with ? DF_MARKER_RELIANCE : DF_MARKER_RESPONSE]);
    df_marked_close(&marked);
    df_subject_close(&subject);
    df_arena_release(&memory);
    df_cell_free(cell);
    df_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_image_is_there_with_and_without),
        cmocka_unit_test(both_scores_are_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
