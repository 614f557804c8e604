/* The lines of df_groups as a grid, and as CSV. */
#include <math.h>
#include <stdlib.h>

#include "results/csv_rows.h"
#include "results/groups.h"

#define PLUS_MINUS "\xc2\xb1"

static bool has_axes(const struct df_groups *groups)
{
    for (size_t l = 0; l < groups->lines; l++)
        if (groups->line[l].axes[0])
            return true;
    return false;
}

static struct df_text *add_line(const struct df_group_line *line, bool axes, struct df_text *cell)
{
    df_text_add(cell++, line->label);
    if (axes)
        df_text_add(cell++, line->axes);
    df_text_addf(cell++, "%zu", line->ap.n);
    df_text_addf(cell, line->ap.n ? "%.2f" : "-", line->ap.mean);
    if (!isnan(line->ap.low))
        df_text_addf(cell, " " PLUS_MINUS " %.2f", (line->ap.high - line->ap.low) / 2);
    cell++;
    df_text_addf(cell++, "%zu", line->ahead);
    df_text_addf(cell++, "%zu", line->behind);
    df_text_add(cell++, line->letters);
    return cell;
}

static void add_notes(const struct df_groups *groups, struct df_text *out)
{
    const bool variants = groups->line[0].variant[0];

    df_text_add(out, "mAP in percent, mean " PLUS_MINUS " half of the 95 % interval over n seeds (Student t).\n");
    if (groups->comparisons)
        df_text_addf(
            out,
            "group: lines that share a letter are not told apart: paired t tests over seeds, every line with every other one%s, Holm "
            "over %s%zu pairs, 5 %% in %s.\n"
            "ahead, behind: of how many lines. Where lines share a letter, their order here is that of these seeds alone.\n",
            variants ? " of its variant" : "", variants ? "a variant's, at most " : "the ", groups->comparisons, variants ? "each" : "all");
    if (groups->unpaired)
        df_text_addf(out, "Pairs of runs left out, for other weights taught them: %zu.\n", groups->unpaired);
}

static void print_csv(const struct df_groups *groups, struct df_text *out)
{
    df_text_add(out, "method,options,runs,n,AP_mean_percent,AP_sd_percent,AP_low_percent,AP_high_percent,ahead,behind,group\n");
    for (size_t l = 0; l < groups->lines; l++) {
        const struct df_group_line *line = &groups->line[l];
        const double number[] = { line->ap.mean, line->ap.sd, line->ap.low, line->ap.high };

        df_csv_add(out, line->label, true);
        df_csv_add(out, line->axes, false);
        df_text_addf(out, ",%zu,%zu", line->expected, line->ap.n);
        for (size_t i = 0; i < sizeof number / sizeof *number; i++)
            df_csv_add_real(out, number[i], false);
        df_text_addf(out, ",%zu,%zu,%s\n", line->ahead, line->behind, line->letters);
    }
}

void df_groups_print(const struct df_groups *groups, enum df_table_format format, struct df_text *out)
{
    if (format == DF_TABLE_CSV) {
        print_csv(groups, out);
        return;
    }
    static const char *const head[] = { "method", "options", "n", "mAP", "ahead", "behind", "group" };
    const bool axes = has_axes(groups), number[] = { false, false, true, true, true, true, false };
    const size_t columns = axes ? 7 : 6, rows = groups->lines + 1;
    struct df_text *cell = df_calloc(rows * columns, sizeof *cell), *next = cell, notes = DF_TEXT_INIT;

    for (size_t c = 0; c < 7; c++)
        if (axes || c != 1)
            df_text_add(next++, head[c]);
    for (size_t l = 0; l < groups->lines; l++)
        next = add_line(&groups->line[l], axes, next);
    add_notes(groups, &notes);
    df_grid_print(&(struct df_grid){ .rows = rows,
                                     .columns = columns,
                                     .cell = cell,
                                     .number = number + !axes,
                                     .title = "groups that cannot be told apart",
                                     .subtitle = "",
                                     .notes = notes.data },
                  format, out);
    for (size_t i = 0; i < rows * columns; i++)
        df_text_release(&cell[i]);
    free(cell);
    df_text_release(&notes);
}
