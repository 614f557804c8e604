/* The tables in the documents are what the published rows give: each is made again from its folder under results/, under the semantics that its
 * rows are of, and must stand, whole, in its section. DF_WRITE_GOLDEN=1 writes them there; the diff is for a person to read. Not seen from here:
 * the quick tables (no rows are published), what a line says of the teacher, and prose. What commands print is tests/docs/test_printed.sh's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/rows.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "tests/support/support.h"

struct document {
    const char *path;
    char *text;
};
static struct document reproduce = { .path = "REPRODUCE.md" }, readme = { .path = "README.md" },
                       edition_1 = { .path = "results/edition-1/README.md" };
static struct document *const documents[] = { &reproduce, &readme, &edition_1 };
enum { DOCUMENTS = sizeof documents / sizeof *documents };

static int read_documents(void **state)
{
    struct df_error err = { 0 };
    size_t bytes;

    (void)state;
    for (int i = 0; i < DOCUMENTS; i++)
        assert_ok(df_file_read(documents[i]->path, 0, &documents[i]->text, &bytes, &err));
    return 0;
}

static int free_documents(void **state)
{
    (void)state;
    for (int i = 0; i < DOCUMENTS; i++)
        free(documents[i]->text);
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
                fail_msg("no published row of %s %s seed %lld as the spec has it now", request->line[l].label, request->line[l].axes,
                         (long long)request->line[l].seed[i]);
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

/* The `which`-th table of methods of the first section that has so many behind the word; NULL: there is none. */
static char *find_table(char *document, const char *word, int which)
{
    for (char *section = document; section; section = strstr(section + 1, "\n#")) {
        const char *next = strstr(section + 1, "\n#"), *named = strstr(section, word);
        char *at = section;

        for (int k = 0; at && k <= which; k++)
            at = strstr(at + 1, "\n| method |");
        if (at && named && named < at && (!next || at < next))
            return at + 1;
    }
    return NULL;
}

static void write_table(struct document *document, char *at, const char *table)
{
    struct df_error err = { 0 };
    struct df_text text = DF_TEXT_INIT;

    df_text_add_bytes(&text, document->text, (size_t)(at - document->text));
    df_text_add(&text, table);
    df_text_add(&text, strstr(at, "\n\n") + 2);
    assert_ok(df_file_write(document->path, text.data, text.length, &err));
    free(document->text);
    document->text = text.data;
}

/* `table` stands in the document, in a section that holds the word. */
static void check_section(struct document *document, const char *table, const char *word, int which)
{
    char *at = find_table(document->text, word, which);

    if (!at)
        fail_msg("%s: no section that holds '%s' has %d tables of methods", document->path, word, which + 1);
    if (getenv("DF_WRITE_GOLDEN"))
        write_table(document, at, table);
    else if (strncmp(at, table, strlen(table)) != 0)
        fail_msg("%s, %s: the published rows give another table [DF_WRITE_GOLDEN=1 writes it]:\n%s", document->path, word, table);
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

/* A table in a document: of the rows in a folder of a spec of that edition (its specs are beside its rows; of edition 2 in `ablations/specs/`), with differences to `baseline` (NULL: the spec's). The document has its first `columns`
 * columns, options not counted, as the `which`-th table of the first section that holds the word. */
struct published {
    int edition;
    const char *spec, *folder, *baseline;
    struct document *document;
    const char *word;
    int which, columns;
};

static void check_table(const struct published *p)
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

    snprintf(path, sizeof path, "%s/specs/%s.json", p->edition == 1 ? "results/edition-1" : "ablations", p->spec);
    assert_ok(df_spec_read(path, &unread, &spec, &err));
    snprintf(path, sizeof path, "results/%s/%s", p->edition == 1 ? "edition-1" : "published", p->folder);
    assert_ok(df_store_read(path, &journal, &err));
    df_arena_init(&memory, NULL, 1 << 12);
    wanted.semantics = semantics_of(journal);
    assert_ok(df_rows_request(spec, journal, &wanted, &memory, &request, &err));
    check_complete(journal, &request);
    if (p->baseline)
        choose_baseline(&request, p->baseline);
    assert_ok(df_table_build(journal, &request, &table, &err));
    df_table_print(table, DF_TABLE_MARKDOWN, false, &text);
    cut_columns(strstr(text.data, "| method |"), p->columns + (strstr(text.data, "| options |") != NULL), &cut);
    check_section(p->document, cut.data, p->word, p->which);
    df_text_release(&text);
    df_text_release(&cut);
    df_table_free(table);
    df_arena_release(&memory);
    df_journal_free(journal);
    df_spec_free(spec);
}

static void tables_are_the_rows(void **state)
{
    const struct published tables[] = {
        { 2, "reproduce-table", "reproduce-table", NULL, &reproduce, "### RetinaNet", 0, 14 },
        { 2, "reproduce-table", "reproduce-table", "full feature", &reproduce, "### RetinaNet", 1, 8 },
        { 2, "reproduce-faster", "reproduce-faster", NULL, &reproduce, "### Faster R-CNN", 0, 14 },
        { 2, "reproduce-table", "reproduce-table", NULL, &readme, "make reproduce-table", 0, 7 },
        { 1, "levers", "levers", NULL, &reproduce, "levers.json", 0, 8 },
        { 2, "ablate-regions", "ablate-regions", NULL, &reproduce, "ablate-regions", 0, 8 },
        { 2, "equal-compute", "equal-compute", NULL, &reproduce, "equal-compute", 0, 8 },
        { 2, "ablate-weights", "ablate-weights", NULL, &reproduce, "ablate-weights", 0, 8 },
        { 2, "ablate-head", "ablate-head", NULL, &reproduce, "ablate-head.json", 0, 8 },
        { 2, "ablate-authors", "ablate-authors", NULL, &reproduce, "ablate-authors", 0, 8 },
        { 2, "ablate-context", "ablate-context", NULL, &reproduce, "ablate-context", 0, 8 },
        { 2, "league-retinanet", "league-retinanet", NULL, &reproduce, "league-retinanet", 0, 8 },
        { 2, "league-faster", "league-faster", NULL, &reproduce, "league-faster", 0, 8 },
        { 2, "bccd-trial", "bccd-trial", NULL, &reproduce, "bccd-trial", 0, 8 },
        { 1, "reproduce-table", "reproduce-table", NULL, &edition_1, "reproduce-table", 0, 14 },
        { 1, "reproduce-table", "reproduce-table", "full feature", &edition_1, "reproduce-table", 1, 8 },
        { 1, "reproduce-faster", "reproduce-faster", NULL, &edition_1, "### Faster R-CNN", 0, 14 },
        { 1, "bccd", "bccd", NULL, &edition_1, "bccd.json", 0, 14 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        check_table(&tables[i]);
}

static void ablations_of_edition_1_are_their_rows(void **state)
{
    static const char *const names[] = { "adaptation", "authors", "context", "decay",   "head",    "levels",
                                         "mask",       "parts",   "regions", "student", "teacher", "weights" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[32], folder[64];

        snprintf(name, sizeof name, "ablate-%s", names[i]);
        snprintf(folder, sizeof folder, "semantics-1/ablations/%s", names[i]);
        check_table(&(struct published){ 1, name, folder, NULL, &edition_1, name, 0, 8 });
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables_are_the_rows), cmocka_unit_test(ablations_of_edition_1_are_their_rows) };

    return cmocka_run_group_tests(tests, read_documents, free_documents);
}
