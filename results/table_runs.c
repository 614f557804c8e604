/* One CSV row per run, with everything that its canonical cell holds in columns of their own: "schedule.epochs", "defeat.w_fg". */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "results/csv_rows.h"
#include "results/table.h"

/* The columns found so far, and one run's values in them. */
struct expansion {
    size_t columns;
    char **name;
    struct df_text *value;
};

static void set_value(struct expansion *expansion, const char *name, const cJSON *item)
{
    size_t c = 0;

    while (c < expansion->columns && strcmp(expansion->name[c], name) != 0)
        c++;
    if (c == expansion->columns) {
        expansion->columns++;
        expansion->name = df_realloc(expansion->name, expansion->columns * sizeof *expansion->name);
        expansion->value = df_realloc(expansion->value, expansion->columns * sizeof *expansion->value);
        expansion->name[c] = df_strdup(name);
        expansion->value[c] = (struct df_text)DF_TEXT_INIT;
    }
    df_text_clear(&expansion->value[c]);
    if (cJSON_IsString(item))
        df_text_add(&expansion->value[c], item->valuestring);
    else
        df_json_canonical(item, &expansion->value[c]);
}

/* Objects give dotted names; lists of plain values stay one value. Cells are at most 64 levels deep (df_json_parse). */
static void expand(struct expansion *expansion, const char *prefix, const cJSON *object, const char *leave_out)
{
    struct df_text name = DF_TEXT_INIT;

    for (const cJSON *item = object->child; item; item = item->next) {
        if (leave_out && strcmp(item->string, leave_out) == 0)
            continue;
        df_text_clear(&name);
        df_text_addf(&name, "%s%s%s", prefix, *prefix ? "." : "", item->string);
        if (cJSON_IsObject(item))
            expand(expansion, name.data, item, NULL);
        else
            set_value(expansion, name.data, item);
    }
    df_text_release(&name);
}

/* A stack may hold one distiller twice: the second one's columns are "defeat#2.w_fg". */
static void expand_distillers(struct expansion *expansion, const cJSON *list)
{
    for (const cJSON *item = list ? list->child : NULL; item; item = item->next) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        struct df_text prefix = DF_TEXT_INIT;
        size_t same = 1;

        for (const cJSON *before = list->child; name && before != item; before = before->next) {
            const char *other = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(before, "name"));

            same += other && strcmp(other, name) == 0;
        }
        df_text_add(&prefix, name ? name : "distiller");
        if (same > 1)
            df_text_addf(&prefix, "#%zu", same);
        expand(expansion, prefix.data, item, "name");
        df_text_release(&prefix);
    }
}

/* Columns of a row that its cell has too, or that are the cell. */
static bool is_expanded(const char *column)
{
    return strcmp(column, "cell") == 0 || strcmp(column, "seed") == 0 || strcmp(column, "semantics") == 0 || strcmp(column, "device") == 0;
}

/* "AP.disk" */
static void expand_classes(struct expansion *expansion, const struct df_scores *scores)
{
    struct df_text name = DF_TEXT_INIT;

    for (size_t i = 0; i < scores->count; i++) {
        const struct df_score *s = &scores->score[i];

        if (!s->class[0] || !isfinite(s->value))
            continue;
        cJSON *value = cJSON_CreateNumber(s->value);

        df_text_clear(&name);
        df_text_addf(&name, "%s.%s", s->metric, s->class);
        set_value(expansion, name.data, value);
        cJSON_Delete(value);
    }
    df_text_release(&name);
}

static void expand_cell(struct expansion *expansion, const struct df_run_row *row)
{
    cJSON *cell = NULL;

    for (size_t c = 0; c < expansion->columns; c++)
        df_text_clear(&expansion->value[c]);
    expand_classes(expansion, &row->scores);
    if (df_json_parse(row->cell, strlen(row->cell), "cell", &cell, NULL) != DF_OK || !cJSON_IsObject(cell)) {
        df_warn("run %s: its cell is not a JSON object: options left empty", row->run);
        cJSON_Delete(cell);
        return;
    }
    expand(expansion, "", cell, "distillers");
    expand_distillers(expansion, cJSON_GetObjectItemCaseSensitive(cell, "distillers"));
    cJSON_Delete(cell);
}

/* A row's own columns, with the table's metrics behind the status, then the expanded ones; row NULL: their heads. */
static void add_run(struct df_text *out, const struct df_run_row *row, const struct expansion *expansion)
{
    bool first = true;

    for (const struct df_run_column *column = df_run_columns; column->name; column++) {
        if (is_expanded(column->name))
            continue;
        if (row)
            df_csv_add_column(out, row, column, first);
        else
            df_csv_add(out, column->name, first);
        first = false;
        for (size_t m = 0; m < DF_TABLE_METRICS && strcmp(column->name, "status") == 0; m++)
            if (row)
                df_csv_add_real(out, df_run_row_score(row, df_table_metrics[m], ""), false);
            else
                df_csv_add(out, df_table_metrics[m], false);
    }
    for (size_t c = 0; c < expansion->columns; c++)
        df_csv_add(out, row ? df_text_get(&expansion->value[c]) : expansion->name[c], false);
    df_text_add(out, "\n");
}

void df_table_runs_csv(const struct df_journal *journal, const struct df_table_request *request, struct df_text *out)
{
    struct expansion expansion = { 0 };

    for (int pass = 0; pass < 2; pass++) { /* all columns must be known before the first row */
        if (pass == 1)
            add_run(out, NULL, &expansion);
        for (size_t l = 0; l < request->lines; l++)
            for (size_t i = 0; i < request->line[l].runs; i++) {
                const struct df_run_row *row = df_journal_find(journal, request->line[l].run[i], request->semantics);

                if (!row)
                    continue;
                expand_cell(&expansion, row);
                if (pass == 1)
                    add_run(out, row, &expansion);
            }
    }
    for (size_t c = 0; c < expansion.columns; c++) {
        free(expansion.name[c]);
        df_text_release(&expansion.value[c]);
    }
    free(expansion.name);
    free(expansion.value);
}
