/* The command table, in the order of the help. */
#include <stddef.h>

#include "ablations/cli/command.h"

/* clang-format off */
extern const struct df_command
    df_command_help, df_command_version, df_command_data, df_command_train, df_command_distill, df_command_eval, df_command_predict,
    df_command_sweep, df_command_prepare, df_command_run, df_command_status, df_command_table, df_command_plot, df_command_bench, df_command_cost, df_command_inspect,
    df_command_distillers, df_command_convert;

const struct df_command *const df_commands[] = {
    &df_command_help,
    &df_command_version,
    &df_command_data,
    &df_command_train,
    &df_command_distill,
    &df_command_eval,
    &df_command_predict,
    &df_command_sweep,
    &df_command_prepare,
    &df_command_run,
    &df_command_status,
    &df_command_table,
    &df_command_plot,
    &df_command_distillers,
    &df_command_bench,
    &df_command_cost,
    &df_command_inspect,
    &df_command_convert,
    NULL,
};
/* clang-format on */
