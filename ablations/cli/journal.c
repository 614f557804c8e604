/* `defeat journal`: rows of another tree, or of an older version's runs.csv, become row files; the rows of two trees are compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "results/journal_diff.h"

struct journal_options {
    char out[DF_STRING_MAX], with[DF_STRING_MAX];
};
static const df_option options_table[] = {
    { "out", DF_STRING_OPTION(struct journal_options, out), .text = "",
      .help = "import: tree that the rows go into, each under its spec; \"\": where they are" },
    { "with", DF_STRING_OPTION(struct journal_options, with), .text = "results/published",
      .help = "diff: each FOLDER is compared with the folder of its name in there" },
    { 0 },
};

static df_status import_rows(const struct journal_options *options, int count, char *const *from, struct df_error *err)
{
    struct df_imported rows;

    for (int i = 0; i < count; i++) {
        DF_TRY(df_store_import(from[i], options->out, &rows, err));
        printf("%s: %zu finished and %zu failed rows imported, %zu were there already\n", from[i], rows.finished, rows.failed, rows.known);
    }
    return DF_OK;
}

/* Rows of a folder that must have some. */
static df_status read_rows(const char *folder, struct df_journal **journal, struct df_error *err)
{
    DF_TRY(df_store_read(folder, journal, err));
    if ((*journal)->runs)
        return DF_OK;
    df_journal_free(*journal);
    return df_fail(err, DF_ERR_NOT_FOUND, "'%s': found no rows, neither as row files nor as runs.csv", folder);
}

static df_status read_both(const char *folder, const char *with, struct df_journal **here, struct df_journal **there, struct df_error *err)
{
    char *plain = df_strdup(folder), *other;
    size_t length = strlen(plain);

    while (length > 1 && plain[length - 1] == '/')
        plain[--length] = 0;
    other = df_path_join(with, strrchr(plain, '/') ? strrchr(plain, '/') + 1 : plain);
    df_status status = read_rows(folder, here, err);

    if (status == DF_OK && (status = read_rows(other, there, err)) != DF_OK)
        df_journal_free(*here);
    free(plain);
    free(other);
    return status;
}

static df_status compare_folder(const char *folder, const char *with, struct df_journal_diff *diff, struct df_text *said,
                                struct df_error *err)
{
    struct df_journal *here, *there;

    DF_TRY(read_both(folder, with, &here, &there, err));
    df_journal_compare(here, there, diff, said);
    df_journal_free(here);
    df_journal_free(there);
    return DF_OK;
}

/* The answer, what differs, and whose rows were not compared. */
static void print_diff(const struct df_journal_diff *diff, const char *with, const struct df_text *said)
{
    const size_t both = diff->equal + diff->differ;

    if (both == 0)
        printf("no row of a cell of '%s' is here", with);
    else if (diff->differ)
        printf("%zu of %zu rows differ from the rows of the same cells in '%s'", diff->differ, both, with);
    else
        printf("all %zu rows equal the rows of the same cells in '%s', bit for bit", both, with);
    if (diff->only_here)
        printf("; %zu are only here", diff->only_here);
    if (diff->only_there)
        printf("; %zu are only there", diff->only_there);
    if (diff->versions && both == 0)
        printf("; %zu there are of another semantics", diff->versions);
    printf("\n%s", df_text_get(said));
}

static df_status compare_rows(const struct journal_options *options, int count, char *const *folders, struct df_error *err)
{
    struct df_journal_diff diff = { 0 };
    struct df_text said = DF_TEXT_INIT;
    df_status status = DF_OK;

    for (int i = 0; i < count && status == DF_OK; i++)
        status = compare_folder(folders[i], options->with, &diff, &said, err);
    if (status == DF_OK) {
        print_diff(&diff, options->with, &said);
        if (diff.differ || diff.equal == 0)
            status = df_fail(err, DF_ERR_CHECK, "the rows are not the same");
    }
    df_text_release(&said);
    return status;
}

static const struct action {
    const char *name;
    df_status (*run)(const struct journal_options *options, int count, char *const *arguments, struct df_error *err);
} actions[] = { { "import", import_rows }, { "diff", compare_rows }, { 0 } };

static const char *action_name(const void *table, size_t i) { return ((const struct action *)table)[i].name; }

static int run(const void *values, int count, char *const *arguments)
{
    struct df_error err = { 0 };
    const size_t action = df_find_name(action_name, actions, arguments[0], "action", NULL, &err);

    if (action == SIZE_MAX || actions[action].run(values, count - 1, arguments + 1, &err) != DF_OK)
        return df_command_fail(&err);
    return 0;
}

const struct df_command df_command_journal = {
    .name = "journal",
    .summary = "bring in rows of another tree or an older version; compare the rows of two trees",
    .usage = "defeat journal import FOLDER|RUNS.CSV... [--out FOLDER] | defeat journal diff FOLDER... [--with FOLDER]",
    .example = "defeat journal diff out/reproduce-table out/reproduce-faster",
    .notes = "import: a row that is there stays. On cuda a row of another GPU, driver or build is kept beside it. The CSV tables are made "
             "again; a runs.csv of an older version is replaced by one of today once every row of it has its file.\n"
             "diff: rows of the same cell are compared in all that a run repeats to the last bit: scores, the learning curve and what was "
             "asked for, not times, machine and revision. Exit 1: a row differs, or none is in both.",
    .options = options_table,
    .options_size = sizeof(struct journal_options),
    .arguments_min = 2,
    .arguments_max = 64,
    .run = run,
};
