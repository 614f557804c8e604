/* The tables in the documents are what the published rows give: each is made again from results/published, under the semantics that its rows are
 * of, and must stand, whole, in its section. Not seen from here: the quick tables (no rows are published), what a line says of the teacher, the
 * trials' choices, and prose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/rows.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "tests/support/support.h"

static char *reproduce, *readme;

static int read_documents(void **state)
{
    struct df_error err = { 0 };
    size_t bytes;

    (void)state;
    assert_ok(df_file_read("REPRODUCE.md", 0, &reproduce, &bytes, &err));
    assert_ok(df_file_read("README.md", 0, &readme, &bytes, &err));
    return 0;
}

static int free_documents(void **state)
{
    (void)state;
    free(reproduce);
    free(readme);
    return 0;
}

/* Of the rows: a folder holds those of one version. */
static int64_t semantics_of(const struct df_journal *journal)
{
    assert_true(journal->runs > 0);
    for (size_t i = 1; i < journal->runs; i++)
        assert_int_equal(journal->run[i].semantics, journal->run[0].semantics);
    return journal->run[0].semantics;
}

/* Every cell of the spec has its published row. */
static void check_complete(const struct df_journal *journal, const struct df_table_request *request)
{
    for (size_t l = 0; l < request->lines; l++)
        for (size_t i = 0; i < request->line[l].runs; i++)
            if (!df_run_row_ok(df_journal_find(journal, request->line[l].run[i], request->semantics)))
                fail_msg("results/published has no row of %s %s seed %lld as the spec has it now", request->line[l].label,
                         request->line[l].axes, (long long)request->line[l].seed[i]);
}

/* The first columns of every line of a Markdown table, the empty line behind it included. */
static void cut_columns(const char *table, int columns, struct df_text *out)
{
    for (const char *line = table; *line == '|'; line += strcspn(line, "\n") + 1) {
        size_t at = 0;

        for (int bars = 0; bars <= columns && line[at] != '\n'; at++)
            bars += line[at] == '|';
        df_text_add_bytes(out, line, at);
        df_text_add(out, "\n");
    }
    df_text_add(out, "\n");
}

/* `table` stands in the document, in a section that names the spec. */
static void check_section(const char *document, const char *table, const char *name)
{
    const char *at = strstr(document, table), *section = at;

    if (!at)
        fail_msg("%s: the published rows give a table that the document does not have:\n%s", name, table);
    while (section > document && !(section[-1] == '\n' && *section == '#'))
        section--;
    const char *named = strstr(section, name);
    if (!named || named > at)
        fail_msg("%s: its table stands in another section: %.40s", name, section);
}

static void choose_baseline(struct df_table_request *request, const char *label)
{
    size_t chosen = 0;

    while (chosen < request->lines && strcmp(request->line[chosen].label, label) != 0)
        chosen++;
    assert_true(chosen < request->lines);
    for (size_t i = 0; i < request->lines; i++)
        request->line[i].baseline = chosen;
}

/* The spec's table with differences to `baseline` (NULL: the spec's); the document has `columns` columns of it, options not counted. */
static void check_table(const char *name, const char *folder, const char *baseline, const char *document, int columns)
{
    const struct df_spec_overrides unread = { .unread = true };
    struct df_text text = DF_TEXT_INIT, cut = DF_TEXT_INIT;
    struct df_table_request request;
    struct df_error err = { 0 };
    struct df_journal *journal;
    struct df_table *table;
    struct df_rows_wanted wanted = { 0 };
    struct df_arena memory;
    struct df_spec *spec;
    char path[256];

    snprintf(path, sizeof path, "ablations/specs/%s.json", name);
    assert_ok(df_spec_read(path, &unread, &spec, &err));
    snprintf(path, sizeof path, "results/published/%s", folder);
    assert_ok(df_store_read(path, &journal, &err));
    df_arena_init(&memory, NULL, 1 << 12);
    wanted.semantics = semantics_of(journal);
    assert_ok(df_rows_request(spec, journal, &wanted, &memory, &request, &err));
    check_complete(journal, &request);
    if (baseline)
        choose_baseline(&request, baseline);
    assert_ok(df_table_build(journal, &request, &table, &err));
    df_table_print(table, DF_TABLE_MARKDOWN, false, &text);
    cut_columns(strstr(text.data, "| method |"), columns + (strstr(text.data, "| options |") != NULL), &cut);
    check_section(document, cut.data, name);
    df_text_release(&text);
    df_text_release(&cut);
    df_table_free(table);
    df_arena_release(&memory);
    df_journal_free(journal);
    df_spec_free(spec);
}

static void tables_are_the_rows(void **state)
{
    (void)state;
    check_table("reproduce-table", "reproduce-table", NULL, reproduce, 12);
    check_table("reproduce-faster", "reproduce-faster", NULL, reproduce, 12);
    check_table("reproduce-table", "reproduce-table", "full feature", reproduce, 6);
    check_table("reproduce-table", "reproduce-table", NULL, readme, 5);
    check_table("bccd", "bccd", NULL, reproduce, 12);
}

static void ablations_are_their_rows(void **state)
{
    static const char *const names[] = { "adaptation", "authors", "context", "decay",   "head",    "levels",
                                         "mask",       "parts",   "regions", "student", "teacher", "weights" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[32], folder[64];

        snprintf(name, sizeof name, "ablate-%s", names[i]);
        snprintf(folder, sizeof folder, "semantics-1/ablations/%s", names[i]);
        check_table(name, folder, NULL, reproduce, 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables_are_the_rows), cmocka_unit_test(ablations_are_their_rows) };

    return cmocka_run_group_tests(tests, read_documents, free_documents);
}
