#include "results/pairs.h"

#include <math.h>

#include "results/environment.h"

double df_row_percent(const struct df_run_row *row, const char *metric, const char *class)
{
    const double value = df_run_row_ok(row) ? df_run_row_score(row, metric, class) : NAN;

    return value >= 0 ? 100 * value : NAN;
}

static const struct df_run_row *row_of_seed(const struct df_line_rows *rows, int64_t seed)
{
    for (size_t i = 0; i < rows->count; i++)
        if (df_run_row_ok(rows->row[i]) && rows->row[i]->seed == seed)
            return rows->row[i];
    return NULL;
}

size_t df_row_differences(const struct df_line_rows *a, const struct df_line_rows *b, const char *metric, double *difference,
                          size_t *unpaired)
{
    size_t n = 0;

    for (size_t i = 0; i < a->count; i++) {
        const struct df_run_row *one = a->row[i], *other = df_run_row_ok(one) ? row_of_seed(b, one->seed) : NULL;
        const double value = df_row_percent(one, metric, "") - df_row_percent(other, metric, "");

        if (!other)
            continue;
        if (!df_rows_share_teacher(one, other))
            ++*unpaired;
        else if (!isnan(value))
            difference[n++] = value;
    }
    return n;
}
