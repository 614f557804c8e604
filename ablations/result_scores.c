#include "ablations/result_scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/metrics/calibration.h"
#include "core/metrics/conditions.h"
#include "core/metrics/tide.h"

/* ---- the families ---- */

static df_status evaluate_tide(const struct df_dataset *validation, const struct df_detection *detections, size_t count, double *value,
                               struct df_error *err)
{
    struct df_tide_scores scores;

    DF_TRY(df_tide_evaluate(validation->size, validation->info, detections, count, &scores, err));
    memcpy(value, scores.dap, sizeof scores.dap);
    return DF_OK;
}

static df_status evaluate_calibration(const struct df_dataset *validation, const struct df_detection *detections, size_t count,
                                      double *value, struct df_error *err)
{
    struct df_calibration scores;

    DF_TRY(df_calibration_evaluate(&df_calibration_standard, df_coco_set_of_dataset(validation), detections, count, &scores, err));
    df_calibration_values(&scores, value);
    return DF_OK;
}

static df_status evaluate_conditions(const struct df_dataset *validation, const struct df_detection *detections, size_t count,
                                     double *value, struct df_error *err)
{
    struct df_conditions scores;

    DF_TRY(df_conditions_evaluate(df_coco_set_of_dataset(validation), detections, count, &scores, err));
    memcpy(value, scores.value, sizeof scores.value);
    return DF_OK;
}

const struct df_result_scores df_result_tide = {
    .name = "tide",
    .count = DF_TIDE_KINDS,
    .shown = DF_TIDE_ERRORS,
    .metric = df_tide_metrics,
    .title = "errors (TIDE)",
    .notes =
        "dAP in percent points: what the AP at IoU 0.5 would gain without the errors of one kind (TIDE, Bolya et al., ECCV 2020): Cls the "
        "class, Loc the place, Both, Dupe a second detection, Bkg background, Miss an object not found.\n"
        "A difference below 0: fewer errors of this kind, or ones that cost less.\n",
    .evaluate = evaluate_tide,
};
const struct df_result_scores df_result_calibration = {
    .name = "calibration",
    .count = DF_CALIBRATION_METRICS,
    .shown = DF_CALIBRATION_SCORES,
    .metric = df_calibration_metrics,
    .title = "calibration",
    .notes =
        "x 100, of detections with a score of 0.05 and more, right at IoU 0.5: D-ECE the mean gap between score and precision over 10 bins "
        "(Kueppers et al. 2020), MCE the largest, overconfidence the mean score less the precision.\n",
    .evaluate = evaluate_calibration,
};
const struct df_result_scores df_result_conditions = {
    .name = "conditions",
    .count = DF_CONDITIONS,
    .shown = DF_CONDITIONS,
    .metric = df_condition_metrics,
    .title = "AP by size and crowding",
    .notes = "AP of the smallest, middle and largest third of the data's objects; of images with 1 object, with 2 or 3, with 4 and more.\n",
    .evaluate = evaluate_conditions,
};
_Static_assert((int)DF_TIDE_KINDS <= (int)DF_RESULT_SCORES_MAX && (int)DF_CALIBRATION_METRICS <= (int)DF_RESULT_SCORES_MAX &&
                   (int)DF_CONDITIONS <= (int)DF_RESULT_SCORES_MAX,
               "a family's scores have room");
const struct df_result_scores *const df_result_scores[] = { &df_result_tide, &df_result_calibration, &df_result_conditions, NULL };

const struct df_result_scores *df_result_scores_of_metric(const char *metric)
{
    for (size_t f = 0; df_result_scores[f]; f++)
        for (size_t k = 0; k < df_result_scores[f]->count; k++)
            if (strcmp(df_result_scores[f]->metric[k], metric) == 0)
                return df_result_scores[f];
    return NULL;
}

/* ---- a spec's rows ---- */

/* The cell's finished row that has none of the family's scores yet; NULL: there is none. */
static struct df_run_row *open_row(const struct df_result_scores *scores, struct df_journal *journal, const struct df_cell *cell)
{
    for (size_t i = 0; i < journal->runs; i++) {
        struct df_run_row *row = &journal->run[i];

        if (strcmp(row->run, cell->id) == 0 && row->semantics == DF_SEMANTICS && df_run_row_ok(row))
            return isnan(df_run_row_score(row, scores->metric[0], "")) ? row : NULL;
    }
    return NULL;
}

/* The row's own results give the row's AP: same detections, same ground truth. */
static df_status evaluate(const struct df_result_scores *family, const char *path, const struct df_dataset *validation,
                          const struct df_run_row *row, double *out, struct df_error *err)
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
        status = family->evaluate(validation, detections, count, out, err);
    if (status != DF_OK)
        df_fail_in(err, status, "'%s'", path);
    df_coco_scores_release(&scores);
    free(detections);
    return status;
}

static void add_scores(const struct df_result_scores *family, const double *value, struct df_arena *memory, struct df_run_row *row)
{
    for (size_t k = 0; k < family->count; k++)
        df_scores_add(&row->scores, memory, (struct df_score){ family->metric[k], "", value[k] });
}

df_status df_result_scores_add(const struct df_result_scores *scores, const struct df_spec *spec, const char *out,
                               struct df_journal *journal, struct df_result_rows *found, struct df_error *err)
{
    *found = (struct df_result_rows){ 0 };
    for (size_t i = 0; i < spec->count; i++) {
        const struct df_cell *cell = spec->cell[i];
        struct df_run_row *row = open_row(scores, journal, cell);
        double value[DF_RESULT_SCORES_MAX];
        struct df_dataset *validation;
        struct df_error why;

        if (!row)
            continue;
        DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err));
        char *path = df_store_cell_file(out, cell, DF_CELL_RESULTS);
        const bool here = df_file_exists(path);

        if (here && evaluate(scores, path, validation, row, value, &why) == DF_OK) {
            add_scores(scores, value, journal->memory, row);
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
