/* The tables in the documents are what the published rows give: every line of every one, made again from results/published. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/spec.h"
#include "core/base/file.h"
#include "tests/support/support.h"

static char *documents[2]; /* REPRODUCE.md, README.md */

static int read_documents(void **state)
{
    static const char *const names[] = { "REPRODUCE.md", "README.md" };
    struct df_error err = { 0 };
    size_t bytes;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_ok(df_file_read(names[i], 0, &documents[i], &bytes, &err));
    return 0;
}

static int free_documents(void **state)
{
    (void)state;
    free(documents[0]);
    free(documents[1]);
    return 0;
}

/* The run that was published for a cell: by its id (a run may serve several variants), else by its names, for an id may be an older one: a
 * distiller's new option changes ids and no number. */
static const char *published_run(const struct df_journal *journal, const struct df_cell *cell)
{
    if (df_journal_find(journal, cell->id, DF_SEMANTICS))
        return cell->id;
    for (size_t i = 0; i < journal->runs; i++) {
        const struct df_run_row *row = &journal->run[i];

        if (row->seed == (int64_t)cell->seed && strcmp(row->label, cell->label) == 0 && strcmp(row->axes, cell->axes) == 0)
            return row->run;
    }
    fail_msg("results/published has no row of %s %s seed %lld", cell->label, cell->axes, (long long)cell->seed);
    return NULL;
}

/* A line of the table as it stands, or its first columns. */
static bool holds(const char *document, const char *row, size_t length, int columns)
{
    struct df_text line = DF_TEXT_INIT;
    size_t at = 0;

    while (columns >= 0 && at < length)
        columns -= row[at++] == '|';
    df_text_add(&line, "\n");
    df_text_add_bytes(&line, row, columns < 0 ? at : length);
    df_text_add(&line, "\n");
    const bool found = strstr(document, line.data) != NULL;
    df_text_release(&line);
    return found;
}

/* Every line of the spec's table, with differences to `baseline` (NULL: the spec's), has `columns` columns of it in the document,
 * options not counted. */
static void check_table(const char *name, const char *folder, const char *baseline, const char *document, int columns)
{
    const struct df_spec_overrides unread = { .unread = true };
    struct df_table_request request;
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };
    struct df_journal *journal;
    struct df_table *table;
    struct df_arena memory;
    struct df_spec *spec;
    char path[256];
    size_t rows = 0;

    snprintf(path, sizeof path, "ablations/specs/%s.json", name);
    assert_ok(df_spec_read(path, &unread, &spec, &err));
    snprintf(path, sizeof path, "results/published/%s", folder);
    assert_ok(df_journal_read(path, &journal, &err));
    df_arena_init(&memory, NULL, 1 << 12);
    df_spec_table_request(spec, &memory, &request);
    for (size_t i = 0; i < request.lines; i++) {
        const char **run = df_arena_alloc(&memory, spec->seeds * sizeof *run);

        for (size_t k = 0; k < spec->seeds; k++)
            run[k] = published_run(journal, spec->cell[i * spec->seeds + k]);
        request.line[i].run = run;
        for (size_t j = 0; baseline && j < request.lines; j++)
            if (strcmp(request.line[j].label, baseline) == 0)
                request.line[i].baseline = j;
    }
    assert_ok(df_table_build(journal, &request, &table, &err));
    df_table_print(table, DF_TABLE_MARKDOWN, false, &text);
    columns += strstr(text.data, "| options |") != NULL;
    for (const char *row = strstr(text.data, "\n| "); row; row = strstr(row + 1, "\n| ")) {
        const size_t length = strcspn(row + 1, "\n");

        if (!holds(document, row + 1, length, columns))
            fail_msg("%s: the published rows give a line that the document does not have: %.*s", name, (int)length, row + 1);
        rows++;
    }
    assert_int_equal(rows, 1 + request.lines); /* with the header */
    df_text_release(&text);
    df_table_free(table);
    df_arena_release(&memory);
    df_journal_free(journal);
    df_spec_free(spec);
}

static void tables_are_the_rows(void **state)
{
    (void)state;
    check_table("reproduce-table", "reproduce-table", NULL, documents[0], 12);
    check_table("reproduce-faster", "reproduce-faster", NULL, documents[0], 12);
    check_table("reproduce-table", "reproduce-table", "full feature", documents[0], 6);
    check_table("reproduce-table", "reproduce-table", NULL, documents[1], 5);
    check_table("bccd", "bccd", NULL, documents[0], 12);
}

static void ablations_are_their_rows(void **state)
{
    static const char *const names[] = { "adaptation", "authors", "context", "decay",   "head",    "levels",
                                         "mask",       "parts",   "regions", "student", "teacher", "weights" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[32], folder[64];

        snprintf(name, sizeof name, "ablate-%s", names[i]);
        snprintf(folder, sizeof folder, "ablations/%s", names[i]);
        check_table(name, folder, NULL, documents[0], 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables_are_the_rows), cmocka_unit_test(ablations_are_their_rows) };

    return cmocka_run_group_tests(tests, read_documents, free_documents);
}
