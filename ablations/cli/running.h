/* What the commands that run something share: stopping on a signal, choosing a cell, showing what came out. */
#ifndef DF_ABLATIONS_CLI_RUNNING_H
#define DF_ABLATIONS_CLI_RUNNING_H
#include "ablations/cli/command.h"
#include "ablations/cli/common.h"
#include "ablations/run/run.h"
#include "core/metrics/coco_eval.h"

/* SIGINT, SIGTERM, USR1 and USR2 (which clusters send before a time limit) and a closed terminal (unless that is ignored, as nohup does) set df_run_stop:
 * what runs stops at the next step and can be resumed. A second Ctrl-C ends the process; what a cluster sends may come several times. */
void df_running_catch_signals(void);
/* A command's run: reads the spec of its argument and hands it to `work` with the command's values; 0 or the error's exit status. Signals are
 * caught: INT, TERM, and USR1 and USR2, which clusters send before a time limit. */
int df_running_spec(const struct df_common_options *options, const char *path,
                    df_status (*work)(struct df_spec *spec, const void *values, struct df_error *err), const void *values);
/* The spec's cell of that index; an error that says how many there are. */
df_status df_running_cell(const struct df_spec *spec, int64_t index, struct df_cell **out, struct df_error *err);
/* Fails unless id is "" or the cell's: the spec changed since a sweep read it. */
df_status df_running_same(const struct df_spec *spec, const struct df_cell *cell, const char *id, struct df_error *err);
/* The cell's lock, which sweeps take too; an error when somebody holds it. */
df_status df_running_lock(const struct df_cell *cell, const struct df_run_options *run, int *fd, struct df_error *err);
/* Runs a cell under its lock and writes its row, that of a failure too; `status` and sweeps see how far it is. df_run_result_free(*result), which may be
 * there also where the row could not be written. */
df_status df_running_keep(const struct df_cell *cell, const struct df_run_options *run, struct df_run_result **result,
                          struct df_error *err);
/* Whether the cell has its row; then a line on stderr says so, and what to do. */
df_status df_running_finished(const struct df_cell *cell, const struct df_run_options *run, bool *finished, struct df_error *err);
/* COCO's 12 lines, or one JSON object. */
void df_running_print_scores(const double metric[DF_COCO_METRICS], bool json);
/* Copies a file as a whole. */
df_status df_running_copy(const char *from, const char *to, struct df_error *err);
/* Runs a cell outside of any sweep, and writes its row as a sweep would; prints the scores and where the weights are; output: a copy of them, "" for
 * none. A cell that is finished is not run, unless `again`: the copy is made all the same. */
df_status df_running_student(struct df_cell *cell, const struct df_run_options *run, const char *output, bool json, bool again,
                             struct df_error *err);
#endif
