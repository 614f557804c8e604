/* The executors there are. A new one is one file here and one line in executors.c. */
#ifndef DF_ABLATIONS_EXECUTORS_H
#define DF_ABLATIONS_EXECUTORS_H
#include "ablations/executors/executor.h"

extern const struct df_executor_class *const df_executors[]; /* the first is the default; ends with NULL */
#define DF_EXECUTOR_NAMES "local|list|slurm"                 /* of them, in their order */
#endif
