/* Rows of older semantics and a spec of today: which row answers which cell. The rows are made up, with cells that say less and other things. */
#include <stdlib.h>
#include <string.h>

#include "ablations/rows.h"
#include "core/base/file.h"
#include "tests/support/support.h"

/* Two variants that differ in what the teacher is: none is one run of both. w = 3 is full_feature's default. */
static const char spec_text[] = "{\"name\":\"rows\",\"data\":{\"kind\":\"scenes\",\"context\":0.25},\"detector\":{\"kind\":\"retinanet\"},"
                                "\"student\":{\"network\":{\"depth\":18}},\"teacher\":{\"network\":{\"depth\":50}},"
                                "\"variants\":[{\"label\":\"a\"},{\"label\":\"b\",\"teacher\":{\"network\":{\"depth\":101}}}],"
                                "\"methods\":[{\"label\":\"none\",\"distillers\":[]},"
                                "{\"label\":\"full\",\"distillers\":[{\"name\":\"full_feature\",\"w\":[3,5]}]}],\"seeds\":[0,1]}";
enum { LINES = 6, SEEDS = 2 };

#define CELL(context, w)                                                                                                                   \
    "{\"semantics\":1,\"role\":\"student\",\"data\":{\"kind\":\"scenes\",\"context\":" context "},\"detector\":{\"kind\":\"retinanet\"},"  \
    "\"distillers\":[" w "],\"seed\":0,\"device\":\"cpu\",\"isa\":\"avx2\",\"threads\":1}"
#define FULL(w) "{\"name\":\"full_feature\",\"w\":" w "}"

static struct df_run_row row(const char *run, int64_t semantics, const char *label, const char *axes, const char *cell)
{
    return (struct df_run_row){ .semantics = semantics,
                                .run = run,
                                .label = label,
                                .axes = axes,
                                .cell = cell,
                                .status = "ok",
                                .device = "cpu",
                                .environment = "{\"isa\":\"avx2\"}" };
}

static struct df_spec *read_spec(void)
{
    char *path = df_path_join(df_test_folder(), "rows.json");
    struct df_error err = { 0 };
    struct df_spec *spec;

    assert_ok(df_file_write(path, spec_text, sizeof spec_text - 1, &err));
    assert_ok(df_spec_read(path, NULL, &spec, &err));
    free(path);
    return spec;
}

static void the_older_row_that_agrees(void **state)
{
    struct df_run_row rows[] = {
        row("01", 1, "none", "a", CELL("0.25", "")),
        row("02", 1, "full", "a w=3", CELL("0.25", FULL("2"))), /* its default was another */
        row("03", 1, "full", "a w=5", CELL("0.25", FULL("4"))), /* its weight was asked for, and was another */
        row("04", 1, "full", "b w=3", CELL("0.5", FULL("3"))),  /* other data */
        row("05", 0, "full", "b w=5", CELL("0.25", FULL("5"))), /* of another semantics */
    };
    struct df_journal journal = { .runs = sizeof rows / sizeof *rows, .run = rows };
    const struct df_rows_wanted wanted = { 1, "" };
    static const char *const expected[LINES] = { "01", "02", "", "01", "", "" };
    struct df_table_request request;
    struct df_error err = { 0 };
    struct df_arena memory;
    struct df_spec *spec = read_spec();

    (void)state;
    df_arena_init(&memory, NULL, 1 << 12);
    assert_ok(df_rows_request(spec, &journal, &wanted, &memory, &request, &err));
    assert_int_equal(request.lines, LINES);
    for (size_t l = 0; l < LINES; l++) {
        assert_string_equal(request.line[l].run[0], expected[l]);
        assert_string_equal(request.line[l].run[1], ""); /* seed 1 */
        assert_string_equal(request.line[l].cell[1], spec->cell[l * SEEDS + 1]->json.data);
    }
    assert_int_equal(request.line[4].baseline, 3);
    assert_int_equal(df_rows_found(&journal, &request), 3);

    /* a failed row is an answer, but not before a finished one */
    rows[4] = row("06", 1, "none", "a", CELL("0.25", ""));
    rows[4].status = "failed: killed";
    assert_ok(df_rows_request(spec, &journal, &wanted, &memory, &request, &err));
    assert_string_equal(request.line[0].run[0], "01");
    rows[0].status = "failed: first";
    assert_ok(df_rows_request(spec, &journal, &wanted, &memory, &request, &err));
    assert_string_equal(request.line[0].run[0], "06");
    df_arena_release(&memory);
    df_spec_free(spec);
}

/* Rows of today are found by their ids alone: nothing that merely agrees. */
static void a_row_of_today_has_its_id(void **state)
{
    struct df_error err = { 0 };
    struct df_spec *spec = read_spec();
    struct df_run_row rows[] = { row("01", DF_SEMANTICS, "none", "a", CELL("0.25", "")),
                                 row(spec->cell[1]->id, DF_SEMANTICS, "x", "", "{}"),
                                 row("03", DF_SEMANTICS - 1, "none", "a", CELL("0.25", "")) };
    struct df_journal journal = { .runs = 2, .run = rows };
    const struct df_rows_wanted wanted = { DF_SEMANTICS, NULL };
    struct df_table_request request;
    struct df_arena memory;
    struct df_text others = DF_TEXT_INIT;

    (void)state;
    df_arena_init(&memory, NULL, 1 << 12);
    assert_ok(df_rows_request(spec, &journal, &wanted, &memory, &request, &err));
    for (size_t i = 0; i < spec->count; i++)
        assert_string_equal(request.line[i / SEEDS].run[i % SEEDS], spec->cell[i]->id);
    assert_int_equal(df_rows_found(&journal, &request), 2); /* none, of both variants */
    df_rows_others(&journal, &request, "cpu", &others);
    assert_string_equal(df_text_get(&others), "1 of other cells");
    df_text_clear(&others);
    rows[0].device = "cuda";
    df_rows_others(&journal, &request, "cpu", &others);
    assert_string_equal(df_text_get(&others), "1 of cuda (--device cuda)");
    df_text_clear(&others);
    rows[0].semantics = DF_SEMANTICS - 1;
    journal.runs = 3;
    df_rows_others(&journal, &request, "cpu", &others);
    assert_string_equal(df_text_get(&others), "2 of semantics 1 (--semantics 1 shows them)");
    df_text_release(&others);
    df_arena_release(&memory);
    df_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_older_row_that_agrees), cmocka_unit_test(a_row_of_today_has_its_id) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
