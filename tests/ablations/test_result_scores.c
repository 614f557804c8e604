/* TIDE's numbers of made-up runs of tiny.json: which rows get them, and from which files. */
#include "ablations/result_scores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/metrics/coco_eval.h"
#include "core/metrics/tide.h"
#include "tests/support/support.h"

static struct df_error err;
static struct df_spec *spec;
static struct df_dataset *validation;

/* Every object but each `skip`-th is found, each third one as the next class. Returns how many detections. */
static size_t detect(size_t skip, struct df_detection *out)
{
    size_t n = 0, seen = 0;

    for (size_t i = 0; i < validation->size; i++)
        for (size_t j = 0; j < validation->info[i].count; j++, seen++) {
            const struct df_object *o = &validation->info[i].objects[j];
            const size_t class = ((size_t)o->label + (seen % 3 == 0)) % validation->categories;

            if (seen % skip == 0)
                continue;
            out[n] = (struct df_detection){ validation->info[i].id, validation->category[class].id, { 0 }, .9 - (double)n / 1000 };
            memcpy(out[n++].bbox, o->bbox, sizeof o->bbox);
        }
    return n;
}

/* A finished row of the cell whose AP is that of these detections; the file beside it if `file`. */
static struct df_tide_scores finish(size_t cell, size_t skip, bool file, struct df_journal *journal)
{
    struct df_detection detections[512];
    const size_t count = detect(skip, detections);
    struct df_coco_scores scores;
    struct df_tide_scores tide;
    struct df_run_row *row = df_journal_add(journal);
    char *folder = df_store_cell_folder(df_test_folder(), spec->cell[cell]);
    char *path = df_store_cell_file(df_test_folder(), spec->cell[cell], DF_CELL_RESULTS);

    assert_ok(df_folder_make(folder, &err));
    if (file)
        assert_ok(df_coco_results_write(path, detections, count, &err));
    assert_ok(df_coco_evaluate(df_coco_set_of_dataset(validation), detections, count, &scores, &err));
    assert_ok(df_tide_evaluate(validation->size, validation->info, detections, count, &tide, &err));
    df_run_row_init(row);
    row->run = spec->cell[cell]->id;
    row->semantics = DF_SEMANTICS;
    row->status = "ok";
    df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP", "", scores.value[DF_AP] });
    df_coco_scores_release(&scores);
    free(folder);
    free(path);
    return tide;
}

static void check_row(const struct df_run_row *row, const struct df_tide_scores *want)
{
    assert_int_equal(row->scores.count, 1 + DF_TIDE_KINDS);
    for (int kind = 0; kind < DF_TIDE_KINDS; kind++)
        assert_true(df_run_row_score(row, df_tide_metrics[kind], "") == want->dap[kind]);
}

static void finished_rows_get_them(void **state)
{
    struct df_journal *journal = df_journal_new();
    struct df_result_rows found;
    const struct df_tide_scores first = finish(0, 4, true, journal), second = finish(3, 5, true, journal);

    (void)state;
    assert_true(first.dap[DF_TIDE_MISS] > 0 && first.dap[DF_TIDE_CLS] > 0 && first.dap[DF_TIDE_CLS] != second.dap[DF_TIDE_CLS]);
    finish(1, 4, true, journal);
    journal->run[2].status = "failed: out of luck";
    finish(2, 4, true, journal);
    journal->run[3].semantics = DF_SEMANTICS - 1;
    assert_ok(df_result_scores_add(&df_result_tide, spec, df_test_folder(), journal, &found, &err));
    assert_true(found.added == 2 && found.absent == 0 && found.other == 0);
    check_row(&journal->run[0], &first);
    check_row(&journal->run[1], &second);
    assert_true(journal->run[2].scores.count == 1 && journal->run[3].scores.count == 1);
    assert_ok(df_result_scores_add(&df_result_tide, spec, df_test_folder(), journal, &found, &err)); /* once is enough */
    assert_int_equal(journal->run[0].scores.count, 1 + DF_TIDE_KINDS);
    df_journal_free(journal);
}

static void keep(void *context, const char *text) { snprintf(context, 256, "%.255s", text); }

static void results_of_another_run_do_not_count(void **state)
{
    struct df_journal *journal = df_journal_new();
    struct df_result_rows found;
    char warning[256] = "";

    (void)state;
    finish(5, 4, true, journal);
    finish(6, 4, false, journal);
    finish(4, 4, true, journal);
    finish(4, 5, true, journal); /* over the file of the third row */
    journal->runs = 3;
    df_warn_set(keep, warning);
    assert_ok(df_result_scores_add(&df_result_tide, spec, df_test_folder(), journal, &found, &err));
    df_warn_set(NULL, NULL);
    assert_true(found.added == 1 && found.absent == 1 && found.other == 1);
    assert_int_equal(found.first, 4);
    assert_int_equal(journal->run[2].scores.count, 1);
    assert_non_null(strstr(warning, "another run has left it"));
    df_journal_free(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(finished_rows_get_them), cmocka_unit_test(results_of_another_run_do_not_count) };
    int failed = 1;

    if (df_spec_read("ablations/specs/tiny.json", NULL, &spec, &err) == DF_OK &&
        df_data_split(spec->cell[0]->data, DF_VALIDATION, &validation, &err) == DF_OK)
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    df_spec_free(spec);
    return failed;
}
