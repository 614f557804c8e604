#include "results/tuning.h"

#include <math.h>
#include <string.h>

void df_journal_judge_by_curve(struct df_journal *journal, const char *split)
{
    for (size_t i = 0; i < journal->runs; i++) {
        struct df_run_row *row = &journal->run[i];
        const struct df_curve_point *last = NULL;

        for (size_t p = 0; p < row->curve.count; p++) {
            const struct df_curve_point *point = &row->curve.point[p];

            if (strcmp(point->split, split) == 0 && strcmp(point->metric, "AP") == 0 && (!last || point->step > last->step))
                last = point;
        }
        row->scores = (struct df_scores){ 0 };
        if (last)
            df_scores_add(&row->scores, journal->memory, (struct df_score){ "AP", "", last->value });
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

            if (strcmp(other->label, table->line[line].label) != 0 || isnan(other->metric[DF_TABLE_AP].mean))
                continue;
            tried++;
            if (!best || other->metric[DF_TABLE_AP].mean > best->metric[DF_TABLE_AP].mean)
                best = other;
        }
        if (best)
            df_text_addf(out, "%s\t%s\t%.2f\t%zu tried\n", best->label, best->axes, best->metric[DF_TABLE_AP].mean, tried);
    }
}
