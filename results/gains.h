/* What a figure of the gains over a spec's variants shows: which variants, which methods, in the order of the table. */
#ifndef DF_RESULTS_GAINS_H
#define DF_RESULTS_GAINS_H
#include "results/table.h"

enum { DF_GAINS_VARIANTS = 64, DF_GAINS_METHODS = 12 }; /* at most; what comes later is not shown */

struct df_gains {
    size_t variants, methods;
    const char *variant[DF_GAINS_VARIANTS], *method[DF_GAINS_METHODS]; /* the table's own texts */
};
void df_gains_find(const struct df_table *table, struct df_gains *out);
/* Whether line l is a point of the figure, and of which variant and method. Lines whose options vary besides the variant are none. */
bool df_gains_place(const struct df_gains *gains, const struct df_table *table, size_t l, size_t *variant, size_t *method);
#endif
