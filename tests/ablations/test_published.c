/* The tables in the documents are what the published rows give: each is made again from results/published and must stand, whole, in its section.
 * Not seen from here: the quick tables (no rows are published), what a line says of the teacher, the trials' choices, and prose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/spec.h"
#include "core/base/file.h"
#include "core/device/device.h"
#include "tests/support/support.h"

static char *reproduce, *readme;

/* The rows are of AVX2: a processor that can do more is asked to do no more (in main), any other has other cells. */
static void skip_without_avx2(void)
{
    if (strcmp(df_device_isa(), "avx2") != 0)
        skip();
}

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

/* Everything that the older cell says, the newer says too. It may say more: a distiller's new option changes ids and no number. Hashes of files
 * are left out, for the files need not be here. */
static bool agrees(const cJSON *older, const cJSON *newer)
{
    const cJSON *member, *other = newer ? newer->child : NULL;

    if (!cJSON_IsObject(older) && !cJSON_IsArray(older))
        return cJSON_Compare(older, newer, true);
    if (!newer || (cJSON_IsArray(older) && cJSON_GetArraySize(older) != cJSON_GetArraySize(newer)))
        return false;
    cJSON_ArrayForEach(member, older)
    {
        if (cJSON_IsObject(older))
            other = cJSON_GetObjectItemCaseSensitive(newer, member->string);
        const bool hash = member->string && (strcmp(member->string, "data_hash") == 0 || strcmp(member->string, "teacher") == 0);

        if (!hash && !agrees(member, other))
            return false;
        if (cJSON_IsArray(older))
            other = other->next;
    }
    return true;
}

/* The run that was published for a cell: by its id, else one of its names that agrees with it. */
static const char *published_run(const struct df_journal *journal, const struct df_cell *cell)
{
    const char *found = df_journal_find(journal, cell->id, DF_SEMANTICS) ? cell->id : NULL;
    cJSON *newer = cJSON_Parse(cell->json.data);

    for (size_t i = 0; i < journal->runs && !found; i++) {
        const struct df_run_row *row = &journal->run[i];
        cJSON *older = cJSON_Parse(row->cell);

        if (strcmp(row->label, cell->label) == 0 && strcmp(row->axes, cell->axes) == 0 && agrees(older, newer))
            found = row->run;
        cJSON_Delete(older);
    }
    cJSON_Delete(newer);
    if (!found)
        fail_msg("results/published has no row of %s %s seed %lld as the spec has it now", cell->label, cell->axes, (long long)cell->seed);
    return found;
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
    struct df_arena memory;
    struct df_spec *spec;
    char path[256];

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
    }
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
    skip_without_avx2();
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
    skip_without_avx2();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[32], folder[64];

        snprintf(name, sizeof name, "ablate-%s", names[i]);
        snprintf(folder, sizeof folder, "ablations/%s", names[i]);
        check_table(name, folder, NULL, reproduce, 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables_are_the_rows), cmocka_unit_test(ablations_are_their_rows) };

    setenv("DNNL_MAX_CPU_ISA", "AVX2", 1);
    return cmocka_run_group_tests(tests, read_documents, free_documents);
}
