/* `defeat distill SPEC --method LABEL`: one student taught by one of the spec's methods, outside of any sweep. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/running.h"
#include "core/base/shell.h"

struct distill_options {
    struct df_common_options common;
    char method[DF_STRING_MAX], axes[DF_STRING_MAX], output[DF_STRING_MAX];
    int64_t seed;
    bool json, again;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct distill_options, common),
    { "method", DF_STRING_OPTION(struct distill_options, method), .text = "", .help = "label of a method in the spec" },
    { "axes", DF_STRING_OPTION(struct distill_options, axes), .text = "",
      .help = "which of the method's lines, such as 'w_fg=4 w_bg=16'; \"\": the first" },
    { "seed", DF_INT_OPTION(struct distill_options, seed), .standard = -1, .min = -1, .max = 9e15,
      .help = "in place of the spec's first seed; -1: that one" },
    { "output", DF_STRING_OPTION(struct distill_options, output), .text = "", .help = "a copy of the weights (safetensors)" },
    { "again", DF_BOOL_OPTION(struct distill_options, again), .help = "run also a cell that a sweep has finished" },
    { "json", DF_BOOL_OPTION(struct distill_options, json), .help = "print JSON" },
    { 0 },
};

/* A label, or a line of that label. */
static df_status unknown_method(const struct df_spec *spec, const struct distill_options *options, struct df_error *err)
{
    const char **labels = df_calloc(spec->count + 1, sizeof *labels), *near;
    struct df_shell_word path;
    char hint[sizeof path + 128];

    for (size_t i = 0; i < spec->count; i++)
        labels[i] = spec->cell[i]->label;
    near = df_nearest(options->method, labels);
    snprintf(hint, sizeof hint, "to list them: %s sweep %s --list", df_program(), df_shell_word(&path, spec->path));
    if (near && strcmp(near, options->method) == 0)
        df_fail(err, DF_ERR_USAGE, "method '%s' has no line '%s' [%s]", near, options->axes, hint);
    else
        df_fail_unknown(err, "method", options->method, near, hint);
    free(labels);
    return DF_ERR_USAGE;
}

static df_status which_method(const struct df_spec *spec, struct df_error *err)
{
    struct df_text labels = DF_TEXT_INIT;

    for (size_t line = 0; line < spec->variant[0].lines; line++) {
        const struct df_cell *cell = spec->cell[line * spec->seeds];

        if (line == 0 || strcmp(spec->cell[(line - 1) * spec->seeds]->label, cell->label) != 0)
            df_text_addf(&labels, "%s'%s'", labels.length ? ", " : "", cell->label);
    }
    df_fail(err, DF_ERR_USAGE, "which method? [--method LABEL: %s]", df_text_get(&labels));
    df_text_release(&labels);
    return DF_ERR_USAGE;
}

static df_status distill(struct df_spec *spec, const void *values, struct df_error *err)
{
    const struct distill_options *options = values;
    struct df_run_options run_with;

    df_common_run(&options->common, &run_with);
    if (!options->method[0])
        return which_method(spec, err);
    for (size_t i = 0; i < spec->count; i++) {
        struct df_cell *cell = spec->cell[i];

        if (strcmp(cell->label, options->method) != 0 || (options->axes[0] && strcmp(cell->axes, options->axes) != 0))
            continue;
        if (options->seed >= 0) {
            cell->seed = options->seed;
            DF_TRY(df_cell_seal(cell, err));
        }
        return df_running_student(cell, &run_with, options->output, options->json, options->again, err);
    }
    return unknown_method(spec, options, err);
}

static int run(const void *values, int count, char *const *arguments)
{
    (void)count;
    return df_running_spec(&((const struct distill_options *)values)->common, arguments[0], distill, values);
}

const struct df_command df_command_distill = {
    .name = "distill",
    .summary = "train one student with one of a spec's methods (the teacher too, if there is none yet)",
    .usage = "defeat distill SPEC --method LABEL [--axes TEXT] [--seed N] [--output F.safetensors]",
    .example = "defeat distill ablations/specs/reproduce-quick.json --method 'DeFeat neck' --seed 7",
    .options = options_table,
    .options_size = sizeof(struct distill_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
