#include "ablations/cli/running.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/metrics/coco_eval.h"

static void stop(int number)
{
    df_run_stop = 1;
    signal(number, SIG_DFL);
}

void df_running_catch_signals(void)
{
    struct sigaction action = { .sa_handler = stop };

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

df_status df_running_cell(const struct df_spec *spec, int64_t index, struct df_cell **out, struct df_error *err)
{
    if (index < 0)
        return df_fail(err, DF_ERR_USAGE, "which cell? (--cell 0 to %zu; 'defeat sweep %s --dry-run' lists them)", spec->count - 1,
                       spec->path);
    if ((uint64_t)index >= spec->count)
        return df_fail(err, DF_ERR_USAGE, "'%s' has no cell %lld (0 to %zu; 'defeat sweep %s --dry-run' lists them)", spec->path,
                       (long long)index, spec->count - 1, spec->path);
    *out = spec->cell[index];
    return DF_OK;
}

void df_running_print_scores(const double metric[DF_METRICS], bool json)
{
    struct df_coco_scores scores = { 0 };
    struct df_text text = DF_TEXT_INIT;

    memcpy(scores.value, metric, sizeof scores.value);
    if (json)
        df_coco_json(&scores, &text);
    else
        df_coco_summary(&scores, &text);
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
}

df_status df_running_copy(const char *from, const char *to, struct df_error *err)
{
    size_t bytes;
    char *data;

    DF_TRY(df_file_read(from, 0, &data, &bytes, err));

    const df_status status = df_file_write(to, data, bytes, err);

    free(data);
    return status;
}

df_status df_running_student(struct df_cell *cell, const struct df_run_options *run, const char *output, bool json, struct df_error *err)
{
    struct df_text weights = DF_TEXT_INIT;
    struct df_run_result *result;
    df_status status = DF_OK;

    DF_TRY(df_run_cell(cell, run, &result, err));
    df_text_addf(&weights, "%s/%s/runs/%s/student.safetensors", run->out, cell->spec, cell->id);
    if (output[0])
        status = df_running_copy(weights.data, output, err);
    if (status == DF_OK) {
        df_running_print_scores(result->row.metric, json);
        if (!json)
            printf("%s seed %lld: %.1f s of training, %.1f images/s; weights: %s\n", cell->label, (long long)cell->seed,
                   result->row.train_seconds, result->row.images_per_second, output[0] ? output : weights.data);
    }
    df_text_release(&weights);
    df_run_result_free(result);
    return status;
}
