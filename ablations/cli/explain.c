/* `defeat explain SPEC`: what the findings of a spec's networks rest on, and whether distilling moves a student's towards its teacher's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/behaviour/explain_pictures.h"
#include "ablations/behaviour/explain_spread.h"
#include "ablations/cli/asking.h"
#include "ablations/cli/running.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
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
    struct df_asking asking;
    struct df_explain_picture *map; /* [maps] for the pictures */
    size_t maps, images;            /* images: of who is asked now */
    struct df_heard heard, teacher; /* what was said by who is asked now, if anybody wants to know, and by his teacher */
    bool drawn[2];                  /* these two are pictures' as well, which release them */
    double seconds;                 /* of asking */
    size_t passes;
};

/* ---- one network ---- */

static void question_of(void *context, const struct df_asked *who, struct df_question *out)
{
    struct explaining *e = context;

    e->images = (size_t)e->options->images;
    if (e->images > who->subject->images->size)
        e->images = who->subject->images->size;
    df_explain_question(&e->options->ask, who->subject, who->teacher, e->images, out);
}

static df_status ask_now(struct explaining *e, const struct df_question *question, struct df_subject *subject, const char *path,
                         struct df_heard *heard, struct df_error *err)
{
    char *folder = df_path_folder(path);
    struct df_text label = DF_TEXT_INIT;
    const double start = df_now();

    df_text_addf(&label, "%s, seed %lld", subject->cell->label, (long long)subject->cell->seed);
    df_status status = df_explain_ask(&e->options->ask, subject, e->images, df_text_get(&label), heard, err);

    e->seconds += df_now() - start;
    e->passes += e->images * (size_t)e->options->ask.saliency.mask.count;
    if (status == DF_OK)
        status = df_folder_make(folder, err);
    if (status == DF_OK)
        status = df_heard_write(heard, question->id, path, err);
    if (status != DF_OK)
        df_heard_release(heard);
    df_text_release(&label);
    free(folder);
    return status;
}

/* In place of what was heard before, which may be a picture's. */
static struct df_heard *place_for(struct explaining *e, bool student)
{
    struct df_heard *place = student ? &e->heard : &e->teacher;

    if (!e->drawn[student])
        df_heard_release(place);
    *place = (struct df_heard){ 0 };
    e->drawn[student] = false;
    return place;
}

/* A line's name: lines of one label differ in their axes. */
static const char *name_of(struct explaining *e, const struct df_cell *cell)
{
    struct df_text name = DF_TEXT_INIT;

    df_text_addf(&name, "%s%s%s", cell->label, cell->axes[0] ? " " : "", cell->axes);
    const char *kept = df_arena_strdup(&e->asking.source.memory, df_text_get(&name));

    df_text_release(&name);
    return kept;
}

/* What the network says: from the file beside its row, or asked now and kept there. */
static df_status hear(void *context, const struct df_asked *who, const struct df_question *question, bool known, struct df_error *err)
{
    struct explaining *e = context;
    const bool student = who->teacher != NULL, drawn = e->options->pictures && who->first;
    struct df_heard *heard = place_for(e, student);

    if (student && known && !drawn)
        return DF_OK;

    char *path = df_question_weights(question, e->asking.common->out);
    df_status status = df_heard_read(path, question->id, heard, err);

    if (status == DF_ERR_NOT_FOUND)
        status = ask_now(e, question, who->subject, path, heard, err);
    free(path);
    if (status == DF_OK && drawn) {
        e->map[e->maps++] = (struct df_explain_picture){ name_of(e, who->subject->cell), *heard };
        e->drawn[student] = true;
    }
    return status;
}

static df_status score(void *context, const struct df_asked *who, struct df_scores *scores, struct df_arena *memory, struct df_error *err)
{
    struct explaining *e = context;

    return df_explain_scores(&e->options->ask, who->subject, who->teacher ? &e->heard : &e->teacher, who->teacher ? &e->teacher : NULL,
                             scores, memory, err);
}

/* ---- what is told ---- */

static void add_spread(const struct explaining *e, size_t line, struct df_text *out)
{
    static const char *const name[DF_EXPLAIN_HALVED] = { "agreement", "energy gap", "outside" };
    const struct df_table_line_request *of = &e->asking.source.request.line[line];

    for (int k = 0; k < DF_EXPLAIN_HALVED; k++) {
        const struct df_explain_spread spread =
            df_explain_spread_of(e->asking.journal, &e->asking.source.request, line, (enum df_explain_score)k);

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
    if (e->options->ask.erasure.steps)
        df_text_add(out,
                    "Deletion and insertion: the area under the similarity of the best detection as the map's pixels go to black (less is "
                    "better), and as they come back to the blurred image (more is).\n");
    df_text_addf(
        out, "Differences again, for these trained students: 95 %% of %d draws of the images, and the Monte-Carlo error of the masks:\n",
        DF_EXPLAIN_DRAWS);
    for (size_t l = 0; l < e->asking.source.request.lines; l++)
        if (e->asking.source.request.line[l].baseline != l)
            add_spread(e, l, out);
    if (e->asking.absent)
        df_text_addf(out, "%zu students are not trained yet.\n", e->asking.absent);
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

    DF_TRY(df_score_table_build(e->asking.journal, &e->asking.source.request, &columns, &table, err));
    add_notes(e, &more);
    df_score_table_print(table, (enum df_table_format)e->options->format, more.data, &text);
    fputs(df_text_get(&text), stdout);
    df_score_table_free(table);
    df_text_release(&text);
    df_text_release(&more);
    return DF_OK;
}

static df_status draw(struct explaining *e, struct df_error *err)
{
    const size_t heard = e->maps ? e->map[0].heard.images : 0, asked = (size_t)e->options->pictures, images = asked < heard ? asked : heard;
    const struct df_cell *cell = e->asking.source.spec->cell[0];
    const struct df_explain_pictures what = {
        .options = &e->options->ask, .maps = e->maps, .map = e->map, .folder = df_store_pictures(e->asking.folder)
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

static df_status work(struct explaining *e, struct df_error *err)
{
    static const struct df_asking_steps steps = { question_of, hear, score };
    const struct df_spec *spec = e->asking.source.spec;

    e->map = df_calloc(spec->variant[0].lines + 1, sizeof *e->map);
    DF_TRY(df_asking_run(&e->asking, &steps, e, err));
    DF_TRY(print_table(e, err));
    if (e->passes)
        fprintf(stderr, "%zu passes, %.0f a second\n", e->passes, (double)e->passes / e->seconds);
    df_asking_say(&e->asking, df_explain_metrics[DF_EXPLAIN_AGREEMENT]);
    return e->options->pictures ? draw(e, err) : DF_OK;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct explain_options *options = values;
    struct explaining e = { .options = options };
    struct df_error err = { 0 };

    (void)count;
    df_running_catch_signals();
    if (df_asking_open(&options->common, "explain", arguments[0], options->baseline, &e.asking, &err) != DF_OK)
        return df_command_fail(&err);
    e.asking.which = options->which;

    const df_status status = work(&e, &err);

    (void)place_for(&e, true);
    (void)place_for(&e, false);
    for (size_t k = 0; k < e.maps; k++)
        df_heard_release(&e.map[k].heard);
    free(e.map);
    df_asking_close(&e.asking);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_explain = {
    .name = "explain",
    .summary = "which pixels a network's findings rest on, and whether a student's are its teacher's (D-RISE)",
    .usage = "defeat explain SPEC [--images 50] [--masks 1000] [--grid 8] [--steps N] [--pictures N] [--format text|markdown|csv|latex]",
    .example = "defeat explain ablations/specs/explain.json --images 50 --pictures 4",
    .notes =
        "Asks the teacher and every trained student of the spec about the ground truth's objects of the first validation images: each "
        "image is "
        "shown behind the same masks to all of them. A row per network under out/SPEC.explain, asked once; what is there is not asked "
        "again, so "
        "that a stopped command goes on. 'defeat compare out/SPEC.explain A B --metric explain.agreement' compares two methods; of other "
        "options the rows are another question's (--question).\n"
        "Measured per object, means over the objects: see the table's notes. The table's intervals are over seeds; below it stand "
        "those over "
        "images and the masks' Monte-Carlo error.",
    .options = options_table,
    .options_size = sizeof(struct explain_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
