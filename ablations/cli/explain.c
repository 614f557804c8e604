/* `defeat explain SPEC`: what the findings of a spec's networks rest on, and whether distilling moves a student's towards its teacher's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/behaviour/explain_pictures.h"
#include "ablations/behaviour/explain_spread.h"
#include "ablations/cli/running.h"
#include "ablations/cli/table_source.h"
#include "ablations/run/store.h"
#include "ablations/spec_teachers.h"
#include "core/base/file.h"
#include "core/base/shell.h"
#include "results/score_table.h"

struct explain_options {
    struct df_common_options common;
    struct df_explain_options ask;
    int64_t images, pictures;
    int format;
    char baseline[DF_STRING_MAX], which[DF_STRING_MAX];
};
static const df_option options_table[] = {
    DF_SPEC_OPTION_ROWS(struct explain_options, common),
    { "images", DF_INT_OPTION(struct explain_options, images), .standard = 50, .min = 1, .max = 1e7,
      .help = "the first so many validation images, or all that there are" },
    DF_EXPLAIN_OPTION_ROWS(struct explain_options, ask),
    { "which", DF_STRING_OPTION(struct explain_options, which), .text = "",
      .help = "of several teachers the one of this name is held against" },
    { "pictures", DF_INT_OPTION(struct explain_options, pictures), .max = 1e6,
      .help = "draw the maps of so many of the images: every object and network, and a sheet of all" },
    { "format", DF_CHOICE_OPTION(struct explain_options, format), .choices = "text|markdown|csv|latex", .help = "form of the table" },
    { "baseline", DF_STRING_OPTION(struct explain_options, baseline), .text = "",
      .help = "differences are to this label; none: as the spec says" },
    { 0 }
};

struct explaining {
    const struct explain_options *options;
    struct df_table_source source;  /* its request asks for the questions' rows, not for the runs' */
    const char **id;                /* [cells] of the question about each; "": it is not trained */
    struct df_journal *journal;     /* rows of the question */
    char *folder;                   /* theirs */
    struct df_explain_picture *map; /* [maps] for the pictures, the variants' teachers among them */
    size_t maps, images;
    size_t asked, known, absent; /* students: now, before, not trained */
    double seconds;              /* of asking */
    size_t passes;
};

/* ---- one network ---- */

/* What the network says: from the file beside its row, or asked now and kept there. */
static df_status hear(struct explaining *e, const struct df_question *question, struct df_subject *subject, struct df_heard *heard,
                      struct df_error *err)
{
    const char *out = e->options->common.out;
    char *path = df_question_weights(question, out), *folder = df_path_folder(path);
    df_status status = df_heard_read(path, question->id, heard, err);

    if (status == DF_ERR_NOT_FOUND) {
        const double start = df_now();
        struct df_text label = DF_TEXT_INIT;

        df_text_addf(&label, "%s, seed %lld", subject->cell->label, (long long)subject->cell->seed);
        status = df_explain_ask(&e->options->ask, subject, e->images, df_text_get(&label), heard, err);
        e->seconds += df_now() - start;
        e->passes += e->images * (size_t)e->options->ask.saliency.mask.count;
        df_text_release(&label);
        if (status == DF_OK)
            status = df_folder_make(folder, err);
        if (status == DF_OK)
            status = df_heard_write(heard, question->id, path, err);
        if (status != DF_OK)
            df_heard_release(heard);
    }
    free(path);
    free(folder);
    return status;
}

static df_status put_row(struct explaining *e, const struct df_question *question, struct df_subject *subject, const struct df_heard *heard,
                         const struct df_heard *teacher, struct df_error *err)
{
    const double start = df_now();
    struct df_arena memory;
    df_status status;

    df_arena_init(&memory, NULL, 1 << 16);
    struct df_run_row row = df_question_row(question, &memory);

    status = df_explain_scores(&e->options->ask, subject, heard, teacher, &row.scores, &memory, err);
    row.eval_seconds = df_now() - start;
    if (status == DF_OK)
        status = df_question_put(question, e->options->common.out, &row, err);
    df_arena_release(&memory);
    return status;
}

/* The network's row, if it is not there yet. heard: what it said, where that is wanted for others or for pictures (else NULL). */
static df_status explain(struct explaining *e, struct df_subject *subject, const struct df_subject *teacher,
                         const struct df_heard *teacher_heard, struct df_heard *heard, char id[17], struct df_error *err)
{
    struct df_question question;
    struct df_heard own = { 0 };
    df_status status = DF_OK;

    df_explain_question(&e->options->ask, subject, teacher, e->images, &question);
    memcpy(id, question.id, 17);
    const bool known = df_run_row_ok(df_journal_find(e->journal, id, DF_SEMANTICS));

    if (!known || heard)
        status = hear(e, &question, subject, &own, err);
    if (status == DF_OK && !known)
        status = put_row(e, &question, subject, &own, teacher_heard, err);
    if (teacher)
        *(known ? &e->known : &e->asked) += status == DF_OK;
    if (status == DF_OK && heard)
        *heard = own;
    else
        df_heard_release(&own);
    df_question_release(&question);
    return status;
}

/* ---- a variant: its teacher, then its students ---- */

static df_status no_teacher(struct explaining *e, struct df_error *err)
{
    struct df_text command = DF_TEXT_INIT;

    df_common_command(&e->options->common, "prepare", e->source.spec->path, &command);
    df_fail_in(err, DF_ERR_NOT_FOUND, "the teacher is not trained yet [to make it: %s]", df_text_get(&command));
    df_text_release(&command);
    return DF_ERR_NOT_FOUND;
}

/* One of the spec's students, held against the teacher; one that is not trained is counted. */
static df_status explain_cell(struct explaining *e, size_t k, const struct df_subject *teacher, const struct df_heard *heard,
                              struct df_error *err)
{
    const struct df_cell *cell = e->source.spec->cell[k];
    const bool drawn = e->options->pictures > 0 && k % e->source.spec->seeds == 0;
    struct df_explain_picture *map = &e->map[e->maps];
    char *id = df_arena_alloc(&e->source.memory, 17);
    struct df_subject subject;
    df_status status = df_subject_open(cell, DF_VALIDATION, NULL, e->options->common.out, &subject, err);

    if (status == DF_ERR_NOT_FOUND) {
        e->absent++;
        status = df_absent_is_fine(status, err);
    } else if (status == DF_OK) {
        status = explain(e, &subject, teacher, heard, drawn ? &map->heard : NULL, id, err);
        e->id[k] = id;
    }
    if (status == DF_OK && drawn && map->heard.image) {
        map->label = cell->label;
        e->maps++;
    }
    df_subject_close(&subject);
    return status;
}

static df_status explain_variant(struct explaining *e, const struct df_spec_variant *variant, struct df_error *err)
{
    const struct df_spec *spec = e->source.spec;
    const struct df_spec_teacher *by;
    struct df_explain_picture *map = &e->map[e->maps++];
    struct df_subject teacher = { 0 };
    char id[17];

    DF_TRY(df_spec_teacher_find(spec, variant, e->options->which, &by, err));
    df_status status = df_subject_open(by->cell, DF_VALIDATION, NULL, e->options->common.out, &teacher, err);

    if (status == DF_ERR_NOT_FOUND)
        status = no_teacher(e, err);
    if (status == DF_OK && e->images > teacher.images->size)
        e->images = teacher.images->size;
    map->label = by->cell->label;
    if (status == DF_OK)
        status = explain(e, &teacher, NULL, NULL, &map->heard, id, err);
    for (size_t k = variant->line * spec->seeds; k < (variant->line + variant->lines) * spec->seeds && status == DF_OK; k++)
        status = explain_cell(e, k, &teacher, &map->heard, err);
    df_subject_close(&teacher);
    return status;
}

/* ---- what is told ---- */

static void add_spread(const struct explaining *e, size_t line, struct df_text *out)
{
    static const char *const name[DF_EXPLAIN_HALVED] = { "agreement", "energy gap", "outside" };
    const struct df_table_line_request *of = &e->source.request.line[line];

    for (int k = 0; k < DF_EXPLAIN_HALVED; k++) {
        const struct df_explain_spread spread = df_explain_spread_of(e->journal, &e->source.request, line, (enum df_explain_score)k);

        if (!spread.pairs)
            return;
        if (k == 0)
            df_text_addf(out, "%s%s%s:", of->label, of->axes[0] ? " " : "", of->axes);
        df_text_addf(out, "%s %s %+.2f (%.2f to %.2f; masks %.2f)", k ? "," : "", name[k], spread.mean, spread.low, spread.high,
                     spread.masks);
    }
    df_text_add(out, ".\n");
}

static void add_notes(const struct explaining *e, struct df_text *out)
{
    df_text_addf(
        out, "Differences again, for these trained students: 95 %% of %d draws of the images, and the Monte-Carlo error of the masks:\n",
        DF_EXPLAIN_DRAWS);
    for (size_t l = 0; l < e->source.request.lines; l++)
        if (e->source.request.line[l].baseline != l)
            add_spread(e, l, out);
    if (e->absent)
        df_text_addf(out, "%zu students are not trained yet.\n", e->absent);
}

static df_status print_table(struct explaining *e, struct df_error *err)
{
    static const char notes[] =
        "Of the ground truth's objects, x 100: agreement Spearman's correlation of a student's map with the teacher's; gap "
        "|energy in the box - the teacher's|; outside the map's energy outside of the box; pointing the share of peaks "
        "in the box; halves the correlation of the maps of even and odd masks.\n";
    static const char *const head[DF_EXPLAIN_SCORES] = { "agreement", "gap", "outside", "pointing", "halves", "deletion", "insertion" };
    const struct df_score_columns columns = { .title = "explanations (D-RISE)",
                                              .count = e->options->ask.erasure.steps ? DF_EXPLAIN_SCORES : DF_EXPLAIN_DELETION,
                                              .metric = df_explain_metrics,
                                              .head = head,
                                              .notes = notes };
    struct df_text text = DF_TEXT_INIT, more = DF_TEXT_INIT;
    struct df_score_table *table;

    DF_TRY(df_score_table_build(e->journal, &e->source.request, &columns, &table, err));
    add_notes(e, &more);
    df_score_table_print(table, (enum df_table_format)e->options->format, more.data, &text);
    fputs(df_text_get(&text), stdout);
    df_score_table_free(table);
    df_text_release(&text);
    df_text_release(&more);
    return DF_OK;
}

/* To stderr: what was done, and what to do next. */
static void say_done(const struct explaining *e)
{
    struct df_text command = DF_TEXT_INIT;
    struct df_shell_word word;

    fprintf(stderr, "%zu students asked now, %zu before, %zu not trained", e->asked, e->known, e->absent);
    if (e->passes)
        fprintf(stderr, "; %zu passes, %.0f a second", e->passes, (double)e->passes / e->seconds);
    df_common_command(&e->options->common, "sweep", e->source.spec->path, &command);
    fprintf(stderr, "\nrows: %s\n", e->folder);
    if (e->absent)
        fprintf(stderr, "next: %s\n", df_text_get(&command));
    else if (e->source.request.lines > 1)
        fprintf(stderr, "next: %s compare %s A B --metric %s\n", df_program(), df_shell_word(&word, e->folder),
                df_explain_metrics[DF_EXPLAIN_AGREEMENT]);
    df_text_release(&command);
}

static df_status draw(struct explaining *e, struct df_error *err)
{
    const size_t images = (size_t)e->options->pictures < e->images ? (size_t)e->options->pictures : e->images;
    const struct df_cell *cell = e->source.spec->cell[0];
    const struct df_explain_pictures what = {
        .options = &e->options->ask, .maps = e->maps, .map = e->map, .folder = df_store_pictures(e->folder)
    };
    struct df_dataset *dataset;
    df_status status = df_data_split(cell->data, DF_VALIDATION, &dataset, err);

    for (size_t i = 0; i < images && status == DF_OK; i++)
        status = df_explain_pictures_draw(&what, dataset, i, err);
    if (status == DF_OK && images)
        fprintf(stderr, "pictures: %s\n", what.folder);
    free(what.folder);
    return status;
}

/* ---- the command ---- */

static df_status explain_all(struct explaining *e, struct df_error *err)
{
    const struct df_spec *spec = e->source.spec;
    df_status status = DF_OK;

    e->id = df_arena_alloc(&e->source.memory, spec->count * sizeof *e->id);
    for (size_t k = 0; k < spec->count; k++)
        e->id[k] = "";
    for (size_t l = 0; l < spec->lines; l++)
        e->source.request.line[l].run = e->id + l * spec->seeds;
    for (size_t v = 0; v < spec->variants && status == DF_OK; v++)
        status = explain_variant(e, &spec->variant[v], err);
    if (status == DF_OK && e->asked)
        status = df_store_make_tables(e->folder, true, err);
    return status;
}

static df_status read_rows(struct explaining *e, struct df_error *err)
{
    df_journal_free(e->journal);
    e->journal = NULL;
    return df_store_read(e->folder, &e->journal, err);
}

static df_status work(struct explaining *e, struct df_error *err)
{
    const struct df_spec *spec = e->source.spec;

    e->folder = df_store_question_folder(e->options->common.out, spec->name, "explain");
    e->map = df_calloc(spec->lines + spec->variants, sizeof *e->map);
    DF_TRY(read_rows(e, err));
    DF_TRY(explain_all(e, err));
    DF_TRY(read_rows(e, err));
    DF_TRY(print_table(e, err));
    say_done(e);
    return e->options->pictures ? draw(e, err) : DF_OK;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct explain_options *options = values;
    const struct df_which_rows which = { .semantics = DF_SEMANTICS };
    struct explaining e = { .options = options, .images = (size_t)options->images };
    struct df_error err = { 0 };

    (void)count;
    df_running_catch_signals();
    if (df_table_source_open(&options->common, &which, arguments[0], options->baseline, &e.source, &err) != DF_OK)
        return df_command_fail(&err);
    const df_status status = work(&e, &err);

    for (size_t k = 0; e.map && k < e.source.spec->lines + e.source.spec->variants; k++)
        df_heard_release(&e.map[k].heard);
    free(e.map);
    free(e.folder);
    df_journal_free(e.journal);
    df_table_source_close(&e.source);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_explain = {
    .name = "explain",
    .summary = "which pixels a network's findings rest on, and whether a student's are its teacher's (D-RISE)",
    .usage = "defeat explain SPEC [--images 50] [--masks 1000] [--grid 8] [--steps N] [--pictures N] [--format text|markdown|csv|latex]",
    .example = "defeat explain ablations/specs/explain.json --images 50 --pictures 4",
    .notes = "Asks the teacher and every trained student of the spec about the ground truth's objects of the first validation images: each "
             "image is "
             "shown behind the same masks to all of them. A row per network under out/SPEC-explain, asked once; what is there is not asked "
             "again, so "
             "that a stopped command goes on. 'defeat compare out/SPEC-explain A B --metric explain.agreement' compares two methods.\n"
             "Measured per object, means over the objects: see the table's notes. The table's intervals are over seeds; below it stand "
             "those over "
             "images and the masks' Monte-Carlo error.",
    .options = options_table,
    .options_size = sizeof(struct explain_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
