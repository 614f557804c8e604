/* `defeat status SPEC`: per line of the table, how many cells are done, failed, left. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/common.h"
#include "core/base/file.h"
#include "results/journal.h"

struct status_options {
    struct df_common_options common;
    bool json, rows;
};
static const df_option options_table[] = { DF_COMMON_OPTION_ROWS(struct status_options, common),
                                           { "json", DF_BOOL_OPTION(struct status_options, json), 0, 0, 1, "one JSON object" },
                                           { "rows", DF_BOOL_OPTION(struct status_options, rows), 0, 0, 1,
                                             "the journal's columns that must not vary: equal texts mean equal journals" },
                                           { 0 } };
struct tally {
    size_t done, failed, left;
    const char *reason;
};

static void tally_line(const struct df_spec *spec, const struct df_journal *journal, size_t line, struct tally *out)
{
    *out = (struct tally){ 0 };
    for (size_t i = 0; i < spec->seeds; i++) {
        const struct df_run_row *row = df_journal_find(journal, spec->cell[line * spec->seeds + i]->id, DF_SEMANTICS);

        if (!row)
            out->left++;
        else if (strcmp(row->status, "ok") == 0)
            out->done++;
        else {
            out->failed++;
            out->reason = row->status;
        }
    }
}

static void print_text(const struct df_spec *spec, const struct df_journal *journal)
{
    struct tally t;

    printf("%-44s %5s %6s %5s\n", spec->name, "done", "failed", "left");
    for (size_t line = 0; line < spec->lines; line++) {
        const struct df_cell *cell = spec->cell[line * spec->seeds];
        char name[320];

        tally_line(spec, journal, line, &t);
        snprintf(name, sizeof name, "%s%s%s", cell->label, cell->axes[0] ? " " : "", cell->axes);
        printf("%-44s %5zu %6zu %5zu%s%s\n", name, t.done, t.failed, t.left, t.reason ? "  " : "", t.reason ? t.reason : "");
    }
}

static void print_json(const struct df_spec *spec, const struct df_journal *journal)
{
    cJSON *root = cJSON_CreateObject(), *lines = cJSON_CreateArray();
    struct df_text text = DF_TEXT_INIT;
    struct tally t, all = { 0 };

    for (size_t line = 0; line < spec->lines; line++) {
        const struct df_cell *cell = spec->cell[line * spec->seeds];
        cJSON *object = cJSON_CreateObject();

        tally_line(spec, journal, line, &t);
        all = (struct tally){ all.done + t.done, all.failed + t.failed, all.left + t.left, NULL };
        cJSON_AddStringToObject(object, "label", cell->label);
        cJSON_AddStringToObject(object, "axes", cell->axes);
        cJSON_AddNumberToObject(object, "done", (double)t.done);
        cJSON_AddNumberToObject(object, "failed", (double)t.failed);
        cJSON_AddNumberToObject(object, "left", (double)t.left);
        cJSON_AddItemToArray(lines, object);
    }
    cJSON_AddStringToObject(root, "spec", spec->name);
    cJSON_AddNumberToObject(root, "done", (double)all.done);
    cJSON_AddNumberToObject(root, "failed", (double)all.failed);
    cJSON_AddNumberToObject(root, "left", (double)all.left);
    cJSON_AddItemToObject(root, "lines", lines);
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static void print_rows(const struct df_spec *spec, const struct df_journal *journal)
{
    struct df_text text = DF_TEXT_INIT;

    (void)spec;
    df_journal_deterministic(journal, &text);
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct status_options *options = values;
    struct df_error err = { 0 };
    struct df_journal *journal = NULL;
    struct df_spec *spec;

    (void)count;
    if (df_common_spec(&options->common, arguments[0], &spec, &err) != DF_OK)
        return df_command_fail(&err);
    char *folder = df_path_join(options->common.out, spec->name);
    const df_status status = df_journal_read(folder, &journal, &err);

    if (status == DF_OK)
        (options->rows ? print_rows : options->json ? print_json : print_text)(spec, journal);
    df_journal_free(journal);
    df_spec_free(spec);
    free(folder);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_status = {
    .name = "status",
    .summary = "how far a sweep is: cells done, failed, left",
    .usage = "defeat status SPEC [--json|--rows]",
    .example = "defeat status ablations/specs/reproduce-table.json",
    .options = options_table,
    .options_size = sizeof(struct status_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
