#include "results/pairs.h"

#include <math.h>
#include <stdlib.h>

#include "results/environment.h"

struct df_line_rows df_line_rows_find(const struct df_journal *journal, size_t count, const char *const *run, int64_t semantics)
{
    struct df_line_rows rows = { .count = count, .row = df_calloc(count + 1, sizeof *rows.row) };

    for (size_t i = 0; i < count; i++)
        rows.row[i] = df_journal_find(journal, run[i], semantics);
    return rows;
}

void df_line_rows_release(struct df_line_rows *rows) { free(rows->row); }

double df_row_percent(const struct df_run_row *row, const char *metric, const char *class)
{
    const double value = df_run_row_ok(row) ? df_run_row_score(row, metric, class) : NAN;

    return value >= 0 ? 100 * value : NAN;
}

size_t df_row_percents(const struct df_line_rows *rows, const char *metric, const char *class, double *value)
{
    size_t n = 0;

    for (size_t i = 0; i < rows->count; i++) {
        const double one = df_row_percent(rows->row[i], metric, class);

        if (!isnan(one))
            value[n++] = one;
    }
    return n;
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
