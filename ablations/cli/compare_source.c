#include "ablations/cli/compare_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ablations/run/store.h"
#include "core/base/file.h"
#include "results/cells.h"
#include "results/machines.h"

/* ---- a spec ----------------------------------------------------------------------------------------------------------------------- */

/* A row of one of the spec's methods that differs from its cells in the seed alone. */
static bool is_another_seed(const struct df_run_row *row, const struct df_table_request *request)
{
    for (size_t l = 0; l < request->lines; l++) {
        const struct df_table_line_request *line = &request->line[l];

        if (row->semantics != request->semantics || strcmp(row->label, line->label) != 0 || strcmp(row->axes, line->axes) != 0)
            continue;
        if (request->semantics < DF_SEMANTICS || df_cells_same_but(row->cell, line->cell[0], (const char *const[]){ "seed", NULL }))
            return true;
    }
    return false;
}

static bool has_seed(const int64_t *seed, size_t count, int64_t one)
{
    while (count > 0 && seed[count - 1] != one)
        count--;
    return count > 0;
}

/* The spec's seeds and those beyond it that the folder has rows of, as --seeds takes them; false: there are none beyond it. */
static bool all_seeds(const struct df_table_source *rows, struct df_text *out)
{
    const struct df_table_line_request *line = &rows->request.line[0];
    int64_t *seed = df_malloc((line->runs + rows->journal->runs + 1) * sizeof *seed);
    size_t count = line->runs;

    memcpy(seed, line->seed, count * sizeof *seed);
    for (size_t i = 0; i < rows->journal->runs; i++)
        if (!has_seed(seed, count, rows->journal->run[i].seed) && is_another_seed(&rows->journal->run[i], &rows->request))
            seed[count++] = rows->journal->run[i].seed;
    for (size_t i = 0; i < count; i++)
        df_text_addf(out, "%lld,", (long long)seed[i]);
    free(seed);
    return count > line->runs;
}

static df_status open_spec(const struct df_common_options *options, const struct df_which_rows *which, struct df_compare_source *source,
                           struct df_error *err)
{
    struct df_common_options more = *options;
    struct df_text seeds = DF_TEXT_INIT;
    df_status status = df_table_source_open(options, which, source->path, "", &source->rows, err);

    if (status == DF_OK && !options->seeds[0] && all_seeds(&source->rows, &seeds)) {
        df_table_source_close(&source->rows);
        source->rows = (struct df_table_source){ 0 };
        if (seeds.length >= sizeof more.seeds)
            status = df_fail(err, DF_ERR_UNSUPPORTED, "'%s': rows of more seeds than --seeds can name [name those that count: --seeds]",
                             source->path);
        snprintf(more.seeds, sizeof more.seeds, "%s", df_text_get(&seeds));
        if (status == DF_OK)
            status = df_table_source_open(&more, which, source->path, "", &source->rows, err);
    }
    df_text_release(&seeds);
    return status;
}

/* ---- a folder of rows ------------------------------------------------------------------------------------------------------------- */

static size_t line_of(const struct df_table_request *request, const struct df_run_row *row)
{
    size_t l = 0;

    while (l < request->lines && (strcmp(request->line[l].label, row->label) != 0 || strcmp(request->line[l].axes, row->axes) != 0))
        l++;
    return l;
}

/* One line for every method that has a row. */
static void request_of_rows(const struct df_journal *journal, int64_t semantics, struct df_arena *memory, struct df_table_request *out)
{
    const char **run = df_arena_alloc(memory, (journal->runs + 1) * sizeof *run);
    int64_t *seed = df_arena_alloc(memory, (journal->runs + 1) * sizeof *seed);
    size_t used = 0;

    *out = (struct df_table_request){ .semantics = semantics, .title = "", .teacher = "" };
    out->line = df_arena_alloc(memory, (journal->runs + 1) * sizeof *out->line);
    for (size_t i = 0; i < journal->runs; i++) {
        const struct df_run_row *row = &journal->run[i];
        const size_t l = line_of(out, row);
        size_t n = 0;

        if (row->semantics != semantics || l < out->lines)
            continue;
        out->line[out->lines++] =
            (struct df_table_line_request){ .label = row->label, .axes = row->axes, .run = run + used, .seed = seed + used, .variant = "" };
        for (size_t j = i; j < journal->runs; j++)
            if (journal->run[j].semantics == semantics && line_of(out, &journal->run[j]) == l &&
                !(n && strcmp(run[used + n - 1], journal->run[j].run) == 0)) { /* one run may have rows of several machines */
                run[used + n] = journal->run[j].run;
                seed[used + n++] = journal->run[j].seed;
            }
        out->line[l].runs = n;
        used += n;
    }
}

/* No row of this semantics: which there are instead. */
static df_status fail_empty(const struct df_table_source *rows, const char *path, struct df_error *err)
{
    struct df_text others = DF_TEXT_INIT;

    df_rows_others(rows->journal, &rows->request, "", &others);
    df_fail(err, DF_ERR_NOT_FOUND, "'%s': no row of semantics %lld%s%s", path, (long long)rows->request.semantics,
            others.length ? ", but " : "", df_text_get(&others));
    df_text_release(&others);
    return DF_ERR_NOT_FOUND;
}

static df_status open_folder(const struct df_which_rows *which, struct df_compare_source *source, struct df_error *err)
{
    struct df_table_source *rows = &source->rows;

    df_arena_init(&rows->memory, NULL, 16 * 1024);
    rows->folder = df_strdup(source->path);
    DF_TRY(df_store_read(rows->folder, &rows->journal, err));
    request_of_rows(rows->journal, which->semantics, &rows->memory, &rows->request);
    if (!rows->request.lines)
        return fail_empty(rows, source->path, err);
    return df_journal_keep_environment(rows->journal, &rows->request, which->environment, &rows->request.elsewhere, err);
}

static bool is_spec(const char *path)
{
    const size_t n = strlen(path);

    return n > 5 && strcmp(path + n - 5, ".json") == 0;
}

df_status df_compare_source_open(const struct df_common_options *options, const struct df_which_rows *which, const char *path,
                                 struct df_compare_source *out, struct df_error *err)
{
    *out = (struct df_compare_source){ .path = df_strdup(path) };
    const df_status status = is_spec(path) ? open_spec(options, which, out, err) : open_folder(which, out, err);

    if (status != DF_OK)
        df_compare_source_close(out);
    return status;
}

void df_compare_source_close(struct df_compare_source *source)
{
    if (source->path)
        df_table_source_close(&source->rows);
    free(source->path);
    *source = (struct df_compare_source){ 0 };
}

df_status df_compare_split(const char *word, char **source, char **method, struct df_error *err)
{
    struct stat s;

    *source = *method = NULL;
    for (size_t n = strlen(word); n > 0; n--) {
        if (word[n] && word[n] != ':')
            continue;
        char *path = df_strdup(word);

        path[n] = 0;
        if (stat(path, &s) == 0) {
            *source = path;
            *method = word[n] ? df_strdup(word + n + 1) : NULL;
            return DF_OK;
        }
        free(path);
    }
    return df_fail(err, DF_ERR_NOT_FOUND,
                   "'%s': neither a spec nor a folder of rows, nor one with ':METHOD' behind it [defeat compare SPEC A B]", word);
}

/* ---- methods ---------------------------------------------------------------------------------------------------------------------- */

static size_t variant_of(const struct df_compare_source *source, size_t line)
{
    const struct df_spec *spec = source->rows.spec;
    size_t v = 0;

    while (spec && line >= spec->variant[v].line + spec->variant[v].lines)
        v++;
    return v;
}

static void add_line(const struct df_compare_source *source, size_t line, struct df_compare_method *out)
{
    const struct df_table_line_request *request = &source->rows.request.line[line];

    out->run = df_realloc(out->run, (out->runs + request->runs + 1) * sizeof *out->run);
    for (size_t i = 0; i < request->runs; i++)
        out->run[out->runs++] = (struct df_compare_run){
            .seed = request->seed[i],
            .group = variant_of(source, line),
            .row = df_journal_find(source->rows.journal, request->run[i], source->rows.request.semantics),
        };
    out->lines++;
}

static void name_line(const struct df_compare_source *source, size_t line, struct df_text *out)
{
    const struct df_table_line_request *request = &source->rows.request.line[line];

    df_text_addf(out, "%s%s%s", request->label, request->axes[0] ? " " : "", request->axes);
}

void df_compare_method_of_line(const struct df_compare_source *source, size_t line, struct df_compare_method *out)
{
    struct df_text name = DF_TEXT_INIT;

    *out = (struct df_compare_method){ .line = line };
    name_line(source, line, &name);
    out->name = name.data;
    add_line(source, line, out);
}

/* The same method in another variant: the cells differ by what the teacher is. */
static bool same_but_teacher(const struct df_compare_source *source, size_t a, size_t b)
{
    static const char *const teacher[] = {
        "teacher", "teacher_network", "teacher_detector", "teacher_canvas", "teacher_classes", "teachers", NULL
    };
    const struct df_table_line_request *line = source->rows.request.line;

    return source->rows.spec && variant_of(source, a) != variant_of(source, b) && line[a].cell && line[b].cell &&
           df_cells_same_but(line[a].cell[0], line[b].cell[0], teacher);
}

static df_status fail_ambiguous(const struct df_compare_source *source, const char *name, struct df_error *err)
{
    const struct df_table_request *request = &source->rows.request;
    struct df_text list = DF_TEXT_INIT;

    for (size_t l = 0; l < request->lines; l++)
        if (strcmp(request->line[l].label, name) == 0) {
            df_text_add(&list, list.length ? ", '" : "'");
            name_line(source, l, &list);
            df_text_add(&list, "'");
        }
    df_fail(err, DF_ERR_USAGE, "'%s': '%s' are several methods [name one: %.1500s]", source->path, name, df_text_get(&list));
    df_text_release(&list);
    return DF_ERR_USAGE;
}

static df_status find_label(const struct df_compare_source *source, const char *name, struct df_compare_method *out, struct df_error *err)
{
    const struct df_table_request *request = &source->rows.request;

    for (size_t l = 0; l < request->lines; l++) {
        if (strcmp(request->line[l].label, name) != 0)
            continue;
        if (out->lines && !same_but_teacher(source, out->line, l))
            return fail_ambiguous(source, name, err);
        out->line = out->lines ? out->line : l;
        add_line(source, l, out);
    }
    return DF_OK;
}

static void find_options(const struct df_compare_source *source, const char *name, struct df_compare_method *out)
{
    for (size_t l = 0; l < source->rows.request.lines && !out->lines; l++) {
        struct df_text whole = DF_TEXT_INIT;

        name_line(source, l, &whole);
        if (strcmp(df_text_get(&whole), name) == 0) {
            out->line = l;
            add_line(source, l, out);
        }
        df_text_release(&whole);
    }
}

/* A single run. */
static void find_run(const struct df_compare_source *source, const char *id, struct df_compare_method *out)
{
    const struct df_run_row *row = df_journal_find(source->rows.journal, id, source->rows.request.semantics);

    if (!row)
        return;
    out->run = df_malloc(sizeof *out->run);
    *out->run = (struct df_compare_run){ .seed = row->seed, .row = row };
    out->runs = out->lines = 1;
}

static const char *label_at(const void *table, size_t i)
{
    const struct df_table_request *request = table;

    return i < request->lines ? request->line[i].label : NULL;
}

df_status df_compare_method_find(const struct df_compare_source *source, const char *name, struct df_compare_method *out,
                                 struct df_error *err)
{
    df_status status;

    *out = (struct df_compare_method){ .name = df_strdup(name) };
    status = find_label(source, name, out, err);
    if (status == DF_OK && !out->lines)
        find_options(source, name, out);
    if (status == DF_OK && !out->lines)
        find_run(source, name, out);
    if (status == DF_OK && !out->lines) {
        df_find_name(label_at, &source->rows.request, name, "method", NULL, err);
        status = df_fail_in(err, DF_ERR_USAGE, "'%s'", source->path);
    }
    if (status != DF_OK)
        df_compare_method_release(out);
    return status;
}

void df_compare_methods_match(struct df_compare_method *a, struct df_compare_method *b)
{
    struct df_compare_method *const both[] = { a, b };

    if (a->lines != 1 || b->lines != 1)
        return;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < both[k]->runs; i++)
            both[k]->run[i].group = 0;
}

/* ---- questions -------------------------------------------------------------------------------------------------------------------- */

enum { QUESTIONS = 8 };
struct questions {
    size_t count; /* more may be told of than there is room for */
    char id[QUESTIONS][17];
    const char *cell[QUESTIONS]; /* one of those that answer it */
};

/* Only rows of the question that is asked for stay. */
static void keep_question(struct df_compare_method *method, const char *asked)
{
    size_t kept = 0;

    for (size_t i = 0; i < method->runs; i++) {
        char id[17] = "";

        if (method->run[i].row)
            df_cell_question(method->run[i].row->cell, id);
        if (strcmp(id, asked) == 0)
            method->run[kept++] = method->run[i];
    }
    method->runs = kept;
}

static void add_questions(const struct df_compare_method *method, struct questions *out)
{
    for (size_t i = 0; i < method->runs; i++) {
        char id[17] = "";
        size_t q = 0;

        if (method->run[i].row)
            df_cell_question(method->run[i].row->cell, id);
        while (q < out->count && strcmp(out->id[q], id) != 0)
            q++;
        if (!id[0] || q < out->count || q == QUESTIONS)
            continue;
        memcpy(out->id[q], id, sizeof id);
        out->cell[q] = method->run[i].row->cell;
        out->count++;
    }
}

/* "1f..: 50 images, {...}": what tells the questions apart. */
static void tell_question(const struct questions *questions, size_t q, struct df_text *out)
{
    const char *text = questions->cell[q];
    cJSON *cell = NULL;

    df_text_addf(out, "%s%s", q ? ", or " : "", questions->id[q]);
    if (df_json_parse(text, strlen(text), "", &cell, NULL) != DF_OK)
        return;
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(cell, "images"), "count");

    df_text_addf(out, ": %.0f images, ", cJSON_GetNumberValue(images));
    df_json_canonical(cJSON_GetObjectItemCaseSensitive(cell, "options"), out);
    cJSON_Delete(cell);
}

df_status df_compare_methods_question(struct df_compare_method *a, struct df_compare_method *b, const char *asked, struct df_error *err)
{
    struct questions questions = { 0 };
    struct df_text list = DF_TEXT_INIT;

    add_questions(a, &questions);
    add_questions(b, &questions);
    for (size_t q = 0; q < questions.count; q++)
        tell_question(&questions, q, &list);
    if (asked[0]) {
        keep_question(a, asked);
        keep_question(b, asked);
    }
    const bool none = asked[0] && !a->runs && !b->runs, several = !asked[0] && questions.count > 1;

    if (none && !questions.count)
        df_fail(err, DF_ERR_USAGE, "--question has no effect: the rows of '%s' and '%s' answer no question [remove it]", a->name, b->name);
    else if (none)
        df_fail(err, DF_ERR_USAGE, "no row of '%s' and '%s' answers question '%s' [--question %.1500s]", a->name, b->name, asked,
                df_text_get(&list));
    else if (several)
        df_fail(err, DF_ERR_USAGE, "the rows of '%s' and '%s' answer several questions, which are not mixed [--question %.1500s]", a->name,
                b->name, df_text_get(&list));
    df_text_release(&list);
    return none || several ? DF_ERR_USAGE : DF_OK;
}

struct df_compare_side df_compare_method_side(const struct df_compare_method *method)
{
    return (struct df_compare_side){ method->name, method->runs, method->run };
}

void df_compare_method_release(struct df_compare_method *method)
{
    free(method->name);
    free(method->run);
    *method = (struct df_compare_method){ 0 };
}
