/* Weight-zero identity: with all of its distillers' weights 0 a cell trains the plain student, bit for bit. If it does not, a distiller leaks: a
 * parameter out of order, a random number that is not its own, a gradient past its weight; and no comparison with the plain student is one. */
#ifndef DF_ABLATIONS_RUN_IDENTITY_H
#define DF_ABLATIONS_RUN_IDENTITY_H
#include "ablations/run/cell.h"
#include "ablations/run/options.h"

#define DF_IDENTITY_STEPS 20

/* Trains the cell plain, and with weights of 0, for so many steps (or all that it has), and compares every parameter and running statistic of the
 * student. Its teacher must be there. Writes nothing. steps: how many it were. Error (DF_ERR_CHECK): what differs; a distiller without a weight to be set to 0. */
df_status df_identity_check(const struct df_cell *cell, const struct df_run_options *options, size_t *steps, struct df_error *err);
#endif
