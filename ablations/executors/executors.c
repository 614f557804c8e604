#include "ablations/executors/executors.h"

extern const struct df_executor_class df_executor_local, df_executor_list, df_executor_slurm;

const struct df_executor_class *const df_executors[] = { &df_executor_local, &df_executor_list, &df_executor_slurm, NULL };
