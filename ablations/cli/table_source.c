/* A spec's rows as a table asks for it, and a line about the teacher from its checkpoint's metadata. */
#include "ablations/cli/table_source.h"

#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"
#include "ablations/run/teacher_file.h"
#include "ablations/watch.h"
#include "core/base/file.h"
#include "core/base/shell.h"

/* Not trained yet, or measured by nobody: nothing; a damaged one is told. */
static void describe_teacher(const struct df_spec_variant *variant, const struct df_spec_teacher *teacher, const char *out,
                             struct df_text *line)
{
    const struct df_cell *cell = teacher->cell;
    char *path = cell->file[0] ? df_strdup(cell->file) : df_store_teacher(out, cell->id), score[32];
    struct df_teacher_facts facts;
    struct df_error err;

    if (df_file_exists(path) && df_teacher_facts_read(path, &facts, &err) != DF_OK)
        df_warn("%s", err.text);
    else if (df_file_exists(path) && facts.map >= 0)
        df_text_addf(line, "%s%s%s%s%s%s", line->length ? ", " : "teacher: ", variant->label, variant->label[0] ? " " : "", teacher->which,
                     teacher->which[0] ? " " : "", df_teacher_score_text(&facts, facts.map, score));
    free(path);
}

/* Tells the labels of a variant, each once: its lines follow each other. */
static df_status unknown_baseline(const char *label, const struct df_table_request *request, size_t begin, size_t end, struct df_error *err)
{
    const char **labels = df_calloc(end - begin + 1, sizeof *labels), *near;
    struct df_text all = DF_TEXT_INIT;
    size_t n = 0;

    for (size_t line = begin; line < end; line++)
        if (!n || strcmp(labels[n - 1], request->line[line].label) != 0) {
            labels[n++] = request->line[line].label;
            df_text_addf(&all, "%s'%s'", n > 1 ? ", " : "", labels[n - 1]);
        }
    near = df_nearest(label, labels);
    df_fail(err, DF_ERR_USAGE, "--baseline '%s': no line of the table has this label (%s%s%sexpected one of %s)", label,
            near ? "did you mean '" : "", near ? near : "", near ? "'? " : "", df_text_get(&all));
    df_text_release(&all);
    free(labels);
    return DF_ERR_USAGE;
}

/* The first line with that label, of every variant. */
static df_status choose_baseline(const char *label, const struct df_spec *spec, struct df_table_request *request, struct df_error *err)
{
    for (size_t v = 0; *label && v < spec->variants; v++) {
        const size_t begin = spec->variant[v].line, end = begin + spec->variant[v].lines;
        size_t chosen = begin;

        while (chosen < end && strcmp(request->line[chosen].label, label) != 0)
            chosen++;
        if (chosen == end)
            return unknown_baseline(label, request, begin, end, err);
        for (size_t line = begin; line < end; line++)
            request->line[line].baseline = chosen;
    }
    return DF_OK;
}

/* The CSV tables, for rows that came since a sweep made them. Nothing depends on it here. */
static void refresh_tables(const char *folder)
{
    struct df_error err;

    if (df_store_make_tables(folder, true, &err) != DF_OK)
        df_warn("the CSV tables are as they were: %s", err.text);
}

df_status df_table_source_open(const struct df_common_options *options, const struct df_which_rows *which, const char *spec,
                               const char *baseline, struct df_table_source *out, struct df_error *err)
{
    const struct df_rows_wanted wanted = { which->semantics, which->environment };
    const bool older = which->semantics < DF_SEMANTICS; /* its rows have other ids: no file is needed to find them */

    *out = (struct df_table_source){ .options = options };
    DF_TRY((older ? df_common_spec_unread : df_common_spec)(options, spec, &out->spec, err));
    df_arena_init(&out->memory, NULL, 16 * 1024);
    out->folder = df_store_spec_folder(options->out, out->spec->name);
    df_status status = df_store_read(out->folder, &out->journal, err);

    if (status == DF_OK)
        status = df_rows_request(out->spec, out->journal, &wanted, &out->memory, &out->request, err);
    if (status == DF_OK)
        status = choose_baseline(baseline, out->spec, &out->request, err);
    if (status != DF_OK) {
        df_table_source_close(out);
        return status;
    }
    if (older) /* the teacher that may be here taught none of them */
        df_text_addf(&out->teacher, "rows of semantics %lld, an older version's", (long long)which->semantics);
    for (size_t v = 0; v < out->spec->variants && !older; v++)
        for (size_t t = 0; t < out->spec->variant[v].teachers; t++)
            describe_teacher(&out->spec->variant[v], &out->spec->variant[v].teacher[t], options->out, &out->teacher);
    out->request.teacher = df_text_get(&out->teacher);
    refresh_tables(out->folder);
    return DF_OK;
}

void df_table_source_warn(const struct df_table_source *source, const char *out)
{
    struct df_warnings warnings = { 0 };
    struct df_error err;

    if (source->request.semantics != DF_SEMANTICS) /* its logs are of other runs */
        return;
    if (df_watch_warnings(source->spec, out, &warnings, &err) != DF_OK)
        df_warn("%s", err.text);
    df_warnings_tell(&warnings);
    df_warnings_release(&warnings);
}

bool df_table_source_empty(const struct df_table_source *source, struct df_text *why)
{
    const struct df_spec *spec = source->spec;
    struct df_text others = DF_TEXT_INIT, command = DF_TEXT_INIT;

    if (df_rows_found(source->journal, &source->request))
        return false;
    df_rows_others(source->journal, &source->request, spec->cell[0]->device, &others);
    df_common_command(source->options, "sweep", spec->path, &command);
    if (others.length)
        df_text_addf(why, "'%s' holds 0 of the %zu rows of this spec, but %s", source->folder, spec->count, others.data);
    else
        df_text_addf(why, "'%s' holds no runs of this spec yet [to make them: %s]", source->folder, df_text_get(&command));
    df_text_release(&command);
    df_text_release(&others);
    return true;
}

void df_table_source_close(struct df_table_source *source)
{
    df_journal_free(source->journal);
    df_text_release(&source->teacher);
    df_arena_release(&source->memory);
    df_spec_free(source->spec);
    free(source->folder);
}
