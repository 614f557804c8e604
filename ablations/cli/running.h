/* What the commands that run something share: stopping on a signal, choosing a cell, showing what came out. */
#ifndef DF_ABLATIONS_CLI_RUNNING_H
#define DF_ABLATIONS_CLI_RUNNING_H
#include "ablations/cli/command.h"
#include "ablations/cli/common.h"

/* SIGINT and SIGTERM set df_run_stop: the run stops at the next step and can be resumed. A second one ends the process. */
void df_running_catch_signals(void);
/* The spec's cell of that index; an error that says how many there are. */
df_status df_running_cell(const struct df_spec *spec, int64_t index, struct df_cell **out, struct df_error *err);
/* COCO's 12 lines, or one JSON object. */
void df_running_print_scores(const double metric[DF_METRICS], bool json);
/* Copies a file as a whole. */
df_status df_running_copy(const char *from, const char *to, struct df_error *err);
/* Runs a cell outside of any sweep: nothing is journaled; prints the scores and where the weights are; output: a copy of them, "" for none. */
df_status df_running_student(struct df_cell *cell, const struct df_run_options *run, const char *output, bool json, struct df_error *err);
#endif
