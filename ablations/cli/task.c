/* `defeat task MANIFEST`: what a job of `defeat sweep --executor slurm` executes. */
#include "ablations/cli/command.h"
#include "ablations/executors/slurm_task.h"

static int run(const void *values, int count, char *const *arguments)
{
    struct df_error err = { 0 };

    (void)values;
    (void)count;
    return df_slurm_task_run(arguments[0], "/proc/self/exe", &err) == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_task = {
    .name = "task",
    .summary = "the work of one task of a cluster's job: what 'sweep --executor slurm' submits",
    .usage = "defeat task MANIFEST",
    .example = "defeat task out/tiny/slurm/20260131T235959Z-0004711-00000.json",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
