#include "ablations/spec_keys.h"

#include <stdlib.h>
#include <string.h>

#include "ablations/run/cell.h"
#include "ablations/run/teacher_kind.h"
#include "core/data/loader.h"
#include "core/nn/optimiser.h"
#include "distillers/distiller.h"

static const struct df_spec_key root_keys[] = {
    { "name", "text", "required", "letters, digits, '-' and '_': names the folder under --out" },
    { "title", "text", "the name", "heading of the table and the plots" },
    { "extends", "text", "none", "path of another spec, relative to this file: its members are put over that one's; null takes one away" },
    { "plugins", "list of texts", "none", "shared objects that export `df_distiller`, relative to this file; their code is run" },
    { "data", "object", "required", "the data set: section data" },
    { "base", "text", "the file's folder", "folder that the data set's paths are relative to, itself relative to this file",
      "data is read from files" },
    { "canvas", "object", "defaults", "how images become the network's input: section canvas" },
    { "detector", "object", "required", "section detector" },
    { "student", "object", "required", "the network that is trained by every method: section student" },
    { "teacher", "object", "none", "who teaches: section teacher", "a method has a distiller that needs a teacher" },
    { "teachers", "object", "none", "several in place of it, by names that distillers tell: each as in section teacher",
      "\"teacher\" is not given" },
    { "schedule", "object", "defaults", "how student and teacher are trained: section schedule" },
    { "methods", "list of objects", "required", "the lines of the table: section methods" },
    { "seeds", "list of integers", "required", "0..2^53 each, at most 1000: every line of the table is run once per seed" },
    { "variants", "list of objects", "none", "the whole spec once per variant: section variants" },
    { "baseline", "text", "first without distillers", "label of the method that differences are to" },
    { "plots", "object", "none", "section plots" },
    { "device", "text", "cpu", "cpu, ref, cuda[:N][+tf32]; --device and DEFEAT_DEVICE replace it, and with +tf32 \"precision\" as well" },
    { "tuned", "object", "none", "how `defeat tune` chose the weights: a note that nothing reads" },
    { "threads", "integer 1..256", "1", "of one run; moves no bit" },
    { 0 },
};
static const struct df_spec_key data_keys[] = { { "kind", "text", "required", "of data set" }, { 0 } };
static const struct df_spec_key detector_keys[] = { { "kind", "text", "required", "of detector" }, { 0 } };
static const struct df_spec_key student_keys[] = {
    { "network", "object", "required", "section network" },
    { "schedule", "object", "the spec's", "put over the spec's schedule, member by member" },
    { "file", "text", "none", "weights to start from instead of drawn ones: a checkpoint or a state dict, relative to this file" },
    { "take", "text", "all", "only tensors whose names begin so, such as backbone.body", "file is given" },
    { 0 },
};
static const struct df_spec_key teacher_keys[] = {
    { "kind", "text", "detector", "of teacher: detector, classifier" },
    { "network", "object", "required", "section network" },
    { "detector", "object", "the student's", "another detector, given whole: section detector", "kind=detector" },
    { "classifier", "object", "defaults", "its options, below", "kind=classifier" },
    { "canvas", "object", "the student's", "another canvas, given whole: section canvas" },
    { "data", "object", "the spec's", "that it learns, put over the spec's data, member by member, where these are rendered",
      "file is not given" },
    { "schedule", "object", "the spec's", "put over the spec's schedule, member by member", "file is not given" },
    { "seed", "integer 0.., or list", "1000",
      "of its training; a list: as many teachers, seed k learns from the one at k mod the list's length", "file is not given" },
    { "file", "text or list", "none", "a checkpoint in place of training one, relative to this file; a list: as many teachers, by turns" },
    { "classes", "integer 1..100000", "the data's", "how many the file's network has, where they are not the data's", "file is given" },
    { 0 },
};
static const struct df_spec_key method_keys[] = {
    { "label", "text", "required", "names the line; no two methods have the same" },
    { "distillers", "list of objects", "none", "at most 4, their losses are summed: section distillers; none: plain training" },
    { "axes", "multiply|together", "multiply",
      "together: the lists of its options have one length, and a line takes from each its i-th value", "an option is given as a list" },
    { "init_student", "true, false or text", "false",
      "the student starts with the teacher's neck and head: every tensor that both have in one shape, after its own file if it has one; of "
      "several "
      "teachers the name of the one that it has them of" },
    { "stretch", "number", "1",
      "its epochs, and those of decay_at, times this (0.01 to 100): a plain student may so compute as much as a distilled one; 'defeat "
      "cost' says "
      "the factor" },
    { 0 },
};
static const struct df_spec_key distiller_keys[] = {
    { "name", "text", "required", "of the distiller" },
    { "teacher", "text or list", "the only one", "which of the spec's \"teachers\" it is taught by; a list makes an axis",
      "there are several" },
    { "(option)", "value or list", "its default", "a list of values makes an axis: one line per value; axes multiply" },
    { 0 },
};
static const struct df_spec_key variant_keys[] = {
    { "label", "text", "required", "one word of letters, digits and -_=.+; stands before the axes" },
    { "data", "object", "the spec's", "put over the spec's, member by member; so are the following" },
    { "canvas", "object", "the spec's", "" },
    { "detector", "object", "the spec's", "" },
    { "student", "object", "the spec's", "" },
    { "teacher", "object", "the spec's", "every variant trains its own" },
    { "teachers", "object", "the spec's", "" },
    { "schedule", "object", "the spec's", "" },
    { 0 },
};
static const struct df_spec_key plot_keys[] = {
    { "heat", "list of two texts", "none", "two axes of the spec, such as w_fg and w_bg: a map of AP over both" },
    { 0 },
};

static const df_option *data_kind(size_t i, const char **name, const char **summary)
{
    const struct df_dataset_class *class = df_dataset_classes[i];

    if (!class)
        return NULL;
    *name = class->name;
    *summary = class->summary;
    return class->options;
}

static const df_option *detector_kind(size_t i, const char **name, const char **summary)
{
    const struct df_detector_class *class = df_detector_classes[i];

    if (!class)
        return NULL;
    *name = class->name;
    *summary = class->summary;
    return class->options;
}

static const df_option *distiller_kind(size_t i, const char **name, const char **summary)
{
    const struct df_distiller_class *class = df_distiller_classes[i];

    if (!class)
        return NULL;
    *name = class->name;
    *summary = class->summary;
    return class->options;
}

/* Kinds that have options of their own, in the object of their name. */
static const df_option *teacher_kind(size_t i, const char **name, const char **summary)
{
    for (size_t k = 0; df_teacher_kinds[k]; k++) {
        const struct df_teacher_kind *kind = df_teacher_kinds[k];

        if (!kind->class || i-- > 0)
            continue;
        *name = kind->name;
        *summary = kind->summary;
        return kind->class->options;
    }
    return NULL;
}

const struct df_spec_section df_spec_section[DF_SPEC_SECTIONS] = {
    [DF_SPEC_ROOT] = { "spec", "the file's own members", root_keys, df_precision_option_table },
    [DF_SPEC_DATA] = { "data", "the data set", data_keys, NULL, data_kind },
    [DF_SPEC_CANVAS] = { "canvas", "from an image to the network's input", NULL, df_canvas_option_table },
    [DF_SPEC_DETECTOR] = { "detector", "what is built on the backbone", detector_keys, NULL, detector_kind },
    [DF_SPEC_NETWORK] = { "network", "the backbone, in student and teacher", NULL, df_network_option_table },
    [DF_SPEC_SCHEDULE] = { "schedule", "training", NULL, df_schedule_options },
    [DF_SPEC_STUDENT] = { "student", "the network that is trained", student_keys },
    [DF_SPEC_TEACHER] = { "teacher", "trained once for the spec, or given as a file", teacher_keys, NULL, teacher_kind },
    [DF_SPEC_METHODS] = { "methods", "a line of the table each", method_keys },
    [DF_SPEC_DISTILLERS] = { "distillers", "in a method", distiller_keys, NULL, distiller_kind },
    [DF_SPEC_VARIANTS] = { "variants", "the spec once more, with members put over its own", variant_keys },
    [DF_SPEC_PLOTS] = { "plots", "what `defeat plot` draws beside what it always draws", plot_keys },
};

df_status df_spec_only(enum df_spec_sections section, const cJSON *object, const char *where, struct df_error *err)
{
    const df_option *option = df_spec_section[section].options;
    const char *names[32];
    size_t n = 0;

    for (const struct df_spec_key *key = df_spec_section[section].keys; key->name; key++) {
        DF_ASSERT(n + 1 < sizeof names / sizeof *names);
        names[n++] = key->name;
    }
    for (; option && option->name; option++) {
        DF_ASSERT(n + 1 < sizeof names / sizeof *names);
        names[n++] = option->name;
    }
    names[n] = NULL;
    return df_json_only(object, names, where, err);
}

static size_t widest(const struct df_spec_key *keys, size_t offset)
{
    size_t width = 0;

    for (; keys->name; keys++) {
        const size_t length = strlen(*(const char *const *)((const char *)keys + offset));

        width = length > width ? length : width;
    }
    return width;
}

static void add_keys(const struct df_spec_key *keys, struct df_text *out)
{
    const int name = (int)widest(keys, offsetof(struct df_spec_key, name)),
              standard = (int)widest(keys, offsetof(struct df_spec_key, standard)),
              type = (int)widest(keys, offsetof(struct df_spec_key, type));

    for (; keys->name; keys++) {
        df_text_addf(out, "  %-*s  %-*s  %-*s", name, keys->name, standard, keys->standard, keys->help[0] ? type : 0, keys->type);
        df_text_addf(out, keys->help[0] ? "  %s" : "%s", keys->help);
        df_text_addf(out, keys->when ? " (when %s)\n" : "\n", keys->when);
    }
}

void df_spec_help(enum df_spec_sections which, struct df_text *out)
{
    const struct df_spec_section *section = &df_spec_section[which];
    const char *name, *summary;
    const df_option *options;

    df_text_addf(out, "%s: %s\n", section->name, section->summary);
    if (section->keys)
        add_keys(section->keys, out);
    if (section->options)
        df_options_help(section->options, out);
    for (size_t i = 0; section->kind && (options = section->kind(i, &name, &summary)); i++) {
        df_text_addf(out, "\n%s %s: %s\n", section->name, name, summary);
        df_options_help(options, out);
    }
}
