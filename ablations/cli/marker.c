/* `defeat marker SPEC`: whether a spec's networks find a class because of a mark that is no object. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/behaviour/marker.h"
#include "ablations/cli/asking.h"
#include "ablations/cli/running.h"
#include "results/score_table.h"

struct marker_options {
    struct df_common_options common;
    int64_t images;
    int format;
    char baseline[DF_STRING_MAX], which[DF_STRING_MAX];
};
static const df_option options_table[] = { DF_SPEC_OPTION_ROWS(struct marker_options, common),
                                           { "images", DF_INT_OPTION(struct marker_options, images), .standard = 500, .min = 1, .max = 1e7,
                                             .help = "the first so many validation images, or all that there are; each is shown twice" },
                                           { "which", DF_STRING_OPTION(struct marker_options, which), .text = "",
                                             .help = "of several teachers the one of this name is asked too" },
                                           { "format", DF_CHOICE_OPTION(struct marker_options, format),
                                             .choices = "text|markdown|csv|latex", .help = "form of the table" },
                                           { "baseline", DF_STRING_OPTION(struct marker_options, baseline), .text = "",
                                             .help = "differences are to this label; none: as the spec says" },
                                           { 0 } };

struct marking {
    const struct marker_options *options;
    struct df_asking asking;
    struct df_marked marked; /* of the data that were asked about last */
    struct df_dataset *of;   /* their own images */
    size_t images;           /* of who is asked now */
    char (*teacher)[17];     /* [teachers] the questions to them, each once */
    size_t teachers;
};

static void note_teacher(struct marking *m, const char id[17])
{
    for (size_t t = 0; t < m->teachers; t++)
        if (strcmp(m->teacher[t], id) == 0)
            return;
    m->teacher = df_realloc(m->teacher, (m->teachers + 1) * sizeof *m->teacher);
    memcpy(m->teacher[m->teachers++], id, sizeof *m->teacher);
}

static void question_of(void *context, const struct df_asked *who, struct df_question *out)
{
    struct marking *m = context;

    m->images = (size_t)m->options->images;
    if (m->images > who->subject->images->size)
        m->images = who->subject->images->size;
    df_marker_question(who->subject, m->images, out);
    if (!who->teacher)
        note_teacher(m, out->id);
}

/* A variant may have data of its own. */
static df_status open_marked(struct marking *m, const struct df_asked *who, const struct df_data *data, struct df_error *err)
{
    if (m->of == who->subject->images)
        return DF_OK;
    df_marked_close(&m->marked);
    m->of = who->subject->images;
    return df_marked_open(data, DF_VALIDATION, &m->marked, err);
}

static df_status score(void *context, const struct df_asked *who, struct df_scores *scores, struct df_arena *memory, struct df_error *err)
{
    struct marking *m = context;
    const struct df_spec *spec = m->asking.source.spec;
    struct df_text label = DF_TEXT_INIT;
    const struct df_data *data = NULL;

    for (size_t k = 0; k < spec->count; k++)
        if (spec->cell[k]->data->split[DF_VALIDATION] == who->subject->images)
            data = spec->cell[k]->data;
    DF_ASSERT(data);
    DF_TRY(open_marked(m, who, data, err));
    df_text_addf(&label, "%s, seed %lld", who->subject->cell->label, (long long)who->subject->cell->seed);
    const df_status status = df_marker_measure(who->subject, &m->marked, m->images, df_text_get(&label), scores, memory, err);

    df_text_release(&label);
    return status;
}

/* What each teacher says, which stands in no line. */
static void add_teachers(const struct marking *m, struct df_text *out)
{
    for (size_t t = 0; t < m->teachers; t++) {
        const struct df_run_row *row = df_journal_find(m->asking.journal, m->teacher[t], DF_SEMANTICS);

        if (!df_run_row_ok(row))
            continue;
        df_text_addf(out, "'%s':", row->label);
        for (int k = 0; k < DF_MARKER_SCORES; k++) {
            const double value = df_run_row_score(row, df_marker_metrics[k], "");

            df_text_addf(out, "%s %s ", k ? "," : "", df_marker_metrics[k] + sizeof "marker." - 1);
            if (isnan(value))
                df_text_add(out, "not measured");
            else
                df_text_addf(out, "%.2f", 100 * value);
        }
        df_text_add(out, ".\n");
    }
}

static df_status print_table(struct marking *m, struct df_error *err)
{
    static const char notes[] =
        "The largest score of the mark's class anywhere in an image, x 100, with the mark less without it: response in images "
        "without an object of the class, reliance in those that have one.\n";
    static const char *const head[DF_MARKER_SCORES] = { "response", "reliance" };
    const struct df_score_columns columns = {
        .title = "a mark that is no object", .count = DF_MARKER_SCORES, .metric = df_marker_metrics, .head = head, .notes = notes
    };
    struct df_text text = DF_TEXT_INIT, teachers = DF_TEXT_INIT;
    struct df_score_table *table;

    DF_TRY(df_score_table_build(m->asking.journal, &m->asking.source.request, &columns, &table, err));
    add_teachers(m, &teachers);
    df_score_table_print(table, (enum df_table_format)m->options->format, df_text_get(&teachers), &text);
    fputs(df_text_get(&text), stdout);
    df_score_table_free(table);
    df_text_release(&text);
    df_text_release(&teachers);
    return DF_OK;
}

static int run(const void *values, int count, char *const *arguments)
{
    static const struct df_asking_steps steps = { question_of, NULL, score };
    const struct marker_options *options = values;
    struct marking m = { .options = options };
    struct df_error err = { 0 };

    (void)count;
    df_running_catch_signals();
    if (df_asking_open(&options->common, "marker", arguments[0], options->baseline, &m.asking, &err) != DF_OK)
        return df_command_fail(&err);
    m.asking.which = options->which;

    df_status status = df_asking_run(&m.asking, &steps, &m, &err);

    if (status == DF_OK)
        status = print_table(&m, &err);
    if (status == DF_OK)
        df_asking_say(&m.asking, df_marker_metrics[DF_MARKER_RESPONSE]);
    df_marked_close(&m.marked);
    free(m.teacher);
    df_asking_close(&m.asking);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_marker = {
    .name = "marker",
    .summary = "whether a mark that is no object makes a network find a class, and whether that came from its teacher",
    .usage = "defeat marker SPEC [--images 500] [--format text|markdown|csv|latex]",
    .example = "defeat marker ablations/specs/explain-marker.json",
    .notes = "Of a spec whose data have a mark (scenes: data.marker). The teacher may have learnt that the mark means the class "
             "(teacher.data), the "
             "students see it in any image: what they say of the mark they have from their teacher. A row per network under "
             "out/SPEC.marker, asked once.",
    .options = options_table,
    .options_size = sizeof(struct marker_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
