/* `defeat train SPEC`: a spec's teacher, or its student without distillation. */
#include <stdio.h>
#include <stdlib.h>

#include "ablations/cli/running.h"
#include "ablations/run/prepare.h"
#include "ablations/run/teacher_file.h"
#include "ablations/spec_teachers.h"
#include "core/base/shell.h"
#include "core/metrics/coco_eval.h"

enum { TRAIN_TEACHER, TRAIN_STUDENT };
struct train_options {
    struct df_common_options common;
    int network;
    int64_t seed;
    char which[DF_STRING_MAX], variant[DF_STRING_MAX], output[DF_STRING_MAX];
    bool half, json, again;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct train_options, common),
    { "network", DF_CHOICE_OPTION(struct train_options, network), .standard = TRAIN_TEACHER, .choices = "teacher|student",
      .help = "what to train" },
    { "which", DF_STRING_OPTION(struct train_options, which), .text = "", .when = "network=teacher",
      .help = "of several teachers the one of this name" },
    { "seed", DF_INT_OPTION(struct train_options, seed), .standard = -1, .min = -1, .max = 9e15,
      .help = "in place of the spec's; -1: the spec's (student: its first)" },
    { "variant", DF_STRING_OPTION(struct train_options, variant), .text = "", .help = "of which variant of the spec, by its label" },
    { "output", DF_STRING_OPTION(struct train_options, output), .text = "", .help = "a copy of the weights (safetensors)" },
    { "half", DF_BOOL_OPTION(struct train_options, half), .when = "network=teacher",
      .help = "that copy has its weights in half precision (vectors of batch norm stay floats) and is measured anew" },
    { "again", DF_BOOL_OPTION(struct train_options, again), .help = "run also a student that a sweep has finished" },
    { "json", DF_BOOL_OPTION(struct train_options, json), .help = "print JSON" },
    { 0 },
};

static df_status reseed(struct df_cell *cell, int64_t seed, struct df_error *err)
{
    if (seed < 0)
        return DF_OK;
    cell->seed = seed;
    return df_cell_seal(cell, err);
}

static void print_teacher(const char *path, const struct df_teacher_facts *facts, bool json)
{
    const char *score = facts->accuracy ? "accuracy" : "AP";
    char map[32], gate[32];

    df_format_real(map, facts->map);
    df_format_real(gate, facts->gate_map);
    if (json)
        printf("{\"id\": \"%s\", \"%s\": %s, \"gate_%s\": %s, \"gate_images\": %zu}\n", facts->id, score, map, score, gate,
               facts->gate_images);
    else
        printf("teacher %s: %s on validation, %s on the gate's %zu images\n", path, df_teacher_score_text(facts, facts->map, map),
               df_teacher_score_text(facts, facts->gate_map, gate), facts->gate_images);
}

static df_status train_teacher(const struct df_spec *spec, const struct df_spec_variant *variant, const struct train_options *options,
                               const struct df_run_options *run, struct df_error *err)
{
    const struct df_spec_teacher *teacher;
    struct df_teacher_facts facts;
    char *path;

    if (!variant->teachers)
        return df_fail(err, DF_ERR_USAGE, "'%s' has no teacher to train [--network student trains its student]", spec->path);
    DF_TRY(df_spec_teacher_find(spec, variant, options->which, &teacher, err));
    if (teacher->cell->file[0])
        return df_fail(err, DF_ERR_USAGE, "'%s' has no teacher to train: '%s' is given [--network student trains its student]", spec->path,
                       teacher->cell->file);
    if (options->half && !options->output[0])
        return df_fail(err, DF_ERR_USAGE, "--half: of which file? [--output F.safetensors]");
    DF_TRY(reseed(teacher->cell, options->seed, err));
    DF_TRY(df_prepare_teacher(teacher->cell, run, &path, err));

    df_status status = DF_OK;

    if (options->output[0])
        status = options->half ? df_teacher_halve(teacher->cell, path, options->output, err) : df_running_copy(path, options->output, err);
    if (status == DF_OK)
        status = df_teacher_facts_read(options->output[0] ? options->output : path, &facts, err);
    if (status == DF_OK)
        print_teacher(options->output[0] ? options->output : path, &facts, options->json);
    free(path);
    return status;
}

static df_status train_student(const struct df_spec *spec, const struct df_spec_variant *variant, const struct train_options *options,
                               const struct df_run_options *run, struct df_error *err)
{
    for (size_t i = variant->line * spec->seeds; i < (variant->line + variant->lines) * spec->seeds; i++) {
        if (spec->cell[i]->teachers)
            continue;
        DF_TRY(reseed(spec->cell[i], options->seed, err));
        return df_running_student(spec->cell[i], run, options->output, options->json, options->again, err);
    }
    return df_fail(err, DF_ERR_USAGE, "every method of '%s' distils [add one without distillers, or use '%s distill']", spec->path,
                   df_program());
}

static df_status train_chosen(struct df_spec *spec, const void *values, struct df_error *err)
{
    const struct train_options *options = values;
    const struct df_spec_variant *variant;
    struct df_run_options run_with;

    df_common_run(&options->common, &run_with);
    DF_TRY(df_spec_variant_find(spec, options->variant, &variant, err));
    return (options->network == TRAIN_TEACHER ? train_teacher : train_student)(spec, variant, options, &run_with, err);
}

static int run_train(const void *values, int count, char *const *arguments)
{
    (void)count;
    return df_running_spec(&((const struct train_options *)values)->common, arguments[0], train_chosen, values);
}

const struct df_command df_command_train = {
    .name = "train",
    .summary = "train a spec's teacher, or its student without distillation",
    .usage = "defeat train SPEC [--network teacher|student] [--which NAME] [--variant LABEL] [--seed N] [--output F.safetensors [--half]]",
    .example = "defeat train ablations/specs/reproduce-quick.json --network teacher",
    .options = options_table,
    .options_size = sizeof(struct train_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_train,
};
