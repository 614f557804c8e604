/* `defeat prepare SPEC`: what distilled cells stand on, before any of them runs: each teacher (trained if there is none, then gated) and its
 * cache; and, asked for, whether weights of 0 change nothing. `defeat sweep` does this by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/running.h"
#include "ablations/run/fits.h"
#include "ablations/run/identity.h"
#include "ablations/run/prepare.h"
#include "ablations/run/store.h"
#include "ablations/run/teacher_file.h"
#include "ablations/spec_teachers.h"
#include "ablations/watch.h"
#include "core/base/file.h"

struct prepare_options {
    struct df_common_options common;
    int stage;
    char id[DF_STRING_MAX], which[DF_STRING_MAX];
};
enum { STAGE_ALL, STAGE_TEACHER, STAGE_CACHE, STAGE_IDENTITY };
static const df_option options_table[] = { DF_COMMON_OPTION_ROWS(struct prepare_options, common),
                                           { "stage", DF_CHOICE_OPTION(struct prepare_options, stage),
                                             .choices = "all|teacher|cache|identity", .help = "what to prepare, or to check" },
                                           { "id", DF_STRING_OPTION(struct prepare_options, id), .text = "",
                                             .help = "only the variant whose first cell with a teacher has this run id; \"\": all" },
                                           { "which", DF_STRING_OPTION(struct prepare_options, which), .text = "",
                                             .help = "of several teachers only the one of this name; \"\": all" },
                                           { 0 } };

/* A teacher from elsewhere may hold no number to compare with. */
static df_status print_gate(const struct df_cell *teacher, const struct df_run_options *run, struct df_error *err)
{
    char *path = df_teacher_path(teacher, run);
    struct df_teacher_facts facts;
    const df_status status = df_teacher_facts_read(path, &facts, err);

    free(path);
    if (status == DF_OK)
        printf("gate: %s\n", !facts.gated       ? "not checked (the teacher's file records no mAP)"
                             : teacher->classes ? "not checked (the teacher has classes of its own)"
                                                : "passed");
    return status;
}

static df_status prepare_teacher(const struct df_spec_teacher *teacher, const struct df_run_options *run, struct df_error *err)
{
    char *path;

    if (!teacher->cell->file[0]) {
        DF_TRY(df_prepare_teacher(teacher->cell, run, &path, err));
        printf("teacher%s%s: %s\n", teacher->which[0] ? " " : "", teacher->which, path);
        free(path);
    }
    DF_TRY(df_teacher_gate(teacher->cell, run, err));
    return print_gate(teacher->cell, run, err);
}

static bool is_chosen(const struct prepare_options *options, const char *name)
{
    return !options->which[0] || strcmp(options->which, name) == 0;
}

/* Sweeps and `status` see how far it is, until the next call or df_progress_untell. */
static void tell(const struct df_spec *spec, const struct df_spec_variant *variant, const char *teacher, enum df_job job,
                 const struct df_run_options *run)
{
    char *folder = df_store_spec_folder(run->out, spec->name), *file = df_watch_job_progress(run->out, spec, variant, teacher, job);

    if (df_folder_make(folder, NULL) == DF_OK) /* else it is not told: whoever needs the folder says why it cannot be made */
        df_progress_tell(file);
    free(folder);
    free(file);
}

/* What does not fit is told before a teacher is trained for it. */
static df_status prepare_teachers(const struct prepare_options *options, const struct df_spec *spec, const struct df_spec_variant *variant,
                                  const struct df_run_options *run, struct df_error *err)
{
    struct df_spec_lesson lesson = { NULL };
    struct df_dataset *train;

    DF_TRY(df_data_split(variant->first->data, DF_TRAIN, &train, err));
    while (df_spec_next_lesson(spec, variant, &lesson))
        if (is_chosen(options, lesson.which))
            DF_TRY(df_teacher_fits(lesson.cell, lesson.by, train, NULL, err));
    for (size_t t = 0; t < variant->teachers; t++)
        if (is_chosen(options, variant->teacher[t].which)) {
            tell(spec, variant, variant->teacher[t].which, DF_JOB_TEACHER, run);
            DF_TRY(prepare_teacher(&variant->teacher[t], run, err));
        }
    return DF_OK;
}

/* Each set of needs has its own. */
static df_status prepare_caches(const struct prepare_options *options, const struct df_spec *spec, const struct df_spec_variant *variant,
                                const struct df_run_options *run, struct df_error *err)
{
    struct df_spec_lesson lesson = { NULL };
    char *path;

    while (df_spec_next_lesson(spec, variant, &lesson)) {
        if (!is_chosen(options, lesson.which))
            continue;
        tell(spec, variant, lesson.which, DF_JOB_CACHE, run);
        DF_TRY(df_prepare_cache(lesson.cell, lesson.by, run, &path, err));
        printf("cache%s%s: %s\n", lesson.which[0] ? " " : "", lesson.which, path ? path : "not used: the teacher runs live");
        free(path);
    }
    return DF_OK;
}

/* The first cell of every method that a teacher teaches, on what the other stages have prepared. */
static df_status check_identity(const struct df_run_options *run, const struct df_spec *spec, const struct df_spec_variant *variant,
                                struct df_error *err)
{
    const size_t begin = variant->line * spec->seeds, end = begin + variant->lines * spec->seeds;
    const struct df_cell *before = NULL;
    size_t steps;

    tell(spec, variant, "", DF_JOB_IDENTITY, run);
    for (size_t i = begin; i < end; before = spec->cell[i], i++) {
        const struct df_cell *cell = spec->cell[i];

        if (!cell->teachers || (before && strcmp(before->label, cell->label) == 0))
            continue;
        DF_TRY(df_identity_check(cell, run, &steps, err));
        printf("identity: %s with weights of 0 is the plain student over %zu steps\n", cell->label, steps);
    }
    return DF_OK;
}

static df_status prepare_variant(const struct prepare_options *options, const struct df_spec *spec, const struct df_spec_variant *variant,
                                 struct df_error *err)
{
    const struct df_spec_teacher *chosen;
    struct df_run_options run;

    df_common_run(&options->common, &run);
    if (options->stage == STAGE_IDENTITY)
        return check_identity(&run, spec, variant, err);
    if (options->which[0])
        DF_TRY(df_spec_teacher_find(spec, variant, options->which, &chosen, err));
    if (options->stage != STAGE_CACHE)
        DF_TRY(prepare_teachers(options, spec, variant, &run, err));
    return options->stage == STAGE_TEACHER ? DF_OK : prepare_caches(options, spec, variant, &run, err);
}

/* Every variant with a teacher; with an id, the one whose first cell has it. */
static df_status prepare_chosen(struct df_spec *spec, const void *values, struct df_error *err)
{
    const struct prepare_options *options = values;
    const struct df_spec_variant *chosen = NULL, *taught = NULL;

    for (size_t v = 0; v < spec->variants; v++) {
        const struct df_spec_variant *variant = &spec->variant[v];

        if (variant->first && strcmp(variant->first->id, options->id) == 0)
            chosen = variant;
        if (variant->first)
            taught = variant;
    }
    if (!taught)
        return df_fail(err, DF_ERR_USAGE, "no method of '%s' needs a teacher: there is nothing to prepare", spec->name);
    if (options->id[0] && !chosen)
        return df_running_same(spec, taught->first, options->id, err);
    for (size_t v = 0; v < spec->variants; v++)
        if (spec->variant[v].first && (!chosen || chosen == &spec->variant[v]))
            DF_TRY(prepare_variant(options, spec, &spec->variant[v], err));
    return DF_OK;
}

static df_status prepare_all(struct df_spec *spec, const void *values, struct df_error *err)
{
    const df_status status = prepare_chosen(spec, values, err);

    df_progress_untell();
    return status;
}

static int run_prepare(const void *values, int count, char *const *arguments)
{
    (void)count;
    return df_running_spec(&((const struct prepare_options *)values)->common, arguments[0], prepare_all, values);
}

const struct df_command df_command_prepare = {
    .name = "prepare",
    .summary = "train and gate the teachers of a spec, build their caches",
    .usage = "defeat prepare SPEC [--stage all|teacher|cache|identity] [--which NAME]",
    .example = "defeat prepare ablations/specs/reproduce-quick.json",
    .options = options_table,
    .options_size = sizeof(struct prepare_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_prepare,
};
