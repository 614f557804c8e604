/* What a distilled cell stands on: its teachers, each trained and written once, and their caches, each built once; by one process at a time, the
 * others wait. A teacher is a cell that is run: nothing else in this room runs one. */
#ifndef DF_ABLATIONS_RUN_PREPARE_H
#define DF_ABLATIONS_RUN_PREPARE_H
#include "ablations/run/run.h"

/* Trains the teacher if <out>/teachers has no file for its cell. path: free it. */
df_status df_prepare_teacher(const struct df_cell *teacher, const struct df_run_options *options, char **path, struct df_error *err);
/* Everything that the cell's teachers and caches lack. Nothing is built where the teacher is to run live (off, or auto and too large: a warning says
 * so). What does not fit is told before anything is trained. */
df_status df_prepare(const struct df_cell *cell, const struct df_run_options *options, struct df_error *err);
/* The same for one of the cell's teachers, and compares every checksum of its cache. path: of the cache, free it; NULL: the teacher runs live. */
df_status df_prepare_cache(const struct df_cell *cell, const struct df_cell_teacher *by, const struct df_run_options *options, char **path,
                           struct df_error *err);
/* df_run_cell of a cell that is prepared first. */
df_status df_prepare_and_run(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result **out,
                             struct df_error *err);
#endif
