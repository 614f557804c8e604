/* Finding distillers by name, what they need, their contract, plugins, and the helper that adds a distiller's parameters. */
#include "distillers/distiller.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fpu.h"
#include "core/base/hash.h"
#include "core/base/shell.h"
#include "core/base/text.h"

#define PLUGINS_MAX 32
#define MOST_BYTES  ((size_t)1 << 28) /* of a distiller's options, of its state: more is a slip */
static const struct df_distiller_class *plugins[PLUGINS_MAX + 1];
static char plugin_hash[PLUGINS_MAX][17];
static size_t plugin_count;

/* Those that are built in, then the plugins. */
static const struct df_distiller_class *class_at(size_t i)
{
    size_t built_in = 0;

    while (df_distiller_classes[built_in])
        built_in++;
    return i < built_in ? df_distiller_classes[i] : plugins[i - built_in];
}

static const char *class_name(const void *table, size_t i)
{
    (void)table;
    return class_at(i) ? class_at(i)->name : NULL;
}

const struct df_distiller_class *df_distiller_class_find(const char *name, struct df_error *err)
{
    char hint[sizeof(struct df_shell_word) + 128];

    snprintf(hint, sizeof hint, "'%s distillers' lists them; a plugin's is known once a spec's \"plugins\" or --plugin names its file",
             df_program());

    const size_t i = df_find_name(class_name, NULL, name, "distiller", hint, err);

    return i == SIZE_MAX ? NULL : class_at(i);
}

/* ---- needs ---- */

static struct df_needs needs_of(const struct df_distiller_class *class, const void *options, const struct df_detector_class *detector)
{
    struct df_needs asked = { 0 }, needs = { 0 };

    if (class->needs_of)
        class->needs_of(options, &asked);
    else
        df_needs_add(&asked, class->needs);
    for (size_t i = 0; i < asked.count; i++)
        df_needs_add(&needs, strcmp(asked.name[i], DF_NEEDS_CLASS_LOGITS) == 0 ? detector->class_logits : asked.name[i]);
    return needs;
}

static bool offers(const struct df_detector_class *detector, const char *name)
{
    if (strcmp(name, DF_NEEDS_HEAD) == 0)
        return detector->run_head != NULL;
    if (strcmp(name, DF_OBJECT_NETWORK) == 0)
        return detector->look_at != NULL;
    return df_names_cover(detector->offers, name) || df_names_cover(detector->on_request, name);
}

/* The last option of the table without which `missing` would not be needed, or NULL. */
static const char *who_asks(const struct df_distiller_class *class, const void *options, const struct df_detector_class *detector,
                            const char *missing)
{
    char *standard = df_calloc(1, class->options_size), *changed = df_malloc(class->options_size);
    const char *name = NULL;

    df_options_standard(class->options, standard);
    for (const df_option *row = class->options; row->name; row++) {
        memcpy(changed, options, class->options_size);
        memcpy(changed + row->offset, standard + row->offset, df_option_bytes(row));

        const struct df_needs needs = needs_of(class, changed, detector);

        if (!df_needs_has(&needs, missing))
            name = row->name;
    }
    free(standard);
    free(changed);
    return name;
}

/* taught: the side that is; what a teacher alone has is not asked of it. */
static df_status one_side(const struct df_distiller_class *class, const void *options, const struct df_detector_class *detector,
                          bool taught, struct df_needs *needs, struct df_error *err)
{
    *needs = needs_of(class, options, detector);
    for (size_t i = 0; i < needs->count; i++) {
        if (offers(detector, needs->name[i]) || (taught && df_teachers_alone(needs->name[i])))
            continue;

        const char *option = who_asks(class, options, detector, needs->name[i]);

        return df_fail(err, DF_ERR_UNSUPPORTED, "distiller '%s'%s%s%s needs '%s', which detector '%s' does not have (it has %s%s%s)%s",
                       class->name, option ? ": option '" : "", option ? option : "", option ? "'" : "", needs->name[i], detector->name,
                       detector->offers, detector->on_request[0] ? " " : "", detector->on_request,
                       option ? " [leave the option out or choose another detector]" : "");
    }
    return DF_OK;
}

df_status df_distiller_needs(const struct df_distiller_class *class, const void *options, const struct df_detector_class *student,
                             const struct df_detector_class *teacher, struct df_needs *needs, struct df_error *err)
{
    struct df_needs own;

    DF_TRY(one_side(class, options, student, true, &own, err));
    DF_TRY(one_side(class, options, teacher, false, needs, err));
    if (!df_needs_same(&own, needs))
        return df_fail(
            err, DF_ERR_UNSUPPORTED,
            "distiller '%s' needs the class logits: '%s' of the teacher's detector '%s', but '%s' of the student's '%s' (expected "
            "the same part) [choose detectors of one kind, or a distiller of features]",
            class->name, teacher->class_logits, teacher->name, student->class_logits, student->name);
    return DF_OK;
}

/* ---- the contract ---- */

static bool name_is_plain(const char *name)
{
    if (!name || !islower((unsigned char)*name))
        return false;
    for (; *name; name++) {
        if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name) && *name != '_')
            return false;
    }
    return true;
}

bool df_distiller_tunes(const struct df_distiller_class *class, const char *option)
{
    return class->tunable && df_names_cover(class->tunable, option);
}

/* Only real options are tuned: as many as there are names. */
static df_status check_tunable(const struct df_distiller_class *class, struct df_error *err)
{
    size_t names = 0, found = 0;

    for (const char *at = class->tunable ? class->tunable : ""; *at; at += strcspn(at, " "), at += strspn(at, " "))
        names++;
    for (const df_option *row = class->options; row->name; row++)
        found += row->type == DF_OPTION_REAL && df_distiller_tunes(class, row->name);
    if (names != found)
        return df_fail(err, DF_ERR_FORMAT, "tunable '%s': %zu of its %zu names are real options (expected all of them)", class->tunable,
                       found, names);
    return DF_OK;
}

df_status df_distiller_legal(const struct df_distiller_class *class, struct df_error *err)
{
    if (class->abi != DF_DISTILLER_ABI)
        return df_fail(err, DF_ERR_UNSUPPORTED, "its abi: built for ABI %d, expected %d [build it against this program's headers]",
                       class->abi, DF_DISTILLER_ABI);
    if (!name_is_plain(class->name))
        return df_fail(err, DF_ERR_FORMAT, "the name must be lower-case letters, digits and '_'");
    if (!class->summary || !class->cite || !class->loss || !class->options || !class->options_size || !class->needs)
        return df_fail(err, DF_ERR_FORMAT, "summary, cite, needs, loss, options and options_size must be set");
    if (class->revision < 0)
        return df_fail(err, DF_ERR_FORMAT, "the revision must not be negative");
    for (const df_option *row = class->options; row->name; row++)
        if (strcmp(row->name, "name") == 0 || strcmp(row->name, "teacher") == 0)
            return df_fail(err, DF_ERR_FORMAT, "option '%s' is called as a key of every distiller in a spec is", row->name);
    if (class->options_size > MOST_BYTES || class->state_size > MOST_BYTES)
        return df_fail(err, DF_ERR_FORMAT, "options_size is %zu bytes and state_size %zu (expected at most %zu)", class->options_size,
                       class->state_size, MOST_BYTES);
    DF_TRY(df_options_legal(class->options, class->options_size, err));
    return check_tunable(class, err);
}

/* ---- plugins ---- */

static df_status check_plugin(const char *path, const struct df_distiller_class *class, struct df_error *err)
{
    if (df_distiller_legal(class, err) != DF_OK)
        return df_fail_in(err, DF_ERR_FORMAT, "plugin '%s'", path);

    const struct df_distiller_class *other = df_distiller_class_find(class->name, NULL);

    if (other && other != class)
        return df_fail(err, DF_ERR_USAGE, "plugin '%s': there is a distiller '%s' already (%s) [give it another name]", path, class->name,
                       df_distiller_plugin_hash(other) ? "of another plugin" : "built in");
    if (plugin_count == PLUGINS_MAX)
        return df_fail(err, DF_ERR_UNSUPPORTED, "plugin '%s': more than %d plugins", path, PLUGINS_MAX);
    return DF_OK;
}

df_status df_distiller_load_plugin(const char *path, const struct df_distiller_class **out, struct df_error *err)
{
    const struct df_distiller_class *class;
    char local[4096], hash[17];
    df_status status;

    *out = NULL;
    DF_TRY(df_file_hash(path, hash, err));
    snprintf(local, sizeof local, "%s%s", strchr(path, '/') ? "" : "./", path); /* a bare name would be searched in the system's folders */
    void *library = dlopen(local, RTLD_NOW | RTLD_LOCAL);

    if (df_fpu_reset()) /* crtfastmath.o does that, which -ffast-math links into shared objects too */
        df_warn("plugin '%s' changes how this program rounds or keeps denormal numbers: that was set back [build it without -ffast-math]",
                path);
    if (!library)
        return df_fail(err, DF_ERR_NOT_FOUND, "cannot load plugin '%s': %s", path, dlerror());
    class = dlsym(library, "df_distiller");
    if (class)
        status = check_plugin(path, class, err);
    else
        status =
            df_fail(err, DF_ERR_FORMAT, "plugin '%s' has no symbol 'df_distiller' (it must be a const struct df_distiller_class)", path);
    if (status != DF_OK) {
        dlclose(library);
        return status;
    }
    if (!df_distiller_plugin_hash(class)) {
        memcpy(plugin_hash[plugin_count], hash, sizeof hash);
        plugins[plugin_count++] = class; /* stays loaded: its code and tables are used until the end */
    }
    *out = class;
    return DF_OK;
}

const char *df_distiller_plugin_hash(const struct df_distiller_class *class)
{
    for (size_t i = 0; i < plugin_count; i++)
        if (plugins[i] == class)
            return plugin_hash[i];
    return NULL;
}

struct df_parameter *df_distiller_parameter(struct df_distiller_setup *setup, const char *name, enum df_parameter_kind kind, df_shape shape,
                                            struct df_initialiser init)
{
    char full[128];

    snprintf(full, sizeof full, "%s%s", setup->prefix, name);
    return df_parameters_add(setup->parameters, full, kind, shape, init, DF_RNG_ADAPT);
}

static df_status not_scalar(const struct df_distiller_class *class, const char *what, const char *name, df_shape shape,
                            struct df_error *err)
{
    return df_fail(err, DF_ERR_CHECK, "distiller '%s': its %s%s%s%s has shape [%zu,%zu,%zu,%zu], expected a scalar [1,1,1,1]", class->name,
                   what, name[0] ? " '" : "", name, name[0] ? "'" : "", shape.n, shape.h, shape.w, shape.c);
}

df_status df_distiller_result(const struct df_distiller_class *class, const df_tensor *loss, const struct df_loss_terms *terms,
                              size_t first, struct df_error *err)
{
    if (loss && df_count(loss->shape) != 1)
        return not_scalar(class, "loss", "", loss->shape, err);
    for (size_t i = first; i < terms->count; i++) {
        if (df_count(terms->term[i].value->shape) != 1)
            return not_scalar(class, "term", terms->term[i].name, terms->term[i].value->shape, err);
        if (!loss && terms->term[i].weight != 0)
            return df_fail(err, DF_ERR_CHECK,
                           "distiller '%s': its loss is NULL, though it added the term '%s' with the weight %g [return the weighted sum of "
                           "the terms, or add what does not count with a weight of 0]",
                           class->name, terms->term[i].name, terms->term[i].weight);
    }
    return DF_OK;
}

size_t df_distiller_weigh_nothing(const struct df_distiller_class *class, void *options)
{
    size_t weights = 0;

    for (const df_option *row = class->options; row && row->name; row++)
        if (row->type == DF_OPTION_REAL && (strcmp(row->name, "w") == 0 || strncmp(row->name, "w_", 2) == 0)) {
            memset((char *)options + row->offset, 0, sizeof(double));
            weights++;
        }
    return weights;
}
