#include "ablations/cli/running.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/executors/slurm_calls.h"
#include "ablations/run/prepare.h"
#include "ablations/run/stop.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/progress_file.h"
#include "core/base/shell.h"

static void stop(int number)
{
    df_run_stop = 1;
    if (number == SIGINT)
        signal(number, SIG_DFL);
}

void df_running_catch_signals(void)
{
    const struct sigaction action = { .sa_handler = stop };
    struct sigaction hangup;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

int df_running_spec(const struct df_common_options *options, const char *path,
                    df_status (*work)(struct df_spec *spec, const void *values, struct df_error *err), const void *values)
{
    struct df_error err = { 0 };
    struct df_spec *spec;

    df_running_catch_signals();

    df_status status = df_common_spec(options, path, &spec, &err);

    if (status == DF_OK) {
        status = work(spec, values, &err);
        df_spec_free(spec);
    }
    return status == DF_OK ? 0 : df_command_fail(&err);
}

df_status df_running_cell(const struct df_spec *spec, int64_t index, struct df_cell **out, struct df_error *err)
{
    struct df_shell_word path;

    if (index < 0)
        return df_fail(err, DF_ERR_USAGE, "which cell? (--cell 0 to %zu) [to list them: %s sweep %s --list]", spec->count - 1, df_program(),
                       df_shell_word(&path, spec->path));
    if ((uint64_t)index >= spec->count)
        return df_fail(err, DF_ERR_USAGE, "'%s' has no cell %lld (expected 0 to %zu) [to list them: %s sweep %s --list]", spec->path,
                       (long long)index, spec->count - 1, df_program(), df_shell_word(&path, spec->path));
    *out = spec->cell[index];
    return DF_OK;
}

df_status df_running_same(const struct df_spec *spec, const struct df_cell *cell, const char *id, struct df_error *err)
{
    if (!id[0] || strcmp(id, cell->id) == 0)
        return DF_OK;
    return df_fail(
        err, DF_ERR_STALE,
        "'%s': the spec (or a plugin, or a data file) changed since the sweep began: found cell %s, expected %s [start the sweep "
        "again]",
        spec->path, cell->id, id);
}

/* Why it failed, and on a cluster where. */
static df_status keep_failure(const struct df_cell *cell, const struct df_run_options *run, const char *started, const char *why,
                              struct df_error *err)
{
    struct df_text reason = DF_TEXT_INIT;
    char here[192];

    df_slurm_here(here);
    df_text_addf(&reason, "%s%s%s", here, here[0] ? ": " : "", why);
    const df_status status = df_store_put_failure(run->out, cell, started, reason.data, err);

    df_text_release(&reason);
    return status;
}

static df_status run_and_keep(const struct df_cell *cell, const struct df_run_options *run, struct df_run_result **result,
                              struct df_error *err)
{
    struct df_error second = { 0 };
    char started[24];

    df_utc(started);

    df_status status = df_prepare_and_run(cell, run, result, err);

    if (status == DF_OK)
        status = df_store_put(run->out, cell, &(*result)->row, err);
    else if (status != DF_ERR_INTERRUPTED && keep_failure(cell, run, started, err->text, &second) != DF_OK)
        df_warn("the failure could not be kept: %s", second.text);
    return status;
}

df_status df_running_keep(const struct df_cell *cell, const struct df_run_options *run, struct df_run_result **result, struct df_error *err)
{
    char *path = df_store_cell_file(run->out, cell, DF_CELL_PROGRESS);

    *result = NULL;
    df_progress_tell(path);
    const df_status status = run_and_keep(cell, run, result, err);

    df_progress_untell();
    free(path);
    return status;
}

df_status df_running_lock(const struct df_cell *cell, const struct df_run_options *run, int *fd, struct df_error *err)
{
    char *folder = df_store_cell_folder(run->out, cell), *path = df_store_cell_file(run->out, cell, DF_CELL_LOCK);
    df_status status = df_folder_make(folder, err);

    *fd = -1;
    if (status == DF_OK)
        status = df_lock(path, true, fd, err);
    if (status == DF_OK && *fd < 0)
        status = df_fail(err, DF_ERR_IO, "'%s' is held: another process runs this cell [wait for it]", path);
    free(folder);
    free(path);
    return status;
}

df_status df_running_finished(const struct df_cell *cell, const struct df_run_options *run, bool *finished, struct df_error *err)
{
    DF_TRY(df_store_finished(run->out, cell, finished, err));
    if (*finished) {
        char *folder = df_store_cell_folder(run->out, cell);

        fprintf(stderr, "%s seed %lld is finished already: '%s' (--again runs it once more)\n", df_shown(cell->label).text,
                (long long)cell->seed, folder);
        free(folder);
    }
    return DF_OK;
}

void df_running_print_scores(const double metric[DF_COCO_METRICS], bool json)
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

static void print_row(const struct df_run_row *row, bool json)
{
    const double last = df_run_row_score(row, DF_AP_LAST, "");
    double metric[DF_COCO_METRICS];
    char percent[32];

    for (size_t m = 0; m < DF_COCO_METRICS; m++)
        metric[m] = df_run_row_score(row, df_coco_metric_names[m], "");
    df_running_print_scores(metric, json);
    if (!json && !isnan(last))
        printf("these are of the averaged weights; of the last ones: %s\n", df_coco_percent(last, percent));
}

static df_status run_student(struct df_cell *cell, const struct df_run_options *run, const char *output, bool json, struct df_error *err)
{
    struct df_run_result *result;
    df_status status = df_running_keep(cell, run, &result, err);

    if (status != DF_OK) {
        df_run_result_free(result);
        return status;
    }

    char *weights = df_store_cell_file(run->out, cell, DF_CELL_WEIGHTS);

    if (output[0])
        status = df_running_copy(weights, output, err);
    if (status == DF_OK) {
        print_row(&result->row, json);
        if (!json)
            printf("%s seed %lld: %.1f s of training, %.1f images/s; weights: %s\n", df_shown(cell->label).text, (long long)cell->seed,
                   result->row.train_seconds, result->row.images_per_second, output[0] ? output : weights);
    }
    free(weights);
    df_run_result_free(result);
    return status;
}

/* What a sweep left of a finished cell; a sweep of an older version, or somebody's broom, may have left none. */
static df_status copy_finished(const struct df_cell *cell, const struct df_run_options *run, const char *output, struct df_error *err)
{
    char *weights = df_store_cell_file(run->out, cell, DF_CELL_WEIGHTS);
    df_status status;

    if (df_file_exists(weights))
        status = df_running_copy(weights, output, err);
    else
        status =
            df_fail(err, DF_ERR_NOT_FOUND, "'%s': the cell is finished, but its weights are gone [--again trains them once more]", weights);
    if (status == DF_OK)
        fprintf(stderr, "its weights: %s\n", output);
    free(weights);
    return status;
}

df_status df_running_student(struct df_cell *cell, const struct df_run_options *run, const char *output, bool json, bool again,
                             struct df_error *err)
{
    bool finished = false;
    int lock;

    if (!again)
        DF_TRY(df_running_finished(cell, run, &finished, err));
    if (finished)
        return output[0] ? copy_finished(cell, run, output, err) : DF_OK;
    DF_TRY(df_running_lock(cell, run, &lock, err));

    const df_status status = run_student(cell, run, output, json, err);

    df_unlock(lock);
    return status;
}
