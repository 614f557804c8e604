/* One cell from its training to its row: trains, exports, evaluates what was exported; leaves behind what a run leaves
 * (ablations/run/store.h). With averaged weights (schedule.ema) these are what is exported and evaluated, on the tune split's curve, too;
 * a student's last weights are evaluated beside them, for one score more. */
#ifndef DF_ABLATIONS_RUN_RUN_H
#define DF_ABLATIONS_RUN_RUN_H
#include "ablations/run/cell.h"
#include "ablations/run/options.h"
#include "results/run_row.h"

#define DF_AP_LAST "AP_last" /* the AP that the last weights have, in rows with averaged weights */

struct df_run_result {
    struct df_run_row row; /* strings live as long as the result */
    struct df_arena *memory;
};
/* The cell's teacher must be there (prepare.h). On failure *out is NULL; the caller keeps the reason. Writes no row. */
df_status df_run_cell(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result **out, struct df_error *err);
void df_run_result_free(struct df_run_result *result);
#endif
