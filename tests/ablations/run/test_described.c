/* What a checkpoint says of itself: its network and its classes, with and without the metadata of today. */
#include "ablations/run/described.h"

#include "ablations/run/model.h"
#include "core/nn/checkpoint.h"
#include "tests/ablations/run/tiny.h"

/* A checkpoint of the cell's network, untrained; metadata end with a NULL key. */
static const char *write(struct df_cell *cell, const char *name, const struct df_metadata *metadata)
{
    static char path[600];
    struct df_error err = { 0 };
    struct df_model model;
    size_t count = 0;

    while (metadata[count].key)
        count++;
    snprintf(path, sizeof path, "%s/%s.safetensors", df_test_folder(), name);
    assert_ok(df_model_create(cell, 8, &model, &err));
    df_parameters_build(model.parameters, model.device, 1, false);
    assert_ok(df_checkpoint_write(
        path, (struct df_checkpoint){ .parameters = model.parameters, .metadata = metadata, .metadata_count = count }, &err));
    df_model_release(&model);
    return path;
}

/* The network is the cell's: the weights fit it. */
static void check_network(const char *path, const struct df_described *described, const struct df_cell *cell)
{
    struct df_error err = { 0 };
    struct df_model model;

    assert_ptr_equal(described->cell.detector, cell->detector);
    assert_memory_equal(described->cell.detector_options, cell->detector_options, cell->detector->options_size);
    assert_memory_equal(&described->cell.network, &cell->network, sizeof cell->network);
    assert_true(described->cell.canvas.divisor == cell->canvas.divisor && described->cell.seed == cell->seed);
    assert_ok(df_model_open(&described->cell, described->classes, path, &model, &err));
    df_model_release(&model);
}

static void classes_are_named_by_the_file(void **state)
{
    struct df_cell *cells[] = { tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 7), tiny_faster(8) };
    struct df_described described;
    struct df_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct df_text classes = DF_TEXT_INIT;
        struct df_dataset *train;

        assert_ok(df_cell_seal(cells[i], &err));
        assert_ok(df_data_split(cells[i]->data, DF_TRAIN, &train, &err));
        df_classes_text(train, &classes);
        assert_memory_equal(classes.data, "{\"1\":\"disk\",\"2\":\"ring\",", 23);

        const struct df_metadata metadata[] = {
            { "id", cells[i]->id }, { "cell", cells[i]->json.data }, { "classes", classes.data }, { 0 }
        };
        const char *path = write(cells[i], "named", metadata);

        assert_ok(df_described_read(path, "cpu", &described, &err));
        assert_true(described.named && described.classes == 8 && described.category[6].id == 7);
        assert_string_equal(described.category[6].name, "crescent");
        assert_string_equal(described.run, cells[i]->id);
        check_network(path, &described, cells[i]);
        df_described_release(&described);
        df_text_release(&classes);
        df_cell_free(cells[i]);
    }
}

/* Written before "classes": their number is what the file's numbers make. */
static void an_older_file_has_numbers(void **state)
{
    struct df_cell *cells[] = { tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 7), tiny_faster(8) };
    struct df_described described;
    struct df_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(df_cell_seal(cells[i], &err));

        const struct df_metadata metadata[] = { { "cell", cells[i]->json.data }, { 0 } };
        const char *path = write(cells[i], "older", metadata);

        assert_ok(df_described_read(path, "cpu", &described, &err));
        assert_true(!described.named && described.classes == 8 && described.category[7].id == 8);
        assert_string_equal(described.category[7].name, "8");
        check_network(path, &described, cells[i]);
        df_described_release(&described);
        df_cell_free(cells[i]);
    }
}

static void what_it_does_not_say_is_an_error(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 7), *wider = tiny_cell(TINY_TEACHER, TINY_SCHEDULE, "cpu", 7);
    struct df_described d;
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_cell_seal(wider, &err));

    const struct {
        struct df_metadata metadata[3];
        const char *told;
    } cases[] = {
        { { { "format", "x" }, { 0 } }, "does not say what its network is (no \"cell\" in its metadata) [on a data set" },
        { { { "cell", "{}" }, { 0 } }, "cell: " },
        { { { "cell", "[1]" }, { 0 } }, "cell: expected an object" },
        { { { "cell", cell->json.data }, { "classes", "[]" } }, "classes: expected an object of names" },
        { { { "cell", cell->json.data }, { "classes", "{}" } }, "classes: expected an object of names" },
        { { { "cell", cell->json.data }, { "classes", "{\"a\":\"b\"}" } }, "'a': expected a category id and its name" },
        { { { "cell", cell->json.data }, { "classes", "{\"1\":2}" } }, "'1': expected a category id and its name" },
        { { { "cell", wider->json.data }, { 0 } }, "numbers fit no number of classes of its network" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(df_described_read(write(cell, "wrong", cases[i].metadata), "cpu", &d, &err), DF_ERR_FORMAT, cases[i].told);
    df_cell_free(cell);
    df_cell_free(wider);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(classes_are_named_by_the_file), cmocka_unit_test(an_older_file_has_numbers),
                                        cmocka_unit_test(what_it_does_not_say_is_an_error) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
