#include "ablations/tide_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/metrics/coco_eval.h"
#include "core/metrics/tide.h"

/* The cell's finished row that has none of the scores yet; NULL: there is none. */
static struct df_run_row *open_row(struct df_journal *journal, const struct df_cell *cell)
{
    for (size_t i = 0; i < journal->runs; i++) {
        struct df_run_row *row = &journal->run[i];

        if (strcmp(row->run, cell->id) == 0 && row->semantics == DF_SEMANTICS && df_run_row_ok(row))
            return isnan(df_run_row_score(row, df_tide_metrics[0], "")) ? row : NULL;
    }
    return NULL;
}

/* The row's own results give the row's AP: same detections, same ground truth. */
static df_status evaluate(const char *path, const struct df_dataset *validation, const struct df_run_row *row, struct df_tide_scores *out,
                          struct df_error *err)
{
    const char *metric = df_coco_metric_names[DF_AP];
    struct df_detection *detections;
    struct df_coco_scores scores = { 0 };
    size_t count;

    DF_TRY(df_coco_results_read(path, &detections, &count, err));
    df_status status = df_coco_evaluate(df_coco_set_of_dataset(validation), detections, count, &scores, err);

    if (status == DF_OK && scores.value[DF_AP] != df_run_row_score(row, metric, ""))
        status = df_fail(err, DF_ERR_STALE, "its AP is %.6f, that of the row is %.6f: another run has left it", scores.value[DF_AP],
                         df_run_row_score(row, metric, ""));
    if (status == DF_OK)
        status = df_tide_evaluate(validation->size, validation->info, detections, count, out, err);
    if (status != DF_OK)
        df_fail_in(err, status, "'%s'", path);
    df_coco_scores_release(&scores);
    free(detections);
    return status;
}

static void add_scores(const struct df_tide_scores *scores, struct df_arena *memory, struct df_run_row *row)
{
    for (int kind = 0; kind < DF_TIDE_KINDS; kind++)
        df_scores_add(&row->scores, memory, (struct df_score){ df_tide_metrics[kind], "", scores->dap[kind] });
}

df_status df_tide_rows_add(const struct df_spec *spec, const char *out, struct df_journal *journal, struct df_tide_rows *found,
                           struct df_error *err)
{
    *found = (struct df_tide_rows){ 0 };
    for (size_t i = 0; i < spec->count; i++) {
        const struct df_cell *cell = spec->cell[i];
        struct df_run_row *row = open_row(journal, cell);
        struct df_dataset *validation;
        struct df_tide_scores scores;
        struct df_error why;

        if (!row)
            continue;
        DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err));
        char *path = df_store_cell_file(out, cell, DF_CELL_RESULTS);
        const bool here = df_file_exists(path);

        if (here && evaluate(path, validation, row, &scores, &why) == DF_OK) {
            add_scores(&scores, journal->memory, row);
            found->added++;
        } else {
            if (here)
                df_warn("%s", why.text);
            found->first = found->absent + found->other ? found->first : i;
            *(here ? &found->other : &found->absent) += 1;
        }
        free(path);
    }
    return DF_OK;
}
