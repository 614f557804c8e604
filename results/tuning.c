#include "results/tuning.h"

#include <math.h>
#include <string.h>

void df_journal_judge_by_curve(struct df_journal *journal, const char *split)
{
    for (size_t i = 0; i < journal->runs; i++) {
        struct df_run_row *row = &journal->run[i];
        int64_t last = -1;

        for (size_t m = 0; m < DF_METRICS; m++)
            row->metric[m] = NAN;
        row->class_ap = "";
        for (size_t c = 0; c < journal->curves; c++) {
            const struct df_curve_row *point = &journal->curve[c];

            if (point->step > last && strcmp(point->run, row->run) == 0 && strcmp(point->split, split) == 0) {
                last = point->step;
                row->metric[0] = point->map;
            }
        }
    }
}

static bool first_of_label(const struct df_table *table, size_t line)
{
    for (size_t i = 0; i < line; i++)
        if (strcmp(table->line[i].label, table->line[line].label) == 0)
            return false;
    return true;
}

void df_table_best(const struct df_table *table, struct df_text *out)
{
    for (size_t line = 0; line < table->lines; line++) {
        const struct df_table_line *best = NULL;
        size_t tried = 0;

        if (!first_of_label(table, line))
            continue;
        for (size_t i = line; i < table->lines; i++) {
            const struct df_table_line *other = &table->line[i];

            if (strcmp(other->label, table->line[line].label) != 0 || isnan(other->metric[0].mean))
                continue;
            tried++;
            if (!best || other->metric[0].mean > best->metric[0].mean)
                best = other;
        }
        if (best)
            df_text_addf(out, "%s\t%s\t%.2f\t%zu tried\n", best->label, best->axes, best->metric[0].mean, tried);
    }
}
