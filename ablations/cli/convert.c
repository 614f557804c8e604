/* `defeat convert SPEC INPUT OUTPUT`: PyTorch's state dicts (safetensors) into checkpoints of a spec's network, and back. */
#include <stdio.h>
#include <stdlib.h>

#include "ablations/cli/command.h"
#include "ablations/run/described.h"
#include "ablations/run/model.h"
#include "ablations/run/teacher_file.h"
#include "ablations/spec_teachers.h"
#include "core/nn/checkpoint.h"
#include "core/nn/state_dict.h"

enum { CONVERT_STUDENT, CONVERT_TEACHER };
enum { TO_DEFEAT, TO_TORCH };
enum { CLASSES_IN_ORDER, CLASSES_BY_ID };
struct convert_options {
    struct df_texts set;
    int network, to, classes;
    bool describe;
    char which[DF_STRING_MAX], variant[DF_STRING_MAX], data_path[DF_STRING_MAX], plugin[DF_STRING_MAX];
};
static const df_option options_table[] = {
    { "network", DF_CHOICE_OPTION(struct convert_options, network), .standard = CONVERT_STUDENT, .choices = "student|teacher",
      .help = "whose weights they are" },
    { "which", DF_STRING_OPTION(struct convert_options, which), .text = "", .when = "network=teacher",
      .help = "of several teachers the one of this name" },
    { "to", DF_CHOICE_OPTION(struct convert_options, to), .standard = TO_DEFEAT, .choices = "defeat|torch",
      .help = "a checkpoint for the other commands, or a state dict for load_state_dict(strict=True)" },
    { "classes", DF_CHOICE_OPTION(struct convert_options, classes), .standard = CLASSES_IN_ORDER, .choices = "order|id",
      .when = "to=defeat",
      .help = "the file has the data's classes in their order, or others, numbered by category id (torchvision's COCO weights)" },
    { "describe", DF_BOOL_OPTION(struct convert_options, describe), .standard = 1, .when = "to=defeat",
      .help = "the checkpoint says what its network and its classes are, so that predict needs no spec; without it, it holds the weights "
              "alone" },
    { "variant", DF_STRING_OPTION(struct convert_options, variant), .text = "", .help = "of which variant of the spec, by its label" },
    { "data_path", DF_STRING_OPTION(struct convert_options, data_path), .text = "",
      .help = "folder that the dataset's paths are relative to" },
    { "plugin", DF_STRING_OPTION(struct convert_options, plugin), .text = "", .help = "shared object that exports `df_distiller`" },
    { "set", DF_TEXTS_OPTION(struct convert_options, set),
      .help = "KEY=VALUE put over the spec, such as schedule.batch=8; may be given again" },
    { 0 },
};

static df_status choose(const struct df_spec *spec, const struct convert_options *options, const struct df_cell **cell,
                        struct df_error *err)
{
    const struct df_spec_variant *variant;
    const struct df_spec_teacher *teacher;

    DF_TRY(df_spec_variant_find(spec, options->variant, &variant, err));
    *cell = spec->cell[variant->line * spec->seeds];
    if (options->network == CONVERT_STUDENT)
        return DF_OK;
    if (!variant->teachers)
        return df_fail(err, DF_ERR_USAGE, "'%s' has no teacher [--network student for its student]", spec->path);
    DF_TRY(df_spec_teacher_find(spec, variant, options->which, &teacher, err));
    *cell = teacher->cell;
    return DF_OK;
}

/* The file's number of every class of the data. */
static df_status read_by_id(const char *path, const struct df_cell *cell, const struct df_dataset *dataset, struct df_model *model,
                            struct df_error *err)
{
    struct df_class_choice choice = { .rows = cell->detector->class_rows, .classes = dataset->categories };
    int64_t *number;

    if (!choice.rows)
        return df_fail(err, DF_ERR_UNSUPPORTED, "detector '%s' does not say which of its weights belong to classes [--classes order]",
                       cell->detector->name);
    number = df_calloc(dataset->categories, sizeof *number);
    for (size_t k = 0; k < dataset->categories; k++)
        number[k] = dataset->category[k].id;
    choice.number = number;

    const df_status status = df_state_dict_read(path, model->parameters, &choice, err);

    free(number);
    return status;
}

static df_status read_weights(const char *path, const struct convert_options *options, const struct df_cell *cell,
                              const struct df_dataset *dataset, struct df_model *model, struct df_error *err)
{
    const struct df_class_choice in_order = { .rows = cell->detector->class_rows, .classes = dataset->categories };

    if (options->to == TO_TORCH)
        return df_checkpoint_read(path, model->parameters, false, false, err);
    if (options->classes == CLASSES_BY_ID)
        return read_by_id(path, cell, dataset, model, err);
    return df_state_dict_read(path, model->parameters, &in_order, err);
}

/* The classes are the data's: of these the weights are. */
static df_status write_checkpoint(const char *path, const struct convert_options *options, const struct df_cell *cell,
                                  const struct df_dataset *dataset, const struct df_model *model, struct df_error *err)
{
    struct df_text network = DF_TEXT_INIT, classes = DF_TEXT_INIT;

    df_network_text(cell, &network);
    df_classes_text(dataset, &classes);

    const struct df_metadata metadata[] = { { "format", "defeat weights" },
                                            { "cell", df_text_get(&network) },
                                            { "classes", df_text_get(&classes) } };
    const struct df_checkpoint file = { .parameters = model->parameters,
                                        .metadata = metadata,
                                        .metadata_count = options->describe ? 3 : 1 };
    const df_status status = df_checkpoint_write(path, file, err);

    df_text_release(&network);
    df_text_release(&classes);
    return status;
}

static df_status convert(const struct df_cell *cell, const struct convert_options *options, const char *input, const char *output,
                         struct df_error *err)
{
    struct df_dataset *dataset;
    struct df_model model;
    df_status status;

    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &dataset, err));
    DF_TRY(df_model_create(cell, dataset->categories, &model, err));
    df_parameters_build(model.parameters, model.device, 0, false);
    status = read_weights(input, options, cell, dataset, &model, err);
    if (status == DF_OK)
        status = options->to == TO_TORCH ? df_state_dict_write(output, model.parameters, err)
                                         : write_checkpoint(output, options, cell, dataset, &model, err);
    if (status == DF_OK) {
        size_t numbers = 0;

        for (size_t i = 0; i < model.parameters->count; i++)
            numbers += df_count(model.parameters->items[i]->shape);
        printf("%s: %zu tensors, %zu numbers, of the %s (%s, %zu classes)\n", output, model.parameters->count, numbers,
               options->network == CONVERT_TEACHER ? "teacher" : "student", cell->detector->name, dataset->categories);
    }
    df_model_release(&model);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct convert_options *options = values;
    const struct df_spec_overrides overrides = { .data_path = options->data_path[0] ? options->data_path : NULL,
                                                 .set = &options->set,
                                                 .unread = true };
    const struct df_distiller_class *plugin;
    const struct df_cell *cell;
    struct df_error err = { 0 };
    struct df_spec *spec = NULL;
    df_status status = DF_OK;

    (void)count;
    if (options->plugin[0])
        status = df_distiller_load_plugin(options->plugin, &plugin, &err);
    if (status == DF_OK)
        status = df_spec_read(arguments[0], &overrides, &spec, &err);
    if (status == DF_OK)
        status = choose(spec, options, &cell, &err);
    if (status == DF_OK)
        status = convert(cell, options, arguments[1], arguments[2], &err);
    df_spec_free(spec);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_convert = {
    .name = "convert",
    .summary = "PyTorch's state dicts into checkpoints, and back",
    .usage = "defeat convert SPEC INPUT OUTPUT [--network student|teacher] [--which NAME] [--variant LABEL] [--to defeat|torch] [--classes "
             "order|id] [--no-describe]",
    .example = "defeat convert ablations/specs/tiny.json state_dict.safetensors teacher.safetensors --network teacher",
    .options = options_table,
    .options_size = sizeof(struct convert_options),
    .arguments_min = 3,
    .arguments_max = 3,
    .run = run,
};
